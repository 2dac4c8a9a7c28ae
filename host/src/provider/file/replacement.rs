//! How a new index takes the place of an old one that is kept.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::fault::of_io;
use super::index::{log_path, shared_memory_path};
use super::layout::{Generation, Layout};
use crate::error::Result;

/// Keeps the old index and its log in a folder of their own, where they stay, and moves these bodies there. Returns the
/// folder, or `None` if there is nothing to be kept.
pub(super) fn put_aside(layout: &Layout, bodies: &[Generation]) -> Result<Option<PathBuf>> {
    let index = layout.index();
    let old: Vec<_> = [log_path(&index), index].into_iter().filter(|path| path.exists()).collect();
    if old.is_empty() && bodies.is_empty() {
        return Ok(None);
    }
    let folder = layout.new_aside();
    layout.create_folder(&folder)?;
    let place = |path: &Path| path.file_name().map_or_else(|| folder.clone(), |name| folder.join(name));
    for path in old {
        // The same file under one more name: at its place it stays until the new one takes that.
        fs::hard_link(&path, place(&path)).map_err(|error| of_io(&error, "could not keep", &path))?;
    }
    for body in bodies {
        let path = layout.body(*body);
        fs::rename(&path, place(&path)).map_err(|error| of_io(&error, "could not move", &path))?;
    }
    layout.sync_folder(&folder)?;
    Ok(Some(folder))
}

/// Puts a new index, which is synced, in the place of the old one.
pub(super) fn replace(layout: &Layout, new: &Path) -> Result<()> {
    rename(new, &layout.rebuilt_index())?;
    layout.sync_base()?;
    finish(layout)
}

/// Goes on where [`replace`] was interrupted, if it was.
pub(super) fn finish(layout: &Layout) -> Result<()> {
    let (rebuilt, index) = (layout.rebuilt_index(), layout.index());
    if !rebuilt.exists() {
        return Ok(());
    }
    // They must be gone for good before the new index is there: SQLite would apply the old log to it.
    for path in [log_path(&index), shared_memory_path(&index)] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(of_io(&error, "could not remove", &path));
            }
            _ => {}
        }
    }
    layout.sync_base()?;
    rename(&rebuilt, &index)?;
    layout.sync_base()
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| of_io(&error, "could not rename a file to", to))
}
