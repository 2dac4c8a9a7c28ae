//! What an operator can get wrong. Nothing of it leaves anything half-started.

use super::*;

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
        "{DOORS}plugins:\n  bucket: {{ path: x.wasm }}\nstores:\n  documents: {{ provider_type: buket }}\n"
    ));
    let (_, said) = home.serve_in_vain();
    says(&said, &["larder.yaml:", "buket", "bucket"]);
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
