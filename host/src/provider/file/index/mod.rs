//! The index: which objects there are, and where their bytes lie. What it says is so; its commit is the write.

mod due;
mod log;
mod readers;
mod row;
mod schema;
mod survey;
mod writer;

pub(super) use due::{DueChange, due, due_state, versions};
pub(super) use log::{Log, log_path, shared_memory_path, sync_closed};
pub(super) use readers::Readers;
pub(super) use row::{Damaged, Located, Order, Value, scan, usage, write_value};
pub(super) use schema::{
    body_generations, close_for_good, is_blank, last_generation, open, open_temporary, open_transaction, open_unchanged,
};
pub(super) use survey::{count, damage, values};
pub(super) use writer::{Change, Place, Writer};
