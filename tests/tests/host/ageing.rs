//! Objects that age: archive, trash and locks, through a host that runs.

use super::*;

const STORES: &str = "\
stores:
  documents:
    provider_type: file
    cache: { size_limit: 16MiB }
    lifecycle:
      every: 1h
      rules:
        - { name: old, prefix: old/, archive_after: 1ms }
        - { name: drafts, prefix: drafts/, delete_after: 1ms }
        - { name: held, tags: { hold: \"yes\" }, retain: 365d, lock: true }
      archive_to: cold
      trash: 7d
  cold: { provider_type: file, compression: zstd }
";

fn home() -> Home {
    Home::new(&format!("{OPEN_DOORS}{STORES}"))
}

fn put(host: &larder_tests::host::Host, key: &str, headers: &[(&str, &str)]) -> u16 {
    let body = format!("the bytes of {key}");
    http::send(host.s3, "PUT", &format!("/documents/{key}"), headers, body.as_bytes()).unwrap().status
}

fn get(host: &larder_tests::host::Host, key: &str) -> (u16, String) {
    let answer = http::get(host.s3, &format!("/documents/{key}")).unwrap();
    (answer.status, answer.text())
}

#[test]
fn objects_are_archived_and_trashed_and_come_back() {
    let home = home();
    let host = home.serve();
    for key in ["old/a", "drafts/a", "other"] {
        assert_eq!(put(&host, key, &[]), 200);
        assert_eq!(get(&host, key).0, 200);
    }
    let plan = home.succeed(&["lifecycle", "plan", "documents"]);
    says(&plan, &["archive", "old/a", "delete", "drafts/a"]);
    assert_eq!(get(&host, "drafts/a").0, 200, "a plan changes nothing");
    says(&home.succeed(&["lifecycle", "apply", "documents"]), &["3 objects considered", "archived", "deleted"]);

    // The cache hands out nothing that is no longer there.
    let (status, text) = get(&host, "old/a");
    assert_eq!(status, 403, "{text}");
    says(&text, &["InvalidObjectState", "larder archive restore documents/old/a"]);
    let head = http::send(host.s3, "HEAD", "/documents/old/a", &[], b"").unwrap();
    assert_eq!(head.header("x-amz-storage-class"), Some("GLACIER"));
    assert_eq!(head.header("content-length"), Some("18"));
    let listing = http::get(host.s3, "/documents?list-type=2").unwrap().text();
    says(&listing, &["<Key>old/a</Key>", "<StorageClass>GLACIER</StorageClass>", "<Key>other</Key>"]);
    assert!(!listing.contains("drafts/a") && get(&host, "drafts/a").0 == 404);
    says(&home.succeed(&["archive", "ls", "documents"]), &["old/a", "18 B"]);
    says(&home.succeed(&["trash", "ls", "documents"]), &["drafts/a", "drafts"]);

    // What is archived or in the trash outlasts the host.
    host.kill();
    let host = home.serve();
    home.succeed(&["archive", "restore", "documents/old/a"]);
    home.succeed(&["trash", "restore", "documents/drafts/a"]);
    for key in ["old/a", "drafts/a", "other"] {
        assert_eq!(get(&host, key), (200, format!("the bytes of {key}")));
    }
    assert!(http::get(host.s3, "/cold?list-type=2").unwrap().text().contains("<KeyCount>0</KeyCount>"));
    host.stop();
    let audit = fs::read_to_string(home.path("data/audit.jsonl")).unwrap();
    let lines = audit.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let done = lines.filter(|line| line["outcome"] == "done");
    let actions: Vec<String> = done.map(|line| line["action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(actions, ["trash", "archive", "restore", "take-out"]);
}

#[test]
fn an_archive_can_be_read_through() {
    let home = Home::new(&format!(
        "{OPEN_DOORS}{}",
        STORES.replace("archive_to: cold", "archive_to: cold\n      recall: true")
    ));
    let host = home.serve();
    assert_eq!(put(&host, "old/a", &[]), 200);
    home.succeed(&["lifecycle", "apply", "documents"]);
    assert_eq!(get(&host, "old/a"), (200, "the bytes of old/a".to_owned()));
    let part = http::send(host.s3, "GET", "/documents/old/a", &[("Range", "bytes=4-8")], b"").unwrap();
    assert_eq!((part.status, part.text()), (206, "bytes".to_owned()));
    let copied = http::send(host.s3, "PUT", "/documents/copy", &[("x-amz-copy-source", "/documents/old/a")], b"");
    assert_eq!(copied.unwrap().status, 200);
    let head = http::send(host.s3, "HEAD", "/documents/copy", &[], b"").unwrap();
    assert_eq!(head.header("x-amz-storage-class"), None, "a copy of what is archived is not archived");
    assert_eq!(get(&host, "copy").1, "the bytes of old/a");
    host.stop();

    // Without its lifecycle the store hands out no empty bytes.
    home.configure(&format!("{OPEN_DOORS}stores:\n  documents: {{ provider_type: file }}\n"));
    let host = home.serve();
    let (status, text) = get(&host, "old/a");
    assert_eq!(status, 501, "{text}");
    says(&text, &["lifecycle", "name it again"]);
    host.stop();
}

#[test]
fn a_lock_holds_against_everybody() {
    let home = home();
    let host = home.serve();
    assert_eq!(put(&host, "drafts/held", &[("x-amz-tagging", "hold=yes")]), 200);
    assert_eq!(put(&host, "drafts/held", &[]), 403);
    assert_eq!(http::send(host.s3, "DELETE", "/documents/drafts/held", &[], b"").unwrap().status, 403);
    assert_eq!(http::send(host.s3, "DELETE", "/documents/drafts/held?tagging", &[], b"").unwrap().status, 403);
    let refused = home.fail(&["rm", "documents/drafts/held"]);
    says(&refused.1, &["is locked until"]);
    says(&home.succeed(&["lifecycle", "apply", "documents"]), &["retained"]);
    assert_eq!(get(&host, "drafts/held").0, 200);
    host.stop();
}

#[test]
fn a_bucket_with_something_in_its_trash_is_not_empty() {
    let bucket = "new_buckets:\n  provider_type: file\n  lifecycle:\n    rules: [{ name: all, delete_after: 1ms }]\n    trash: 7d\n";
    let home = Home::new(&format!("{OPEN_DOORS}{bucket}"));
    let host = home.serve();
    assert_eq!(http::send(host.s3, "PUT", "/made", &[], b"").unwrap().status, 200);
    assert_eq!(http::send(host.s3, "PUT", "/made/a", &[], b"bytes").unwrap().status, 200);
    home.succeed(&["lifecycle", "apply", "made"]);
    assert!(http::get(host.s3, "/made?list-type=2").unwrap().text().contains("<KeyCount>0</KeyCount>"));
    let refused = http::send(host.s3, "DELETE", "/made", &[], b"").unwrap();
    assert_eq!(refused.status, 409, "{}", refused.text());
    home.succeed(&["trash", "purge", "made", "--all", "--yes"]);
    assert_eq!(http::send(host.s3, "DELETE", "/made", &[], b"").unwrap().status, 204);
    host.stop();
}

#[test]
fn what_is_read_stays_and_what_a_kill_may_have_forgotten_counts_as_read() {
    let home = Home::new(&format!(
        "{OPEN_DOORS}stores:\n  documents:\n    provider_type: file\n    cache: {{}}\n    lifecycle:\n      rules: [{{ name: unread, since: read, delete_after: 3s }}]\n"
    ));
    let host = home.serve();
    for key in ["read", "unread"] {
        assert_eq!(put(&host, key, &[]), 200);
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(3500) {
        assert_eq!(get(&host, "read").0, 200);
        // To look what there is, is not to read it.
        assert_eq!(http::send(host.s3, "HEAD", "/documents/unread", &[], b"").unwrap().status, 200);
        http::get(host.s3, "/documents?list-type=2").unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    says(&home.succeed(&["lifecycle", "apply", "documents"]), &["deleted  1"]);
    assert_eq!((get(&host, "read").0, get(&host, "unread").0), (200, 404));

    std::thread::sleep(Duration::from_millis(3500));
    host.kill();
    let host = home.serve();
    home.succeed(&["lifecycle", "apply", "documents"]);
    assert_eq!(http::send(host.s3, "HEAD", "/documents/read", &[], b"").unwrap().status, 200);
    std::thread::sleep(Duration::from_millis(3500));
    home.succeed(&["lifecycle", "apply", "documents"]);
    assert_eq!(get(&host, "read").0, 404);

    // A host that stops forgets nothing.
    assert_eq!(put(&host, "later", &[]), 200);
    std::thread::sleep(Duration::from_millis(3500));
    host.stop();
    let host = home.serve();
    says(&home.succeed(&["lifecycle", "apply", "documents"]), &["deleted  1"]);
    host.stop();
}
