use std::future::ready;
use std::time::Duration;

use super::report::Row;
use super::stopwatch::time;
use crate::error::Result;
use crate::lifecycle::{Candidate, LifecyclePolicy};
use crate::object::{
    Attributes, Checksum, ETag, Key, StorageMetadata, Tags, Timestamp, UserMetadata, timestamp_from_millis,
};

/// How many objects are judged at once.
const BATCHES: [usize; 3] = [1, 100, 1000];

/// Measures a policy and a native one: drafts are deleted after 30 days.
///
/// # Errors
/// The first failure of either.
pub(super) async fn measure(plugin: &dyn LifecyclePolicy, budget: Duration) -> Result<Vec<Row>> {
    let now = timestamp_from_millis(1_700_000_000_000);
    let mut rows = Vec::new();
    for count in BATCHES {
        let candidates = (0..count).map(candidate).collect::<Result<Vec<_>>>()?;
        let mut times = Vec::new();
        for policy in [plugin, &Drafts] {
            times.push(time(budget, |_| ready(policy.decide(&candidates, now).map(drop))).await?);
        }
        rows.push(Row::new(format!("decide on {count}"), &times));
    }
    Ok(rows)
}

fn candidate(number: usize) -> Result<Candidate> {
    let age = number as u64 * 60 * 60 * 1000;
    let moment = timestamp_from_millis(1_700_000_000_000 - age);
    let state = if number.is_multiple_of(2) { "draft" } else { "final" };
    let metadata = StorageMetadata {
        key: Key::new(format!("letters/{number}"))?,
        size: number as u64,
        created_at: moment,
        updated_at: moment,
        checksum: Checksum::of(b""),
        etag: ETag::generate(),
        attributes: Attributes {
            content_type: Some("text/plain".into()),
            user_metadata: UserMetadata::default(),
            tags: Tags::from_pairs([("state".to_owned(), state.to_owned())])?,
        },
    };
    Ok(Candidate { metadata, last_read_at: None })
}

/// What a policy takes that has no boundary to cross.
#[derive(Debug)]
struct Drafts;

impl LifecyclePolicy for Drafts {
    fn should_archive(&self, _: &Candidate, _: Timestamp) -> bool {
        false
    }

    fn should_delete(&self, candidate: &Candidate, now: Timestamp) -> bool {
        let metadata = &candidate.metadata;
        let is_draft = metadata.attributes.tags.get("state") == Some("draft");
        is_draft && (now - metadata.updated_at).num_days() >= 30
    }

    fn retention_period(&self, _: &Candidate) -> Duration {
        Duration::ZERO
    }
}
