//! What an eviction strategy promises.

mod batches;
mod churn;
mod isolation;
mod memory;
mod replay;
mod shard;
mod slots;
mod snapshot;
mod trial;
mod victims;
mod weights;

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;

use super::promise::Run;
use super::{Breach, Promise};
use crate::cache::EvictionStrategyFactory;
use crate::error::Result;

pub(super) use trial::Trial;

/// An eviction strategy held to the contract.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Opens what makes the strategy for each shard; every promise asks for another one. With `memory`, an instance is
    /// to have so many bytes of memory at most, if the subject [can limit it](Subject::limits_memory).
    ///
    /// # Errors
    /// Whatever keeps it from opening: it breaks the promise under test.
    async fn open(&self, memory: Option<usize>) -> Result<Arc<dyn EvictionStrategyFactory>>;

    /// Whether the same events lead to the same victims. Unless it says otherwise, they must.
    fn is_deterministic(&self) -> bool {
        true
    }

    /// Whether [`open`](Subject::open) heeds a limit of memory, so that growth without bounds can be seen.
    fn limits_memory(&self) -> bool {
        false
    }
}

/// A strategy that is there already, and the same for every promise.
#[derive(Clone, Debug)]
pub struct Native {
    /// What makes the strategies.
    pub factory: Arc<dyn EvictionStrategyFactory>,
    /// Whether the same events lead to the same victims.
    pub is_deterministic: bool,
}

#[async_trait]
impl Subject for Native {
    async fn open(&self, _memory: Option<usize>) -> Result<Arc<dyn EvictionStrategyFactory>> {
        Ok(Arc::clone(&self.factory))
    }

    fn is_deterministic(&self) -> bool {
        self.is_deterministic
    }
}

/// All promises, those that others build upon first.
pub fn promises() -> &'static [Promise] {
    static PROMISES: LazyLock<Vec<Promise>> = LazyLock::new(|| {
        [
            batches::promises(),
            victims::promises(),
            weights::promises(),
            slots::promises(),
            isolation::promises(),
            replay::promises(),
            snapshot::promises(),
            memory::promises(),
        ]
        .into_iter()
        .flatten()
        .collect()
    });
    &PROMISES
}

fn run(prove: fn(&Trial) -> Result<(), Breach>) -> Run {
    Run::Eviction(prove)
}
