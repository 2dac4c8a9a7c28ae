use std::sync::Arc;

use tokio::runtime::Handle;

use super::Subject;
use super::shard::Shard;
use crate::cache::EvictionStrategyFactory;
use crate::contract::{Breach, Options};
use crate::error::Result;
use crate::random::Random;

/// One strategy held to one promise, on a thread of its own.
pub(in crate::contract) struct Trial {
    subject: Arc<dyn Subject>,
    runtime: Handle,
    promise: &'static str,
    seed: u64,
}

impl Trial {
    /// Called on a tokio runtime.
    pub(in crate::contract) fn new(subject: Arc<dyn Subject>, promise: &'static str, options: &Options) -> Self {
        Self { subject, runtime: Handle::current(), promise, seed: options.seed }
    }

    pub(super) fn factory(&self) -> Result<Arc<dyn EvictionStrategyFactory>> {
        self.runtime.block_on(self.subject.open(None))
    }

    /// A factory of strategies that have so much memory, if that can be limited.
    pub(super) fn factory_within(&self, memory: usize) -> Result<Arc<dyn EvictionStrategyFactory>, Breach> {
        if !self.subject.limits_memory() {
            return Err(Breach::NotApplicable);
        }
        Ok(self.runtime.block_on(self.subject.open(Some(memory)))?)
    }

    /// An empty shard whose weights may sum to `capacity`.
    pub(super) fn shard(&self, capacity: u64) -> Result<Shard> {
        Ok(Shard::new(self.factory()?.open(capacity)?))
    }

    pub(super) fn is_deterministic(&self) -> bool {
        self.subject.is_deterministic()
    }

    /// Random numbers: the same for the same seed and promise.
    pub(super) fn random(&self) -> Random {
        Random::for_promise(self.seed, self.promise)
    }

    /// What its random numbers are made from.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }
}
