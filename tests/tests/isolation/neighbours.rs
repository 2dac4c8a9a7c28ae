//! What goes wrong in one plugin, seen from the next: calls beside it neither fail nor wait, and nothing piles up.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use larder_tests::tell;

use super::*;

/// How many calls the endurance test makes, of which one in a thousand traps: `LARDER_CALLS=1000000` for a million.
fn calls() -> u64 {
    std::env::var("LARDER_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(100_000)
}

/// The resident memory of this process in bytes, and how many files it has open.
#[cfg(target_os = "linux")]
fn footprint() -> (u64, usize) {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let resident: u64 = pages.split_whitespace().nth(1).unwrap().parse().unwrap();
    (resident * 4096, std::fs::read_dir("/proc/self/fd").unwrap().count())
}

/// One of many different calls. Since a trap empties the zoo, an object need not be there.
async fn mixed(zoo: &dyn StorageProvider, number: u64) -> Result<()> {
    let name = format!("k{}", number % 100);
    let done = match number % 5 {
        0 | 1 => store(zoo, &name, "some bytes").await,
        2 => read(zoo, &name).await.map(drop),
        3 => zoo.metadata(&key(&name)).await.map(drop),
        _ => zoo.list(&ListQuery { limit: 10, ..ListQuery::with_prefix("k") }).await.map(drop),
    };
    match done {
        Err(Error::NotFound { .. }) => Ok(()),
        done => done,
    }
}

/// How long reads took, in buckets an eighth of a power of two wide, so that it grows with nothing.
#[derive(Clone)]
struct Latencies([u64; 8 * 64]);

impl Latencies {
    fn new() -> Self {
        Self([0; 8 * 64])
    }

    fn add(&mut self, took: Duration) {
        let nanos = (took.as_nanos() as u64).max(8);
        let power = nanos.ilog2();
        let eighth = (nanos >> (power - 3)) & 7;
        self.0[8 * power as usize + eighth as usize] += 1;
    }

    /// What this share of the reads took at most.
    fn quantile(&self, share: f64) -> Duration {
        let mut left = (self.0.iter().sum::<u64>() as f64 * share) as u64;
        for (bucket, count) in self.0.iter().enumerate() {
            if *count > left {
                let (power, eighth) = (bucket / 8, bucket as u64 % 8);
                return Duration::from_nanos((9 + eighth) << power >> 3);
            }
            left -= count;
        }
        Duration::ZERO
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [half, p99, p999] = [0.5, 0.99, 0.999].map(|share| self.quantile(share));
        write!(f, "half in {half:.1?}, 99 % in {p99:.1?}, 99.9 % in {p999:.1?}")
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_in_every_thousandth_call_hurts_nobody_else_and_leaves_nothing_behind() {
    let runtime = Runtime::new();
    let registry = Registry::new();
    runtime.register(&registry);
    let zoo = runtime.load_with("zoo", json!({ "when": "reading" }), |_| {}).await.unwrap();
    let (status, zoo) = (zoo.clone(), zoo.provider().unwrap());
    let wasm = runtime.load("memory", Value::Null).await.unwrap().provider().unwrap();
    let native: Arc<dyn StorageProvider> = Arc::new(MemoryStorageProvider::new());
    for neighbour in [&wasm, &native] {
        store(&**neighbour, "k", "bytes").await.unwrap();
    }
    // 0: as many calls as a fifth, none of which traps; 1: those of which some do; 2: done.
    let phase = Arc::new(AtomicUsize::new(0));
    let neighbours = [wasm, native].map(|neighbour| {
        let phase = Arc::clone(&phase);
        tokio::spawn(async move {
            let mut reads = [Latencies::new(), Latencies::new()];
            while let Some(reads) = reads.get_mut(phase.load(Ordering::Relaxed)) {
                let begun = Instant::now();
                assert_eq!(read(&*neighbour, "k").await.unwrap(), "bytes");
                reads.add(begun.elapsed());
                tokio::task::yield_now().await;
            }
            reads
        })
    });

    let (calls, trapped) = (calls(), AtomicU64::new(0));
    for number in 1..=calls / 5 {
        mixed(&*zoo, number).await.unwrap();
    }
    phase.store(1, Ordering::Relaxed);
    let mut begun = (0, 0);
    for number in 1..=calls {
        if number % 1000 == 0 {
            let error = zoo.metadata(&key("trap/a")).await.unwrap_err();
            assert_eq!(error.kind(), "unavailable", "{error}");
            trapped.fetch_add(1, Ordering::Relaxed);
        } else {
            mixed(&*zoo, number).await.unwrap();
        }
        // By then everything that is made once was made.
        if number == calls / 5 {
            begun = footprint();
        }
    }
    works(&*zoo).await;
    phase.store(2, Ordering::Relaxed);
    let ended = footprint();
    let (grown, files) = (ended.0.saturating_sub(begun.0), ended.1);
    let mut told = format!(
        "{calls} calls, {} of them trapped; resident memory grew by {} KiB from the first fifth on, files open {} then and \
         {files} now\n",
        trapped.load(Ordering::Relaxed),
        grown >> 10,
        begun.1
    );
    for (neighbour, which) in neighbours.into_iter().zip(["a plugin", "a native provider"]) {
        let [without, with] = neighbour.await.unwrap();
        assert!([&without, &with].iter().all(|reads| reads.0.iter().sum::<u64>() > 0));
        let _ = writeln!(told, "reads of {which} beside them: {with}; beside calls of which none trapped: {without}");
    }
    tell(&told);
    assert!(grown < 8 << 20, "resident memory grew by {grown} bytes");
    assert!(files <= begun.1, "{} files were open, and now {files}", begun.1);
    let trapped = trapped.into_inner();
    assert_eq!(metric(&registry, "larder_plugin_faults_total", &[("plugin", "zoo"), ("fault", "trap")]), trapped);
    assert_eq!(metric(&registry, "larder_plugin_faults_total", &[]), trapped, "nothing else went wrong");
    assert_eq!(metric(&registry, "larder_plugin_instances", &[("plugin", "zoo")]), 1);
    let status = status.status();
    assert_eq!((status.failures, status.starts, status.calls.faults), (trapped, trapped + 1, trapped));
}

/// Reads of a neighbour, and how long the slowest of a hundred took.
async fn p99(neighbour: &dyn StorageProvider, reads: usize) -> Duration {
    let mut took = Vec::with_capacity(reads);
    for _ in 0..reads {
        let begun = Instant::now();
        assert_eq!(read(neighbour, "k").await.unwrap(), "bytes");
        took.push(begun.elapsed());
        tokio::task::yield_now().await;
    }
    took.sort_unstable();
    took[reads * 99 / 100]
}

/// Prints, for each fault, what its caller is told and after how long, and what a neighbour notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_fails_no_call_of_a_neighbour() {
    const READS: usize = 2000;
    let runtime = Runtime::new();
    let zoo = zoo(&runtime, "reading").await.unwrap();
    let neighbour = runtime.load("memory", Value::Null).await.unwrap().provider().unwrap();
    store(&*neighbour, "k", "bytes").await.unwrap();
    let large = vec![7; 3 << 20];
    p99(&*neighbour, READS).await;
    let quiet = p99(&*neighbour, READS).await;
    let mut table = format!(
        "{:12} {:12} {:>10} {:>14} {:>12}  what the caller is told\n",
        "fault", "error", "after", "neighbour p99", "without"
    );
    for fault in ["loop", "wait", "trap", "bomb", "lie-size", "lie-key", "flip", "short", "cut", "oversized"] {
        let name = format!("{fault}/a");
        store(&*zoo, &name, large.clone()).await.unwrap();
        let begun = Instant::now();
        let error = read(&*zoo, &name).await.map(|bytes| bytes.len()).unwrap_err();
        let after = begun.elapsed();
        let (stop, provider) = (Arc::new(AtomicBool::new(false)), Arc::clone(&zoo));
        let failing = tokio::spawn({
            let (stop, name) = (Arc::clone(&stop), name.clone());
            async move {
                while !stop.load(Ordering::Relaxed) {
                    // What is not there any more, since the instance that kept it failed, is no error of this kind.
                    let _ = read(&*provider, &name).await;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
        let beside = p99(&*neighbour, READS).await;
        stop.store(true, Ordering::Relaxed);
        failing.await.unwrap();
        let told: String = error.to_string().chars().take(90).collect();
        let _ = writeln!(table, "{fault:12} {:12} {after:>10.1?} {beside:>14.1?} {quiet:>12.1?}  {told}", error.kind());
        assert!(after < CALL_TIMEOUT + SLACK, "{fault}: {after:?}");
    }
    tell(&table);
}
