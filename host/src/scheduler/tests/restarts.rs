use std::fs;
use std::path::PathBuf;

use super::*;

/// A folder with the file of a scheduler, and a clock that goes on over restarts.
struct Home {
    folder: tempfile::TempDir,
    clock: Arc<SimulatedClock>,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: SimulatedClock::starting("2026-01-01T00:30:00Z") }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("tasks.json")
    }

    fn start(&self, tasks: impl IntoIterator<Item = ScheduledTask>) -> AtWork {
        AtWork::begin(TaskScheduler::with_file(self.clock.clone(), &self.file()), tasks)
    }
}

#[tokio::test(start_paused = true)]
async fn runs_and_the_next_start_are_kept() {
    let (home, probe) = (Home::new(), Probe::failing(1));
    let tasks = || [task("daily", every(DAY), &probe), task("nightly", cron("0 3 * * *", Tz::UTC), &probe)];
    let work = home.start(tasks());
    pass(5 * HOUR).await;
    let before = work.scheduler.status();
    let history = work.scheduler.history("daily").unwrap();
    assert_eq!((before[0].runs, before[1].runs, history.len()), (1, 1, 1));
    work.stop().await;

    pass(HOUR).await;
    let work = home.start(tasks());
    let told = |status: TaskStatus| (status.runs, status.failures, status.last_run, status.last_success);
    for (before, after) in before.into_iter().zip(work.scheduler.status()) {
        let off = before.next_run.unwrap() - after.next_run.unwrap();
        assert!(off.num_milliseconds().abs() <= 2, "{before:?} {after:?}");
        assert_eq!(told(before), told(after));
    }
    assert_eq!(work.scheduler.history("daily").unwrap(), history);
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_meanwhile_is_made_up_for_once_or_skipped() {
    let (home, probes) = (Home::new(), [const { Duration::ZERO }; 4].map(Probe::taking));
    let schedules = || [every(6 * HOUR), every(6 * HOUR), cron("0 */6 * * *", Tz::UTC), cron("0 */6 * * *", Tz::UTC)];
    let missed = [MissedStarts::RunOnce, MissedStarts::Skip, MissedStarts::RunOnce, MissedStarts::Skip];
    let tasks = || {
        let of = probes.iter().zip(schedules()).zip(missed).enumerate();
        let of = of.map(|(number, ((probe, schedule), missed))| ScheduledTask {
            missed,
            jitter: Some(Duration::ZERO),
            ..task(&format!("{number}"), schedule, probe)
        });
        of.collect::<Vec<_>>()
    };
    let work = home.start(tasks());
    pass(7 * HOUR).await;
    work.stop().await;
    let before = probes.each_ref().map(|probe| probe.starts().len());
    pass(2 * DAY).await;
    let work = home.start(tasks());
    pass(MINUTE * 2).await;
    let more: Vec<usize> = probes.iter().zip(before).map(|(probe, before)| probe.starts().len() - before).collect();
    assert_eq!(more, [1, 0, 1, 0]);
    // All of them go on as they had been.
    for (status, before) in work.scheduler.status().iter().zip(&probes) {
        let next = status.next_run.unwrap();
        assert!(next > home.clock.wall() && next <= home.clock.wall() + 6 * HOUR, "{status:?}");
        if status.schedule.starts_with("every") {
            let since = next - before.starts()[0];
            let off = since.num_milliseconds() % (6 * 3600 * 1000);
            let interval = 6 * 3600 * 1000;
            assert!(!(10..interval - 10).contains(&off), "it does not go on as it had been: {status:?}");
        }
    }
    assert_eq!(work.scheduler.history("3").unwrap()[0].outcome, RunOutcome::Missed);
}

#[tokio::test(start_paused = true)]
async fn a_paused_task_stays_paused() {
    let (home, probe) = (Home::new(), Probe::taking(Duration::ZERO));
    let tasks = || {
        let memory = Memory::Fleeting;
        [
            task("nightly", cron("0 3 * * *", Tz::UTC), &probe),
            task("daily", every(DAY), &probe),
            ScheduledTask { memory, ..task("fleeting", every(MINUTE), &probe) },
        ]
    };
    let work = home.start(tasks());
    for name in ["nightly", "daily", "fleeting"] {
        work.scheduler.pause_task(name).await.unwrap();
    }
    let before = probe.starts().len();
    work.kill().await;

    let work = home.start(tasks());
    pass(3 * DAY).await;
    assert_eq!(probe.starts().len(), before);
    assert!(work.scheduler.status().iter().all(|status| status.paused && status.next_run.is_none()));
    work.scheduler.resume_task("nightly").await.unwrap();
    work.kill().await;

    let work = home.start(tasks());
    pass(DAY).await;
    assert_eq!(probe.starts().len(), before + 1);
    assert!(!work.status("nightly").paused && work.status("daily").paused);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_cut_off_is_told_and_made_up_for_once() {
    let (home, probe) = (Home::new(), Probe::taking(HOUR));
    let skip = |task| ScheduledTask { missed: MissedStarts::Skip, ..task };
    let tasks = || {
        let nightly = |name| task(name, cron("0 3 * * *", Tz::UTC), &probe);
        [nightly("once"), skip(nightly("skip"))]
    };
    let mut work = home.start(tasks());
    pass(2 * HOUR + 40 * MINUTE).await;
    assert_eq!(probe.starts().len(), 2);
    for killed in 1..=2 {
        work.kill().await;
        work = home.start(tasks());
        let last = work.scheduler.history("once").unwrap()[0].clone();
        assert_eq!((last.outcome, last.ended_at, last.attempt), (RunOutcome::Interrupted, None, killed));
        pass(2 * MINUTE).await;
        // A run that ends with the host whenever it is tried is not tried for ever.
        assert_eq!((work.status("once").running_since.is_some(), probe.starts().len()), (killed == 1, 3));
    }
    let last = work.scheduler.history("skip").unwrap();
    assert_eq!((last.len(), last[0].outcome), (1, RunOutcome::Interrupted));
    assert_eq!(work.status("skip").failures, 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_was_to_come_comes_after_a_restart() {
    let (home, probe) = (Home::new(), Probe::failing(1));
    let retries = Retries { backoff: HOUR, ..Retries::times(3) };
    let tasks = || [ScheduledTask { retries, ..task("nightly", cron("0 3 * * *", Tz::UTC), &probe) }];
    let work = home.start(tasks());
    pass(2 * HOUR + 40 * MINUTE).await;
    work.stop().await;
    let work = home.start(tasks());
    pass(2 * HOUR).await;
    let last = work.status("nightly").last_run.unwrap();
    assert_eq!((last.trigger, last.attempt, last.outcome), (Trigger::Retry, 2, RunOutcome::Succeeded));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_comes_late_is_remembered_and_one_that_does_not_come_is_forgotten() {
    let (home, probe) = (Home::new(), Probe::taking(Duration::ZERO));
    let hourly = |name| task(name, cron("0 * * * *", Tz::UTC), &probe);
    let work = home.start([hourly("late"), hourly("gone")]);
    pass(HOUR).await;
    work.stop().await;

    let work = home.start([]);
    work.scheduler.schedule_task(hourly("other")).unwrap();
    pass(HOUR).await;
    work.scheduler.schedule_task(hourly("late")).unwrap();
    assert_eq!(work.status("late").runs, 1);
    work.stop().await;
    let work = home.start([hourly("late"), hourly("gone")]);
    assert!(work.status("late").runs >= 1 && work.status("gone").runs == 0, "{:?}", work.scheduler.status());
}

#[tokio::test(start_paused = true)]
async fn damaged_state_is_set_aside_and_begun_anew() {
    for damage in
        ["", "{", "[1, 2]", r#"{"version":99,"saved_at":"2026-01-01T00:00:00Z","tasks":{}}"#, "\u{0}\u{0}\u{0}"]
    {
        let (home, probe) = (Home::new(), Probe::taking(Duration::ZERO));
        fs::write(home.file(), damage).unwrap();
        let work = home.start([task("hourly", cron("0 * * * *", Tz::UTC), &probe)]);
        pass(HOUR).await;
        assert_eq!(probe.starts().len(), 1);
        work.stop().await;
        assert_eq!(fs::read_to_string(home.folder.path().join("tasks.damaged.json")).unwrap(), damage);
        let work = home.start([task("hourly", cron("0 * * * *", Tz::UTC), &probe)]);
        assert_eq!(work.status("hourly").runs, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_can_not_be_written_stops_no_task() {
    let (home, probe) = (Home::new(), Probe::taking(Duration::ZERO));
    fs::create_dir_all(home.file().join("in the way")).unwrap();
    let work = home.start([task("hourly", cron("0 * * * *", Tz::UTC), &probe)]);
    let folder = home.folder.path().to_owned();
    // What is in the way was set aside; now there is nothing to write to at all.
    fs::remove_dir_all(&folder).unwrap();
    let error = work.scheduler.pause_task("hourly").await.unwrap_err();
    assert!(error.to_string().contains("tasks.json"), "{error}");
    work.scheduler.resume_task("hourly").await.unwrap_err();
    pass(3 * HOUR).await;
    assert_eq!(probe.starts().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn another_schedule_holds_from_the_restart_on() {
    let (home, probe) = (Home::new(), Probe::taking(Duration::ZERO));
    let work = home.start([task("task", cron("0 0 1 7 *", Tz::UTC), &probe)]);
    pass(HOUR).await;
    work.stop().await;
    let work = home.start([task("task", cron("0 3 * * *", Tz::Europe__Berlin), &probe)]);
    assert_eq!(work.status("task").next_run, Some(at("2026-01-01T02:00:00Z")));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_went_back_meanwhile_is_taken_as_right_now() {
    let (home, probe) = (Home::new(), Probe::taking(Duration::ZERO));
    let tasks = || [task("nightly", cron("0 3 * * *", Tz::UTC), &probe), task("daily", every(DAY), &probe)];
    home.start(tasks()).stop().await;
    home.clock.jump(chrono::Duration::days(-400));
    let work = home.start(tasks());
    let day = home.clock.wall() + DAY;
    assert!(
        work.scheduler.status().iter().all(|status| status.next_run.unwrap() < day),
        "{:?}",
        work.scheduler.status()
    );
}

#[tokio::test(start_paused = true)]
async fn the_file_is_for_this_user_alone_and_whole_at_any_time() {
    let (home, probe) = (Home::new(), Probe::taking(Duration::ZERO));
    let work = home.start([task("hourly", cron("* * * * *", Tz::UTC), &probe)]);
    for _ in 0..50 {
        pass(Duration::from_secs(45)).await;
        let Ok(text) = fs::read(home.file()) else { continue };
        let records: Records = serde_json::from_slice(&text).unwrap();
        assert!(records.tasks.contains_key("hourly"));
    }
    work.stop().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(home.file()).unwrap().permissions().mode() & 0o077, 0);
    }
}
