//! What can go wrong, as kinds that a caller can act on.

use std::time::Duration;

use crate::object::{ByteRange, Key};

/// The result of an operation on a store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure. The variants are the kinds of the plugin interface (`error-kind` in `wit/types.wit`), one for one.
///
/// Messages are one line for people, say what was asked, what was found and what would mend it, and hold no secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no such object.
    #[error("there is no object \u{2018}{key}\u{2019}")]
    NotFound {
        /// What was asked for.
        key: Key,
    },
    /// The object is not in the state that the request's condition named. Nothing was changed.
    #[error("{message}")]
    PreconditionFailed {
        /// What was asked and what was found.
        message: String,
    },
    /// The request makes no sense, and would not on another day either.
    #[error("{message}")]
    InvalidInput {
        /// What was asked and what would do.
        message: String,
    },
    /// The range begins at or behind the object's end.
    #[error("the range {range} begins behind the end of an object of {size} bytes")]
    RangeNotSatisfiable {
        /// What was asked for.
        range: ByteRange,
        /// How many bytes the object has.
        size: u64,
    },
    /// The provider does not do this.
    #[error("{message}")]
    Unsupported {
        /// What it does not do.
        message: String,
    },
    /// There is no room left: a quota, a disk, a memory limit.
    #[error("{message}")]
    Exhausted {
        /// What is full.
        message: String,
    },
    /// This one object or result is larger than what is taken.
    #[error("{message}")]
    TooLarge {
        /// What is too large, and how much would do.
        message: String,
    },
    /// What was kept is not what was given. The bytes are never returned.
    #[error("{message}")]
    Corrupt {
        /// What does not agree.
        message: String,
    },
    /// A credential or a grant is missing, or was refused further down.
    #[error("{message}")]
    PermissionDenied {
        /// What was refused, and what would allow it.
        message: String,
    },
    /// Not now: trying again later may succeed.
    #[error("{message}")]
    Unavailable {
        /// What is not available.
        message: String,
        /// When set: do not try again sooner than this.
        retry_after: Option<Duration>,
    },
    /// Took longer than it may.
    #[error("{message}")]
    Timeout {
        /// What took how long.
        message: String,
    },
    /// A fault of the host, a provider or a plugin.
    #[error("{message}")]
    Internal {
        /// What went wrong.
        message: String,
    },
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $variant:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(message: impl Into<String>) -> Self {
                Self::$variant { message: message.into() }
            }
        )*
    };
}

impl Error {
    constructors! {
        /// An [`Error::PreconditionFailed`].
        precondition_failed => PreconditionFailed;
        /// An [`Error::InvalidInput`].
        invalid_input => InvalidInput;
        /// An [`Error::Unsupported`].
        unsupported => Unsupported;
        /// An [`Error::Exhausted`].
        exhausted => Exhausted;
        /// An [`Error::TooLarge`].
        too_large => TooLarge;
        /// An [`Error::Corrupt`].
        corrupt => Corrupt;
        /// An [`Error::PermissionDenied`].
        permission_denied => PermissionDenied;
        /// An [`Error::Timeout`].
        timeout => Timeout;
        /// An [`Error::Internal`].
        internal => Internal;
    }

    /// An [`Error::NotFound`].
    pub fn not_found(key: &Key) -> Self {
        Self::NotFound { key: key.clone() }
    }

    /// An [`Error::Unavailable`] that says nothing about when to try again.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into(), retry_after: None }
    }

    /// The kind as one word, the same in logs, metrics, JSON and the plugin interface.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::PreconditionFailed { .. } => "precondition-failed",
            Self::InvalidInput { .. } => "invalid-input",
            Self::RangeNotSatisfiable { .. } => "range-not-satisfiable",
            Self::Unsupported { .. } => "unsupported",
            Self::Exhausted { .. } => "exhausted",
            Self::TooLarge { .. } => "too-large",
            Self::Corrupt { .. } => "corrupt",
            Self::PermissionDenied { .. } => "permission-denied",
            Self::Unavailable { .. } => "unavailable",
            Self::Timeout { .. } => "timeout",
            Self::Internal { .. } => "internal",
        }
    }
}
