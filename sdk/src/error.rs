use std::fmt;
use std::time::Duration;

/// The result of what can fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, told to a caller and to an operator.
///
/// Any [`std::error::Error`] becomes one of the kind [`Internal`](ErrorKind::Internal) through `?`; where the caller can
/// do something about it, say so with another kind.
///
/// ```
/// use larder_sdk::{Error, ErrorKind, Result};
///
/// fn parse(text: &str) -> Result<u32> {
///     Ok(text.trim().parse::<u32>()?)
/// }
/// assert_eq!(parse("x").unwrap_err().kind, ErrorKind::Internal);
///
/// let error = Error::exhausted("all 64 slots are taken").with_code("slots-full");
/// assert_eq!(error.to_string(), "all 64 slots are taken");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure it is: what the caller can act on.
    pub kind: ErrorKind,
    /// A stable word for programs, in the plugin's own vocabulary, or empty.
    pub code: String,
    /// One line for people: what was asked, what was found, what would mend it. Never a secret.
    pub message: String,
    /// With [`ErrorKind::Unavailable`]: do not try again sooner than this.
    pub retry_after: Option<Duration>,
}

/// What a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// There is no such object.
    NotFound,
    /// The object is not in the state that the request's condition named. Nothing was changed.
    PreconditionFailed,
    /// The request makes no sense to the plugin, and would not on another day either.
    InvalidInput,
    /// The range begins at or behind the object's end.
    RangeNotSatisfiable,
    /// The plugin does not do this.
    Unsupported,
    /// There is no room left: a quota, a disk, a memory limit.
    Exhausted,
    /// This one object or result is larger than the plugin takes.
    TooLarge,
    /// What was kept is not what was given.
    Corrupt,
    /// A credential or a grant is missing, or was refused further down.
    PermissionDenied,
    /// Not now: trying again later may succeed.
    Unavailable,
    /// Took too long further down.
    Timeout,
    /// A fault of the plugin itself.
    Internal,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(message: impl Into<String>) -> Self {
                Self::new(ErrorKind::$kind, message)
            }
        )*
    };
}

impl Error {
    /// A failure of this kind, without a code.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, code: String::new(), message: message.into(), retry_after: None }
    }

    /// There is no object under the key.
    pub fn not_found(key: &str) -> Self {
        Self::new(ErrorKind::NotFound, format!("there is no object \u{2018}{key}\u{2019}"))
    }

    constructors! {
        /// [`ErrorKind::PreconditionFailed`].
        precondition_failed => PreconditionFailed;
        /// [`ErrorKind::InvalidInput`].
        invalid_input => InvalidInput;
        /// [`ErrorKind::RangeNotSatisfiable`].
        range_not_satisfiable => RangeNotSatisfiable;
        /// [`ErrorKind::Unsupported`].
        unsupported => Unsupported;
        /// [`ErrorKind::Exhausted`].
        exhausted => Exhausted;
        /// [`ErrorKind::TooLarge`].
        too_large => TooLarge;
        /// [`ErrorKind::Corrupt`].
        corrupt => Corrupt;
        /// [`ErrorKind::PermissionDenied`].
        permission_denied => PermissionDenied;
        /// [`ErrorKind::Unavailable`].
        unavailable => Unavailable;
        /// [`ErrorKind::Timeout`].
        timeout => Timeout;
        /// [`ErrorKind::Internal`].
        internal => Internal;
    }

    /// The same failure with a stable word for programs.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = code.into();
        self
    }

    /// The same failure with a time before which trying again is no use.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Whether it is of this kind.
    pub fn is(&self, kind: ErrorKind) -> bool {
        self.kind == kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// `Error` is no `std::error::Error` itself: it would convert into itself twice.
impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self::internal(error.to_string())
    }
}
