use crate::error::{Error, Result};

/// What a provider can be asked to do: the value of the label `operation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Storing an object.
    Store,
    /// Retrieving an object or a range of it.
    Retrieve,
    /// Deleting an object.
    Delete,
    /// Listing a page.
    List,
    /// Asking for an object's metadata.
    Metadata,
    /// Changing an object's attributes.
    Update,
    /// Archiving, restoring or deleting an object because of its age.
    Age,
    /// Asking how much there is.
    Usage,
}

impl Operation {
    /// All of them, in the order in which they stand here.
    pub(super) const ALL: [Self; 8] =
        [Self::Store, Self::Retrieve, Self::Delete, Self::List, Self::Metadata, Self::Update, Self::Age, Self::Usage];

    /// The operation as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Retrieve => "retrieve",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Metadata => "metadata",
            Self::Update => "update",
            Self::Age => "age",
            Self::Usage => "usage",
        }
    }
}

/// The values of the label `outcome`: `ok`, or the kind of the error.
pub(super) const OUTCOMES: [&str; 13] = [
    "ok",
    "not-found",
    "precondition-failed",
    "invalid-input",
    "range-not-satisfiable",
    "unsupported",
    "exhausted",
    "too-large",
    "corrupt",
    "permission-denied",
    "unavailable",
    "timeout",
    "internal",
];

/// Where among [`OUTCOMES`] a result stands.
pub(super) fn outcome_index<T>(result: &Result<T>) -> usize {
    match result {
        Ok(_) => 0,
        Err(error) => match error {
            Error::NotFound { .. } => 1,
            Error::PreconditionFailed { .. } => 2,
            Error::InvalidInput { .. } => 3,
            Error::RangeNotSatisfiable { .. } => 4,
            Error::Unsupported { .. } => 5,
            Error::Exhausted { .. } => 6,
            Error::TooLarge { .. } => 7,
            Error::Corrupt { .. } => 8,
            Error::PermissionDenied { .. } => 9,
            Error::Unavailable { .. } => 10,
            Error::Timeout { .. } => 11,
            Error::Internal { .. } => 12,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{ByteRange, Key};

    #[test]
    fn an_outcome_is_the_kind_of_the_error() {
        let key = Key::new("k").unwrap();
        let errors = [
            Error::not_found(&key),
            Error::precondition_failed(""),
            Error::invalid_input(""),
            Error::RangeNotSatisfiable { range: ByteRange::starting_at(9), size: 1 },
            Error::unsupported(""),
            Error::exhausted(""),
            Error::too_large(""),
            Error::corrupt(""),
            Error::permission_denied(""),
            Error::unavailable(""),
            Error::timeout(""),
            Error::internal(""),
        ];
        assert_eq!(OUTCOMES[outcome_index(&Ok(()))], "ok");
        assert_eq!(errors.len() + 1, OUTCOMES.len());
        for error in errors {
            let kind = error.kind();
            assert_eq!(OUTCOMES[outcome_index::<()>(&Err(error))], kind);
        }
    }
}
