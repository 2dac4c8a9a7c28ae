//! Which of an instance's tasks belongs to which call.

use wasmtime::component::GuestTaskId;

use super::operation::Operation;

/// A call, as the log names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunningCall {
    /// How many there were on the instance before it, and one.
    pub(super) number: u64,
    pub(super) operation: Operation,
}

/// The calls that run on an instance.
#[derive(Debug, Default)]
pub(super) struct RunningCalls {
    begun: u64,
    /// As few as there are calls at a time, most often one.
    calls: Vec<(GuestTaskId, RunningCall)>,
}

impl RunningCalls {
    pub(super) fn begin(&mut self, task: GuestTaskId, operation: Operation) {
        self.begun += 1;
        self.calls.push((task, RunningCall { number: self.begun, operation }));
    }

    pub(super) fn end(&mut self, task: GuestTaskId) {
        self.calls.retain(|(running, _)| *running != task);
    }

    /// The call that this task is.
    pub(super) fn of(&self, task: GuestTaskId) -> Option<RunningCall> {
        self.calls.iter().find(|(running, _)| *running == task).map(|(_, call)| *call)
    }
}
