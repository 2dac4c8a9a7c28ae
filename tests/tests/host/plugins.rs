//! Plugins that are replaced, fail too often, and are started again, while the host serves.

use super::*;

/// The layer `versions` from a file in the home, over two stores of files.
fn layered(home: &Path, keep: u32) -> String {
    format!(
        "{OPEN_DOORS}\
plugins:
  versions:
    path: {}
    config: {{ keep: {keep} }}
    grants: {{ stores: {{ current: current, history: history }} }}
    limits: {{ instances: 4 }}
stores:
  notebook: {{ provider_type: versions }}
  current: {{ provider_type: file, internal: true }}
  history: {{ provider_type: file, internal: true }}
",
        home.join("versions.wasm").display()
    )
}

/// The same component with other bytes: a custom section more, which nothing looks at.
fn another(component: &[u8], mark: u8) -> Vec<u8> {
    [component, &[0, 3, 1, b'x', mark]].concat()
}

fn digests(home: &Home) -> Vec<String> {
    let listed: serde_json::Value = serde_json::from_str(&home.succeed(&["--json", "plugin", "list"])).unwrap();
    let at_work = listed.as_array().unwrap().iter().flat_map(|plugin| plugin["at_work"].as_array().unwrap());
    at_work.map(|report| report["digest"].as_str().unwrap().to_owned()).collect()
}

/// Waits for what happens by itself.
fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{what}: not within two minutes");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_changed_plugin_takes_over_and_no_request_fails() {
    let component = fs::read(built_component("versions")).unwrap();
    let home = Home::new("");
    home.configure(&layered(&home.path(""), 2));
    fs::write(home.path("versions.wasm"), &component).unwrap();
    let host = home.serve();
    let first = digests(&home);
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let s3 = host.s3;
    thread::scope(|scope| {
        for client in 0..4u64 {
            let (done, answered) = (&done, &answered);
            scope.spawn(move || {
                for number in 0.. {
                    let (path, bytes) = (format!("/notebook/{client}/{}", number % 10), noise(number, 20_000));
                    assert_eq!(http::send(s3, "PUT", &path, &[], &bytes).unwrap().status, 200);
                    let answer = http::get(s3, &path).unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    assert!(answer.body == bytes, "{path} is another one");
                    answered.fetch_add(1, Ordering::Relaxed);
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        let some_answered = || {
            let before = answered.load(Ordering::Relaxed);
            eventually("requests are answered", || answered.load(Ordering::Relaxed) > before + 20);
        };
        some_answered();
        for mark in 0..5 {
            fs::write(home.path("versions.wasm"), another(&component, mark)).unwrap();
            says(&home.succeed(&["plugin", "reload"]), &["versions", "notebook", "replaced by sha256:"]);
            some_answered();
        }
        home.configure(&layered(&home.path(""), 3));
        says(&home.succeed(&["plugin", "reload"]), &["replaced by sha256:"]);
        says(&home.succeed(&["plugin", "reload"]), &["unchanged"]);

        fs::write(home.path("versions.wasm"), &component[..component.len() / 2]).unwrap();
        let (code, said) = home.fail(&["plugin", "reload"]);
        assert_eq!(code, 1, "{said}");
        says(&said, &["kept as it was", "broken or cut-off"]);
        some_answered();

        done.store(true, Ordering::Relaxed);
    });
    home.configure(&layered(&home.path(""), 3));
    let last = digests(&home);
    assert_ne!(first, last);
    let metrics = http::get(host.admin, "/metrics").unwrap().text();
    says(
        &metrics,
        &[
            "larder_plugin_starts_total{plugin=\"versions\",store=\"notebook\"}",
            "larder_plugin_load_failures_total{plugin=\"versions\",reason=\"not-a-component\",store=\"notebook\"} 1",
        ],
    );
    assert!(!metrics.contains("larder_plugin_faults_total{"), "{metrics}");
    let (_, log) = host.stop();
    says(&log, &["the plugin was replaced", "goes on as it is"]);
}

#[test]
fn what_changes_beside_the_plugins_is_said_to_need_a_restart() {
    let home = Home::new(&format!("{DOORS}{DOCUMENTS}"));
    let _host = home.serve();
    home.configure(&format!("{DOORS}{DOCUMENTS}  more: {{ provider_type: memory }}\n"));
    let output = home.run(&["plugin", "reload"]);
    assert!(output.status.success());
    says(&String::from_utf8_lossy(&output.stderr), &["`stores` changed", "restart"]);
}

#[test]
fn a_plugin_that_fails_again_and_again_is_quarantined_until_it_is_reset() {
    let home = Home::new(&format!(
        "{OPEN_DOORS}\
plugins:
  zoo: {{ path: {}, restart: {{ backoff: 1ms, quarantine_after: 3 }} }}
stores:
  cage: {{ provider_type: zoo }}
  documents: {{ provider_type: file }}
",
        built_component("zoo").display()
    ));
    let host = home.serve();
    assert_eq!(http::send(host.s3, "PUT", "/documents/k", &[], b"bytes").unwrap().status, 200);
    for _ in 0..3 {
        assert_eq!(http::get(host.s3, "/cage/trap/a").unwrap().status, 503);
        thread::sleep(Duration::from_millis(10));
    }
    let answer = http::get(host.s3, "/cage/good").unwrap();
    assert_eq!(answer.status, 503);
    says(&answer.text(), &["quarantined", "larder plugin reset zoo"]);
    assert_eq!(http::get(host.s3, "/documents/k").unwrap().body, b"bytes");

    says(&home.succeed(&["plugin", "list"]), &["zoo", "cage", "quarantined since", "wasm `unreachable`"]);
    let readiness = http::get(host.admin, "/readyz").unwrap();
    assert_eq!(readiness.status, 503);
    says(&readiness.text(), &["plugin:zoo", "\"componentId\":\"cage\"", "quarantined since"]);
    let metrics = http::get(host.admin, "/metrics").unwrap().text();
    says(
        &metrics,
        &[
            "larder_plugin_faults_total{fault=\"trap\",plugin=\"zoo\",store=\"cage\"} 3\n",
            "larder_plugin_state{plugin=\"zoo\",store=\"cage\"} 2\n",
        ],
    );

    says(&home.fail(&["plugin", "reset", "ape"]).1, &["no plugin ape is at work"]);
    home.succeed(&["plugin", "reset", "zoo"]);
    assert_eq!(http::send(host.s3, "PUT", "/cage/good", &[], b"again").unwrap().status, 200);
    says(&home.succeed(&["plugin", "list"]), &["running"]);
    let (_, log) = host.stop();
    // The panic's own words, the backtrace of the guest, and what was done about it.
    says(&log, &["a trap was asked for", "wasm backtrace", "zoo::", "quarantined"]);
}

#[test]
fn a_watching_host_takes_over_what_is_saved() {
    let component = fs::read(built_component("versions")).unwrap();
    let home = Home::new("");
    home.configure(&layered(&home.path(""), 2));
    fs::write(home.path("versions.wasm"), &component).unwrap();
    let host = home.serve_with(&["--watch"]);
    let first = digests(&home);
    fs::write(home.path("versions.wasm"), another(&component, 7)).unwrap();
    eventually("the new component is at work", || digests(&home) != first);
    assert_eq!(http::send(host.s3, "PUT", "/notebook/k", &[], b"bytes").unwrap().status, 200);
    drop(host);
}

/// The source of a policy that deletes what is so many days old.
fn policy(days: u32) -> String {
    format!(
        "use std::time::Duration;
use larder_sdk::{{Candidate, LifecyclePolicy, Result, Timestamp}};
struct Old;
impl LifecyclePolicy for Old {{
    type Config = ();
    fn open(_: ()) -> Result<Self> {{
        Ok(Self)
    }}
    fn should_delete(&self, candidate: &Candidate, now: Timestamp) -> bool {{
        now.since(candidate.metadata.updated_at) >= Duration::from_secs({days} * 86_400)
    }}
}}
larder_sdk::export!(lifecycle: Old);
"
    )
}

#[test]
fn a_watching_host_builds_what_is_edited_and_goes_on_with_the_old_where_that_fails() {
    let home = Home::new(&format!(
        "{OPEN_DOORS}\
plugins:
  old: {{ source: old }}
stores:
  documents: {{ provider_type: file, lifecycle: {{ policies: [old], every: 1h }} }}
"
    ));
    fs::create_dir_all(home.path("old/src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"old\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n\
         [dependencies]\nlarder-sdk = {{ path = {:?} }}\n[workspace]\n",
        project().join("sdk")
    );
    fs::write(home.path("old/Cargo.toml"), manifest).unwrap();
    let source = home.path("old/src/lib.rs");
    fs::write(&source, policy(2)).unwrap();
    let host = home.serve_with(&["--watch"]);
    let first = digests(&home);

    fs::write(&source, policy(3)).unwrap();
    eventually("the edited policy is at work", || digests(&home) != first);
    let second = digests(&home);
    fs::write(&source, "this is no Rust").unwrap();
    thread::sleep(Duration::from_secs(5));
    assert_eq!(digests(&home), second);
    fs::write(&source, policy(2)).unwrap();
    eventually("the first policy is back", || digests(&home) == first);
    let (_, log) = host.stop();
    says(&log, &["goes on as it is", "the plugin was replaced"]);
}
