//! The same work in extism.

use std::cell::RefCell;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};
use larder::cache::{Batch, EntryId};
use larder::object::{
    Attributes, Body, Checksum, ETag, Key, Object, StorageMetadata, Tags, UserMetadata, millis_from_timestamp,
    timestamp_from_millis,
};
use larder::provider::StoreOptions;

use crate::stopwatch::Work;
use crate::wire;
use crate::workload::{Objects, inserts, reads};

/// The guest, compiled.
#[derive(Clone)]
pub(super) struct Extism(CompiledPlugin);

impl Extism {
    pub(super) fn load(path: &Path) -> Result<Self> {
        let manifest = Manifest::new([Wasm::data(fs::read(path)?)]);
        Ok(Self(CompiledPlugin::new(PluginBuilder::new(manifest).with_cache_disabled())?))
    }

    fn guest(&self) -> Result<Guest> {
        Ok(Guest { plugin: Plugin::new_from_compiled(&self.0)?, input: Vec::new() })
    }

    pub(super) fn instance(&self) -> Result<ExtismInstance> {
        Ok(ExtismInstance(Rc::new(RefCell::new(self.guest()?))))
    }

    /// An instance that answered a call for victims.
    pub(super) fn used_strategy(&self) -> Result<ExtismInstance> {
        let instance = self.instance()?;
        instance.0.borrow_mut().step(&Batch::default())?;
        Ok(instance)
    }

    /// An instance that stored an object.
    pub(super) fn used_provider(&self, number: usize) -> Result<ExtismInstance> {
        let (instance, key) = (self.instance()?, Key::new(format!("{number}"))?);
        instance.0.borrow_mut().store(&key, &Bytes::from_static(b"bytes"), &StoreOptions::default())?;
        Ok(instance)
    }

    pub(super) fn start_eviction(&self) -> Work {
        let (guest, batch) = (self.clone(), Batch::default());
        Box::new(move |times| {
            for _ in 0..times {
                black_box(guest.guest()?.step(&batch)?);
            }
            Ok(())
        })
    }

    pub(super) fn start_provider(&self) -> Work {
        let guest = self.clone();
        Box::new(move |times| {
            for _ in 0..times {
                guest.guest()?.missing()?;
            }
            Ok(())
        })
    }
}

/// An instance that every operation on it shares.
pub(crate) struct ExtismInstance(Rc<RefCell<Guest>>);

impl ExtismInstance {
    pub(super) fn missing(&self) -> Work {
        let guest = Rc::clone(&self.0);
        Box::new(move |times| {
            let mut guest = guest.borrow_mut();
            for _ in 0..times {
                guest.missing()?;
            }
            Ok(())
        })
    }

    /// Stores every object, sees to it that it is there, and is then ready to store it again.
    pub(super) fn store(&self, objects: &Arc<Objects>) -> Result<Work> {
        let (guest, objects) = (Rc::clone(&self.0), Arc::clone(objects));
        for key in &objects.keys {
            let mut guest = guest.borrow_mut();
            let stored = guest.store(key, &objects.body, &objects.options)?;
            objects.check(key, &stored, &guest.retrieve(key)?)?;
        }
        Ok(Box::new(move |times| {
            let mut guest = guest.borrow_mut();
            for turn in 0..times {
                black_box(guest.store(objects.key(turn), &objects.body, &objects.options)?);
            }
            Ok(())
        }))
    }

    pub(super) fn retrieve(&self, objects: &Arc<Objects>) -> Work {
        let (guest, objects) = (Rc::clone(&self.0), Arc::clone(objects));
        Box::new(move |times| {
            let mut guest = guest.borrow_mut();
            for turn in 0..times {
                black_box(guest.retrieve(objects.key(turn))?);
            }
            Ok(())
        })
    }

    pub(super) fn step(&self) -> Result<Work> {
        let (guest, batch) = (Rc::clone(&self.0), reads());
        guest.borrow_mut().step(&inserts())?;
        Ok(Box::new(move |times| {
            let mut guest = guest.borrow_mut();
            for _ in 0..times {
                ensure!(guest.step(black_box(&batch))?.is_empty(), "victims that nobody wanted");
            }
            Ok(())
        }))
    }
}

/// An instance, and room for what goes into it.
struct Guest {
    plugin: Plugin,
    input: Vec<u8>,
}

impl Guest {
    /// Begins a request anew with its head.
    fn head(&mut self, head: &impl serde::Serialize) -> Result<()> {
        let mut input = std::mem::take(&mut self.input);
        input.clear();
        self.input = postcard::to_extend(head, input)?;
        Ok(())
    }

    fn store(&mut self, key: &Key, body: &Bytes, options: &StoreOptions) -> Result<StorageMetadata> {
        let Attributes { content_type, user_metadata, tags } = &options.attributes;
        self.head(&wire::Store {
            key: key.as_str(),
            checksum: Checksum::of(body).as_u64(),
            etag: options.stamp.etag.as_str(),
            updated_at: millis_from_timestamp(options.stamp.updated_at),
            created_at: options.stamp.created_at.map(millis_from_timestamp),
            attributes: wire::Attributes {
                content_type: content_type.as_deref(),
                user_metadata: user_metadata.iter().collect(),
                tags: tags.iter().collect(),
            },
        })?;
        self.input.extend_from_slice(body);
        let (reply, _) = reply(self.plugin.call("store", &*self.input)?)?;
        metadata(key, reply)
    }

    fn retrieve(&mut self, key: &Key) -> Result<Object> {
        self.head(&wire::Find { key: key.as_str() })?;
        let (reply, body) = reply(self.plugin.call("retrieve", &*self.input)?)?;
        let metadata = metadata(key, reply)?;
        ensure!(body.len() as u64 == metadata.size && Checksum::of(body) == metadata.checksum, "{key:?} is corrupt");
        let body = Body::Bytes(Bytes::copy_from_slice(body));
        Ok(Object { range: 0..metadata.size, metadata: metadata.into(), body })
    }

    fn missing(&mut self) -> Result<()> {
        self.head(&wire::Find { key: "bench/missing" })?;
        match reply(self.plugin.call("metadata", &*self.input)?)? {
            (Err(wire::Failure { kind: wire::FailureKind::NotFound, .. }), _) => Ok(()),
            _ => bail!("metadata of a missing key"),
        }
    }

    fn step(&mut self, batch: &Batch) -> Result<Vec<EntryId>> {
        let Batch { inserted, hashes, weights, accessed, removed } = batch;
        self.head(&wire::Step {
            inserted: inserted.len().try_into()?,
            accessed: accessed.len().try_into()?,
            removed: removed.len().try_into()?,
            wanted: 0,
            max_victims: 0,
        })?;
        for column in [inserted, hashes, weights, accessed, removed] {
            self.input.extend(column.iter().flat_map(|number| number.to_le_bytes()));
        }
        let victims: &[u8] = self.plugin.call("step", &*self.input)?;
        let (victims, rest) = victims.as_chunks();
        ensure!(rest.is_empty(), "a column of victims ends in the middle of one");
        Ok(victims.iter().map(|id| EntryId(u64::from_le_bytes(*id))).collect())
    }
}

fn reply(output: &[u8]) -> Result<(wire::Reply<'_>, &[u8])> {
    postcard::take_from_bytes(output).context("a reply without a head")
}

/// The metadata in a reply about `key`, held against the rules as larder holds a plugin's.
fn metadata(key: &Key, reply: wire::Reply<'_>) -> Result<StorageMetadata> {
    let found = match reply {
        Ok(found) => found,
        Err(failure) => bail!("the guest answered {failure:?}"),
    };
    ensure!(found.key == key.as_str(), "the guest answered about {:?}", found.key);
    let owned = |pairs: Vec<(&str, &str)>| {
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
    };
    Ok(StorageMetadata {
        key: Key::new(found.key)?,
        size: found.size,
        created_at: timestamp_from_millis(found.created_at),
        updated_at: timestamp_from_millis(found.updated_at),
        checksum: Checksum::from_u64(found.checksum),
        etag: ETag::new(found.etag)?,
        attributes: Attributes {
            content_type: found.attributes.content_type.map(str::to_owned),
            user_metadata: UserMetadata::from_pairs(owned(found.attributes.user_metadata))?,
            tags: Tags::from_pairs(owned(found.attributes.tags))?,
        },
    })
}
