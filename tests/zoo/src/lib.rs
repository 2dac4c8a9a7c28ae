//! A provider that misbehaves: what the host must survive, and what the contract must name.
//!
//! It misbehaves in one of two ways. With `fault` in its settings it does so under ordinary keys, in all calls that the
//! [`Fault`] is about. Without, the first part of a key says how: `loop/a` loops for ever whatever is asked of it, and
//! under any other key it keeps objects in its memory as it should; listings misbehave by the first part of their prefix.

mod fault;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use larder_sdk::{
    AttributeChanges, Body, ByteRange, ByteSource, CHUNK_SIZE, Checksum, Condition, ETag, Error, ListQuery, Metadata,
    Object, Page, Pairs, Result, StorageProvider, StoreOptions, Upload,
};

pub use fault::Fault;
use fault::yield_now;

/// When it misbehaves in ways that end the instance or garble an answer: it would be of no use if nothing could be
/// stored to be misread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// In all calls but writes.
    #[default]
    Reading,
    /// In writes.
    Writing,
    /// When it is opened: it loops.
    Opening,
}

/// What the test says.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// When it misbehaves.
    pub when: When,
    /// How it misbehaves under any key; absent: as the key says.
    pub fault: Option<Fault>,
}

#[derive(Clone, Debug)]
struct Entry {
    metadata: Metadata,
    bytes: Rc<[u8]>,
}

/// The provider.
#[derive(Debug)]
pub struct Zoo {
    when: When,
    fault: Option<Fault>,
    objects: RefCell<BTreeMap<String, Entry>>,
    /// What was there before.
    former: RefCell<BTreeMap<String, Entry>>,
    hoard: RefCell<Vec<Entry>>,
    uploads: Cell<u32>,
}

impl StorageProvider for Zoo {
    type Config = Config;

    async fn open(Config { when, fault }: Config) -> Result<Self> {
        if when == When::Opening {
            Fault::Loop.misbehave().await;
        }
        match fault {
            Some(Fault::PanicAtOpen) => panic!("a panic was asked for"),
            Some(Fault::RefuseToOpen) => return Err(Error::invalid_input("these settings are as good as any others")),
            _ => {}
        }
        let (objects, former, hoard) = Default::default();
        Ok(Self { when, fault, objects, former, hoard, uploads: Cell::new(0) })
    }

    async fn store(&self, key: &str, upload: Upload, options: StoreOptions) -> Result<Metadata> {
        self.let_uploads_go_first().await;
        let fault = self.fault(key, When::Writing);
        let key = &self.name(key);
        if self.fault == Some(Fault::ReadOnly) {
            return Err(Error::unsupported("it only reads"));
        }
        if self.fault == Some(Fault::RacySwap) {
            self.check(key, options.condition.as_ref())?;
            yield_now().await;
        }
        self.uploads.set(self.uploads.get() + 1);
        let collected = self.collect(key, upload, &options).await;
        self.uploads.set(self.uploads.get() - 1);
        let (bytes, checksum) = collected?;
        misbehave(fault).await;
        match self.fault {
            Some(Fault::RacySwap | Fault::IgnoreCondition) => {}
            _ => self.check(key, options.condition.as_ref())?,
        }
        let previous = self.objects.borrow().get(key).cloned();
        let mut metadata = self.write(key, bytes, checksum, options, previous);
        tell(fault, &mut metadata);
        Ok(metadata)
    }

    async fn retrieve(&self, key: &str, range: Option<ByteRange>) -> Result<Object> {
        self.let_uploads_go_first().await;
        let fault = self.fault(key, When::Reading);
        misbehave(fault).await;
        let key = &self.name(key);
        let stale = self.former.borrow().get(key).cloned().filter(|_| self.fault == Some(Fault::StaleRead));
        let Entry { mut metadata, bytes } = stale.map_or_else(|| self.entry(key), Ok)?;
        let mut bytes = match range {
            Some(range) if self.fault == Some(Fault::RangeOffset) => {
                let wanted = range.of(&bytes)?.len();
                bytes[bytes.len() - wanted..].to_vec()
            }
            Some(range) => range.of(&bytes)?.to_vec(),
            None => bytes.to_vec(),
        };
        tell(fault, &mut metadata);
        if fault == Some(Fault::Flip)
            && let Some(last) = bytes.last_mut()
        {
            *last ^= 1;
        }
        let end = bytes.len();
        let pieces = Pieces { bytes, start: 0, end, piece: CHUNK_SIZE, traps: false, hesitates: false };
        let body = match fault {
            Some(Fault::Oversized) => Body::from(pieces.bytes),
            Some(Fault::Short) => Body::stream(Pieces { end: end / 2, ..pieces }),
            Some(Fault::Cut) => Body::stream(Pieces { end: end / 2, traps: true, ..pieces }),
            Some(Fault::Drip) => Body::stream(Pieces { piece: 1, hesitates: true, ..pieces }),
            _ if end <= 1 << 20 => Body::from(pieces.bytes),
            _ => Body::stream(pieces),
        };
        Ok(Object { metadata, body })
    }

    async fn delete(&self, key: &str, if_match: Option<&ETag>) -> Result<()> {
        self.let_uploads_go_first().await;
        misbehave(self.fault(key, When::Reading)).await;
        let key = &self.name(key);
        let entry = match self.entry(key) {
            Err(_) if self.fault == Some(Fault::DeleteNothing) => return Ok(()),
            entry => entry?,
        };
        if self.fault != Some(Fault::IgnoreCondition) {
            self.check(key, if_match.cloned().map(Condition::IfMatch).as_ref())?;
        }
        match self.fault {
            Some(Fault::LostDelete) => return Ok(()),
            Some(Fault::ReadOnly) => return Err(Error::unsupported("it only reads")),
            Some(Fault::Leak) => self.hoard.borrow_mut().push(entry.clone()),
            _ => {}
        }
        self.objects.borrow_mut().remove(key);
        self.former.borrow_mut().insert(key.to_owned(), entry);
        Ok(())
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.let_uploads_go_first().await;
        let fault = self.fault(&query.prefix, When::Reading);
        misbehave(fault).await;
        let limit = if fault == Some(Fault::Flood) { usize::MAX } else { query.limit as usize };
        let mut objects = self.objects.borrow().clone();
        if self.fault == Some(Fault::ListGhosts) {
            let former = self.former.borrow();
            former.iter().for_each(|(key, entry)| _ = objects.entry(key.clone()).or_insert_with(|| entry.clone()));
        }
        let start = match &query.start_after {
            Some(key) if *key >= query.prefix && self.fault == Some(Fault::StartInclusive) => {
                Bound::Included(key.as_str())
            }
            Some(key) if *key >= query.prefix => Bound::Excluded(key.as_str()),
            _ => Bound::Included(query.prefix.as_str()),
        };
        let folder = match self.fault {
            Some(Fault::PrefixIsFolder) if !query.prefix.is_empty() => {
                format!("{}/", query.prefix.trim_end_matches('/'))
            }
            _ => query.prefix.clone(),
        };
        let mut found = objects
            .range::<str, _>((start, Bound::Unbounded))
            .filter(|(key, _)| key.starts_with(&folder))
            .map(|(_, entry)| entry.metadata.clone());
        let mut page = Page { objects: found.by_ref().take(limit).collect(), more: found.next().is_some() };
        match fault {
            Some(Fault::Order) => page.objects.reverse(),
            Some(Fault::Endless) => page = Page { objects: Vec::new(), more: true },
            Some(Fault::NoMore) => page.more = false,
            // The page after it starts behind the object that is told of, and so behind the one that is left out.
            Some(Fault::SkipOne) if page.more && page.objects.len() > 1 => {
                page.objects.remove(page.objects.len() - 2);
            }
            _ => {}
        }
        Ok(page)
    }

    async fn metadata(&self, key: &str) -> Result<Metadata> {
        self.let_uploads_go_first().await;
        let fault = self.fault(key, When::Reading);
        misbehave(fault).await;
        let mut metadata = self.entry(&self.name(key))?.metadata;
        tell(fault, &mut metadata);
        Ok(metadata)
    }

    async fn update(&self, key: &str, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<Metadata> {
        self.let_uploads_go_first().await;
        misbehave(self.fault(key, When::Reading)).await;
        let key = &self.name(key);
        self.entry(key)?;
        self.check(key, if_match.cloned().map(Condition::IfMatch).as_ref())?;
        let mut objects = self.objects.borrow_mut();
        let Entry { metadata, .. } = objects.get_mut(key).ok_or_else(|| Error::not_found(key))?;
        let mut changed = metadata.clone();
        changed.attributes.apply(changes);
        match self.fault {
            Some(Fault::ReadOnly) => return Err(Error::unsupported("it only reads")),
            Some(Fault::LostUpdate) => return Ok(changed),
            Some(Fault::UpdateEtag) => changed.etag = ETag::new(format!("{}+", changed.etag.as_str())),
            _ => {}
        }
        *metadata = changed.clone();
        Ok(changed)
    }
}

impl Zoo {
    /// The fault to commit now.
    fn fault(&self, key: &str, now: When) -> Option<Fault> {
        if now != self.when { None } else { self.fault.or_else(|| Fault::of(key)) }
    }

    fn entry(&self, key: &str) -> Result<Entry> {
        let entry = self.objects.borrow().get(key).cloned();
        let entry = entry.filter(|entry| self.fault != Some(Fault::NoEmpty) || !entry.bytes.is_empty());
        entry.ok_or_else(|| Error::not_found(key))
    }

    fn check(&self, key: &str, condition: Option<&Condition>) -> Result<()> {
        Condition::check(condition, key, self.objects.borrow().get(key).map(|entry| &entry.metadata.etag))
    }

    /// What it takes a key for.
    fn name(&self, key: &str) -> String {
        match self.fault {
            Some(Fault::CaseBlind) => key.to_lowercase(),
            Some(Fault::SlashBlind) => {
                let mut name = key.to_owned();
                while name.contains("//") {
                    name = name.replace("//", "/");
                }
                name
            }
            Some(Fault::ShortKeys) => key
                .chars()
                .scan(0, |length, character| {
                    *length += character.len_utf8();
                    (*length <= 255).then_some(character)
                })
                .collect(),
            _ => key.to_owned(),
        }
    }

    async fn let_uploads_go_first(&self) {
        while self.fault == Some(Fault::LockOnUpload) && self.uploads.get() > 0 {
            yield_now().await;
        }
    }

    /// Takes a body in.
    async fn collect(&self, key: &str, mut upload: Upload, options: &StoreOptions) -> Result<(Vec<u8>, Checksum)> {
        if self.fault != Some(Fault::CommitEarly) || upload.checksum().is_some() {
            return upload.collect(32 << 20).await;
        }
        let mut bytes = Vec::new();
        loop {
            match upload.next().await {
                Ok(Some(piece)) => bytes.extend(piece),
                Ok(None) => {
                    let checksum =
                        upload.checksum().ok_or_else(|| Error::internal("a body ended without a checksum"))?;
                    return Ok((bytes, checksum));
                }
                Err(error) => {
                    let checksum = Checksum::of(&bytes);
                    let previous = self.objects.borrow().get(key).cloned();
                    self.write(key, bytes, checksum, options.clone(), previous);
                    return Err(error);
                }
            }
        }
    }

    fn write(
        &self,
        key: &str,
        bytes: Vec<u8>,
        checksum: Checksum,
        options: StoreOptions,
        previous: Option<Entry>,
    ) -> Metadata {
        let created = previous.as_ref().map(|previous| &previous.metadata);
        let created = created.filter(|_| self.fault != Some(Fault::NewCreation));
        let mut metadata = options.into_metadata(key, bytes.len() as u64, checksum, created);
        if let Some(previous) = &previous {
            match self.fault {
                Some(Fault::LostOverwrite) => return metadata,
                Some(Fault::OldAttributes) if metadata.attributes.tags.is_empty() => {
                    metadata.attributes = previous.metadata.attributes.clone();
                }
                Some(Fault::Leak) => self.hoard.borrow_mut().push(previous.clone()),
                _ => {}
            }
            self.former.borrow_mut().insert(key.to_owned(), previous.clone());
        }
        match self.fault {
            Some(Fault::OwnEtag) => metadata.etag = ETag::new("mine"),
            Some(Fault::NoTags) => metadata.attributes.tags = Pairs::new(),
            _ => {}
        }
        let entry = Entry { metadata: metadata.clone(), bytes: bytes.into() };
        self.objects.borrow_mut().insert(key.to_owned(), entry);
        metadata
    }
}

async fn misbehave(fault: Option<Fault>) {
    if let Some(fault) = fault {
        fault.misbehave().await;
    }
}

/// Tells of an object what is not so.
fn tell(fault: Option<Fault>, metadata: &mut Metadata) {
    match fault {
        Some(Fault::LieSize) => metadata.size += 1,
        Some(Fault::LieKey) => metadata.key.push('!'),
        _ => {}
    }
}

/// Bytes in pieces, up to an end that need not be theirs.
struct Pieces {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    piece: usize,
    traps: bool,
    hesitates: bool,
}

impl ByteSource for Pieces {
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.hesitates {
            yield_now().await;
        }
        let end = self.end.min(self.start + self.piece);
        assert!(end > self.start || !self.traps, "a trap in the middle of a body was asked for");
        let piece = self.bytes[self.start..end].to_vec();
        self.start = end;
        Ok((!piece.is_empty()).then_some(piece))
    }
}

larder_sdk::export!(provider: Zoo);
