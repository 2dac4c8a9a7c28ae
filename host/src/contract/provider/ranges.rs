use bytes::Bytes;

use super::sample::{self, KIB, MIB, key};
use super::trial::{Store, ensure_same_bytes, read};
use crate::contract::Breach;
use crate::error::Result;
use crate::object::ByteRange;

/// A store with one small and one large object, and their bytes.
async fn stocked(trial: &super::Trial<'_>) -> Result<(Store, [(&'static str, Bytes); 2]), Breach> {
    let store = trial.store().await?;
    let objects = [("small", sample::bytes(1_000, 1)), ("large", sample::bytes(2 * MIB + 77, 2))];
    for (name, bytes) in &objects {
        store.put(&key(name)?, bytes.clone()).await?;
    }
    Ok((store, objects))
}

async fn reads_as(
    store: &Store,
    (name, bytes): &(&str, Bytes),
    range: ByteRange,
    wanted: std::ops::Range<usize>,
) -> Result<(), Breach> {
    let (position, found) = store.get_range(&key(name)?, range).await?;
    ensure_eq!(position, wanted.start as u64..wanted.end as u64, "the position that {range} of {name:?} resolved to");
    ensure_same_bytes(&found, &bytes[wanted], &key(name)?)
}

promises! {
    /// From one position up to another: these bytes and no others.
    async fn a_range_between_two_positions(trial) {
        let (store, objects) = stocked(trial).await?;
        for object in &objects {
            let size = object.1.len();
            for (start, end) in [(0, 1), (0, size), (1, 2), (10, 500), (size - 1, size), (999, 1_000)] {
                reads_as(&store, object, ByteRange::between(start as u64, end as u64)?, start..end).await?;
            }
        }
        Ok(())
    }

    /// From a position to the end.
    async fn a_range_to_the_end(trial) {
        let (store, objects) = stocked(trial).await?;
        for object in &objects {
            let size = object.1.len();
            for start in [0, 1, 500, size - 1] {
                reads_as(&store, object, ByteRange::starting_at(start as u64), start..size).await?;
            }
        }
        Ok(())
    }

    /// The last so many bytes, or all if there are fewer.
    async fn a_range_of_the_last_bytes(trial) {
        let (store, objects) = stocked(trial).await?;
        for object in &objects {
            let size = object.1.len();
            for count in [1, 2, 500, size - 1, size] {
                reads_as(&store, object, ByteRange::last(count as u64)?, size - count..size).await?;
            }
            reads_as(&store, object, ByteRange::last(size as u64 + 1)?, 0..size).await?;
            reads_as(&store, object, ByteRange::last(u64::MAX)?, 0..size).await?;
        }
        Ok(())
    }

    /// A range that reaches over the end stops there.
    async fn a_range_over_the_end_stops_there(trial) {
        let (store, objects) = stocked(trial).await?;
        for object in &objects {
            let size = object.1.len();
            for start in [0, 1, size - 1] {
                for end in [size as u64 + 1, u64::MAX] {
                    reads_as(&store, object, ByteRange::between(start as u64, end)?, start..size).await?;
                }
            }
        }
        Ok(())
    }

    /// A range that begins at or behind the end is refused.
    async fn a_range_behind_the_end_is_refused(trial) {
        let (store, objects) = stocked(trial).await?;
        for (name, bytes) in &objects {
            for start in [bytes.len() as u64, bytes.len() as u64 + 1, 1 << 40, u64::MAX - 1] {
                for range in [ByteRange::starting_at(start), ByteRange::between(start, start + 1)?] {
                    let result = store.retrieve(&key(name)?, Some(range)).await;
                    ensure_fails!(result, "range-not-satisfiable", "the range {range} of {} bytes", bytes.len());
                }
            }
        }
        Ok(())
    }

    /// No range of an empty object can be had, and the object itself can.
    async fn no_range_of_an_empty_object(trial) {
        let store = trial.store().await?;
        let stored = store.put(&key("empty")?, "").await?;
        for range in [ByteRange::starting_at(0), ByteRange::between(0, 1)?, ByteRange::last(1)?] {
            let result = store.retrieve(&key("empty")?, Some(range)).await;
            ensure_fails!(result, "range-not-satisfiable", "the range {range} of an empty object");
        }
        store.ensure_is(&stored, b"").await
    }

    /// Ranges that begin, end or lie around the borders of blocks have the right bytes.
    async fn ranges_across_blocks(trial) {
        let (store, [_, large]) = stocked(trial).await?;
        for border in [4 * KIB, 16 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, MIB, 2 * MIB] {
            for (start, end) in [
                (border - 1, border), (border, border + 1), (border - 1, border + 1), (border, border + 70),
                (border / 2, border), (3, border + 3), (border.saturating_sub(70_000), border + 70),
            ] {
                reads_as(&store, &large, ByteRange::between(start as u64, end as u64)?, start..end).await?;
            }
        }
        Ok(())
    }

    /// A range comes with the metadata of the whole object.
    async fn a_range_has_the_metadata_of_the_whole(trial) {
        let store = trial.store().await?;
        for size in [1_000, 300 * KIB] {
            let stored = store.put_with(&key("m")?, sample::bytes(size, 3), sample::attributes("whole")?).await?;
            let (metadata, ..) = read(store.retrieve(&key("m")?, Some(ByteRange::between(10, 20)?)).await?).await?;
            ensure_eq!(metadata, stored, "the metadata retrieved with a range");
        }
        Ok(())
    }

    /// Without a range, the range is all of the object.
    async fn a_whole_object_has_its_whole_range(trial) {
        let (store, objects) = stocked(trial).await?;
        for (name, bytes) in &objects {
            let object = store.retrieve(&key(name)?, None).await?;
            ensure_eq!(object.range, 0..bytes.len() as u64, "the range of {name:?}");
        }
        Ok(())
    }

    /// A range of what is not there is not found.
    async fn a_range_of_what_is_not_there_is_not_found(trial) {
        let store = trial.store().await?;
        let result = store.retrieve(&key("nothing")?, Some(ByteRange::starting_at(5))).await;
        ensure_fails!(result, "not-found", "a range of what is not there");
        Ok(())
    }

    /// Any range of any object is the right bytes at the right position.
    async fn random_ranges_are_the_right_bytes(trial) {
        let ((store, objects), mut random) = (stocked(trial).await?, trial.random());
        for _ in 0..60 {
            let object = random.pick(&objects);
            let size = object.1.len();
            let start = random.below(size);
            let end = start + 1 + random.below((size - start).min(200_000));
            match random.below(3) {
                0 => reads_as(&store, &object, ByteRange::between(start as u64, end as u64)?, start..end).await?,
                1 => reads_as(&store, &object, ByteRange::starting_at(start as u64), start..size).await?,
                _ => reads_as(&store, &object, ByteRange::last((size - start) as u64)?, start..size).await?,
            }
        }
        Ok(())
    }
}
