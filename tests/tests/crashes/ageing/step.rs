//! What is done to objects that age, and what they are after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder::error::{Error, Result};
use larder::lifecycle::{AgeingStep, Audit, AuditRecord, LifecycleManager, Rule, on_record};
use larder::object::{Attributes, Body, ETag, Key, Tags, Timestamp, UserMetadata, timestamp_from_millis};
use larder::provider::layers::Ageing;
use larder::provider::{Stamp, StorageProvider, StoreOptions};

use super::stores::{HOT, name};
use crate::model::{self, mix};

/// Two write at the same time, each to keys of its own, so that commits and sweeps come between the steps of another.
pub(crate) const WRITERS: u64 = 2;
/// What each of them does before it is over.
pub(crate) const STEPS: u64 = 14;
const KEYS: u64 = 2;
/// On both sides of what is kept in the index.
const SIZES: [usize; 3] = [100, 20_000, 70_000];
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The present moment, whenever it is.
pub(crate) fn today() -> Timestamp {
    timestamp_from_millis(1_800_000_000_000)
}

/// When every object was written.
pub(crate) fn yesterday() -> Timestamp {
    today() - DAY
}

/// What a writer does at a step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The step's own name: what rules, operators and the audit log call it.
    pub(crate) label: String,
    pub(crate) key: Key,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Put(usize),
    Read,
    Delete,
    /// A run of the policies, one of which is for this object.
    Archive,
    Trash,
    Tag,
    /// As an operator asks for it.
    Restore,
    TakeOut,
    Purge,
}

/// An object as the model has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) etag: ETag,
    pub(crate) size: usize,
    pub(crate) tag: String,
    pub(crate) archived: bool,
    pub(crate) trashed: bool,
}

/// What may be there of a writer, and what must be on record if it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) objects: BTreeMap<Key, Known>,
    /// The labels of the steps that were ageing, and changed something.
    pub(crate) aged: Vec<String>,
}

impl Step {
    pub(crate) fn of(seed: u64, writer: u64, number: u64) -> Self {
        use What::{Archive, Delete, Purge, Put, Read, Restore, Tag, TakeOut, Trash};
        let random = |what| mix(&[seed, writer, number, what]);
        let key = Key::new(format!("{writer}/{}", random(1) % KEYS)).expect("it is a key");
        let size = SIZES[(random(2) % SIZES.len() as u64) as usize];
        let any = [Put(size), Archive, Archive, Archive, Trash, Trash, Restore, TakeOut, Purge, Delete, Tag, Read];
        // First there is something, and then more often what goes from one place to another.
        let what = if number < KEYS { Put(size) } else { any[(random(0) % any.len() as u64) as usize].clone() };
        let key = if number < KEYS { Key::new(format!("{writer}/{number}")).expect("it is a key") } else { key };
        Self { label: format!("{writer}-{number}"), key, what }
    }

    /// Takes it, as a host does.
    pub(crate) async fn carry_out(&self, store: &Arc<Ageing>, audit: &Arc<dyn Audit>) -> Result<()> {
        let rule = Rule { prefix: self.key.to_string(), ..Rule::default() };
        let now = Some(Duration::ZERO);
        match &self.what {
            What::Put(size) => {
                let user_metadata = UserMetadata::from_pairs([("own".to_owned(), "mine".to_owned())])?;
                let attributes =
                    Attributes { tags: tags(&self.label), user_metadata, content_type: Some("text/plain".to_owned()) };
                let etag = ETag::new(self.label.clone())?;
                let stamp = Stamp { etag: etag.clone(), updated_at: yesterday(), created_at: Some(yesterday()) };
                let options = StoreOptions { attributes, stamp, ..StoreOptions::default() };
                store.store(&self.key, Body::Bytes(bytes_of(&etag, *size)), options).await.map(drop)
            }
            What::Read => match store.retrieve(&self.key, None).await {
                Ok(object) => object.body.collect(1 << 20).await.map(drop),
                Err(error) => gone_is_well(Err(error)),
            },
            What::Delete => gone_is_well(store.delete(&self.key, None).await),
            What::Archive => self.apply(Rule { archive_after: now, ..rule }, store, audit).await,
            What::Trash => self.apply(Rule { delete_after: now, ..rule }, store, audit).await,
            What::Tag => {
                let tag_after = Some((Duration::ZERO, tags(&self.label)));
                self.apply(Rule { tag_after, ..rule }, store, audit).await
            }
            What::Restore => self.age(AgeingStep::Restore { until: today() }, store, audit).await,
            What::TakeOut => self.age(AgeingStep::TakeOut, store, audit).await,
            What::Purge => self.age(AgeingStep::Purge { due: None }, store, audit).await,
        }
    }

    /// A whole run of the policies.
    async fn apply(&self, rule: Rule, store: &Arc<Ageing>, audit: &Arc<dyn Audit>) -> Result<()> {
        let manager = LifecycleManager::new(name(HOT), store.clone())
            .with_policy(&self.label, Arc::new(rule))
            .with_trash(DAY)
            .with_audit(Arc::clone(audit));
        let report = manager.apply_policies(today()).await?;
        match report.problems.first() {
            None => Ok(()),
            Some(problem) => Err(Error::internal(problem.clone())),
        }
    }

    async fn age(&self, step: AgeingStep, store: &Ageing, audit: &Arc<dyn Audit>) -> Result<()> {
        use larder::lifecycle::AgeingStore;
        let record = AuditRecord::new(&name(HOT), &self.key, &step, self.label.clone(), today());
        gone_is_well(on_record(&**audit, record, store.age(&self.key, step)).await)
    }
}

impl State {
    /// What there is after a step.
    pub(crate) fn apply(&mut self, step: &Step) {
        let Step { label, key, what } = step;
        let there = self.objects.get_mut(key);
        let changed = match (what, there) {
            (What::Put(size), _) => {
                let etag = ETag::new(label.clone()).expect("it is an etag");
                let (size, tag) = (*size, label.clone());
                self.objects.insert(key.clone(), Known { etag, size, tag, archived: false, trashed: false });
                return;
            }
            (What::Delete, Some(object)) if !object.trashed => {
                self.objects.remove(key);
                return;
            }
            (What::Archive, Some(object)) if !object.trashed => !std::mem::replace(&mut object.archived, true),
            (What::Restore, Some(object)) if !object.trashed => std::mem::replace(&mut object.archived, false),
            (What::Trash, Some(object)) => !std::mem::replace(&mut object.trashed, true),
            (What::TakeOut, Some(object)) => std::mem::replace(&mut object.trashed, false),
            (What::Purge, Some(object)) if object.trashed => self.objects.remove(key).is_some(),
            (What::Tag, Some(object)) if !object.trashed => {
                object.tag = label.clone();
                true
            }
            _ => false,
        };
        if changed {
            self.aged.push(label.clone());
        }
    }
}

/// The bytes of the object with this etag.
pub(crate) fn bytes_of(etag: &ETag, size: usize) -> Bytes {
    let seed = etag.as_str().bytes().fold(0, |seed, byte| seed * 256 + u64::from(byte));
    model::random_bytes(seed, size)
}

fn tags(label: &str) -> Tags {
    Tags::from_pairs([("step".to_owned(), label.to_owned())]).expect("it is a tag")
}

fn gone_is_well(result: Result<()>) -> Result<()> {
    match result {
        Err(Error::NotFound { .. } | Error::PreconditionFailed { .. }) => Ok(()),
        result => result,
    }
}
