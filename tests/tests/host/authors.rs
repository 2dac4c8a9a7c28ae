//! What authors of plugins type: from nothing to a plugin that is tested, called and measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use larder_tests::built_component;
use larder_tests::host::Home;
use serde_json::Value;

/// Begins a plugin of this kind. What cargo makes of it is kept between runs, and shared by the kinds.
fn begin(home: &Home, kind: &str) -> PathBuf {
    let crate_dir = home.path(kind);
    home.succeed(&["plugin", "new", &format!("my-{kind}"), "--kind", kind, "--path", kind]);
    let made = kept("wasm");
    fs::create_dir_all(&made).unwrap();
    std::os::unix::fs::symlink(made, crate_dir.join("target")).unwrap();
    crate_dir
}

fn kept(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-plugins").join(folder)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_new_plugin_of_each_kind_works_and_keeps_its_contract() {
    let home = Home::new("data_dir: data\n");
    for (kind, operations, shown) in [
        ("provider", &["put plugin/a larder.yaml --tag x=y", "get plugin/a", "rm plugin/a"][..], "data_dir: data\n"),
        ("eviction", &["--capacity=3", "a b c a d e a"], "d    miss     b\n"),
        ("lifecycle", &["letter --age 30days --tag state=draft", "letter --age 29days --tag state=draft"], "yes"),
    ] {
        let crate_dir = begin(&home, kind);
        let mut tests = Command::new(env!("CARGO"));
        tests.args(["test", "--quiet", "--manifest-path"]).arg(crate_dir.join("Cargo.toml"));
        let tested = tests.env("CARGO_TARGET_DIR", kept("native")).output().unwrap();
        let said = String::from_utf8_lossy(&tested.stdout);
        assert!(tested.status.success(), "{kind}: {said}{}", String::from_utf8_lossy(&tested.stderr));
        assert!(said.contains("test result: ok.") && !said.trim_start().starts_with("running 0"), "{kind}: {said}");

        home.succeed(&["plugin", "build", kind]);
        let test = ["--json", "plugin", "test", kind, "--memory", "32MiB", "--call-timeout", "20s"];
        let report = json(&home.succeed(&test));
        assert_eq!(report["counts"]["broken"], 0, "{report:#}");
        let said = home.succeed(&[&["plugin", "run", kind][..], operations].concat());
        assert!(said.contains(shown), "{kind}: {said}");

        let report = json(&home.succeed(&["--json", "plugin", "bench", kind, "--each", "1ms"]));
        assert_eq!(report["kind"], kind, "{report:#}");
        let rows = report["operations"].as_array().unwrap();
        let is_measured = |row: &Value| row["plugin_ns"].as_f64() > Some(0.0) && row["native_ns"].as_f64() > Some(0.0);
        assert!(rows.len() >= 3 && rows.iter().all(is_measured), "{report:#}");
        assert!(report["memory_bytes"].as_u64() > Some(0), "{report:#}");
    }
    let (code, said) = home.fail(&["plugin", "new", "my-provider", "--kind", "provider", "--path", "provider"]);
    assert!(code == 2 && said.contains("is there already, and stays as it is"), "{said}");
}

#[test]
fn a_script_runs_on_one_layer_and_sees_what_it_wrote_below() {
    let home = Home::new("data_dir: data\n");
    let versions = built_component("versions");
    let run = ["plugin", "run", versions.to_str().unwrap(), "--store", "current=memory", "--store", "history=files"];
    fs::write(home.path("new text"), "second").unwrap();
    let script = "# the plugin keeps what is overwritten\nput plugin/a larder.yaml\n\nput plugin/a 'new text'\n";
    fs::write(home.path("script"), script.to_owned() + "get plugin/a\nls -r history\n").unwrap();
    let mut command = home.command(&run);
    let said = command.stdin(fs::File::open(home.path("script")).unwrap()).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{text}{}", String::from_utf8_lossy(&said.stderr));
    assert!(text.contains("second") && text.contains("1:a/"), "{text}");
    // The store in files is there for the next run, and the one in memory is not.
    let said = home.succeed(&[&run[..], &["ls -r history", "ls plugin"]].concat());
    assert_eq!(said.lines().count(), 1, "{said}");

    let (code, said) = home.fail(&[&run[..], &["get plugin/none", "ls plugin"]].concat());
    assert!(code == 3 && said.contains("get plugin/none: there is no object"), "{said}");
    let (code, said) = home.fail(&[&run[..3], &["ls plugin"]].concat());
    assert!(code == 1 && said.contains("--store NAME=memory grants it a store"), "{said}");
    let (code, said) = home.fail(&[&run[..], &["fetch plugin/a"]].concat());
    assert!(code == 2 && said.contains("fetch plugin/a: unrecognized subcommand"), "{said}");
    let (code, said) = home.fail(&[&run[..3], &["--zipf", "10", "--settings", "{"]].concat());
    assert!(code == 2 && said.contains("it is no JSON"), "{said}");
}
