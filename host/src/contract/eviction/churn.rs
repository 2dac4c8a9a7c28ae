//! Random events on a shard, and the shortest row of them that breaks a promise.

use std::fmt;
use std::time::{Duration, Instant};

use super::Trial;
use super::shard::{Choice, Shard};
use crate::contract::Breach;
use crate::contract::shrinking::{Shrinking, Simplify};
use crate::error::Result;
use crate::random::Random;

/// How many rows are tried, and how long each is.
const ROWS: usize = 4;
const LENGTH: usize = 600;
/// How long a short row is searched for, at most.
const SEARCH: Duration = Duration::from_secs(8);

/// What happens on a shard. Residents are named by where they stand among all, modulo how many there are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Insert { weight: u64 },
    Access { rank: usize },
    Remove { rank: usize },
    Step { wanted: u64, max_victims: usize },
}

impl Event {
    fn random(random: &mut Random) -> Self {
        let rank = random.below(1_000);
        match random.below(20) {
            0..9 => Self::Insert { weight: random.pick(&[1, 1, 3, 100, 4_096]) },
            9..14 => Self::Access { rank },
            14..16 => Self::Remove { rank },
            _ => {
                let wanted = random.pick(&[0, 1, 1, 50, 500, 5_000, 20_000]);
                Self::Step { wanted, max_victims: random.pick(&[1, 2, 8, 64, 1_024]) }
            }
        }
    }

    /// Lets it happen; what a step chose.
    pub(super) fn happen(self, shard: &mut Shard) -> Result<Option<Choice>> {
        let resident = |shard: &Shard, rank: usize| {
            let residents = shard.residents();
            residents.get(rank % residents.len().max(1)).copied()
        };
        match self {
            Self::Insert { weight } => {
                shard.insert(weight);
            }
            Self::Access { rank } => {
                if let Some(id) = resident(shard, rank) {
                    shard.access(id);
                }
            }
            Self::Remove { rank } => {
                if let Some(id) = resident(shard, rank) {
                    shard.remove(id);
                }
            }
            Self::Step { wanted, max_victims } => return shard.step(wanted, max_victims).map(Some),
        }
        Ok(None)
    }
}

impl Simplify for Event {
    fn simpler(&self) -> Vec<Self> {
        match *self {
            Self::Insert { weight: 2.. } => vec![Self::Insert { weight: 1 }],
            Self::Access { rank: rank @ 1.. } => [0, rank / 2].map(|rank| Self::Access { rank }).to_vec(),
            Self::Remove { rank: rank @ 1.. } => [0, rank / 2].map(|rank| Self::Remove { rank }).to_vec(),
            Self::Step { wanted: wanted @ 2.., max_victims } => {
                [1, wanted / 2].map(|wanted| Self::Step { wanted, max_victims }).to_vec()
            }
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insert { weight } => write!(f, "insert one of weight {weight}"),
            Self::Access { rank } => write!(f, "read resident {rank}"),
            Self::Remove { rank } => write!(f, "remove resident {rank}"),
            Self::Step { wanted, max_victims } => write!(f, "want {wanted}, of {max_victims} victims at most"),
        }
    }
}

/// A row of random events.
pub(super) fn random_events(random: &mut Random) -> Vec<Event> {
    (0..LENGTH).map(|_| Event::random(random)).collect()
}

/// Holds every choice over random events to `holds`.
///
/// # Errors
/// The breach, with the shortest row of events that was found to lead to it.
pub(super) fn every_choice(trial: &Trial, holds: impl Fn(&Choice) -> Result<(), Breach>) -> Result<(), Breach> {
    let mut random = trial.random();
    for _ in 0..ROWS {
        let events = random_events(&mut random);
        let Err(mut breach) = follow(trial, &events, &holds) else { continue };
        let (mut shrinking, begun) = (Shrinking::new(events), Instant::now());
        while begun.elapsed() < SEARCH
            && let Some(candidate) = shrinking.candidate()
        {
            if let Err(another) = follow(trial, &candidate, &holds) {
                breach = another;
                shrinking.failed();
            }
        }
        let shortest = shrinking.into_shortest();
        let steps: Vec<_> = shortest.iter().enumerate().map(|(n, event)| format!("\n  {}. {event}", n + 1)).collect();
        return Err(breach.after(&format!("with these events, found with seed {}:{}", trial.seed(), steps.concat())));
    }
    Ok(())
}

fn follow(trial: &Trial, events: &[Event], holds: impl Fn(&Choice) -> Result<(), Breach>) -> Result<(), Breach> {
    let mut shard = trial.shard(u64::MAX)?;
    for (number, event) in events.iter().enumerate() {
        let chosen = event.happen(&mut shard).map_err(Breach::from);
        let held = chosen.and_then(|choice| choice.as_ref().map_or(Ok(()), &holds));
        held.map_err(|breach| breach.at(number + 1))?;
    }
    Ok(())
}
