//! A store whose objects age, its archive and its audit log, and what is found in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use larder::error::{Error, Result};
use larder::host::{DataDir, Host};
use larder::lifecycle::{AgeingStep, AgeingStore, Audit, LifecycleManager};
use larder::object::{Key, StorageMetadata, StoreName, Timestamp};
use larder::provider::file::{self, Durability, FileOptions, FileStorageProvider};
use larder::provider::layers::{Ageing, AgeingOptions, Archived, Trashed};
use larder::provider::{Findings, ListQuery, NextLook, StorageProvider, Usage};

use super::step::{DAY, Known, WRITERS, bytes_of, today, yesterday};
use crate::child::{files, patiently};

pub(crate) const HOT: &str = "hot";
const COLD: &str = "cold";
/// What the index of all objects is for.
const ALL: &str = "all";
/// Larger objects have files.
const INLINED: u64 = 16 * 1024;

pub(crate) fn name(name: &str) -> StoreName {
    StoreName::new(name).expect("it is a name")
}

/// Both stores, as they are below the layer, and the layer.
pub(crate) struct Stores {
    hot: Arc<dyn StorageProvider>,
    cold: Arc<dyn StorageProvider>,
    pub(crate) aged: Arc<Ageing>,
}

impl Stores {
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let open = |name: &str| {
            let options = FileOptions { durability: Durability::Strict };
            patiently(|| FileStorageProvider::open(&root.join(name), &options))
        };
        let (hot, cold): (Arc<dyn StorageProvider>, Arc<dyn StorageProvider>) =
            (Arc::new(open(HOT)?), Arc::new(open(COLD)?));
        let options = AgeingOptions {
            store: name(HOT),
            archive: Some((name(COLD), cold.clone())),
            recall: true,
            lock: None,
            clock: Arc::new(today),
        };
        let aged = Arc::new(Ageing::new(hot.clone(), options));
        Ok(Self { hot, cold, aged })
    }

    /// The run of the policies that comes after a crash: it removes what deletions and archivings that were cut off have left.
    pub(crate) async fn recover(&self) {
        let report = LifecycleManager::new(name(HOT), self.aged.clone()).apply_policies(today()).await;
        let report = report.expect("the run after a crash completes");
        assert_eq!((report.failed, report.problems), (0, vec![]));
    }

    /// The objects of each writer, each of which is in one place, with its own bytes and attributes.
    pub(crate) async fn found(&self) -> Vec<BTreeMap<Key, Known>> {
        let mut found = vec![BTreeMap::new(); WRITERS as usize];
        let mut copies: BTreeMap<Key, StorageMetadata> =
            list(&*self.cold).await.into_iter().map(|copy| (copy.key.clone(), copy)).collect();
        for object in list(&*self.hot).await {
            let key = object.key.clone();
            let writer: usize = key.as_str().split('/').next().and_then(|part| part.parse().ok()).expect("a writer");
            let archived = Archived::of(&object);
            let copy = copies.remove(&key);
            let (bytes, etag) = match &archived {
                None => {
                    assert!(copy.is_none(), "{key} is here, and its copy is orphaned");
                    (bytes(&*self.hot, &key).await, object.etag.clone())
                }
                Some(archived) => {
                    assert_eq!(object.size, 0, "{key} is archived, and its bytes are in one place");
                    assert_eq!(copy.map(|copy| copy.etag).as_ref(), Some(&archived.copy), "{key} has its copy");
                    (bytes(&*self.cold, &key).await, archived.etag.clone())
                }
            };
            assert_eq!(bytes, bytes_of(&etag, bytes.len()), "{key} has its own bytes");
            let attributes = &object.attributes;
            assert_eq!((object.created_at, object.updated_at), (yesterday(), yesterday()), "{key}");
            assert_eq!(attributes.content_type.as_deref(), Some("text/plain"), "{key}");
            assert_eq!(attributes.user_metadata.get("own"), Some("mine"), "{key}");
            let trashed = Trashed::of(&object);
            assert!(trashed.iter().all(|mark| mark.until > today()), "{key} was to be purged");
            self.see_from_outside(&object, trashed.is_some(), &bytes).await;
            let tag = attributes.tags.get("step").unwrap_or_default().to_owned();
            let known =
                Known { etag, size: bytes.len(), tag, archived: archived.is_some(), trashed: trashed.is_some() };
            found[writer].insert(key, known);
        }
        assert!(copies.is_empty(), "copies that nothing refers to: {copies:?}");
        found
    }

    /// Sees to it that readers see what is there.
    async fn see_from_outside(&self, object: &StorageMetadata, trashed: bool, expected: &Bytes) {
        let seen = self.aged.retrieve(&object.key, None).await;
        if trashed {
            assert!(seen.is_err(), "{} is in the trash", object.key);
            return;
        }
        let seen = seen.unwrap_or_else(|error| panic!("{}: {error}", object.key));
        assert_eq!(
            (seen.metadata.size, &seen.metadata.attributes.tags),
            (expected.len() as u64, &object.attributes.tags)
        );
        assert_eq!(seen.body.collect(1 << 20).await.expect("it can be read"), expected);
    }

    /// Sees to it that an index of what is due that was complete has every object, and no other.
    pub(crate) async fn check_index(&self) {
        let index = self.aged.clone().due_index().expect("files have one");
        if index.state().await.unwrap().is_some_and(|state| state.purpose == ALL && state.complete) {
            let due = index.due(Timestamp::MAX_UTC, None, 1000).await.unwrap().into_iter();
            let due: BTreeSet<Key> = due.map(|due| due.key).collect();
            let there: BTreeSet<Key> = list(&*self.hot).await.into_iter().map(|object| object.key).collect();
            assert_eq!(due, there);
        }
    }

    /// How many files each store should have.
    pub(crate) async fn bodies(&self) -> [usize; 2] {
        let large = |objects: Vec<StorageMetadata>| objects.iter().filter(|object| object.size > INLINED).count();
        [large(list(&*self.hot).await), large(list(&*self.cold).await)]
    }

    /// Deletes everything, from the trash too.
    pub(crate) async fn clear(&self) {
        for object in self.aged.list_with_trash(&ListQuery::all()).await.unwrap().objects {
            match Trashed::is_mark_of(&object) {
                true => self.aged.age(&object.key, AgeingStep::Purge { due: None }).await.unwrap(),
                false => self.aged.delete(&object.key, None).await.unwrap(),
            }
        }
        for store in [&self.hot, &self.cold] {
            assert_eq!(store.usage().await.unwrap(), Usage::default());
        }
    }
}

/// Has an index in which every object is due some time. The runs of rules make others.
pub(crate) async fn index_all(store: &Arc<Ageing>) -> Result<()> {
    let index = store.clone().due_index().expect("files have one");
    if index.state().await?.is_none_or(|state| state.purpose != ALL) {
        let serial = index.begin(ALL).await?;
        let versions = index.versions(&ListQuery::all()).await?.into_iter();
        index.set(serial, versions.map(|(key, version)| (key, NextLook::At(version, today() + DAY))).collect()).await?;
        index.complete(serial).await?;
    }
    Ok(())
}

async fn list(store: &dyn StorageProvider) -> Vec<StorageMetadata> {
    let page = store.list(&ListQuery::all()).await.expect("it can be listed");
    assert!(!page.more);
    page.objects
}

async fn bytes(store: &dyn StorageProvider, key: &Key) -> Bytes {
    let object = store.retrieve(key, None).await.unwrap_or_else(|error| panic!("{error}"));
    object.body.collect(1 << 20).await.unwrap_or_else(|error| panic!("{error}"))
}

/// How many files of bodies are in the folders of the stores, which are closed.
pub(crate) fn files_of(root: &Path) -> [usize; 2] {
    [HOT, COLD].map(|name| {
        assert_eq!(files(&root.join(name).join("tmp")), 0);
        files(&root.join(name).join("bodies"))
    })
}

/// Sees to it that nothing is damaged in the folders of the stores, which are closed.
pub(crate) fn check_files(root: &Path) {
    for name in [HOT, COLD] {
        let findings = Findings::default();
        match patiently(|| file::check(&root.join(name), &findings)) {
            Ok(report) => assert_eq!(report.damage, 0, "{findings:#?}"),
            // It was stopped before there was a store.
            Err(Error::InvalidInput { .. }) => {}
            Err(error) => panic!("{name} can not be checked: {error}"),
        }
    }
}

/// The audit log of a host on this folder, and the folder's lock.
pub(crate) fn audit(root: &Path) -> (DataDir, Arc<dyn Audit>) {
    let lock =
        || DataDir::lock(&root.join("data")).expect("it is a folder").ok_or_else(|| Error::unavailable("locked"));
    let folder = patiently(lock).expect("nobody else has it");
    let audit = Host::audit_log(&folder).expect("it can be written");
    (folder, audit)
}

/// What was begun, by the label of the step. Opening the log removes a line that was cut off.
pub(crate) fn begun(root: &Path) -> BTreeSet<String> {
    drop(audit(root));
    let text = fs::read_to_string(root.join("data/audit.jsonl")).expect("there is a log");
    let records = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a whole line"));
    let begun = records.filter(|record| record["outcome"] == "begun");
    begun.map(|record| record["by"].as_str().expect("a label").to_owned()).collect()
}
