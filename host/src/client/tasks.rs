use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{RemoteHost, read_json};
use crate::error::Result;
use crate::scheduler::{Run, TaskStatus};

impl RemoteHost {
    /// How each of its tasks is doing, ordered by name.
    ///
    /// # Errors
    /// As [`stores`](Self::stores).
    pub async fn tasks(&self) -> Result<Vec<TaskStatus>> {
        read_json(self.ask(Method::GET, "/tasks").await?).await
    }

    /// The last runs of a task, newest first.
    ///
    /// # Errors
    /// As [`stores`](Self::stores); [`Error::InvalidInput`](crate::error::Error::InvalidInput) if there is no such task.
    pub async fn task_history(&self, task: &str) -> Result<Vec<Run>> {
        read_json(self.ask(Method::GET, &target(task, "history")).await?).await
    }

    /// Runs a task at once, and waits for the run to end. It goes on if nobody waits any more.
    ///
    /// # Errors
    /// As [`task_history`](Self::task_history); [`Error::Unavailable`](crate::error::Error::Unavailable) if it runs already.
    pub async fn run_task(&self, task: &str) -> Result<Run> {
        read_json(self.ask(Method::POST, &target(task, "run")).await?).await
    }

    /// Starts a task no more until it is resumed, over restarts too.
    ///
    /// # Errors
    /// As [`task_history`](Self::task_history); [`Error::Internal`](crate::error::Error::Internal) if it holds only until
    /// the host ends.
    pub async fn pause_task(&self, task: &str) -> Result<()> {
        self.ask(Method::POST, &target(task, "pause")).await.map(drop)
    }

    /// Starts a task again when it is due.
    ///
    /// # Errors
    /// As [`pause_task`](Self::pause_task).
    pub async fn resume_task(&self, task: &str) -> Result<()> {
        self.ask(Method::POST, &target(task, "resume")).await.map(drop)
    }
}

fn target(task: &str, what: &str) -> String {
    format!("/tasks/{}/{what}", utf8_percent_encode(task, NON_ALPHANUMERIC))
}
