//! The extism side of the comparison, written for speed: it decodes in place, and reads and writes the memory of extism
//! once a call.

mod wire;

use std::cell::RefCell;
use std::collections::BTreeMap;

use extism_pdk::{FnResult, Memory, input_bytes, plugin_fn};
use wire::{Attributes, Failure, FailureKind, Find, Metadata, Reply, Step, Store};

thread_local! {
    static OBJECTS: RefCell<BTreeMap<String, Entry>> = RefCell::default();
    static QUEUE: RefCell<Queue> = RefCell::default();
}

/// An object, as the plugin `memory` keeps it.
struct Entry {
    created_at: u64,
    updated_at: u64,
    checksum: u64,
    etag: String,
    content_type: Option<String>,
    user_metadata: Vec<(String, String)>,
    tags: Vec<(String, String)>,
    bytes: Vec<u8>,
}

impl Entry {
    fn metadata<'a>(&'a self, key: &'a str) -> Metadata<'a> {
        Metadata {
            key,
            size: self.bytes.len() as u64,
            created_at: self.created_at,
            updated_at: self.updated_at,
            checksum: self.checksum,
            etag: &self.etag,
            attributes: Attributes {
                content_type: self.content_type.as_deref(),
                user_metadata: borrowed(&self.user_metadata),
                tags: borrowed(&self.tags),
            },
        }
    }
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Stores an object.
#[plugin_fn]
pub fn store() -> FnResult<Memory> {
    let input = input_bytes();
    let (head, body) = postcard::take_from_bytes::<Store<'_>>(&input)?;
    OBJECTS.with_borrow_mut(|objects| {
        let existing = objects.get_mut(head.key);
        let previous = existing.as_ref().map(|previous| previous.created_at);
        let entry = Entry {
            created_at: head.created_at.or(previous).unwrap_or(head.updated_at),
            updated_at: head.updated_at,
            checksum: head.checksum,
            etag: head.etag.to_owned(),
            content_type: head.attributes.content_type.map(str::to_owned),
            user_metadata: owned(&head.attributes.user_metadata),
            tags: owned(&head.attributes.tags),
            bytes: body.to_vec(),
        };
        let reply = postcard::to_allocvec(&Reply::Ok(entry.metadata(head.key)))?;
        match existing {
            Some(existing) => *existing = entry,
            None => drop(objects.insert(head.key.to_owned(), entry)),
        }
        Ok(Memory::from_bytes(reply)?)
    })
}

/// Returns an object.
#[plugin_fn]
pub fn retrieve() -> FnResult<Memory> {
    find(|entry, reply| reply.extend_from_slice(&entry.bytes))
}

/// Returns the metadata of an object.
#[plugin_fn]
pub fn metadata() -> FnResult<Memory> {
    find(|_, _| {})
}

fn find(finish: impl FnOnce(&Entry, &mut Vec<u8>)) -> FnResult<Memory> {
    let input = input_bytes();
    let Find { key } = postcard::from_bytes(&input)?;
    OBJECTS.with_borrow(|objects| match objects.get(key) {
        Some(entry) => {
            let mut reply = postcard::to_allocvec(&Reply::Ok(entry.metadata(key)))?;
            finish(entry, &mut reply);
            Ok(Memory::from_bytes(reply)?)
        }
        None => {
            let message = format!("there is no object {key:?}");
            let failure = Failure { kind: FailureKind::NotFound, code: "", message: &message, retry_after: None };
            Ok(Memory::from_bytes(postcard::to_allocvec(&Reply::Err(failure))?)?)
        }
    })
}

/// The entries of a shard by slot, with the bit that a read sets.
#[derive(Default)]
struct Queue {
    slots: Vec<Option<bool>>,
}

impl Queue {
    fn insert(&mut self, id: u64) {
        let slot = slot(id);
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some(false);
    }

    fn access(&mut self, id: u64) {
        if let Some(Some(visited)) = self.slots.get_mut(slot(id)) {
            *visited = true;
        }
    }

    fn remove(&mut self, id: u64) {
        if let Some(entry) = self.slots.get_mut(slot(id)) {
            *entry = None;
        }
    }
}

/// The low half of an id.
fn slot(id: u64) -> usize {
    id as u32 as usize
}

/// Takes note of a batch of events. Nothing is ever wanted here: what is compared is how a batch comes in.
#[plugin_fn]
pub fn step() -> FnResult<Memory> {
    let input = input_bytes();
    let (head, columns) = postcard::take_from_bytes::<Step>(&input)?;
    let mut ids = columns.chunks_exact(8).map(|id| u64::from_le_bytes(id.try_into().unwrap_or_default()));
    QUEUE.with_borrow_mut(|queue| {
        ids.by_ref().take(head.inserted as usize).for_each(|id| queue.insert(id));
        // The hashes and weights of those inserted, which SIEVE has no use for either.
        ids.by_ref().take(2 * head.inserted as usize).for_each(drop);
        ids.by_ref().take(head.accessed as usize).for_each(|id| queue.access(id));
        ids.by_ref().take(head.removed as usize).for_each(|id| queue.remove(id));
    });
    Ok(Memory::from_bytes([])?)
}
