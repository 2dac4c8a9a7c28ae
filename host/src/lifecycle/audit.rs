use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use super::AgeingStep;
use crate::object::{ETag, Key, StoreName, Timestamp};

/// Is told of everything that is done to objects because they age.
#[async_trait]
pub trait Audit: fmt::Debug + Send + Sync + 'static {
    /// Takes a record of something that was done.
    async fn record(&self, record: AuditRecord);
}

/// One thing that was done to an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
    /// When.
    pub time: Timestamp,
    /// In which store.
    pub store: StoreName,
    /// To which object.
    pub key: Key,
    /// What: `archive`, `restore`, `trash`, `take-out`, `purge`, `delete` or `tag`.
    pub action: &'static str,
    /// Which policy wanted it, or who asked for it; empty for what follows from the configuration alone.
    pub by: String,
    /// Which version of the object, if that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<ETag>,
    /// How many bytes it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

impl AuditRecord {
    /// The record of a step.
    pub fn new(store: &StoreName, key: &Key, step: &AgeingStep, by: String, time: Timestamp) -> Self {
        let (action, judged) = match step {
            AgeingStep::Archive { judged, .. } => ("archive", Some(judged)),
            AgeingStep::Restore { .. } => ("restore", None),
            AgeingStep::Trash { judged, .. } => ("trash", Some(judged)),
            AgeingStep::TakeOut => ("take-out", None),
            AgeingStep::Purge { .. } => ("purge", None),
            AgeingStep::Delete { judged } => ("delete", Some(judged)),
            AgeingStep::Tag { judged, .. } => ("tag", Some(judged)),
        };
        let (etag, size) = judged.map(|judged| (judged.etag.clone(), judged.size)).unzip();
        Self { time, store: store.clone(), key: key.clone(), action, by, etag, size }
    }
}
