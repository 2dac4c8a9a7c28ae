use clap::{CommandFactory, Parser};

use super::*;
use crate::cli::output::{Audience, Output};
use crate::object::Timestamp;
use crate::scheduler::{RunOutcome, TaskStatus, Trigger};

/// The command by itself.
#[derive(Debug, Parser)]
#[command(name = "task")]
struct Typed {
    #[command(flatten)]
    task: TaskCommand,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn run(outcome: RunOutcome, trigger: Trigger, message: Option<&str>) -> Run {
    Run {
        started_at: at("2026-11-22T03:00:00Z"),
        ended_at: (outcome != RunOutcome::Missed).then(|| at("2026-11-22T03:00:12.345Z")),
        outcome,
        trigger,
        attempt: if trigger == Trigger::Retry { 2 } else { 1 },
        message: message.map(str::to_owned),
    }
}

fn status(name: &str, last_run: Option<Run>) -> TaskStatus {
    TaskStatus {
        name: name.to_owned(),
        kind: name.split(':').next().unwrap().to_owned(),
        schedule: "0 3 * * * Europe/Berlin".to_owned(),
        paused: false,
        running_since: None,
        next_run: Some(at("2026-11-23T02:00:00Z")),
        last_run,
        last_success: None,
        runs: 7,
        failures: 1,
    }
}

fn statuses() -> [TaskStatus; 4] {
    let failed = run(RunOutcome::TimedOut, Trigger::Retry, Some("took longer than its deadline of 10m"));
    let succeeded = run(RunOutcome::Succeeded, Trigger::Schedule, None);
    [
        status("backup:documents", Some(failed)),
        TaskStatus { running_since: Some(at("2026-11-22T03:00:00Z")), ..status("lifecycle:documents", None) },
        TaskStatus { paused: true, ..status("scrub:documents", Some(succeeded)) },
        TaskStatus { schedule: "every 30s".to_owned(), ..status("usage:documents", None) },
    ]
}

/// What is said on standard output, and how it ends.
fn said(audience: Audience, tell: impl FnOnce(&Output) -> Result<(), Failure>) -> String {
    let (output, results, remarks) = Output::kept(audience);
    let exit = match tell(&output) {
        Ok(()) => 0,
        Err(failure) => {
            output.failure(&failure);
            failure.exit() as u8
        }
    };
    format!("{}{}[exit {exit}]", results.take(), remarks.take())
}

#[test]
fn the_help_teaches() {
    for mut command in Typed::command().get_subcommands().cloned() {
        let name = format!("help_of_{}", command.get_name());
        insta::assert_snapshot!(name, command.render_long_help());
    }
}

#[test]
fn tasks_for_people_and_for_programs() {
    insta::assert_snapshot!("tasks_for_people", said(Audience::People, |output| list::tell(&statuses(), output)));
    insta::assert_snapshot!(
        "tasks_for_programs",
        said(Audience::Programs, |output| list::tell(&statuses()[..1], output))
    );
}

#[test]
fn a_history_for_people() {
    let runs = [
        run(RunOutcome::Succeeded, Trigger::Retry, None),
        run(RunOutcome::Failed, Trigger::Schedule, Some("the disk is full\u{1b}[2J")),
        run(RunOutcome::Missed, Trigger::Schedule, None),
        run(RunOutcome::Succeeded, Trigger::Hand, None),
        run(RunOutcome::Succeeded, Trigger::CatchUp, None),
    ];
    insta::assert_snapshot!(said(Audience::People, |output| history::tell(&runs, output)));
}

#[test]
fn a_run_that_failed_is_told_by_the_exit_code() {
    let failed = run(RunOutcome::Failed, Trigger::Hand, Some("the disk is full"));
    let succeeded = run(RunOutcome::Succeeded, Trigger::Hand, None);
    let tell = |run: &Run, audience| said(audience, |output| run::tell("backup:documents", run, output));
    assert_eq!(tell(&succeeded, Audience::People), "backup:documents succeeded in 12.3 s\n[exit 0]");
    assert_eq!(tell(&failed, Audience::People), "error: backup:documents failed: the disk is full\n[exit 1]");
    let told = tell(&failed, Audience::Programs);
    assert!(told.contains(r#""outcome": "failed""#) && told.ends_with("[exit 1]"), "{told}");
}
