use async_trait::async_trait;

use super::FileStorageProvider;
use super::index::{self, DueChange};
use crate::error::{Error, Result};
use crate::object::{Key, Timestamp};
use crate::provider::{Due, DueIndex, DueState, ListQuery, NextLook, Serial, Version};

#[async_trait]
impl DueIndex for FileStorageProvider {
    async fn state(&self) -> Result<Option<DueState>> {
        self.readers.read(index::due_state).await
    }

    async fn begin(&self, purpose: &str) -> Result<Serial> {
        let serial = getrandom::u64().map_err(|error| Error::internal(format!("there is no randomness: {error}")))?;
        let serial = Serial(serial.cast_signed());
        self.writer.change_due(DueChange::Begin { purpose: purpose.to_owned(), serial }).await?;
        Ok(serial)
    }

    async fn complete(&self, index: Serial) -> Result<()> {
        self.writer.change_due(DueChange::Complete { index }).await
    }

    async fn end(&self) -> Result<()> {
        match self.state().await? {
            None => Ok(()),
            Some(_) => self.writer.change_due(DueChange::End).await,
        }
    }

    async fn versions(&self, query: &ListQuery) -> Result<Vec<(Key, Version)>> {
        let query = query.clone();
        self.readers.read(move |connection| index::versions(connection, &query)).await
    }

    async fn due(&self, not_after: Timestamp, after: Option<&Due>, limit: usize) -> Result<Vec<Due>> {
        let after = after.cloned();
        self.readers.read(move |connection| index::due(connection, not_after, after.as_ref(), limit)).await
    }

    async fn set(&self, index: Serial, looks: Vec<(Key, NextLook)>) -> Result<()> {
        if looks.is_empty() {
            return Ok(());
        }
        self.writer.change_due(DueChange::Set { index, looks }).await
    }
}
