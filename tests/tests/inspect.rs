//! What `larder plugin inspect` tells of a component.

use larder_tests::host::Home;
use larder_tests::{built_component, wasip2_component};
use serde_json::{Value, json};

fn inspected(component: &std::path::Path) -> (String, Value) {
    let home = Home::new("data_dir: data\n");
    let path = component.display().to_string();
    let json = home.succeed(&["--json", "plugin", "inspect", &path]);
    (home.succeed(&["plugin", "inspect", &path]), serde_json::from_str(&json).unwrap())
}

fn import<'a>(json: &'a Value, name: &str) -> &'a Value {
    let imports = json["imports"].as_array().unwrap();
    let found = imports.iter().find(|import| import["name"].as_str().unwrap().starts_with(name));
    found.unwrap_or_else(|| panic!("{name} is not among {imports:?}"))
}

#[test]
fn every_import_is_told_with_the_grant_that_it_needs() {
    let (text, json) = inspected(&built_component("reach"));
    for (name, grant) in [
        ("larder:plugin/state@0.1.0", "grants: { state: true }"),
        ("larder:plugin/secrets@0.1.0", "grants: { secrets: { NAME: { file: PATH } } }"),
        ("wasi:http/client@0.3.0", "grants: { http: [HOST] }"),
    ] {
        let import = import(&json, name);
        assert_eq!((&import["grant"], &import["required"]), (&Value::from(grant), &Value::from(true)), "{name}");
        assert!(text.contains(&format!("{name} (needs `{grant}`)")), "{text}");
    }
    assert_eq!(import(&json, "larder:plugin/log@")["grant"], Value::Null);
    assert!(json["imports"].as_array().unwrap().iter().all(|import| import["available"] == true), "{text}");
}

#[test]
fn kind_version_digest_exports_and_producers_are_told() {
    let component = built_component("sieve");
    let (text, json) = inspected(&component);
    let wasm = std::fs::read(&component).unwrap();
    assert_eq!((json["kind"].as_str(), json["wit"].as_str()), (Some("eviction"), Some("larder:plugin@0.1.0")));
    assert_eq!(json["bytes"], wasm.len());
    let digest = larder::object::Digest::of(&wasm).to_string();
    assert_eq!(json["digest"].as_str(), Some(digest.as_str()));
    assert_eq!(json["exports"], json!(["larder:plugin/eviction-memory@0.1.0", "larder:plugin/eviction@0.1.0"]));
    assert_eq!(json["producers"]["sdk"]["larder-sdk"], env!("CARGO_PKG_VERSION"));
    assert!(
        json["producers"]["language"]["Rust"].is_string() && json["producers"]["processed-by"].is_object(),
        "{json}"
    );
    for words in ["an eviction strategy", &digest, "larder-sdk", "processed-by", "larder:plugin/eviction@0.1.0"] {
        assert!(text.contains(words), "{words} is not in:\n{text}");
    }
}

#[tokio::test]
async fn what_wasi_reaches_only_with_a_grant_is_told() {
    let Some(component) = wasip2_component("reach").await else { return };
    let (text, json) = inspected(&component);
    for (name, grant) in
        [("wasi:filesystem/types@", "files"), ("wasi:clocks/wall-clock@", "clocks"), ("wasi:cli/environment@", "env")]
    {
        let import = import(&json, name);
        assert!(import["grant"].as_str().unwrap().contains(grant) && import["required"] == false, "{import}");
    }
    assert!(text.contains("(reaches nothing without `grants: { clocks: true }`)"), "{text}");
    assert!(json["producers"]["language"]["Rust"].is_string());
}
