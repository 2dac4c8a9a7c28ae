use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::*;
use crate::error::Result;
use crate::provider::StorageProvider;
use crate::provider::memory::MemoryStorageProvider;

struct Memory;

#[async_trait]
impl provider::Subject for Memory {
    async fn open(&self, _home: &str) -> Result<Arc<dyn StorageProvider>> {
        Ok(Arc::new(MemoryStorageProvider::new()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_every_promise_of_a_volatile_provider() {
    let report = check("memory", &Part::Provider(Arc::new(Memory)), &Options::default()).await;
    let not_kept = report.outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Kept);
    let not_kept: Vec<String> = not_kept.map(ToString::to_string).collect();
    assert!(not_kept.iter().all(|outcome| outcome.starts_with("not applicable ")), "{report}");
    assert!(not_kept.iter().all(|outcome| outcome.ends_with("_reopening")) && not_kept.len() >= 6, "{not_kept:?}");
}

#[test]
fn promises_have_names_of_their_own_and_sentences() {
    let mut names = HashSet::new();
    for kind in Kind::ALL {
        for promise in promises(kind) {
            let Promise { name, says, .. } = promise;
            assert_eq!(promise.kind(), kind);
            assert!(names.insert(name), "two promises are called {name}");
            assert!(says.ends_with('.') && !says.contains("  "), "{name}: {says}");
        }
    }
    assert!(promises(Kind::Provider).len() >= 120, "{}", promises(Kind::Provider).len());
}

#[tokio::test]
async fn promises_of_one_kind_do_not_apply_to_another() {
    for promise in promises(Kind::Eviction).iter().take(1).chain(promises(Kind::Lifecycle).iter().take(1)) {
        let outcome = promise.check(&Part::Provider(Arc::new(Memory)), &Options::default()).await;
        assert_eq!(outcome.verdict, Verdict::NotApplicable);
    }
}
