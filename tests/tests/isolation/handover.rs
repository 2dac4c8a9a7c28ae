//! A cache whose strategy is replaced, and fails to hand over what it knows or to take it over.

use larder::cache::{Cache, CacheOptions, EvictionPolicy};

use super::*;

const CAPACITY: u64 = 1_000;

/// Inserts so many entries, each of which is to be there at once, into a cache that never has more than it may.
fn fill(cache: &Cache<u64, u64>, keys: std::ops::Range<u64>) {
    for number in keys {
        cache.insert(number, number, 1);
        assert_eq!(cache.get(&number), Some(number));
        assert!(cache.stats().weight <= CAPACITY, "{:?}", cache.stats());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_that_fails_to_hand_over_costs_what_it_knew_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (runtime, registry) = (PluginRuntime::new(folder.path().join("compiled")).unwrap(), Registry::new());
    runtime.register(&registry).unwrap();
    let path = component("zoo-eviction").await;
    for fault in ["trap-snapshot", "loop-snapshot", "flood-snapshot", "loop-restore", "bomb-restore"] {
        let options = |fault: Option<&str>| {
            let settings = fault.map_or(Value::Null, |fault| json!({ "fault": fault }));
            let mut options = PluginOptions { settings, ..PluginOptions::new(fault.unwrap_or("healthy")) };
            options.limits.memory = 32 << 20;
            options.limits.call_timeout = Some(Duration::from_millis(200));
            options
        };
        let plugin = runtime.load(&path, options(Some(fault))).await.unwrap();
        let eviction_policy = EvictionPolicy::Custom(plugin.eviction().unwrap());
        let cache = Cache::new(&CacheOptions { eviction_policy, ..CacheOptions::new(CAPACITY) }).unwrap();
        fill(&cache, 0..3_000);

        // The fault is of the one that hands over, and then of the one that takes over.
        for successor in [Some(fault), None] {
            runtime.reload(&plugin, &path, options(successor)).await.unwrap();
            let begun = Instant::now();
            fill(&cache, 3_000..6_000);
            assert!(begun.elapsed() < SLACK * 5, "{fault}: {:?} for 3,000 insertions", begun.elapsed());
            // One that takes over does so aside.
            let deadline = Instant::now() + Duration::from_secs(30);
            while metric(&registry, "larder_plugin_faults_total", &[("plugin", fault)]) == 0 {
                assert!(Instant::now() < deadline, "{fault}: nobody was asked");
                fill(&cache, 3_000..3_100);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }

        // The healthy one decides in the end: first in, first out, and so the last thousand are there.
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut next = 6_000;
        while cache.stats().failed_strategies > 0 {
            assert!(Instant::now() < deadline, "{fault}: CLOCK stands in for ever");
            fill(&cache, next..next + 100);
            next += 100;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        fill(&cache, next..next + 2_000);
        let there = (next + 2_000 - CAPACITY / 2..next + 2_000).filter(|key| cache.get(key).is_some());
        assert_eq!(there.count() as u64, CAPACITY / 2, "{fault}");
    }
}
