use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use super::AgeingStep;
use crate::error::{Error, Result};
use crate::object::{ETag, Key, StoreName, Timestamp};

/// Is told of everything that is done to objects because they age: before it is done, and what came of it.
#[async_trait]
pub trait Audit: fmt::Debug + Send + Sync + 'static {
    /// Takes the records of what is about to be done, and returns when no crash takes them any more. Many at once cost about as
    /// much as one.
    ///
    /// # Errors
    /// They can not be written down. What is not on record is not done.
    async fn begin(&self, records: Vec<AuditRecord>) -> Result<()>;

    /// Takes the record of what came of something that was begun. A crash just after it may take it.
    async fn end(&self, record: AuditRecord);
}

/// One thing that is done to an object.
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
    /// Whether it is about to be done, or what came of it.
    pub outcome: AuditOutcome,
    /// Which policy wanted it, or who asked for it; empty for what follows from the configuration alone.
    pub by: String,
    /// Which version of the object, if that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<ETag>,
    /// How many bytes it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// How far a thing is that is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// It is about to be done. If nothing comes after it, the host was stopped, and it may or may not have happened.
    Begun,
    /// It was done.
    Done,
    /// The object was changed or deleted meanwhile, and so left alone.
    LeftAlone,
    /// It failed, and the object is as it was.
    Failed,
}

impl AuditRecord {
    /// The record of a step that is about to be taken.
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
        Self { time, store: store.clone(), key: key.clone(), action, outcome: AuditOutcome::Begun, by, etag, size }
    }

    /// The record of what came of it.
    #[must_use]
    pub fn of_result(self, result: &Result<()>) -> Self {
        let outcome = match result {
            Ok(()) => AuditOutcome::Done,
            Err(Error::NotFound { .. } | Error::PreconditionFailed { .. }) => AuditOutcome::LeftAlone,
            Err(_) => AuditOutcome::Failed,
        };
        Self { outcome, ..self }
    }
}

/// Takes one step and has it on record, before and after.
///
/// # Errors
/// Those of the step, and [`Audit::begin`]'s: the step is then not taken.
pub async fn on_record(
    audit: &dyn Audit,
    record: AuditRecord,
    step: impl Future<Output = Result<()>> + Send,
) -> Result<()> {
    audit.begin(vec![record.clone()]).await?;
    let result = step.await;
    audit.end(record.of_result(&result)).await;
    result
}
