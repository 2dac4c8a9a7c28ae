//! The host run whole: the program itself, real clients, and what an operator can get wrong.

mod access;
mod ageing;
mod authors;
mod backups;
mod bad_input;
mod clients;
mod commands;
mod faults;
mod layers;
mod monitoring;
mod plugins;
mod tasks;

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use larder_tests::host::{Home, program};
use larder_tests::{built_component, http, project, skipped};

const ACCESS_KEY: &str = "larder";
const SECRET_KEY: &str = "a-secret-that-nobody-should-see";

/// Where a host listens and whom it lets in.
const DOORS: &str = "\
data_dir: data
server:
  s3:
    listen: 127.0.0.1:0
    credentials: [{ access_key: larder, secret_key: a-secret-that-nobody-should-see }]
  admin: { listen: 127.0.0.1:0 }
";

/// The same, with S3 open to everybody on this machine: for requests that nobody signs.
const OPEN_DOORS: &str = "\
data_dir: data
server:
  s3: { listen: 127.0.0.1:0 }
  admin: { listen: 127.0.0.1:0 }
";

const DOCUMENTS: &str = "stores:\n  documents: { provider_type: file }\n";

/// Bytes that do not compress and differ with the seed: xorshift64*, from Vigna's paper of 2016.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Breaks the test unless the text has all the words.
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

/// Breaks the test unless nobody listens at the address, and nobody has the data folder.
fn nothing_is_left_running(home: &Home, port: Option<SocketAddr>) {
    if let Some(port) = port {
        TcpListener::bind(port).expect("the port is free again");
    }
    let lock = home.path("data/lock");
    if let Ok(lock) = fs::File::options().write(true).open(&lock) {
        lock.try_lock().expect("nobody has the lock");
    }
    assert!(!home.path("data/host.json").exists(), "a host that does not run is published");
}

/// A client of S3, if this machine has it: its name, and a command that has to succeed where it works.
fn client(probe: &[&str]) -> bool {
    let found = Command::new(probe[0]).args(&probe[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

#[test]
fn the_embedded_default_starts_whole_and_stops_gracefully() {
    // Built by one process, whatever else runs beside this test.
    built_component("memory");
    let home = Home::embedded();
    let host = home.serve();

    let plugins = host.ready["plugins"].as_array().unwrap().iter();
    let mut plugins: Vec<_> = plugins.map(|plugin| plugin["plugin"].as_str().unwrap()).collect();
    plugins.sort_unstable();
    assert_eq!(plugins, ["retention", "versions", "wasm-memory", "wasm-sieve"]);
    let stores: Vec<_> = host.ready["stores"].as_array().unwrap().iter().map(|store| store.as_str().unwrap()).collect();
    for store in ["documents", "scratch", "notebook", "notebook-history", "wasm-memory"] {
        assert!(stores.contains(&store), "{store} is not among {stores:?}");
    }

    let readiness = http::get(host.admin, "/readyz").unwrap();
    assert_eq!(readiness.status, 200, "{}", readiness.text());
    says(&readiness.text(), &["\"status\":\"pass\"", "store:documents", "wasm-sieve", "retention", "versions"]);
    let liveness = http::get(host.admin, "/healthz").unwrap();
    assert_eq!((liveness.status, liveness.text().contains("checks")), (200, false), "{}", liveness.text());

    for store in ["documents", "scratch", "notebook", "wasm-memory"] {
        let address = format!("{store}/a key of its own");
        fs::write(home.path("file"), store).unwrap();
        home.succeed(&["put", &address, "file"]);
        assert_eq!(home.succeed(&["get", &address]), store);
    }
    let metrics = http::get(host.admin, "/metrics").unwrap().text();
    says(&metrics, &["larder_writes_total{store=\"documents\"} 1", "larder_provider_call_duration_seconds_bucket"]);
    assert!(!metrics.contains("of its own"), "a key is in the metrics:\n{metrics}");
    for line in metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        assert!(line.starts_with("larder_"), "{line}");
    }

    let s3 = host.s3;
    let (status, log) = host.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    nothing_is_left_running(&home, Some(s3));
    assert_eq!(home.succeed(&["get", "documents/a key of its own"]), "documents");
}

#[test]
fn a_host_takes_one_data_folder_for_itself() {
    let home = Home::new(&format!("{DOORS}{DOCUMENTS}"));
    let host = home.serve();
    let (code, said) = home.serve_in_vain();
    assert_eq!(code, 5, "{said}");
    says(&said, &["another host", "data", "data_dir"]);
    assert_eq!(http::get(host.admin, "/readyz").unwrap().status, 200);
}

#[test]
fn the_program_says_what_it_is() {
    let output = Command::new(program()).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("larder {}\n", env!("CARGO_PKG_VERSION")));
}
