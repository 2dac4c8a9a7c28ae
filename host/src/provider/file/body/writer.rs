use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};

use super::format::{self, BLOCK};
use crate::error::{Error, Result};
use crate::object::{Checksum, Hasher, StorageMetadata};
use crate::provider::file::durability::Durability;
use crate::provider::file::fault::of_io;
use crate::provider::file::layout::Generation;
use crate::provider::file::reaper::Temporary;

/// How many bytes of small pieces are joined before they are written.
const BUFFER: usize = 256 * 1024;

/// Writes a body to a temporary file. All of its functions block.
///
/// Costs, beside a buffer, 8 bytes of memory for each 64 KiB written: 128 MiB for each TiB.
#[derive(Debug)]
pub(in super::super) struct BodyWriter {
    file: BufWriter<File>,
    temporary: Temporary,
    durability: Durability,
    whole: Hasher,
    block: Hasher,
    table: Vec<u8>,
}

impl BodyWriter {
    /// Begins a body in a new file at the temporary's path.
    pub(in super::super) fn create(temporary: Temporary, durability: Durability) -> Result<Self> {
        let path = temporary.path();
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| of_io(&error, "could not make", path))?;
        Ok(Self {
            file: BufWriter::with_capacity(BUFFER, file),
            temporary,
            durability,
            whole: Checksum::hasher(),
            block: Checksum::hasher(),
            table: Vec::new(),
        })
    }

    /// Takes the next bytes.
    pub(in super::super) fn write(&mut self, mut data: &[u8]) -> Result<()> {
        self.file.write_all(data).map_err(|error| self.failure(&error))?;
        self.whole.update(data);
        while !data.is_empty() {
            let room = BLOCK - self.block.size();
            // At most the length of `data`, which is a usize.
            let (block, rest) = data.split_at(room.min(data.len() as u64) as usize);
            self.block.update(block);
            if self.block.size() == BLOCK {
                self.end_block();
            }
            data = rest;
        }
        Ok(())
    }

    fn end_block(&mut self) {
        self.table.extend(self.block.finish().as_u64().to_le_bytes());
        self.block = Checksum::hasher();
    }

    /// Ends the body: describes it as `describe` says for its size and checksum, and makes it
    /// survive a loss of power if that is wanted.
    pub(in super::super) fn finish(
        mut self,
        generation: Generation,
        describe: impl FnOnce(u64, Checksum) -> StorageMetadata,
    ) -> Result<(Temporary, u64, Checksum)> {
        if self.block.size() > 0 {
            self.end_block();
        }
        let (size, checksum) = (self.whole.size(), self.whole.finish());
        let footer = format::footer(generation, &describe(size, checksum))?;
        self.file
            .write_all(&self.table)
            .and_then(|()| self.file.write_all(&footer))
            .and_then(|()| self.file.flush())
            .and_then(|()| if self.durability.syncs_files() { self.file.get_ref().sync_all() } else { Ok(()) })
            .map_err(|error| self.failure(&error))?;
        Ok((self.temporary, size, checksum))
    }

    fn failure(&self, error: &std::io::Error) -> Error {
        of_io(error, "could not write", self.temporary.path())
    }
}
