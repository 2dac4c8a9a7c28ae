//! Plugins in languages that have no SDK, written straight on `wit/`: each built by the script in its folder, and held
//! to what every plugin of its kind is held to. Where its tools can not be installed, it is skipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use larder::cache::{Batch, EntryId, EvictionStrategy};
use larder::contract::{self, Component, Options};
use larder::error::Result;
use larder::lifecycle::Candidate;
use larder::object::{Checksum, Key, timestamp_from_millis};
use larder::plugin::{Needs, Plugin, PluginError, PluginOptions, PluginRuntime};
use larder::provider::{Stamp, StoreOptions};
use larder_tests::host::program;
use larder_tests::{project, skipped, tell};
use serde_json::{Value, json};

/// How a build script ends when a tool is missing and can not be installed.
const TOOL_IS_MISSING: i32 = 69;

/// Builds the plugin in a folder of `plugins/`, or says why that is not possible here.
fn build(folder: &str) -> Option<PathBuf> {
    let mut script = Command::new(project().join("plugins").join(folder).join("build.sh"));
    let built = script.env("LARDER", program()).stdin(Stdio::null()).output().expect("bash runs the script");
    let said = String::from_utf8_lossy(&built.stderr);
    if built.status.code() == Some(TOOL_IS_MISSING) {
        skipped(&format!("plugins/{folder}: {}", said.trim().lines().last().unwrap_or_default()));
        return None;
    }
    assert!(built.status.success(), "plugins/{folder}/build.sh ended with {}: {said}", built.status);
    let component = String::from_utf8_lossy(&built.stdout);
    Some(component.trim_end().into())
}

/// A plugin in another language, and a runtime that finds what earlier runs compiled: an interpreter takes long.
struct Foreign {
    name: &'static str,
    component: PathBuf,
    runtime: Arc<PluginRuntime>,
}

impl Foreign {
    /// Builds it, or says why that is not possible here.
    fn build(name: &'static str) -> Option<Self> {
        let compiled = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
        let runtime = PluginRuntime::new(compiled).expect("this platform has a plugin runtime");
        Some(Self { name, component: build(name)?, runtime: Arc::new(runtime) })
    }

    /// How to load it. An interpreter needs memory, and time on a machine that has other things to do.
    fn options(&self, settings: Value) -> PluginOptions {
        let mut options = PluginOptions { settings, ..PluginOptions::new(self.name) };
        options.limits.memory = 128 << 20;
        options.limits.call_timeout = Some(Duration::from_secs(20));
        options.limits.compile_time = Duration::from_secs(600);
        options
    }

    async fn load(&self, settings: Value) -> Result<Plugin, PluginError> {
        self.runtime.load(&self.component, self.options(settings)).await
    }

    /// What it says of settings that it does not take.
    async fn refuses(&self, settings: Value) -> String {
        self.load(settings).await.map(drop).unwrap_err().to_string()
    }

    /// Holds it to the contract of its kind, and names all that it breaks.
    async fn keeps_the_contract(&self, settings: Value) {
        let component = Component::new(&self.component, self.options(settings));
        let part = component.into_part(Arc::clone(&self.runtime), PathBuf::new()).await.unwrap();
        let report = contract::check(self.name, &part, &Options::default()).await;
        let counts = report.counts();
        tell(&format!("{}, the {} contract: {counts} ({:?})", self.name, part.kind().as_str(), report.took()));
        assert!(counts.broken == 0 && counts.unsupported == 0, "{report}");
        assert!(counts.kept > counts.not_applicable, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_in_python_keeps_the_contract() {
    let Some(python) = Foreign::build("memory-python") else { return };
    let imports = python.load(json!({ "max_object": 5 })).await.unwrap().interface().imports;
    assert!(imports.iter().any(|import| matches!(import.needs, Needs::Inert(_))), "{imports:?}");
    assert!(imports.iter().all(|import| matches!(import.needs, Needs::Nothing | Needs::Inert(_))), "{imports:?}");
    let error = python.refuses(json!({ "max_objects": 5 })).await;
    assert!(error.contains("unknown field `max_objects`, expected `max_object`"), "{error}");
    python.keeps_the_contract(Value::Null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_in_c_keeps_the_contract() {
    let Some(c) = Foreign::build("clock-c") else { return };
    let imports = c.load(Value::Null).await.unwrap().interface().imports;
    assert!(imports.is_empty(), "{imports:?}");
    let error = c.refuses(json!({ "passes": 2 })).await;
    assert!(error.contains("there is nothing to configure"), "{error}");
    c.keeps_the_contract(Value::Null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_in_javascript_keeps_the_contract() {
    let Some(javascript) = Foreign::build("expiry-js") else { return };
    let error = javascript.refuses(json!({ "delete_afer": 30 })).await;
    assert!(error.contains("unknown field `delete_afer`"), "{error}");
    let error = javascript.refuses(json!({ "delete_after": "30d" })).await;
    assert!(error.contains("delete_after is a whole number of days"), "{error}");
    let settings = json!({ "archive_unused_after": 90, "delete_after": 30, "prefix": "tmp/" });
    javascript.keeps_the_contract(settings.clone()).await;

    let policy = javascript.load(settings).await.unwrap().lifecycle().unwrap();
    let days_ago = |days: i64| timestamp_from_millis((1_700_000_000_000 - days * 24 * 60 * 60 * 1000) as u64);
    let candidate = |key: &str, updated: i64, read: Option<i64>| {
        let options = StoreOptions { stamp: Stamp::at(days_ago(updated)), ..StoreOptions::default() };
        let metadata = options.into_metadata(Key::new(key).unwrap(), 1, Checksum::of(b"x"), None);
        Candidate { metadata, last_read_at: read.map(days_ago) }
    };
    for (key, updated, read, archive, delete) in [
        ("a", 90, None, true, false),
        ("a", 90, Some(89), false, false),
        ("a", 89, None, false, false),
        ("tmp/a", 30, Some(0), false, true),
        ("tmp/a", 29, None, false, false),
        ("tmp/a", -1, None, false, false),
    ] {
        let decisions = policy.decide(&[candidate(key, updated, read)], days_ago(0)).unwrap();
        assert_eq!((decisions[0].archive, decisions[0].delete), (archive, delete), "{key} {updated} {read:?}");
    }
}

/// CLOCK over a plain list of frames.
#[derive(Debug, Default)]
struct Clock {
    frames: Vec<Option<Frame>>,
    hand: usize,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    id: EntryId,
    weight: u64,
    marked: bool,
}

impl Clock {
    fn frame(&mut self, id: u64) -> Option<&mut Option<Frame>> {
        let frame = self.frames.get_mut(EntryId(id).slot() as usize)?;
        frame.is_some_and(|frame| frame.id.0 == id).then_some(frame)
    }
}

impl EvictionStrategy for Clock {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        for (&id, &weight) in batch.inserted.iter().zip(&batch.weights) {
            let slot = EntryId(id).slot() as usize;
            if slot >= self.frames.len() {
                self.frames.resize(slot + 1, None);
            }
            self.frames[slot] = Some(Frame { id: EntryId(id), weight, marked: false });
        }
        for &id in &batch.accessed {
            if let Some(Some(frame)) = self.frame(id) {
                frame.marked = true;
            }
        }
        for &id in &batch.removed {
            if let Some(frame) = self.frame(id) {
                *frame = None;
            }
        }
        let mut freed = 0;
        while freed < wanted && victims.len() < max_victims && self.frames.iter().any(Option::is_some) {
            self.hand %= self.frames.len();
            match &mut self.frames[self.hand] {
                Some(frame) if frame.marked => frame.marked = false,
                there => {
                    if let Some(Frame { id, weight, .. }) = there.take() {
                        freed += weight;
                        victims.push(id);
                    }
                }
            }
            self.hand += 1;
        }
        Ok(())
    }
}

/// Pseudo-random numbers, the same at every run: xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What a cache would have resident, by slot.
#[derive(Default)]
struct Residents {
    generations: Vec<u32>,
    residents: Vec<EntryId>,
}

impl Residents {
    /// A batch of up to so many events of each kind, over so many slots.
    fn batch(&mut self, random: &mut Random, events: u64, slots: u32) -> Batch {
        let mut batch = Batch::default();
        self.generations.resize(slots as usize, 0);
        for _ in 0..random.below(events) {
            if !self.residents.is_empty() {
                batch.accessed.push(self.any(random).0);
            }
        }
        for _ in 0..random.below(events / 4) {
            if !self.residents.is_empty() {
                let id = self.any(random);
                self.forget(id);
                batch.removed.push(id.0);
            }
        }
        for _ in 0..random.below(events) {
            let slot = random.below(slots.into()) as u32;
            if self.residents.iter().any(|id| id.slot() == slot) {
                continue;
            }
            let generation = &mut self.generations[slot as usize];
            *generation += 1;
            let id = EntryId::new(slot, *generation);
            self.residents.push(id);
            batch.inserted.push(id.0);
            batch.hashes.push(random.below(u64::MAX));
            batch.weights.push(1 + random.below(100));
        }
        batch
    }

    fn any(&self, random: &mut Random) -> EntryId {
        self.residents[random.below(self.residents.len() as u64) as usize]
    }

    fn forget(&mut self, id: EntryId) {
        self.residents.retain(|resident| *resident != id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_in_c_chooses_as_the_plain_algorithm_does() {
    let Some(c) = Foreign::build("clock-c") else { return };
    let mut in_c = c.load(Value::Null).await.unwrap().eviction().unwrap().open(10_000).unwrap();
    let (mut model, mut residents, mut random) =
        (Clock::default(), Residents::default(), Random(0x9e37_79b9_7f4a_7c15));
    assert!(in_c.snapshot().unwrap().is_empty(), "it does not export the interface for it");
    in_c.restore(b"what another strategy remembered").unwrap();
    let mut evicted = 0;
    for round in 0..5_000 {
        let batch = residents.batch(&mut random, 64, 16 + round / 10);
        let (wanted, max_victims) = (random.below(500), 1 + random.below(16) as usize);
        let (mut chosen, mut expected) = (Vec::new(), Vec::new());
        in_c.step(&batch, wanted, max_victims, &mut chosen).unwrap();
        model.step(&batch, wanted, max_victims, &mut expected).unwrap();
        assert_eq!(chosen, expected, "in round {round}");
        chosen.iter().for_each(|id| residents.forget(*id));
        evicted += chosen.len();
    }
    assert!(evicted > 10_000, "{evicted}");
}
