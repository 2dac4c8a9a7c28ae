//! The native strategies, a file each.

pub(super) mod clock;
pub(super) mod fifo;
mod ghosts;
pub(super) mod lfu;
pub(super) mod lru;
mod queues;
pub(super) mod random;
pub(super) mod s3_fifo;
pub(super) mod sieve;

/// A factory of strategies that need no more than to be made.
macro_rules! factory {
    ($strategy:ty, $name:literal) => {
        #[derive(Debug)]
        pub(in crate::cache) struct Factory;

        impl $crate::cache::EvictionStrategyFactory for Factory {
            fn name(&self) -> &str {
                $name
            }

            fn open(
                &self,
                capacity: u64,
            ) -> $crate::error::Result<::std::boxed::Box<dyn $crate::cache::EvictionStrategy>> {
                Ok(::std::boxed::Box::new(<$strategy>::new(capacity)))
            }
        }
    };
}
use factory;
