//! An eviction strategy that prints, reads and waits where it should only decide: what a guest of a language with a
//! standard library does without thinking.

use std::collections::VecDeque;
use std::io::{Read, Write};

use larder_sdk::{EntryId, EvictionStrategy, Result};

/// What it does at each choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Habit {
    /// Prints a line.
    Prints,
    /// Reads its standard input, its clocks, its environment, and a file that is not there.
    Reads,
    /// Sleeps for an hour.
    Sleeps,
    /// Opens a socket.
    Calls,
}

/// What the test says.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What it does at each choice.
    pub habit: Habit,
}

/// Drops the entry that came first.
#[derive(Debug)]
pub struct Chatty {
    habit: Habit,
    queue: VecDeque<EntryId>,
}

impl EvictionStrategy for Chatty {
    type Config = Config;

    fn open(Config { habit }: Config, capacity: u64) -> Result<Self> {
        println!("open with {capacity}");
        Ok(Self { habit, queue: VecDeque::new() })
    }

    fn on_insert(&mut self, id: EntryId, _hash: u64, _weight: u64) {
        self.queue.push_back(id);
    }

    fn on_access(&mut self, _id: EntryId) {}

    fn on_remove(&mut self, id: EntryId) {
        self.queue.retain(|other| *other != id);
    }

    fn victim(&mut self) -> Option<EntryId> {
        match self.habit {
            Habit::Prints => {
                println!("choosing among {}", self.queue.len());
                eprint!("and {}", "so on ".repeat(2000));
                assert!(std::io::stdout().flush().is_ok(), "what was printed can be flushed");
            }
            Habit::Reads => {
                let mut input = Vec::new();
                assert_eq!(std::io::stdin().read_to_end(&mut input).ok(), Some(0), "there is no input");
                assert_eq!(std::time::SystemTime::now(), std::time::UNIX_EPOCH, "its clock stands still");
                assert_eq!(std::env::vars().count(), 0, "its environment is empty");
                assert!(std::fs::read("/etc/passwd").is_err(), "there are no files");
            }
            Habit::Sleeps => std::thread::sleep(std::time::Duration::from_secs(3600)),
            Habit::Calls => {
                assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_err(), "there is no network");
                assert!(std::net::TcpStream::connect("127.0.0.1:1").is_err(), "there is no network");
            }
        }
        self.queue.pop_front()
    }
}

larder_sdk::export!(eviction: Chatty);
