use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::schema;
use crate::error::{Error, Result};
use crate::provider::file::blocking;
use crate::provider::file::fault::Fault;

/// How many look-ups run at a time. They take microseconds; more would wait for the processors instead.
const CONNECTIONS: usize = 8;

/// Connections that read the index, opened when they are needed.
#[derive(Debug)]
pub(in super::super) struct Readers {
    index: PathBuf,
    /// Guards the connections that nobody uses; held to take one or to give it back.
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    /// Readers of this index, which exists.
    pub(in super::super) fn new(index: PathBuf) -> Self {
        Self { index, idle: Mutex::default(), permits: Arc::new(Semaphore::new(CONNECTIONS)) }
    }

    /// Runs a function that reads, off the async runtime's own threads.
    pub(in super::super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        look_up: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Error::internal("the readers of the index are closed"))?;
        let readers = Arc::clone(self);
        blocking(move || {
            let _permit = permit;
            let idle = readers.idle.lock().pop();
            let result = idle.map_or_else(|| schema::open_for_reading(&readers.index), Ok).and_then(|connection| {
                let result = look_up(&connection);
                readers.idle.lock().push(connection);
                result
            });
            result.map_err(|fault| fault.at(&readers.index))
        })
        .await
    }
}
