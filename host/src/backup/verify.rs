use std::collections::HashSet;

use futures::{StreamExt, stream};
use parking_lot::Mutex;
use serde::Serialize;

use super::entry::{Chunk, Entry};
use super::pages::{self, PageRef};
use super::record::BackupRecord;
use super::repository::Repository;
use super::{CONCURRENT, Failed, Watch};
use crate::error::{Error, Result};
use crate::object::{Checksum, Digest};

/// What [`verify`] came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many backups were looked at.
    pub backups: u64,
    /// How many objects these have, each counted in every backup.
    pub objects: u64,
    /// How many bytes were read of them: what several share is read once.
    pub bytes: u64,
    /// How many objects, or lists of objects, are damaged.
    pub damage: u64,
}

/// Reads all that backups have, and holds it against its digests and the checksums of the objects. `watch` hears of what
/// is damaged.
///
/// # Errors
/// Those of the repository's store that are not of one object.
pub async fn verify(repository: &Repository, backups: &[BackupRecord], watch: &dyn Watch) -> Result<Verified> {
    let mut work = Work { repository, watch, sound: Mutex::default(), verified: Verified::default() };
    for backup in backups {
        work.backup(backup).await?;
    }
    Ok(work.verified)
}

struct Work<'a> {
    repository: &'a Repository,
    watch: &'a dyn Watch,
    /// What was found to be whole: the digest of one chunk, or of the digests of many. Held to look and to add one.
    sound: Mutex<HashSet<Digest>>,
    verified: Verified,
}

impl Work<'_> {
    async fn backup(&mut self, backup: &BackupRecord) -> Result<()> {
        self.verified.backups += 1;
        self.watch.expect(backup.objects, backup.bytes);
        let Some(list) = self.list::<PageRef>(&backup.id, &backup.pages).await? else { return Ok(()) };
        let before = self.verified.objects;
        let mut lists_are_whole = true;
        for PageRef { page, .. } in list {
            let Some(entries) = self.list::<Entry>(&backup.id, &page).await? else {
                lists_are_whole = false;
                continue;
            };
            self.verified.objects += entries.len() as u64;
            let checks = stream::iter(entries.iter().map(|entry| self.check(entry)));
            let outcomes: Vec<_> = checks.buffer_unordered(CONCURRENT).collect().await;
            for outcome in outcomes {
                match outcome? {
                    Some(read) => self.verified.bytes += read,
                    None => self.verified.damage += 1,
                }
            }
        }
        if lists_are_whole && self.verified.objects - before != backup.objects {
            self.verified.damage += 1;
            let error = Error::corrupt(format!("it has other objects than the {} of its record", backup.objects));
            self.watch.failed(Failed::Backup(&backup.id), &error);
        }
        Ok(())
    }

    async fn list<T: serde::de::DeserializeOwned + Send + 'static>(
        &mut self,
        backup: &str,
        digest: &Digest,
    ) -> Result<Option<Vec<T>>> {
        match pages::read(self.repository, digest).await {
            Err(error @ Error::Corrupt { .. }) => {
                self.verified.damage += 1;
                self.watch.failed(Failed::Backup(backup), &error);
                Ok(None)
            }
            list => list.map(Some),
        }
    }

    /// How many bytes were read of an object; `None` if it is damaged.
    async fn check(&self, entry: &Entry) -> Result<Option<u64>> {
        let content = content(entry);
        if self.sound.lock().contains(&content) {
            self.watch.done(entry.metadata.size);
            return Ok(Some(0));
        }
        match self.read(entry).await {
            Ok(()) => {
                self.sound.lock().insert(content);
                self.watch.done(entry.metadata.size);
                Ok(Some(entry.metadata.size))
            }
            Err(error @ Error::Corrupt { .. }) => {
                self.watch.failed(Failed::Object(&entry.metadata.key), &error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn read(&self, entry: &Entry) -> Result<()> {
        let mut checksum = Checksum::hasher();
        for Chunk(digest, size) in &entry.chunks {
            let chunk = self.repository.get(digest).await?;
            if chunk.len() as u64 != *size {
                return Err(Error::corrupt(format!("{digest} has not the {size} bytes that its object says")));
            }
            checksum.update(&chunk);
        }
        let metadata = &entry.metadata;
        if (checksum.size(), checksum.finish()) == (metadata.size, metadata.checksum) {
            Ok(())
        } else {
            Err(Error::corrupt("its bytes do not have their checksum"))
        }
    }
}

/// Names an object's bytes as the entry has them, with their checksum: another one is another claim.
fn content(entry: &Entry) -> Digest {
    let mut text = entry.metadata.checksum.as_u64().to_le_bytes().to_vec();
    for Chunk(digest, size) in &entry.chunks {
        text.extend_from_slice(digest.hex().as_bytes());
        text.extend_from_slice(&size.to_le_bytes());
    }
    Digest::of(&text)
}
