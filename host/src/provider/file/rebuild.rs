use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::Serialize;

use super::body::BodyReader;
use super::closed::Closed;
use super::durability::Durability;
use super::fault::Fault;
use super::index::{self, Damaged, Located, Order};
use super::layout::{Generation, Layout};
use super::replacement;
use crate::error::{Error, Result};
use crate::object::{Key, StorageMetadata};
use crate::provider::{Finding, FindingKind, Watch};

/// What a [rebuild] makes, or would make, of a store's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RebuildReport {
    /// How the old index is.
    pub old_index: OldIndex,
    /// Objects that are as the old index says.
    pub from_index: u64,
    /// Objects that the files of their bodies tell of alone: as they were written, without later changes of attributes.
    pub from_files: u64,
    /// Objects that are lost, as far as is known.
    pub lost: u64,
    /// Files that belong to no object.
    pub left_out: u64,
    /// Where the old index and the files left out are now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<PathBuf>,
}

/// How much of an index can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum OldIndex {
    /// All of it, but for single rows: what it does not know is not there.
    Whole,
    /// A part of it, or nothing.
    Damaged {
        /// What is wrong with it, in SQLite's words.
        why: String,
    },
    /// There is none.
    Missing,
}

/// Says what [`rebuild`] would do, and changes nothing. What is found is what would be lost or left out.
///
/// # Errors
/// Those of [`rebuild`].
pub fn plan_rebuild(base_path: &Path, watch: &dyn Watch) -> Result<RebuildReport> {
    let closed = Closed::lock(base_path)?;
    let new = index::open_temporary().map_err(|fault| fault.at(Path::new("a temporary index")))?;
    Ok(Rebuilt::of(&closed.layout, new, watch)?.report)
}

/// Makes a new index for a closed store.
///
/// What rows of the old index can be read holds, and with it the values and attributes that only the index has. Where it
/// can not be read, or is not there, the files of bodies speak for themselves, the newest of each key. The old index, and
/// the files that belong to no object, are put aside in a folder of the store's; nothing is removed. A crash leaves the
/// old index or the new one. Blocks.
///
/// # Errors
/// [`Error::InvalidInput`] if no store is there; [`Error::Unavailable`] if it is open; [`Error::Unsupported`] if a newer
/// larder wrote it; those of the file system. The old index is then as it was.
pub fn rebuild(base_path: &Path, watch: &dyn Watch) -> Result<RebuildReport> {
    let _closed = Closed::lock(base_path)?;
    let layout = Layout::create(base_path, Durability::Strict)?;
    layout.clear_temporaries()?;
    let building = layout.building_index();
    // It is synced once it is whole.
    let new = index::open(&building, true, Durability::None).map_err(|fault| fault.at(&building))?;
    let Rebuilt { mut report, left_out, new } = Rebuilt::of(&layout, new, watch)?;
    index::close_for_good(new).map_err(|fault| fault.at(&building))?;
    index::sync_closed(&building)?;
    report.set_aside = replacement::put_aside(&layout, &left_out)?;
    replacement::replace(&layout, &building)?;
    Ok(report)
}

/// A new index and what it was made of.
struct Rebuilt {
    report: RebuildReport,
    left_out: Vec<Generation>,
    new: Connection,
}

impl Rebuilt {
    /// Fills a new index.
    fn of(layout: &Layout, mut new: Connection, watch: &dyn Watch) -> Result<Self> {
        let index = layout.index();
        let (old, mut old_index) = open_old(&index)?;
        let transaction = new.transaction().map_err(|error| Fault::from(error).at(&index))?;
        let mut salvage = Salvage::new(layout, &transaction, watch, old_index == OldIndex::Whole);
        if let Some(old) = &old
            && let Err(fault) = salvage.rows(old)?
        {
            old_index = OldIndex::Damaged { why: fault.why() };
        }
        salvage.files()?;
        let (lost, from_files, left_out) = salvage.end(old.as_ref());
        let objects = index::count(&transaction).and_then(|()| index::usage(&transaction));
        let objects = objects.map_err(|fault| fault.at(&index))?.objects;
        transaction.commit().map_err(|error| Fault::from(error).at(&index))?;
        let report = RebuildReport {
            old_index,
            from_index: objects - from_files,
            from_files,
            lost,
            left_out: left_out.len() as u64,
            set_aside: None,
        };
        Ok(Self { report, left_out, new })
    }
}

/// The old index, if any of it can be read.
fn open_old(path: &Path) -> Result<(Option<Connection>, OldIndex)> {
    if !path.metadata().is_ok_and(|metadata| metadata.len() > 0) {
        return Ok((None, OldIndex::Missing));
    }
    let damaged = |fault: &Fault| OldIndex::Damaged { why: fault.why() };
    match index::open_unchanged(path) {
        Ok(connection) => {
            let state = match index::damage(&connection).map(|damage| damage.into_iter().next()) {
                Ok(None) => OldIndex::Whole,
                Ok(Some(why)) => OldIndex::Damaged { why },
                Err(fault) => damaged(&fault),
            };
            Ok((Some(connection), state))
        }
        Err(Fault::Other(error @ Error::Unsupported { .. })) => Err(error),
        Err(fault) => Ok((None, damaged(&fault))),
    }
}

/// Objects on their way into a new index.
struct Salvage<'a> {
    layout: &'a Layout,
    new: &'a Connection,
    watch: &'a dyn Watch,
    /// Whether what the old index does not know is not there.
    is_whole: bool,
    /// Rows that do not have their checksums, and whether their objects were found elsewhere.
    damaged: Vec<(Damaged, bool)>,
    damaged_by_generation: HashMap<Generation, usize>,
    damaged_by_etag: HashMap<String, usize>,
    /// Objects whose rows can be read and whose bytes can not.
    lost: BTreeMap<Key, (Generation, Finding)>,
    /// Values that are in both indexes, or lost with a row that tells of them.
    values: u64,
    from_files: HashSet<Generation>,
    left_out: Vec<Generation>,
}

impl<'a> Salvage<'a> {
    fn new(layout: &'a Layout, new: &'a Connection, watch: &'a dyn Watch, is_whole: bool) -> Self {
        Self {
            layout,
            new,
            watch,
            is_whole,
            damaged: Vec::new(),
            damaged_by_generation: HashMap::new(),
            damaged_by_etag: HashMap::new(),
            lost: BTreeMap::new(),
            values: 0,
            from_files: HashSet::new(),
            left_out: Vec::new(),
        }
    }

    /// Takes over all rows that can be read: from the first one on, and if that ends early, from the last one back. The
    /// inner result says whether it did.
    fn rows(&mut self, old: &Connection) -> Result<Result<(), Fault>> {
        if let Ok(usage) = index::usage(old) {
            self.watch.expect(usage.bytes);
        }
        let mut last = None;
        let mut outcome = Ok(());
        let forwards = index::scan(old, Order::Ascending, |row| {
            last = row.as_ref().ok().map(|located| located.metadata.key.clone()).or_else(|| last.take());
            outcome = self.row(old, row);
            outcome.is_ok()
        });
        outcome?;
        let Err(fault) = forwards else { return Ok(Ok(())) };
        self.is_whole = false;
        let mut outcome = Ok(());
        // Where this ends early too, what lies between is lost.
        let _ = index::scan(old, Order::Descending, |row| {
            if row.as_ref().is_ok_and(|located| Some(&located.metadata.key) <= last.as_ref()) {
                return false;
            }
            outcome = self.row(old, row);
            outcome.is_ok()
        });
        outcome?;
        Ok(Err(fault))
    }

    fn row(&mut self, old: &Connection, row: Result<Located, Damaged>) -> Result<()> {
        let located = match row {
            Ok(located) => located,
            Err(damaged) => {
                let number = self.damaged.len();
                self.damaged_by_generation.extend(damaged.generation.map(|generation| (generation, number)));
                self.damaged_by_etag.extend(damaged.etag.clone().map(|etag| (etag, number)));
                self.damaged.push((damaged, false));
                return Ok(());
            }
        };
        self.watch.read(located.metadata.size);
        if located.inlined {
            self.values += 1;
        }
        let Located { metadata, generation, .. } = &located;
        let found = match self.bytes(old, &located) {
            Ok(value) => return self.write(&located, value.as_deref()),
            Err(finding) => finding,
        };
        self.lost.insert(metadata.key.clone(), (*generation, found));
        Ok(())
    }

    /// The value of an object that has one in the old index; or why its bytes are lost.
    fn bytes(&self, old: &Connection, located: &Located) -> Result<Option<bytes::Bytes>, Finding> {
        let Located { metadata, generation, inlined } = located;
        let key = &metadata.key;
        if *inlined {
            let value = located.value(old).map(Some);
            return value.map_err(|why| Finding::new(FindingKind::Value, Some(key), why));
        }
        let path = self.layout.body(*generation);
        match BodyReader::open(&path, *generation, metadata) {
            Ok(Some(_)) => Ok(None),
            Ok(None) => Err(Finding::new(
                FindingKind::Missing,
                Some(key),
                format!("the object \u{2018}{key}\u{2019} has lost its file \u{2018}{}\u{2019}", path.display()),
            )),
            Err(error) => Err(Finding::new(FindingKind::Body, Some(key), error.to_string())),
        }
    }

    fn write(&self, located: &Located, value: Option<&[u8]>) -> Result<()> {
        let written = located.write(self.new).and_then(|()| match value {
            Some(value) => index::write_value(self.new, located.generation, value),
            None => Ok(()),
        });
        written.map_err(|fault| self.not_written(fault))
    }

    fn not_written(&self, fault: Fault) -> Error {
        fault.at(&self.layout.building_index())
    }

    /// Takes over the bodies that no row tells of, if they belong to objects.
    fn files(&mut self) -> Result<()> {
        let layout = self.layout;
        for folder in layout.bodies_by_folder()? {
            let folder = folder?;
            let Some(range) = folder.range() else { continue };
            let known = index::body_generations(self.new, range).map_err(|fault| self.not_written(fault))?;
            for generation in folder.generations.into_iter().filter(|generation| !known.contains(generation)) {
                self.file(generation)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, generation: Generation) -> Result<()> {
        let path = self.layout.body(generation);
        let metadata = match BodyReader::open_described(&path, generation) {
            Ok(reader) => reader.metadata().clone(),
            Err(error) => {
                // A row that tells of it tells of the loss, too.
                if !self.is_whole && !self.lost.values().any(|(lost, _)| *lost == generation) {
                    self.watch.found(Finding::new(FindingKind::Body, None, error.to_string()));
                }
                self.left_out.push(generation);
                return Ok(());
            }
        };
        let row = self.damaged_row(generation, &metadata);
        let current = Located::find(self.new, &metadata.key).map_err(|fault| self.not_written(fault))?;
        let wanted = match (&current, self.lost.get(&metadata.key)) {
            // Of what files alone tell, the newest holds; a row tells better.
            (Some(current), _) => self.from_files.contains(&current.generation) && generation > current.generation,
            (None, Some((lost, _))) => generation > *lost,
            (None, None) => !self.is_whole || row.is_some(),
        };
        if !wanted {
            self.leave_out(generation, &metadata.key);
            return Ok(());
        }
        if let Some(row) = row {
            self.damaged[row].1 = true;
        }
        self.lost.remove(&metadata.key);
        if let Some(current) = current {
            self.from_files.remove(&current.generation);
            self.leave_out(current.generation, &metadata.key);
        }
        self.from_files.insert(generation);
        self.write(&Located { metadata, generation, inlined: false }, None)
    }

    /// The damaged row that is of this write. One flipped bit leaves the generation or the etag.
    fn damaged_row(&self, generation: Generation, metadata: &StorageMetadata) -> Option<usize> {
        let by_etag = || self.damaged_by_etag.get(metadata.etag.as_str());
        self.damaged_by_generation.get(&generation).or_else(by_etag).copied()
    }

    fn leave_out(&mut self, generation: Generation, key: &Key) {
        let path = self.layout.body(generation);
        let message =
            format!("\u{2018}{}\u{2019} is of an older or deleted object \u{2018}{key}\u{2019}", path.display());
        self.watch.found(Finding::new(FindingKind::Orphan, Some(key), message));
        self.left_out.push(generation);
    }

    /// Tells what is lost. Returns how many objects are, how many were made of files, and which files belong to none.
    fn end(self, old: Option<&Connection>) -> (u64, u64, Vec<Generation>) {
        let mut lost = 0;
        let rows = self.damaged.into_iter().filter(|(_, found)| !found);
        let rows = rows.map(|(row, _)| Finding::new(FindingKind::Row, None, row.error.to_string()));
        for finding in rows.chain(self.lost.into_values().map(|(_, finding)| finding)) {
            lost += 1;
            self.watch.found(finding);
        }
        let values = old.filter(|_| !self.is_whole).and_then(|old| index::values(old).ok()).unwrap_or(0);
        if let Some(nameless @ 1..) = values.checked_sub(self.values) {
            lost += nameless;
            let message = format!("{nameless} values in the index have lost the rows that tell whose they are");
            self.watch.found(Finding::new(FindingKind::Value, None, message));
        }
        (lost, self.from_files.len() as u64, self.left_out)
    }
}
