//! What the workload does, and what must be there afterwards.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use larder::error::{Error, Result};
use larder::object::{AttributeChanges, Attributes, Body, Key, Object, Tags};
use larder::provider::file::{Durability, FileOptions, FileStorageProvider};
use larder::provider::layers::{Encryption, EncryptionKey, Layers};
use larder::provider::{ListQuery, StorageProvider, StoreOptions};

/// How the provider is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) durability: Durability,
    pub(crate) layers: Layering,
}

/// What is around the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layering {
    Bare,
    /// Every layer.
    Layered,
    /// The same, and half-way all objects are encrypted with another key.
    Rekeyed,
}

/// Every durability, every layer at once, and a change of keys.
pub(crate) const SETUPS: [Setup; 5] = [
    Setup { durability: Durability::Strict, layers: Layering::Bare },
    Setup { durability: Durability::Relaxed, layers: Layering::Bare },
    Setup { durability: Durability::None, layers: Layering::Bare },
    Setup { durability: Durability::Strict, layers: Layering::Layered },
    Setup { durability: Durability::Strict, layers: Layering::Rekeyed },
];

/// Which keys a store has that is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// The one that it begins with. The other can be read: an earlier run may have come to it.
    First,
    /// The one that all objects are to be encrypted with, and the one that some still are.
    Second,
    /// That one alone.
    OnlySecond,
}

impl Keys {
    pub(crate) fn encryption(self) -> Encryption {
        let [first, second] = ["5a", "a5"].map(|byte| EncryptionKey::parse(&byte.repeat(32)).expect("it is a key"));
        match self {
            Self::First => Encryption { key: first, old_keys: vec![second] },
            Self::Second => Encryption { key: second, old_keys: vec![first] },
            Self::OnlySecond => Encryption { key: second, old_keys: Vec::new() },
        }
    }
}

impl Setup {
    /// The provider alone.
    pub(crate) fn open(self, folder: &Path) -> Result<Arc<dyn StorageProvider>> {
        Ok(Arc::new(FileStorageProvider::open(folder, &FileOptions { durability: self.durability })?))
    }

    /// The provider within its layers.
    pub(crate) fn around(self, files: &Arc<dyn StorageProvider>, keys: Keys) -> Arc<dyn StorageProvider> {
        let files = Arc::clone(files);
        if self.layers == Layering::Bare {
            return files;
        }
        let encryption = Some(keys.encryption());
        Layers { max_size: Some(1 << 40), compression: Some(1), encryption }.around(files)
    }
}

/// Several write at the same time, each to keys of its own, so that commits are shared.
pub(crate) const WRITERS: u64 = 3;
/// What each of them does before it is over.
pub(crate) const STEPS: u64 = 10;
const KEYS: u64 = 3;
/// On both sides of what is kept in the index, and of a block.
const SIZES: [usize; 6] = [0, 100, 5_000, 20_000, 70_000, 200_000];

/// One step of a writer.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Put { key: Key, bytes: Bytes, tag: String },
    Delete { key: Key },
    Tag { key: Key, tag: String },
}

/// A pseudo-random number of a place: splitmix64, from Steele, Lea and Flood, 2014.
pub(crate) fn mix(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0x9E37_79B9_7F4A_7C15, |state, number| {
        let mut mixed =
            state.wrapping_add(number.wrapping_mul(0xD134_2543_DE82_EF95)).wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    })
}

/// Bytes that can be compressed by a quarter.
pub(crate) fn random_bytes(seed: u64, size: usize) -> Bytes {
    let eights = (0..size.div_ceil(8) as u64).flat_map(|at| mix(&[seed, at]).to_le_bytes());
    eights.take(size).map(|byte| byte & 0x3F).collect()
}

impl Step {
    /// What a writer does at a step.
    pub(crate) fn of(seed: u64, writer: u64, number: u64) -> Self {
        let random = |what| mix(&[seed, writer, number, what]);
        let key = Key::new(format!("{writer}/{}", random(1) % KEYS)).expect("it is a key");
        let tag = number.to_string();
        match random(0) % 8 {
            0 => Self::Delete { key },
            1 => Self::Tag { key, tag },
            _ => {
                let size = SIZES[(random(2) % SIZES.len() as u64) as usize];
                Self::Put { key, bytes: random_bytes(random(3), size), tag }
            }
        }
    }

    pub(crate) fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key } | Self::Tag { key, .. } => key,
        }
    }

    pub(crate) async fn carry_out(&self, provider: &dyn StorageProvider) -> Result<()> {
        match self {
            Self::Put { key, bytes, tag } => {
                let body = match bytes.len() {
                    20_000 => Body::Bytes(bytes.clone()),
                    _ => {
                        let pieces: Vec<_> = bytes.chunks(30_000).map(|piece| Ok(bytes.slice_ref(piece))).collect();
                        Body::stream(stream::iter(pieces))
                    }
                };
                let attributes = Attributes { tags: tags(tag), ..Attributes::default() };
                let options = StoreOptions { attributes, ..StoreOptions::default() };
                provider.store(key, body, options).await.map(drop)
            }
            Self::Delete { key } => gone_is_well(provider.delete(key, None).await),
            Self::Tag { key, tag } => {
                let changes = AttributeChanges { tags: Some(tags(tag)), ..AttributeChanges::default() };
                gone_is_well(provider.update(key, changes, None).await.map(drop))
            }
        }
    }
}

fn gone_is_well(result: Result<()>) -> Result<()> {
    match result {
        Err(Error::NotFound { .. }) => Ok(()),
        result => result,
    }
}

fn tags(tag: &str) -> Tags {
    Tags::from_pairs([("step".to_owned(), tag.to_owned())]).expect("it is a tag")
}

/// An object as the model has it: its bytes and its tag.
pub(crate) type Known = (Bytes, String);

/// The objects of a writer.
pub(crate) type Objects = BTreeMap<Key, Known>;

/// What the steps that a writer has carried out come to.
pub(crate) fn apply(objects: &mut Objects, step: &Step) {
    match step.clone() {
        Step::Put { key, bytes, tag } => {
            objects.insert(key, (bytes, tag));
        }
        Step::Delete { key } => {
            objects.remove(&key);
        }
        Step::Tag { key, tag } => {
            if let Some(object) = objects.get_mut(&key) {
                object.1 = tag;
            }
        }
    }
}

/// What is under a key.
pub(crate) async fn look_up(provider: &dyn StorageProvider, key: &Key) -> Result<Option<Known>> {
    match provider.retrieve(key, None).await {
        Err(Error::NotFound { .. }) => Ok(None),
        object => known(object?).await.map(Some),
    }
}

async fn known(object: Object) -> Result<Known> {
    let tag = object.metadata.attributes.tags.get("step").unwrap_or_default().to_owned();
    Ok((object.body.collect(1 << 20).await?, tag))
}

/// Which writer a key is of.
pub(crate) fn writer_of(key: &Key) -> usize {
    key.as_str().split('/').next().and_then(|part| part.parse().ok()).expect("a writer")
}

/// What is there, for each writer.
pub(crate) async fn found(provider: &dyn StorageProvider) -> Vec<Objects> {
    let mut found = vec![Objects::new(); WRITERS as usize];
    let page = provider.list(&ListQuery::all()).await.expect("it can be listed");
    assert!(!page.more);
    for listed in page.objects {
        let object = provider.retrieve(&listed.key, None).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(*object.metadata, listed);
        let known = known(object).await.unwrap_or_else(|error| panic!("{error}"));
        found[writer_of(&listed.key)].insert(listed.key, known);
    }
    found
}

/// The objects in few words.
pub(crate) fn outline(objects: &Objects) -> Vec<String> {
    objects.iter().map(|(key, (bytes, tag))| format!("{key}: {} bytes, step {tag}", bytes.len())).collect()
}
