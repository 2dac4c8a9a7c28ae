use std::collections::BTreeMap;

use super::check::contents;
use super::*;
use crate::object::Attributes;
use crate::provider::{FindingKind, Findings};

const LARGE_KEYS: [&str; 3] = ["large 1", "large 2", "large 3"];

/// A closed store with three large objects, one of them replaced, and thirty small ones; and what is in it.
async fn closed_store() -> (TempDir, BTreeMap<String, Bytes>) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let mut model = BTreeMap::new();
    for (number, name) in LARGE_KEYS.into_iter().chain(["large 2"]).enumerate() {
        model.insert(name.to_owned(), Bytes::from(vec![number as u8; LARGE]));
        put(&store, name, model[name].clone()).await.unwrap();
    }
    for number in 0..30_usize {
        let name = format!("small {number}");
        model.insert(name.clone(), Bytes::from(vec![b's'; number * 100]));
        put(&store, &name, model[&name].clone()).await.unwrap();
    }
    put(&store, "deleted", vec![9; LARGE]).await.unwrap();
    store.delete(&key("deleted"), None).await.unwrap();
    let content_type = AttributeChanges { content_type: Some("text/later".into()), ..AttributeChanges::default() };
    store.update(&key("large 1"), content_type, None).await.unwrap();
    (folder, model)
}

/// Opens a store that was rebuilt, and finds nothing damaged in it.
fn reopen(folder: &TempDir) -> FileStorageProvider {
    let findings = Findings::default();
    check(folder.path(), &findings).unwrap();
    let findings = findings.take();
    assert_eq!(findings, []);
    open(folder.path()).unwrap()
}

async fn metadata(store: &FileStorageProvider) -> Vec<StorageMetadata> {
    store.list(&ListQuery::all()).await.unwrap().objects
}

/// All objects are as they were stored; all large ones are there.
async fn assert_true(store: &FileStorageProvider, model: &BTreeMap<String, Bytes>, what: &str) {
    for (name, bytes) in model {
        match get(store, name).await {
            Ok(found) => assert_eq!(found, bytes, "{what}: {name}"),
            Err(Error::NotFound { .. }) if name.starts_with("small") => {}
            Err(error) => panic!("{what}: {name}: {error:?}"),
        }
    }
    assert!(metadata(store).await.iter().all(|object| model.contains_key(object.key.as_str())), "{what}");
}

#[tokio::test]
async fn a_whole_index_is_made_anew_as_it_was() {
    let (folder, _) = closed_store().await;
    let before = metadata(&open(folder.path()).unwrap()).await;
    let old = fs::read(folder.path().join("index.sqlite")).unwrap();
    let findings = Findings::default();
    let report = rebuild(folder.path(), &findings).unwrap();
    let findings = findings.take();
    let aside = folder.path().join("before-rebuild-1");
    let expected = RebuildReport {
        old_index: OldIndex::Whole,
        from_index: 33,
        from_files: 0,
        lost: 0,
        left_out: 0,
        set_aside: Some(aside.clone()),
    };
    assert_eq!((report, findings), (expected, vec![]));
    assert_eq!(fs::read(aside.join("index.sqlite")).unwrap(), old);
    let store = reopen(&folder);
    assert_eq!(metadata(&store).await, before);
    assert_eq!(store.usage().await.unwrap().objects, 33);
}

#[tokio::test]
async fn without_an_index_the_newest_bodies_come_back() {
    let (folder, model) = closed_store().await;
    fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    let [first, second] = [1, 2].map(|number| Layout::existing(folder.path()).body(Generation(number)));
    assert!(first.exists() && !second.exists(), "the second write was replaced");
    let report = rebuild(folder.path(), &Findings::default()).unwrap();
    assert_eq!((report.old_index, report.from_index, report.from_files), (OldIndex::Missing, 0, 3));
    let store = reopen(&folder);
    assert_true(&store, &model, "no index").await;
    let found = store.metadata(&key("large 1")).await.unwrap();
    assert_eq!(found.attributes, Attributes::default(), "as it was written");
    put(&store, "large 1", vec![8; LARGE]).await.unwrap();
    assert_eq!(get(&store, "large 1").await.unwrap(), vec![8; LARGE]);
}

#[tokio::test]
async fn of_two_bodies_of_a_key_the_newer_one_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, "k", vec![1; LARGE]).await.unwrap();
    let [old] = bodies(&folder).try_into().unwrap();
    let kept = fs::read(&old).unwrap();
    put(&store, "k", vec![2; LARGE]).await.unwrap();
    drop(store);
    fs::write(&old, kept).unwrap();
    fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    let report = rebuild(folder.path(), &Findings::default()).unwrap();
    assert_eq!((report.from_files, report.left_out), (1, 1));
    let aside = report.set_aside.unwrap();
    assert!(aside.join(old.file_name().unwrap()).exists() && !old.exists());
    assert_eq!(get(&reopen(&folder), "k").await.unwrap(), vec![2; LARGE]);
}

#[tokio::test]
async fn a_deleted_object_stays_deleted_by_an_index_that_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, "deleted", vec![1; LARGE]).await.unwrap();
    put(&store, "now small", vec![2; LARGE]).await.unwrap();
    let kept: Vec<_> = bodies(&folder).into_iter().map(|body| (fs::read(&body).unwrap(), body)).collect();
    store.delete(&key("deleted"), None).await.unwrap();
    put(&store, "now small", "v").await.unwrap();
    drop(store);
    for (bytes, body) in kept {
        fs::write(body, bytes).unwrap();
    }
    let findings = Findings::default();
    let report = rebuild(folder.path(), &findings).unwrap();
    let findings = findings.take();
    assert_eq!((report.from_index, report.from_files, report.lost, report.left_out), (1, 0, 0, 2));
    assert!(findings.iter().all(|finding| finding.kind == FindingKind::Orphan), "{findings:?}");
    let store = reopen(&folder);
    assert_eq!(get(&store, "now small").await.unwrap(), "v");
    assert_eq!(metadata(&store).await.len(), 1);
}

#[tokio::test]
async fn a_damaged_row_is_replaced_by_what_its_file_says() {
    for change in [
        "updated_at = updated_at + 1",
        "generation = generation + 64",
        "etag = replace(etag, '0', '1')",
        "key = x'6C61726765'",
        "seal = 0",
    ] {
        let (folder, model) = closed_store().await;
        let connection = Connection::open(folder.path().join("index.sqlite")).unwrap();
        connection.execute(&format!("UPDATE objects SET {change} WHERE key = CAST('large 3' AS BLOB)"), []).unwrap();
        connection.execute("UPDATE objects SET seal = 0 WHERE key = CAST('small 7' AS BLOB)", []).unwrap();
        drop(connection);
        let findings = Findings::default();
        let report = rebuild(folder.path(), &findings).unwrap();
        let findings = findings.take();
        assert_eq!((report.from_index, report.from_files, report.lost), (31, 1, 1), "{change}: {findings:?}");
        assert!(findings[0].message.contains("small 7"), "{change}: {findings:?}");
        assert_true(&reopen(&folder), &model, change).await;
    }
}

#[tokio::test]
async fn what_is_lost_is_told_and_damaged_bodies_are_kept_aside() {
    let (folder, model) = closed_store().await;
    let mut paths = bodies(&folder);
    paths.sort();
    let length = fs::metadata(&paths[0]).unwrap().len() as usize;
    damage(&paths[0], |bytes| bytes[length - 50] ^= 1);
    fs::remove_file(&paths[1]).unwrap();
    let connection = Connection::open(folder.path().join("index.sqlite")).unwrap();
    connection.execute("UPDATE inlined SET value = x'00' WHERE length(value) = 700", []).unwrap();
    drop(connection);
    let findings = Findings::default();
    let report = rebuild(folder.path(), &findings).unwrap();
    let findings = findings.take();
    assert_eq!((report.from_index, report.from_files, report.lost, report.left_out), (30, 0, 3, 1));
    let lost: Vec<_> =
        findings.iter().map(|finding| (finding.kind, finding.key.clone().unwrap().to_string())).collect();
    let expected = [(FindingKind::Body, "large 1"), (FindingKind::Missing, "large 3"), (FindingKind::Value, "small 7")];
    assert_eq!(lost, expected.map(|(kind, key)| (kind, key.to_owned())));
    assert!(report.set_aside.unwrap().join(paths[0].file_name().unwrap()).exists());
    let store = reopen(&folder);
    for (name, bytes) in model.iter().filter(|(name, _)| !lost.iter().any(|(_, lost)| lost == *name)) {
        assert_eq!(get(&store, name).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn an_index_that_was_cut_off_gives_what_is_left_of_it() {
    let (folder, model) = closed_store().await;
    let index = folder.path().join("index.sqlite");
    let whole = fs::read(&index).unwrap();
    let mut most = 0;
    for cut in (0..whole.len()).step_by(4096).chain([100, whole.len() - 1]) {
        fs::write(&index, &whole[..cut]).unwrap();
        let report = rebuild(folder.path(), &Findings::default()).unwrap();
        let store = reopen(&folder);
        assert_true(&store, &model, &format!("cut to {cut} of {}", whole.len())).await;
        assert_eq!(metadata(&store).await.len() as u64, report.from_index + report.from_files);
        most = most.max(report.from_index);
    }
    assert!(most > 20, "{most} rows came back from the longest");
}

#[tokio::test]
async fn a_flipped_bit_anywhere_in_the_index_brings_nothing_wrong_and_loses_no_large_object() {
    let (folder, model) = closed_store().await;
    let index = folder.path().join("index.sqlite");
    let whole = fs::read(&index).unwrap();
    // A stride without a common factor with pages; and the header of the file and that of each first page densely.
    for position in (0..whole.len()).step_by(1_021).chain((0..120).step_by(7)) {
        fs::write(&index, &whole).unwrap();
        damage(&index, |bytes| bytes[position] ^= 1 << (position % 8));
        match rebuild(folder.path(), &Findings::default()) {
            Ok(_) => assert_true(&reopen(&folder), &model, &format!("position {position}")).await,
            Err(Error::Unsupported { .. }) => assert!((60..64).contains(&position), "{position}"),
            Err(error) => panic!("position {position}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn a_plan_changes_nothing_and_says_what_the_rebuild_does() {
    let (folder, _) = closed_store().await;
    damage(&folder.path().join("index.sqlite"), |bytes| bytes.truncate(3 * 4096));
    let before = contents(folder.path());
    let planned = plan_rebuild(folder.path(), &Findings::default()).unwrap();
    assert_eq!(contents(folder.path()), before);
    let done = rebuild(folder.path(), &Findings::default()).unwrap();
    assert_eq!(RebuildReport { set_aside: None, ..done }, planned);
}

#[tokio::test]
async fn values_that_are_in_the_log_alone_come_back() {
    let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(folder.path()).unwrap();
    put(&store, "small", "v").await.unwrap();
    for (path, bytes) in contents(folder.path()) {
        fs::write(away.path().join(path.file_name().unwrap()), bytes).unwrap();
    }
    let report = rebuild(away.path(), &Findings::default()).unwrap();
    assert_eq!((report.old_index, report.from_index), (OldIndex::Whole, 1));
    assert!(report.set_aside.unwrap().join("index.sqlite-wal").exists());
    assert_eq!(get(&open(away.path()).unwrap(), "small").await.unwrap(), "v");
}

#[tokio::test]
async fn a_rebuild_that_was_interrupted_earlier_leaves_the_old_index() {
    let (folder, model) = closed_store().await;
    let layout = Layout::existing(folder.path());
    fs::write(layout.building_index(), "half of it").unwrap();
    let aside = replacement::put_aside(&layout, &[]).unwrap().unwrap();
    let before = fs::read(aside.join("index.sqlite")).unwrap();
    let store = open(folder.path()).unwrap();
    assert_true(&store, &model, "interrupted").await;
    assert_eq!(metadata(&store).await.len(), model.len());
    drop(store);
    assert!(!layout.building_index().exists());
    let report = rebuild(folder.path(), &Findings::default()).unwrap();
    assert_eq!(report.set_aside.unwrap(), folder.path().join("before-rebuild-2"));
    assert_eq!(fs::read(aside.join("index.sqlite")).unwrap().len(), before.len());
    assert_true(&reopen(&folder), &model, "rebuilt").await;
}

#[tokio::test]
async fn a_replacement_that_was_interrupted_is_finished_at_opening() {
    let (folder, model) = closed_store().await;
    let index = folder.path().join("index.sqlite");
    let other = tempfile::tempdir().unwrap();
    let store = open(other.path()).unwrap();
    put(&store, "stale", "of another index").await.unwrap();
    fs::rename(&index, folder.path().join("index.rebuilt")).unwrap();
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        fs::copy(other.path().join(name), folder.path().join(name)).unwrap();
    }
    assert!(matches!(check(folder.path(), &Findings::default()), Err(Error::Unavailable { .. })));
    assert!(matches!(rebuild(folder.path(), &Findings::default()), Err(Error::Unavailable { .. })));
    let store = open(folder.path()).unwrap();
    assert_eq!(metadata(&store).await.len(), model.len());
    drop(store);
    assert_true(&reopen(&folder), &model, "finished").await;
}

#[test]
fn the_space_of_what_was_put_aside_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    assert_eq!(space(folder.path()).unwrap().set_aside, 0);
    rebuild(folder.path(), &Findings::default()).unwrap();
    assert!(space(folder.path()).unwrap().set_aside > 4096);
}
