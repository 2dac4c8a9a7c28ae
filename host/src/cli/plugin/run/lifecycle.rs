use std::time::Duration;

use bytesize::ByteSize;
use clap::Parser;
use humantime::DurationError;
use serde::Serialize;

use super::Words;
use crate::cli::address::Pair;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Output, Printable};
use crate::error::Error;
use crate::lifecycle::{Candidate, Decision, LifecyclePolicy};
use crate::object::{
    Attributes, Checksum, ETag, Key, StorageMetadata, Tags, Timestamp, UserMetadata, millis_from_timestamp, now,
    timestamp_from_millis,
};

/// An object that a policy is to judge.
#[derive(Debug, Parser)]
#[command(name = "", no_binary_name = true)]
struct Described {
    /// Its key
    key: Key,
    /// How large it is
    #[arg(long, default_value = "0")]
    size: ByteSize,
    /// How long ago its bytes were stored, such as 90days
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = span)]
    age: Duration,
    /// How long ago its key came to be; absent: as its bytes
    #[arg(long, value_name = "TIME", value_parser = span)]
    created: Option<Duration>,
    /// How long ago it was last read; absent: nobody knows
    #[arg(long, value_name = "TIME", value_parser = span)]
    read: Option<Duration>,
    /// Its media type
    #[arg(long = "type", value_name = "TYPE")]
    content_type: Option<String>,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "NAME=VALUE")]
    tags: Vec<Pair>,
}

fn span(text: &str) -> Result<Duration, DurationError> {
    humantime::parse_duration(text)
}

impl Described {
    fn into_candidate(self, now: Timestamp) -> Result<Candidate, Error> {
        let ago = |span: Duration| {
            let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            timestamp_from_millis(millis_from_timestamp(now).saturating_sub(span))
        };
        let metadata = StorageMetadata {
            key: self.key,
            size: self.size.as_u64(),
            created_at: ago(self.created.unwrap_or(self.age)),
            updated_at: ago(self.age),
            // A policy is asked about objects that nobody stored: there are no bytes.
            checksum: Checksum::of(b""),
            etag: ETag::generate(),
            attributes: Attributes {
                content_type: self.content_type,
                user_metadata: UserMetadata::default(),
                tags: Tags::from_pairs(self.tags.into_iter().map(Into::into))?,
            },
        };
        Ok(Candidate { metadata, last_read_at: self.read.map(ago) })
    }
}

#[derive(Debug, Serialize)]
struct Decided<'a> {
    key: &'a Key,
    archive: bool,
    delete: bool,
    retain_seconds: f64,
}

/// Has a policy decide on the objects that the operations describe, in one call.
pub(super) fn run(policy: &dyn LifecyclePolicy, operations: Vec<Words>, output: &Output) -> Result<(), Failure> {
    let now = now();
    let mut candidates = Vec::new();
    for Words { text, words } in operations {
        let described = Described::try_parse_from(words).map_err(|error| Failure::usage(error.to_string().trim()))?;
        let candidate =
            described.into_candidate(now).map_err(|error| Failure::usage(error.to_string()).about(&text))?;
        candidates.push(candidate);
    }
    let decisions = policy.decide(&candidates, now)?;
    let decided = candidates.iter().zip(decisions);
    if output.for_programs() {
        return decided
            .map(|(candidate, Decision { archive, delete, retain, tags: _ })| Decided {
                key: &candidate.metadata.key,
                archive,
                delete,
                retain_seconds: retain.as_secs_f64(),
            })
            .try_for_each(|line| output.json_line(&line));
    }
    let rows = decided.map(|(candidate, decision)| {
        let Decision { archive, delete, retain, tags: _ } = decision;
        let yes = |wanted: bool| if wanted { "yes" } else { "-" }.to_owned();
        let retain = if retain.is_zero() { "-".into() } else { humantime::format_duration(retain).to_string() };
        [Printable(candidate.metadata.key.as_str()).to_string(), yes(archive), yes(delete), retain]
    });
    output.line(output::table(&["KEY", "ARCHIVE", "DELETE", "RETAIN"], rows))
}
