//! Policies that plan a store: rules of the configuration beside a plugin with the same rules. And runs of rules over what is
//! due, beside runs that walk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::{Args, value_parser};
use futures::future::try_join_all;
use larder::lifecycle::{Candidate, LifecycleManager, LifecyclePolicy, Rule};
use larder::object::{Attributes, Body, Key, StorageMetadata, StoreName, Tags, Timestamp, now};
use larder::plugin::{PluginOptions, PluginRuntime};
use larder::provider::file::{Durability, FileOptions, FileStorageProvider};
use larder::provider::layers::{Ageing, AgeingOptions};
use larder::provider::{ListQuery, Stamp, StorageProvider, StoreOptions};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::guests;
use crate::machine::Machine;
use crate::memory;
use crate::report::median;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How many are stored at the same time while the store is filled.
const AT_ONCE: u64 = 512;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How many objects the store has.
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u64).range(1..))]
    objects: u64,
    /// How many rounds to measure; medians are shown.
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    rounds: u32,
    /// The folder whose disk is used, in a temporary folder that is removed in the end.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
}

/// How many become due on each of the next days, at most.
const DUE: u64 = 1000;
/// At how many days what becomes due is due.
const OLD: u32 = 60;

/// A way to have objects judged.
struct Side {
    policies: Vec<(&'static str, Arc<dyn LifecyclePolicy>)>,
}

/// Measures what the arguments say, and prints it.
///
/// # Errors
/// A disk that can not be written, or a plugin that does not decide as the rules do.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir_in(&arguments.folder)?;
    let runtime = Runtime::new()?;
    let now = now();
    let store = runtime.block_on(fill(folder.path().join("store"), arguments.objects, now))?;
    let candidates = runtime.block_on(candidates(&*store))?;
    let plugins = PluginRuntime::new(folder.path().join("compiled"))?;
    let sides = [
        Side { policies: rules() },
        Side { policies: vec![("retention", runtime.block_on(plugin(&plugins, plugin_rules()))?)] },
    ];
    let old = runtime.block_on(plugin(&plugins, json!({ "rules": [{ "delete_after": format!("{OLD}d") }] })))?;
    println!("{}", Machine::new()?);
    println!("{} objects; median of {} rounds", arguments.objects, arguments.rounds);
    let mut decided = [Vec::new(), Vec::new()];
    let mut planned = [Vec::new(), Vec::new()];
    let mut counts = Vec::new();
    let before = memory::in_use()?;
    for _ in 0..arguments.rounds {
        for (index, side) in sides.iter().enumerate() {
            decided[index].push(decisions(side, &candidates, arguments.objects, now)?);
            let mut manager = LifecycleManager::new(StoreName::new("store")?, store.clone());
            for (name, policy) in &side.policies {
                manager = manager.with_policy(name, policy.clone());
            }
            let (mut count, begun) = (0_u64, Instant::now());
            let considered = runtime.block_on(manager.plan(now, &mut |_| count += 1))?;
            ensure!(considered == arguments.objects, "{considered} objects were considered");
            planned[index].push(considered as f64 / begun.elapsed().as_secs_f64());
            counts.push(count);
        }
    }
    ensure!(counts.windows(2).all(|pair| pair[0] == pair[1]), "rules and plugin plan otherwise: {counts:?}");
    let after = memory::in_use()?;
    for (what, figures) in
        [("decisions a second, of batches in memory", decided), ("objects planned a second", planned)]
    {
        let [rules, plugin] = figures.map(|figures| median(&figures));
        println!("{what}: rules {rules:.0}, plugin {plugin:.0}, plugin / rules {:.2}", plugin / rules);
    }
    apply(&runtime, &store, old, arguments, now)?;
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{} objects are in each plan; in memory: {:.1} MiB before, {:.1} MiB after",
        counts[0],
        mebibytes(before),
        mebibytes(after)
    );
    Ok(())
}

/// A rule as any other, of which nobody knows what it will say.
#[derive(Debug)]
struct Unforeseen(Rule);

impl LifecyclePolicy for Unforeseen {
    fn should_archive(&self, candidate: &Candidate, now: Timestamp) -> bool {
        self.0.should_archive(candidate, now)
    }

    fn should_delete(&self, candidate: &Candidate, now: Timestamp) -> bool {
        self.0.should_delete(candidate, now)
    }

    fn retention_period(&self, candidate: &Candidate) -> Duration {
        self.0.retention_period(candidate)
    }
}

/// Runs of one rule, as it is, as a plugin, and where nobody knows what it will say: the first run, one for which nothing is
/// due, and one on a day of its own, on which something is.
fn apply(
    runtime: &Runtime,
    store: &Arc<Ageing>,
    plugin: Arc<dyn LifecyclePolicy>,
    arguments: &Arguments,
    now: Timestamp,
) -> Result<()> {
    let rule = Rule { delete_after: Some(DAY * OLD), ..Rule::default() };
    let run = |policy: &Arc<dyn LifecyclePolicy>, now: Timestamp| {
        let begun = Instant::now();
        let manager = LifecycleManager::new(StoreName::new("store")?, store.clone()).with_policy("old", policy.clone());
        let report = runtime.block_on(manager.apply_policies(now))?;
        anyhow::Ok((report.deleted, begun.elapsed().as_secs_f64() * 1000.0))
    };
    let sides: [(_, Arc<dyn LifecyclePolicy>); 3] = [
        ("a rule, by the index", Arc::new(rule.clone())),
        ("a plugin, by the index", plugin),
        ("a rule, by a walk", Arc::new(Unforeseen(rule))),
    ];
    let mut today = now;
    println!("runs over all objects, ms: the first, one for which nothing is due, and one that deletes what is due");
    for (name, policy) in sides {
        let (_, first) = run(&policy, today)?;
        let idle: Result<Vec<f64>> = (0..arguments.rounds).map(|_| Ok(run(&policy, today)?.1)).collect();
        let idle = median(&idle?);
        today += DAY;
        let (due, took) = run(&policy, today)?;
        println!("{name:<24}{first:>8.0}{idle:>10.2}{took:>8.0} for {due}");
    }
    Ok(())
}

fn rules() -> Vec<(&'static str, Arc<dyn LifecyclePolicy>)> {
    let draft = Tags::from_pairs([("state".to_owned(), "draft".to_owned())]).unwrap_or_default();
    vec![
        ("keep", Arc::new(Rule { prefix: "keep/".into(), retain: DAY * 365, ..Rule::default() })),
        ("drafts", Arc::new(Rule { tags: draft, delete_after: Some(DAY * 30), ..Rule::default() })),
        ("tmp", Arc::new(Rule { prefix: "tmp/".into(), delete_after: Some(DAY * 7), ..Rule::default() })),
    ]
}

/// The same for the plugin.
fn plugin_rules() -> Value {
    json!({ "rules": [
        { "prefix": "keep/", "retain": "365d" },
        { "tags": { "state": "draft" }, "delete_after": "30d" },
        { "prefix": "tmp/", "delete_after": "7d" },
    ]})
}

async fn plugin(runtime: &PluginRuntime, settings: Value) -> Result<Arc<dyn LifecyclePolicy>> {
    let component = tokio::task::spawn_blocking(|| guests::build_one("retention")).await??;
    let options = PluginOptions { settings, ..PluginOptions::new("retention") };
    Ok(runtime.load(&component, options).await?.lifecycle()?)
}

/// Half of the objects are documents, and a tenth is drafts and a tenth temporary; half of those are old enough to go.
async fn fill(folder: PathBuf, objects: u64, now: Timestamp) -> Result<Arc<Ageing>> {
    let files = Arc::new(FileStorageProvider::open(&folder, &FileOptions { durability: Durability::None })?);
    let put = async |number: u64| {
        let place =
            ["documents/", "keep/", "documents/", "tmp/", "documents/", "drafts/", "x/", "y/", "documents/", "z/"];
        let place = place[(number % 10) as usize];
        let tags = if place == "drafts/" { vec![("state".to_owned(), "draft".to_owned())] } else { Vec::new() };
        let attributes = Attributes { tags: Tags::from_pairs(tags)?, ..Attributes::default() };
        let share = (objects / DUE).max(3);
        let age = match number % share {
            soon @ 0..3 => DAY * (OLD - 1 - soon as u32),
            _ if number % 20 < 10 => DAY,
            _ => DAY * 40,
        };
        let options = StoreOptions { attributes, stamp: Stamp::at(now - age), ..StoreOptions::default() };
        let key = Key::new(format!("{place}{number:012}"))?;
        anyhow::Ok(files.store(&key, Body::Bytes(Bytes::from_static(b"bytes")), options).await?)
    };
    for start in (0..objects).step_by(AT_ONCE as usize) {
        try_join_all((start..objects.min(start + AT_ONCE)).map(put)).await?;
    }
    let options = AgeingOptions {
        store: StoreName::new("store")?,
        archive: None,
        recall: false,
        lock: None,
        clock: Arc::new(larder::object::now),
    };
    Ok(Arc::new(Ageing::new(files, options)))
}

/// As many as a batch has, from all over the store.
async fn candidates(store: &Ageing) -> Result<Vec<Candidate>> {
    let mut found: Vec<StorageMetadata> = Vec::new();
    for prefix in ["documents/", "keep/", "tmp/", "drafts/"] {
        let limit = LifecycleManager::BATCH / 4;
        found.extend(store.list(&ListQuery { limit, ..ListQuery::with_prefix(prefix) }).await?.objects);
    }
    Ok(found.into_iter().map(|metadata| Candidate { metadata, last_read_at: None }).collect())
}

/// How many a second are decided on by this thread, of batches that are there.
fn decisions(side: &Side, candidates: &[Candidate], objects: u64, now: Timestamp) -> Result<f64> {
    let batches = objects.div_ceil(candidates.len() as u64);
    let begun = Instant::now();
    for _ in 0..batches {
        for (name, policy) in &side.policies {
            let decided = policy.decide(candidates, now).with_context(|| (*name).to_owned())?;
            ensure!(decided.len() == candidates.len(), "{name} did not decide on all");
        }
    }
    Ok((batches * candidates.len() as u64) as f64 / begun.elapsed().as_secs_f64())
}
