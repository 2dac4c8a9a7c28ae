use super::*;

fn hours(count: i64) -> chrono::Duration {
    chrono::Duration::hours(count)
}

#[tokio::test(start_paused = true)]
async fn starts_that_the_clock_was_set_over_are_made_up_for_once_or_skipped() {
    let (once, skip) = (Probe::taking(Duration::ZERO), Probe::taking(Duration::ZERO));
    let clock = SimulatedClock::starting("2026-01-01T00:30:00Z");
    let work = AtWork::begin(
        TaskScheduler::with_clock(clock.clone()),
        [
            task("once", cron("0 * * * *", Tz::UTC), &once),
            ScheduledTask { missed: MissedStarts::Skip, ..task("skip", cron("0 * * * *", Tz::UTC), &skip) },
        ],
    );
    pass(HOUR).await;
    clock.jump(hours(5));
    pass(HOUR).await;
    assert_eq!(once.shown(), ["01-01 01:00", "01-01 06:30", "01-01 07:00"]);
    assert_eq!(skip.shown(), ["01-01 01:00", "01-01 07:00"]);
    let told = |name: &str| {
        let history = work.scheduler.history(name).unwrap();
        history.iter().rev().map(|run| (run.trigger, run.outcome)).collect::<Vec<_>>()
    };
    let done = |trigger| (trigger, RunOutcome::Succeeded);
    assert_eq!(told("once"), [done(Trigger::Schedule), done(Trigger::CatchUp), done(Trigger::Schedule)]);
    let missed = (Trigger::Schedule, RunOutcome::Missed);
    assert_eq!(told("skip"), [done(Trigger::Schedule), missed, done(Trigger::Schedule)]);
    assert_eq!(work.status("skip").runs, 2);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_a_little_late_was_not_missed() {
    let probe = Probe::taking(Duration::ZERO);
    let clock = SimulatedClock::starting("2026-01-01T00:59:30Z");
    let nightly = task("hourly", cron("0 * * * *", Tz::UTC), &probe);
    let work = AtWork::begin(
        TaskScheduler::with_clock(clock.clone()),
        [ScheduledTask { missed: MissedStarts::Skip, ..nightly }],
    );
    pass(Duration::from_secs(10)).await;
    clock.jump(chrono::Duration::seconds(70));
    pass(MINUTE).await;
    assert_eq!(work.scheduler.history("hourly").unwrap()[0].started_at, at("2026-01-01T01:00:50Z"));
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_twice_when_the_clock_is_set_back_a_little() {
    let probe = Probe::taking(Duration::ZERO);
    let clock = SimulatedClock::starting("2026-01-01T00:30:00Z");
    let _work =
        AtWork::begin(TaskScheduler::with_clock(clock.clone()), [task("h", cron("0 * * * *", Tz::UTC), &probe)]);
    pass(3 * HOUR).await;
    clock.jump(hours(-2));
    pass(5 * HOUR).await;
    // 03:30 became 01:30; the next start is at 04:00, as it was.
    assert_eq!(
        probe.shown(),
        ["01-01 01:00", "01-01 02:00", "01-01 03:00", "01-01 04:00", "01-01 05:00", "01-01 06:00"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_wrong_holds_up_nothing_when_it_is_right_again() {
    let probe = Probe::taking(Duration::ZERO);
    let clock = SimulatedClock::starting("2040-06-01T00:30:00Z");
    let work =
        AtWork::begin(TaskScheduler::with_clock(clock.clone()), [task("nightly", cron("0 3 * * *", Tz::UTC), &probe)]);
    pass(HOUR).await;
    assert_eq!(work.status("nightly").next_run, Some(at("2040-06-01T03:00:00Z")));
    clock.jump(at("2026-01-01T00:00:00Z") - clock.wall());
    pass(DAY).await;
    assert_eq!(probe.starts(), [at("2026-01-01T03:00:00Z")]);
}

#[tokio::test(start_paused = true)]
async fn intervals_deadlines_and_retries_know_nothing_of_it() {
    let (interval, slow) = (Probe::taking(Duration::ZERO), Probe::taking(DAY));
    let clock = SimulatedClock::starting("2026-01-01T00:00:00Z");
    let deadline = Some(HOUR);
    let work = AtWork::begin(
        TaskScheduler::with_clock(clock.clone()),
        [
            ScheduledTask { jitter: Some(Duration::ZERO), ..task("interval", every(HOUR), &interval) },
            ScheduledTask { deadline, ..task("slow", every(30 * DAY), &slow) },
        ],
    );
    let run = work.scheduler.clone();
    let run = tokio::spawn(async move { run.run_task("slow").await });
    let mut steady = Duration::ZERO;
    for jump in [5, -5, 100, -100, 26] {
        pass(HOUR).await;
        steady += HOUR;
        clock.jump(hours(jump));
    }
    pass(HOUR).await;
    assert_eq!(interval.starts().len(), 6, "{steady:?}");
    assert_eq!(run.await.unwrap().unwrap().outcome, RunOutcome::TimedOut);
}
