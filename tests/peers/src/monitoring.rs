//! What it costs a cached read that it is counted.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytesize::ByteSize;
use clap::{Args, value_parser};
use futures::FutureExt;
use larder::cache::{CacheConfig, CacheManager};
use larder::manager::StorageManager;
use larder::monitor::{StorageMonitor, StoreMonitor};
use larder::object::{Body, Key, StoreName};
use larder::provider::StoreOptions;
use larder::provider::memory::MemoryStorageProvider;
use tokio::runtime::Runtime;

/// How large the object is that is read.
const SIZE: usize = 4096;
const THREADS: [usize; 2] = [1, 2];

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How many rounds to measure; the table shows their median.
    #[arg(long, default_value_t = 21, value_parser = value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many reads a round has for each thread.
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u64).range(1..))]
    reads: u64,
}

/// Measures what the arguments say, and prints it.
///
/// # Errors
/// A read that is not answered by the cache.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let runtime = Runtime::new()?;
    let name = StoreName::new("documents")?;
    let monitor = StorageMonitor::new()?;
    let cache = CacheManager::new(&CacheConfig::new(ByteSize::mib(1)))?;
    let provider = Arc::new(MemoryStorageProvider::new());
    let store = StorageManager::new(name.clone(), provider, Some(cache), monitor.store(&name));
    let key = Key::new("k")?;
    runtime.block_on(store.store_data(&key, Body::from(vec![7; SIZE]), StoreOptions::default()))?;
    runtime.block_on(store.retrieve_data(&key, None))?;
    let before = monitor.snapshot()[&name].cache_hits;

    println!("a cached read of 4 KiB; median of {} rounds, ns an operation\n", arguments.rounds);
    println!("threads  StorageManager::retrieve_data  of that StoreMonitor::record_read  part");
    for threads in THREADS {
        let read = |reads| {
            for _ in 0..reads {
                let object = store.retrieve_data(black_box(&key), None).now_or_never();
                black_box(object.context("the cache has it")??);
            }
            Ok(())
        };
        let counted: &StoreMonitor = store.monitor();
        let count = |reads| {
            for _ in 0..reads {
                counted.record_read(black_box(SIZE as u64));
            }
            Ok(())
        };
        let (read, count) = (measure(arguments, threads, &read)?, measure(arguments, threads, &count)?);
        println!("{threads:<7}  {read:<29.1}  {count:<33.2}  {:.1} %", 100.0 * count / read);
    }
    let hits = monitor.snapshot()[&name].cache_hits - before;
    let reads = u64::from(arguments.rounds) * arguments.reads * THREADS.iter().sum::<usize>() as u64;
    ensure!(hits >= reads, "{hits} of {reads} reads were hits");
    Ok(())
}

/// How long one operation takes a thread, in nanoseconds.
fn measure(arguments: &Arguments, threads: usize, work: &(dyn Fn(u64) -> Result<()> + Sync)) -> Result<f64> {
    let mut rounds = Vec::new();
    for _ in 0..arguments.rounds {
        let start = Barrier::new(threads);
        let run = || {
            start.wait();
            let begun = Instant::now();
            work(arguments.reads)?;
            Ok::<_, anyhow::Error>(begun.elapsed().as_secs_f64() * 1e9 / arguments.reads as f64)
        };
        let took: Result<Vec<f64>> = thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            running.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
        });
        rounds.push(took?.into_iter().sum::<f64>() / threads as f64);
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[rounds.len() / 2])
}
