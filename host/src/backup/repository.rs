use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ulid::Ulid;

use super::lease::{Lease, Use};
use super::record::BackupRecord;
use crate::error::{Error, Result};
use crate::object::{Attributes, Body, Digest, Key, StoreName};
use crate::provider::file::{self, Durability, FileOptions, FileStorageProvider};
use crate::provider::layers::off_runtime;
use crate::provider::{Condition, ListQuery, StorageProvider, StoreOptions};

/// Where backups are kept: a store, of any provider. Cloning shares it.
///
/// All of a backup is written once and never changed, and it is there when its record is, which comes last. Several may be
/// made in it at the same time.
#[derive(Clone, Debug)]
pub struct Repository {
    store: Arc<dyn StorageProvider>,
    /// Whether others may work on it at the same time.
    shared: bool,
}

const RECORDS: &str = "larder-backups/records/";
const BLOBS: &str = "larder-backups/blobs/";

/// The largest blob, in bytes: pages and lists of them may be larger than chunks.
const MAX_BLOB: u64 = 1 << 30;

impl Repository {
    /// The repository in this store, which may hold other objects too.
    pub fn new(store: Arc<dyn StorageProvider>) -> Self {
        Self { store, shared: true }
    }

    /// The repository in this folder, which is made if it is not there. It is open until the last clone is dropped.
    ///
    /// A backup is there when its record is, which is written last: what the disk has of one that a loss of power cut off does
    /// not count. So its writes are [`Relaxed`](Durability::Relaxed).
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the folder has something else in it; [`Error::Unavailable`] if it is open already; those of
    /// the system.
    pub async fn make(folder: &Path) -> Result<Self> {
        let is_taken = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        if is_taken && !file::is_store(folder) {
            let folder = folder.display();
            return Err(Error::invalid_input(format!("{folder} is not empty, and holds no backups")));
        }
        let folder = folder.to_owned();
        let options = FileOptions { durability: Durability::Relaxed };
        let opening = tokio::task::spawn_blocking(move || FileStorageProvider::open(&folder, &options)).await;
        let opened = opening.unwrap_or_else(|error| Err(Error::internal(format!("work on files has ended: {error}"))));
        Ok(Self { store: Arc::new(opened?), shared: false })
    }

    /// Says to others what is done with the repository, if there may be any.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while they do what must not be done at the same time.
    pub(super) async fn lease(&self, wanted: Use) -> Result<Option<Lease>> {
        if self.shared { Lease::take(&self.store, wanted).await.map(Some) } else { Ok(None) }
    }

    /// All backups, oldest first.
    ///
    /// # Errors
    /// Those of the store; [`Error::Unsupported`] if a newer larder wrote one; [`Error::Corrupt`] if a record is none.
    pub async fn backups(&self) -> Result<Vec<BackupRecord>> {
        let mut backups = Vec::new();
        let mut query = ListQuery::with_prefix(RECORDS);
        loop {
            let page = self.store.list(&query).await?;
            for object in &page.objects {
                backups.push(self.record(&object.key).await?);
            }
            match page.next() {
                Some(last) => query.start_after = Some(last.as_str().to_owned()),
                None => return Ok(backups),
            }
        }
    }

    /// The backup of this name, or whose name alone begins so; `latest` is the last one.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if there is none, or more than one; those of [`backups`](Self::backups).
    pub async fn find(&self, name: &str) -> Result<BackupRecord> {
        let mut backups = self.backups().await?;
        if name == "latest" {
            return backups.pop().ok_or_else(|| Error::invalid_input("there is no backup yet"));
        }
        let wanted = name.to_ascii_uppercase();
        backups.retain(|backup| backup.id.starts_with(&wanted));
        match (backups.pop(), backups.len()) {
            (Some(backup), 0) => Ok(backup),
            (Some(_), others) => {
                Err(Error::invalid_input(format!("{} backups have names that begin with {name:?}", others + 1)))
            }
            (None, _) => Err(Error::invalid_input(format!("there is no backup {name:?}"))),
        }
    }

    /// The last backup of a store.
    pub(super) async fn last_of(&self, store: &StoreName) -> Result<Option<BackupRecord>> {
        Ok(self.backups().await?.into_iter().rfind(|backup| backup.store == *store))
    }

    async fn record(&self, key: &Key) -> Result<BackupRecord> {
        #[derive(serde::Deserialize)]
        struct Format {
            format: u32,
        }
        let bytes = self.read(key).await?;
        let damaged = |error| Error::corrupt(format!("the record \u{2018}{key}\u{2019} is none of a backup: {error}"));
        let Format { format } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if format > BackupRecord::FORMAT {
            return Err(Error::unsupported(format!(
                "the backup \u{2018}{key}\u{2019} is of version {format}, and this larder knows versions up to {}: use the \
                 larder that wrote it, or a newer one",
                BackupRecord::FORMAT
            )));
        }
        serde_json::from_slice(&bytes).map_err(damaged)
    }

    /// Names a backup: the names of later ones are greater.
    pub(super) fn new_id() -> String {
        Ulid::generate().to_string()
    }

    /// Writes down that a backup is whole.
    pub(super) async fn finish(&self, record: &BackupRecord) -> Result<()> {
        let key = record_key(&record.id)?;
        let json = serde_json::to_vec_pretty(record)
            .map_err(|error| Error::internal(format!("the record of a backup is no JSON: {error}")))?;
        let attributes = Attributes { content_type: Some("application/json".into()), ..Attributes::default() };
        let options = StoreOptions { attributes, condition: Condition::IfAbsent, ..StoreOptions::default() };
        self.store.store(&key, Body::Bytes(json.into()), options).await.map(drop)
    }

    /// Keeps these bytes, whose digest this is. Returns whether they are new.
    pub(super) async fn put(&self, digest: &Digest, bytes: Bytes) -> Result<bool> {
        let options = StoreOptions { condition: Condition::IfAbsent, ..StoreOptions::default() };
        match self.store.store(&key_of(digest)?, Body::Bytes(bytes), options).await {
            Ok(_) => Ok(true),
            Err(Error::PreconditionFailed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Keeps these bytes also if it only seems to have them already: those that are there are read. Returns whether they
    /// were stored.
    pub(super) async fn put_anew(&self, digest: &Digest, bytes: Bytes) -> Result<bool> {
        match self.get(digest).await {
            Ok(_) => Ok(false),
            Err(Error::Corrupt { .. }) => {
                let stored = self.store.store(&key_of(digest)?, Body::Bytes(bytes), StoreOptions::default()).await;
                stored.map(|_| true)
            }
            Err(error) => Err(error),
        }
    }

    /// The bytes of this digest.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if they are not there, or are others.
    pub(super) async fn get(&self, digest: &Digest) -> Result<Bytes> {
        let bytes = match self.read(&key_of(digest)?).await {
            Err(Error::NotFound { .. }) => return Err(Error::corrupt(format!("the repository has lost {digest}"))),
            bytes => bytes?,
        };
        let (wanted, read) = (digest.clone(), bytes.clone());
        if off_runtime(bytes.len(), move || Ok(Digest::of(&read) == wanted)).await? {
            return Ok(bytes);
        }
        Err(Error::corrupt(format!("the repository has other bytes under {digest}")))
    }

    /// Forgets a backup. What only it needs is still there.
    pub(super) async fn remove_record(&self, id: &str) -> Result<()> {
        self.delete(&record_key(id)?).await
    }

    /// Some of what is kept, behind `start_after`: the digests, how many bytes each has, and behind what there is more.
    pub(super) async fn blobs(&self, start_after: Option<String>) -> Result<(Vec<(Digest, u64)>, Option<String>)> {
        let query = ListQuery { start_after, ..ListQuery::with_prefix(BLOBS) };
        let page = self.store.list(&query).await?;
        let named = page.objects.iter().filter_map(|blob| {
            let hex = blob.key.as_str().strip_prefix(BLOBS)?;
            Some((format!("sha256:{hex}").parse().ok()?, blob.size))
        });
        Ok((named.collect(), page.next().map(|last| last.as_str().to_owned())))
    }

    /// Keeps the bytes of this digest no longer.
    pub(super) async fn remove(&self, digest: &Digest) -> Result<()> {
        self.delete(&key_of(digest)?).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        match self.store.delete(key, None).await {
            Err(Error::NotFound { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    async fn read(&self, key: &Key) -> Result<Bytes> {
        self.store.retrieve(key, None).await?.body.collect(MAX_BLOB).await
    }
}

fn record_key(id: &str) -> Result<Key> {
    Key::new(format!("{RECORDS}{id}"))
}

fn key_of(digest: &Digest) -> Result<Key> {
    Key::new(format!("{BLOBS}{}", digest.hex()))
}
