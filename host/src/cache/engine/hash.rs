use std::hash::{BuildHasher, Hash};
use std::sync::LazyLock;

use quick_cache::DefaultHashBuilder;

/// One seed for the whole process: a strategy may remember hashes for longer than one cache lives.
static BUILDER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

/// How keys are hashed in every cache of this process.
pub(super) fn builder() -> DefaultHashBuilder {
    BUILDER.clone()
}

/// The hash of a key, the same as long as the process runs.
#[inline]
pub(super) fn hash<K: Hash>(key: &K) -> u64 {
    BUILDER.hash_one(key)
}
