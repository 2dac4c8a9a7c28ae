//! Runs that are cut off, and those that follow.

use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::*;
use crate::lifecycle::progress::Behind;
use crate::object::now;

/// A store of so many objects whose policies keep how far they are, and how many objects they were asked about.
struct Home {
    folder: TempDir,
    store: Arc<Map>,
    asked: Arc<AtomicUsize>,
}

impl Home {
    async fn new(objects: usize) -> Self {
        let store = Arc::new(Map::default());
        for number in 0..objects {
            store.put(&format!("{number:04}"), "bytes", day(0)).await;
        }
        Self { folder: tempfile::tempdir().unwrap(), store, asked: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("lifecycle/hot.json")
    }

    /// Policies of this name that delete everything, at most a hundred a second.
    fn manager(&self, name: &str) -> LifecycleManager {
        let asked = self.asked.clone();
        let delete = each(move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            DELETE
        });
        let manager = manager(&self.store).with_policy(name, delete).with_progress(self.path());
        manager.with_max_rate(NonZeroU32::new(100).unwrap())
    }

    fn cut_off(&self, name: &str) -> Option<Progress> {
        Progress::read(&self.path(), &self.manager(name).policies_digest())
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_objects_a_second_are_acted_on() {
    let home = Home::new(300).await;
    let begun = Instant::now();
    assert_eq!(home.manager("all").apply_policies(day(1)).await.unwrap().deleted, 300);
    let took = begun.elapsed();
    assert!(Duration::from_millis(2900) < took && took < Duration::from_millis(3200), "{took:?}");
    let begun = Instant::now();
    assert_eq!(home.manager("all").apply_policies(day(1)).await.unwrap().deleted, 0);
    assert!(begun.elapsed() < Duration::from_millis(10), "what is not acted on costs nothing");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cut_off_is_gone_on_with_behind_the_last_batch() {
    let home = Home::new(1100).await;
    let cut_off = timeout(Duration::from_secs(8), home.manager("all").execute(day(1))).await;
    assert!(cut_off.is_err(), "the host stops");
    let left = home.store.keys().len();
    assert!((1..588).contains(&left), "in the middle of the second batch: {left}");
    let progress = home.cut_off("all").unwrap();
    assert_eq!((progress.behind, progress.report.deleted), (Behind::Key("0511".to_owned()), 512));

    home.asked.store(0, Ordering::Relaxed);
    let report = home.manager("all").apply(day(1), home.cut_off("all")).await.unwrap();
    assert_eq!(home.asked.load(Ordering::Relaxed), left);
    assert_eq!((report.considered, report.deleted), (512 + left as u64, 512 + left as u64), "with its totals");
    assert!(home.store.keys().is_empty() && !home.path().exists());
}

#[tokio::test(start_paused = true)]
async fn what_was_of_other_policies_or_is_old_or_unreadable_is_begun_anew() {
    let home = Home::new(1100).await;
    let _ = timeout(Duration::from_secs(8), home.manager("all").execute(day(1))).await;
    let progress = home.cut_off("all").unwrap();
    assert_eq!(home.cut_off("other"), None);
    let write = |text: &[u8]| std::fs::write(home.path(), text).unwrap();
    write(&serde_json::to_vec(&Progress { at: now() - DAY, ..progress.clone() }).unwrap());
    assert_eq!(home.cut_off("all"), None);
    write(&serde_json::to_vec(&Progress { at: now() + DAY, ..progress }).unwrap());
    assert_eq!(home.cut_off("all"), None, "of a clock that was wrong");
    write(b"{");
    assert_eq!(home.cut_off("all"), None);
    home.manager("all").execute(day(1)).await.unwrap();
    assert!(home.store.keys().is_empty() && !home.path().exists());
}
