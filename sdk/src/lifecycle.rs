use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::object::Metadata;
use crate::timestamp::Timestamp;

/// Says how objects age: a pure function of an object's metadata and the time, without memory between calls, so that a
/// plan can be shown before it is carried out.
///
/// ```
/// use std::time::Duration;
///
/// use larder_sdk::{Candidate, LifecyclePolicy, Result, Timestamp};
///
/// /// Deletes what was not read for so many days.
/// struct Unread { after: Duration }
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config { days: u64 }
///
/// impl LifecyclePolicy for Unread {
///     type Config = Config;
///
///     fn open(config: Config) -> Result<Self> {
///         Ok(Self { after: Duration::from_secs(config.days * 24 * 60 * 60) })
///     }
///
///     fn should_delete(&self, candidate: &Candidate, now: Timestamp) -> bool {
///         let last_use = candidate.last_read_at.unwrap_or(candidate.metadata.updated_at);
///         now.since(last_use) >= self.after
///     }
/// }
///
/// larder_sdk::export!(lifecycle: Unread);
///
/// let policy: Unread = larder_sdk::testing::open_policy("{\"days\": 2}").unwrap();
/// let metadata = larder_sdk::testing::metadata("a", Timestamp::from_millis(0));
/// let candidate = Candidate { metadata, last_read_at: None };
/// assert!(!policy.should_delete(&candidate, Timestamp::from_millis(172_799_999)));
/// assert!(policy.should_delete(&candidate, Timestamp::from_millis(172_800_000)));
/// ```
pub trait LifecyclePolicy: Sized + 'static {
    /// What the operator writes under `config` for this plugin. Put `#[serde(deny_unknown_fields)]` on it, so that a
    /// misspelt key is an error; see [`config`](crate::config) for what no configuration at all means.
    type Config: DeserializeOwned;

    /// Prepares this instance. Called once, before all else.
    ///
    /// # Errors
    /// Any failure means that the plugin can not work with the configuration, and refuses the plugin.
    fn open(config: Self::Config) -> Result<Self>;

    /// Whether the object should move to the archive. If it should be deleted too, archiving comes first.
    fn should_archive(&self, _candidate: &Candidate, _now: Timestamp) -> bool {
        false
    }

    /// Whether the object should be deleted.
    fn should_delete(&self, _candidate: &Candidate, _now: Timestamp) -> bool {
        false
    }

    /// For how long after its `updated_at` nothing may delete the object, whoever asks; zero for no such wish.
    fn retention_period(&self, _candidate: &Candidate) -> Duration {
        Duration::ZERO
    }
}

/// A policy that knows when it will decide otherwise. Where all policies of a store do, larder looks at what was changed and
/// at what is due; with one that does not, it asks about every object at every run.
///
/// ```
/// use std::time::Duration;
///
/// use larder_sdk::{Candidate, Foresight, LifecyclePolicy, Result, Timestamp};
///
/// /// Archives what is a year old.
/// struct Yearly;
///
/// const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
///
/// impl LifecyclePolicy for Yearly {
///     type Config = ();
///
///     fn open((): ()) -> Result<Self> {
///         Ok(Self)
///     }
///
///     fn should_archive(&self, candidate: &Candidate, now: Timestamp) -> bool {
///         candidate.metadata.age(now) >= YEAR
///     }
/// }
///
/// impl Foresight for Yearly {
///     fn next_change(&self, candidate: &Candidate, now: Timestamp) -> Option<Timestamp> {
///         candidate.metadata.updated_at.after(YEAR).filter(|due| *due > now)
///     }
/// }
///
/// larder_sdk::export!(lifecycle with foresight: Yearly);
/// ```
pub trait Foresight: LifecyclePolicy {
    /// The first moment after `now` at which this policy may say something else about the object than it says as of `now`;
    /// `None` for never. An object that is written or gets other attributes until then is asked about at once anyway; one
    /// that is read is not, so what the policy says must hold even so.
    ///
    /// A moment that comes too early costs a question; with one that comes too late the policy speaks too late. `now` says
    /// that it can not be told: the object is asked about in the next run.
    fn next_change(&self, candidate: &Candidate, now: Timestamp) -> Option<Timestamp>;
}

/// An object to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What is known of it.
    pub metadata: Metadata,
    /// When it was last read, or written if that is later, if the host keeps track of that: no earlier than it was, and later
    /// where it is not known.
    pub last_read_at: Option<Timestamp>,
}
