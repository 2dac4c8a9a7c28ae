//! What a [`Cache`](super::Cache) keeps its entries in: the crate `quick_cache`, or shards of slots that ask an
//! [`EvictionStrategy`](super::EvictionStrategy) what to drop.

mod chooser;
mod expiries;
mod hash;
mod moment;
mod quick;
mod read_log;
mod rebuild;
mod shards;
mod slots;
mod stored;
mod table;

pub(super) use chooser::Chooser;
pub(super) use moment::Moment;
pub(super) use quick::QuickEngine;
pub(super) use shards::shards;
pub(super) use slots::SlotEngine;
pub(super) use stored::Stored;
pub(super) use table::{Limits, Table};
