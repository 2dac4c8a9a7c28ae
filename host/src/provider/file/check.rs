use std::path::Path;

use rusqlite::Connection;

use super::body::BodyReader;
use super::closed::Closed;
use super::fault::Fault;
use super::index::{self, Damaged, Located, Order};
use super::layout::{Generation, Layout};
use crate::error::{Error, Result};
use crate::object::Key;
use crate::provider::{CheckReport, Finding, FindingKind, Usage, Watch};

/// Holds everything in the folder of a closed store against its checksums, and index and files against each other, in
/// both directions. Changes nothing. Blocks for as long as it takes to read it all.
///
/// # Errors
/// [`Error::InvalidInput`] if no store is there; [`Error::Unavailable`] if it is open; [`Error::Unsupported`] if a newer
/// larder wrote it; those of the file system where they hinder all of it. What concerns one object is a finding.
pub fn check(base_path: &Path, watch: &dyn Watch) -> Result<CheckReport> {
    let closed = Closed::lock(base_path)?;
    let mut check = Check { layout: &closed.layout, watch, report: CheckReport::default() };
    check.temporaries()?;
    if closed.is_blank()? {
        return Ok(check.report);
    }
    match index::open_unchanged(&closed.layout.index()) {
        Ok(connection) => check.with_index(&connection)?,
        Err(Fault::Other(error @ Error::Unsupported { .. })) => return Err(error),
        Err(fault) => {
            let error = fault.at(&closed.layout.index());
            check.found(FindingKind::Index, None, error.to_string());
            check.without_index()?;
        }
    }
    Ok(check.report)
}

/// Holds everything that a read transaction shows against its checksums. Bodies that the index does not refer to are of
/// writes that go on.
pub(super) fn check_open(layout: &Layout, connection: &Connection, watch: &dyn Watch) -> Result<CheckReport> {
    let mut check = Check { layout, watch, report: CheckReport::default() };
    check.index(connection);
    Ok(check.report)
}

struct Check<'a> {
    layout: &'a Layout,
    watch: &'a dyn Watch,
    report: CheckReport,
}

impl Check<'_> {
    fn with_index(&mut self, connection: &Connection) -> Result<()> {
        self.index(connection);
        self.orphans(connection)
    }

    /// The index, and all that it refers to.
    fn index(&mut self, connection: &Connection) {
        let mut is_whole = self.pages(connection);
        let counted = index::usage(connection);
        if let Ok(counted) = &counted {
            self.watch.expect(counted.bytes);
        }
        let mut inlined = 0;
        let scan = index::scan(connection, Order::Ascending, |row| {
            match row {
                Ok(located) => {
                    inlined += u64::from(located.inlined);
                    self.object(connection, &located);
                }
                Err(Damaged { error, .. }) => {
                    is_whole = false;
                    self.found(FindingKind::Row, None, error.to_string());
                }
            }
            !self.watch.is_given_up()
        });
        if let Err(fault) = scan {
            is_whole = false;
            self.fault(&fault);
        }
        if is_whole && !self.watch.is_given_up() {
            self.totals(counted);
            self.values(connection, inlined);
        }
    }

    /// Has SQLite look through all pages of the index.
    fn pages(&mut self, connection: &Connection) -> bool {
        match index::damage(connection) {
            Ok(damage) => {
                let index = self.layout.index();
                for what in &damage {
                    let message = format!("the index \u{2018}{}\u{2019}: {what}", index.display());
                    self.found(FindingKind::Index, None, message);
                }
                damage.is_empty()
            }
            Err(fault) => {
                self.fault(&fault);
                false
            }
        }
    }

    fn object(&mut self, connection: &Connection, located: &Located) {
        let key = &located.metadata.key;
        self.report.objects += 1;
        self.report.bytes += located.metadata.size;
        if located.inlined {
            match located.value(connection) {
                Ok(_) => self.watch.read(located.metadata.size),
                Err(why) => self.found(FindingKind::Value, Some(key), why),
            }
            return;
        }
        let path = self.layout.body(located.generation);
        let verified = BodyReader::open(&path, located.generation, &located.metadata)
            .and_then(|reader| reader.map(|reader| reader.verify(|bytes| self.watch.read(bytes))).transpose());
        match verified {
            Ok(Some(())) => {}
            Ok(None) => {
                let message =
                    format!("the object \u{2018}{key}\u{2019} has lost its file \u{2018}{}\u{2019}", path.display());
                self.found(FindingKind::Missing, Some(key), message);
            }
            Err(error) => self.found(FindingKind::Body, Some(key), error.to_string()),
        }
    }

    fn totals(&mut self, counted: Result<Usage, Fault>) {
        let CheckReport { objects, bytes, .. } = self.report;
        match counted {
            Ok(counted) if (counted.objects, counted.bytes) == (objects, bytes) => {}
            Ok(counted) => {
                let message = format!(
                    "the index counts {} objects of {} bytes, and holds {objects} of {bytes} bytes",
                    counted.objects, counted.bytes
                );
                self.found(FindingKind::Totals, None, message);
            }
            Err(fault) => self.fault(&fault),
        }
    }

    fn values(&mut self, connection: &Connection, inlined: u64) {
        match index::values(connection) {
            Ok(values) if values <= inlined => {}
            Ok(values) => {
                let message = format!("{} values in the index belong to no object", values - inlined);
                self.found(FindingKind::Value, None, message);
            }
            Err(fault) => self.fault(&fault),
        }
    }

    fn orphans(&mut self, connection: &Connection) -> Result<()> {
        for folder in self.layout.bodies_by_folder()? {
            let folder = folder?;
            let Some(range) = folder.range() else { continue };
            let known = match index::body_generations(connection, range) {
                Ok(known) => known,
                Err(fault) => {
                    self.fault(&fault);
                    return Ok(());
                }
            };
            for generation in folder.generations.iter().filter(|generation| !known.contains(generation)) {
                self.orphan(*generation);
            }
        }
        Ok(())
    }

    fn orphan(&mut self, generation: Generation) {
        let path = self.layout.body(generation);
        let message = format!("the index does not refer to the body \u{2018}{}\u{2019}", path.display());
        self.found(FindingKind::Orphan, None, message);
    }

    /// Bodies tell enough of themselves to be verified without an index.
    fn without_index(&mut self) -> Result<()> {
        for folder in self.layout.bodies_by_folder()? {
            for generation in folder?.generations {
                let verified =
                    BodyReader::open_described(&self.layout.body(generation), generation).and_then(|reader| {
                        let size = reader.metadata().size;
                        reader.verify(|bytes| self.watch.read(bytes))?;
                        Ok(size)
                    });
                match verified {
                    Ok(size) => {
                        self.report.objects += 1;
                        self.report.bytes += size;
                    }
                    Err(error) => self.found(FindingKind::Body, None, error.to_string()),
                }
            }
        }
        Ok(())
    }

    fn temporaries(&mut self) -> Result<()> {
        for path in self.layout.temporary_files()? {
            let message = format!("\u{2018}{}\u{2019} is of a write that did not come to an end", path.display());
            self.found(FindingKind::Temporary, None, message);
        }
        Ok(())
    }

    fn fault(&mut self, fault: &Fault) {
        let message = format!("the index \u{2018}{}\u{2019}: {}", self.layout.index().display(), fault.why());
        self.found(FindingKind::Index, None, message);
    }

    fn found(&mut self, kind: FindingKind, key: Option<&Key>, message: String) {
        let count = if kind.is_damage() { &mut self.report.damage } else { &mut self.report.leftovers };
        *count += 1;
        self.watch.found(Finding::new(kind, key, message));
    }
}
