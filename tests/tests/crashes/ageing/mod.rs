//! Objects that age, in two file stores, while the process is killed.
//!
//! A host that is killed while it archives, restores, trashes, takes out of the trash, purges, tags, replaces or deletes is
//! followed by one that runs the policies, which may be killed too. After that every object is in one place with its bytes
//! and attributes, no store has anything that nothing refers to, and whatever ageing did is on record. The index of what is due has
//! what there is.

mod step;
mod stores;

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Runtime;

use self::step::{STEPS, State, Step, WRITERS};
use self::stores::Stores;
use crate::child::{Trouble, events, say, workload};
use crate::{crashes, folder};

/// A workload in a folder, which may be run several times.
struct Ageing {
    folder: PathBuf,
    seed: u64,
    /// For each writer what may be there.
    states: Vec<Vec<State>>,
    /// The step that each goes on with.
    next: Vec<u64>,
}

impl Ageing {
    fn new(folder: &Path, seed: u64) -> Self {
        let states = vec![vec![State::default()]; WRITERS as usize];
        Self { folder: folder.to_owned(), seed, states, next: vec![0; WRITERS as usize] }
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Runs the workload, with trouble at this event; 0 is none. Returns whether there were so many events.
    fn run(&mut self, at: u64, how: Trouble) -> bool {
        let first = self.next.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let mut command = workload("ageing_workload", &self.folder, &self.root(), at, how);
        command.env("LARDER_CRASH_SEED", self.seed.to_string()).env("LARDER_CRASH_FIRST", first);
        let ended = command.output().expect("it can be started");
        let was_killed = ended.status.signal() == Some(9);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(was_killed || ended.status.success(), "seed {}, at event {at}, {how:?}: {said}", self.seed);
        let notes = fs::read_to_string(self.folder.join("notes")).unwrap_or_default();
        for line in notes.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [word, writer, number] = words[..] else { panic!("{line}") };
            let (writer, number): (usize, u64) = (writer.parse().expect("one"), number.parse().expect("one"));
            let states = &mut self.states[writer];
            if word == "b" {
                let step = Step::of(self.seed, writer as u64, number);
                let mut after = states.clone();
                after.iter_mut().for_each(|state| state.apply(&step));
                states.extend(after);
                self.next[writer] = number + 1;
            } else {
                states.drain(..states.len() / 2);
            }
        }
        was_killed
    }

    /// Opens what is left, runs the policies, and sees to it that what was acknowledged is there, and nothing else.
    async fn check(&mut self) {
        let root = self.root();
        stores::check_files(&root);
        let stores = Stores::open(&root).unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
        stores.check_index().await;
        stores.recover().await;
        let found = stores.found().await;
        let bodies = stores.bodies().await;
        drop(stores);
        assert_eq!(stores::files_of(&root), bodies, "files that nothing refers to, seed {}", self.seed);
        let begun = stores::begun(&root);
        for (states, found) in self.states.iter_mut().zip(found) {
            let is_so = |state: &&State| state.objects == found && state.aged.iter().all(|label| begun.contains(label));
            let state = states.iter().find(is_so).cloned();
            let seed = self.seed;
            let state = state.unwrap_or_else(|| panic!("seed {seed}: {found:#?}, begun {begun:?}, not {states:#?}"));
            *states = vec![state];
        }
    }

    /// Sees to it that everything can be deleted, and then nothing is left on the disk.
    async fn check_that_all_can_go(&self) {
        let stores = Stores::open(&self.root()).expect("it opens");
        stores.clear().await;
        drop(stores);
        assert_eq!(stores::files_of(&self.root()), [0, 0], "files that nobody can delete");
    }
}

/// What the process does that is killed: the run that follows a start, and then the steps.
pub(crate) fn run() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let seed: u64 = variable("LARDER_CRASH_SEED").parse().expect("a number");
    let first: Vec<u64> =
        variable("LARDER_CRASH_FIRST").split(',').map(|text| text.parse().expect("a number")).collect();
    let notes = OpenOptions::new().create(true).append(true).open(variable("FAULTY_DISK_NOTES")).expect("notes");
    let (notes, root) = (Arc::new(notes), PathBuf::from(variable("FAULTY_DISK_ROOT")));
    let stores = Stores::open(&root).expect("it opens");
    let (_folder, audit) = stores::audit(&root);
    Runtime::new().unwrap().block_on(async {
        stores.recover().await;
        let writers = first.into_iter().zip(0..).map(|(first, writer)| {
            let (store, audit, notes) = (stores.aged.clone(), audit.clone(), notes.clone());
            tokio::spawn(async move {
                for number in first..first + STEPS {
                    say(&notes, &format!("b {writer} {number}\n"));
                    let step = Step::of(seed, writer, number);
                    step.carry_out(&store, &audit).await.unwrap_or_else(|error| panic!("{step:?}: {error}"));
                    if writer == 0 {
                        stores::index_all(&store).await.unwrap_or_else(|error| panic!("{error}"));
                    }
                    say(&notes, &format!("d {writer} {number}\n"));
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

/// Kills workloads at every event, or, with few wanted, at some that are spread over the whole of them.
pub(crate) fn kill_at_every_event(how: Trouble) {
    let runtime = Runtime::new().unwrap();
    let mut killed = 0;
    for seed in 0.. {
        let events = {
            let folder = folder();
            let mut whole = Ageing::new(folder.path(), seed);
            assert!(!whole.run(0, how));
            runtime.block_on(whole.check());
            events(folder.path())
        };
        // Each of a few seeds has its share.
        let step = (4 * 2 * events / (crashes() as u64 + 1)).max(1);
        for at in (1 + seed % step..=events).step_by(step as usize) {
            let folder = folder();
            let mut child = Ageing::new(folder.path(), seed);
            killed += usize::from(child.run(at, how));
            // The run that follows is killed too: every other time it is the first that looks at what is left.
            if at % 2 == 0 {
                runtime.block_on(child.check());
            }
            killed += usize::from(child.run(1 + at % 60, how));
            runtime.block_on(child.check());
            runtime.block_on(child.check_that_all_can_go());
        }
        if killed >= crashes() {
            break;
        }
    }
    println!("{killed} crashes of stores that age, {how:?}");
}
