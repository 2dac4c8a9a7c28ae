//! Providers held against a map that does what they should.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use proptest::prelude::*;

use super::file::FileStorageProvider;
use super::memory::MemoryStorageProvider;
use super::{Condition, ListQuery, StorageProvider, StoreOptions, Usage};
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, Body, ByteRange, Key, StorageMetadata, Tags};

type Model = BTreeMap<Key, (StorageMetadata, Bytes)>;

#[derive(Clone, Debug)]
enum Operation {
    Store { key: Key, size: usize, fill: u8, streamed: bool, fails: bool, condition: Conditioned },
    Retrieve { key: Key, range: Option<(u64, u64)> },
    Delete { key: Key, condition: Conditioned },
    Update { key: Key, tag: String, condition: Conditioned },
    List { prefix: String, start_after: Option<String>, limit: usize },
    Reopen,
}

#[derive(Clone, Copy, Debug)]
enum Conditioned {
    No,
    Absent,
    /// On the version that is there, if there is one.
    Current,
    /// On a version that is not there.
    Foreign,
}

fn keys() -> impl Strategy<Value = Key> {
    prop::sample::select(vec!["a", "a/b", "a//b", "..", "%2e", "b", "\u{e9}", "e\u{301}"])
        .prop_map(|text| Key::new(text).unwrap())
}

fn conditions() -> impl Strategy<Value = Conditioned> {
    use Conditioned::{Absent, Current, Foreign, No};
    prop::sample::select(vec![No, No, No, Absent, Current, Foreign])
}

fn operations() -> impl Strategy<Value = Operation> {
    let sizes = prop_oneof![Just(0usize), 1..300usize, 16_380..16_390usize, 65_530..65_545usize, 200_000..300_000usize];
    prop_oneof![
        6 => (keys(), sizes, any::<u8>(), any::<bool>(), prop::bool::weighted(0.15), conditions()).prop_map(
            |(key, size, fill, streamed, fails, condition)| Operation::Store { key, size, fill, streamed, fails, condition }
        ),
        6 => (keys(), prop::option::of((0..70_000u64, 1..200_000u64))).prop_map(|(key, range)| Operation::Retrieve { key, range }),
        2 => (keys(), conditions()).prop_map(|(key, condition)| Operation::Delete { key, condition }),
        2 => (keys(), "[a-z]{0,4}", conditions()).prop_map(|(key, tag, condition)| Operation::Update { key, tag, condition }),
        3 => (prop::sample::select(vec!["", "a", "a/", "e", "z"]), prop::option::of(keys()), 1..5usize).prop_map(
            |(prefix, after, limit)| {
                let start_after = after.map(|key| key.as_str().to_owned());
                Operation::List { prefix: prefix.into(), start_after, limit }
            }
        ),
        1 => Just(Operation::Reopen),
    ]
}

fn condition(conditioned: Conditioned, current: Option<&StorageMetadata>) -> Condition {
    match conditioned {
        Conditioned::No => Condition::None,
        Conditioned::Absent => Condition::IfAbsent,
        Conditioned::Current => current.map_or(Condition::None, |current| Condition::IfMatch(current.etag.clone())),
        Conditioned::Foreign => Condition::IfMatch(crate::object::ETag::generate()),
    }
}

fn if_match(condition: Condition) -> Option<crate::object::ETag> {
    match condition {
        Condition::IfMatch(etag) => Some(etag),
        _ => None,
    }
}

fn kind<T>(result: &Result<T>) -> &'static str {
    result.as_ref().map_or_else(Error::kind, |_| "ok")
}

async fn carry_out(store: &dyn StorageProvider, model: &mut Model, operation: Operation) {
    match operation {
        Operation::Store { key, size, fill, streamed, fails, condition: conditioned } => {
            let bytes = Bytes::from(vec![fill; size]);
            let mut pieces: Vec<_> = bytes.chunks(50_000).map(|piece| Ok(bytes.slice_ref(piece))).collect();
            if fails {
                pieces.push(Err(Error::timeout("the sender went away")));
            }
            let body = if streamed || fails { Body::stream(stream::iter(pieces)) } else { bytes.clone().into() };
            let previous = model.get(&key).map(|(metadata, _)| metadata);
            let condition = condition(conditioned, previous);
            let met = condition.check(&key, previous.map(|previous| &previous.etag)).is_ok();
            let options = StoreOptions { condition, ..StoreOptions::default() };
            let checksum = crate::object::Checksum::of(&bytes);
            let wanted = options.clone().into_metadata(key.clone(), size as u64, checksum, previous);
            let result = store.store(&key, body, options).await;
            match (met, fails) {
                (true, false) => {
                    assert_eq!(result.unwrap(), wanted);
                    model.insert(key, (wanted, bytes));
                }
                (true, true) => assert_eq!(kind(&result), "timeout"),
                (false, false) => assert_eq!(kind(&result), "precondition-failed"),
                (false, true) => assert!(result.is_err()),
            }
        }
        Operation::Retrieve { key, range } => {
            let range = range.map(|(start, length)| ByteRange::between(start, start + length).unwrap());
            let result = store.retrieve(&key, range).await;
            let Some((metadata, bytes)) = model.get(&key) else {
                assert_eq!(kind(&result), "not-found");
                return;
            };
            let Ok(positions) = range.map_or(Ok(0..metadata.size), |range| range.resolve(metadata.size)) else {
                assert_eq!(kind(&result), "range-not-satisfiable");
                return;
            };
            let object = result.unwrap();
            assert_eq!((&*object.metadata, &object.range), (metadata, &positions));
            let wanted = bytes.slice(positions.start as usize..positions.end as usize);
            assert!(object.body.collect(u64::MAX).await.unwrap() == wanted);
        }
        Operation::Delete { key, condition: conditioned } => {
            let current = model.get(&key).map(|(metadata, _)| metadata);
            let if_match = if_match(condition(conditioned, current));
            let wanted = match (current, &if_match) {
                (None, _) => "not-found",
                (Some(current), Some(etag)) if current.etag != *etag => "precondition-failed",
                _ => "ok",
            };
            assert_eq!(kind(&store.delete(&key, if_match.as_ref()).await), wanted);
            if wanted == "ok" {
                model.remove(&key);
            }
        }
        Operation::Update { key, tag, condition: conditioned } => {
            let current = model.get_mut(&key).map(|(metadata, _)| metadata);
            let if_match = if_match(condition(conditioned, current.as_deref()));
            let tags = Tags::from_pairs([("tag".to_owned(), tag)]).unwrap();
            let changes = AttributeChanges { tags: Some(tags), ..AttributeChanges::default() };
            let result = store.update(&key, changes.clone(), if_match.as_ref()).await;
            match (current, if_match) {
                (None, _) => assert_eq!(kind(&result), "not-found"),
                (Some(current), Some(etag)) if current.etag != etag => assert_eq!(kind(&result), "precondition-failed"),
                (Some(current), _) => {
                    current.attributes.apply(changes);
                    assert_eq!(result.unwrap(), *current);
                }
            }
        }
        Operation::List { prefix, start_after, limit } => {
            let wanted: Vec<_> = model
                .values()
                .map(|(metadata, _)| metadata.clone())
                .filter(|metadata| metadata.key.as_str().starts_with(&prefix))
                .filter(|metadata| start_after.as_deref().is_none_or(|after| metadata.key.as_str() > after))
                .collect();
            let page = store.list(&ListQuery { prefix, start_after, limit }).await.unwrap();
            assert_eq!(page.objects, wanted[..limit.min(wanted.len())]);
            assert_eq!(page.more, wanted.len() > limit);
        }
        Operation::Reopen => {}
    }
    let wanted = Usage { objects: model.len() as u64, bytes: model.values().map(|(metadata, _)| metadata.size).sum() };
    assert_eq!(store.usage().await.unwrap(), wanted);
}

/// Carries out operations on what `open` opens, and on the model beside it.
fn follow(operations: Vec<Operation>, open: impl Fn() -> Arc<dyn StorageProvider>, persistent: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut store, mut model) = (open(), Model::new());
        for operation in operations {
            if persistent && matches!(operation, Operation::Reopen) {
                drop(store);
                store = open();
            }
            carry_out(&*store, &mut model, operation).await;
        }
        for (key, (metadata, bytes)) in &model {
            let object = store.retrieve(key, None).await.unwrap();
            assert_eq!(*object.metadata, *metadata);
            assert!(object.body.collect(u64::MAX).await.unwrap() == *bytes);
        }
    });
}

fn open_files(folder: &Path) -> Arc<dyn StorageProvider> {
    Arc::new(FileStorageProvider::open(folder).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn memory_does_what_a_map_does(operations in prop::collection::vec(operations(), 1..60)) {
        let store: Arc<dyn StorageProvider> = Arc::new(MemoryStorageProvider::new());
        follow(operations, || Arc::clone(&store), false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn files_do_what_a_map_does(operations in prop::collection::vec(operations(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        follow(operations, || open_files(folder.path()), true);
    }
}
