//! What a lifecycle policy promises.

mod batches;
mod foresight;
mod purity;
mod sample;
mod time;
mod totality;
mod trial;

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;

use super::promise::Run;
use super::{Breach, Promise};
use crate::error::Result;
use crate::lifecycle::LifecyclePolicy;

pub(super) use trial::Trial;

/// A lifecycle policy held to the contract.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Opens the policy; every promise asks for another one.
    ///
    /// # Errors
    /// Whatever keeps it from opening: it breaks the promise under test.
    async fn open(&self) -> Result<Arc<dyn LifecyclePolicy>>;
}

/// A policy that is there already, and the same for every promise.
#[derive(Clone, Debug)]
pub struct Native {
    /// The policy.
    pub policy: Arc<dyn LifecyclePolicy>,
}

#[async_trait]
impl Subject for Native {
    async fn open(&self) -> Result<Arc<dyn LifecyclePolicy>> {
        Ok(Arc::clone(&self.policy))
    }
}

/// All promises, those that others build upon first.
pub fn promises() -> &'static [Promise] {
    static PROMISES: LazyLock<Vec<Promise>> = LazyLock::new(|| {
        [batches::promises(), purity::promises(), totality::promises(), time::promises(), foresight::promises()]
            .into_iter()
            .flatten()
            .collect()
    });
    &PROMISES
}

fn run(prove: fn(&Trial) -> Result<(), Breach>) -> Run {
    Run::Lifecycle(prove)
}
