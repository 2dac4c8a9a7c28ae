use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use super::*;
use crate::contract::{self, Options, Part, provider};
use crate::object::{
    AttributeChanges, Attributes, Body, ByteRange, Checksum, ETag, Key, Object, StorageMetadata, UserMetadata,
};
use crate::provider::memory::MemoryStorageProvider;
use crate::provider::{Condition, ListQuery, Page, StoreOptions, Usage};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn encryption_key(seed: u8) -> EncryptionKey {
    EncryptionKey::parse(&format!("{seed:02x}").repeat(32)).unwrap()
}

fn encrypted(seed: u8, old: &[u8]) -> Encryption {
    Encryption { key: encryption_key(seed), old_keys: old.iter().map(|seed| encryption_key(*seed)).collect() }
}

fn zstd() -> Layers {
    Layers { compression: Some(3), ..Layers::default() }
}

fn sealed() -> Layers {
    Layers { encryption: Some(encrypted(1, &[])), ..Layers::default() }
}

fn both() -> Layers {
    Layers { max_size: Some(1 << 40), ..Layers { compression: Some(3), ..sealed() } }
}

fn all() -> [(&'static str, Layers); 3] {
    [("zstd", zstd()), ("encrypted", sealed()), ("both", both())]
}

fn memory() -> Arc<dyn StorageProvider> {
    Arc::new(MemoryStorageProvider::new())
}

/// Bytes that compress to about a half.
fn text(size: usize) -> Bytes {
    let mut state = 1_u32;
    (0..size)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b"etaoinshrdlu etc"[(state >> 28) as usize]
        })
        .collect()
}

/// Bytes that do not compress.
fn noise(size: usize) -> Bytes {
    let mut bytes = vec![0; size];
    getrandom::fill(&mut bytes).unwrap();
    bytes.into()
}

fn in_pieces(bytes: &Bytes, size: usize) -> Body {
    let pieces: Vec<_> = bytes.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Body::stream(stream::iter(pieces))
}

async fn put(provider: &dyn StorageProvider, name: &str, body: Body) -> StorageMetadata {
    provider.store(&key(name), body, StoreOptions::default()).await.unwrap()
}

async fn get(provider: &dyn StorageProvider, name: &str, range: Option<ByteRange>) -> Result<Bytes> {
    provider.retrieve(&key(name), range).await?.body.collect(1 << 30).await
}

/// Memory that answers changes of attributes in its own way.
#[derive(Debug)]
struct WithUpdates(MemoryStorageProvider, Updates);

#[derive(Debug)]
enum Updates {
    /// As a provider does that goes away right after a write.
    Fail,
    /// The first one takes a while.
    Late(AtomicBool),
}

impl WithUpdates {
    fn new(updates: Updates) -> Arc<Self> {
        Arc::new(Self(MemoryStorageProvider::new(), updates))
    }
}

#[async_trait]
impl StorageProvider for WithUpdates {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        self.0.store(key, body, options).await
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        self.0.retrieve(key, range).await
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        self.0.delete(key, if_match).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.0.list(query).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        self.0.metadata(key).await
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        match &self.1 {
            Updates::Fail => return Err(Error::unavailable("gone")),
            Updates::Late(is_first) if is_first.swap(false, SeqCst) => sleep(Duration::from_millis(100)).await,
            Updates::Late(_) => {}
        }
        self.0.update(key, changes, if_match).await
    }
}

struct Layered(Layers);

#[async_trait]
impl provider::Subject for Layered {
    async fn open(&self, _: &str) -> Result<Arc<dyn StorageProvider>> {
        Ok(self.0.clone().around(memory()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_keep_the_contract() {
    for (name, layers) in all() {
        let report = contract::check(name, &Part::Provider(Arc::new(Layered(layers))), &Options::default()).await;
        assert_eq!(report.counts().broken, 0, "{report}");
    }
}

#[tokio::test]
async fn sizes_around_every_boundary_come_back_whole_and_in_part() {
    const SIZES: [usize; 12] =
        [0, 1, 100, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 262_144, 400_000, 1_500_000];
    for (name, layers) in all() {
        let provider = layers.around(memory());
        for (size, bytes) in SIZES.iter().flat_map(|size| [(size, text(*size)), (size, noise(*size))]) {
            for body in [Body::Bytes(bytes.clone()), in_pieces(&bytes, 10_000), in_pieces(&bytes, 300_000)] {
                let stored = put(&*provider, "a", body).await;
                assert_eq!((stored.size, stored.checksum), (*size as u64, Checksum::of(&bytes)), "{name}, {size}");
                assert_eq!(provider.metadata(&key("a")).await.unwrap(), stored);
                assert_eq!(provider.list(&ListQuery::all()).await.unwrap().objects, [stored]);
                assert_eq!(get(&*provider, "a", None).await.unwrap(), bytes, "{name}, {size}");
                let usage = provider.usage().await.unwrap();
                assert_eq!(usage, Usage { objects: 1, bytes: *size as u64 });
            }
            for (start, end) in
                [(0, 1), (1, 70_000), (65_530, 65_540), (131_000, 131_200), (0, 1 << 40), (399_999, 400_000)]
            {
                let range = ByteRange::between(start, end).unwrap();
                let part = get(&*provider, "a", Some(range)).await;
                if start < *size as u64 {
                    let end = end.min(*size as u64) as usize;
                    assert_eq!(part.unwrap(), bytes.slice(start as usize..end), "{name}, {size}, {range}");
                } else {
                    assert!(matches!(part, Err(Error::RangeNotSatisfiable { .. })), "{name}, {size}, {range}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_compresses_takes_less_room_and_what_does_not_is_stored_as_it_is() {
    let inner = memory();
    let provider = zstd().around(Arc::clone(&inner));
    let (text, noise) = (text(1_000_000), noise(1_000_000));
    put(&*provider, "text", Body::Bytes(text.clone())).await;
    put(&*provider, "text in pieces", in_pieces(&text, 50_000)).await;
    put(&*provider, "noise", Body::Bytes(noise.clone())).await;
    put(&*provider, "noise in pieces", in_pieces(&noise, 50_000)).await;
    for name in ["text", "text in pieces"] {
        let stored = get(&*inner, name, None).await.unwrap();
        assert!(stored.len() < 600_000, "{name}: {}", stored.len());
        // Any tool that knows zstd reads it.
        assert_eq!(zstd::decode_all(&*stored).unwrap(), text);
    }
    for name in ["noise", "noise in pieces"] {
        assert_eq!(get(&*inner, name, None).await.unwrap(), noise);
    }
}

#[tokio::test]
async fn nothing_of_an_encrypted_object_can_be_read_below() {
    let inner = memory();
    let provider = sealed().around(Arc::clone(&inner));
    for size in [3_usize, 20, 200_000] {
        let bytes = text(size);
        put(&*provider, "a", Body::Bytes(bytes.clone())).await;
        let first = inner.retrieve(&key("a"), None).await.unwrap();
        let mark = first.metadata.attributes.user_metadata.get("larder-layer-aead").unwrap().to_owned();
        let first = first.body.collect(1 << 20).await.unwrap();
        assert!(size < 20 || !first.windows(20).any(|window| bytes.windows(20).next() == Some(window)));
        let checksum = Checksum::of(&bytes).as_u64();
        assert!(!first.windows(8).any(|window| window == checksum.to_le_bytes()), "a checksum gives short texts away");
        put(&*provider, "a", Body::Bytes(bytes)).await;
        let second = inner.retrieve(&key("a"), None).await.unwrap();
        assert_ne!(second.metadata.attributes.user_metadata.get("larder-layer-aead").unwrap(), mark);
        assert_ne!(second.body.collect(1 << 20).await.unwrap(), first, "the same bytes look different each time");
    }
}

#[tokio::test]
async fn every_flipped_bit_and_every_missing_byte_is_found() {
    for (name, layers) in [("zstd", zstd()), ("encrypted", sealed())] {
        for size in [300, 200_000] {
            let inner = memory();
            let provider = layers.clone().around(Arc::clone(&inner));
            let bytes = text(size);
            put(&*provider, "a", Body::Bytes(bytes.clone())).await;
            let object = inner.retrieve(&key("a"), None).await.unwrap();
            let attributes = object.metadata.attributes.clone();
            let stored = object.body.collect(1 << 20).await.unwrap();
            let rewrite = async |stored: Vec<u8>| {
                let options = StoreOptions { attributes: attributes.clone(), ..StoreOptions::default() };
                inner.store(&key("a"), Body::Bytes(stored.into()), options).await.unwrap();
            };
            let positions = (0..stored.len()).filter(|at| at % (stored.len() / 97) == 0 || at + 90 > stored.len());
            for at in positions {
                let mut flipped = stored.to_vec();
                flipped[at] ^= 1 << (at % 8);
                rewrite(flipped).await;
                // What is damaged need not be what is read: the table is no part of the bytes.
                for range in [None, Some(ByteRange::between(10, 290).unwrap())] {
                    match get(&*provider, "a", range).await {
                        Ok(read) => {
                            let wanted = if range.is_some() { bytes.slice(10..290) } else { bytes.clone() };
                            assert_eq!(read, wanted, "{name}: bit of byte {at} of {}", stored.len());
                        }
                        Err(Error::Corrupt { .. }) => {}
                        Err(error) => panic!("{name}: {error}"),
                    }
                }
            }
            for len in [0, 1, stored.len() / 2, stored.len() - 1] {
                rewrite(stored[..len].to_vec()).await;
                assert!(matches!(get(&*provider, "a", None).await, Err(Error::Corrupt { .. })), "{name}: {len}");
            }
        }
    }
}

#[tokio::test]
async fn chunks_can_be_neither_swapped_nor_moved_to_another_key() {
    let inner = memory();
    let provider = sealed().around(Arc::clone(&inner));
    put(&*provider, "a", Body::Bytes(text(65_536 * 2))).await;
    let object = inner.retrieve(&key("a"), None).await.unwrap();
    let options = StoreOptions { attributes: object.metadata.attributes.clone(), ..StoreOptions::default() };
    let stored = object.body.collect(1 << 20).await.unwrap();
    inner.store(&key("b"), Body::Bytes(stored.clone()), options.clone()).await.unwrap();
    assert!(matches!(get(&*provider, "b", None).await, Err(Error::Corrupt { .. })));
    let (first, second) = (48..48 + 65_552, 48 + 65_552..48 + 2 * 65_552);
    let swapped = [&stored[..48], &stored[second.clone()], &stored[first], &stored[second.end..]].concat();
    inner.store(&key("a"), Body::Bytes(swapped.into()), options).await.unwrap();
    assert!(matches!(get(&*provider, "a", None).await, Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn an_object_whose_mark_was_not_completed_is_read_by_its_end() {
    for (name, layers) in all() {
        let provider = layers.around(WithUpdates::new(Updates::Fail));
        let bytes = text(700_000);
        let stored = put(&*provider, "a", in_pieces(&bytes, 60_000)).await;
        assert_eq!((stored.size, stored.checksum), (700_000, Checksum::of(&bytes)));
        assert_eq!(provider.metadata(&key("a")).await.unwrap(), stored, "{name}");
        assert_eq!(provider.list(&ListQuery::all()).await.unwrap().objects, [stored], "{name}");
        assert_eq!(get(&*provider, "a", None).await.unwrap(), bytes, "{name}");
        let range = ByteRange::between(300_000, 300_010).unwrap();
        assert_eq!(get(&*provider, "a", Some(range)).await.unwrap(), bytes.slice(300_000..300_010), "{name}");
    }
}

#[tokio::test]
async fn the_writers_own_metadata_is_kept_and_the_hosts_is_not_seen() {
    let own = UserMetadata::from_pairs([("owner".to_owned(), "x".repeat(UserMetadata::MAX_SIZE - 5))]).unwrap();
    let provider = both().around(memory());
    let options = || StoreOptions {
        attributes: Attributes { user_metadata: own.clone(), ..Attributes::default() },
        ..StoreOptions::default()
    };
    for body in [Body::Bytes(text(1000)), in_pieces(&text(300_000), 10_000)] {
        let stored = provider.store(&key("a"), body, options()).await.unwrap();
        assert_eq!(stored.attributes.user_metadata, own);
        let other = UserMetadata::from_pairs([("other".to_owned(), "1".to_owned())]).unwrap();
        let changes = AttributeChanges { user_metadata: Some(other.clone()), ..AttributeChanges::default() };
        let updated = provider.update(&key("a"), changes, None).await.unwrap();
        assert_eq!((updated.attributes.user_metadata, updated.size), (other, stored.size));
        assert!(get(&*provider, "a", None).await.is_ok());
    }
    let forged = UserMetadata::from_pairs([("larder-layer-zstd".to_owned(), "5:0".to_owned())]).unwrap();
    let attributes = Attributes { user_metadata: forged.clone(), ..Attributes::default() };
    let stored =
        provider.store(&key("b"), Body::from("x"), StoreOptions { attributes, ..StoreOptions::default() }).await;
    assert!(matches!(stored, Err(Error::InvalidInput { .. })));
    let changes = AttributeChanges { user_metadata: Some(forged), ..AttributeChanges::default() };
    assert!(matches!(provider.update(&key("a"), changes, None).await, Err(Error::InvalidInput { .. })));
}

#[tokio::test]
async fn completing_a_mark_takes_back_no_change_that_came_before() {
    let inner = WithUpdates::new(Updates::Late(AtomicBool::new(true)));
    let provider = zstd().around(Arc::clone(&inner) as _);
    let storing = tokio::spawn({
        let provider = Arc::clone(&provider);
        async move { put(&*provider, "a", in_pieces(&text(300_000), 10_000)).await }
    });
    while provider.metadata(&key("a")).await.is_err() {
        sleep(Duration::from_millis(1)).await;
    }
    let own = UserMetadata::from_pairs([("state".to_owned(), "seen".to_owned())]).unwrap();
    let changes = AttributeChanges { user_metadata: Some(own.clone()), ..AttributeChanges::default() };
    provider.update(&key("a"), changes, None).await.unwrap();
    storing.await.unwrap();
    assert_eq!(provider.metadata(&key("a")).await.unwrap().attributes.user_metadata, own);
}

#[tokio::test]
async fn a_small_object_that_says_it_is_huge_takes_no_memory() {
    let inner = memory();
    let provider = zstd().around(Arc::clone(&inner));
    // A gigabyte of zeros in some thirty kilobytes.
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(0), 1 << 30), 1).unwrap();
    let stored = [bomb, vec![0; 100]].concat();
    let mark = UserMetadata::from_pairs([("larder-layer-zstd".to_owned(), "10:0000000000000000".to_owned())]).unwrap();
    let attributes = Attributes { user_metadata: mark, ..Attributes::default() };
    let options = StoreOptions { attributes, ..StoreOptions::default() };
    inner.store(&key("a"), Body::Bytes(stored.into()), options).await.unwrap();
    assert!(matches!(get(&*provider, "a", None).await, Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn old_keys_read_and_new_objects_get_the_new_one() {
    let inner = memory();
    let wrap = |encryption| Layers { encryption: Some(encryption), ..zstd() }.around(Arc::clone(&inner));
    put(&*zstd().around(Arc::clone(&inner)), "before", Body::Bytes(text(5000))).await;
    let old = put(&*wrap(encrypted(1, &[])), "old", in_pieces(&text(500_000), 9_999)).await;
    let rotated = wrap(encrypted(2, &[1]));
    put(&*rotated, "new", Body::Bytes(text(100))).await;
    for name in ["before", "old", "new"] {
        assert!(get(&*rotated, name, None).await.is_ok(), "{name}");
    }
    let only_new = wrap(encrypted(2, &[]));
    let error = get(&*only_new, "old", None).await.unwrap_err();
    assert!(error.to_string().contains(&encryption_key(1).id()), "{error}");
    assert!(matches!(error, Error::PermissionDenied { .. }));

    assert!(rekey(&inner, encrypted(2, &[]), |_| ()).await.is_err(), "the first key is not given");
    let done = rekey(&inner, encrypted(2, &[1]), |_| ()).await.unwrap();
    assert_eq!((done.moved, done.current), (1, 2), "it goes on where it was");
    assert_eq!(only_new.metadata(&key("old")).await.unwrap(), old, "it is still the same object");
    for name in ["before", "old", "new"] {
        assert!(get(&*only_new, name, None).await.is_ok(), "{name}");
    }
    assert_eq!(rekey(&inner, encrypted(2, &[]), |_| ()).await.unwrap().current, 3);
}

#[test]
fn keys_are_written_in_digits_or_base64_and_never_shown() {
    let digits = "07".repeat(32);
    let key = EncryptionKey::parse(&format!("{digits}\n")).unwrap();
    let base64 = base64_simd::STANDARD.encode_to_string([7; 32]);
    assert_eq!(EncryptionKey::parse(&base64).unwrap().id(), key.id());
    assert!(!format!("{key:?} {:?}", sealed()).contains("0707"));
    for wrong in ["", "07", &"07".repeat(31), &"zz".repeat(32), &base64_simd::STANDARD.encode_to_string([7; 31])] {
        let error = EncryptionKey::parse(wrong).unwrap_err();
        assert!(wrong.is_empty() || !error.contains(wrong) || wrong == "07", "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_write_the_quota_is_never_passed() {
    const MAX: u64 = 10_000;
    let inner = memory();
    let provider = Layers { max_size: Some(MAX), ..Layers::default() }.around(Arc::clone(&inner));
    let over = Arc::new(AtomicBool::new(false));
    let writers = (0..8_usize).map(|writer| {
        let (provider, inner, over) = (Arc::clone(&provider), Arc::clone(&inner), Arc::clone(&over));
        tokio::spawn(async move {
            let mut refused = 0;
            for turn in 0..200_usize {
                let name = format!("{}", (writer + turn) % 5);
                let bytes = noise((writer * 37 + turn * 91) % 4000);
                let body = if turn % 2 == 0 { Body::Bytes(bytes) } else { in_pieces(&bytes, 700) };
                match (turn % 7, provider.store(&key(&name), body, StoreOptions::default()).await) {
                    (0, _) => drop(provider.delete(&key(&name), None).await),
                    (_, Ok(_)) => {}
                    (_, Err(Error::Exhausted { .. })) => refused += 1,
                    (_, Err(error)) => panic!("{error}"),
                }
                if inner.usage().await.unwrap().bytes > MAX {
                    over.store(true, SeqCst);
                }
            }
            refused
        })
    });
    let refused: usize = join_all(writers).await.into_iter().map(|refused| refused.unwrap()).sum();
    assert!(refused > 0, "it was never full");
    assert!(!over.load(SeqCst));
    // What is left can be used to the last byte, and not one more.
    provider.delete(&key("0"), None).await.ok();
    let left = MAX - inner.usage().await.unwrap().bytes;
    put(&*provider, "0", Body::Bytes(noise(left as usize))).await;
    let more = provider.store(&key("one more"), Body::from("x"), StoreOptions::default()).await;
    assert!(matches!(more, Err(Error::Exhausted { .. })), "{more:?}");
    // One that takes no more room than what it replaces goes in.
    put(&*provider, "0", Body::Bytes(noise(left as usize))).await;
}

#[tokio::test]
async fn what_fails_takes_no_room() {
    let inner = memory();
    let provider = Layers { max_size: Some(100), ..Layers::default() }.around(Arc::clone(&inner));
    for _ in 0..3 {
        let cut_off = Body::stream(stream::iter([Ok(noise(60)), Err(Error::internal("cut off"))]));
        assert!(provider.store(&key("a"), cut_off, StoreOptions::default()).await.is_err());
        let too_large = provider.store(&key("a"), in_pieces(&noise(101), 50), StoreOptions::default()).await;
        assert!(matches!(too_large, Err(Error::Exhausted { .. })));
        let options = StoreOptions { condition: Condition::IfMatch(ETag::generate()), ..StoreOptions::default() };
        assert!(provider.store(&key("a"), Body::Bytes(noise(60)), options).await.is_err());
        // Its caller goes away in the middle.
        let endless = Body::stream(stream::iter([Ok(noise(60))]).chain(stream::pending()));
        let (key, options) = (key("a"), StoreOptions::default());
        let dropped = timeout(Duration::from_millis(5), provider.store(&key, endless, options));
        assert!(dropped.await.is_err());
    }
    put(&*provider, "b", Body::Bytes(noise(100))).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_range_of_any_object_is_what_was_stored(
        size in 0..600_000_usize,
        piece in 1..200_000_usize,
        (start, len) in (0..600_000_u64, 1..600_000_u64),
    ) {
        Runtime::new().unwrap().block_on(async {
            let provider = both().around(memory());
            let bytes = text(size);
            put(&*provider, "a", in_pieces(&bytes, piece)).await;
            let range = ByteRange::between(start, start + len).unwrap();
            match get(&*provider, "a", Some(range)).await {
                Ok(part) => {
                    let end = (start + len).min(size as u64) as usize;
                    prop_assert_eq!(part, bytes.slice(start as usize..end));
                }
                Err(error) => prop_assert!(start >= size as u64, "{}", error),
            }
            Ok(())
        })?;
    }
}
