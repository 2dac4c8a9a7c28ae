use std::fs;
use std::path::PathBuf;

use clap::{CommandFactory, Parser};
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::cli::output::{Audience, Output};
use crate::object::{Body, Key};
use crate::provider::file::{FileOptions, FileStorageProvider};
use crate::provider::{StorageProvider, StoreOptions};

/// The command by itself.
#[derive(Debug, Parser)]
#[command(name = "store")]
struct Typed {
    #[command(flatten)]
    store: StoreCommand,
}

/// A configuration with a store of ten small objects and one large one, and a store in memory.
struct Home(TempDir);

impl Home {
    async fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let config = "data_dir: data\nstores:\n  docs: { provider_type: file }\n  quick: { provider_type: memory }\n";
        fs::write(home.config(), config).unwrap();
        let store = home.open();
        for number in 0..10 {
            put(&store, &format!("small {number}"), vec![b'x'; 100]).await;
        }
        put(&store, "large", vec![b'y'; 300_000]).await;
        home
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("larder.yaml")
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("data/stores/docs")
    }

    fn open(&self) -> FileStorageProvider {
        FileStorageProvider::open(&self.folder(), &FileOptions::default()).unwrap()
    }

    /// The one file of a body.
    fn body(&self) -> PathBuf {
        self.folder().join("bodies/000000/000/000000000000000b")
    }

    /// What the command says, and how it ends.
    async fn run(&self, arguments: &str, audience: Audience) -> String {
        let typed = Typed::try_parse_from(["store"].into_iter().chain(arguments.split(' '))).unwrap();
        let (output, results, remarks) = Output::kept(audience);
        let context = Context::new(Some(self.config()), output);
        let exit = match typed.store.run(&context).await {
            Ok(()) => 0,
            Err(failure) => {
                context.output().failure(&failure);
                failure.exit() as u8
            }
        };
        let said = format!("{}{}[exit {exit}]", results.take(), remarks.take());
        said.replace(self.0.path().to_str().unwrap(), "HOME")
    }
}

async fn put(store: &FileStorageProvider, key: &str, bytes: Vec<u8>) {
    store.store(&Key::new(key).unwrap(), Body::from(bytes), StoreOptions::default()).await.unwrap();
}

#[test]
fn the_help_teaches() {
    for mut command in Typed::command().get_subcommands().cloned() {
        let name = format!("help_of_{}", command.get_name());
        insta::assert_snapshot!(name, command.render_long_help());
    }
}

#[tokio::test]
async fn a_sound_store_is_said_to_be() {
    let home = Home::new().await;
    insta::assert_snapshot!(home.run("check docs", Audience::People).await);
}

#[tokio::test]
async fn damage_is_listed_and_the_exit_code_tells() {
    let home = Home::new().await;
    fs::remove_file(home.body()).unwrap();
    fs::write(home.folder().join("tmp/0000000000000abc"), "cut off").unwrap();
    insta::assert_snapshot!("damage_for_people", home.run("check docs", Audience::People).await);
    insta::assert_snapshot!("damage_for_programs", home.run("check docs", Audience::Programs).await);
}

#[tokio::test]
async fn a_rebuild_is_planned_and_then_done() {
    let home = Home::new().await;
    fs::remove_file(home.folder().join("index.sqlite")).unwrap();
    insta::assert_snapshot!("rebuild_planned", home.run("rebuild docs", Audience::People).await);
    insta::assert_snapshot!("rebuild_done", home.run("rebuild docs --yes", Audience::Programs).await);
    assert!(home.run("check docs", Audience::People).await.starts_with("docs is sound: 1 objects"));
    fs::remove_file(home.body()).unwrap();
    insta::assert_snapshot!("rebuild_of_what_is_lost", home.run("rebuild docs --yes", Audience::People).await);
}

#[tokio::test]
async fn space_is_told_by_what_takes_it() {
    let home = Home::new().await;
    let said = home.run("du", Audience::Programs).await;
    let lines: Value = serde_json::from_str(said.strip_suffix("[exit 0]").unwrap()).unwrap();
    let line = &lines[0];
    assert_eq!((&line["store"], &line["objects"], &line["bytes"]), (&"docs".into(), &11.into(), &301_000.into()));
    assert_eq!(line["inlined"], serde_json::json!({ "objects": 10, "bytes": 1_000 }));
    assert_eq!(line["in_files"], serde_json::json!({ "objects": 1, "bytes": 300_000 }));
    assert!(line["bodies"].as_u64().unwrap() >= 300_000 && line["index"].as_u64().unwrap() > 4096, "{line}");
    let parts = ["index", "log", "bodies", "temporaries", "set_aside"].map(|part| line[part].as_u64().unwrap());
    assert_eq!(line["on_disk"], parts.iter().sum::<u64>());

    let table = home.run("du docs", Audience::People).await;
    assert!(table.contains("docs   11       293.9 KiB  10"), "{table}");
}

#[tokio::test]
async fn what_can_not_be_worked_on_is_refused_with_what_would_mend_it() {
    let home = Home::new().await;
    let store = home.open();
    let mut refusals = Vec::new();
    for arguments in ["check docs", "du docs", "check quick", "check none"] {
        refusals.push(format!("{arguments}: {}", home.run(arguments, Audience::People).await));
    }
    drop(store);
    fs::remove_dir_all(home.folder()).unwrap();
    refusals.push(format!("no folder: {}", home.run("check docs", Audience::People).await));
    insta::assert_snapshot!(refusals.join("\n\n"));
}

#[tokio::test]
async fn a_store_is_encrypted_and_then_with_another_key() {
    let home = Home::new().await;
    for (name, digits) in [("first", "1a"), ("second", "2b")] {
        let path = home.0.path().join(name);
        fs::write(&path, digits.repeat(32)).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    let configure = |encryption: &str| {
        let config = format!("data_dir: data\nstores:\n  docs: {{ provider_type: file{encryption} }}\n");
        fs::write(home.config(), config).unwrap();
    };
    let mut said = vec![home.run("rekey docs", Audience::People).await];
    configure(", encryption: { key: { file: first } }");
    said.push(home.run("rekey docs", Audience::People).await);
    configure(", encryption: { key: { file: second } }");
    said.push(home.run("rekey docs", Audience::People).await);
    configure(", encryption: { key: { file: second }, old_keys: [{ file: first }] }");
    said.push(home.run("rekey docs", Audience::Programs).await);
    configure(", encryption: { key: { file: second } }");
    said.push(home.run("rekey docs", Audience::People).await);
    said.push(home.run("check docs", Audience::People).await);
    insta::assert_snapshot!(said.join("\n\n"));
}
