use bytes::Bytes;
use futures::stream;

use super::*;
use crate::object::Checksum;
use crate::provider::layers::{Encryption, EncryptionKey};

async fn upload() -> (tempfile::TempDir, Spool, String) {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let (store, key) = (StoreName::new("documents").unwrap(), Key::new("big").unwrap());
    let record = Record::new(store, key, Attributes::default());
    let id = spool.begin(&record).await.unwrap();
    (dir, spool, id)
}

#[tokio::test]
async fn parts_are_read_in_order_and_the_last_of_a_number_counts() {
    let (_dir, spool, id) = upload().await;
    for (number, text) in [(2, "world"), (1, "discarded"), (1, "hello ")] {
        spool.write_part(&id, number, Body::from(text), None).await.unwrap().unwrap();
    }
    assert_eq!(spool.parts(&id, None).await.unwrap().len(), 2);
    let completion = spool.complete(&id, None).await.unwrap();
    let parts = completion.parts().await.unwrap();
    assert_eq!(parts[1].md5, "7d793037a0760186574b0282f2f435e7");
    assert_eq!(completion.body(parts).collect(100).await.unwrap(), "hello world");
}

#[tokio::test]
async fn one_completion_wins_and_a_dropped_one_can_be_tried_again() {
    let (_dir, spool, id) = upload().await;
    let completion = spool.complete(&id, None).await.unwrap();
    assert_eq!(spool.complete(&id, None).await.unwrap_err().code().as_str(), "NoSuchUpload");
    assert!(spool.write_part(&id, 1, Body::from("late"), None).await.unwrap().is_none());
    drop(completion);
    spool.complete(&id, None).await.unwrap().finish().await;
    assert_eq!(spool.complete(&id, None).await.unwrap_err().code().as_str(), "NoSuchUpload");
}

#[tokio::test]
async fn a_part_damaged_on_disk_is_corrupt() {
    let (dir, spool, id) = upload().await;
    let part = spool.write_part(&id, 1, Body::from("hello"), None).await.unwrap().unwrap();
    std::fs::write(dir.path().join(&id).join(part.file.name.as_str()), "jello").unwrap();
    let completion = spool.complete(&id, None).await.unwrap();
    let parts = completion.parts().await.unwrap();
    assert!(matches!(completion.body(parts).collect(100).await, Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn a_part_cut_off_leaves_the_earlier_one_and_no_file() {
    let (dir, spool, id) = upload().await;
    spool.write_part(&id, 1, Body::from("hello"), None).await.unwrap();
    let cut = Body::stream(stream::iter([Ok(Bytes::from("jel")), Err(Error::internal("gone"))]));
    assert!(spool.write_part(&id, 1, cut, None).await.is_err());
    assert_eq!(spool.parts(&id, None).await.unwrap()[0].size, 5);
    assert_eq!(std::fs::read_dir(dir.path().join(&id)).unwrap().count(), 2);
}

#[tokio::test]
async fn a_cut_off_completion_is_an_upload_again_after_a_restart() {
    let (dir, spool, id) = upload().await;
    std::mem::forget(spool.complete(&id, None).await.unwrap());
    let reopened = Spool::open(dir.path()).unwrap();
    assert_eq!(reopened.uploads().await.unwrap()[0].0, id);
}

#[tokio::test]
async fn what_a_crash_leaves_of_uploads_that_had_ended_or_not_begun_is_removed() {
    let (dir, spool, id) = upload().await;
    let place = |name: &str| dir.path().join(name);
    std::fs::create_dir(place("NEW.beginning")).unwrap();
    std::fs::create_dir(place("OLD.ended")).unwrap();
    std::fs::write(place("OLD.ended").join("part"), "bytes").unwrap();
    assert_eq!(spool.uploads().await.unwrap().len(), 1);
    let reopened = Spool::open(dir.path()).unwrap();
    assert_eq!(reopened.uploads().await.unwrap().len(), 1);
    reopened.abort(&id).await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_part_that_a_crash_left_beside_the_one_in_its_place_is_listed_once() {
    let (dir, spool, id) = upload().await;
    let write =
        async |bytes: &'static str| spool.write_part(&id, 1, Body::Bytes(bytes.into()), None).await.unwrap().unwrap();
    let (first, folder) = (write("first").await, dir.path().join(&id));
    let kept = std::fs::read(folder.join(first.file.name.as_str())).unwrap();
    let second = write("second").await;
    std::fs::write(folder.join(first.file.name.as_str()), kept).unwrap();
    assert_eq!(spool.parts(&id, None).await.unwrap().len(), 1);
    let completion = spool.complete(&id, None).await.unwrap();
    let sizes: Vec<_> = completion.parts().await.unwrap().iter().map(|part| part.size).collect();
    assert!(sizes.contains(&first.size) && sizes.contains(&second.size), "a client may name either");
}

#[tokio::test]
async fn only_abandoned_uploads_are_collected() {
    let (_dir, spool, id) = upload().await;
    assert_eq!(spool.collect(Duration::from_secs(3600)).await.unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(spool.collect(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(spool.parts(&id, None).await.unwrap_err().code().as_str(), "NoSuchUpload");
}

#[tokio::test]
async fn uploads_of_a_newer_version_are_refused() {
    let (dir, spool, id) = upload().await;
    let path = dir.path().join(&id).join(RECORD);
    let record = std::fs::read_to_string(&path).unwrap();
    let newer = record.replace(r#""format":1"#, r#""format":2"#);
    assert_ne!(newer, record);
    std::fs::write(&path, newer).unwrap();
    let refused = spool.record(&id).await.unwrap_err();
    assert_eq!(refused.code().as_str(), "NotImplemented", "{refused:?}");
    assert!(refused.message().unwrap().contains("version 2"), "{refused:?}");
}

#[tokio::test]
async fn no_id_reaches_outside_the_folder() {
    let (_dir, spool, _) = upload().await;
    for id in ["", "..", "../../etc", "01ARZ3NDEKTSV4RRFFQ69G5FA/"] {
        assert_eq!(spool.parts(id, None).await.unwrap_err().code().as_str(), "NoSuchUpload", "{id}");
    }
}

/// Seals with the first of these keys, and opens with all.
fn seal(keys: &[&str]) -> Option<Seal> {
    let mut keys = keys.iter().map(|digits| EncryptionKey::parse(&digits.repeat(32)).unwrap());
    Some(Seal::new(Encryption { key: keys.next().unwrap(), old_keys: keys.collect() }))
}

/// All that lies in a folder: names and bytes.
fn everything(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.extend(path.file_name().unwrap().as_encoded_bytes());
        all.extend(if path.is_dir() { everything(&path) } else { std::fs::read(path).unwrap() });
    }
    all
}

#[tokio::test]
async fn of_parts_that_are_sealed_nothing_is_to_be_seen() {
    let (dir, spool, id) = upload().await;
    // Of the sizes of chunks that are sealed together, and of none.
    let bodies = [&b"a secret"[..], b"", &[b's'; 65_536], &[b's'; 200_000]].map(Bytes::copy_from_slice);
    for (number, bytes) in (1..).zip(&bodies) {
        for bytes in [Bytes::from("another secret"), bytes.clone()] {
            let pieces = bytes.chunks(50_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect::<Vec<_>>();
            let body = Body::stream(stream::iter(pieces));
            spool.write_part(&id, number, body, seal(&["1a"])).await.unwrap().unwrap();
        }
    }
    let sealed = everything(dir.path());
    let parts = spool.parts(&id, seal(&["2b", "1a"])).await.unwrap();
    for (part, bytes) in parts.iter().zip(&bodies) {
        assert_eq!((part.size, part.checksum), (bytes.len() as u64, Checksum::of(bytes)));
        let (md5, checksum) = (part.md5.as_bytes(), format!("{:016x}", part.checksum.as_u64()));
        for clear in [&bytes[..bytes.len().min(6)], md5, checksum.as_bytes()] {
            let is_seen = !clear.is_empty() && sealed.windows(clear.len()).any(|window| window == clear);
            assert!(!is_seen, "part {}: {}", part.number, String::from_utf8_lossy(clear));
        }
    }
    let completion = spool.complete(&id, seal(&["2b", "1a"])).await.unwrap();
    assert_eq!(completion.body(parts).collect(1 << 20).await.unwrap(), bodies.concat());
}

#[tokio::test]
async fn sealed_parts_open_with_their_key_only_and_plain_ones_stay_what_they_are() {
    let (_dir, spool, id) = upload().await;
    spool.write_part(&id, 1, Body::from("plain "), None).await.unwrap().unwrap();
    spool.write_part(&id, 2, Body::from("sealed"), seal(&["1a"])).await.unwrap().unwrap();
    for wrong in [None, seal(&["2b"])] {
        let refused = spool.parts(&id, wrong).await.unwrap_err();
        assert_eq!(refused.code().as_str(), "AccessDenied", "{refused:?}");
    }
    let completion = spool.complete(&id, seal(&["1a"])).await.unwrap();
    let parts = completion.parts().await.unwrap();
    assert_eq!(completion.body(parts).collect(100).await.unwrap(), "plain sealed");
    drop(completion);
    // In place of one that was sealed with a key that is gone.
    spool.write_part(&id, 2, Body::from("again"), seal(&["2b"])).await.unwrap().unwrap();
    let completion = spool.complete(&id, seal(&["2b"])).await.unwrap();
    let parts = completion.parts().await.unwrap();
    assert_eq!(completion.body(parts).collect(100).await.unwrap(), "plain again");
    spool.abort(&id).await.unwrap_err();
}

#[tokio::test]
async fn a_sealed_part_that_was_changed_or_moved_is_corrupt() {
    let corrupt = async |spool: &Spool, id: &str| {
        let completion = spool.complete(id, seal(&["1a"])).await.unwrap();
        let read = async { completion.body(completion.parts().await?).collect(100).await };
        matches!(read.await, Err(Error::Corrupt { .. }))
    };
    for trouble in 0..5 {
        let (dir, spool, id) = upload().await;
        let mut files = Vec::new();
        for (number, text) in [(1, "first"), (2, "other")] {
            let part = spool.write_part(&id, number, Body::from(text), seal(&["1a"])).await.unwrap().unwrap();
            files.push(dir.path().join(&id).join(part.file.name));
        }
        assert!(!corrupt(&spool, &id).await);
        let (mut bytes, other) = (std::fs::read(&files[0]).unwrap(), std::fs::read(&files[1]).unwrap());
        let (name, other_name) = (files[0].display().to_string(), files[1].display().to_string());
        match trouble {
            // In its salt, and in its chunk.
            0 | 1 => {
                bytes[if trouble == 0 { 20 } else { 50 }] ^= 1;
                std::fs::write(&files[0], bytes).unwrap();
            }
            2 => std::fs::write(&files[0], &bytes[..bytes.len() - 1]).unwrap(),
            3 => std::fs::write(&files[0], other).unwrap(),
            _ => {
                let (_, other_label) = other_name.rsplit_once('.').unwrap();
                let (number, _) = name.rsplit_once('.').unwrap();
                std::fs::rename(&files[0], format!("{number}.{other_label}")).unwrap();
            }
        }
        assert!(corrupt(&spool, &id).await, "trouble {trouble}");
    }
}
