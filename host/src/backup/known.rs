use std::vec;

use super::entry::Entry;
use super::pages::{self, PageRef};
use super::record::BackupRecord;
use super::repository::Repository;
use crate::error::{Error, Result};
use crate::object::Key;

/// What an earlier backup says of the objects, which are asked for in order.
pub(super) struct Known<'a> {
    repository: &'a Repository,
    pages: vec::IntoIter<PageRef>,
    entries: vec::IntoIter<Entry>,
}

impl<'a> Known<'a> {
    /// Knows nothing.
    pub(super) fn nothing(repository: &'a Repository) -> Self {
        Self { repository, pages: Vec::new().into_iter(), entries: Vec::new().into_iter() }
    }

    /// Knows what the backup says. Of one that is damaged it knows less.
    pub(super) async fn of(repository: &'a Repository, record: &BackupRecord) -> Result<Self> {
        let pages = or_less(pages::read(repository, &record.pages).await)?.into_iter();
        Ok(Self { pages, ..Self::nothing(repository) })
    }

    /// What it says of the object under this key, which is behind all that were asked for before.
    pub(super) async fn at(&mut self, key: &Key) -> Result<Option<Entry>> {
        loop {
            while let Some(next) = self.entries.as_slice().first() {
                if next.metadata.key > *key {
                    return Ok(None);
                }
                if let Some(entry) = self.entries.next().filter(|entry| entry.metadata.key == *key) {
                    return Ok(Some(entry));
                }
            }
            // Of pages that end before the key only the last can have it.
            while self.pages.as_slice().get(1).is_some_and(|page| page.first <= *key) {
                self.pages.next();
            }
            if self.pages.as_slice().first().is_none_or(|page| page.first > *key) {
                return Ok(None);
            }
            let Some(page) = self.pages.next() else { return Ok(None) };
            self.entries = or_less(pages::read(self.repository, &page.page).await)?.into_iter();
        }
    }
}

fn or_less<T>(read: Result<Vec<T>>) -> Result<Vec<T>> {
    match read {
        Err(error @ Error::Corrupt { .. }) => {
            tracing::warn!("an earlier backup is damaged, and what it does not say is read anew: {error}");
            Ok(Vec::new())
        }
        read => read,
    }
}
