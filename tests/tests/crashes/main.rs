//! The file provider under a disk that fails: killed at every call that changes something, cut off in the middle of a
//! write, without what was not synced, full, and with errors.
//!
//! `LARDER_CRASHES=20000` has so many crashes of each kind that are otherwise a few hundred.

#![cfg(target_os = "linux")]

mod child;
mod model;
mod power;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use larder::provider::file::Durability;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::child::{Child, Ended, Trouble};
use crate::model::Setup;

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

/// Every durability, and every layer at once.
fn setups() -> [Setup; 4] {
    let plain = |durability| Setup { durability, layered: false };
    [
        plain(Durability::Strict),
        plain(Durability::Relaxed),
        plain(Durability::None),
        Setup { durability: Durability::Strict, layered: true },
    ]
}

/// Kills workloads, one at each event in turn, and looks at what is left each time.
fn kill_at_every_event(how: Trouble) {
    let runtime = Runtime::new().unwrap();
    let mut killed = 0;
    let wanted = crashes();
    for seed in 0.. {
        for setup in setups() {
            // With few crashes wanted, they are spread over the whole of a workload.
            let events = {
                let folder = folder();
                let mut child = Child::new(folder.path(), setup, seed);
                assert_eq!(child.run(0, how), Ended::Itself);
                child.events()
            };
            let step = (4 * events as usize / (wanted + 1)).max(1) as u64;
            for at in (1 + seed % step..=events).step_by(step as usize) {
                let folder = folder();
                let mut child = Child::new(folder.path(), setup, seed);
                // What is left is used again, and killed again.
                for at in [at, 1 + at % 40] {
                    killed += usize::from(child.run(at, how) == Ended::Killed);
                    runtime.block_on(child.check());
                }
                runtime.block_on(child.check_that_all_can_go());
            }
        }
        if killed >= wanted {
            break;
        }
    }
    println!("{killed} crashes");
}

#[test]
fn killed_at_every_call_it_loses_nothing() {
    kill_at_every_event(Trouble::Kill);
}

#[test]
fn killed_in_the_middle_of_every_write_it_loses_nothing() {
    kill_at_every_event(Trouble::Torn);
}

/// An error of the disk is an error of the write, and what was acknowledged before it stays.
fn fail_at_every_event(how: Trouble) {
    let runtime = Runtime::new().unwrap();
    for setup in setups() {
        let events = {
            let folder = folder();
            let mut child = Child::new(folder.path(), setup, 7);
            assert_eq!(child.run(0, how), Ended::Itself);
            child.events()
        };
        let step = (4 * events as usize / (crashes() + 1)).max(1);
        for at in (1..=events).step_by(step) {
            let folder = folder();
            let mut child = Child::new(folder.path(), setup, 7);
            assert_eq!(child.run(at, how), Ended::Itself, "an error at event {at} ended the process");
            runtime.block_on(child.check());
            runtime.block_on(child.check_that_all_can_go());
        }
    }
}

#[test]
fn with_an_io_error_at_every_call_it_loses_nothing() {
    fail_at_every_event(Trouble::IoError);
}

#[test]
fn with_a_full_disk_at_every_call_it_loses_nothing() {
    fail_at_every_event(Trouble::Full);
}

#[test]
fn without_what_was_not_synced_it_loses_nothing() {
    let runtime = Runtime::new().unwrap();
    let mut lost = 0;
    for seed in 0.. {
        for setup in setups().into_iter().filter(|setup| setup.durability == Durability::Strict) {
            lost += power::losses(&runtime, setup, seed, (crashes() / 8).max(20));
        }
        if lost >= crashes() {
            break;
        }
    }
    println!("{lost} losses of power");
}
