use futures::TryStreamExt;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{ListQuery, StorageProvider};
use crate::error::{Error, Result};
use crate::object::{Key, Object};

/// Something in a store that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// The object that it is about, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// What was found, for people.
    pub message: String,
}

/// What a [`Finding`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingKind {
    /// The index as a whole: it is missing, or SQLite finds its pages damaged.
    Index,
    /// A row of the index does not have its checksum.
    Row,
    /// A value in the index is missing, does not have its checksum, or belongs to no object.
    Value,
    /// The index does not count what it holds.
    Totals,
    /// The file of a body is damaged or can not be read.
    Body,
    /// The file of a body is not there.
    Missing,
    /// A body that the index does not refer to. The next opening removes it: a crash leaves some.
    Orphan,
    /// A file of a write that did not come to an end. The next opening removes it: a crash leaves some.
    Temporary,
}

impl FindingKind {
    /// Whether something was lost, or may be; if not, a crash explains it and the next opening clears it away.
    pub fn is_damage(self) -> bool {
        !matches!(self, Self::Orphan | Self::Temporary)
    }

    /// One word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Row => "row",
            Self::Value => "value",
            Self::Totals => "totals",
            Self::Body => "body",
            Self::Missing => "missing",
            Self::Orphan => "orphan",
            Self::Temporary => "temporary",
        }
    }
}

impl Finding {
    /// What was found, about which object if that is known.
    pub fn new(kind: FindingKind, key: Option<&Key>, message: impl Into<String>) -> Self {
        Self { kind, key: key.cloned(), message: message.into() }
    }
}

/// What a check went through, and how much it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The objects whose bytes were held against their checksums.
    pub objects: u64,
    /// How large they are together.
    pub bytes: u64,
    /// Findings that are damage.
    pub damage: u64,
    /// Findings that the next opening clears away.
    pub leftovers: u64,
}

/// Hears of long work on what a provider holds while it goes on.
pub trait Watch: Send + Sync {
    /// There are so many bytes to be read, as far as is known.
    fn expect(&self, bytes: u64);

    /// So many bytes more were read.
    fn read(&self, bytes: u64);

    /// Something is not as it should be.
    fn found(&self, finding: Finding);

    /// Whether nobody wants to know any more: the work may then end where it is.
    fn is_given_up(&self) -> bool {
        false
    }
}

/// Gathers what is found, and nothing else.
#[derive(Debug, Default)]
pub struct Findings(Mutex<Vec<Finding>>);

impl Findings {
    /// What was found so far.
    pub fn take(&self) -> Vec<Finding> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Watch for Findings {
    fn expect(&self, _: u64) {}

    fn read(&self, _: u64) {}

    fn found(&self, finding: Finding) {
        self.0.lock().push(finding);
    }
}

/// Reads every object of a provider.
pub(super) async fn read_all<P: StorageProvider + ?Sized>(provider: &P, watch: &dyn Watch) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    let mut query = ListQuery::all();
    loop {
        let page = provider.list(&query).await?;
        watch.expect(report.bytes + page.objects.iter().map(|object| object.size).sum::<u64>());
        for object in &page.objects {
            report.objects += 1;
            report.bytes += object.size;
            match read(provider, &object.key, watch).await {
                // Deleted since the page was read.
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error @ (Error::Corrupt { .. } | Error::PermissionDenied { .. })) => {
                    report.damage += 1;
                    watch.found(Finding::new(FindingKind::Body, Some(&object.key), error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        query.start_after = page.next().map(|last| last.as_str().to_owned());
        if query.start_after.is_none() || watch.is_given_up() {
            return Ok(report);
        }
    }
}

async fn read<P: StorageProvider + ?Sized>(provider: &P, key: &Key, watch: &dyn Watch) -> Result<()> {
    let Object { metadata, body, .. } = provider.retrieve(key, None).await?;
    let body = body.verified(metadata.size, Some(metadata.checksum), format!("the object \u{2018}{key}\u{2019}"));
    let mut pieces = body.into_stream();
    while let Some(piece) = pieces.try_next().await? {
        watch.read(piece.len() as u64);
    }
    Ok(())
}
