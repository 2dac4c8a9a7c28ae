//! A loss of power: what a disk may hold that was told so much and asked to sync so little.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::error::Error;
use larder::provider::file::Durability;
use tokio::runtime::Runtime;

use crate::child::{Child, Trouble};
use crate::folder;
use crate::history::History;
use crate::model::Setup;

/// A record of the disk's log.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) letter: u8,
    inode: u64,
    position: u64,
    pub(crate) path: String,
    pub(crate) data: Vec<u8>,
}

/// The records of a log, whose last one may be cut off.
pub(crate) fn records(log: &Path) -> Vec<Record> {
    let bytes = fs::read(log).unwrap_or_default();
    let mut rest = &bytes[..];
    let mut records = Vec::new();
    while let Some((&letter, after)) = rest.split_first() {
        let Some((numbers, after)) = after.split_at_checked(32) else { break };
        let numbers: Vec<_> = numbers.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let [inode, position, first, second] = numbers[..] else { break };
        let Some((texts, after)) = after.split_at_checked((first + second) as usize) else { break };
        let (path, data) = texts.split_at(first as usize);
        let path = String::from_utf8(path.to_vec()).expect("a path of ours");
        records.push(Record { letter, inode, position, path, data: data.to_vec() });
        rest = after;
    }
    records
}

/// What a file holds for certain, and what was done to it since it was last synced.
#[derive(Clone, Default)]
struct FileState {
    synced: Vec<u8>,
    since: Vec<Write>,
}

#[derive(Clone)]
enum Write {
    At(u64, Vec<u8>),
    Truncated(u64),
}

/// A change of a name: the file that it names then, if any.
#[derive(Clone)]
struct Naming {
    path: PathBuf,
    file: Option<usize>,
}

/// A disk: files without names, and names in folders.
#[derive(Default)]
struct Disk {
    files: Vec<FileState>,
    /// The last file of each inode: one that was removed may have had the same.
    inodes: HashMap<u64, usize>,
    /// As the process sees them.
    names: BTreeMap<PathBuf, usize>,
    folders: BTreeSet<PathBuf>,
    /// What is certain of each folder's names, and what happened to them since it was last synced, in order.
    certain: BTreeMap<PathBuf, usize>,
    since: BTreeMap<PathBuf, Vec<Naming>>,
}

impl Disk {
    fn name(&mut self, path: &str, file: Option<usize>) {
        let path = PathBuf::from(path);
        match file {
            Some(file) => self.names.insert(path.clone(), file),
            None => self.names.remove(&path),
        };
        let parent = path.parent().expect("it lies in a folder").to_owned();
        self.since.entry(parent).or_default().push(Naming { path, file });
    }

    /// The file that a call was about, under whatever name it has by now.
    fn open(&mut self, record: &Record) -> &mut FileState {
        let file = self.inodes.get(&record.inode);
        &mut self.files[*file.unwrap_or_else(|| panic!("{} was never made on this disk", record.path))]
    }

    fn apply(&mut self, record: &Record) {
        match record.letter {
            b'C' => {
                self.files.push(FileState::default());
                self.inodes.insert(record.inode, self.files.len() - 1);
                self.name(&record.path, Some(self.files.len() - 1));
            }
            b'W' => self.open(record).since.push(Write::At(record.position, record.data.clone())),
            b'T' => self.open(record).since.push(Write::Truncated(record.position)),
            b'S' if self.folders.contains(Path::new(&record.path)) => {
                for naming in self.since.remove(Path::new(&record.path)).unwrap_or_default() {
                    naming.apply(&mut self.certain);
                }
            }
            b'S' => {
                let state = self.open(record);
                let writes = std::mem::take(&mut state.since);
                writes.iter().for_each(|write| write.apply(&mut state.synced));
            }
            b'R' => {
                let to = String::from_utf8(record.data.clone()).expect("a path of ours");
                let file = self.names.get(Path::new(&record.path)).copied();
                assert!(file.is_some(), "{} is renamed, and no file of this disk", record.path);
                self.name(&record.path, None);
                self.name(&to, file);
            }
            b'U' => self.name(&record.path, None),
            // Folders are made at the beginning, and a name in one that was not synced would be lost with it: the folder
            // of a name that is certain is there.
            b'M' => {
                self.folders.insert(PathBuf::from(&record.path));
            }
            _ => {}
        }
    }

    /// Writes down what may be left: names up to some moment in each folder, and any of the writes to a file that was not
    /// synced since.
    fn leave(&self, root: &Path, to: &Path, random: &mut Random) {
        // It may have got to next to all of it by itself, or to little.
        let to_most = random.below(2) == 0;
        let mut names = self.certain.clone();
        for namings in self.since.values() {
            let kept = if to_most { namings.len() } else { random.below(namings.len() as u64 + 1) as usize };
            namings[..kept].iter().for_each(|naming| naming.apply(&mut names));
        }
        let place = |path: &Path| to.join(path.strip_prefix(root).expect("it lies below the root"));
        fs::create_dir_all(to).expect("a folder");
        for folder in &self.folders {
            fs::create_dir_all(place(folder)).expect("a folder");
        }
        for (path, file) in names {
            let FileState { synced, since } = &self.files[file];
            let mut bytes = synced.clone();
            let much = if to_most { 2 + random.below(2) } else { random.below(2) };
            let first = random.below(since.len() as u64 + 1) as usize;
            for (number, write) in since.iter().enumerate() {
                // The first writes, any, next to all, or all of them.
                let done = match much {
                    0 if number < first => write.torn(random),
                    1 if random.below(2) == 0 => write.torn(random),
                    2 if random.below(16) > 0 => write.torn(random),
                    3 => vec![write.clone()],
                    _ => Vec::new(),
                };
                done.iter().for_each(|write| write.apply(&mut bytes));
            }
            let path = place(&path);
            fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder");
            fs::write(path, bytes).expect("there is room");
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self.file {
            Some(file) => names.insert(self.path.clone(), file),
            None => names.remove(&self.path),
        };
    }
}

impl Write {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::At(position, data) => {
                let end = *position as usize + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*position as usize..end].copy_from_slice(data);
            }
            Self::Truncated(len) => bytes.resize(*len as usize, 0),
        }
    }

    /// The write as a disk may have done it that works in sectors: all of it, the first of them, or any.
    fn torn(&self, random: &mut Random) -> Vec<Self> {
        const SECTOR: usize = 512;
        let Self::At(position, data) = self else { return vec![self.clone()] };
        let sectors = data.chunks(SECTOR).enumerate();
        let sectors = sectors.map(|(number, sector)| Self::At(position + (number * SECTOR) as u64, sector.to_vec()));
        match random.below(8) {
            0 => sectors.take(random.below((data.len() / SECTOR) as u64 + 1) as usize).collect(),
            1 => sectors.filter(|_| random.below(8) > 0).collect(),
            _ => vec![self.clone()],
        }
    }
}

/// Pseudo-random numbers: xorshift64*, from Vigna, 2016.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % limit
    }
}

/// How long a `relaxed` store is given to sync what it has acknowledged, where a second is promised.
const LONGER_THAN_A_SECOND: Duration = Duration::from_secs(2);

/// Runs a workload once, loses power so often at moments of it, and sees each time that what the durability promises is
/// there. Returns how often that was.
pub(crate) fn losses(runtime: &Runtime, setup: Setup, seed: u64, times: usize) -> usize {
    let home = folder();
    let mut child = Child::new(home.path(), setup, seed);
    if setup.durability == Durability::Relaxed {
        child.pause = LONGER_THAN_A_SECOND;
    }
    assert!(!child.run(0, Trouble::Kill));
    let records = records(&child.log());
    let mut random = Random(seed.wrapping_mul(2) + 1);
    let mut moments: Vec<usize> = (0..times).map(|_| random.below(records.len() as u64 + 1) as usize).collect();
    moments.sort_unstable();
    let (mut disk, mut applied) = (Disk::default(), 0);
    let mut notes = String::new();
    for moment in moments {
        for record in &records[applied..moment] {
            if record.letter == b'N' {
                notes += std::str::from_utf8(&record.data).expect("our notes");
            } else {
                disk.apply(record);
            }
        }
        applied = moment;
        let left = folder();
        let mut after = Child::new(left.path(), setup, seed);
        disk.leave(&child.store(), &after.store(), &mut random);
        after.note(&notes, false);
        runtime.block_on(check(setup, &mut after, &History::of(seed, &notes)));
    }
    times
}

/// Sees to it that what is promised is there after a loss of power.
async fn check(setup: Setup, after: &mut Child, history: &History) {
    match setup.durability {
        Durability::Strict => after.check().await,
        Durability::Relaxed => history.see_a_moment(&after.found().await),
        Durability::None => {
            return match setup.open(&after.store()) {
                Ok(files) => history.see_nothing_else(&*files).await,
                Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error:?}"),
            };
        }
    }
    after.check_that_all_can_go().await;
}
