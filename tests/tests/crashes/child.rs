//! The process that the disk fails, and what its parent knows of it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use larder::error::Error;
use larder::provider::file::Durability;
use larder::provider::{ListQuery, StorageProvider};
use tokio::runtime::Runtime;

use crate::faulty_disk;
use crate::model::{self, Objects, STEPS, Setup, Step, WRITERS};

/// What the disk does at an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Kill,
    Torn,
    IoError,
    Full,
}

impl Trouble {
    fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Torn => "torn",
            Self::IoError => "eio",
            Self::Full => "enospc",
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Itself,
    Killed,
}

/// How long a lock may be shared.
const PATIENCE: Duration = Duration::from_secs(5);

/// A workload in a folder, which may be run several times.
pub(crate) struct Child {
    folder: PathBuf,
    setup: Setup,
    seed: u64,
    /// For each writer what may be there: one state, or two if it is not known whether the last step happened.
    states: Vec<Vec<Objects>>,
    /// The step that each goes on with.
    next: Vec<u64>,
}

impl Child {
    pub(crate) fn new(folder: &Path, setup: Setup, seed: u64) -> Self {
        let states = (0..WRITERS).map(|_| vec![Objects::new()]).collect();
        Self { folder: folder.to_owned(), setup, seed, states, next: vec![0; WRITERS as usize] }
    }

    fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Runs the workload, with trouble at this event; 0 is none. Takes note of what it says that it did.
    pub(crate) fn run(&mut self, at: u64, how: Trouble) -> Ended {
        let notes = self.folder.join("notes");
        let _ = fs::remove_file(self.log());
        let _ = fs::remove_file(&notes);
        let first = self.next.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let status = Command::new(std::env::current_exe().expect("this is a program"))
            .args(["--exact", "workload", "--ignored", "--nocapture", "--test-threads=1"])
            .env("LD_PRELOAD", faulty_disk())
            .env("FAULTY_DISK_ROOT", self.store())
            .env("FAULTY_DISK_NOTES", &notes)
            .env("FAULTY_DISK_LOG", self.log())
            .env("FAULTY_DISK_AT", at.to_string())
            .env("FAULTY_DISK_HOW", how.word())
            .env("LARDER_CRASH_STORE", self.store())
            .env("LARDER_CRASH_NOTES", &notes)
            .env("LARDER_CRASH_SETUP", format!("{:?},{}", self.setup.durability, self.setup.layered))
            .env("LARDER_CRASH_SEED", self.seed.to_string())
            .env("LARDER_CRASH_FIRST", first)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .expect("it can be started");
        self.note(&fs::read_to_string(&notes).unwrap_or_default());
        match (status.status.success(), status.status.signal()) {
            (true, _) => Ended::Itself,
            (_, Some(9)) => Ended::Killed,
            _ => panic!("at event {at}, {how:?}: {}", String::from_utf8_lossy(&status.stderr)),
        }
    }

    /// Takes note of what the steps came to that were begun (`b`), done (`d`) or have failed (`f`).
    pub(crate) fn note(&mut self, notes: &str) {
        for line in notes.lines() {
            let (word, numbers) = line.split_once(' ').expect("a word");
            let (writer, number) = numbers.split_once(' ').expect("two numbers");
            let (writer, number): (u64, u64) = (writer.parse().expect("one"), number.parse().expect("one"));
            let step = Step::of(self.seed, writer, number);
            let states = &mut self.states[writer as usize];
            match word {
                // From now on it may have happened.
                "b" => {
                    let mut after = states.clone();
                    after.iter_mut().for_each(|objects| model::apply(objects, &step));
                    states.extend(after);
                    self.next[writer as usize] = number + 1;
                }
                // The states in which it did are the second half.
                "d" => drop(states.drain(..states.len() / 2)),
                // One that has failed may have happened all the same, if nobody knows what the disk holds.
                "f" => {}
                _ => panic!("{line}"),
            }
        }
    }

    /// How many events the last run had.
    pub(crate) fn events(&self) -> u64 {
        crate::power::records(&self.log()).iter().filter(|record| record.letter != b'N').count() as u64
    }

    /// Opens what is left. A process that another test starts at this moment shares the lock for an instant.
    fn open(&self) -> Arc<dyn StorageProvider> {
        let begun = Instant::now();
        loop {
            match self.setup.open(&self.store()) {
                Ok(provider) => return provider,
                Err(Error::Unavailable { .. }) if begun.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(5)),
                Err(error) => panic!("{:?}, seed {}: it does not open: {error}", self.setup, self.seed),
            }
        }
    }

    /// Sees to it that what was acknowledged is there, and nothing else.
    pub(crate) async fn check(&mut self) {
        let provider = self.open();
        let found = model::found(&*provider).await;
        for (writer, found) in found.into_iter().enumerate() {
            self.see(writer, found);
        }
    }

    /// Sees to it that a writer's objects are in a state that they may be in.
    pub(crate) fn see(&mut self, writer: usize, found: Objects) {
        let states = &self.states[writer];
        assert!(
            states.contains(&found),
            "{:?}, seed {}: writer {writer} has {:#?} and should have one of {:#?}",
            self.setup,
            self.seed,
            model::outline(&found),
            states.iter().map(model::outline).collect::<Vec<_>>()
        );
        self.states[writer] = vec![found];
    }

    /// Deletes everything, and sees to it that nothing is left of it on the disk.
    pub(crate) async fn check_that_all_can_go(&self) {
        let provider = self.open();
        for object in provider.list(&ListQuery::all()).await.unwrap().objects {
            provider.delete(&object.key, None).await.unwrap();
        }
        assert_eq!(provider.usage().await.unwrap().bytes, 0);
        drop(provider);
        let left = files(&self.store().join("bodies")) + files(&self.store().join("tmp"));
        assert_eq!(left, 0, "files that nobody can delete");
    }
}

fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

/// What the process does that the disk fails.
pub(crate) fn run() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let (durability, layered) = variable("LARDER_CRASH_SETUP").split_once(',').map(own).expect("a setup");
    let durability = match &*durability {
        "Strict" => Durability::Strict,
        "Relaxed" => Durability::Relaxed,
        _ => Durability::None,
    };
    let setup = Setup { durability, layered: layered == "true" };
    let seed: u64 = variable("LARDER_CRASH_SEED").parse().expect("a number");
    let first: Vec<u64> =
        variable("LARDER_CRASH_FIRST").split(',').map(|text| text.parse().expect("a number")).collect();
    let notes = OpenOptions::new().create(true).append(true).open(variable("LARDER_CRASH_NOTES")).expect("notes");
    // A disk that fails while the store is opened is an error too.
    let Ok(provider) = setup.open(Path::new(&variable("LARDER_CRASH_STORE"))) else { return };
    let notes = Arc::new(notes);
    Runtime::new().unwrap().block_on(async {
        let writers = (0..WRITERS).map(|writer| {
            let (provider, notes, first) = (Arc::clone(&provider), Arc::clone(&notes), first[writer as usize]);
            tokio::spawn(async move {
                for number in first..first + STEPS {
                    let step = Step::of(seed, writer, number);
                    say(&notes, &format!("b {writer} {number}\n"));
                    let word = if step.carry_out(&*provider).await.is_ok() { "d" } else { "f" };
                    say(&notes, &format!("{word} {writer} {number}\n"));
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

fn own((first, second): (&str, &str)) -> (String, String) {
    (first.to_owned(), second.to_owned())
}

/// One write, so that a line is there whole or not at all.
fn say(mut notes: &File, line: &str) {
    notes.write_all(line.as_bytes()).expect("notes can be taken");
}
