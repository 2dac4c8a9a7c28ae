//! `larder plugin test`, as people, programs and continuous integration use it.

use std::path::PathBuf;
use std::process::{Command, Output};

use larder_tests::host::program;
use larder_tests::{built_component, project};
use serde_json::Value;

/// Runs `larder plugin test` on a first-party plugin.
fn test(plugin: &str, arguments: &[&str]) -> (i32, String, String) {
    let plugin = path(plugin);
    run(&[&["plugin", "test", plugin.to_str().unwrap()], arguments].concat())
}

fn path(plugin: &str) -> PathBuf {
    built_component(plugin)
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(program());
    command.args(arguments).env_remove("LARDER_CONFIG").env("LARDER_LOG", "off");
    let Output { status, stdout, stderr } = command.output().expect("the program can be run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it speaks UTF-8");
    (status.code().expect("nobody killed it"), text(stdout), text(stderr))
}

#[test]
fn a_plugin_that_keeps_its_contract_is_told_so() {
    let (code, table, errors) = test("sieve", &["--filter", "victim", "--seed", "11"]);
    assert_eq!(code, 0, "{table}{errors}");
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("PROMISE") && lines[0].contains("VERDICT"), "{table}");
    assert!(lines.iter().any(|line| line.starts_with("victims_are_residents ") && line.contains(" kept ")), "{table}");
    let summary = lines.last().unwrap();
    assert!(summary.starts_with("sieve, the eviction contract: ") && summary.contains(" 0 broken"), "{table}");
    assert!(summary.ends_with("seed 11)"), "{table}");
}

#[test]
fn a_broken_promise_is_explained_and_ends_with_1() {
    let settings = r#"{"fault": "greedy"}"#;
    let (code, table, errors) = test("zoo-eviction", &["--settings", settings, "--filter", "no_more_are"]);
    assert_eq!(code, 1, "{table}{errors}");
    let how = "\nbroken no_more_are_dropped_than_it_takes\n  No more are dropped than it takes";
    assert!(table.contains(how) && table.contains("with these events, found with seed"), "{table}");
    assert!(errors.contains("broken no_more_are_dropped_than_it_takes"), "{errors}");
}

#[test]
fn programs_get_json_and_continuous_integration_junit() {
    let (code, json, errors) =
        test("retention", &["--settings", r#"{"rules": []}"#, "--seed", "3", "--report", "json"]);
    assert_eq!(code, 0, "{json}{errors}");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&report["kind"], &report["seed"]), (&"lifecycle".into(), &3.into()));
    assert_eq!(report["counts"]["kept"], report["outcomes"].as_array().unwrap().len());

    let (code, xml, errors) = test("zoo-lifecycle", &["--settings", r#"{"fault": "error"}"#, "--report", "junit"]);
    assert_eq!(code, 1, "{xml}{errors}");
    assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>"), "{xml}");
    assert!(xml.contains("<failure type=\"broken\"") && xml.contains("it can not decide"), "{xml}");

    let file = path("zoo-lifecycle");
    let (code, json, errors) = run(&["--json", "plugin", "test", file.to_str().unwrap(), "--filter", "any_key"]);
    assert_eq!(code, 0, "{errors}");
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["counts"]["kept"], 1);
}

#[test]
fn a_layer_is_granted_stores_and_what_it_keeps_outlives_it() {
    let stores = ["--store", "current=file", "--store", "history=memory", "--instances", "2"];
    let layer = |more: &[&str]| test("versions", &[&stores[..], more].concat());
    let (code, json, errors) = layer(&["--filter", "outlive", "--report", "json"]);
    assert_eq!(code, 0, "{json}{errors}");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert!(report["counts"]["kept"].as_u64().unwrap() >= 4 && report["counts"]["not_applicable"] == 0, "{json}");

    let (code, json, errors) = layer(&["--filter", "outlive", "--report", "json", "--volatile"]);
    assert_eq!(code, 0, "{json}{errors}");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["counts"]["kept"], 0, "{json}");
}

#[test]
fn what_can_not_be_tested_says_why() {
    let (code, _, errors) = test("versions", &[]);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("grants: { stores: { NAME: STORE } }") && errors.contains("--store"), "{errors}");
    let (code, _, errors) = test("sieve", &["--settings", r#"{"speed": 1}"#]);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("unknown field `speed`"), "{errors}");
    for (arguments, says) in [
        (&["--settings", "{"][..], "it is no JSON"),
        (&["--store", "current=redis"], "current=memory"),
        (&["--filter", "no such promise"], "--list names them"),
    ] {
        let (code, _, errors) = test("sieve", arguments);
        assert!(code == 2 && errors.contains(says), "{arguments:?}: {code} {errors}");
    }
    let (code, _, errors) = run(&["plugin", "test", "missing.wasm"]);
    assert!(code == 3 && errors.contains("missing.wasm"), "{code} {errors}");
}

#[test]
fn the_promises_can_be_listed_without_a_plugin_and_of_one() {
    let (code, all, _) = run(&["plugin", "test", "--list"]);
    assert_eq!(code, 0);
    for promise in ["a_failed_overwrite_leaves_the_old_object", "victims_are_residents", "what_is_due_stays_due"] {
        assert!(all.contains(promise), "{all}");
    }
    let folder = project().join("plugins/sieve");
    let (code, some, errors) = run(&["plugin", "test", folder.to_str().unwrap(), "--list"]);
    assert_eq!(code, 0, "{errors}");
    assert!(some.contains("victims_are_residents") && !some.contains("what_is_due_stays_due"), "{some}");
}
