//! Components from a registry: a real one, on loopback, filled by plain HTTP in the layout of wkg.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use larder::object::Digest;
use larder_tests::host::Home;
use larder_tests::{built_component, http, skipped};
use tempfile::TempDir;

/// `user` with the password `larder-pass`, as `htpasswd -B` writes it.
const HTPASSWD: &str = "user:$2a$04$Y6anAKH4NPVGsQovmmdOhu59uzqk0KW7HIvq4aPwVeG9Jr.BPiOAO\n";
const AUTHORIZATION: &str = "Basic dXNlcjpsYXJkZXItcGFzcw==";
const DOORS: &str = "data_dir: data\nserver: { s3: { listen: 127.0.0.1:0 }, admin: { listen: 127.0.0.1:0 } }\n";

/// A registry of its own for a test. Killed when dropped.
struct Registry {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
    authorization: Option<&'static str>,
}

impl Registry {
    /// Starts one, or says that there is none to start.
    fn start(authorization: Option<&'static str>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
             http: {{ addr: '{address}' }}\n",
            folder.path().join("blobs").display()
        );
        if authorization.is_some() {
            let users = folder.path().join("htpasswd");
            fs::write(&users, HTPASSWD).unwrap();
            config.push_str(&format!("auth: {{ htpasswd: {{ realm: larder, path: {} }} }}\n", users.display()));
        }
        let path = folder.path().join("config.yml");
        fs::write(&path, config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(child) = command.spawn() else {
            skipped(
                "components from a registry: there is no docker-registry (Debian: apt-get install docker-registry)",
            );
            return None;
        };
        let registry = Self { child, address, folder, authorization };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the registry does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(registry)
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> http::Answer {
        let mut headers = headers.to_vec();
        headers.extend(self.authorization.map(|authorization| ("Authorization", authorization)));
        http::send(self.address, method, path, &headers, body).unwrap()
    }

    fn push_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let begun = self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"");
        assert_eq!(begun.status, 202, "{}", begun.text());
        let location = begun.head.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap();
        let path = &location[location.find("/v2/").unwrap()..];
        let stored = self.send(
            "PUT",
            &format!("{path}&digest={digest}"),
            &[("Content-Type", "application/octet-stream")],
            bytes,
        );
        assert_eq!(stored.status, 201, "{}", stored.text());
        digest
    }

    /// Pushes a component under a tag, as wkg does, and returns the digest of its manifest.
    fn push(&self, repository: &str, tag: &str, component: &[u8], config_type: &str) -> Digest {
        let layer = self.push_blob(repository, component);
        let config = format!(r#"{{"architecture":"wasm","os":"wasip2","layerDigests":["{layer}"]}}"#);
        let (size, config) = (config.len(), self.push_blob(repository, config.as_bytes()));
        let descriptor = |kind: &str, digest: &Digest, size: usize| {
            format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#)
        };
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}]}}"#,
            descriptor(config_type, &config, size),
            descriptor("application/wasm", &layer, component.len())
        );
        let kind = [("Content-Type", MANIFEST)];
        let stored = self.send("PUT", &format!("/v2/{repository}/manifests/{tag}"), &kind, manifest.as_bytes());
        assert_eq!(stored.status, 201, "{}", stored.text());
        Digest::of(manifest.as_bytes())
    }

    /// The file in which the registry keeps a blob.
    fn blob(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let blobs = self.folder.path().join("blobs/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const WASM: &str = "application/vnd.wasm.config.v0+json";

fn sieve() -> Vec<u8> {
    fs::read(built_component("sieve")).unwrap()
}

/// A configuration with a store whose cache the plugin chooses for.
fn cached_by(plugin: &str) -> String {
    format!(
        "{DOORS}plugins:\n  pulled: {{ {plugin} }}\nstores:\n  documents: {{ provider_type: memory, cache: {{ eviction_policy: \
         pulled }} }}\n"
    )
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

#[test]
fn a_component_is_pulled_by_its_tag_and_served_by_its_digest_without_the_registry() {
    let Some(registry) = Registry::start(None) else { return };
    let manifest = registry.push("acme/sieve", "1.0", &sieve(), WASM);
    let at = format!("{}/acme/sieve", registry.address);
    let home = Home::new(&cached_by(&format!("oci: '{at}@{manifest}'")));

    let pulled = home.succeed(&["plugin", "pull", &format!("{at}:1.0")]);
    assert_eq!(pulled.trim(), format!("oci://{at}:1.0@{manifest}"));
    let kept = home.path("data/components/sha256").join(Digest::of(&sieve()).hex());
    assert!(fs::read(&kept).unwrap() == sieve());
    let inspected = home.succeed(&["--json", "plugin", "inspect", &format!("oci://{at}:1.0")]);
    says(&inspected, &["\"kind\": \"eviction\"", &Digest::of(&sieve()).to_string(), "larder-sdk"]);

    // A tag that nothing is known of any more but what it was the last time.
    let by_tag = Home::new(&cached_by(&format!("oci: '{at}:1.0'")));
    by_tag.succeed(&["plugin", "pull", &format!("oci://{at}:1.0")]);
    drop(registry);
    let host = home.serve();
    says(&host.ready.to_string(), &[&Digest::of(&sieve()).to_string()]);
    drop(host);
    let (_, log) = by_tag.serve().stop();
    says(&log, &["can not be reached", "which it was the last time"]);

    // What is damaged is not loaded, and can not be fetched anew.
    fs::File::options().append(true).open(&kept).unwrap().write_all(b"x").unwrap();
    let (_, said) = home.serve_in_vain();
    says(&said, &["can not be reached", "pulled"]);
    let (code, said) = home.fail(&["plugin", "pull", &format!("{at}@{manifest}")]);
    assert_eq!(code, 5, "{said}");
}

#[test]
fn a_plugin_that_was_never_pulled_is_pulled_when_the_host_starts() {
    let Some(registry) = Registry::start(None) else { return };
    let manifest = registry.push("acme/sieve", "1.0", &sieve(), WASM);
    let home = Home::new(&cached_by(&format!("oci: 'oci://{}/acme/sieve:1.0@{manifest}'", registry.address)));
    let host = home.serve();
    assert_eq!(http::send(host.s3, "PUT", "/documents/k", &[], b"bytes").unwrap().status, 200);
    assert_eq!(http::get(host.s3, "/documents/k").unwrap().body, b"bytes");
}

#[test]
fn what_is_not_what_was_asked_for_is_refused() {
    let Some(registry) = Registry::start(None) else { return };
    let at = format!("{}/acme/sieve", registry.address);
    let home = Home::new(DOORS);
    let manifest = registry.push("acme/sieve", "1.0", &sieve(), WASM);
    let pull = |reference: &str| home.fail(&["plugin", "pull", reference]);

    let (code, said) = pull(&format!("{at}:2.0"));
    assert_eq!(code, 3, "{said}");
    let (_, said) = pull("acme/sieve");
    says(&said, &["names no registry"]);
    let image = "application/vnd.oci.image.config.v1+json";
    registry.push("acme/sieve", "image", &sieve(), image);
    let (_, said) = pull(&format!("{at}:image"));
    says(&said, &["is no WebAssembly component", image]);

    // A registry whose blobs were changed behind its back.
    let blob = registry.blob(&Digest::of(&sieve()));
    let mut other = sieve();
    *other.last_mut().unwrap() ^= 1;
    fs::write(&blob, &other).unwrap();
    let (_, said) = pull(&format!("{at}@{manifest}"));
    says(&said, &["has the digest", &Digest::of(&other).to_string(), &Digest::of(&sieve()).to_string()]);
    let kept = |folder: &Path| fs::read_dir(folder).map_or(0, Iterator::count);
    // Its manifest is right, and is kept; of the blob nothing is.
    assert_eq!(kept(&home.path("data/components/sha256")), 2, "the manifests of the two that were found");
}

#[test]
fn a_registry_with_a_password_is_read_with_it_alone() {
    let Some(registry) = Registry::start(Some(AUTHORIZATION)) else { return };
    let manifest = registry.push("acme/sieve", "1.0", &sieve(), WASM);
    let reference = format!("{}/acme/sieve@{manifest}", registry.address);
    let home = Home::new(DOORS);
    let pull = |auths: &str| {
        let mut command = home.command(&["plugin", "pull", &reference]);
        command.env("DOCKER_AUTH_CONFIG", auths).output().unwrap()
    };
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let nobody = pull(r#"{"auths":{}}"#);
    says(&said(&nobody), &["wants a name and a password", "docker login"]);
    let auth = |password: &str| {
        format!(r#"{{"auths":{{"{}":{{"username":"user","password":"{password}"}}}}}}"#, registry.address)
    };
    let stranger = pull(&auth("not-the-password"));
    says(&said(&stranger), &["refuses"]);
    assert!(!said(&stranger).contains("not-the-password"));
    assert!(pull(&auth("larder-pass")).status.success());

    // Docker's own file serves as well.
    fs::remove_dir_all(home.path("data")).unwrap();
    fs::create_dir(home.path("docker")).unwrap();
    fs::write(home.path("docker/config.json"), auth("larder-pass")).unwrap();
    let mut command = home.command(&["plugin", "pull", &reference]);
    let output = command.env_remove("DOCKER_AUTH_CONFIG").env("DOCKER_CONFIG", home.path("docker")).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_pinned_plugin_is_that_one_or_none() {
    let (component, right) = (built_component("sieve"), Digest::of(&sieve()));
    let other = Digest::of(b"another one");
    let with = |digest: &Digest| cached_by(&format!("path: {}, digest: '{digest}'", component.display()));
    let home = Home::new(&with(&right));
    drop(home.serve());
    home.configure(&with(&other));
    let (_, said) = home.serve_in_vain();
    says(&said, &[&right.to_string(), &other.to_string(), "sieve"]);

    let strict = |plugin: &str| format!("supply_chain: {{ require_digest: true }}\n{}", cached_by(plugin));
    let path = component.display();
    for plugin in [&format!("path: {path}"), "source: .", "oci: 'ghcr.io/acme/sieve:1.0'"] {
        home.configure(&strict(plugin));
        let (_, said) = home.fail(&["config", "check"]);
        says(&said, &["larder.yaml:5:3", "plugins.pulled", "supply_chain.require_digest"]);
    }
    home.configure(&strict(&format!("path: {path}, digest: '{right}'")));
    says(&home.succeed(&["config", "check"]), &["pinned"]);
    home.configure(&strict(&format!("oci: 'ghcr.io/acme/sieve@{right}'")));
    home.succeed(&["config", "check"]);
}

/// A program on the path that is called `cosign` and writes down how it was called.
fn with_cosign(home: &Home, script: &str) -> std::ffi::OsString {
    use std::os::unix::fs::PermissionsExt;
    let bin = home.path("bin");
    let _ = fs::create_dir(&bin);
    fs::write(bin.join("cosign"), format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(bin.join("cosign"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    format!("{}:{path}", bin.display()).into()
}

/// How cosign is called, and what comes of its answer; whether a signature is right is cosign's to say.
#[test]
fn a_signature_that_cosign_does_not_confirm_refuses_the_plugin() {
    let (provider, verify) = (built_component("versions"), "verify: { cosign: { key: cosign.pub } }");
    let home = Home::new(&format!(
        "{DOORS}plugins:\n  versions: {{ path: {}, grants: {{ stores: {{ current: one, history: two }} }}, {verify} }}\n\
         stores:\n  documents: {{ provider_type: versions }}\n  one: {{ provider_type: file }}\n  two: {{ provider_type: \
         file }}\n",
        provider.display()
    ));
    fs::write(home.path("cosign.pub"), "a public key").unwrap();
    let list = |path: &std::ffi::OsStr| {
        let mut command = home.command(&["ls", "documents"]);
        let output = command.env("PATH", path).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (_, said) = list(std::ffi::OsStr::new("/nonexistent"));
    says(&said, &["no program `cosign`", "versions"]);
    let refusing = with_cosign(&home, "echo \"$@\" > called; echo 'Error: no matching signatures' >&2; exit 1");
    let (worked, said) = list(&refusing);
    assert!(!worked);
    says(&said, &["its signature does not hold", "no matching signatures"]);
    let called = fs::read_to_string(home.path("called")).unwrap();
    let bundle = format!("--bundle {}.sigstore.json", provider.display());
    says(&called, &["verify-blob --key", "cosign.pub", &bundle]);
    let copy = called.trim().rsplit(' ').next().unwrap();
    assert!(copy.contains("components/sha256/") && fs::read(copy).unwrap() == fs::read(&provider).unwrap());
    let (worked, said) = list(&with_cosign(&home, "exit 0"));
    assert!(worked, "{said}");
}
