//! The process that the disk fails, and what its parent knows of it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use larder::error::{Error, Result};
use larder::provider::file::{self, Durability};
use larder::provider::layers::rekey;
use larder::provider::{Findings, ListQuery, StorageProvider, Usage};
use tokio::runtime::Runtime;

use crate::faulty_disk;
use crate::model::{self, Keys, Layering, Objects, SETUPS, STEPS, Setup, Step, WRITERS};
use crate::power::{self, Record};

/// What the disk does at an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Kill,
    Torn,
    IoError,
    Full,
}

impl Trouble {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Torn => "torn",
            Self::IoError => "eio",
            Self::Full => "enospc",
        }
    }
}

/// How long a lock may be shared.
const PATIENCE: Duration = Duration::from_secs(5);

/// A workload in a folder, which may be run several times.
pub(crate) struct Child {
    folder: PathBuf,
    setup: Setup,
    seed: u64,
    /// For each writer what may be there: one state, or two if it is not known whether a step happened.
    states: Vec<Vec<Objects>>,
    /// The step that each goes on with.
    next: Vec<u64>,
    /// Whether all objects have the second key by now.
    rekeyed: bool,
    /// How long it waits after half of the steps.
    pub(crate) pause: Duration,
}

impl Child {
    pub(crate) fn new(folder: &Path, setup: Setup, seed: u64) -> Self {
        let states = (0..WRITERS).map(|_| vec![Objects::new()]).collect();
        let next = vec![0; WRITERS as usize];
        Self { folder: folder.to_owned(), setup, seed, states, next, rekeyed: false, pause: Duration::ZERO }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Runs the workload, with trouble at this event; 0 is none. Takes note of what it says that it did. Returns whether
    /// there were so many events.
    pub(crate) fn run(&mut self, at: u64, how: Trouble) -> bool {
        let first = self.next.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let setup = SETUPS.iter().position(|setup| *setup == self.setup).expect("it is one of them");
        let ended = workload("workload", &self.folder, &self.store(), at, how)
            .env("LARDER_CRASH_SETUP", setup.to_string())
            .env("LARDER_CRASH_SEED", self.seed.to_string())
            .env("LARDER_CRASH_FIRST", first)
            .env("LARDER_CRASH_PAUSE", self.pause.as_millis().to_string())
            .output()
            .expect("it can be started");
        let failed = power::records(&self.log()).into_iter().find(|record| record.letter == b'F');
        let doubt = failed.as_ref().is_some_and(|failed| self.leaves_doubt(failed));
        self.note(&fs::read_to_string(self.folder.join("notes")).unwrap_or_default(), doubt);
        match (ended.status.success(), ended.status.signal()) {
            (true, _) => failed.is_some(),
            (_, Some(9)) if matches!(how, Trouble::Kill | Trouble::Torn) => true,
            _ => panic!("{:?}, at event {at}, {how:?}: {}", self.setup, String::from_utf8_lossy(&ended.stderr)),
        }
    }

    /// Whether a write that this call failed for may be there after a restart all the same.
    ///
    /// A commit is written to the index's log and then synced. When that sync fails, the log may have all of it, and a
    /// restart finds it there; whoever asked heard of an error, since a loss of power might take it back. A full disk too
    /// may say so first at the sync, where the file system gives out room late. Of every other call that fails it is
    /// known that the write did not happen, since the commit is not in the log. (With another durability than `strict`
    /// commits are not synced: a sync of the log that fails is one of its beginning, or of commits that were acknowledged.)
    fn leaves_doubt(&self, failed: &Record) -> bool {
        let is_log_sync = failed.path.ends_with("-wal") && failed.data == b"S";
        is_log_sync && self.setup.durability == Durability::Strict
    }

    /// Takes note of what the steps came to that were begun (`b`), done (`d`), have failed (`f`), or were refused since
    /// another had failed (`r`), and of a change of keys (`k`) that is complete.
    pub(crate) fn note(&mut self, notes: &str, doubt: bool) {
        self.rekeyed = false;
        for line in notes.lines() {
            let (word, numbers) = line.split_once(' ').expect("a word");
            let (writer, number) = numbers.split_once(' ').expect("two numbers");
            let (writer, number): (u64, u64) = (writer.parse().expect("one"), number.parse().expect("one"));
            let states = &mut self.states[writer as usize];
            match word {
                // From now on it may have happened: the states in which it did are the second half.
                "b" => {
                    let step = Step::of(self.seed, writer, number);
                    let mut after = states.clone();
                    after.iter_mut().for_each(|objects| model::apply(objects, &step));
                    states.extend(after);
                    self.next[writer as usize] = number + 1;
                }
                "d" => drop(states.drain(..states.len() / 2)),
                "f" if doubt => {}
                "f" | "r" => states.truncate(states.len() / 2),
                "k" => self.rekeyed = true,
                _ => panic!("{line}"),
            }
            assert!(states.len() <= 4, "one step of each writer is in doubt at most, and one under way");
        }
    }

    /// How many events the last run had.
    pub(crate) fn events(&self) -> u64 {
        events(&self.folder)
    }

    /// Opens what is left.
    fn open(&self) -> Arc<dyn StorageProvider> {
        let opened = patiently(|| self.setup.open(&self.store()));
        opened.unwrap_or_else(|error| panic!("{:?}, seed {}: it does not open: {error}", self.setup, self.seed))
    }

    /// Sees to it that nothing is damaged in what is left, before anything is opened.
    fn check_as_it_is(&self) {
        let findings = Findings::default();
        match patiently(|| file::check(&self.store(), &findings)) {
            Ok(report) => assert_eq!(report.damage, 0, "{:?}, seed {}: {findings:#?}", self.setup, self.seed),
            // It was stopped before there was a store.
            Err(Error::InvalidInput { .. }) => {}
            Err(error) => panic!("{:?}, seed {}: it can not be checked: {error}", self.setup, self.seed),
        }
    }

    /// All objects of a sound store, for each writer.
    pub(crate) async fn found(&self) -> Vec<Objects> {
        self.check_as_it_is();
        let files = self.open();
        let found = model::found(&*self.setup.around(&files, Keys::Second)).await;
        if self.rekeyed {
            let with_one_key = model::found(&*self.setup.around(&files, Keys::OnlySecond)).await;
            assert_eq!(with_one_key, found, "the new key is enough");
        }
        found
    }

    /// Sees to it that what was acknowledged is there, and nothing else.
    pub(crate) async fn check(&mut self) {
        for (writer, found) in self.found().await.into_iter().enumerate() {
            self.see(writer, found);
        }
    }

    /// Sees to it that a writer's objects are in a state that they may be in.
    fn see(&mut self, writer: usize, found: Objects) {
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

    /// Completes a change of keys that was interrupted, deletes everything, and sees to it that nothing is left of it on
    /// the disk.
    pub(crate) async fn check_that_all_can_go(&mut self) {
        if self.setup.layers == Layering::Rekeyed {
            rekey(&self.open(), Keys::Second.encryption(), |_| ()).await.unwrap();
            self.rekeyed = true;
            self.check().await;
        }
        let provider = self.open();
        for object in provider.list(&ListQuery::all()).await.unwrap().objects {
            provider.delete(&object.key, None).await.unwrap();
        }
        assert_eq!(provider.usage().await.unwrap(), Usage::default());
        drop(provider);
        let left = files(&self.store().join("bodies")) + files(&self.store().join("tmp"));
        assert_eq!(left, 0, "files that nobody can delete");
    }
}

/// A process that does what the test of this name does, over a disk that has trouble at this event under `root`. Its log and
/// its notes are in `folder`.
pub(crate) fn workload(name: &str, folder: &Path, root: &Path, at: u64, how: Trouble) -> Command {
    let [log, notes] = ["log", "notes"].map(|name| folder.join(name));
    let _ = fs::remove_file(&log);
    let _ = fs::remove_file(&notes);
    let mut command = Command::new(std::env::current_exe().expect("this is a program"));
    command
        .args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"])
        .env("LD_PRELOAD", faulty_disk())
        .env("FAULTY_DISK_ROOT", root)
        .env("FAULTY_DISK_NOTES", notes)
        .env("FAULTY_DISK_LOG", log)
        .env("FAULTY_DISK_AT", at.to_string())
        .env("FAULTY_DISK_HOW", how.word())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// How many events the last process in this folder had.
pub(crate) fn events(folder: &Path) -> u64 {
    power::records(&folder.join("log")).iter().filter(|record| record.letter != b'N').count() as u64
}

/// Tries again for a while what needs a lock: a process that another test starts at this moment shares it for an instant.
pub(crate) fn patiently<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(Error::Unavailable { .. }) if begun.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(5)),
            result => return result,
        }
    }
}

pub(crate) fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

/// What the process does that the disk fails.
pub(crate) fn run() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let setup = SETUPS[variable("LARDER_CRASH_SETUP").parse::<usize>().expect("a number")];
    let seed: u64 = variable("LARDER_CRASH_SEED").parse().expect("a number");
    let first: Vec<u64> =
        variable("LARDER_CRASH_FIRST").split(',').map(|text| text.parse().expect("a number")).collect();
    let pause = Duration::from_millis(variable("LARDER_CRASH_PAUSE").parse().expect("a number"));
    let notes = OpenOptions::new().create(true).append(true).open(variable("FAULTY_DISK_NOTES")).expect("notes");
    // A disk that fails while the store is opened is an error too.
    let Ok(files) = setup.open(Path::new(&variable("FAULTY_DISK_ROOT"))) else { return };
    let notes = Arc::new(notes);
    Runtime::new().unwrap().block_on(async {
        work(&setup.around(&files, Keys::First), &notes, seed, &first).await;
        if setup.layers == Layering::Rekeyed && rekey(&files, Keys::Second.encryption(), |_| ()).await.is_ok() {
            say(&notes, "k 0 0\n");
        }
        tokio::time::sleep(pause).await;
        let second: Vec<u64> = first.iter().map(|first| first + STEPS / 2).collect();
        work(&setup.around(&files, Keys::Second), &notes, seed, &second).await;
    });
}

/// Half of the steps, from these on.
async fn work(provider: &Arc<dyn StorageProvider>, notes: &Arc<File>, seed: u64, first: &[u64]) {
    let writers = first.iter().zip(0..).map(|(&first, writer)| {
        let (provider, notes) = (Arc::clone(provider), Arc::clone(notes));
        tokio::spawn(async move {
            for number in first..first + STEPS / 2 {
                let step = Step::of(seed, writer, number);
                let before = model::look_up(&*provider, step.key()).await.unwrap();
                say(&notes, &format!("b {writer} {number}\n"));
                let word = match step.carry_out(&*provider).await {
                    Ok(()) => "d",
                    Err(Error::Unavailable { .. }) => "r",
                    Err(_) => "f",
                };
                say(&notes, &format!("{word} {writer} {number}\n"));
                if word != "d" {
                    let after = model::look_up(&*provider, step.key()).await.unwrap();
                    assert!(after == before, "a write that has failed leaves the old object: {}", step.key());
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

/// One write, so that a line is there whole or not at all.
pub(crate) fn say(mut notes: &File, line: &str) {
    notes.write_all(line.as_bytes()).expect("notes can be taken");
}
