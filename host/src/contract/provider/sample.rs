use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::Barrier;

use crate::error::{Error, Result};
use crate::object::{Attributes, Body, Key, Tags, UserMetadata};
use crate::random::Random;

/// A kibibyte.
pub(super) const KIB: usize = 1024;
/// A mebibyte.
pub(super) const MIB: usize = 1024 * KIB;

/// A key known to be one.
pub(super) fn key(text: &str) -> Result<Key> {
    Key::new(text)
}

/// Bytes that differ from position to position and from seed to seed, the same on every run.
pub(super) fn bytes(size: usize, seed: u64) -> Bytes {
    let mut random = Random::new(seed);
    let mut all = Vec::with_capacity(size.next_multiple_of(8));
    while all.len() < size {
        all.extend_from_slice(&random.next().to_le_bytes());
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

/// A body in pieces of at most `piece` bytes that lets others go first before each of them.
pub(super) fn in_hesitant_pieces(bytes: &Bytes, piece: usize) -> Body {
    let pieces: Vec<_> = bytes.chunks(piece).map(|chunk| Ok(bytes.slice_ref(chunk))).collect();
    Body::stream(stream::iter(pieces).then(|piece| async {
        tokio::task::yield_now().await;
        piece
    }))
}

/// A body in pieces of at most `piece` bytes, the first of which comes when all bodies of the gathering are being read, or
/// when it has waited for `patience`: a provider may take fewer uploads at once than there are.
pub(super) fn in_pieces_once_all_are_read(
    bytes: &Bytes,
    piece: usize,
    gathering: &Arc<Barrier>,
    patience: Duration,
) -> Body {
    let pieces: Vec<_> = bytes.chunks(piece).map(|chunk| Ok(bytes.slice_ref(chunk))).collect();
    let gathering = Arc::clone(gathering);
    let gathered = async move {
        let _ = tokio::time::timeout(patience, gathering.wait()).await;
        stream::iter(pieces)
    };
    Body::stream(gathered.flatten_stream())
}

/// The bytes in pieces of random lengths, from none to `longest`.
pub(super) fn in_random_pieces(bytes: &Bytes, longest: usize, random: &mut Random) -> Body {
    let (mut pieces, mut start) = (Vec::new(), 0);
    while start < bytes.len() {
        let end = bytes.len().min(start + random.below(longest + 1));
        pieces.push(Ok(bytes.slice(start..end)));
        start = end;
    }
    Body::stream(stream::iter(pieces))
}
