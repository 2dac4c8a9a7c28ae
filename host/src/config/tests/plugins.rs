//! Plugins, and what they are granted.

use super::*;

#[test]
fn stores_do_not_share_what_a_plugin_was_granted() {
    let text = "
plugins: { layer: { path: a, grants: { stores: { inner: files } } } }
stores:
  files: { provider_type: file }
  one: { provider_type: layer }
  two: { provider_type: layer }
";
    let error = refusal(text);
    assert!(error.starts_with("larder.yaml:6:10: stores.two.provider_type: `one` stands on the plugin"), "{error}");
    let template =
        format!("{}new_buckets: {{ provider_type: layer }}\n", text.replace("  two: { provider_type: layer }\n", ""));
    assert!(refusal(&template).contains("all new buckets would share"));
}

#[test]
fn what_a_plugin_is_granted_is_read_whole() {
    let config = parse(
        "
plugins:
  attic:
    path: attic.wasm
    grants:
      state: 1MiB
      secrets: { token: { env: PATH } }
      http: [api.example.com, '*.example.org', '10.0.0.5:8080', '[fd00::5]:8080']
      files: { /data: { path: shelf, write: true }, /: { path: /srv/root } }
      clocks: true
      random: true
      env: { REGION: eu-1 }
",
    )
    .unwrap();
    let grants = &config.plugins["attic"].grants;
    assert_eq!(grants.given().count(), 7);
    assert_eq!(grants.state.capacity(), Some(1 << 20));
    let folder = &grants.files[&"/data".parse::<GuestPath>().unwrap()];
    assert_eq!((folder.path.as_path(), folder.write), (Path::new("/data/shelf"), true));
    assert!(config.summary().to_string().contains("granted state, secrets, http, files, clocks, random, env"));
    let path = std::env::var("PATH").unwrap();
    let printed = serde_json::to_string(&config).unwrap() + &config.summary().to_string() + &format!("{config:?}");
    assert!(!printed.contains(&path), "the secret is printed");
}

#[test]
fn a_grant_that_makes_no_sense_is_refused_at_its_line() {
    let cases = [
        ("http: [api]\n      state: lots", "larder.yaml:6:14: plugins.one.grants.state: \"lots\" is no size"),
        (
            "http: ['http://a.b']",
            "larder.yaml:5:14: plugins.one.grants.http[0]: \"http://a.b\" is not a host that may be",
        ),
        (
            "files: { data: { path: x } }",
            "larder.yaml:5:16: plugins.one.grants.files: \"data\" is not a path that the plugin",
        ),
        ("env: { 1A: x }", "larder.yaml:5:14: plugins.one.grants.env: \"1A\" is not the name of a variable"),
        (
            "secrets: { Token: { env: PATH } }",
            "larder.yaml:5:18: plugins.one.grants.secrets: \"Token\" is not the word",
        ),
        (
            "secrets: { token: { env: LARDER_NONE } }",
            "plugins.one.grants.secrets.token: the environment variable LARDER_NONE",
        ),
        ("sockets: true", "larder.yaml:5:7: plugins.one.grants: unknown key `sockets`"),
    ];
    for (grants, says) in cases {
        let text = format!("plugins:\n  one:\n    path: a.wasm\n    grants:\n      {grants}\n");
        let refused = refusal(&text);
        assert!(refused.contains(says), "{refused}");
    }
}

#[test]
fn what_has_to_be_pure_is_granted_nothing() {
    let text = "plugins:
  one: { path: a.wasm, grants: { clocks: true, state: true } }
stores:
  documents: { provider_type: memory, USE }
";
    for (used, job) in [
        ("cache: { eviction_policy: one }", "eviction strategy of documents"),
        ("lifecycle: { policies: [one] }", "lifecycle policy of documents"),
    ] {
        let refused = refusal(&text.replace("USE", used));
        for grant in ["clocks", "state"] {
            assert!(refused.contains(&format!("plugins.one.grants.{grant}: `one` is the {job}")), "{refused}");
        }
    }
}

#[test]
fn two_stores_do_not_share_what_one_plugin_was_granted() {
    let text = "plugins: { one: { path: a.wasm, grants: { GRANT } } }
stores: { first: { provider_type: one }, second: { provider_type: one } }
";
    for grant in ["state: true", "files: { /a: { path: a } }"] {
        let refused = refusal(&text.replace("GRANT", grant));
        assert!(refused.contains("stores.second.provider_type: `first` stands on the plugin `one` too"), "{refused}");
    }
    parse(&text.replace("GRANT", "http: [api.example.com]")).unwrap();
}

#[test]
fn a_plugin_comes_from_one_place() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let config = parse(&format!("plugins: {{ one: {{ oci: 'oci://ghcr.io/acme/one@{digest}' }} }}")).unwrap();
    assert!(config.plugins["one"].is_pinned());
    assert!(config.summary().to_string().contains("plugin   one: oci://ghcr.io/acme/one@sha256:0000"));
    for (plugin, says) in [
        ("oci: sieve", "names no registry"),
        ("oci: ghcr.io/a, path: b.wasm", "this one has more"),
        ("path: a.wasm, digest: sha256:12", "is not a digest"),
        ("source: a, verify: { cosign: { key: k } }", "what is built here is signed by nobody"),
        ("path: a.wasm, verify: { cosign: { key: no-such-key } }", "there is no file /data/no-such-key"),
        ("path: a.wasm, verify: { cosign: { identity: a } }", "did not match any variant"),
    ] {
        let refused = refusal(&format!("plugins: {{ one: {{ {plugin} }} }}"));
        assert!(refused.contains(says), "{refused}");
    }
}
