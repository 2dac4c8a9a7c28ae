use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::entry::{Chunk, Entry};
use super::lease::{Lease, Use};
use super::pages::{self, PageRef};
use super::record::BackupRecord;
use super::repository::Repository;
use super::{CONCURRENT, Watch};
use crate::error::{Error, Result};
use crate::object::Digest;

/// What [`remove`] came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// How many backups were removed.
    pub backups: u64,
    /// How many pieces and lists were removed, which no other backup needs; also those of backups that were cut off.
    pub pieces: u64,
    /// How many bytes these had.
    pub bytes: u64,
}

/// Removes backups, and all that no other one needs. Stopped at any time, it leaves the others whole; the next one removes
/// what it did not come to.
///
/// It takes about 40 bytes of memory for each piece that stays.
///
/// # Errors
/// [`Error::Unavailable`] while a backup is made or removed; [`Error::Corrupt`] if nobody can tell what another backup
/// needs, and then nothing is removed; those of the repository's store.
pub async fn remove(repository: &Repository, gone: &[BackupRecord], watch: &dyn Watch) -> Result<Removed> {
    let lease = repository.lease(Use::Remove).await?;
    let removed = work(repository, gone, watch, lease.as_ref()).await;
    if let Some(lease) = lease {
        lease.release().await;
    }
    removed
}

async fn work(
    repository: &Repository,
    gone: &[BackupRecord],
    watch: &dyn Watch,
    lease: Option<&Lease>,
) -> Result<Removed> {
    let ids: HashSet<&str> = gone.iter().map(|backup| backup.id.as_str()).collect();
    let (gone, kept): (Vec<_>, Vec<_>) =
        repository.backups().await?.into_iter().partition(|backup| ids.contains(backup.id.as_str()));
    let mut needed = HashSet::new();
    for backup in &kept {
        need(repository, backup, &mut needed).await.map_err(|error| match error {
            Error::Corrupt { .. } => Error::corrupt(format!(
                "nothing is removed, since the list of what the backup {} has is damaged ({error}); mend it with `larder \
                 backup create --full`, or remove that one too",
                backup.id
            )),
            error => error,
        })?;
    }
    let mut removed = Removed::default();
    for backup in &gone {
        if let Some(lease) = lease {
            lease.check().await?;
        }
        repository.remove_record(&backup.id).await?;
        removed.backups += 1;
    }
    let mut behind = None;
    loop {
        if let Some(lease) = lease {
            lease.check().await?;
        }
        let (blobs, more) = repository.blobs(behind).await?;
        watch.expect(blobs.len() as u64, blobs.iter().map(|(_, size)| size).sum());
        let (stay, go): (Vec<_>, Vec<_>) = blobs.into_iter().partition(|(digest, _)| needed.contains(digest));
        stay.iter().for_each(|(_, size)| watch.done(*size));
        let removals =
            go.into_iter().map(|(digest, size)| async move { repository.remove(&digest).await.map(|()| size) });
        let mut removals = stream::iter(removals).buffer_unordered(CONCURRENT);
        while let Some(size) = removals.try_next().await? {
            removed.pieces += 1;
            removed.bytes += size;
            watch.done(size);
        }
        match more {
            Some(last) => behind = Some(last),
            None => return Ok(removed),
        }
    }
}

/// Adds all that a backup needs: its lists, and the pieces of its objects.
async fn need(repository: &Repository, backup: &BackupRecord, needed: &mut HashSet<Digest>) -> Result<()> {
    needed.insert(backup.pages.clone());
    let list: Vec<PageRef> = pages::read(repository, &backup.pages).await?;
    let new: Vec<Digest> = list.into_iter().map(|of| of.page).filter(|page| needed.insert(page.clone())).collect();
    let reads = new.into_iter().map(|page| async move { pages::read::<Entry>(repository, &page).await });
    let mut entries = stream::iter(reads).buffer_unordered(CONCURRENT);
    while let Some(entries) = entries.try_next().await? {
        needed.extend(entries.into_iter().flat_map(|entry| entry.chunks).map(|Chunk(digest, _)| digest));
    }
    Ok(())
}
