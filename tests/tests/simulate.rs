//! The simulator agrees with others on a real trace.
//!
//! The trace is none of the project's: it is looked for in the folder that `LARDER_TRACES` names, or else in
//! `../shared/traces`.

use std::path::PathBuf;
use std::time::Duration;

use larder::cache::EvictionPolicy;
use larder::plugin::{Plugin, PluginOptions};
use larder::simulate::{Format, Limit, Pattern, Simulation, Strategy, Synthetic, Trace, TraceOptions};
use larder_tests::{Runtime, project, skipped};
use serde_json::{Value, json};

const CAPACITIES: [Limit; 3] = [Limit::Entries(687), Limit::Entries(1375), Limit::Entries(3439)];

/// HTTP accesses of a shop, December 2013 (headissue GmbH, Jens Wilke; CC BY 4.0), if it is there.
fn web12() -> Option<Trace> {
    let named = std::env::var_os("LARDER_TRACES").map(PathBuf::from);
    let path = named.unwrap_or_else(|| project().join("../shared/traces")).join("web12.trace.xz");
    if !path.exists() {
        skipped(&format!("hit ratios on a real trace: there is no {}; LARDER_TRACES names its folder", path.display()));
        return None;
    }
    let options = TraceOptions { format: Some(Format::U32Be), ..TraceOptions::default() };
    Some(Trace::read(&path, &options, |_| {}).unwrap_or_else(|error| panic!("{error}")))
}

/// The hits of each strategy at each capacity.
fn hits(trace: &Trace, strategies: &[Strategy]) -> Vec<Vec<u64>> {
    let cells = Simulation { trace, strategies, capacities: &CAPACITIES }.run(2, &|_| {}).unwrap();
    let of = |strategy| cells.iter().skip(strategy).step_by(strategies.len()).map(|cell| cell.hits).collect();
    (0..strategies.len()).map(of).collect()
}

/// A plugin with more time for a call than a cache at work gives it, as other tests keep the machine busy.
async fn load(runtime: &Runtime, name: &str, settings: Value) -> Plugin {
    let patient = |options: &mut PluginOptions| options.limits.call_timeout = Some(Duration::from_secs(60));
    runtime.load_with(name, settings, patient).await.unwrap()
}

/// Measured with an independent simulator and with libCacheSim 0.3.5.
#[test]
fn lru_fifo_and_sieve_hit_as_often_as_in_other_simulators() {
    let Some(trace) = web12() else { return };
    assert_eq!((trace.len(), trace.distinct()), (95_607, 13_756));
    let expected = [
        ("lru", EvictionPolicy::Lru, [60.00, 68.48, 77.69]),
        ("fifo", EvictionPolicy::Fifo, [56.25, 64.54, 74.33]),
        ("sieve", EvictionPolicy::Sieve, [63.52, 71.72, 79.05]),
    ];
    let strategies = expected.clone().map(|(name, policy, _)| Strategy::new(name, policy));
    for ((name, _, ratios), hits) in expected.iter().zip(hits(&trace, &strategies)) {
        for (ratio, hits) in ratios.iter().zip(hits) {
            let found: f64 = 100.0 * hits as f64 / trace.len() as f64;
            assert!((found - ratio).abs() <= 0.01, "{name}: {found:.4} % in place of {ratio} %");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_does_as_a_native_strategy_hits_as_often() {
    let runtime = Runtime::new();
    let made_up = Synthetic { requests: 30_000, keys: 5_000, ..Synthetic::new(Pattern::Scan) };
    let traces = [Some(made_up.generate().unwrap()), web12()];
    for (name, native) in [("sieve", EvictionPolicy::Sieve), ("s3-fifo", EvictionPolicy::S3Fifo)] {
        let plugin = load(&runtime, name, Value::Null).await;
        let mine = Strategy::new("plugin", EvictionPolicy::Custom(plugin.eviction().unwrap()));
        let both = [mine, Strategy::new(name, native)];
        for trace in traces.iter().flatten() {
            let hits = hits(trace, &both);
            assert_eq!(hits[0], hits[1], "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_fails_or_breaks_its_contract_ends_the_simulation() {
    let runtime = Runtime::new();
    let trace = Synthetic { requests: 20_000, keys: 2_000, ..Synthetic::new(Pattern::Zipf) }.generate().unwrap();
    for (fault, says) in [
        ("trap", "unreachable"),
        ("stranger", "no such entry is there"),
        ("too-few", "must go"),
        ("greedy", "fewer would do"),
    ] {
        let plugin = load(&runtime, "zoo-eviction", json!({ "fault": fault })).await;
        let strategies = [Strategy::new(fault, EvictionPolicy::Custom(plugin.eviction().unwrap()))];
        let simulation = Simulation { trace: &trace, strategies: &strategies, capacities: &CAPACITIES[..1] };
        let error = simulation.run(1, &|_| {}).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{fault} at a capacity of 687: ")) && error.contains(says), "{error}");
    }
}
