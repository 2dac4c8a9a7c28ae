use std::time::{Duration, SystemTime};

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use super::{Checksum, ETag, Key, Tags, UserMetadata};

/// A moment, to the millisecond.
pub type Timestamp = DateTime<Utc>;

/// The present moment, to the millisecond.
pub fn now() -> Timestamp {
    DateTime::from(SystemTime::now()).trunc_subsecs(3)
}

/// The moment so many milliseconds after 1970-01-01T00:00:00Z; moments beyond what can be written (the year 262142)
/// become the last that can.
pub fn timestamp_from_millis(millis: u64) -> Timestamp {
    i64::try_from(millis).ok().and_then(DateTime::from_timestamp_millis).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// How many milliseconds after 1970-01-01T00:00:00Z a moment is; 0 for those before.
pub fn millis_from_timestamp(timestamp: Timestamp) -> u64 {
    u64::try_from(timestamp.timestamp_millis()).unwrap_or(0)
}

/// What is known of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageMetadata {
    /// Its name in the store.
    pub key: Key,
    /// How many bytes it has.
    pub size: u64,
    /// When the key came to be; overwriting keeps it.
    pub created_at: Timestamp,
    /// When these bytes were stored; changing attributes leaves it as it is.
    pub updated_at: Timestamp,
    /// The checksum of its bytes.
    pub checksum: Checksum,
    /// Names the write that these bytes came with.
    pub etag: ETag,
    /// What the writer said about it.
    #[serde(flatten)]
    pub attributes: Attributes,
}

impl StorageMetadata {
    /// How long ago, as of `now`, the bytes were stored; zero if that is yet to come.
    pub fn age(&self, now: Timestamp) -> Duration {
        (now - self.updated_at).to_std().unwrap_or_default()
    }

    /// The moment so long after the bytes were stored; the last that there is, if that lies behind it.
    pub fn after(&self, span: Duration) -> Timestamp {
        let span = chrono::Duration::from_std(span).ok();
        span.and_then(|span| self.updated_at.checked_add_signed(span)).unwrap_or(Timestamp::MAX_UTC)
    }
}

/// What a writer says about an object beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// A media type, such as `text/plain; charset=utf-8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The writer's own names and values.
    #[serde(default, skip_serializing_if = "UserMetadata::is_empty")]
    pub user_metadata: UserMetadata,
    /// What policies and operators select by.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

impl Attributes {
    /// Carries out changes: what is absent in them stays.
    pub fn apply(&mut self, changes: AttributeChanges) {
        let AttributeChanges { content_type, user_metadata, tags } = changes;
        if let Some(content_type) = content_type {
            self.content_type = Some(content_type);
        }
        if let Some(user_metadata) = user_metadata {
            self.user_metadata = user_metadata;
        }
        if let Some(tags) = tags {
            self.tags = tags;
        }
    }
}

/// A change of attributes. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeChanges {
    /// The new content type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// All of the new user metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_metadata: Option<UserMetadata>,
    /// All of the new tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
}
