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

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/contract.md");

const INTRODUCTION: &str = "\
# The contract

What every part behind one of the three seams promises, native or plugin, as a suite that runs. `larder plugin test`
holds a plugin to it, [`tests/tests/contract.rs`](../../tests/tests/contract.rs) all parts of larder, and
`larder::contract` whatever else implements a seam. [Writing a plugin](plugins.md) shows how.

Each promise is tried on a part that is opened anew, empty. It is *kept* or *broken*; *unsupported* if the part says that
it does not do this, which is its right; *not applicable* if it is about parts of another make. What outlives reopening,
for instance, does not apply to a provider that keeps everything in its memory.

What is random comes from a seed that every report tells. Where random operations break a promise, the report has the
shortest sequence that was found to break it. How concurrent calls interleave is up to the machine, and no seed repeats it.

This page is made from the code: `LARDER_UPDATE_CONTRACT=1 cargo test -p larder the_document` writes it anew.
";

/// What the page says of a kind before its promises.
fn about(kind: Kind) -> &'static str {
    match kind {
        Kind::Provider => {
            "## Storage providers\n\n\
             A persistent provider is opened again over what it kept. One with a limit of memory is given objects that are\n\
             larger than that.\n"
        }
        Kind::Eviction => {
            "## Eviction strategies\n\n\
             Slots are dense, as the interface says: a strategy may keep an array as long as the most entries that were ever\n\
             there at once. How well it chooses is not for a contract to say: the cache's hit ratio shows that.\n"
        }
        Kind::Lifecycle => {
            "## Lifecycle policies\n\n\
             A policy need not be monotone in time: one that deletes at night is not. If it is seen not to be, the last promise\n\
             comes out unsupported, with the object and the two moments.\n"
        }
    }
}

fn document() -> String {
    let mut page = INTRODUCTION.to_owned();
    for kind in Kind::ALL {
        page += &format!("\n{}\n| promise | what is promised |\n| --- | --- |\n", about(kind));
        for Promise { name, says, .. } in promises(kind) {
            page += &format!("| `{name}` | {says} |\n");
        }
    }
    page
}

#[test]
fn the_document_lists_every_promise() {
    let page = document();
    if std::env::var_os("LARDER_UPDATE_CONTRACT").is_some() {
        std::fs::write(DOCUMENT, &page).unwrap();
    }
    let found = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(
        found == page,
        "host/docs/contract.md is stale; run this test with LARDER_UPDATE_CONTRACT=1 to write it anew"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_native_strategies_keep_their_contract() {
    use crate::cache::EvictionPolicy::{Clock, Fifo, Lfu, Lru, S3Fifo, Sieve};
    for policy in [Lru, Fifo, Lfu, Sieve, Clock, S3Fifo] {
        let native = eviction::Native { factory: policy.strategy().unwrap(), is_deterministic: true };
        let report = check("native", &Part::Eviction(Arc::new(native)), &Options::default()).await;
        assert_eq!(report.counts().broken, 0, "{policy:?}: {report}");
    }
}

/// Every choice is drawn anew: a strategy that is not what it claims.
#[tokio::test(flavor = "multi_thread")]
async fn chance_is_found_out() {
    let factory = crate::cache::EvictionPolicy::Random.strategy().unwrap();
    let claims =
        |is_deterministic| Part::Eviction(Arc::new(eviction::Native { factory: factory.clone(), is_deterministic }));
    let honest = check("random", &claims(false), &Options::default()).await;
    assert_eq!(honest.counts().broken, 0, "{honest}");
    let dishonest = check("random", &claims(true), &Options::default()).await;
    let broken: Vec<_> = dishonest.broken().map(|outcome| outcome.promise.name).collect();
    let repeatable = [
        "the_same_events_lead_to_the_same_victims",
        "a_snapshot_changes_nothing",
        "the_same_snapshot_leads_to_the_same_victims",
    ];
    assert_eq!(broken, repeatable, "{dishonest}");
}

/// Loses the third overwrite of a key.
#[derive(Debug, Default)]
struct Forgetful {
    memory: MemoryStorageProvider,
    overwrites: std::sync::atomic::AtomicUsize,
}

#[async_trait]
impl StorageProvider for Forgetful {
    async fn store(
        &self,
        key: &crate::object::Key,
        body: crate::object::Body,
        options: crate::provider::StoreOptions,
    ) -> Result<crate::object::StorageMetadata> {
        let Ok(previous) = self.memory.metadata(key).await else {
            return self.memory.store(key, body, options).await;
        };
        if self.overwrites.fetch_add(1, std::sync::atomic::Ordering::SeqCst) != 2 {
            return self.memory.store(key, body, options).await;
        }
        options.condition.check(key, Some(&previous.etag))?;
        let bytes = body.collect(u64::MAX).await?;
        let checksum = crate::object::Checksum::of(&bytes);
        Ok(options.into_metadata(key.clone(), bytes.len() as u64, checksum, Some(&previous)))
    }

    async fn retrieve(
        &self,
        key: &crate::object::Key,
        range: Option<crate::object::ByteRange>,
    ) -> Result<crate::object::Object> {
        self.memory.retrieve(key, range).await
    }

    async fn delete(&self, key: &crate::object::Key, if_match: Option<&crate::object::ETag>) -> Result<()> {
        self.memory.delete(key, if_match).await
    }

    async fn list(&self, query: &crate::provider::ListQuery) -> Result<crate::provider::Page> {
        self.memory.list(query).await
    }

    async fn metadata(&self, key: &crate::object::Key) -> Result<crate::object::StorageMetadata> {
        self.memory.metadata(key).await
    }

    async fn update(
        &self,
        key: &crate::object::Key,
        changes: crate::object::AttributeChanges,
        if_match: Option<&crate::object::ETag>,
    ) -> Result<crate::object::StorageMetadata> {
        self.memory.update(key, changes, if_match).await
    }
}

struct ForgetfulSubject;

#[async_trait]
impl provider::Subject for ForgetfulSubject {
    async fn open(&self, _home: &str) -> Result<Arc<dyn StorageProvider>> {
        Ok(Arc::new(Forgetful::default()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_random_operations_comes_with_the_shortest_way_to_it() {
    let promise = promises(Kind::Provider).iter().find(|promise| promise.name.starts_with("random_operations"));
    let outcome = promise.unwrap().check(&Part::Provider(Arc::new(ForgetfulSubject)), &Options { seed: 3 }).await;
    let how = outcome.verdict.detail().unwrap_or_default().to_owned();
    assert!(outcome.is_broken() && how.contains("found with seed 3"), "{how}");
    // To be stored once and overwritten three times, of which the last is lost; then the difference must show.
    let steps = how.lines().filter(|line| line.starts_with("  ")).count();
    assert!((4..=5).contains(&steps) && how.contains("1. store"), "{how}");
}

#[tokio::test]
async fn a_report_is_json_and_junit() {
    let outcome = |verdict, number: usize| Outcome {
        promise: &promises(Kind::Lifecycle)[number],
        verdict,
        took: std::time::Duration::from_millis(250),
    };
    let mut report = Report::new("a <b>", Kind::Lifecycle, &Options { seed: 9 });
    report.outcomes = vec![
        outcome(Verdict::Kept, 0),
        outcome(Verdict::Broken("it was \"late\"\nby a day".into()), 1),
        outcome(Verdict::Unsupported("not that".into()), 2),
        outcome(Verdict::NotApplicable, 3),
    ];
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["counts"], serde_json::json!({ "kept": 1, "broken": 1, "unsupported": 1, "not_applicable": 1 }));
    assert_eq!((&json["kind"], &json["seed"], &json["seconds"]), (&"lifecycle".into(), &9.into(), &1.0.into()));
    assert_eq!(json["outcomes"][1]["verdict"], "broken");
    assert_eq!(json["outcomes"][0].get("detail"), None);
    let xml = report.to_junit();
    let suite = "<testsuite name=\"a &lt;b&gt; lifecycle\" tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"2\" time=\"1.000\">";
    assert!(xml.contains(suite), "{xml}");
    assert!(xml.contains(">it was &quot;late&quot;&#10;by a day</failure></testcase>"), "{xml}");
    assert_eq!(xml.matches("<testcase ").count(), 4);
    assert_eq!(xml.matches("<skipped ").count(), 2);
}
