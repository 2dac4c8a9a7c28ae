use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use super::durability::Durability;
use super::fault::of_io;
use crate::error::{Error, Result};

/// Numbers one write of the provider: no two writes of a folder that are there at the same time have the same, and a
/// later one has a greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Generation(pub(super) u64);

impl Generation {
    /// How many generations share a folder, as a power of two.
    const FOLDER_BITS: u32 = 12;

    /// The number of the folder that its body lies in.
    fn folder(self) -> u64 {
        self.0 >> Self::FOLDER_BITS
    }

    fn from_name(name: &str) -> Option<Self> {
        let digits = name.len() == 16 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        digits.then(|| u64::from_str_radix(name, 16).ok().map(Self)).flatten()
    }
}

/// As SQLite's signed integer: 2⁶³ generations are never reached.
impl ToSql for Generation {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.cast_signed().into())
    }
}

impl FromSql for Generation {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(value.as_i64()?.cast_unsigned()))
    }
}

/// Where everything is in a provider's folder.
#[derive(Debug)]
pub(super) struct Layout {
    base: PathBuf,
    durability: Durability,
    /// The folders of bodies of which it is known that they are there and stay, by their numbers; held while one is made.
    ready: Mutex<HashSet<u64>>,
}

impl Layout {
    /// How the names of folders begin that hold what a rebuild has put aside.
    const ASIDE: &str = "before-rebuild-";

    /// Makes the folders that are missing, those above the base too, so that they outlast a loss of power.
    pub(super) fn create(base: &Path, durability: Durability) -> Result<Self> {
        let layout = Self { base: base.to_owned(), durability, ready: Mutex::default() };
        for folder in [base, &layout.temporaries(), &layout.bodies()] {
            layout.create_folder(folder)?;
        }
        // Whoever made it may have been stopped before it was synced; it was not larder where larder may not look.
        match layout.sync_folder(parent(base)) {
            Err(Error::PermissionDenied { .. }) => {}
            synced => synced?,
        }
        layout.sync_folder(base)?;
        Ok(layout)
    }

    /// The layout of a folder as it is, which nothing is changed in.
    pub(super) fn existing(base: &Path) -> Self {
        Self { base: base.to_owned(), durability: Durability::Strict, ready: Mutex::default() }
    }

    /// Keeps every other process out for as long as the file is open.
    pub(super) fn lock(&self) -> Result<File> {
        let path = self.lock_path();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        self.try_lock(file.map_err(|error| of_io(&error, "could not open", &path))?)
    }

    /// The same, also where nothing can be written.
    pub(super) fn lock_as_it_is(&self) -> Result<File> {
        match File::open(self.lock_path()) {
            Ok(file) => self.try_lock(file),
            Err(_) => self.lock(),
        }
    }

    fn try_lock(&self, file: File) -> Result<File> {
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::unavailable(format!(
                "the folder \u{2018}{}\u{2019} is open in another larder: end that one, or choose another folder",
                self.base.display()
            ))),
            Err(TryLockError::Error(error)) => Err(of_io(&error, "could not lock", &self.lock_path())),
        }
    }

    fn lock_path(&self) -> PathBuf {
        self.base.join("LOCK")
    }

    /// The provider's folder.
    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    /// The file of the index; SQLite keeps its write-ahead log beside it.
    pub(super) fn index(&self) -> PathBuf {
        self.base.join("index.sqlite")
    }

    /// A new index that is whole, on its way to take the place of the old one.
    pub(super) fn rebuilt_index(&self) -> PathBuf {
        self.base.join("index.rebuilt")
    }

    /// Where a new index is while it is made.
    pub(super) fn building_index(&self) -> PathBuf {
        self.temporaries().join("index.sqlite")
    }

    /// A folder that is not there yet, for what a rebuild puts aside.
    pub(super) fn new_aside(&self) -> PathBuf {
        let free =
            (1_u64..).map(|number| self.base.join(format!("{}{number}", Self::ASIDE))).find(|path| !path.exists());
        free.unwrap_or_else(|| self.base.join(Self::ASIDE))
    }

    /// Where a body is while it comes.
    pub(super) fn temporary(&self, generation: Generation) -> PathBuf {
        self.temporaries().join(format!("{:016x}", generation.0))
    }

    /// Where a body is once it is whole.
    pub(super) fn body(&self, generation: Generation) -> PathBuf {
        let folder = generation.folder();
        self.bodies()
            .join(format!("{:06x}", folder >> Generation::FOLDER_BITS))
            .join(format!("{:03x}", folder & ((1 << Generation::FOLDER_BITS) - 1)))
            .join(format!("{:016x}", generation.0))
    }

    /// Makes sure that the folder of this generation's body is there, also after a loss of power.
    pub(super) fn prepare(&self, generation: Generation) -> Result<()> {
        let number = generation.folder();
        let mut ready = self.ready.lock();
        if ready.contains(&number) {
            return Ok(());
        }
        let body = self.body(generation);
        let folder = parent(&body);
        self.create_folder(folder)?;
        // Whoever made them may have been stopped before they were synced.
        self.sync_folder(parent(folder))?;
        self.sync_folder(&self.bodies())?;
        ready.insert(number);
        Ok(())
    }

    /// Makes the names in a folder survive a loss of power, if that is wanted.
    pub(super) fn sync_folder(&self, folder: &Path) -> Result<()> {
        if self.durability.syncs_files() { sync_folder(folder) } else { Ok(()) }
    }

    /// Makes the names in the provider's own folder survive a loss of power, whatever the store is wanted to survive.
    pub(super) fn sync_base(&self) -> Result<()> {
        sync_folder(&self.base)
    }

    /// Makes a folder, and those above it that are missing.
    pub(super) fn create_folder(&self, folder: &Path) -> Result<()> {
        let missing: Vec<_> =
            folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()).collect();
        for folder in missing.into_iter().rev() {
            let made = fs::create_dir(folder).or_else(|error| match error.kind() {
                ErrorKind::AlreadyExists if folder.is_dir() => Ok(()),
                _ => Err(error),
            });
            made.map_err(|error| of_io(&error, "could not make the folder", folder))?;
            self.sync_folder(parent(folder)).inspect_err(|_| {
                // A later sync may succeed although this name was lost: the folder has to be made anew.
                let _ = fs::remove_dir(folder);
            })?;
        }
        Ok(())
    }

    /// Removes what writes that never came to an end have left.
    pub(super) fn clear_temporaries(&self) -> Result<()> {
        for path in self.temporary_files()? {
            fs::remove_file(&path).map_err(|error| of_io(&error, "could not remove", &path))?;
        }
        Ok(())
    }

    /// What writes that did not come to an end have left, if nobody has the folder open.
    pub(super) fn temporary_files(&self) -> Result<Vec<PathBuf>> {
        let folder = self.temporaries();
        if folder.exists() { children(&folder) } else { Ok(Vec::new()) }
    }

    /// The files that rebuilds have put aside, by rebuild.
    pub(super) fn set_aside(&self) -> Result<Vec<Vec<PathBuf>>> {
        let is_aside = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(Self::ASIDE)) && path.is_dir()
        };
        children(&self.base)?.iter().filter(|path| is_aside(path)).map(|path| children(path)).collect()
    }

    /// Whether there is a folder of bodies.
    pub(super) fn has_bodies(&self) -> bool {
        self.bodies().exists()
    }

    /// All bodies, folder by folder in no order; files of other names, or at other places, are not larder's.
    pub(super) fn bodies_by_folder(&self) -> Result<impl Iterator<Item = Result<BodyFolder>> + '_> {
        let mut folders = Vec::new();
        let outer = if self.has_bodies() { children(&self.bodies())? } else { Vec::new() };
        for outer in outer {
            folders.extend(children(&outer)?);
        }
        Ok(folders.into_iter().map(|path| {
            let generation = |body: &PathBuf| {
                let generation = Generation::from_name(body.file_name()?.to_str()?)?;
                (self.body(generation) == *body).then_some(generation)
            };
            let generations = children(&path)?.iter().filter_map(generation).collect();
            Ok(BodyFolder { path, generations })
        }))
    }

    fn temporaries(&self) -> PathBuf {
        self.base.join("tmp")
    }

    fn bodies(&self) -> PathBuf {
        self.base.join("bodies")
    }
}

/// A folder of bodies.
pub(super) struct BodyFolder {
    pub(super) path: PathBuf,
    pub(super) generations: Vec<Generation>,
}

impl BodyFolder {
    /// From the least to the greatest generation in it; `None` if it is empty.
    pub(super) fn range(&self) -> Option<RangeInclusive<Generation>> {
        Some(*self.generations.iter().min()?..=*self.generations.iter().max()?)
    }
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| of_io(&error, "could not sync the folder", folder))
}

/// The folder that a path lies in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let paths: io::Result<Vec<_>> =
        fs::read_dir(folder).and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
    paths.map_err(|error| of_io(&error, "could not read the folder", folder))
}
