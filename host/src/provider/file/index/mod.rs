//! The index: which objects there are, and where their bytes lie. What it says is so; its commit is the write.

mod log;
mod readers;
mod row;
mod schema;
mod writer;

pub(super) use log::{Log, sync_closed};
pub(super) use readers::Readers;
pub(super) use row::{Located, Value, usage};
pub(super) use schema::{body_generations, last_generation, open};
pub(super) use writer::{Change, Place, Writer};
