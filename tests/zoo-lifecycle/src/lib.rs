//! A lifecycle policy that misbehaves: what the host must survive, and what the contract must name.
//!
//! It is written against the interface itself, since the SDK would mend much of it. `fault` in its settings says how it
//! misbehaves; without, it deletes what is 30 days old and retains everything for a day, as it may.
#![cfg(target_arch = "wasm32")]

#[allow(missing_debug_implementations, unreachable_pub, dead_code, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "lifecycle-policy-with-foresight" });
}

use std::cell::Cell;

use bindings::exports::larder::plugin::lifecycle::{Decision, Guest};
use bindings::exports::larder::plugin::lifecycle_foresight;
use bindings::larder::plugin::types::{Candidate, Error, ErrorKind};

const HOUR: u64 = 60 * 60 * 1000;
const DAY: u64 = 24 * HOUR;

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    /// Panics when it is opened.
    PanicAtOpen,
    /// Panics when it is to decide.
    Trap,
    /// Computes for ever.
    Loop,
    /// Takes memory without end.
    Bomb,
    /// Calls itself until the stack is used up.
    Overflow,
    /// Fails at every question.
    Error,
    /// Leaves out the last decision.
    TooFew,
    /// Decides on one object more than there is.
    TooMany,
    /// Decides on nothing when there is only one.
    NoneOfOne,
    /// Panics at a batch of none.
    EmptyBatch,
    /// Fails at a batch of more than 5,000.
    SmallBatch,
    /// Decides otherwise every seventh time.
    Counts,
    /// Remembers the latest time that it was asked about.
    Remembers,
    /// Deletes the first of a batch.
    First,
    /// Deletes all of a batch of many.
    Crowd,
    /// Decides on the candidates backwards.
    Backwards,
    /// Panics at a key that is no ASCII.
    AsciiKeys,
    /// Panics at a size that is too large for 63 bits.
    SignedSizes,
    /// Panics where an object is from the future.
    NoFuture,
    /// Panics at more than 20 tags.
    FewTags,
    /// Retains for a time that depends on when it is asked.
    WobblyRetention,
    /// Deletes at night alone: which it may, and which is told. It foresees nothing of it.
    Nightly,
    /// Foresees what it will say an hour too late.
    Late,
    /// Foresees that it will never say anything else.
    Blind,
    /// Foresees nothing for the last candidate.
    FewForeseen,
    /// Panics when it is to foresee.
    TrapForesight,
    /// Computes for ever when it is to foresee.
    LoopForesight,
    /// Foresees for the candidates backwards.
    ForeseesBackwards,
    /// Deletes what was read, and does not say that a read changes its mind.
    DeletesRead,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    fault: Option<Fault>,
}

thread_local! {
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static LATEST: Cell<u64> = const { Cell::new(0) };
}

fn error(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error { kind, code: String::new(), message: message.into(), retry_after: None }
}

struct Component;

impl Guest for Component {
    fn open(settings: String) -> Result<(), Error> {
        let config: Option<Config> =
            serde_json::from_str(&settings).map_err(|problem| error(ErrorKind::InvalidInput, problem.to_string()))?;
        let fault = config.unwrap_or_default().fault;
        assert!(fault != Some(Fault::PanicAtOpen), "a panic was asked for");
        FAULT.set(fault);
        Ok(())
    }

    fn decide(candidates: Vec<Candidate>, now: u64) -> Result<Vec<Decision>, Error> {
        let fault = FAULT.get();
        CALLS.set(CALLS.get() + 1);
        LATEST.set(LATEST.get().max(now));
        match fault {
            Some(Fault::Trap) => panic!("a trap was asked for"),
            Some(Fault::Loop) => spin(),
            Some(Fault::Bomb) => loop {
                std::mem::forget(std::hint::black_box(vec![1u8; 1 << 20]));
            },
            Some(Fault::Overflow) => {
                std::hint::black_box(descend(1));
            }
            Some(Fault::Error) => return Err(error(ErrorKind::Internal, "it can not decide")),
            Some(Fault::EmptyBatch) => assert!(!candidates.is_empty(), "a batch of none"),
            Some(Fault::SmallBatch) if candidates.len() > 5_000 => {
                return Err(error(ErrorKind::TooLarge, "that is too many"));
            }
            _ => {}
        }
        let now = if fault == Some(Fault::Remembers) { LATEST.get() } else { now };
        let count = candidates.len();
        let mut decisions: Vec<Decision> = candidates
            .iter()
            .enumerate()
            .map(|(index, candidate)| decide_one(fault, candidate, now, index, count))
            .collect();
        match fault {
            Some(Fault::TooFew) => _ = decisions.pop(),
            Some(Fault::TooMany) => decisions.push(Decision { archive: false, delete: true, retain: 0 }),
            Some(Fault::NoneOfOne) if decisions.len() == 1 => decisions.clear(),
            Some(Fault::Backwards) => decisions.reverse(),
            _ => {}
        }
        Ok(decisions)
    }
}

impl lifecycle_foresight::Guest for Component {
    fn next_changes(candidates: Vec<Candidate>, now: u64) -> Result<Vec<Option<u64>>, Error> {
        let fault = FAULT.get();
        match fault {
            Some(Fault::TrapForesight) => panic!("a trap was asked for"),
            Some(Fault::LoopForesight) => spin(),
            _ => {}
        }
        let next_change = |candidate: &Candidate| match fault {
            Some(Fault::Nightly) => Some(now),
            Some(Fault::Blind) => None,
            Some(Fault::Late) => Some(candidate.metadata.updated_at + 30 * DAY + HOUR),
            _ => Some(candidate.metadata.updated_at + 30 * DAY).filter(|due| *due > now),
        };
        let mut changes: Vec<_> = candidates.iter().map(next_change).collect();
        match fault {
            Some(Fault::FewForeseen) => _ = changes.pop(),
            Some(Fault::ForeseesBackwards) => changes.reverse(),
            _ => {}
        }
        Ok(changes)
    }
}

fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

fn decide_one(fault: Option<Fault>, candidate: &Candidate, now: u64, index: usize, count: usize) -> Decision {
    let metadata = &candidate.metadata;
    let old = now.saturating_sub(metadata.updated_at) >= 30 * DAY;
    let mut decision = Decision { archive: false, delete: old, retain: DAY };
    match fault {
        Some(Fault::Counts) if CALLS.get().is_multiple_of(7) => decision.delete = !old,
        Some(Fault::First) if index == 0 => decision.delete = true,
        Some(Fault::Crowd) if count > 50 => decision.delete = true,
        Some(Fault::AsciiKeys) => assert!(metadata.key.is_ascii(), "{:?} is no ASCII", metadata.key),
        Some(Fault::SignedSizes) => _ = i64::try_from(metadata.size).expect("a size of 63 bits"),
        Some(Fault::NoFuture) => _ = now.checked_sub(metadata.updated_at).expect("no object from the future"),
        Some(Fault::FewTags) => assert!(metadata.attributes.tags.len() <= 20, "more than 20 tags"),
        Some(Fault::WobblyRetention) => decision.retain = now % (7 * DAY),
        Some(Fault::DeletesRead) => {
            decision.delete |= candidate.last_read_at.is_some_and(|read| read > metadata.updated_at)
        }
        Some(Fault::Nightly) => decision.delete = old && now % DAY < 4 * HOUR,
        _ => {}
    }
    decision
}

/// Goes deeper than any stack is, and needs what it finds there on its way back, so that no loop can be made of it.
#[allow(unconditional_recursion, reason = "that is what it is for")]
fn descend(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 64]);
    descend(depth + 1) + here[depth as usize % 64]
}

bindings::export!(Component with_types_in bindings);
