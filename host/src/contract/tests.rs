use std::collections::HashSet;
use std::sync::Arc;

use super::*;
use crate::provider::memory::MemoryStorageProvider;

struct Memory;

#[async_trait]
impl Subject for Memory {
    async fn open(&self, _home: usize) -> Result<Arc<dyn StorageProvider>> {
        Ok(Arc::new(MemoryStorageProvider::new()))
    }

    fn is_persistent(&self) -> bool {
        false
    }
}

/// What is not kept, in words.
async fn not_kept(subject: &dyn Subject) -> Vec<String> {
    let outcomes = check(subject).await;
    outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Kept).map(Outcome::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_every_promise_of_a_volatile_provider() {
    let wanted: Vec<_> =
        durability::promises().iter().map(|promise| format!("not applicable {}", promise.name)).collect();
    assert_eq!(not_kept(&Memory).await, wanted);
}

#[test]
fn promises_have_names_of_their_own_and_sentences() {
    let promises = provider_promises();
    assert!(promises.len() >= 50, "{}", promises.len());
    let names: HashSet<_> = promises.iter().map(|promise| promise.name).collect();
    assert_eq!(names.len(), promises.len());
    for Promise { name, says, .. } in promises {
        assert!(says.ends_with('.') && !says.contains("  "), "{name}: {says}");
    }
}
