use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use walkdir::WalkDir;

use super::super::address::{PrefixAddress, Side};
use super::super::failure::Failure;
use super::super::open::Data;
use super::Copy;
use super::path::name_of;
use crate::object::{Key, StorageMetadata, StoreName};
use crate::provider::{ListQuery, StorageProvider};

/// How many files are looked up ahead of those being copied; the progress display knows so many in advance.
const AHEAD: usize = 10_000;

/// What there is to copy, or why one thing of it can not be.
pub(super) type Found = Result<Item, Failure>;

/// One thing to copy. Its name is relative to the folder that is copied, with slashes.
#[derive(Debug)]
pub(super) enum Item {
    File { name: String, path: PathBuf, size: u64 },
    Object { name: String, store: StoreName, provider: Arc<dyn StorageProvider>, metadata: Box<StorageMetadata> },
}

impl Item {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Object { metadata, .. } => metadata.size,
        }
    }

    /// Its name relative to the folder that is copied.
    pub(super) fn own_name(&self) -> &str {
        match self {
            Self::File { name, .. } | Self::Object { name, .. } => name,
        }
    }
}

/// As the user would write it.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "{}", path.display()),
            Self::Object { store, metadata, .. } => write!(f, "larder://{store}/{}", metadata.key),
        }
    }
}

/// Where things to copy come from, found while the first ones are being copied.
#[derive(Debug)]
pub(super) struct Source {
    found: mpsc::Receiver<Found>,
    skipped: Arc<AtomicU64>,
}

impl Source {
    pub(super) async fn open(copy: &Copy, data: &Data) -> Result<Self, Failure> {
        match &copy.from {
            Side::Local(path) => Self::local(path.clone(), copy.recursive, copy.follow_symlinks),
            Side::Store(address) => {
                let provider = data.store(&address.store).await?;
                Self::store(address.clone(), provider, copy.recursive).await
            }
        }
    }

    /// The next thing to copy, until there is none.
    pub(super) async fn next(&mut self) -> Option<Found> {
        self.found.recv().await
    }

    /// How many symbolic links and special files were left out so far.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    pub(super) fn local(path: PathBuf, recursive: bool, follow_symlinks: bool) -> Result<Self, Failure> {
        let there = std::fs::metadata(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::not_found(format!("there is no file {}", path.display())),
            _ => Failure::file("can not read", &path, &error),
        })?;
        let (sender, found) = mpsc::channel(AHEAD);
        let skipped = Arc::new(AtomicU64::new(0));
        if there.is_dir() {
            if !recursive {
                return Err(Failure::usage(format!("{} is a folder", path.display())).with_hint("-r copies a folder"));
            }
            let skipped = skipped.clone();
            tokio::task::spawn_blocking(move || walk(&path, follow_symlinks, &sender, &skipped));
        } else {
            let named = path.file_name().map(Path::new).ok_or_else(|| "it has no name".to_owned()).and_then(name_of);
            let item = named
                .map(|name| Item::File { name, path: path.clone(), size: there.len() })
                .map_err(|reason| refused(&path.display().to_string(), &reason));
            // The channel is empty and this end of it open, so there is room.
            let _ = sender.try_send(item);
        }
        Ok(Self { found, skipped })
    }

    pub(super) async fn store(
        address: PrefixAddress,
        provider: Arc<dyn StorageProvider>,
        recursive: bool,
    ) -> Result<Self, Failure> {
        let (sender, found) = mpsc::channel(AHEAD);
        if recursive {
            tokio::spawn(list(address, provider, sender));
        } else {
            if address.prefix.is_empty() {
                return Err(
                    Failure::usage(format!("larder://{address} is a store")).with_hint("-r copies a whole store")
                );
            }
            let key = Key::new(address.prefix.as_str())?;
            let metadata = Box::new(provider.metadata(&key).await.map_err(|error| {
                Failure::from(error)
                    .with_hint(format!("larder ls -r {} lists what is there; -r copies a folder", address.store))
            })?);
            let name = key.as_str().rsplit('/').next().unwrap_or_default().to_owned();
            // The channel is empty and this end of it open, so there is room.
            let _ = sender.try_send(Ok(Item::Object { name, store: address.store, provider, metadata }));
        }
        Ok(Self { found, skipped: Arc::default() })
    }
}

/// Sends every file below a folder, until nobody takes them any more.
fn walk(folder: &Path, follow_symlinks: bool, sender: &mpsc::Sender<Found>, skipped: &AtomicU64) {
    for entry in WalkDir::new(folder).follow_links(follow_symlinks).sort_by_file_name() {
        let found = match entry {
            Ok(entry) if entry.file_type().is_dir() => continue,
            Ok(entry) if !entry.file_type().is_file() => {
                skipped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            Ok(entry) => file(folder, entry),
            Err(error) => {
                let path = error.path().unwrap_or(folder).display().to_string();
                Err(refused(&path, &error.to_string()))
            }
        };
        if sender.blocking_send(found).is_err() {
            return;
        }
    }
}

fn file(folder: &Path, entry: walkdir::DirEntry) -> Found {
    let shown = || entry.path().display().to_string();
    let size = entry.metadata().map_err(|error| refused(&shown(), &error.to_string()))?.len();
    let below = entry.path().strip_prefix(folder).map_err(|error| refused(&shown(), &error.to_string()))?;
    let name = name_of(below).map_err(|reason| refused(&shown(), &reason))?;
    Ok(Item::File { name, path: entry.into_path(), size })
}

/// Sends every object in a folder of a store, until nobody takes them any more.
async fn list(address: PrefixAddress, provider: Arc<dyn StorageProvider>, sender: mpsc::Sender<Found>) {
    let folder = address.folder();
    let mut query = ListQuery::with_prefix(folder.as_str());
    let mut empty = true;
    loop {
        let page = match provider.list(&query).await {
            Ok(page) => page,
            Err(error) => {
                let _ = sender.send(Err(error.into())).await;
                return;
            }
        };
        query.start_after = page.next().map(|key| key.as_str().to_owned());
        for metadata in page.objects {
            empty = false;
            let name = metadata.key.as_str()[folder.len()..].to_owned();
            let (store, provider) = (address.store.clone(), provider.clone());
            let item = Item::Object { name, store, provider, metadata: Box::new(metadata) };
            if sender.send(Ok(item)).await.is_err() {
                return;
            }
        }
        if query.start_after.is_none() {
            break;
        }
    }
    if empty && !folder.is_empty() {
        let nothing = Failure::not_found(format!("no key in {} begins with \u{2018}{folder}\u{2019}", address.store));
        let _ = sender.send(Err(nothing)).await;
    }
}

/// That `what` is not copied, and why.
pub(super) fn refused(what: &str, reason: &str) -> Failure {
    Failure::new(super::Exit::Failed, "not-copied", format!("{what} is not copied: {reason}"))
}
