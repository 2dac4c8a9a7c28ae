//! A provider that misbehaves: what the host must survive, each in its own cage.
//!
//! The first part of a key says how: `loop/a` loops for ever whatever is asked of it, and so on, as [`Fault`] lists.
//! Under any other key it keeps objects in its memory as it should. Listings misbehave by the first part of their prefix.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::pending;
use std::ops::Bound;

use larder_sdk::{
    AttributeChanges, Body, ByteRange, ByteSource, CHUNK_SIZE, Condition, ETag, Error, ListQuery, Metadata, Object,
    Page, Result, StorageProvider, StoreOptions, Upload,
};

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// `loop/`: computes for ever.
    Loop,
    /// `wait/`: waits for what nobody will ever tell it, which the guest's own runtime finds out and traps.
    Wait,
    /// `trap/`: panics.
    Trap,
    /// `bomb/`: takes memory without end.
    Bomb,
    /// `log/`: floods the log, and goes on as it should.
    Log,
    /// `lie-size/`: tells of one byte more than there is.
    LieSize,
    /// `lie-key/`: returns the metadata of another key.
    LieKey,
    /// `flip/`: returns bytes of which the last is another one.
    Flip,
    /// `short/`: streams half of the bytes and says that they were all.
    Short,
    /// `cut/`: streams half of the bytes and traps.
    Cut,
    /// `oversized/`: returns all bytes in one piece, however many.
    Oversized,
    /// `order/`: lists backwards.
    Order,
    /// `flood/`: lists more objects than were asked for.
    Flood,
    /// `endless/`: says that there is more after an empty page.
    Endless,
}

impl Fault {
    fn of(key: &str) -> Option<Self> {
        Some(match key.split_once('/')?.0 {
            "loop" => Self::Loop,
            "wait" => Self::Wait,
            "trap" => Self::Trap,
            "bomb" => Self::Bomb,
            "log" => Self::Log,
            "lie-size" => Self::LieSize,
            "lie-key" => Self::LieKey,
            "flip" => Self::Flip,
            "short" => Self::Short,
            "cut" => Self::Cut,
            "oversized" => Self::Oversized,
            "order" => Self::Order,
            "flood" => Self::Flood,
            "endless" => Self::Endless,
            _ => return None,
        })
    }
}

/// Does what never comes back, if the key asks for that. Called where nothing was stored yet, or is about to be returned.
async fn misbehave(fault: Option<Fault>) {
    match fault {
        Some(Fault::Loop) => loop {
            std::hint::spin_loop();
        },
        Some(Fault::Wait) => pending().await,
        Some(Fault::Trap) => panic!("a trap was asked for"),
        Some(Fault::Bomb) => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1u8; 1 << 20]));
            }
        }
        Some(Fault::Log) => {
            for line in 0..100_000 {
                larder_sdk::log::warn!("line {line}\nof a flood");
            }
        }
        _ => {}
    }
}

/// When it misbehaves: it would be of no use if nothing could be stored to be misread.
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
}

#[derive(Clone, Debug)]
struct Entry {
    metadata: Metadata,
    bytes: Vec<u8>,
}

/// The provider.
#[derive(Debug)]
pub struct Zoo {
    when: When,
    objects: RefCell<BTreeMap<String, Entry>>,
}

impl StorageProvider for Zoo {
    type Config = Config;

    async fn open(Config { when }: Config) -> Result<Self> {
        if when == When::Opening {
            misbehave(Some(Fault::Loop)).await;
        }
        Ok(Self { when, objects: RefCell::default() })
    }

    async fn store(&self, key: &str, upload: Upload, options: StoreOptions) -> Result<Metadata> {
        let fault = self.fault(key, When::Writing);
        let (bytes, checksum) = upload.collect(32 << 20).await?;
        misbehave(fault).await;
        let mut objects = self.objects.borrow_mut();
        let previous = objects.get(key).map(|entry| &entry.metadata);
        Condition::check(options.condition.as_ref(), key, previous.map(|previous| &previous.etag))?;
        let mut metadata = options.into_metadata(key, bytes.len() as u64, checksum, previous);
        objects.insert(key.to_owned(), Entry { metadata: metadata.clone(), bytes });
        tell(fault, &mut metadata);
        Ok(metadata)
    }

    async fn retrieve(&self, key: &str, range: Option<ByteRange>) -> Result<Object> {
        let fault = self.fault(key, When::Reading);
        misbehave(fault).await;
        let Entry { mut metadata, mut bytes } = self.entry(key)?;
        if let Some(range) = range {
            bytes = range.of(&bytes)?.to_vec();
        }
        tell(fault, &mut metadata);
        if fault == Some(Fault::Flip)
            && let Some(last) = bytes.last_mut()
        {
            *last ^= 1;
        }
        let len = bytes.len();
        let body = match fault {
            Some(Fault::Oversized) => Body::from(bytes),
            Some(Fault::Short) => Body::stream(Pieces { bytes, start: 0, end: len / 2, traps: false }),
            Some(Fault::Cut) => Body::stream(Pieces { bytes, start: 0, end: len / 2, traps: true }),
            _ if len <= 1 << 20 => Body::from(bytes),
            _ => Body::stream(Pieces { bytes, start: 0, end: len, traps: false }),
        };
        Ok(Object { metadata, body })
    }

    async fn delete(&self, key: &str, if_match: Option<&ETag>) -> Result<()> {
        misbehave(self.fault(key, When::Reading)).await;
        let found = self.entry(key)?.metadata.etag;
        Condition::check(if_match.cloned().map(Condition::IfMatch).as_ref(), key, Some(&found))?;
        self.objects.borrow_mut().remove(key);
        Ok(())
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let fault = self.fault(&query.prefix, When::Reading);
        misbehave(fault).await;
        let limit = if fault == Some(Fault::Flood) { usize::MAX } else { query.limit as usize };
        let objects = self.objects.borrow();
        let start = match &query.start_after {
            Some(key) if *key >= query.prefix => Bound::Excluded(key.as_str()),
            _ => Bound::Included(query.prefix.as_str()),
        };
        let mut found = objects
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&query.prefix))
            .map(|(_, entry)| entry.metadata.clone());
        let mut page = Page { objects: found.by_ref().take(limit).collect(), more: found.next().is_some() };
        match fault {
            Some(Fault::Order) => page.objects.reverse(),
            Some(Fault::Endless) => page = Page { objects: Vec::new(), more: true },
            _ => {}
        }
        Ok(page)
    }

    async fn metadata(&self, key: &str) -> Result<Metadata> {
        let fault = self.fault(key, When::Reading);
        misbehave(fault).await;
        let mut metadata = self.entry(key)?.metadata;
        tell(fault, &mut metadata);
        Ok(metadata)
    }

    async fn update(&self, key: &str, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<Metadata> {
        misbehave(self.fault(key, When::Reading)).await;
        let mut objects = self.objects.borrow_mut();
        let Entry { metadata, .. } = objects.get_mut(key).ok_or_else(|| Error::not_found(key))?;
        Condition::check(if_match.cloned().map(Condition::IfMatch).as_ref(), key, Some(&metadata.etag))?;
        metadata.attributes.apply(changes);
        Ok(metadata.clone())
    }
}

impl Zoo {
    fn fault(&self, key: &str, now: When) -> Option<Fault> {
        if now == self.when { Fault::of(key) } else { None }
    }

    fn entry(&self, key: &str) -> Result<Entry> {
        self.objects.borrow().get(key).cloned().ok_or_else(|| Error::not_found(key))
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
    traps: bool,
}

impl ByteSource for Pieces {
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let end = self.end.min(self.start + CHUNK_SIZE);
        assert!(end > self.start || !self.traps, "a trap in the middle of a body was asked for");
        let piece = self.bytes[self.start..end].to_vec();
        self.start = end;
        Ok((!piece.is_empty()).then_some(piece))
    }
}

larder_sdk::export!(provider: Zoo);
