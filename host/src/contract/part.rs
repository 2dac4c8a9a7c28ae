use std::fmt;
use std::sync::Arc;

use super::{eviction, lifecycle, provider};
use crate::plugin::Kind;

/// What is held to a contract, by its kind.
#[derive(Clone)]
pub enum Part {
    /// A storage provider.
    Provider(Arc<dyn provider::Subject>),
    /// An eviction strategy.
    Eviction(Arc<dyn eviction::Subject>),
    /// A lifecycle policy.
    Lifecycle(Arc<dyn lifecycle::Subject>),
}

impl Part {
    /// Which contract it is held to.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Provider(_) => Kind::Provider,
            Self::Eviction(_) => Kind::Eviction,
            Self::Lifecycle(_) => Kind::Lifecycle,
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Part").field(&self.kind()).finish()
    }
}
