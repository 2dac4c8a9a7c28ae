use super::*;

fn simulated(tasks: impl IntoIterator<Item = ScheduledTask>) -> AtWork {
    let clock = SimulatedClock::starting("2026-01-01T00:00:00Z");
    AtWork::begin(TaskScheduler::with_clock(clock), tasks)
}

#[tokio::test(start_paused = true)]
async fn a_task_runs_at_its_interval_for_weeks() {
    let probe = Probe::taking(Duration::ZERO);
    let work = simulated([task("hourly", every(HOUR), &probe)]);
    pass(28 * DAY).await;
    let starts = probe.starts();
    assert!((24 * 28 * 95 / 100..=24 * 28 * 105 / 100).contains(&starts.len()), "{}", starts.len());
    let spans: Vec<i64> = starts.windows(2).map(|pair| (pair[1] - pair[0]).num_seconds()).collect();
    assert!(spans.iter().all(|span| (3240..=3960).contains(span)), "{spans:?}");
    assert!(spans.iter().max() > spans.iter().min(), "there is no jitter");
    let status = work.status("hourly");
    assert_eq!((status.runs, status.failures), (starts.len() as u64, 0));
    assert_eq!(status.last_run.unwrap().outcome, RunOutcome::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn the_first_start_is_near_and_told() {
    let probe = Probe::taking(Duration::ZERO);
    let work = simulated([task("hourly", every(HOUR), &probe), task("nightly", cron("0 3 * * *", Tz::UTC), &probe)]);
    let minutes = (work.status("hourly").next_run.unwrap() - at("2026-01-01T00:00:00Z")).num_minutes();
    assert!((0..=6).contains(&minutes), "{minutes}");
    let nightly = work.status("nightly");
    assert_eq!(nightly.next_run, Some(at("2026-01-01T03:00:00Z")));
    assert_eq!((nightly.last_run, nightly.runs, nightly.schedule.as_str()), (None, 0, "0 3 * * * UTC"));
}

#[tokio::test(start_paused = true)]
async fn jitter_comes_after_a_time_of_day_and_before_the_next() {
    let probe = Probe::taking(Duration::ZERO);
    let jitter = Some(3 * HOUR);
    simulated([ScheduledTask { jitter, ..task("hourly", cron("0 * * * *", Tz::UTC), &probe) }]);
    pass(10 * DAY).await;
    let starts = probe.starts();
    // One in each hour, and not all of them at its beginning.
    let hours: Vec<i64> = starts.iter().map(|start| start.timestamp() / 3600).collect();
    assert!(hours.windows(2).all(|pair| pair[1] == pair[0] + 1), "{hours:?}");
    let late = starts.iter().filter(|start| start.timestamp() % 3600 > 1800).count();
    assert!((60..=180).contains(&late), "{late} of {}", starts.len());
}

#[tokio::test(start_paused = true)]
async fn starts_that_come_while_it_runs_are_left_out() {
    let (slow, nightly) = (Probe::taking(HOUR * 5 / 2), Probe::taking(HOUR * 5 / 2));
    let work = simulated([task("slow", every(HOUR), &slow), task("hourly", cron("0 * * * *", Tz::UTC), &nightly)]);
    pass(24 * HOUR + MINUTE).await;
    let count = slow.starts().len();
    assert!((6..=10).contains(&count), "{count}");
    let hours: Vec<String> = nightly.shown();
    assert_eq!(&hours[..4], ["01-01 01:00", "01-01 04:00", "01-01 07:00", "01-01 10:00"]);
    assert_eq!((slow.most_at_once.load(Ordering::SeqCst), nightly.most_at_once.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(work.status("hourly").failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_counted_and_a_panic_is_one() {
    let (failing, panicking) = (Probe::failing(u32::MAX), Arc::new(Probe { panics: true, ..Probe::default() }));
    let work = simulated([task("failing", every(HOUR), &failing), task("panicking", every(HOUR), &panicking)]);
    pass(10 * HOUR).await;
    for (name, message) in [("failing", "it does not work"), ("panicking", "panicked")] {
        let status = work.status(name);
        assert!(status.runs >= 9 && status.failures == status.runs, "{status:?}");
        let last = status.last_run.unwrap();
        assert_eq!((last.outcome, last.message.as_deref(), last.attempt), (RunOutcome::Failed, Some(message), 1));
        assert_eq!(status.last_success, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_is_tried_again_after_longer_and_longer_waits() {
    let probe = Probe::failing(3);
    let work = simulated([ScheduledTask {
        retries: Retries::times(5),
        ..task("nightly", cron("0 3 * * *", Tz::UTC), &probe)
    }]);
    pass(20 * HOUR).await;
    let starts = probe.starts();
    let waits: Vec<i64> = starts.windows(2).map(|pair| (pair[1] - pair[0]).num_seconds()).collect();
    assert_eq!(waits.len(), 3, "{waits:?}");
    for (wait, longest) in waits.iter().zip([30, 60, 120]) {
        assert!((longest / 2..=longest).contains(wait), "{waits:?}");
    }
    let history = work.scheduler.history("nightly").unwrap();
    let told: Vec<_> = history.iter().rev().map(|run| (run.attempt, run.trigger, run.outcome)).collect();
    assert_eq!(
        told,
        [
            (1, Trigger::Schedule, RunOutcome::Failed),
            (2, Trigger::Retry, RunOutcome::Failed),
            (3, Trigger::Retry, RunOutcome::Failed),
            (4, Trigger::Retry, RunOutcome::Succeeded),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn retries_come_to_an_end_and_a_start_that_is_due_comes_first() {
    let probe = Probe::failing(u32::MAX);
    let nightly = ScheduledTask { retries: Retries::times(2), ..task("nightly", cron("0 3 * * *", Tz::UTC), &probe) };
    let often = Probe::failing(u32::MAX);
    let retries = Retries { backoff: HOUR, ..Retries::times(9) };
    let minutely = ScheduledTask { retries, ..task("often", cron("* * * * *", Tz::UTC), &often) };
    let work = simulated([nightly, minutely]);
    pass(2 * DAY).await;
    assert_eq!(probe.starts().len(), 6);
    assert!(work.scheduler.history("often").unwrap().iter().all(|run| run.trigger == Trigger::Schedule));
}

#[tokio::test(start_paused = true)]
async fn a_run_beyond_its_deadline_is_dropped() {
    let endless = Probe::taking(DAY);
    let work = simulated([ScheduledTask {
        deadline: Some(10 * MINUTE),
        ..task("endless", cron("0 3 * * *", Tz::UTC), &endless)
    }]);
    pass(5 * HOUR).await;
    let last = work.status("endless").last_run.unwrap();
    assert_eq!(last.outcome, RunOutcome::TimedOut);
    assert_eq!(last.ended_at, Some(at("2026-01-01T03:10:00Z")));
    assert_eq!(last.message.as_deref(), Some("took longer than its deadline of 10m"));
    pass(2 * DAY).await;
    assert_eq!((endless.starts().len(), endless.ended.load(Ordering::SeqCst)), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_paused_task_starts_only_by_hand() {
    let probe = Probe::taking(MINUTE);
    let work = simulated([task("hourly", cron("0 * * * *", Tz::UTC), &probe)]);
    work.scheduler.pause_task("hourly").await.unwrap();
    pass(5 * HOUR + 30 * MINUTE).await;
    let paused = work.status("hourly");
    assert_eq!((probe.shown(), paused.paused, paused.next_run), (Vec::new(), true, None));

    let run = work.scheduler.run_task("hourly").await.unwrap();
    assert_eq!((run.trigger, run.outcome), (Trigger::Hand, RunOutcome::Succeeded));
    assert_eq!(run.ended_at.unwrap() - run.started_at, chrono::Duration::minutes(1));

    work.scheduler.resume_task("hourly").await.unwrap();
    // What was missed while it was paused is left out.
    assert_eq!(work.status("hourly").next_run, Some(at("2026-01-01T06:00:00Z")));
    pass(HOUR).await;
    assert_eq!(probe.shown(), ["01-01 05:30", "01-01 06:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_by_hand_waits_for_no_other() {
    let probe = Probe::taking(HOUR);
    let work = simulated([task("nightly", cron("0 3 * * *", Tz::UTC), &probe)]);
    pass(3 * HOUR + MINUTE).await;
    let busy = work.scheduler.run_task("nightly").await.unwrap_err();
    assert!(matches!(busy, Error::Unavailable { .. }), "{busy}");
    for error in [
        work.scheduler.run_task("weekly").await.unwrap_err(),
        work.scheduler.pause_task("weekly").await.unwrap_err(),
        work.scheduler.history("weekly").unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "there is no task \"weekly\": `larder task ls` shows those that there are");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_by_hand_leaves_the_schedule_alone_and_is_not_tried_again() {
    let probe = Probe::failing(1);
    let work = simulated([ScheduledTask {
        retries: Retries::times(5),
        ..task("nightly", cron("0 3 * * *", Tz::UTC), &probe)
    }]);
    pass(HOUR).await;
    let run = work.scheduler.run_task("nightly").await.unwrap();
    assert_eq!((run.outcome, run.message.as_deref()), (RunOutcome::Failed, Some("it does not work")));
    pass(DAY).await;
    assert_eq!(probe.shown(), ["01-01 01:00", "01-01 03:00"]);
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_what_ends_within_its_grace_and_drops_the_rest() {
    let (slow, endless) = (Probe::taking(9 * MINUTE), Probe::taking(DAY));
    let work = simulated([
        task("slow", cron("0 3 * * *", Tz::UTC), &slow),
        task("endless", cron("0 3 * * *", Tz::UTC), &endless),
    ]);
    pass(3 * HOUR + MINUTE).await;
    let scheduler = work.scheduler.clone();
    let asked = tokio::spawn(async move { scheduler.run_task("slow").await });
    let scheduler = work.scheduler.clone();
    work.stop().await;
    assert!(asked.await.unwrap().is_err());
    assert!(matches!(scheduler.run_task("slow").await, Err(Error::Unavailable { .. })));
    let outcome = |name| scheduler.history(name).unwrap()[0].outcome;
    assert_eq!((outcome("slow"), outcome("endless")), (RunOutcome::Succeeded, RunOutcome::Interrupted));
}

#[tokio::test(start_paused = true)]
async fn a_task_can_come_and_go_while_the_scheduler_runs() {
    let (late, gone) = (Probe::taking(Duration::ZERO), Probe::taking(Duration::ZERO));
    let work = simulated([task("gone", every(HOUR), &gone)]);
    pass(MINUTE / 60).await;
    work.scheduler.cancel_task("gone");
    let before = gone.starts().len();
    work.scheduler.schedule_task(task("late", every(MINUTE), &late)).unwrap();
    pass(HOUR).await;
    assert!((54..=67).contains(&late.starts().len()), "{}", late.starts().len());
    assert_eq!(gone.starts().len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_taken_once_and_an_interval_is_some_time() {
    let probe = Probe::taking(Duration::ZERO);
    let scheduler = TaskScheduler::default();
    scheduler.schedule_task(task("one", every(HOUR), &probe)).unwrap();
    assert!(scheduler.schedule_task(task("one", every(HOUR), &probe)).is_err());
    assert!(scheduler.schedule_task(task("two", every(Duration::ZERO), &probe)).is_err());
}

#[tokio::test(start_paused = true)]
async fn metrics_count_by_kind_and_name_tasks_that_are_there() {
    let clock = SimulatedClock::starting("2026-01-01T00:00:00Z");
    let (scheduler, registry) = (TaskScheduler::with_clock(clock), Registry::new());
    scheduler.register(&registry).unwrap();
    let probe = Probe::failing(1);
    let work = AtWork::begin(scheduler, [task("nightly", cron("0 3 * * *", Tz::UTC), &probe)]);
    let render = || prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(render().contains(r#"larder_task_runs_total{kind="test",outcome="failed"} 0"#), "{}", render());
    pass(2 * DAY).await;
    for line in [
        r#"larder_task_runs_total{kind="test",outcome="failed"} 1"#,
        r#"larder_task_runs_total{kind="test",outcome="succeeded"} 1"#,
        r#"larder_task_duration_seconds_count{kind="test"} 2"#,
        r#"larder_task_last_success_timestamp_seconds{task="nightly"} 1767322800"#,
        "larder_tasks_running 0",
    ] {
        assert!(render().contains(line), "{line} is not in\n{}", render());
    }
    work.scheduler.cancel_task("nightly");
    assert!(!render().contains("nightly"));
}

#[tokio::test(start_paused = true)]
async fn twenty_runs_are_kept_and_all_are_counted() {
    let probe = Probe::taking(Duration::ZERO);
    let work = simulated([task("hourly", cron("0 * * * *", Tz::UTC), &probe)]);
    pass(50 * HOUR + MINUTE).await;
    let history = work.scheduler.history("hourly").unwrap();
    assert_eq!((history.len(), work.status("hourly").runs), (20, 50));
    assert_eq!(history[0].started_at, at("2026-01-03T02:00:00Z"));
}
