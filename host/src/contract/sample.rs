use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::error::{Error, Result};
use crate::object::{Attributes, Body, Key, Tags, UserMetadata};

/// A kibibyte.
pub(super) const KIB: usize = 1024;
/// A mebibyte.
pub(super) const MIB: usize = 1024 * KIB;

/// A key known to be one.
pub(super) fn key(text: &str) -> Result<Key> {
    Key::new(text)
}

/// Bytes that differ from position to position and from seed to seed, the same on every run: splitmix64 (Steele, Lea
/// and Flood, OOPSLA 2014).
pub(super) fn bytes(size: usize, seed: u64) -> Bytes {
    let mut state = seed;
    let mut all = Vec::with_capacity(size.next_multiple_of(8));
    while all.len() < size {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        all.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    all.truncate(size);
    all.into()
}

/// The bytes in pieces of at most `piece` bytes.
pub(super) fn in_pieces(bytes: &Bytes, piece: usize) -> Body {
    let pieces: Vec<_> = bytes.chunks(piece).map(|chunk| Ok(bytes.slice_ref(chunk))).collect();
    Body::stream(stream::iter(pieces))
}

/// A body that fails after these bytes.
pub(super) fn cut_off(bytes: &Bytes, piece: usize) -> Body {
    let mut pieces: Vec<_> = bytes.chunks(piece).map(|chunk| Ok(bytes.slice_ref(chunk))).collect();
    pieces.push(Err(Error::unavailable("the sender went away")));
    Body::stream(stream::iter(pieces))
}

/// A body that gives these bytes and then neither ends nor fails.
pub(super) fn stalled(bytes: &Bytes, piece: usize) -> Body {
    let pieces: Vec<_> = bytes.chunks(piece).map(|chunk| Ok(bytes.slice_ref(chunk))).collect();
    Body::stream(stream::iter(pieces).chain(stream::pending()))
}

/// Attributes of every kind, told apart by `mark`.
pub(super) fn attributes(mark: &str) -> Result<Attributes> {
    Ok(Attributes {
        content_type: Some(format!("text/{mark}; charset=utf-8")),
        user_metadata: UserMetadata::from_pairs([
            ("owner".into(), mark.into()),
            ("x-note.1".into(), "Zoë, 3 m²".into()),
        ])?,
        tags: Tags::from_pairs([("mark".into(), mark.into()), ("Ort/Straße".into(), String::new())])?,
    })
}
