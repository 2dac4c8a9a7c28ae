use serde::Serialize;

use super::Words;
use super::replay::Replay;
use crate::cache::{EvictionPolicy, EvictionStrategyFactory};
use crate::cli::failure::Failure;
use crate::cli::output::{self, Output, Printable};
use crate::simulate::Zipf;

/// What happens to a cache.
#[derive(Debug, PartialEq)]
enum Event<'a> {
    Read { key: &'a str, weight: u64 },
    Remove { key: &'a str },
}

impl<'a> Event<'a> {
    fn parse(word: &'a str) -> Result<Self, Failure> {
        if let Some(key) = word.strip_prefix('!') {
            return Ok(Self::Remove { key });
        }
        let Some((key, weight)) = word.split_once('=') else { return Ok(Self::Read { key: word, weight: 1 }) };
        let weight = weight.parse().map_err(|_| Failure::usage(format!("{word}: write KEY=WEIGHT, such as a=10")))?;
        Ok(Self::Read { key, weight })
    }
}

/// What came of one event.
#[derive(Debug, Serialize)]
struct Line<'a> {
    key: &'a str,
    outcome: &'static str,
    drops: Vec<String>,
}

/// How one strategy did.
#[derive(Debug, Serialize)]
struct Score {
    strategy: &'static str,
    reads: u64,
    hits: u64,
}

/// Replays the reads on a cache that asks the strategy, and on two that ask native ones, for comparison.
pub(super) fn run(
    factory: &dyn EvictionStrategyFactory,
    operations: &[Words],
    capacity: u64,
    zipf: Option<u32>,
    output: &Output,
) -> Result<(), Failure> {
    let random = zipf.map(|reads| zipf_keys(reads, capacity.saturating_mul(10))).unwrap_or_default();
    let words = operations.iter().flat_map(|operation| &operation.words).chain(&random);
    let events = words.map(|word| Event::parse(word)).collect::<Result<Vec<_>, _>>()?;
    let (score, lines) = replay("plugin", factory, capacity, &events)?;
    let mut scores = vec![score];
    for (name, policy) in [("lru", EvictionPolicy::Lru), ("fifo", EvictionPolicy::Fifo)] {
        if let Some(native) = policy.strategy() {
            scores.push(replay(name, &*native, capacity, &events)?.0);
        }
    }
    // Nobody reads what became of each of many thousand random keys.
    let lines = if zipf.is_some() { Vec::new() } else { lines };
    if output.for_programs() {
        return output.document(&serde_json::json!({ "events": lines, "strategies": scores }));
    }
    if !lines.is_empty() {
        let rows = lines.iter().map(|Line { key, outcome, drops }| {
            [Printable(key).to_string(), (*outcome).to_owned(), Printable(&drops.join(" ")).to_string()]
        });
        output.line(output::table(&["KEY", "OUTCOME", "DROPS"], rows))?;
        output.line("")?;
    }
    let rows = scores.iter().map(|Score { strategy, reads, hits }| {
        let ratio = if *reads == 0 { 0.0 } else { 100.0 * *hits as f64 / *reads as f64 };
        [(*strategy).to_owned(), reads.to_string(), hits.to_string(), format!("{ratio:.2} %")]
    });
    output.line(output::table(&["STRATEGY", "READS", "HITS", "RATIO"], rows))
}

fn replay<'a>(
    strategy: &'static str,
    factory: &dyn EvictionStrategyFactory,
    capacity: u64,
    events: &[Event<'a>],
) -> Result<(Score, Vec<Line<'a>>), Failure> {
    let mut replay = Replay::open(factory, capacity)?;
    let mut lines = Vec::new();
    for event in events {
        let (key, outcome, drops) = match event {
            Event::Read { key, weight } => {
                let (hit, drops) = replay.read(key, *weight)?;
                (key, if hit { "hit" } else { "miss" }, drops)
            }
            Event::Remove { key } => (key, if replay.remove(key)? { "removed" } else { "absent" }, Vec::new()),
        };
        lines.push(Line { key, outcome, drops });
    }
    Ok((Score { strategy, reads: replay.reads, hits: replay.hits }, lines))
}

/// Reads of so many keys by Zipf's law, the same in every run.
fn zipf_keys(reads: u32, keys: u64) -> Vec<String> {
    /// More keys would cost memory and change little: the last ones are hardly read.
    const MOST: u32 = 1_000_000;
    let mut zipf = Zipf::new(u32::try_from(keys).unwrap_or(MOST).clamp(1, MOST), 1.0, 1);
    (0..reads).map(|_| zipf.draw().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_keys_with_weights_and_removals() {
        assert_eq!(Event::parse("a/b").unwrap(), Event::Read { key: "a/b", weight: 1 });
        assert_eq!(Event::parse("a=30").unwrap(), Event::Read { key: "a", weight: 30 });
        assert_eq!(Event::parse("!a").unwrap(), Event::Remove { key: "a" });
        assert!(Event::parse("a=b").is_err());
    }
}
