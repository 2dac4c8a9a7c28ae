//! What went wrong in a plugin, for its callers and for the operator.

use wasmtime::{Trap, WasmBacktrace};

use super::clock::Elapsed;
use super::limits::Breach;

/// Why an instance is of no more use.
#[derive(Debug)]
pub(super) enum Fault {
    /// It trapped, or broke the rules of the component model.
    Trap(wasmtime::Error),
    /// It did not answer in time.
    Timeout,
    /// It answered what the contract rules out.
    Contract(String),
}

impl From<Elapsed> for Fault {
    fn from(_: Elapsed) -> Self {
        Self::Timeout
    }
}

/// What a fault comes to: the value of the label `fault`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// A trap that is none of the others: a panic, mostly.
    Trap,
    /// It used more stack than there is.
    StackOverflow,
    /// It did not answer within `limits.call_timeout`.
    Timeout,
    /// It wanted more memory than `limits.memory`.
    Memory,
    /// It wanted larger tables than `limits.table_entries`.
    Tables,
    /// It wanted memory where all plugins together have as much as `plugin_memory` allows.
    TotalMemory,
    /// It handed more to the host in one piece than `limits.returned`.
    Returned,
    /// It answered what the contract rules out.
    Contract,
}

impl FaultKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::StackOverflow => "stack-overflow",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::Tables => "tables",
            Self::TotalMemory => "total-memory",
            Self::Returned => "returned",
            Self::Contract => "contract",
        }
    }
}

impl Fault {
    /// What the fault comes to, given the limit that the instance ran into, if it ran into one.
    pub(super) fn kind(&self, breach: Option<&Breach>) -> FaultKind {
        match self {
            Self::Timeout => FaultKind::Timeout,
            Self::Contract(_) => FaultKind::Contract,
            Self::Trap(error) => match (breach, error.downcast_ref::<Trap>()) {
                (Some(breach), _) => breach.kind(),
                (None, Some(Trap::Interrupt)) => FaultKind::Timeout,
                (None, Some(Trap::StackOverflow)) => FaultKind::StackOverflow,
                (None, Some(_)) => FaultKind::Trap,
                (None, None) if passed_hostcall_fuel(error) => FaultKind::Returned,
                (None, None) => FaultKind::Trap,
            },
        }
    }
}

impl Fault {
    /// Where in the guest it was.
    pub(super) fn backtrace(&self) -> Option<&WasmBacktrace> {
        match self {
            Self::Trap(error) => error.downcast_ref(),
            Self::Timeout | Self::Contract(_) => None,
        }
    }
}

/// Whether a guest handed over more than `Store::set_hostcall_fuel` allows. wasmtime has no type for that error.
fn passed_hostcall_fuel(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("fuel allocated for hostcalls has been exhausted")
}
