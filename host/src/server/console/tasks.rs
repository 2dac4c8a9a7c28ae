//! The tasks, their last runs, and the buttons that run and pause them.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::access::{Notice, Visitor};
use super::page::{self, Page, Tone, badge};
use super::{Console, format};
use crate::error::Result;
use crate::object::{Timestamp, now};
use crate::scheduler::{Run, RunOutcome, TaskStatus};

/// How long a page waits for a run that a button started. One that takes longer goes on.
const PATIENCE: Duration = Duration::from_secs(2);

/// The page that a button is on, which is shown again.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Overview,
    Task,
}

impl Place {
    fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Task => "task",
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Pressed {
    on: Place,
}

type Shared = State<Arc<Console>>;
type Who = Extension<Visitor>;

pub(super) async fn run(
    State(console): Shared,
    Extension(visitor): Who,
    Path(name): Path<String>,
    Form(pressed): Form<Pressed>,
) -> Redirect {
    let notice = match timeout(PATIENCE, console.host.tasks.run_task(&name)).await {
        Err(_) => Notice::Done(format!("{name} runs, and goes on.")),
        Ok(Err(error)) => Notice::Failed(error.to_string()),
        Ok(Ok(run)) => came_of(&name, &run),
    };
    console.tell(&visitor, notice);
    pressed.back(&name)
}

pub(super) async fn pause(
    State(console): Shared,
    Extension(visitor): Who,
    Path(name): Path<String>,
    Form(pressed): Form<Pressed>,
) -> Redirect {
    let paused = console.host.tasks.pause_task(&name).await;
    console.tell(&visitor, done(paused, format!("{name} is paused until it is resumed.")));
    pressed.back(&name)
}

pub(super) async fn resume(
    State(console): Shared,
    Extension(visitor): Who,
    Path(name): Path<String>,
    Form(pressed): Form<Pressed>,
) -> Redirect {
    let resumed = console.host.tasks.resume_task(&name).await;
    console.tell(&visitor, done(resumed, format!("{name} goes on when it is due.")));
    pressed.back(&name)
}

impl Pressed {
    fn back(&self, task: &str) -> Redirect {
        match self.on {
            Place::Overview => Redirect::to("/console#tasks"),
            Place::Task => Redirect::to(&format!("/console/tasks/{}", format::in_path(task))),
        }
    }
}

fn done(result: Result<()>, words: String) -> Notice {
    result.map_or_else(|error| Notice::Failed(error.to_string()), |()| Notice::Done(words))
}

fn came_of(name: &str, run: &Run) -> Notice {
    if run.outcome == RunOutcome::Succeeded {
        let took = run.ended_at.map(|end| format!(" in {}", format::took(run.started_at, end)));
        return Notice::Done(format!("{name} succeeded{}.", took.unwrap_or_default()));
    }
    let message = run.message.as_deref().unwrap_or("it does not say why");
    Notice::Failed(format!("{name} {}: {message}", run.outcome))
}

/// All tasks.
pub(super) fn part(tasks: &[TaskStatus], now: Timestamp) -> Markup {
    let content = html! {
        table {
            caption { "A name leads to the last runs" }
            thead { tr {
                th scope="col" { "Task" }
                th scope="col" { "Schedule" }
                th scope="col" { "Last run" }
                th scope="col" { "Next run" }
                th scope="col" .number { "Runs" }
                th scope="col" .number { "Failed" }
                th scope="col" { "Actions" }
            } }
            tbody { @for task in tasks { (row(task, now)) } }
        }
    };
    page::part("tasks", "Tasks", content)
}

fn row(task: &TaskStatus, now: Timestamp) -> Markup {
    html! {
        tr id={ "task-" (task.name) } {
            th scope="row" { a href={ "/console/tasks/" (format::in_path(&task.name)) } { (task.name) } }
            td data-label="Schedule" { (task.schedule) }
            td .words data-label="Last run" {
                @match &task.last_run {
                    Some(run) => {
                        (outcome(run.outcome)) " " (format::relative(run.started_at, now))
                        @if let Some(message) = run.message.as_ref().filter(|_| run.outcome.is_failure()) {
                            ": " (message)
                        }
                    },
                    None => span .none { "none yet" },
                }
            }
            td data-label="Next run" { (next(task, now)) }
            td .number data-label="Runs" { (format::count(task.runs)) }
            td .number data-label="Failed" { (format::count(task.failures)) }
            td .actions data-label="Actions" { (buttons(task, Place::Overview)) }
        }
    }
}

fn next(task: &TaskStatus, now: Timestamp) -> Markup {
    match (task.running_since, task.paused, task.next_run) {
        (Some(since), _, _) => html! { (badge(Tone::Neutral, "running")) " since " (format::moment(since)) },
        (None, true, _) => badge(Tone::Warning, "paused"),
        (None, false, Some(next)) => format::relative(next, now),
        (None, false, None) => html! { span .none { "none" } },
    }
}

fn outcome(outcome: RunOutcome) -> Markup {
    let tone = match outcome {
        RunOutcome::Succeeded => Tone::Good,
        RunOutcome::Failed | RunOutcome::TimedOut => Tone::Bad,
        RunOutcome::Interrupted | RunOutcome::Missed => Tone::Warning,
    };
    badge(tone, outcome.as_str())
}

fn buttons(task: &TaskStatus, on: Place) -> Markup {
    let (name, path) = (&task.name, format::in_path(&task.name));
    // One button that changes its mind, so that it keeps the focus.
    let (change, word) = if task.paused { ("resume", "Resume") } else { ("pause", "Pause") };
    let button = |id: &str, action: &str, word: &str| {
        html! {
            form method="post" action={ "/console/tasks/" (path) "/" (action) } data-inline {
                input type="hidden" name="on" value=(on.as_str());
                button #{ (id) "-" (name) } type="submit" aria-label={ (word) " " (name) } { (word) }
            }
        }
    };
    html! { (button("run", "run", "Run")) (button("hold", change, word)) }
}

/// A task, with its last runs.
pub(super) async fn show(State(console): Shared, Extension(visitor): Who, Path(name): Path<String>) -> Response {
    let tasks = console.host.tasks.status();
    let found = tasks.iter().find(|task| task.name == name).zip(console.host.tasks.history(&name).ok());
    let Some((task, runs)) = found else {
        let message = format!("There is no task {name:?}.");
        return (StatusCode::NOT_FOUND, page::plain("No such task", &message)).into_response();
    };
    page_of(task, &runs, console.notice(&visitor), now()).into_response()
}

fn page_of(task: &TaskStatus, runs: &[Run], notice: Option<Notice>, now: Timestamp) -> Html<String> {
    let facts = html! {
        dl .facts {
            div { dt { "Kind" } dd { (task.kind) } }
            div { dt { "Schedule" } dd { (task.schedule) } }
            div { dt { "Next run" } dd { (next(task, now)) } }
            div {
                dt { "Last success" }
                dd { @if let Some(at) = task.last_success { (format::moment(at)) } @else { span .none { "none" } } }
            }
            div { dt { "Runs" } dd { (format::count(task.runs)) } }
            div { dt { "Failed" } dd { (format::count(task.failures)) } }
        }
        div .actions { (buttons(task, Place::Task)) }
    };
    let history = html! {
        @if runs.is_empty() {
            p .none { "It has not run yet." }
        } @else {
            table {
                caption { "Up to 20, newest first" }
                thead { tr {
                    th scope="col" { "Started" }
                    th scope="col" { "Outcome" }
                    th scope="col" .number { "Took" }
                    th scope="col" { "Trigger" }
                    th scope="col" .number { "Try" }
                    th scope="col" { "Message" }
                } }
                tbody { @for run in runs {
                    tr {
                        th scope="row" { (format::moment(run.started_at)) }
                        td data-label="Outcome" { (outcome(run.outcome)) }
                        td .number data-label="Took" {
                            @if let Some(end) = run.ended_at { (format::took(run.started_at, end)) }
                        }
                        td data-label="Trigger" { (run.trigger) }
                        td .number data-label="Try" { (run.attempt) }
                        td .words data-label="Message" { @if let Some(message) = &run.message { (message) } }
                    }
                } }
            }
        }
    };
    let page = Page {
        title: &task.name,
        live: true,
        notice,
        parts: &[],
        state: html! { span { "as of " (format::moment(now)) } },
        main: html! {
            p { a href="/console#tasks" { "Back to all tasks" } }
            h1 { (task.name) }
            section #task aria-label="This task" data-part { (facts) }
            (page::part("history", "Last runs", history))
        },
    };
    page.render()
}
