//! The file of a body: the bytes, then what proves and describes them. See `host/docs/file-format.md`.

mod format;
mod reader;
mod writer;

pub(super) use reader::{BodyReader, stream};
pub(super) use writer::BodyWriter;
