use std::fs;

use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::cli::archive::ArchiveCommand;
use crate::cli::output::{Audience, Output};
use crate::cli::trash::TrashCommand;
use crate::object::{Body, Key, now, timestamp_from_millis};
use crate::provider::file::{FileOptions, FileStorageProvider};
use crate::provider::{Stamp, StorageProvider, StoreOptions};

const CONFIG: &str = "\
data_dir: data
stores:
  docs:
    provider_type: file
    lifecycle:
      rules:
        - { name: old, prefix: old/, archive_after: 30d }
        - { name: drafts, prefix: drafts/, delete_after: 7d }
        - { name: legal, prefix: drafts/legal/, retain: 3650d }
        - { name: seen, prefix: seen/, tag_after: 1d, set_tags: { class: seen } }
      archive_to: cold
      trash: 10d
  cold: { provider_type: file }
  plain: { provider_type: file }
";

#[derive(Debug, Parser)]
enum Typed {
    Lifecycle(LifecycleCommand),
    Archive(ArchiveCommand),
    Trash(TrashCommand),
}

/// A store with objects that were written on the first of January 2026.
struct Home(TempDir);

impl Home {
    async fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::write(home.0.path().join("larder.yaml"), CONFIG).unwrap();
        let folder = home.0.path().join("data/stores/docs");
        let store = FileStorageProvider::open(&folder, &FileOptions::default()).unwrap();
        let written = timestamp_from_millis(1_767_225_600_000);
        for name in ["old/a", "drafts/a", "drafts/b", "drafts/legal/c", "seen/a", "other"] {
            let stamp = Stamp::at(written);
            let options = StoreOptions { stamp, ..StoreOptions::default() };
            store.store(&Key::new(name).unwrap(), Body::from("some bytes"), options).await.unwrap();
        }
        home
    }

    /// What a command says, and how it ends.
    async fn run(&self, arguments: &str, audience: Audience) -> String {
        let typed = Typed::try_parse_from(["larder"].into_iter().chain(arguments.split(' '))).unwrap();
        let (output, results, remarks) = Output::kept(audience);
        let context = Context::new(Some(self.0.path().join("larder.yaml")), output);
        let done = match typed {
            Typed::Lifecycle(command) => command.run(&context).await,
            Typed::Archive(command) => command.run(&context).await,
            Typed::Trash(command) => command.run(&context).await,
        };
        let exit = match done {
            Ok(()) => 0,
            Err(failure) => {
                context.output().failure(&failure);
                failure.exit() as u8
            }
        };
        format!("{}{}[exit {exit}]", results.take(), remarks.take())
    }

    async fn says(&self, arguments: &str) -> String {
        self.run(arguments, Audience::People).await
    }

    fn audited(&self) -> Vec<String> {
        let text = fs::read_to_string(self.0.path().join("data/audit.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let done = lines.filter(|line| line["outcome"] == "done");
        let field = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
        done.map(|line| format!("{} {} by {}", field(&line, "action"), field(&line, "key"), field(&line, "by")))
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_would_happen_and_changes_nothing() {
    let home = Home::new().await;
    insta::assert_snapshot!("plan_of_march", home.says("lifecycle plan docs --at 2026-03-01").await);
    insta::assert_snapshot!("plan_of_the_next_day", home.says("lifecycle plan docs --at 2026-01-02T00:00:00Z").await);
    insta::assert_snapshot!(
        "plan_of_one_rule",
        home.says("lifecycle plan docs --at 2026-03-01 --policy drafts --limit 1").await
    );
    insta::assert_snapshot!("explanation", home.says("lifecycle explain docs/drafts/legal/c --at 2026-03-01").await);

    let json = home.run("lifecycle plan docs --at 2026-03-01", Audience::Programs).await;
    let lines: Vec<Value> = json.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lines[0]["metadata"]["key"], "drafts/a");
    assert_eq!((&lines[0]["verdict"], &lines[0]["by"]), (&Value::from("delete"), &Value::from("drafts")));
    let last = lines.last().unwrap();
    assert_eq!((&last["considered"], &last["totals"]["delete"]["bytes"]), (&Value::from(6), &Value::from(20)));
    assert!(!home.0.path().join("data/audit.jsonl").exists(), "nothing was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_planned_says_why() {
    let home = Home::new().await;
    for (arguments, expected) in [
        ("lifecycle plan plain", "the objects of the store plain do not age"),
        ("lifecycle plan none", "there is no store none"),
        ("lifecycle plan docs --policy none", "it has no rule and no policy \"none\""),
        ("lifecycle plan docs --policy none.wasm", "there is no file none.wasm"),
        ("lifecycle explain docs/none", "there is no object"),
        ("trash restore docs/other", "there is no object"),
        ("trash purge docs", "larder trash purge docs --all"),
        ("archive restore docs/none", "there is no object"),
    ] {
        let said = home.says(arguments).await;
        assert!(said.contains(expected) && !said.contains("[exit 0]"), "{arguments}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_can_be_taken_back() {
    let home = Home::new().await;
    insta::assert_snapshot!("applied", home.says("lifecycle apply docs").await);
    let archived = home.says("archive ls docs").await;
    assert!(archived.contains("old/a") && archived.contains("10 B"), "{archived}");
    let trash = home.says("trash ls docs").await;
    assert!(trash.contains("drafts/a") && trash.contains("drafts/b") && !trash.contains("legal"), "{trash}");
    let today = now().format("%Y-%m-%d").to_string();
    assert!(trash.contains(&today), "{trash}");

    assert!(home.says("archive restore docs/old/a --for 1d").await.contains("docs/old/a is back"));
    assert!(home.says("archive ls docs").await.contains("nothing is archived"));
    assert!(home.says("trash restore docs/drafts/a").await.contains("docs/drafts/a is back"));
    assert!(home.says("trash purge docs/drafts/b").await.contains("is gone for good"));
    assert!(home.says("trash ls docs").await.contains("the trash is empty"));
    let again = home.says("lifecycle apply docs").await;
    assert!(again.contains("deleted  1") && !again.contains("archived"), "{again}");
    assert!(home.says("trash purge docs --all --yes").await.contains("purged 1 objects"));
    let mut audited = home.audited();
    // Several at a time, in any order.
    audited[..4].sort();
    assert_eq!(
        audited,
        [
            "archive old/a by old",
            "tag seen/a by seen",
            "trash drafts/a by drafts",
            "trash drafts/b by drafts",
            "restore old/a by operator",
            "take-out drafts/a by operator",
            "purge drafts/b by operator",
            "trash drafts/a by drafts",
            "purge drafts/a by operator",
        ]
    );
}
