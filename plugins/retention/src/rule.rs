use std::collections::BTreeMap;

use larder_sdk::{Error, Metadata, Result};

use crate::span::Span;

/// Which objects a rule is for, and how they age. A rule that says nothing of ageing keeps what it is for.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Only objects whose keys begin so.
    pub prefix: String,
    /// Only objects that have all of these tags.
    pub tags: BTreeMap<String, String>,
    /// Only objects of more bytes than this.
    pub larger_than: Option<u64>,
    /// Archive an object so long after it was written.
    pub archive_after: Option<Span>,
    /// Delete an object so long after it was written.
    pub delete_after: Option<Span>,
    /// Let nobody delete an object for so long after it was written.
    pub retain: Option<Span>,
}

impl Rule {
    /// Refuses what can not be meant.
    ///
    /// # Errors
    /// [`InvalidInput`](larder_sdk::ErrorKind::InvalidInput) for a rule that deletes what it still retains.
    pub fn check(&self, number: usize) -> Result<()> {
        match (self.delete_after, self.retain) {
            (Some(delete), Some(retain)) if delete < retain => Err(Error::invalid_input(format!(
                "rule {number} of `rules` deletes what it still retains: make `delete_after` at least `retain`"
            ))),
            _ => Ok(()),
        }
    }

    /// Whether it is for this object.
    pub fn matches(&self, metadata: &Metadata) -> bool {
        let Self { prefix, tags, larger_than, .. } = self;
        metadata.key.starts_with(prefix)
            && larger_than.is_none_or(|size| metadata.size > size)
            && tags.iter().all(|(name, value)| metadata.attributes.tags.get(name) == Some(value))
    }
}
