use futures::stream;

use super::sample::{self, KIB, MIB, key};
use super::trial::Store;
use crate::contract::Breach;
use crate::error::Result;
use crate::object::{Attributes, Body, Checksum, ETag, Key, Tags, UserMetadata, timestamp_from_millis};
use crate::provider::{Condition, Stamp, StoreOptions};

/// Stores bytes of each size, in one piece and in pieces, and reads them back.
async fn round_trips(store: &Store, sizes: &[usize]) -> Result<(), Breach> {
    for &size in sizes {
        let bytes = sample::bytes(size, size as u64);
        let whole = key(&format!("whole-{size}"))?;
        let stored = store.put(&whole, bytes.clone()).await?;
        store.ensure_is(&stored, &bytes).await?;
        let streamed = key(&format!("streamed-{size}"))?;
        let stored = store.put(&streamed, sample::in_pieces(&bytes, 64 * KIB)).await?;
        store.ensure_is(&stored, &bytes).await?;
    }
    Ok(())
}

promises! {
    /// An object without a byte is an object.
    async fn an_empty_object_reads_back(trial) {
        let store = trial.store().await?;
        round_trips(&store, &[0]).await?;
        let stored = store.put(&key("no pieces")?, Body::stream(stream::empty())).await?;
        store.ensure_is(&stored, b"").await
    }

    /// One byte comes back as it was, whichever it is.
    async fn one_byte_reads_back(trial) {
        let store = trial.store().await?;
        for byte in [0x00, 0x0A, 0x7F, 0x80, 0xFF] {
            let stored = store.put(&key("byte")?, vec![byte]).await?;
            store.ensure_is(&stored, &[byte]).await?;
        }
        Ok(())
    }

    /// Four kibibytes, and a byte less or more, come back as they were.
    async fn four_kib_read_back(trial) {
        round_trips(&trial.store().await?, &[4 * KIB - 1, 4 * KIB, 4 * KIB + 1]).await
    }

    /// Sixteen and sixty-four kibibytes, and a byte less or more, come back as they were: where storage is cut in blocks.
    async fn blocks_read_back(trial) {
        let sizes = [16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1];
        round_trips(&trial.store().await?, &sizes).await
    }

    /// A mebibyte, and a byte less or more, come back as they were.
    async fn a_mebibyte_reads_back(trial) {
        round_trips(&trial.store().await?, &[MIB - 1, MIB, MIB + 1]).await
    }

    /// Several mebibytes that come in pieces come back as they were.
    async fn several_mebibytes_in_pieces_read_back(trial) {
        let store = trial.store().await?;
        let bytes = sample::bytes(5 * MIB + 12_345, 5);
        let stored = store.put(&key("large")?, sample::in_pieces(&bytes, 100_000)).await?;
        store.ensure_is(&stored, &bytes).await
    }

    /// How a body was cut into pieces, empty ones among them, leaves no trace.
    async fn pieces_leave_no_trace(trial) {
        let store = trial.store().await?;
        let bytes = sample::bytes(70_000, 7);
        for size in [13, 4 * KIB, 65_537] {
            let mut pieces = vec![Ok(bytes.slice(..0))];
            for piece in bytes.chunks(size) {
                pieces.extend([Ok(bytes.slice_ref(piece)), Ok(bytes.slice(..0))]);
            }
            let stored = store.put(&key("pieces")?, Body::stream(stream::iter(pieces))).await?;
            store.ensure_is(&stored, &bytes).await?;
        }
        Ok(())
    }

    /// Size and checksum are those of the bytes.
    async fn size_and_checksum_are_those_of_the_bytes(trial) {
        let store = trial.store().await?;
        for size in [0, 1, 9, 4 * KIB, 300_000] {
            let bytes = sample::bytes(size, 3);
            for body in [Body::Bytes(bytes.clone()), sample::in_pieces(&bytes, 7_000)] {
                let stored = store.put(&key("sum")?, body).await?;
                ensure_eq!(stored.size, size as u64, "the size");
                ensure_eq!(stored.checksum, Checksum::of(&bytes), "the checksum of {size} bytes");
            }
        }
        Ok(())
    }

    /// The etag and the times are those that the write was stamped with.
    async fn etag_and_times_are_those_of_the_stamp(trial) {
        let store = trial.store().await?;
        let stamps = [("with-creation", Some(timestamp_from_millis(1_000))), ("without", None)];
        for (name, created_at) in stamps {
            let updated_at = timestamp_from_millis(1_712_345_678_901);
            let stamp = Stamp { etag: ETag::generate(), updated_at, created_at };
            let options = StoreOptions { stamp: stamp.clone(), ..StoreOptions::default() };
            let stored = store.store(&key(name)?, "x".into(), options).await?;
            ensure_eq!(stored.etag, stamp.etag, "the etag");
            ensure_eq!(stored.updated_at, updated_at, "updated_at");
            ensure_eq!(stored.created_at, created_at.unwrap_or(updated_at), "created_at");
            store.ensure_is(&stored, b"x").await?;
        }
        Ok(())
    }

    /// Any etag of up to 64 characters of printable ASCII comes back as it was, and can be matched.
    async fn any_etag_is_kept(trial) {
        let store = trial.store().await?;
        for text in ["0", "'; DROP", "W/\u{27}*\\%2e", &"~".repeat(ETag::MAX_LEN)] {
            let etag = ETag::new(text.replace(' ', "_"))?;
            let stamp = Stamp { etag: etag.clone(), ..StoreOptions::default().stamp };
            let stored = store.store(&key("e")?, "x".into(), StoreOptions { stamp, ..StoreOptions::default() }).await?;
            ensure_eq!(stored.etag, etag, "the etag");
            store.ensure_is(&stored, b"x").await?;
            store.put_if(&key("e")?, "y", Condition::IfMatch(etag)).await?;
        }
        Ok(())
    }

    /// Content type, user metadata and tags come back as they were.
    async fn attributes_read_back(trial) {
        let store = trial.store().await?;
        for size in [10, 200_000] {
            let bytes = sample::bytes(size, 1);
            let attributes = sample::attributes("plain")?;
            let stored = store.put_with(&key(&size.to_string())?, bytes.clone(), attributes.clone()).await?;
            ensure_eq!(stored.attributes, attributes, "what it answered with");
            store.ensure_is(&stored, &bytes).await?;
        }
        Ok(())
    }

    /// Where the writer said nothing, nothing is said.
    async fn no_attributes_read_back_as_none(trial) {
        let store = trial.store().await?;
        let stored = store.put(&key("bare")?, "x").await?;
        ensure_eq!(stored.attributes, Attributes::default(), "what it answered with");
        store.ensure_is(&stored, b"x").await
    }

    /// As many and as large attributes as there can be come back as they were.
    async fn the_largest_attributes_read_back(trial) {
        let store = trial.store().await?;
        let tag = |number: usize| (format!("{number:0>128}"), "v\"\u{1F980}".repeat(85));
        let attributes = Attributes {
            content_type: Some("application/vnd.larder; x=\"é\"".into()),
            user_metadata: UserMetadata::from_pairs([("n".into(), "v".repeat(UserMetadata::MAX_SIZE - 1))])?,
            tags: Tags::from_pairs((0..Tags::MAX_COUNT).map(tag))?,
        };
        let stored = store.put_with(&Key::new("k".repeat(Key::MAX_LEN))?, "x", attributes.clone()).await?;
        ensure_eq!(stored.attributes, attributes, "what it answered with");
        store.ensure_is(&stored, b"x").await
    }

    /// However a body is cut, randomly and with empty pieces among them, leaves no trace.
    async fn random_pieces_leave_no_trace(trial) {
        let (store, mut random) = (trial.store().await?, trial.random());
        for round in 0..12 {
            let bytes = sample::bytes(random.below(200_000), round);
            let longest = random.pick(&[7_000, 64 * KIB, 100_000]);
            let body = sample::in_random_pieces(&bytes, longest, &mut random);
            let stored = store.put(&key("k")?, body).await?;
            store.ensure_is(&stored, &bytes).await?;
        }
        Ok(())
    }

    /// Any time from 1970 to the end of the year 9999 comes back to the millisecond, and need not be later than the last.
    async fn any_time_is_kept(trial) {
        let store = trial.store().await?;
        for size in [3, 100 * KIB] {
            let name = key(&format!("t{size}"))?;
            for (created_at, updated_at) in [(1, 253_402_300_799_999), (0, 0), (1_712_345_678_901, 5), (999, 1_000)] {
                let (created_at, updated_at) = (timestamp_from_millis(created_at), timestamp_from_millis(updated_at));
                let stamp = Stamp { etag: ETag::generate(), updated_at, created_at: Some(created_at) };
                let bytes = sample::bytes(size, 1);
                let options = StoreOptions { stamp, ..StoreOptions::default() };
                let stored = store.store(&name, bytes.clone().into(), options).await?;
                ensure_eq!((stored.created_at, stored.updated_at), (created_at, updated_at), "the times");
                store.ensure_is(&stored, &bytes).await?;
            }
        }
        Ok(())
    }
}
