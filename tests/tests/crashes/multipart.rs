//! Multipart uploads: the program itself, killed at its calls below the data folder while a client uploads.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use larder::provider::file::Durability;
use larder_tests::host::{Home, Host};
use larder_tests::http::{self, Answer};

use crate::child::Trouble;
use crate::model::{Layering, Setup};
use crate::power;
use crate::{crashes, faulty_disk, folder};

const OBJECT: &str = "/documents/object";

/// What the client knows of an upload.
struct Upload {
    id: String,
    parts: BTreeMap<u16, Part>,
    end: Option<End>,
}

/// What the client knows of a part.
#[derive(Default)]
struct Part {
    /// The bytes that were acknowledged last, if any.
    acknowledged: Option<Vec<u8>>,
    /// Those that were sent since.
    sent: Option<Vec<u8>>,
}

/// How an upload is ended, and whether that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete { acknowledged: bool },
    Abort { acknowledged: bool },
}

/// A client, and what it may find after the server was killed.
struct Client {
    s3: SocketAddr,
    uploads: Vec<Upload>,
    /// What the object may be.
    object: Vec<Option<Vec<u8>>>,
}

impl Client {
    fn send(&self, method: &str, path: &str, body: &[u8]) -> io::Result<Answer> {
        http::send(self.s3, method, path, &[], body)
    }

    fn succeed(&self, method: &str, path: &str, body: &[u8]) -> io::Result<String> {
        let answer = self.send(method, path, body)?;
        assert!(matches!(answer.status, 200 | 204), "{method} {path}: {} {}", answer.status, answer.text());
        Ok(answer.text())
    }

    /// Twice an upload that is completed, in place of what was there before, and one that is aborted.
    fn drive(&mut self) -> io::Result<()> {
        for round in 0..2 {
            let kept = self.begin()?;
            self.send_part(kept, 1, vec![b'a' + round; 70_000])?;
            self.send_part(kept, 2, vec![b'b' + round; 5_000])?;
            self.send_part(kept, 2, vec![b'c' + round; 30_000])?;
            let dropped = self.begin()?;
            self.send_part(dropped, 1, vec![b'd' + round; 40_000])?;
            self.abort(dropped)?;
            self.complete(kept)?;
        }
        Ok(())
    }

    fn begin(&mut self) -> io::Result<usize> {
        let text = self.succeed("POST", &format!("{OBJECT}?uploads"), b"")?;
        let id = elements(&text, "UploadId").pop().expect("an upload has an id");
        self.uploads.push(Upload { id, parts: BTreeMap::new(), end: None });
        Ok(self.uploads.len() - 1)
    }

    fn send_part(&mut self, upload: usize, number: u16, bytes: Vec<u8>) -> io::Result<()> {
        let id = &self.uploads[upload].id;
        let path = format!("{OBJECT}?partNumber={number}&uploadId={id}");
        self.uploads[upload].parts.entry(number).or_default().sent = Some(bytes.clone());
        self.succeed("PUT", &path, &bytes)?;
        self.uploads[upload].parts.insert(number, Part { acknowledged: Some(bytes), sent: None });
        Ok(())
    }

    /// Completes an upload with the parts that it has.
    fn complete(&mut self, upload: usize) -> io::Result<()> {
        let id = self.uploads[upload].id.clone();
        let (mut xml, mut bytes) = (String::new(), Vec::new());
        for (number, etag, size) in self.parts(&id)? {
            let Part { acknowledged, sent } = &self.uploads[upload].parts[&number];
            let part = [sent, acknowledged].into_iter().flatten().find(|part| part.len() == size);
            bytes.extend_from_slice(part.expect("a part is one that was sent"));
            xml += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
        }
        self.object.push(Some(bytes.clone()));
        self.uploads[upload].end = Some(End::Complete { acknowledged: false });
        let xml = format!("<CompleteMultipartUpload>{xml}</CompleteMultipartUpload>");
        self.succeed("POST", &format!("{OBJECT}?uploadId={id}"), xml.as_bytes())?;
        self.uploads[upload].end = Some(End::Complete { acknowledged: true });
        self.object = vec![Some(bytes)];
        Ok(())
    }

    fn abort(&mut self, upload: usize) -> io::Result<()> {
        self.uploads[upload].end = Some(End::Abort { acknowledged: false });
        let path = format!("{OBJECT}?uploadId={}", self.uploads[upload].id);
        self.succeed("DELETE", &path, b"")?;
        self.uploads[upload].end = Some(End::Abort { acknowledged: true });
        Ok(())
    }

    /// The parts that an upload has: their numbers, etags and sizes.
    fn parts(&self, id: &str) -> io::Result<Vec<(u16, String, usize)>> {
        let text = self.succeed("GET", &format!("{OBJECT}?uploadId={id}"), b"")?;
        let number = |text: String| text.parse::<usize>().expect("a number");
        let numbers = elements(&text, "PartNumber").into_iter().map(|text| number(text) as u16);
        let sizes = elements(&text, "Size").into_iter().map(number);
        Ok(numbers.zip(elements(&text, "ETag")).zip(sizes).map(|((number, etag), size)| (number, etag, size)).collect())
    }

    /// Sees to it that nothing is lost, and that every upload can come to an end.
    fn check(&mut self) -> io::Result<()> {
        let answer = self.send("GET", OBJECT, b"")?;
        let object = (answer.status != 404).then_some(answer.body);
        assert!(self.object.contains(&object), "the object is none that it may be, with status {}", answer.status);
        let is_newest = self.object.last() == Some(&object);
        self.object = vec![object];
        let listed = elements(&self.succeed("GET", "/documents?uploads", b"")?, "UploadId");
        for upload in 0..self.uploads.len() {
            let Upload { id, parts, end } = &self.uploads[upload];
            match (end, listed.contains(id)) {
                (None | Some(End::Complete { acknowledged: false }), true) => {
                    let listed: Vec<_> = self.parts(id)?.into_iter().map(|(number, ..)| number).collect();
                    assert!(listed.is_sorted_by(|one, other| one < other), "each part once: {listed:?}");
                    let acknowledged = parts.iter().filter(|(_, part)| part.acknowledged.is_some());
                    assert!(acknowledged.into_iter().all(|(number, _)| listed.contains(number)), "{listed:?}");
                    if listed.is_empty() { self.abort(upload)? } else { self.complete(upload)? }
                }
                (Some(End::Abort { acknowledged: false }), true) => self.abort(upload)?,
                (Some(End::Complete { acknowledged: false }), false) => assert!(is_newest, "an upload is lost"),
                (Some(_), false) => {}
                (end, is_listed) => panic!("an upload with the end {end:?} is listed: {is_listed}"),
            }
        }
        // One that nobody was told of can be ended by whoever sees it.
        for id in elements(&self.succeed("GET", "/documents?uploads", b"")?, "UploadId") {
            self.succeed("DELETE", &format!("{OBJECT}?uploadId={id}"), b"")?;
        }
        let answer = self.send("GET", OBJECT, b"")?;
        let object = (answer.status != 404).then_some(answer.body);
        assert!(self.object == [object], "what was completed after all is there");
        self.succeed("DELETE", OBJECT, b"").map(drop)
    }
}

/// What lies in the elements of a name, in a text of XML.
fn elements(text: &str, name: &str) -> Vec<String> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let texts = text.split(&begin).skip(1).filter_map(|rest| rest.split_once(&end));
    texts.map(|(text, _)| text.replace("&quot;", "\"")).collect()
}

/// Starts a host on a disk that has trouble at this event, and uploads until it is killed, if it is.
fn run(home: &Home, data: &Path, client: &mut Client, at: u64, how: Trouble) -> Option<Host> {
    let log = home.path("log");
    let at = at.to_string();
    let disk = [
        ("LD_PRELOAD", faulty_disk().as_os_str()),
        ("FAULTY_DISK_ROOT", data.as_os_str()),
        ("FAULTY_DISK_LOG", log.as_os_str()),
        ("FAULTY_DISK_AT", at.as_ref()),
        ("FAULTY_DISK_HOW", how.word().as_ref()),
    ];
    let host = home.try_serve(&disk).ok()?;
    client.s3 = host.s3;
    client.drive().is_ok().then_some(host)
}

/// Kills a host at this event, starts it again, and looks at what is left. Returns how many events there were if it came
/// to its end.
fn crash(at: u64, how: Trouble, layers: &str) -> Option<u64> {
    let data = folder();
    let config = format!(
        "data_dir: {}\nserver:\n  s3: {{ listen: 127.0.0.1:0 }}\n  admin: {{ listen: 127.0.0.1:0 }}\n\
         stores:\n  documents: {{ provider_type: file{layers} }}\n",
        data.path().display()
    );
    let home = Home::new(&config);
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut client = Client { s3: nowhere, uploads: Vec::new(), object: vec![None] };
    let ended = run(&home, data.path(), &mut client, at, how);
    let events = ended.map(|host| {
        host.kill();
        power::records(&home.path("log")).len() as u64
    });
    let host = home.serve();
    client.s3 = host.s3;
    client.check().expect("nobody kills this host");
    host.kill();
    // Opened once more, so that what the kill interrupted is removed.
    let strict = Setup { durability: Durability::Strict, layers: Layering::Bare };
    drop(strict.open(&data.path().join("stores/documents")).unwrap());
    let left = [bodies(data.path()), files(&data.path().join("multipart"))].concat();
    assert!(left.is_empty(), "after event {at} there are files that nobody can delete: {left:?}");
    events
}

fn files(folder: &Path) -> Vec<String> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path.display().to_string()] }).collect()
}

/// What is left in the folders of bodies, whole or not.
fn bodies(data: &Path) -> Vec<String> {
    let is_body = |path: &String| path.contains("/bodies/") || path.contains("/tmp/0");
    files(data).into_iter().filter(is_body).collect()
}

#[test]
fn a_host_that_is_killed_leaves_multipart_uploads_whole_or_ended() {
    let key = tempfile::NamedTempFile::new().unwrap();
    fs::write(&key, "1a".repeat(32)).unwrap();
    let encrypted = format!(", encryption: {{ key: {{ file: {} }} }}", key.path().display());
    for layers in ["", &encrypted] {
        let events = crash(0, Trouble::Kill, layers).expect("nothing kills it");
        let wanted = crashes() / 16;
        let step = (2 * events / (wanted as u64 + 1)).max(1);
        let mut killed = 0;
        for how in [Trouble::Kill, Trouble::Torn] {
            for at in (1..=events).step_by(step as usize) {
                killed += usize::from(crash(at, how, layers).is_none());
            }
        }
        println!("{killed} crashes of {events} events each{layers}");
    }
}
