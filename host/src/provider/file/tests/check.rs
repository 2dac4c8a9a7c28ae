use super::*;
use crate::provider::{FindingKind, Findings};

/// A closed store with a small object and a large one, and the file of the large one.
async fn closed_store() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, "small", "a small value").await.unwrap();
    put(&store, "large", vec![7; LARGE]).await.unwrap();
    drop(store);
    let [body] = bodies(&folder).try_into().unwrap();
    (folder, body)
}

/// What a check finds, by kind.
fn kinds(folder: &TempDir) -> Vec<FindingKind> {
    let findings = Findings::default();
    let report = check(folder.path(), &findings).unwrap();
    let findings = findings.take();
    let damage = findings.iter().filter(|finding| finding.kind.is_damage()).count() as u64;
    assert_eq!((report.damage, report.leftovers), (damage, findings.len() as u64 - damage));
    findings.into_iter().map(|finding| finding.kind).collect()
}

/// Every file of a folder and what is in it.
pub(super) fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(contents(&path)) } else { files.push((path.clone(), fs::read(&path).unwrap())) }
    }
    files.sort();
    files
}

#[tokio::test]
async fn nothing_is_found_in_a_sound_store_and_nothing_changed() {
    let (folder, _) = closed_store().await;
    let before = contents(folder.path());
    let findings = Findings::default();
    let report = check(folder.path(), &findings).unwrap();
    let findings = findings.take();
    assert_eq!(findings, []);
    let expected = CheckReport { objects: 2, bytes: 13 + LARGE as u64, ..CheckReport::default() };
    assert_eq!(report, expected);
    assert_eq!(contents(folder.path()), before);
}

#[tokio::test]
async fn a_flipped_bit_anywhere_in_a_body_file_is_found() {
    let (folder, body) = closed_store().await;
    let length = fs::metadata(&body).unwrap().len() as usize;
    let positions = [0, 65_535, 65_536, LARGE - 1, LARGE, LARGE + 39, LARGE + 41];
    for position in positions.into_iter().chain(length - 34..length) {
        damage(&body, |bytes| bytes[position] ^= 0x10);
        assert_eq!(kinds(&folder), [FindingKind::Body], "position {position} of {length}");
        damage(&body, |bytes| bytes[position] ^= 0x10);
    }
    assert_eq!(kinds(&folder), []);
}

#[tokio::test]
async fn damage_in_the_index_is_found() {
    for (change, expected) in [
        ("UPDATE objects SET updated_at = updated_at + 1 WHERE key = x'6C61726765'", &[FindingKind::Row][..]),
        ("UPDATE objects SET seal = seal + 1", &[FindingKind::Row, FindingKind::Row]),
        ("UPDATE inlined SET value = CAST(x'00' || substr(value, 2) AS BLOB)", &[FindingKind::Value]),
        ("DELETE FROM inlined", &[FindingKind::Value]),
        ("INSERT INTO inlined VALUES (99, x'00')", &[FindingKind::Value]),
        ("UPDATE totals SET objects = 3", &[FindingKind::Totals]),
        ("UPDATE totals SET bytes = 0", &[FindingKind::Totals]),
        ("DELETE FROM objects WHERE inlined = 0", &[FindingKind::Totals, FindingKind::Orphan]),
    ] {
        let (folder, _) = closed_store().await;
        let connection = Connection::open(folder.path().join("index.sqlite")).unwrap();
        connection.execute(change, []).unwrap();
        drop(connection);
        assert_eq!(kinds(&folder), expected, "{change}");
    }
}

#[tokio::test]
async fn a_flipped_bit_in_any_page_of_the_index_is_found_if_it_is_in_use() {
    let (folder, _) = closed_store().await;
    let index = folder.path().join("index.sqlite");
    let length = fs::metadata(&index).unwrap().len() as usize;
    // The kind of a page is its first byte, behind the header of the file on the first one.
    for position in (0..length).step_by(4096).map(|page| if page == 0 { 100 } else { page }) {
        damage(&index, |bytes| bytes[position] ^= 0x04);
        assert!(kinds(&folder).contains(&FindingKind::Index), "position {position} of {length}");
        damage(&index, |bytes| bytes[position] ^= 0x04);
    }
    assert_eq!(kinds(&folder), []);
}

#[tokio::test]
async fn a_missing_and_an_orphan_body_and_a_temporary_file_are_found() {
    let (folder, body) = closed_store().await;
    fs::copy(&body, body.with_file_name("0000000000000fff")).unwrap();
    assert_eq!(kinds(&folder), [FindingKind::Orphan]);
    fs::write(folder.path().join("tmp/0000000000000abc"), "cut off").unwrap();
    assert_eq!(kinds(&folder), [FindingKind::Temporary, FindingKind::Orphan]);
    fs::remove_file(&body).unwrap();
    assert_eq!(kinds(&folder), [FindingKind::Temporary, FindingKind::Missing, FindingKind::Orphan]);
}

#[tokio::test]
async fn bodies_are_verified_without_an_index_too() {
    let (folder, body) = closed_store().await;
    let index = folder.path().join("index.sqlite");
    let whole = fs::read(&index).unwrap();
    for cut in [0, 100, 4096, whole.len() - 4096] {
        fs::write(&index, &whole[..cut]).unwrap();
        assert_eq!(kinds(&folder)[0], FindingKind::Index, "{cut}");
    }
    fs::remove_file(&index).unwrap();
    assert_eq!(kinds(&folder), [FindingKind::Index]);
    damage(&body, |bytes| bytes[LARGE / 2] ^= 1);
    assert_eq!(kinds(&folder), [FindingKind::Index, FindingKind::Body]);
}

#[tokio::test]
async fn what_is_in_the_log_alone_is_checked_too() {
    let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(folder.path()).unwrap();
    put(&store, "small", "a small value").await.unwrap();
    put(&store, "large", vec![7; LARGE]).await.unwrap();
    // As a process leaves it that was killed.
    for (path, bytes) in contents(folder.path()) {
        let copy = away.path().join(path.strip_prefix(folder.path()).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::write(copy, bytes).unwrap();
    }
    fs::create_dir_all(away.path().join("tmp")).unwrap();
    let log = away.path().join("index.sqlite-wal");
    let before = fs::read(&log).unwrap();
    let report = check(away.path(), &Findings::default()).unwrap();
    assert_eq!((report.objects, report.damage), (2, 0));
    assert_eq!(fs::read(&log).unwrap(), before, "nothing of the log went to the index");
}

#[tokio::test]
async fn a_store_that_is_open_and_a_folder_without_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = check(folder.path(), &Findings::default()).unwrap_err();
    assert!(matches!(error, Error::InvalidInput { .. }), "{error:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let store = open(folder.path()).unwrap();
    let error = check(folder.path(), &Findings::default()).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(matches!(space(folder.path()), Err(Error::Unavailable { .. })));
    drop(store);
    assert_eq!(check(folder.path(), &Findings::default()).unwrap(), CheckReport::default());
    fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    assert_eq!(
        check(folder.path(), &Findings::default()).unwrap(),
        CheckReport::default(),
        "made, and stopped at once"
    );
    assert_eq!(space(folder.path()).unwrap(), Space::default());
}

#[test]
fn a_store_whose_making_was_interrupted_is_not_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path(), Durability::Strict).unwrap();
    let connection = Connection::open(layout.index()).unwrap();
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    drop(connection);
    assert!(fs::metadata(layout.index()).unwrap().len() > 0);
    assert_eq!(kinds(&folder), []);

    // Earlier still: a first page that was cut off, and what SQLite goes back to.
    let magic = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    // No pages of before, and how large a sector and a page are.
    let journal = [&magic[..], &[0; 12], &[0, 0, 2, 0], &[0, 0, 16, 0], &[0; 484]].concat();
    fs::write(folder.path().join("index.sqlite-journal"), journal).unwrap();
    fs::write(layout.index(), [1; 512]).unwrap();
    assert_eq!(kinds(&folder), []);
    open(folder.path()).unwrap();
}
