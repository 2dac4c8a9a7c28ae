//! Runs by policies that are plugins and say when they would decide otherwise, or fail to.

use super::*;

/// Says of a policy's future what a test wants; keeps everything.
#[derive(Debug)]
struct Seer(Foresight);

type Foresight = fn(&[Candidate], Timestamp) -> Result<Vec<Option<Timestamp>>>;

impl LifecyclePolicy for Seer {
    fn should_archive(&self, _: &Candidate, _: Timestamp) -> bool {
        false
    }

    fn should_delete(&self, _: &Candidate, _: Timestamp) -> bool {
        false
    }

    fn retention_period(&self, _: &Candidate) -> Duration {
        Duration::ZERO
    }

    fn foresees(&self) -> bool {
        true
    }

    fn next_changes(&self, candidates: &[Candidate], now: Timestamp) -> Result<Vec<Option<Timestamp>>> {
        (self.0)(candidates, now)
    }
}

#[tokio::test]
async fn what_a_policy_fails_to_foresee_is_asked_about_in_each_run() {
    let foresights: [Foresight; 5] = [
        |_, _| Err(Error::internal("it can not foresee")),
        |_, _| panic!("it can not foresee"),
        |candidates, _| Ok(vec![None; candidates.len() - 1]),
        |candidates, now| Ok(vec![Some(now); candidates.len()]),
        |candidates, _| Ok(vec![Some(day(0)); candidates.len()]),
    ];
    for (number, foresight) in foresights.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let world = some_old(folder.path(), DAY * 60).await;
        let manager = world.manager().with_policy("plugin", Arc::new(Seer(foresight)));
        for (now, considered, deleted) in [(50, 100, 0), (55, 100, 0), (60, 100, 10), (61, 90, 0)] {
            let report = manager.apply_policies(day(now)).await.unwrap();
            assert_eq!((report.considered, report.deleted), (considered, deleted), "foresight {number}, day {now}");
        }
        let state = world.store.clone().due_index().unwrap().state().await.unwrap().unwrap();
        assert!(state.complete, "foresight {number}");
    }
}

/// A plugin of which another version is loaded while it decides, and the first one again after that.
#[derive(Debug, Default)]
struct Replaced(std::sync::atomic::AtomicU32);

impl LifecyclePolicy for Replaced {
    fn should_archive(&self, _: &Candidate, _: Timestamp) -> bool {
        false
    }

    fn should_delete(&self, _: &Candidate, _: Timestamp) -> bool {
        self.0.fetch_max(1, Ordering::Relaxed);
        false
    }

    fn retention_period(&self, _: &Candidate) -> Duration {
        Duration::ZERO
    }

    fn foresees(&self) -> bool {
        true
    }

    fn next_changes(&self, candidates: &[Candidate], _: Timestamp) -> Result<Vec<Option<Timestamp>>> {
        Ok(vec![None; candidates.len()])
    }

    fn fingerprint(&self) -> String {
        (self.0.load(Ordering::Relaxed) == 1).to_string()
    }
}

#[tokio::test]
async fn what_another_version_of_a_plugin_foresaw_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let world = some_old(folder.path(), DAY * 60).await;
    let plugin = Arc::new(Replaced::default());
    let manager = world.manager().with_policy("plugin", plugin.clone());
    assert_eq!(manager.apply_policies(day(50)).await.unwrap().considered, 100);
    plugin.0.store(2, Ordering::Relaxed);
    for considered in [100, 0] {
        assert_eq!(manager.apply_policies(day(50)).await.unwrap().considered, considered);
    }
}

#[tokio::test]
async fn the_first_of_several_policies_to_change_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let world = some_old(folder.path(), DAY * 60).await;
    let next_week: Foresight =
        |candidates, now| Ok(candidates.iter().map(|_| (now < day(57)).then(|| day(57))).collect());
    let manager = world.manager().with_policy("plugin", Arc::new(Seer(next_week)));
    for (now, considered, deleted) in [(50, 100, 0), (56, 0, 0), (57, 100, 0), (58, 0, 0), (60, 10, 10), (61, 0, 0)] {
        let report = manager.apply_policies(day(now)).await.unwrap();
        assert_eq!((report.considered, report.deleted), (considered, deleted), "day {now}");
    }
}
