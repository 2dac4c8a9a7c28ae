//! The host run whole: the program itself, real clients, and what an operator can get wrong.

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

// What the host is from the first start on.

#[test]
fn the_embedded_default_starts_whole_and_stops_gracefully() {
    // Built by one process, whatever else runs beside this test.
    built_component("memory");
    let home = Home::embedded();
    let host = home.serve();

    let plugins = host.ready["plugins"].as_array().unwrap().iter();
    let mut plugins: Vec<_> = plugins.map(|plugin| plugin["plugin"].as_str().unwrap()).collect();
    plugins.sort_unstable();
    assert_eq!(plugins, ["retention", "sieve", "versions", "wasm-memory"]);
    let stores: Vec<_> = host.ready["stores"].as_array().unwrap().iter().map(|store| store.as_str().unwrap()).collect();
    for store in ["documents", "scratch", "notebook", "notebook-history", "wasm-memory"] {
        assert!(stores.contains(&store), "{store} is not among {stores:?}");
    }

    let readiness = http::get(host.admin, "/readyz").unwrap();
    assert_eq!(readiness.status, 200, "{}", readiness.text());
    says(&readiness.text(), &["\"ready\":true", "documents", "sieve", "retention", "versions"]);
    assert_eq!(http::get(host.admin, "/healthz").unwrap().text(), "ok\n");

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

// Real clients.

#[test]
fn a_real_s3_client_finds_what_it_expects() {
    if !client(&["python3", "-c", "import boto3"]) {
        return skipped("python3 has no boto3, so no S3 client was tried: pip install boto3");
    }
    let component = |name| built_component(name).display().to_string();
    let home = Home::new(&format!(
        "{DOORS}\
plugins:
  versions:
    path: {}
    grants: {{ stores: {{ current: versions-current, history: versions-history }} }}
    limits: {{ instances: 4 }}
  wasm-memory: {{ path: {}, limits: {{ memory: 256MiB }} }}
stores:
  on-files: {{ provider_type: file, cache: {{ size_limit: 16MiB }} }}
  in-memory: {{ provider_type: memory }}
  in-versions: {{ provider_type: versions, cache: {{ size_limit: 1MiB, eviction_policy: lru }} }}
  versions-current: {{ provider_type: file, internal: true }}
  versions-history: {{ provider_type: file }}
  in-wasm: {{ provider_type: wasm-memory }}
new_buckets: {{ provider_type: file }}
",
        component("versions"),
        component("memory"),
    ));
    let host = home.serve();
    let mut reports = Vec::new();
    for (number, bucket) in ["on-files", "in-memory", "in-versions", "in-wasm"].into_iter().enumerate() {
        let output = Command::new("python3")
            .arg(project().join("tests/s3/conformance.py"))
            .env("LARDER_S3_ENDPOINT", format!("http://{}", host.s3))
            .env("LARDER_S3_ACCESS_KEY", ACCESS_KEY)
            .env("LARDER_S3_SECRET_KEY", SECRET_KEY)
            .env("LARDER_S3_BUCKET", bucket)
            .env("LARDER_S3_CREATES", if number == 0 { "1" } else { "0" })
            .output()
            .unwrap();
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            reports.push(format!("{bucket}:\n{words}"));
        }
    }
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}

/// Makes a folder of 3,000 small files, nested and with names in several scripts, and a large one.
fn make_tree(root: &Path) {
    let folders = ["plain", "a/b/c", "with blank/and, more", "Grüße/Zoë", "日本語/資料", "per%cent/plus+sign"];
    for folder in folders {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for number in 0..3000usize {
        let folder = root.join(folders[number % folders.len()]);
        fs::write(folder.join(format!("ü {number}.bin")), noise(number as u64, number % 700)).unwrap();
    }
    fs::write(root.join("large.bin"), noise(9, 20 << 20)).unwrap();
}

/// Breaks the test unless two folders hold the same.
fn same(one: &Path, other: &Path) {
    let output = Command::new("diff").arg("-r").args([one, other]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let files = |folder: &Path| -> usize {
        let listed = Command::new("find").arg(folder).args(["-type", "f"]).output().unwrap();
        listed.stdout.iter().filter(|byte| **byte == b'\n').count()
    };
    assert_eq!((files(one), files(other)), (3001, 3001));
}

#[test]
fn a_folder_of_thousands_of_files_comes_back_equal() {
    let home =
        Home::new(&format!("{DOORS}stores:\n  documents: {{ provider_type: file, cache: {{ size_limit: 16MiB }} }}\n"));
    make_tree(&home.path("tree"));
    let host = home.serve();
    // In through the host and out of it; then once more without one.
    home.succeed(&["cp", "-r", "tree", "larder://documents/by-command"]);
    home.succeed(&["cp", "-r", "larder://documents/by-command", "out-of-host"]);
    same(&home.path("tree"), &home.path("out-of-host"));

    if client(&["aws", "--version"]) {
        let aws = |arguments: &[&str]| {
            let mut command = Command::new("aws");
            command.args(["--endpoint-url", &format!("http://{}", host.s3), "s3", "cp", "--recursive", "--quiet"]);
            command.args(arguments).current_dir(home.path(""));
            command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
            command.env("AWS_DEFAULT_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
            command.env("AWS_CONFIG_FILE", home.path("none")).env("AWS_SHARED_CREDENTIALS_FILE", home.path("none"));
            let output = command.env("PYTHONUTF8", "1").output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        aws(&["tree", "s3://documents/by-aws"]);
        aws(&["s3://documents/by-aws", "out-by-aws"]);
        same(&home.path("tree"), &home.path("out-by-aws"));
    } else {
        skipped("there is no aws, so no folder went through S3: pip install awscli");
    }

    let (status, log) = host.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    home.succeed(&["cp", "-r", "larder://documents/by-command", "out-alone"]);
    same(&home.path("tree"), &home.path("out-alone"));
}

// The command line beside a host and without one.

#[test]
fn objects_put_without_a_host_are_there_with_one_and_the_other_way_round() {
    let home = Home::new(&format!("{DOORS}{DOCUMENTS}"));
    let bytes = noise(1, 3 << 20);
    fs::write(home.path("file"), &bytes).unwrap();
    home.succeed(&["put", "documents/alone", "file", "--tag", "by=command", "--content-type", "text/plain"]);

    let host = home.serve();
    let stat = home.succeed(&["--json", "stat", "documents/alone"]);
    says(&stat, &["\"by\"", "\"command\"", "text/plain", "3145728"]);
    home.succeed(&["get", "documents/alone", "copy"]);
    assert!(fs::read(home.path("copy")).unwrap() == bytes);
    home.succeed(&["put", "documents/beside", "file"]);
    home.succeed(&["rm", "documents/alone"]);
    // What a command did is what the host did: it counted it.
    let metrics = http::get(host.admin, "/metrics").unwrap().text();
    says(&metrics, &["larder_writes_total{store=\"documents\"} 1", "larder_deletes_total{store=\"documents\"} 1"]);

    assert_eq!(host.stop().0.code(), Some(0));
    home.succeed(&["get", "documents/beside", "another"]);
    assert!(fs::read(home.path("another")).unwrap() == bytes);
    assert_eq!(home.fail(&["get", "documents/alone"]).0, 3);
}

#[test]
fn commands_at_the_same_time_wait_for_each_other() {
    let home = Home::new(&format!("{DOORS}{DOCUMENTS}"));
    thread::scope(|scope| {
        for number in 0..6 {
            let home = &home;
            scope.spawn(move || {
                let (file, address) = (format!("file{number}"), format!("documents/{number}"));
                fs::write(home.path(&file), noise(number, 100_000)).unwrap();
                home.succeed(&["put", &address, &file]);
            });
        }
    });
    for number in 0..6 {
        home.succeed(&["get", &format!("documents/{number}"), "copy"]);
        assert!(fs::read(home.path("copy")).unwrap() == noise(number, 100_000));
    }
}

// Durability.

#[test]
fn every_acknowledged_object_outlives_a_kill() {
    let home = Home::new(&format!("{OPEN_DOORS}{DOCUMENTS}"));
    let acknowledged = Mutex::new(BTreeMap::new());
    for round in 0..3u64 {
        let host = home.serve();
        let (killed, counted) = (AtomicBool::new(false), AtomicUsize::new(0));
        let s3 = host.s3;
        thread::scope(|scope| {
            for writer in 0..6u64 {
                let (acknowledged, killed, counted) = (&acknowledged, &killed, &counted);
                scope.spawn(move || {
                    for number in 0.. {
                        // Some keys are overwritten in every round, and sizes are on both sides of what goes inline.
                        let name = if number % 3 == 0 {
                            format!("kept/{writer}/{number}")
                        } else {
                            format!("new/{round}/{writer}/{number}")
                        };
                        let seed = round << 32 | writer << 16 | number;
                        let size = [10, 3_000, 90_000, 400_000][number as usize % 4];
                        let answer = http::send(s3, "PUT", &format!("/documents/{name}"), &[], &noise(seed, size));
                        match answer {
                            Ok(answer) => {
                                assert_eq!(answer.status, 200, "{}", answer.text());
                                acknowledged.lock().unwrap().insert(name, (seed, size));
                                counted.fetch_add(1, Ordering::Relaxed);
                            }
                            // Whether a write that was cut off happened is not known: either version may be there.
                            Err(_) => {
                                acknowledged.lock().unwrap().remove(&name);
                                break;
                            }
                        }
                        if killed.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                });
            }
            let begun = Instant::now();
            while counted.load(Ordering::Relaxed) < 60 && begun.elapsed() < Duration::from_secs(20) {
                thread::sleep(Duration::from_millis(5));
            }
            host.kill();
            killed.store(true, Ordering::Relaxed);
        });
        assert!(counted.load(Ordering::Relaxed) >= 60, "the load was no load");
    }
    let host = home.serve();
    let acknowledged = acknowledged.into_inner().unwrap();
    for (name, (seed, size)) in &acknowledged {
        let answer = http::get(host.s3, &format!("/documents/{name}")).unwrap();
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert!(answer.body == noise(*seed, *size), "{name} is another one");
    }
    // What was not acknowledged is there whole or not at all: reading checks.
    let listed = home.succeed(&["--json", "ls", "-r", "documents"]);
    assert!(listed.lines().count() >= acknowledged.len());
    home.succeed(&["cp", "-r", "larder://documents", "all"]);
}

// Faults of plugins.

#[test]
fn an_endless_loop_in_a_plugin_is_an_error_for_its_caller_alone() {
    let home = Home::new(&format!(
        "{OPEN_DOORS}\
plugins:
  zoo: {{ path: {}, limits: {{ call_timeout: 2s }} }}
stores:
  cage: {{ provider_type: zoo }}
  documents: {{ provider_type: file }}
",
        built_component("zoo").display()
    ));
    let host = home.serve();
    assert_eq!(http::send(host.s3, "PUT", "/documents/k", &[], b"bytes").unwrap().status, 200);
    let begun = Instant::now();
    thread::scope(|scope| {
        let looping = scope.spawn(|| http::get(host.s3, "/cage/loop/a").unwrap());
        thread::sleep(Duration::from_millis(100));
        for _ in 0..100 {
            assert_eq!(http::get(host.s3, "/documents/k").unwrap().body, b"bytes");
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "others had to wait for {:?}", begun.elapsed());
        let answer = looping.join().unwrap();
        assert!(matches!(answer.status, 500..=504), "{}: {}", answer.status, answer.text());
        says(&answer.text(), &["limits.call_timeout"]);
    });
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    assert_eq!(http::send(host.s3, "PUT", "/cage/good", &[], b"again").unwrap().status, 200);
    assert_eq!(http::get(host.s3, "/cage/good").unwrap().body, b"again");
    let (status, log) = host.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    says(&log, &["zoo", "did not finish"]);
}

// Who is let in, and what is told to whom.

#[test]
fn requests_that_are_unsigned_or_signed_the_old_way_are_refused() {
    let home = Home::new(&format!("{DOORS}{DOCUMENTS}"));
    let host = home.serve();
    let date = ("Date", "Sat, 01 Jan 2028 00:00:00 GMT");
    let old = ("Authorization", "AWS larder:frJIUN8DYpKDtOLCwo//yllqDzg=");
    let old_query = "?AWSAccessKeyId=larder&Signature=frJIUN8DYpKDtOLCwo%2F%2FyllqDzg%3D&Expires=1830000000";
    for (method, path, headers) in [
        ("GET", "/", vec![]),
        ("GET", "/documents/k", vec![]),
        ("PUT", "/documents/k", vec![]),
        ("DELETE", "/documents/k", vec![]),
        ("GET", "/documents/k", vec![old, date]),
        ("PUT", "/documents/k", vec![old, date]),
        ("GET", &format!("/documents/k{old_query}"), vec![]),
    ] {
        let answer = http::send(host.s3, method, path, &headers, b"").unwrap();
        assert_eq!(answer.status, 403, "{method} {path} {headers:?}: {}", answer.text());
        says(&answer.text(), &["AccessDenied"]);
    }
    for path in ["/v1/stores", "/v1/stores/documents/objects"] {
        assert_eq!(http::get(host.admin, path).unwrap().status, 401);
        let wrong = [("Authorization", "Bearer 0000")];
        assert_eq!(http::send(host.admin, "GET", path, &wrong, b"").unwrap().status, 401);
    }
    assert_eq!(home.succeed(&["ls", "-r", "documents"]), "");
}

#[test]
fn secrets_are_told_to_nobody() {
    let home = Home::new(&format!("{DOORS}{DOCUMENTS}"));
    let mut said = vec![home.succeed(&["config", "check"]), home.succeed(&["config", "check", "--json"])];
    let host = home.serve_with(&["-vvv"]);
    let token = fs::read_to_string(home.path("data/host.json")).unwrap();
    let token = serde_json::from_str::<serde_json::Value>(&token).unwrap()["token"].as_str().unwrap().to_owned();
    assert!(token.len() >= 32);
    fs::write(home.path("file"), "x").unwrap();
    let output = home.run(&["-vvv", "put", "documents/k", "file"]);
    said.extend([output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()));
    for path in ["/", "/documents/k", "/documents/k?X-Amz-Signature=abc"] {
        said.push(http::get(host.s3, path).unwrap().text());
    }
    for path in ["/metrics", "/readyz", "/healthz", "/v1/stores", "/nothing"] {
        said.push(http::get(host.admin, path).unwrap().text());
    }
    said.push(host.ready.to_string());
    said.push(host.stop().1);
    // A wrong configuration is quoted, but not its secrets.
    home.configure(&format!("{DOORS}{DOCUMENTS}").replace("secret_key:", "secret_kei:"));
    said.push(home.fail(&["config", "check"]).1);
    for said in said {
        assert!(!said.contains(SECRET_KEY) && !said.contains(&token), "{said}");
    }
}

// What an operator can get wrong. Nothing of it leaves anything half-started.

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let home = Home::new(&format!("{DOORS}stores:\n  documents: {{ provider_type: file, cash: {{}} }}\n"));
    for said in [home.serve_in_vain().1, home.fail(&["config", "check"]).1] {
        says(&said, &["larder.yaml:8:37", "unknown key `cash`", "known here: provider_type"]);
    }
    assert!(!home.path("data").exists());
}

/// A configuration with one store on one plugin.
fn on_plugin(plugin: &str) -> String {
    format!("{DOORS}plugins:\n  mine: {plugin}\nstores:\n  documents: {{ provider_type: mine }}\n")
}

#[test]
fn a_plugin_that_is_not_what_it_should_be_is_refused_by_name() {
    let component = |name| built_component(name).display().to_string();
    let module = project().join("plugins/target/wasm32-unknown-unknown/release/memory.wasm");
    let home = Home::new("");
    fs::write(home.path("garbage.wasm"), "this is no wasm").unwrap();
    fs::write(home.path("cut.wasm"), &fs::read(component("memory")).unwrap()[..10_000]).unwrap();
    let cases = [
        ("{ path: missing.wasm }".to_owned(), vec!["missing.wasm", "No such file"]),
        ("{ path: garbage.wasm }".to_owned(), vec!["garbage.wasm", "no WebAssembly"]),
        ("{ path: cut.wasm }".to_owned(), vec!["cut.wasm", "cut-off"]),
        (format!("{{ path: {} }}", module.display()), vec!["core WebAssembly module", "larder plugin build"]),
        (format!("{{ path: {} }}", component("sieve")), vec!["an eviction strategy", "a storage provider is wanted"]),
        (format!("{{ path: {} }}", component("versions")), vec!["inner-stores", "grants: { stores: { NAME: STORE } }"]),
        (format!("{{ path: {}, config: {{ max: 1 }} }}", component("memory")), vec!["max", "max_object"]),
        ("{ source: no-such-folder }".to_owned(), vec!["no-such-folder"]),
    ];
    for (plugin, mut words) in cases {
        let port = free_port();
        home.configure(&on_plugin(&plugin).replacen("127.0.0.1:0", &port.to_string(), 1));
        let (code, said) = home.serve_in_vain();
        assert_ne!(code, 0);
        if !plugin.contains("source") {
            words.push("the plugin mine");
        }
        says(&said, &words);
        nothing_is_left_running(&home, Some(port));
    }
    // The same folder serves once the configuration is mended.
    home.configure(&on_plugin(&format!("{{ path: {} }}", component("memory"))));
    assert_eq!(http::get(home.serve().admin, "/readyz").unwrap().status, 200);
}

#[test]
fn a_plugin_that_is_not_defined_is_refused_with_those_that_are() {
    let home = Home::new(&format!(
        "{DOORS}plugins:\n  sieve: {{ path: x.wasm }}\nstores:\n  documents: {{ provider_type: seive }}\n"
    ));
    let (_, said) = home.serve_in_vain();
    says(&said, &["larder.yaml:", "seive", "sieve"]);
    assert!(!home.path("data").exists());
}

/// An address on which nobody listens now.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_port_in_use_is_named_and_the_other_port_is_let_go() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = taken.local_addr().unwrap().to_string();
    for setting in ["server.s3.listen", "server.admin.listen"] {
        let other = free_port();
        let (s3, admin) =
            if setting.contains("s3") { (&busy, &other.to_string()) } else { (&other.to_string(), &busy) };
        let home = Home::new(&format!(
            "data_dir: data\nserver:\n  s3: {{ listen: '{s3}' }}\n  admin: {{ listen: '{admin}' }}\n{DOCUMENTS}"
        ));
        let (code, said) = home.serve_in_vain();
        assert_eq!(code, 5, "{said}");
        says(&said, &[&busy, "in use", setting, "choose another"]);
        nothing_is_left_running(&home, Some(other));
    }
}

#[test]
fn a_data_folder_that_can_not_be_written_is_named() {
    let home = Home::new("");
    fs::write(home.path("a-file"), "").unwrap();
    // Below a file, and in a file system that takes no files from anybody.
    let mut folders = vec![home.path("a-file/data")];
    if Path::new("/proc/self").exists() {
        folders.push("/proc/larder-test-data".into());
    } else {
        skipped("there is no /proc, so no read-only file system was tried");
    }
    for folder in folders {
        let port = free_port();
        let config =
            format!("{DOORS}{DOCUMENTS}").replacen("data_dir: data", &format!("data_dir: {}", folder.display()), 1);
        home.configure(&config.replacen("127.0.0.1:0", &port.to_string(), 1));
        let (code, said) = home.serve_in_vain();
        assert_ne!(code, 0);
        says(&said, &[&folder.display().to_string(), "data_dir"]);
        nothing_is_left_running(&home, Some(port));
        let said = home.fail(&["ls", "documents"]).1;
        says(&said, &[&folder.display().to_string(), "data_dir"]);
    }
    assert_eq!(fs::read(home.path("a-file")).unwrap(), b"");
}

#[test]
fn a_key_that_is_too_long_is_refused_at_every_door() {
    let home = Home::new(&format!("{OPEN_DOORS}{DOCUMENTS}"));
    fs::write(home.path("file"), "x").unwrap();
    let (longest, longer) = ("k".repeat(1024), "k".repeat(1025));
    let alone = home.fail(&["put", &format!("documents/{longer}"), "file"]).1;
    let host = home.serve();
    let beside = home.fail(&["put", &format!("documents/{longer}"), "file"]).1;
    for said in [alone, beside] {
        says(&said, &["1024", "1025"]);
    }
    let answer = http::send(host.s3, "PUT", &format!("/documents/{longer}"), &[], b"x").unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text());
    says(&answer.text(), &["KeyTooLongError"]);
    let answer = http::send(host.s3, "PUT", &format!("/documents/{longest}"), &[], b"x").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(home.succeed(&["--json", "ls", "-r", "documents"]).lines().count(), 1);
}

#[test]
fn off_loopback_everybody_must_be_known() {
    let home = Home::new(&format!("{OPEN_DOORS}{DOCUMENTS}").replacen("127.0.0.1:0", "0.0.0.0:0", 1));
    let (_, said) = home.serve_in_vain();
    says(&said, &["server.s3.credentials", "127.0.0.1"]);
    nothing_is_left_running(&home, None);
}

#[test]
fn the_program_says_what_it_is() {
    let output = Command::new(program()).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("larder {}\n", env!("CARGO_PKG_VERSION")));
}
