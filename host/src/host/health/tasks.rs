use std::time::Duration;

use super::{Finding, INDEX_KIND, since};
use crate::monitor::HealthState;
use crate::object::Timestamp;
use crate::scheduler::{RunOutcome, TaskStatus};

/// How a task is: by what came of its last run, and whether it starts when it is due. One that is paused is left alone.
pub(super) fn look(task: &TaskStatus, late: Duration, now: Timestamp) -> Option<Finding> {
    if task.paused {
        return None;
    }
    let finding = Finding::new("task", &task.name, "component");
    let failed = task.last_run.as_ref().filter(|run| matches!(run.outcome, RunOutcome::Failed | RunOutcome::TimedOut));
    if let Some(run) = failed {
        // A damaged index is found by a task, and the store can not be relied on.
        let state = if task.kind == INDEX_KIND { HealthState::Failed } else { HealthState::Degraded };
        let ended = run.ended_at.unwrap_or(run.started_at).format("%FT%TZ");
        let why = run.message.as_deref().unwrap_or("it took too long");
        return Some(finding.in_trouble(state, format!("its last run failed at {ended}: {why}")));
    }
    let lag = task.next_run.map_or(Duration::ZERO, |next| since(next, now));
    if lag > late {
        let why =
            format!("it should have started {} ago", humantime::format_duration(Duration::from_secs(lag.as_secs())));
        return Some(finding.measured(lag.as_secs_f64(), "s").in_trouble(HealthState::Degraded, why));
    }
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::now;
    use crate::scheduler::{Run, Trigger};

    fn status(now: Timestamp) -> TaskStatus {
        TaskStatus {
            name: "scrub:documents".into(),
            kind: "scrub".into(),
            schedule: "every day".into(),
            paused: false,
            running_since: None,
            next_run: Some(now),
            last_run: None,
            last_success: None,
            runs: 0,
            failures: 0,
        }
    }

    #[test]
    fn a_task_that_failed_or_does_not_start_is_told_of() {
        let (now, late) = (now(), Duration::from_secs(60));
        let state = |task: &TaskStatus| look(task, late, now).map(|finding| finding.check.state);
        assert_eq!(state(&status(now)), Some(HealthState::Healthy));
        let overdue = TaskStatus { next_run: Some(now - Duration::from_secs(61)), ..status(now) };
        assert_eq!(state(&overdue), Some(HealthState::Degraded));
        assert_eq!(state(&TaskStatus { paused: true, ..overdue }), None);
        let run = |outcome| Run {
            started_at: now,
            ended_at: Some(now),
            outcome,
            trigger: Trigger::Schedule,
            attempt: 1,
            message: Some("3 objects are damaged".into()),
        };
        let failed = TaskStatus { last_run: Some(run(RunOutcome::Failed)), ..status(now) };
        let found = look(&failed, late, now).unwrap().check;
        assert_eq!(found.state, HealthState::Degraded);
        assert!(found.output.unwrap().ends_with(": 3 objects are damaged"));
        assert_eq!(state(&TaskStatus { kind: INDEX_KIND.into(), ..failed }), Some(HealthState::Failed));
        let interrupted = TaskStatus { last_run: Some(run(RunOutcome::Interrupted)), ..status(now) };
        assert_eq!(state(&interrupted), Some(HealthState::Healthy), "the host was stopped");
    }
}
