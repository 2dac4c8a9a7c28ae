use super::Verdict;
use crate::error::Error;

/// Why a promise does not count as kept.
#[derive(Debug)]
pub(super) enum Breach {
    /// The provider did what it must not.
    Broken(String),
    /// The provider failed where it must not.
    Failed(Error),
    /// The promise is about providers of another kind.
    NotApplicable,
}

impl Breach {
    pub(super) fn into_verdict(self) -> Verdict {
        match self {
            Self::Broken(how) => Verdict::Broken(how),
            Self::Failed(Error::Unsupported { message }) => Verdict::Unsupported(message),
            Self::Failed(error) => Verdict::Broken(format!("it failed, {}: {error}", error.kind())),
            Self::NotApplicable => Verdict::NotApplicable,
        }
    }

    /// Says at which of several steps, counted from 1.
    pub(super) fn at(self, step: usize) -> Self {
        self.reworded(|how| format!("step {step}: {how}"))
    }

    /// Says after what.
    pub(super) fn after(self, what: &str) -> Self {
        self.reworded(|how| format!("{how}; {what}"))
    }

    /// What is no breach stays as it is.
    fn reworded(self, reword: impl FnOnce(String) -> String) -> Self {
        match self.into_verdict() {
            Verdict::Broken(how) => Self::Broken(reword(how)),
            Verdict::Unsupported(what) => Self::Failed(Error::unsupported(what)),
            Verdict::Kept | Verdict::NotApplicable => Self::NotApplicable,
        }
    }
}

impl From<Error> for Breach {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Breaks the promise, with a message, unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::contract::breach::Breach::Broken(format!($($message)+)));
        }
    };
}

/// Breaks the promise unless what was found equals what was wanted.
macro_rules! ensure_eq {
    ($found:expr, $wanted:expr, $($what:tt)+) => {
        match (&$found, &$wanted) {
            (found, wanted) if found == wanted => {}
            (found, wanted) => {
                let what = format!($($what)+);
                return Err($crate::contract::breach::Breach::Broken(format!(
                    "{what} is {found:?} where it must be {wanted:?}"
                )));
            }
        }
    };
}

/// Breaks the promise unless the result is an error of this kind.
macro_rules! ensure_fails {
    ($result:expr, $kind:literal, $($what:tt)+) => {
        match $result {
            Err(error) if error.kind() == $kind => {}
            Err(error @ $crate::error::Error::Unsupported { .. }) => return Err(error.into()),
            Err(error) => {
                let what = format!($($what)+);
                return Err($crate::contract::breach::Breach::Broken(format!(
                    "{what} failed with {}, not {}: {error}", error.kind(), $kind
                )));
            }
            Ok(_) => {
                let what = format!($($what)+);
                return Err($crate::contract::breach::Breach::Broken(format!("{what} succeeded where it must fail with {}", $kind)));
            }
        }
    };
}

/// The promises of a file: from the functions that prove them, each with its name and its sentence. Those of a provider
/// are `async`; the others block.
macro_rules! promises {
    ($($(#[doc = $says:literal])+ async fn $name:ident($trial:ident) $body:block)+) => {
        pub(super) fn promises() -> Vec<$crate::contract::Promise> {
            vec![$(
                $crate::contract::Promise {
                    name: stringify!($name),
                    says: concat!($($says),+).trim_ascii(),
                    run: $crate::contract::promise::Run::Provider(|trial| Box::pin($name(trial))),
                }
            ),+]
        }

        $(
            async fn $name(
                $trial: &$crate::contract::provider::Trial<'_>,
            ) -> $crate::error::Result<(), $crate::contract::breach::Breach> $body
        )+
    };
    ($($(#[doc = $says:literal])+ fn $name:ident($trial:ident) $body:block)+) => {
        pub(super) fn promises() -> Vec<$crate::contract::Promise> {
            vec![$(
                $crate::contract::Promise {
                    name: stringify!($name),
                    says: concat!($($says),+).trim_ascii(),
                    run: super::run($name),
                }
            ),+]
        }

        $(
            fn $name($trial: &super::Trial) -> $crate::error::Result<(), $crate::contract::breach::Breach> $body
        )+
    };
}
