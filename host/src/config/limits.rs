use std::num::{NonZeroU32, NonZeroU64};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::period::Period;
use super::size::Size;

/// What a plugin may use before a call of it ends in an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PluginLimits {
    /// The linear memory of one instance.
    pub memory: Size,
    /// The entries of the tables of one instance; at most 100,000.
    #[schemars(range(min = 1, max = 100_000))]
    pub table_entries: NonZeroU32,
    /// How long one call may take; absent: 10s, and 50ms for an eviction strategy, which a cache waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<Period>,
    /// How many instances of a provider run at most, each with a memory of its own; more than 1 only if it keeps nothing
    /// there between calls.
    #[schemars(range(min = 1))]
    pub instances: NonZeroU32,
    /// How many calls one instance of a provider has at a time; more wait until one ends.
    #[schemars(range(min = 1))]
    pub calls: NonZeroU32,
    /// Bodies up to this size cross to and from the plugin in one piece; larger ones as a stream.
    pub whole_body: Size,
    /// The largest object that a provider is given or may return; absent: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_size: Option<Size>,
    /// The most that a plugin hands to the host at once, such as a page of a listing.
    pub returned: Size,
    /// How many lines a second it may write to the log over time; five times as many may come at once.
    #[schemars(range(min = 1))]
    pub log_lines: NonZeroU32,
    /// The largest component.
    pub component_size: Size,
    /// How long the compiler may take for it.
    pub compile_time: Period,
}

fn count(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("no default is 0")
}

fn mebibytes(count: u64) -> Size {
    Size::mebibytes(NonZeroU64::new(count).expect("no default is 0"))
}

/// 64 MiB of memory, one instance with 64 calls at a time, bodies up to 1 MiB in one piece.
impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            memory: mebibytes(64),
            table_entries: count(100_000),
            call_timeout: None,
            instances: count(1),
            calls: count(64),
            whole_body: mebibytes(1),
            object_size: None,
            returned: mebibytes(16),
            log_lines: count(20),
            component_size: mebibytes(64),
            compile_time: Period::seconds(120),
        }
    }
}

/// When a plugin that fails is started again. A first failure costs nothing; when the fresh instance fails too before it
/// was healthy, the next is made only after a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PluginRestart {
    /// How long no instance is made after the second failure in a row; twice as long after each further one.
    pub backoff: Period,
    /// The longest that no instance is made.
    pub max_backoff: Period,
    /// An instance that lived for so long, or that answered 100 calls, was healthy: its failure is a first one.
    pub healthy_after: Period,
    /// After how many failures in a row the plugin is quarantined until `larder plugin reset`; `null`: never.
    pub quarantine_after: Option<NonZeroU32>,
}

/// From 100 ms to 30 s, and quarantine at the tenth failure in a row.
impl Default for PluginRestart {
    fn default() -> Self {
        Self {
            backoff: Period::milliseconds(100),
            max_backoff: Period::seconds(30),
            healthy_after: Period::seconds(10),
            quarantine_after: Some(count(10)),
        }
    }
}
