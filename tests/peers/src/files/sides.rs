use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::try_join_all;
use larder::object::{Body, Key};
use larder::provider::file::{Durability, FileOptions, FileStorageProvider};
use larder::provider::{StorageProvider, StoreOptions};
use tokio::runtime::Runtime;

/// Who keeps the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// `std::fs`: a temporary file, `fsync`, `rename`, and `fsync` of the folder.
    Plain,
    Strict,
    Relaxed,
}

impl Side {
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::Strict, Self::Relaxed];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "std::fs",
            Self::Strict => "larder",
            Self::Relaxed => "larder, relaxed",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Put,
    Get,
    Head,
}

impl Operation {
    pub(super) const ALL: [Self; 3] = [Self::Put, Self::Get, Self::Head];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Head => "head",
        }
    }
}

pub(super) struct Sides {
    runtime: Arc<Runtime>,
    plain: PathBuf,
    strict: Arc<FileStorageProvider>,
    relaxed: Arc<FileStorageProvider>,
}

fn key(client: usize, number: usize) -> String {
    format!("{client:02}-{number:04}")
}

impl Sides {
    pub(super) fn open(runtime: &Arc<Runtime>, folder: &Path) -> Result<Self> {
        let plain = folder.join("plain");
        fs::create_dir(&plain)?;
        let files = |name, durability| {
            anyhow::Ok(Arc::new(FileStorageProvider::open(&folder.join(name), &FileOptions { durability })?))
        };
        let (strict, relaxed) = (files("strict", Durability::Strict)?, files("relaxed", Durability::Relaxed)?);
        Ok(Self { runtime: Arc::clone(runtime), plain, strict, relaxed })
    }

    fn larder(&self, side: Side) -> &Arc<FileStorageProvider> {
        if side == Side::Relaxed { &self.relaxed } else { &self.strict }
    }

    /// Has every object there that is going to be read.
    pub(super) fn fill(&self, side: Side, clients: usize, keys: usize, bytes: &Bytes) -> Result<()> {
        let all = (0..clients).flat_map(|client| (0..keys).map(move |number| key(client, number)));
        if side == Side::Plain {
            return all.into_iter().try_for_each(|key| Ok(fs::write(self.plain.join(key), bytes)?));
        }
        let provider = self.larder(side);
        self.runtime.block_on(async {
            for key in all {
                provider.store(&Key::new(key)?, Body::Bytes(bytes.clone()), StoreOptions::default()).await?;
            }
            Ok(())
        })
    }

    /// How often a second the clients did it together.
    pub(super) fn measure(
        &self,
        side: Side,
        operation: Operation,
        clients: usize,
        keys: usize,
        bytes: &Bytes,
        time: Duration,
    ) -> Result<f64> {
        let done = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        if side == Side::Plain {
            thread::scope(|scope| {
                let client = |client: usize| {
                    let done = &done;
                    move || {
                        for number in (0..keys).cycle() {
                            if started.elapsed() > time {
                                return anyhow::Ok(());
                            }
                            plain(&self.plain, &key(client, number), operation, bytes)?;
                            done.fetch_add(1, Relaxed);
                        }
                        Ok(())
                    }
                };
                let threads: Vec<_> = (0..clients).map(|number| scope.spawn(client(number))).collect();
                threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
            })?;
        } else {
            let client = |client: usize| {
                let (provider, done, bytes) = (Arc::clone(self.larder(side)), Arc::clone(&done), bytes.clone());
                async move {
                    for number in (0..keys).cycle() {
                        if started.elapsed() > time {
                            return anyhow::Ok(());
                        }
                        stored(&*provider, &Key::new(key(client, number))?, operation, &bytes).await?;
                        done.fetch_add(1, Relaxed);
                    }
                    Ok(())
                }
            };
            let clients: Vec<_> = (0..clients).map(|number| self.runtime.spawn(client(number))).collect();
            for outcome in self.runtime.block_on(try_join_all(clients))? {
                outcome?;
            }
        }
        Ok(done.load(Relaxed) as f64 / started.elapsed().as_secs_f64())
    }
}

fn plain(folder: &Path, key: &str, operation: Operation, bytes: &Bytes) -> Result<()> {
    let path = folder.join(key);
    match operation {
        Operation::Put => {
            let temporary = folder.join(format!("{key}.tmp"));
            let mut file = File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(temporary, path)?;
            File::open(folder)?.sync_all()?;
        }
        Operation::Get => ensure!(fs::read(path)?.len() == bytes.len(), "it is another one"),
        Operation::Head => ensure!(fs::metadata(path)?.len() == bytes.len() as u64, "it is another one"),
    }
    Ok(())
}

async fn stored(provider: &dyn StorageProvider, key: &Key, operation: Operation, bytes: &Bytes) -> Result<()> {
    let size = match operation {
        Operation::Put => provider.store(key, Body::Bytes(bytes.clone()), StoreOptions::default()).await?.size,
        Operation::Get => {
            let pieces = provider.retrieve(key, None).await?.body.into_stream();
            pieces.try_fold(0, async |size, piece| Ok(size + piece.len() as u64)).await?
        }
        Operation::Head => provider.metadata(key).await?.size,
    };
    ensure!(size == bytes.len() as u64, "it is another one");
    Ok(())
}
