use crate::error::Result;
use crate::lifecycle::Candidate;
use crate::object::{
    Attributes, Checksum, ETag, Key, StorageMetadata, Tags, Timestamp, UserMetadata, timestamp_from_millis,
};
use crate::random::Random;

/// An hour in milliseconds.
pub(super) const HOUR: u64 = 60 * 60 * 1000;
/// A day in milliseconds.
pub(super) const DAY: u64 = 24 * HOUR;
/// 2024-01-01T00:00:00Z: when most of the objects were written.
pub(super) const WRITTEN: u64 = 1_704_067_200_000;

/// Names that policies are likely to look at, and values for them.
const TAGS: [(&str, &str); 8] = [
    ("class", "temporary"),
    ("class", "permanent"),
    ("state", "draft"),
    ("stage", "done"),
    ("legal-hold", "true"),
    ("retention", "30d"),
    ("ttl", "3600"),
    ("Ort/Stra\u{df}e", ""),
];
/// Keys as people have them.
const FOLDERS: [&str; 8] = ["", "tmp/", "logs/2023/", "backup/", "documents/", "cache/", "a//", "archive/"];

/// An object of this key and size, written at this moment, without anything else.
pub(super) fn plain(key: &str, size: u64, written: u64) -> Result<Candidate> {
    let moment = timestamp_from_millis(written);
    let metadata = StorageMetadata {
        key: Key::new(key)?,
        size,
        created_at: moment,
        updated_at: moment,
        checksum: Checksum::of(key.as_bytes()),
        etag: ETag::new(format!("w{size}-{written}"))?,
        attributes: Attributes::default(),
    };
    Ok(Candidate { metadata, last_read_at: None })
}

/// Objects as there could be in a store, in no order.
pub(super) fn candidates(random: &mut Random, count: usize) -> Result<Vec<Candidate>> {
    (0..count).map(|number| candidate(random, number)).collect()
}

fn candidate(random: &mut Random, number: usize) -> Result<Candidate> {
    let folder = random.pick(&FOLDERS);
    let size = random.pick(&[0, 1, 100, 4_096, 1 << 20, 100 << 20, 5 << 30]);
    let written = WRITTEN - random.below(400 * DAY as usize) as u64;
    let mut candidate = plain(&format!("{folder}object-{number}"), size, written)?;
    candidate.metadata.created_at = timestamp_from_millis(written - random.below(100 * DAY as usize) as u64);
    if random.once_in(2) {
        let read = written + random.below(300 * DAY as usize) as u64;
        candidate.last_read_at = Some(timestamp_from_millis(read));
    }
    let attributes = &mut candidate.metadata.attributes;
    for _ in 0..random.below(3) {
        let (name, value) = random.pick(&TAGS);
        attributes.tags.set(name, value)?;
    }
    if random.once_in(3) {
        attributes.content_type =
            Some(random.pick(&["text/plain", "image/png", "application/octet-stream"]).to_owned());
    }
    Ok(candidate)
}

/// Objects at the limits of what there can be.
pub(super) fn odd_candidates() -> Result<Vec<Candidate>> {
    let mut odd = Vec::new();
    let longest = "k".repeat(Key::MAX_LEN);
    let keys = [
        "/",
        "//",
        "a//b",
        "..",
        "../x",
        "%2e",
        ".",
        " ",
        "\u{1}",
        "\u{7f}",
        "a\nb",
        "\u{e9}",
        "e\u{301}",
        "\u{1F980}",
        "\u{202e}a",
        "tmp",
        "tmp/",
        "*",
        "'",
        "{\"a\":1}",
        &longest,
    ];
    for key in keys {
        odd.push(plain(key, 7, WRITTEN)?);
    }
    for size in [0, 1, u64::from(u32::MAX), 1 << 53, u64::MAX >> 1, u64::MAX] {
        odd.push(plain("size", size, WRITTEN)?);
    }
    for written in [0, 1, WRITTEN, 253_402_300_799_999] {
        for read in [None, Some(0), Some(written), Some(253_402_300_799_999)] {
            odd.push(Candidate { last_read_at: read.map(timestamp_from_millis), ..plain("time", 7, written)? });
        }
    }
    let mut backwards = plain("created after it was written", 7, WRITTEN)?;
    backwards.metadata.created_at = timestamp_from_millis(WRITTEN + DAY);
    odd.push(backwards);
    let tag = |number: usize| (format!("{number:0>128}"), "v\"\u{1F980}".repeat(85));
    let mut laden = plain("laden", 7, WRITTEN)?;
    laden.metadata.attributes = Attributes {
        content_type: Some("application/vnd.larder; x=\"\u{e9}\"".into()),
        user_metadata: UserMetadata::from_pairs([("n".into(), "v".repeat(UserMetadata::MAX_SIZE - 1))])?,
        tags: Tags::from_pairs((0..Tags::MAX_COUNT).map(tag))?,
    };
    odd.push(laden);
    Ok(odd)
}

/// Moments to ask at: long before the objects were written, while they were, and ever later.
pub(super) fn moments() -> impl Iterator<Item = Timestamp> {
    let ages = [0, 1, 1000, 60_000, HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY, 1_000 * DAY, 10_000 * DAY];
    let around = ages.into_iter().map(|age| WRITTEN + age);
    let before = [500, 300, 200, 100, 40, 7].map(|days| WRITTEN - days * DAY);
    [0].into_iter().chain(before).chain(around).map(timestamp_from_millis)
}
