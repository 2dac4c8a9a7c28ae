//! The file provider under a disk that fails: killed at every call that changes something, cut off in the middle of a
//! write, without what was not synced, full, and with errors.
//!
//! A workload begins with an empty folder. So the calls that it is killed at are also those that make the store: its
//! folders, and the index, which comes from an empty file to its tables by a migration as any later one.
//!
//! Objects that [age](ageing), from one store to another, into the trash and back, are killed in the same way.
//!
//! `LARDER_CRASHES=20000` has so many crashes of each kind that are otherwise a few hundred.

#![cfg(target_os = "linux")]

mod ageing;
mod child;
mod history;
mod model;
mod multipart;
mod power;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use larder::provider::file::Durability;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::child::{Child, Trouble};
use crate::model::{SETUPS, Setup};

/// How many crashes of a kind there are to be, unless `LARDER_CRASHES` says otherwise.
const CRASHES: usize = 300;

fn crashes() -> usize {
    std::env::var("LARDER_CRASHES").map_or(CRASHES, |text| text.parse().expect("LARDER_CRASHES is a number"))
}

/// The library that stands before the disk, compiled once.
fn faulty_disk() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libfaulty_disk.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crashes/faulty_disk.rs");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let compiled = Command::new(rustc)
            .args(["--edition", "2024", "--crate-type", "cdylib", "-O", "-C", "panic=abort", "-o"])
            .args([&library, &source])
            .status();
        assert!(compiled.is_ok_and(|status| status.success()), "the library can not be compiled");
        library
    })
}

/// A folder in memory where there is one: what is synced need not outlast this machine.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
        .expect("there is a temporary folder")
}

/// A process that does what `child::run` does; not a test.
#[test]
#[ignore = "it is run by the others"]
fn workload() {
    child::run();
}

/// A process that does what `ageing::run` does; not a test.
#[test]
#[ignore = "it is run by the others"]
fn ageing_workload() {
    ageing::run();
}

/// Has trouble at each event of a workload in turn, or, with few wanted, at some that are spread over the whole of it, and
/// looks at what is left each time. Returns how often it had.
fn at_every_event(runtime: &Runtime, setup: Setup, seed: u64, how: Trouble) -> usize {
    let events = {
        let folder = folder();
        let mut child = Child::new(folder.path(), setup, seed);
        assert!(!child.run(0, how));
        child.events()
    };
    let step = (SETUPS.len() as u64 * events / (crashes() as u64 + 1)).max(1);
    let mut count = 0;
    for at in (1 + seed % step..).step_by(step as usize) {
        let folder = folder();
        let mut child = Child::new(folder.path(), setup, seed);
        let hit = child.run(at, how);
        runtime.block_on(child.check());
        // No run has the same number of events as the last.
        if !hit && at > events {
            return count;
        }
        // What is left is used again, and fails again.
        let again = child.run(1 + at % 40, how);
        runtime.block_on(child.check());
        runtime.block_on(child.check_that_all_can_go());
        count += usize::from(hit) + usize::from(again);
    }
    count
}

/// Kills workloads.
fn kill_at_every_event(how: Trouble) {
    let runtime = Runtime::new().unwrap();
    let mut killed = 0;
    for seed in 0.. {
        for setup in SETUPS {
            killed += at_every_event(&runtime, setup, seed, how);
        }
        if killed >= crashes() {
            break;
        }
    }
    println!("{killed} crashes, {how:?}");
}

#[test]
fn killed_at_every_call_it_loses_nothing() {
    kill_at_every_event(Trouble::Kill);
}

#[test]
fn killed_in_the_middle_of_every_write_it_loses_nothing() {
    kill_at_every_event(Trouble::Torn);
}

#[test]
fn killed_at_every_call_while_objects_age_it_has_each_in_one_place() {
    ageing::kill_at_every_event(Trouble::Kill);
}

#[test]
fn killed_in_the_middle_of_every_write_while_objects_age_it_has_each_in_one_place() {
    ageing::kill_at_every_event(Trouble::Torn);
}

/// An error of the disk is an error of the write, which leaves what was there before it.
fn fail_at_every_event(how: Trouble) {
    let runtime = Runtime::new().unwrap();
    let failed: usize = SETUPS.into_iter().map(|setup| at_every_event(&runtime, setup, 7, how)).sum();
    println!("{failed} errors, {how:?}");
}

#[test]
fn with_an_io_error_at_every_call_it_loses_nothing() {
    fail_at_every_event(Trouble::IoError);
}

#[test]
fn with_a_full_disk_at_every_call_it_loses_nothing() {
    fail_at_every_event(Trouble::Full);
}

/// Takes the power from workloads of this durability.
fn lose_power(durability: Durability, losses: usize) {
    let runtime = Runtime::new().unwrap();
    let mut lost = 0;
    for seed in 0.. {
        for setup in SETUPS.into_iter().filter(|setup| setup.durability == durability) {
            lost += power::losses(&runtime, setup, seed, (losses / 8).max(20));
        }
        if lost >= losses {
            break;
        }
    }
    println!("{lost} losses of power, {durability:?}");
}

#[test]
fn without_what_was_not_synced_it_loses_nothing() {
    lose_power(Durability::Strict, crashes());
}

#[test]
fn a_relaxed_store_without_what_was_not_synced_is_as_it_was_a_second_ago() {
    lose_power(Durability::Relaxed, crashes() / 2);
}

#[test]
fn a_store_without_durability_and_what_was_not_synced_never_has_other_bytes() {
    lose_power(Durability::None, crashes() / 2);
}
