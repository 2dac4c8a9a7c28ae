//! Stores that compress, encrypt and count.

use super::*;

const KEYS: [(&str, &str); 2] = [("first", "1a"), ("second", "2b")];

fn home(layers: &str) -> Home {
    let home = Home::new(&layered(layers));
    for (name, digits) in KEYS {
        let path = home.path(name);
        fs::write(&path, digits.repeat(32)).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    home
}

fn layered(layers: &str) -> String {
    format!("{OPEN_DOORS}stores:\n  documents: {{ provider_type: file, {layers} }}\n")
}

fn text(size: usize) -> Vec<u8> {
    b"all work and no play makes jack a dull boy\n".iter().copied().cycle().take(size).collect()
}

/// All bytes of all files below a folder.
fn on_disk(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        bytes.extend(if path.is_dir() { on_disk(&path) } else { fs::read(&path).unwrap() });
    }
    bytes
}

#[test]
fn what_is_stored_is_small_and_secret_and_comes_back() {
    let home = home("compression: zstd, encryption: { key: { file: first } }");
    let host = home.serve();
    let sizes = [0, 100, 5_000, 300_000, 5_000_000];
    for size in sizes {
        let path = format!("/documents/{size}");
        assert_eq!(http::send(host.s3, "PUT", &path, &[], &text(size)).unwrap().status, 200);
    }
    host.kill();
    let stored = on_disk(&home.path("data/stores/documents"));
    assert!(stored.len() < 500_000, "{} bytes on the disk", stored.len());
    assert!(!stored.windows(8).any(|window| window == b"all work"), "it can be read on the disk");

    home.configure(&layered("compression: zstd, encryption: { key: { file: second }, old_keys: [{ file: first }] }"));
    home.succeed(&["store", "rekey", "documents"]);
    home.configure(&layered("compression: zstd, encryption: { key: { file: second } }"));
    let host = home.serve();
    for size in sizes {
        let answer = http::get(host.s3, &format!("/documents/{size}")).unwrap();
        assert!(answer.status == 200 && answer.body == text(size), "{size}");
    }
    let part = http::send(host.s3, "GET", "/documents/5000000", &[("Range", "bytes=4000000-4000009")], b"").unwrap();
    assert_eq!((part.status, part.body), (206, text(5_000_000)[4_000_000..4_000_010].to_vec()));
    host.stop();

    // Without the layers it says so, and hands out no bytes that nobody stored.
    home.configure(&layered("durability: strict"));
    let host = home.serve();
    let answer = http::get(host.s3, "/documents/300000").unwrap();
    assert_eq!(answer.status, 501, "{}", answer.text());
    says(&answer.text(), &["encryption", "name it again"]);
    host.stop();
}

#[test]
fn parts_are_secret_before_their_upload_is_completed() {
    let home = home("encryption: { key: { file: first } }");
    let host = home.serve();
    let begun = http::send(host.s3, "POST", "/documents/large?uploads", &[], b"").unwrap().text();
    let id = begun.split("<UploadId>").nth(1).and_then(|rest| rest.split("</UploadId>").next()).unwrap();
    let part = |number: u32| format!("/documents/large?partNumber={number}&uploadId={id}");
    let etag = |size: usize| {
        let answer = http::send(host.s3, "PUT", &part(1), &[], &text(size)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("etag").unwrap().to_owned()
    };
    etag(100);
    let etag = etag(6_000_000);
    host.kill();
    let kept = on_disk(&home.path("data"));
    assert!(
        kept.len() > 6_000_000 && !kept.windows(8).any(|window| window == b"all work"),
        "it can be read on the disk"
    );

    let host = home.serve();
    let complete = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    let target = format!("/documents/large?uploadId={id}");
    let completed = http::send(host.s3, "POST", &target, &[], complete.as_bytes()).unwrap();
    assert_eq!(completed.status, 200, "{}", completed.text());
    let answer = http::get(host.s3, "/documents/large").unwrap();
    assert!(answer.status == 200 && answer.body == text(6_000_000));
    host.stop();
}

#[test]
fn a_full_store_says_so_and_takes_again_what_fits() {
    let home = home("max_size: 1MiB");
    let host = home.serve();
    let put =
        |name: &str, size| http::send(host.s3, "PUT", &format!("/documents/{name}"), &[], &noise(1, size)).unwrap();
    assert_eq!(put("a", 700_000).status, 200);
    let refused = put("b", 400_000);
    assert_eq!(refused.status, 507, "{}", refused.text());
    says(&refused.text(), &["full", "max_size"]);
    assert_eq!(http::get(host.s3, "/documents/b").unwrap().status, 404);
    assert_eq!(put("a", 800_000).status, 200, "what it replaces makes room");
    assert_eq!(http::send(host.s3, "DELETE", "/documents/a", &[], b"").unwrap().status, 204);
    assert_eq!(put("b", 400_000).status, 200);
    host.stop();
}
