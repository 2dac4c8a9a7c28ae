use crate::error::{Error, Result};
use crate::object::{Checksum, StorageMetadata};
use crate::provider::file::layout::Generation;

/// How many bytes share a checksum: the least that a range costs to read. 64 KiB cost 8 bytes in 8,192.
pub(super) const BLOCK: u64 = 64 * 1024;

/// How many bytes a block's checksum takes in the table.
pub(super) const TABLE_ENTRY: u64 = 8;

/// How many bytes the trailer has: the last ones of the file.
pub(super) const TRAILER: usize = 32;

/// The longest head that is read: that of a key of 1 KiB and attributes of 8 MiB has less.
pub(super) const MAX_HEAD: u64 = 16 * 1024 * 1024;

const MAGIC: [u8; 8] = *b"larder\r\n";
const VERSION: u16 = 1;

/// How many bytes the table of an object of this size has.
pub(super) fn table_size(size: u64) -> u64 {
    size.div_ceil(BLOCK) * TABLE_ENTRY
}

/// What follows the table: the head, JSON that describes the object, and the trailer.
pub(super) fn footer(generation: Generation, metadata: &StorageMetadata) -> Result<Vec<u8>> {
    let mut footer = serde_json::to_vec(metadata)
        .map_err(|error| Error::internal(format!("could not write down the metadata of an object: {error}")))?;
    let head = u32::try_from(footer.len()).ok().filter(|head| u64::from(*head) <= MAX_HEAD);
    let head = head.ok_or_else(|| Error::too_large("the metadata of an object is over 16 MiB"))?;
    let mut fields = Vec::with_capacity(TRAILER - 8);
    fields.extend(generation.0.to_le_bytes());
    fields.extend(head.to_le_bytes());
    fields.extend(VERSION.to_le_bytes());
    fields.extend([BLOCK.trailing_zeros() as u8, 0]);
    fields.extend(MAGIC);
    footer.extend_from_slice(&fields);
    let seal = Checksum::of(&footer).as_u64();
    let fields_start = footer.len() - fields.len();
    footer.splice(fields_start..fields_start, seal.to_le_bytes());
    Ok(footer)
}

/// The trailer of a body's file.
#[derive(Debug)]
pub(super) struct Trailer {
    pub(super) generation: Generation,
    /// How many bytes of head stand before it.
    pub(super) head: u64,
    seal: u64,
    fields: [u8; TRAILER - 8],
}

impl Trailer {
    /// Takes the last bytes of a file as a trailer; says why if they are none.
    pub(super) fn parse(bytes: [u8; TRAILER]) -> Result<Self, String> {
        let [seal @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = bytes;
        let [_, _, _, _, _, _, _, _, fields @ ..] = bytes;
        let [g0, g1, g2, g3, g4, g5, g6, g7, h0, h1, h2, h3, v0, v1, block, _, magic @ ..] = fields;
        if magic != MAGIC {
            return Err("it does not end as a body's file does".into());
        }
        let version = u16::from_le_bytes([v0, v1]);
        if version != VERSION || u32::from(block) != BLOCK.trailing_zeros() {
            return Err(format!("it is of format {version}, and this larder reads format {VERSION}"));
        }
        Ok(Self {
            generation: Generation(u64::from_le_bytes([g0, g1, g2, g3, g4, g5, g6, g7])),
            head: u64::from(u32::from_le_bytes([h0, h1, h2, h3])),
            seal: u64::from_le_bytes(seal),
            fields,
        })
    }

    /// The metadata in the head, if head and trailer are as they were written.
    pub(super) fn open(&self, head: &[u8]) -> Result<StorageMetadata, String> {
        let mut sealed = Checksum::hasher();
        sealed.update(head);
        sealed.update(&self.fields);
        if sealed.finish().as_u64() != self.seal {
            return Err("its description does not have its checksum".into());
        }
        serde_json::from_slice(head).map_err(|error| format!("its description can not be read: {error}"))
    }
}
