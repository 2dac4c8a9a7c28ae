/// What a plugin can be asked to do: a function that it exports, under its name in logs, errors and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Making an instance, before it is asked anything.
    Instantiate,
    /// `open`, of every kind.
    Open,
    /// `store-object`.
    Store,
    /// `retrieve-object`.
    Retrieve,
    /// `delete-object`.
    Delete,
    /// `list-objects`.
    List,
    /// `read-metadata`.
    Metadata,
    /// `update-attributes`.
    Update,
    /// `step`, of an eviction strategy.
    Step,
    /// `snapshot`, of an eviction strategy with memory.
    Snapshot,
    /// `restore`, of an eviction strategy with memory.
    Restore,
    /// `decide`, of a lifecycle policy.
    Decide,
    /// `next-changes`, of a lifecycle policy with foresight.
    Foresee,
}

impl Operation {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 13] = [
        Self::Instantiate,
        Self::Open,
        Self::Store,
        Self::Retrieve,
        Self::Delete,
        Self::List,
        Self::Metadata,
        Self::Update,
        Self::Step,
        Self::Snapshot,
        Self::Restore,
        Self::Decide,
        Self::Foresee,
    ];

    /// The operation as one word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Instantiate => "instantiate",
            Self::Open => "open",
            Self::Store => "store",
            Self::Retrieve => "retrieve",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Metadata => "metadata",
            Self::Update => "update",
            Self::Step => "step",
            Self::Snapshot => "snapshot",
            Self::Restore => "restore",
            Self::Decide => "decide",
            Self::Foresee => "foresee",
        }
    }
}
