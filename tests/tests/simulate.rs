//! The simulator agrees with others on a real trace.
//!
//! The trace is none of the project's: it is looked for in the folder that `LARDER_TRACES` names, or else in
//! `../shared/traces`.

use std::path::PathBuf;

use larder::cache::EvictionPolicy;
use larder::simulate::{Format, Limit, Simulation, Strategy, Trace, TraceOptions};
use larder_tests::{Runtime, project, skipped};
use serde_json::Value;

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
    let plugin = runtime.load("sieve", Value::Null).await.unwrap();
    let mine = Strategy::new("plugin", EvictionPolicy::Custom(plugin.eviction().unwrap()));
    let Some(trace) = web12() else { return };
    let hits = hits(&trace, &[mine, Strategy::new("sieve", EvictionPolicy::Sieve)]);
    assert_eq!(hits[0], hits[1]);
}
