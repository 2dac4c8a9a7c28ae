//! What a host does again and again: seen, run by hand, paused, and cut off.

use super::*;

const STORES: &str = "\
stores:
  documents:
    provider_type: file
    scrub: { cron: 0 4 1 1 *, time_zone: Europe/Berlin }
    backup: { to: backups, schedule: '@yearly' }
  vault: { provider_type: file, backup: { to: larder://documents, schedule: '@yearly' } }
";

fn home() -> Home {
    Home::new(&format!("{OPEN_DOORS}{STORES}"))
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn put(home: &Home, key: &str, bytes: &[u8]) {
    fs::write(home.path("file"), bytes).unwrap();
    home.succeed(&["put", &format!("documents/{key}"), "file"]);
}

/// The one task of this name.
fn task(home: &Home, name: &str) -> serde_json::Value {
    let tasks = json(&home.succeed(&["task", "ls", "--json"]));
    let task = tasks.as_array().unwrap().iter().find(|task| task["name"] == name);
    task.unwrap_or_else(|| panic!("{name} is not in {tasks}")).clone()
}

#[test]
fn tasks_are_run_by_hand_and_remembered() {
    let home = home();
    let (code, said) = home.fail(&["task", "ls"]);
    assert_eq!(code, 5, "{said}");
    let host = home.serve();
    put(&home, "large", &noise(3, 300_000));
    says(
        &home.succeed(&["task", "ls"]),
        &["scrub:documents", "0 4 1 1 * Europe/Berlin", "backup:documents", "backup:vault", "usage:vault"],
    );

    says(&home.succeed(&["task", "run", "backup:documents"]), &["backup:documents succeeded in"]);
    home.succeed(&["task", "run", "backup:vault"]);
    let backups = json(&home.succeed(&["backup", "list", "backups", "--json"]));
    assert_eq!((backups[0]["store"].as_str(), backups[0]["objects"].as_u64()), (Some("documents"), Some(1)));
    says(&home.succeed(&["backup", "list", "larder://documents"]), &["vault"]);

    home.succeed(&["task", "run", "scrub:documents"]);
    let bodies = walk(&home.path("data/stores/documents/bodies"));
    let mut bytes = fs::read(&bodies[0]).unwrap();
    bytes[150_000] ^= 1;
    fs::write(&bodies[0], bytes).unwrap();
    let (code, said) = home.fail(&["task", "run", "scrub:documents"]);
    assert_eq!(code, 1, "{said}");
    says(&said, &["scrub:documents failed: damage: 1", "large"]);
    let metrics = http::get(host.admin, "/metrics").unwrap().text();
    says(
        &metrics,
        &[
            r#"larder_task_runs_total{kind="scrub",outcome="failed"} 1"#,
            r#"larder_task_runs_total{kind="backup",outcome="succeeded"} 2"#,
            r#"larder_task_last_success_timestamp_seconds{task="scrub:documents"}"#,
        ],
    );
    let (code, said) = home.fail(&["task", "run", "scrub:document"]);
    assert_eq!(code, 3, "{said}");
    says(&said, &["did you mean scrub:documents?"]);

    home.succeed(&["task", "pause", "backup:documents"]);
    home.succeed(&["task", "pause", "usage:vault"]);
    host.kill();
    let _host = home.serve();
    assert_eq!(task(&home, "backup:documents")["paused"], true);
    assert_eq!(task(&home, "usage:vault")["paused"], true);
    let scrub = task(&home, "scrub:documents");
    assert_eq!((scrub["runs"].as_u64(), scrub["failures"].as_u64()), (Some(2), Some(1)));
    let history = json(&home.succeed(&["task", "history", "scrub:documents", "--json"]));
    assert_eq!([&history[0]["outcome"], &history[1]["outcome"]], ["failed", "succeeded"]);
    home.succeed(&["task", "resume", "backup:documents"]);
    assert!(task(&home, "backup:documents")["next_run"].is_string());
}

#[test]
fn a_run_that_a_kill_cuts_off_is_told_at_the_next_start() {
    let home = home();
    let mut host = home.serve();
    put(&home, "large", &noise(4, 128 << 20));
    let mut interrupted = 0;
    for attempt in 1..=30 {
        let mut running = home.command(&["task", "run", "scrub:documents"]).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        let told = || fs::read_to_string(home.path("data/tasks.json")).unwrap_or_default().contains(r#""running":"#);
        while !told() && begun.elapsed() < Duration::from_millis(50 * attempt) {
            thread::sleep(Duration::from_millis(1));
        }
        host.kill();
        running.wait().unwrap();
        host = home.serve();
        let history = json(&home.succeed(&["task", "history", "scrub:documents", "--json"]));
        let last = &history[0];
        if last["outcome"] == "interrupted" {
            assert!(last["ended_at"].is_null() && last["trigger"] == "hand", "{last}");
            interrupted += 1;
        }
        assert!(!home.path("data/tasks.damaged.json").exists(), "a kill damages what tasks remember");
        if interrupted == 3 {
            return;
        }
    }
    panic!("only {interrupted} of 30 kills came in the middle of a run");
}

/// All files below a folder.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
