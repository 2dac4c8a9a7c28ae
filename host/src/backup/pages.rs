use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::repository::Repository;
use crate::error::{Error, Result};
use crate::object::{Checksum, Digest, Key};
use crate::provider::layers::off_runtime;

/// Some of a backup's entries, in order of their keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PageRef {
    /// The key of its first entry.
    pub(super) first: Key,
    pub(super) page: Digest,
}

/// A page ends behind a key whose checksum is a multiple of this. So where pages end does not depend on how many keys
/// there are before, and backups share the pages in which nothing has changed.
const EVERY: u64 = 256;
/// The most entries of a page.
const MOST: usize = 4096;
/// The level of zstd at which pages are compressed.
const LEVEL: i32 = 3;
/// The most bytes that a page has, or a list of pages.
const MAX: usize = 1 << 30;

/// Writes down the entries of a backup, which come in order.
pub(super) struct PageWriter<'a> {
    repository: &'a Repository,
    entries: Vec<Entry>,
    pages: Vec<PageRef>,
    /// How many bytes are new in the repository.
    pub(super) added: u64,
}

impl<'a> PageWriter<'a> {
    pub(super) fn new(repository: &'a Repository) -> Self {
        Self { repository, entries: Vec::new(), pages: Vec::new(), added: 0 }
    }

    pub(super) async fn push(&mut self, entry: Entry) -> Result<()> {
        let ends = Checksum::of(entry.metadata.key.as_str().as_bytes()).as_u64().is_multiple_of(EVERY);
        self.entries.push(entry);
        if ends || self.entries.len() == MOST { self.end_page().await } else { Ok(()) }
    }

    async fn end_page(&mut self) -> Result<()> {
        let entries = std::mem::take(&mut self.entries);
        let Some(first) = entries.first().map(|entry| entry.metadata.key.clone()) else { return Ok(()) };
        let page = self.write(entries).await?;
        self.pages.push(PageRef { first, page });
        Ok(())
    }

    /// Writes down what is left, and the list of all pages, whose digest it returns.
    pub(super) async fn finish(&mut self) -> Result<Digest> {
        self.end_page().await?;
        let pages = std::mem::take(&mut self.pages);
        self.write(pages).await
    }

    async fn write<T: Serialize + Send + 'static>(&mut self, lines: Vec<T>) -> Result<Digest> {
        let (digest, bytes) = off_runtime(usize::MAX, move || encode(&lines)).await?;
        let size = bytes.len() as u64;
        // A list that is there and damaged would take this backup along too.
        if self.repository.put_anew(&digest, bytes).await? {
            self.added += size;
        }
        Ok(digest)
    }
}

/// The pages of a backup, or the entries of a page.
pub(super) async fn read<T: DeserializeOwned + Send + 'static>(
    repository: &Repository,
    digest: &Digest,
) -> Result<Vec<T>> {
    let bytes = repository.get(digest).await?;
    let digest = digest.clone();
    off_runtime(usize::MAX, move || {
        decode(&bytes)
            .map_err(|why| Error::corrupt(format!("{digest} in the repository is no list of a backup: {why}")))
    })
    .await
}

/// A line of JSON for each, compressed.
fn encode<T: Serialize>(lines: &[T]) -> Result<(Digest, Bytes)> {
    let failed =
        |error: &dyn std::fmt::Display| Error::internal(format!("a page of a backup can not be made: {error}"));
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line).map_err(|error| failed(&error))?;
        text.push(b'\n');
    }
    let bytes = zstd::bulk::compress(&text, LEVEL).map_err(|error| failed(&error))?;
    Ok((Digest::of(&bytes), bytes.into()))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>, String> {
    let size = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
    let size = size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= MAX);
    let text = zstd::bulk::decompress(bytes, size.ok_or("it does not say how long it is")?);
    let text = text.map_err(|error| error.to_string())?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(serde_json::from_slice).collect::<Result<_, _>>().map_err(|error| error.to_string())
}
