use std::fmt;
use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::Connection;

use super::check;
use super::fault::Fault;
use super::index::{self, Located};
use super::layout::Layout;
use super::pins::Pin;
use super::{Found, blocking, found, lost};
use crate::error::{Error, Result};
use crate::object::{ByteRange, Key, Object, StorageMetadata};
use crate::provider::{CheckReport, ListQuery, Objects, Page, Watch};

/// What a provider held at one moment. The index as it was is a transaction that reads; the bodies are pinned.
///
/// For as long as it is there the index's log grows with what is written.
pub(super) struct Snapshot {
    // Dropped in this order: bodies are let go when nobody can look for them any more.
    /// One transaction is one connection, and serves one look-up at a time.
    connection: Arc<Mutex<Connection>>,
    layout: Arc<Layout>,
    _pin: Pin,
    /// Another process may remove bodies.
    _lock: Arc<File>,
}

impl Snapshot {
    /// Takes it. Blocks for as long as it takes to open the index.
    pub(super) fn take(layout: Arc<Layout>, pin: Pin, lock: Arc<File>) -> Result<Self> {
        let index = layout.index();
        let connection = index::open_transaction(&index).map_err(|fault| fault.at(&index))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), layout, _pin: pin, _lock: lock })
    }

    /// Holds all that it shows against its checksums. Blocks for as long as it takes to read it.
    pub(super) fn check(&self, watch: &dyn Watch) -> Result<CheckReport> {
        check::check_open(&self.layout, &self.connection.lock(), watch)
    }

    async fn read<T: Send + 'static>(
        &self,
        look_up: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let (connection, index) = (Arc::clone(&self.connection), self.layout.index());
        blocking(move || look_up(&connection.lock()).map_err(|fault| fault.at(&index))).await
    }
}

#[async_trait]
impl Objects for Snapshot {
    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        let (connection, layout, key) = (Arc::clone(&self.connection), Arc::clone(&self.layout), key.clone());
        blocking(move || {
            let index = layout.index();
            let located = Located::find_with_value(&connection.lock(), &key).map_err(|fault| fault.at(&index))?;
            let (located, value) = located.ok_or_else(|| Error::not_found(&key))?;
            match found(&layout, located, value, range)? {
                Found::Object(object) => Ok(object),
                Found::NoFile(generation) => Err(lost(&key, &layout.body(generation))),
            }
        })
        .await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let query = query.clone();
        self.read(move |connection| Located::list(connection, &query)).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        let wanted = key.clone();
        let found = self.read(move |connection| Located::find(connection, &wanted)).await?;
        found.map(|found| found.metadata).ok_or_else(|| Error::not_found(key))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("folder", &self.layout.base()).finish_non_exhaustive()
    }
}
