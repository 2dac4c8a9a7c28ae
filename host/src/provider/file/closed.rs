use std::fs::File;
use std::path::Path;

use super::index;
use super::layout::Layout;
use crate::error::{Error, Result};

/// The folder of a store that nobody has open, and that nobody opens while this is there.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) layout: Layout,
    _lock: File,
}

impl Closed {
    /// Locks a folder as it is.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if no store is there; [`Error::Unavailable`] if it is open, or if its rebuild was
    /// interrupted; those of the file system.
    pub(super) fn lock(base: &Path) -> Result<Self> {
        let layout = Layout::existing(base);
        let is_store = layout.index().exists() || layout.has_bodies();
        if !is_store {
            return Err(Error::invalid_input(format!(
                "there is no store in \u{2018}{}\u{2019}: name a folder that larder keeps objects in",
                base.display()
            )));
        }
        let lock = layout.lock_as_it_is()?;
        if layout.rebuilt_index().exists() {
            return Err(Error::unavailable(format!(
                "a rebuild of \u{2018}{}\u{2019} was interrupted just before its end: open the store once, as larder ls does, \
                 and it is finished",
                base.display()
            )));
        }
        Ok(Self { layout, _lock: lock })
    }

    /// Whether nothing was ever stored there: whoever made the folder was stopped before it had an index.
    pub(super) fn is_blank(&self) -> Result<bool> {
        Ok(self.layout.bodies_by_folder()?.next().is_none() && index::is_blank(&self.layout.index()))
    }
}
