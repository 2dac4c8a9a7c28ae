//! Backups of a host that runs, and of one that does not; and exports.

use super::*;

const STORES: &str = "\
stores:
  documents: { provider_type: file, encryption: { key: { file: key } }, compression: zstd }
  restored: { provider_type: file, encryption: { key: { file: key } } }
  plain: { provider_type: file }
  vault: { provider_type: file }
  quick: { provider_type: memory }
";

fn home() -> Home {
    let home = Home::new(&format!("{OPEN_DOORS}{STORES}"));
    fs::write(home.path("key"), "3c".repeat(32)).unwrap();
    #[cfg(unix)]
    fs::set_permissions(home.path("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    home
}

/// Keys of many kinds, with their bytes.
fn objects() -> Vec<(String, Vec<u8>)> {
    let mut objects: Vec<_> = (0..1200).map(|n| (format!("small/{n}"), format!("number {n}").into_bytes())).collect();
    objects.extend([
        ("a".to_owned(), b"not a folder".to_vec()),
        ("a/b".to_owned(), noise(1, 200_000)),
        ("large".to_owned(), noise(2, 6 << 20)),
        ("empty".to_owned(), Vec::new()),
        ("\u{e9} \u{fc}".to_owned(), b"text ".repeat(50_000)),
    ]);
    objects
}

fn path_of(store: &str, key: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    format!("/{store}/{}", key.bytes().map(escape).collect::<String>())
}

fn put(s3: SocketAddr, store: &str, key: &str, bytes: &[u8]) {
    let tags = [("x-amz-tagging", "kind=test"), ("Content-Type", "text/x-test")];
    let answer = http::send(s3, "PUT", &path_of(store, key), &tags, bytes).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn holds(s3: SocketAddr, store: &str, objects: &[(String, Vec<u8>)]) {
    for (key, bytes) in objects {
        let answer = http::get(s3, &path_of(store, key)).unwrap();
        assert!(answer.status == 200 && answer.body == *bytes, "{store}/{key}: {}", answer.status);
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_running_store_is_backed_up_and_restored_as_it_was() {
    let home = home();
    let host = home.serve();
    let before = objects();
    before.iter().for_each(|(key, bytes)| put(host.s3, "documents", key, bytes));
    let stat = home.succeed(&["--json", "stat", "documents/a/b"]);

    // Others go on writing meanwhile.
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                (0..50).for_each(|n| put(host.s3, "documents", &format!("later/{n}"), &noise(n, 30_000)));
            }
        });
        home.succeed(&["backup", "create", "documents", "backups"]);
        stop.store(true, Ordering::Relaxed);
    });
    put(host.s3, "documents", "a/b", b"other");
    let second = json(&home.succeed(&["--json", "backup", "create", "documents", "backups"]));
    assert_eq!((second["objects"].as_u64(), second["of_one_moment"].as_bool()), (Some(1255), Some(true)));

    let list = json(&home.succeed(&["--json", "backup", "list", "backups"]));
    let [first, last] = list.as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!(last["id"], second["id"]);
    let first = first["id"].as_str().unwrap();
    says(&home.succeed(&["backup", "list", "backups", first, "--prefix", "small/11"]), &["small/11\n", "small/1199"]);
    says(&home.succeed(&["backup", "verify", "backups"]), &["sound: 2 backups", "damage: 0"]);

    assert_eq!(home.fail(&["backup", "restore", "backups", first, "--to", "plain"]).0, 1, "plain has no key");
    home.succeed(&["backup", "restore", "backups", first, "--to", "restored"]);
    holds(host.s3, "restored", &before);
    let restored = home.succeed(&["--json", "stat", "restored/a/b"]);
    assert_eq!(json(&restored.replace("restored", "documents")), json(&stat), "times, tags and etag too");
    let again = home.succeed(&["--json", "backup", "restore", "backups", first, "--to", "restored"]);
    assert_eq!(json(&again)["restored"], 0);

    let (exit, said) = home.fail(&["backup", "restore", "backups", first, "--to", "documents", "--key", "a/b"]);
    assert_eq!(exit, 1);
    says(&said, &["another object is there"]);
    home.succeed(&["backup", "restore", "backups", first, "--to", "documents", "--key", "a/b", "--replace"]);
    holds(host.s3, "documents", &before);
    host.stop();
}

#[test]
fn without_a_host_stores_are_backed_up_to_stores() {
    let home = home();
    fs::write(home.path("file"), noise(3, 100_000)).unwrap();
    home.succeed(&["put", "plain/one", "file"]);
    home.succeed(&["backup", "create", "plain", "larder://vault"]);
    home.succeed(&["put", "plain/two", "file"]);
    let made = json(&home.succeed(&["--json", "backup", "create", "plain", "larder://vault"]));
    let added = made["added"].as_u64().unwrap();
    assert!((1..10_000).contains(&added), "the bytes are there already: {added}");
    home.succeed(&["backup", "create", "vault", "elsewhere"]);
    home.succeed(&["backup", "restore", "larder://vault", "--to", "restored"]);
    home.succeed(&["get", "restored/two", "copy"]);
    assert!(fs::read(home.path("copy")).unwrap() == noise(3, 100_000));

    for (arguments, exit, words) in [
        (&["backup", "create", "plain", "larder://plain"][..], 2, &["itself"][..]),
        (&["backup", "create", "none", "backups"], 3, &["no store none"]),
        (&["backup", "create", "plain", "data"], 2, &["not empty"]),
        (&["backup", "list", "nowhere"], 3, &["no backups in nowhere", "larder backup create"]),
        (&["backup", "restore", "elsewhere", "9", "--to", "plain"], 1, &["no backup \"9\""]),
        (&["backup", "verify", "elsewhere", "9"], 1, &["no backup \"9\""]),
        (&["backup", "restore", "larder://vault/x", "--to", "plain"], 2, &["larder://vault"]),
    ] {
        let (found, said) = home.fail(arguments);
        assert_eq!(found, exit, "{arguments:?}: {said}");
        says(&said, words);
    }
    assert!(!home.path("nowhere").exists());
    home.succeed(&["backup", "create", "vault", "larder://restored"]);
    home.succeed(&["backup", "create", "plain", "larder://restored"]);
    let (exit, said) = home.fail(&["backup", "restore", "larder://restored", "--to", "plain"]);
    assert_eq!(exit, 2);
    says(&said, &["several stores (plain, vault)"]);
}

#[test]
fn a_backup_that_is_killed_leaves_nothing_behind_that_hinders() {
    let home = home();
    let host = home.serve();
    (0..200).for_each(|n| put(host.s3, "documents", &format!("{n}"), &noise(n, 300_000)));
    let bodies = || walk(&home.path("data/stores/documents/bodies"));
    let many = bodies();
    for wait in [20, 60, 150, 400] {
        let mut command = home.command(&["backup", "create", "documents", "backups"]);
        let mut backup = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(wait));
        (0..200).for_each(|n| put(host.s3, "documents", &format!("{n}"), &noise(n + wait, 300_000)));
        backup.kill().unwrap();
        backup.wait().unwrap();
    }
    home.succeed(&["backup", "create", "documents", "backups"]);
    says(&home.succeed(&["backup", "verify", "backups"]), &["sound"]);
    let begun = Instant::now();
    while bodies() > many {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} bodies are kept for nobody", bodies() - many);
        thread::sleep(Duration::from_millis(50));
    }
    host.stop();
}

#[test]
fn what_is_pruned_is_gone_and_the_rest_is_whole() {
    let home = home();
    let host = home.serve();
    for place in ["backups", "larder://vault"] {
        let mut made = Vec::new();
        for n in 0..5 {
            put(host.s3, "documents", "large", &noise(n, 2 << 20));
            put(host.s3, "documents", &format!("{n}"), b"small");
            let backup = json(&home.succeed(&["--json", "backup", "create", "documents", place]));
            made.push(backup["id"].as_str().unwrap().to_owned());
        }
        let ids = || -> Vec<String> {
            let list = json(&home.succeed(&["--json", "backup", "list", place]));
            list.as_array().unwrap().iter().map(|backup| backup["id"].as_str().unwrap().to_owned()).collect()
        };
        let shown = home.succeed(&["backup", "prune", place, "--keep-last", "2", "--keep-yearly", "3", "--dry-run"]);
        says(&shown, &["removed\n", "last, yearly\n"]);
        assert_eq!(ids(), made);
        home.succeed(&["backup", "prune", place, "--keep-last", "2", "--store", "plain"]);
        assert_eq!(ids(), made, "those of another store");

        home.succeed(&["backup", "prune", place, &made[1], &made[3]]);
        assert_eq!(ids(), [&*made[0], &made[2], &made[4]]);
        let pruned = json(&home.succeed(&["--json", "backup", "prune", place, "--keep-last", "1"]));
        assert_eq!((pruned["backups"].as_array().unwrap().len(), ids()), (3, vec![made[4].clone()]));
        let bytes = pruned["removed"]["bytes"].as_u64().unwrap();
        assert!((4 << 20..5 << 20).contains(&bytes), "{bytes}");
        says(&home.succeed(&["backup", "verify", place]), &["sound: 1 backups", "damage: 0"]);
        home.succeed(&["backup", "restore", place, "--to", "restored", "--replace"]);
        holds(host.s3, "restored", &[("large".to_owned(), noise(4, 2 << 20)), ("0".to_owned(), b"small".to_vec())]);
    }
    for (arguments, exit, words) in [
        (&["backup", "prune", "backups"][..], 2, &["--keep-last 7"][..]),
        (&["backup", "prune", "backups", "--keep-last", "0"], 2, &["--keep-last"]),
        (&["backup", "prune", "backups", "01", "--keep-last", "1"], 2, &["cannot be used with"]),
        (&["backup", "prune", "backups", "9"], 1, &["no backup \"9\""]),
        (&["backup", "prune", "nowhere", "--keep-last", "1"], 3, &["no backups in nowhere"]),
    ] {
        let (found, said) = home.fail(arguments);
        assert_eq!(found, exit, "{arguments:?}: {said}");
        says(&said, words);
    }
    host.stop();
}

#[test]
fn a_prune_that_is_killed_leaves_the_other_backups_whole() {
    let home = home();
    let host = home.serve();
    for n in 0..8 {
        (0..50).for_each(|key| put(host.s3, "plain", &format!("{key}"), &noise(n * 50 + key, 100_000)));
        home.succeed(&["backup", "create", "plain", "backups"]);
    }
    for (keep, wait) in [("7", 5), ("5", 20), ("3", 40), ("2", 80)] {
        let mut command = home.command(&["backup", "prune", "backups", "--keep-last", keep]);
        let mut prune = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(wait));
        prune.kill().unwrap();
        prune.wait().unwrap();
        says(&home.succeed(&["backup", "verify", "backups"]), &["sound"]);
    }
    home.succeed(&["backup", "prune", "backups", "--keep-last", "1"]);
    says(&home.succeed(&["backup", "verify", "backups"]), &["sound: 1 backups, 50 objects"]);
    home.succeed(&["backup", "restore", "backups", "--to", "quick"]);
    (0..50).for_each(|key| holds(host.s3, "quick", &[(format!("{key}"), noise(7 * 50 + key, 100_000))]));
    let pruned = json(&home.succeed(&["--json", "backup", "prune", "backups", "--keep-last", "1"]));
    assert_eq!(pruned["removed"]["pieces"], 0, "nothing is left that nobody needs");
    host.stop();
}

/// How many files are below a folder.
fn walk(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { walk(&path) } else { 1 }).sum()
}

#[test]
fn an_export_is_plain_files_and_a_list_of_all_objects() {
    let home = home();
    let host = home.serve();
    let mut before = objects();
    before.push(("../up".to_owned(), b"out of here".to_vec()));
    before.sort();
    before.iter().for_each(|(key, bytes)| put(host.s3, "documents", key, bytes));
    says(&home.succeed(&["export", "documents", "out"]), &["exported 1206 objects"]);
    let list = fs::read_to_string(home.path("out/objects.jsonl")).unwrap();
    let lines: Vec<_> = list.lines().map(json).collect();
    assert_eq!(lines.len(), before.len());
    for (line, (key, bytes)) in lines.iter().zip(&before) {
        assert_eq!((line["key"].as_str().unwrap(), &line["tags"]["kind"]), (&**key, &"test".into()));
        let path = line["path"].as_str().unwrap();
        assert!(fs::read(home.path("out").join(path)).unwrap() == *bytes, "{key}");
        let has_path = !["../up", "a/b"].contains(&&**key);
        assert_eq!(path == format!("files/{key}"), has_path, "{path}");
    }
    assert_eq!(home.fail(&["export", "documents", "out"]).0, 2, "it is not empty");
    home.succeed(&["export", "quick", "nothing"]);
    host.stop();
}
