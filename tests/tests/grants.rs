//! What a provider can reach when it is granted, and what it can not harm with it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::error::{Error, Result};
use larder::object::Key;
use larder::plugin::{GrantedSecrets, Grants, PluginOptions, SecretSource, StateStore};
use larder::provider::StorageProvider;
use larder_tests::Runtime;
use larder_tests::host::{Home, Host};
use serde_json::Value;

const SECRET: &str = "correct horse battery staple";

/// All that the plugin `reach` imports, with one host that may be called.
async fn everything(runtime: &Runtime, folder: &Path, host: &str) -> Grants {
    let source: SecretSource = Box::new(|| Ok(SECRET.to_owned()));
    Grants {
        state: Some(runtime.state(folder, 1 << 20).await),
        secrets: GrantedSecrets::new([("token".to_owned(), source)].into()),
        http: vec![host.parse().unwrap()],
        ..Grants::default()
    }
}

async fn reach_with(
    runtime: &Runtime,
    grants: Grants,
    adjust: impl FnOnce(&mut PluginOptions),
) -> Arc<dyn StorageProvider> {
    let plugin = runtime.load_with("reach", Value::Null, |options| {
        options.grants = grants;
        adjust(options);
    });
    plugin.await.unwrap().provider().unwrap()
}

/// Has the plugin run a command, and returns what it says.
async fn run(provider: &Arc<dyn StorageProvider>, command: &str) -> Result<String> {
    let object = provider.retrieve(&Key::new(command)?, None).await?;
    let bytes = object.body.collect(1 << 20).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A server on loopback that answers each request with `answer`, given its head and its body.
fn server(answer: impl Fn(&str, &[u8]) -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            let end = |request: &[u8]| request.windows(4).position(|window| window == b"\r\n\r\n");
            let whole = |request: &[u8]| {
                end(request).is_some_and(|end| {
                    let chunked = String::from_utf8_lossy(&request[..end]).to_lowercase().contains("chunked");
                    !chunked || request.ends_with(b"0\r\n\r\n")
                })
            };
            while !whole(&request) {
                match connection.read(&mut buffer) {
                    Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
                    _ => break,
                }
            }
            let Some(end) = end(&request) else { continue };
            let head = String::from_utf8_lossy(&request[..end]).into_owned();
            let said = if whole(&request) { answer(&head, &request[end + 4..]) } else { continue };
            let _ = connection.write_all(said.as_bytes());
        }
    });
    address
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_not_granted_is_refused_with_the_line_that_would_grant_it() {
    let (runtime, folder) = (Runtime::new(), tempfile::tempdir().unwrap());
    let all = everything(&runtime, folder.path(), "localhost").await;
    let without = [
        (Grants { state: None, ..all.clone() }, "grants: { state: true }"),
        (Grants { secrets: GrantedSecrets::default(), ..all.clone() }, "grants: { secrets: { NAME: { file: PATH } } }"),
        (Grants { http: Vec::new(), ..all.clone() }, "grants: { http: [HOST] }"),
    ];
    for (grants, line) in without {
        let refused = runtime.load_with("reach", Value::Null, |options| options.grants = grants).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(line), "{refused}");
    }
    let refused = runtime.load_with("sieve", Value::Null, |options| options.grants = all.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("can be granted nothing"), "{refused}");
    reach_with(&runtime, all, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_kept_and_shared_by_all_instances_and_uses() {
    let (runtime, folder) = (Runtime::new(), tempfile::tempdir().unwrap());
    let one = reach_with(&runtime, everything(&runtime, folder.path(), "localhost").await, |options| {
        options.limits.instances = 4;
    });
    let one = one.await;
    let other = reach_with(&runtime, everything(&runtime, folder.path(), "localhost").await, |_| {}).await;
    assert_eq!(run(&one, "get k").await.unwrap(), "absent");
    run(&one, "put-new k v").await.unwrap();
    assert_eq!(run(&other, "get k").await.unwrap(), "v");
    assert!(matches!(run(&other, "put-new k w").await, Err(Error::PreconditionFailed { .. })));

    let counters = (0..6).map(|number| {
        let provider = if number % 2 == 0 { Arc::clone(&one) } else { Arc::clone(&other) };
        tokio::spawn(async move { run(&provider, "count n 10").await.unwrap() })
    });
    for counter in counters.collect::<Vec<_>>() {
        counter.await.unwrap();
    }
    assert_eq!(run(&one, "get n").await.unwrap(), "60");
    assert_eq!(run(&one, "list  1").await.unwrap(), "k more: true");
    assert_eq!(run(&one, "list n 10").await.unwrap(), "n more: false");
    run(&other, "delete k").await.unwrap();
    assert!(matches!(run(&one, "delete k").await, Err(Error::NotFound { .. } | Error::Internal { .. })));

    drop((one, other));
    let again = reach_with(&runtime, everything(&runtime, folder.path(), "localhost").await, |_| {}).await;
    assert_eq!(run(&again, "get n").await.unwrap(), "60");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_state_ends_at_its_limits_and_leaves_the_host_alone() {
    let (runtime, folder) = (Runtime::new(), tempfile::tempdir().unwrap());
    let grants = everything(&runtime, folder.path(), "localhost").await;
    let state = grants.state.clone().unwrap();
    let provider = reach_with(&runtime, grants, |options| {
        options.limits.call_timeout = Some(Duration::from_secs(5));
        options.limits.instances = 2;
    });
    let provider = provider.await;
    // 1 MiB less what each of the entries weighs beside its bytes.
    assert_eq!(run(&provider, "fill 100000").await.unwrap(), "10 then Exhausted");
    assert!(state.used() <= 1 << 20, "{}", state.used());
    assert!(matches!(run(&provider, "put-size 1025 1").await, Err(Error::InvalidInput { .. })));
    assert!(matches!(run(&provider, "put-size 1000000 1").await, Err(Error::InvalidInput { .. })));
    assert!(matches!(run(&provider, "put-size 3 1048577").await, Err(Error::TooLarge { .. })));

    let flood = run(&provider, "pending 5000 1").await.unwrap();
    let refused: u64 = flood.split(' ').nth(2).and_then(|word| word.parse().ok()).unwrap();
    assert!(flood.ends_with(" 0 failed") && refused >= 3000, "{flood}");
    let large = run(&provider, "pending 100 1000000").await;
    assert!(large.is_ok() || matches!(large, Err(Error::Exhausted { .. })), "{large:?}");

    let begun = Instant::now();
    let endless = tokio::spawn({
        let provider = Arc::clone(&provider);
        async move { run(&provider, "list-for-ever").await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..20 {
        assert_eq!(run(&provider, "get absent").await.unwrap(), "absent");
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "others had to wait for {:?}", begun.elapsed());
    assert!(matches!(endless.await.unwrap(), Err(Error::Timeout { .. })));
    run(&provider, "delete fill/0").await.unwrap();
    run(&provider, "put after flood").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_the_plugin_and_no_error() {
    let (runtime, folder) = (Runtime::new(), tempfile::tempdir().unwrap());
    let provider = reach_with(&runtime, everything(&runtime, folder.path(), "localhost").await, |_| {}).await;
    assert_eq!(run(&provider, "secret token").await.unwrap(), SECRET);
    let refused = run(&provider, "secret other").await.unwrap_err();
    assert!(matches!(refused, Error::PermissionDenied { .. }), "{refused:?}");
    assert!(refused.to_string().contains("secrets: { other: { file: PATH } }"), "{refused}");
    let betrayed = run(&provider, "betray token").await.unwrap_err().to_string();
    assert!(betrayed.contains("the secret is (secret)") && !betrayed.contains(SECRET), "{betrayed}");
    let read = run(&provider, "read-secrets token 10000").await.unwrap();
    assert!(read.ends_with("then Unavailable"), "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_calls_the_hosts_that_it_is_granted_and_no_other() {
    let (runtime, folder) = (Runtime::new(), tempfile::tempdir().unwrap());
    let address = server(|head, body| match head.split(' ').nth(1) {
        Some("/away") => "HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n".to_owned(),
        Some("/upload") => ok(&format!("{} bytes of body", body.iter().filter(|byte| **byte == b'x').count())),
        Some("/cut") => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort".to_owned(),
        _ => ok(if head.to_lowercase().contains("x-from: reach") { "hello reach" } else { "hello" }),
    });
    let grants = everything(&runtime, folder.path(), &address.to_string()).await;
    let provider = reach_with(&runtime, grants, |_| {}).await;
    let at = |path: &str| format!("http://{address}{path}");
    assert_eq!(run(&provider, &format!("fetch {}", at("/"))).await.unwrap(), "200 - hello reach");
    assert_eq!(run(&provider, &format!("fetch {}", at("/away"))).await.unwrap(), "302 http://10.0.0.1/ ");
    let upload = run(&provider, &format!("upload {} 300000", at("/upload"))).await.unwrap();
    assert_eq!(upload, "200 300000 bytes of body");
    let broken = run(&provider, &format!("break-upload {}", at("/upload"))).await;
    assert!(broken.is_err(), "{broken:?}");
    let cut = run(&provider, &format!("fetch {}", at("/cut"))).await;
    assert!(matches!(cut, Err(Error::Unavailable { .. })), "{cut:?}");

    for url in [&format!("http://localhost:{}/", address.port()), "http://127.0.0.1/", "http://169.254.169.254/latest"]
    {
        let refused = run(&provider, &format!("fetch {url}")).await.unwrap_err();
        assert!(matches!(refused, Error::PermissionDenied { .. }), "{refused:?}");
        assert!(refused.to_string().contains("`http: ["), "{refused}");
    }
    assert!(matches!(run(&provider, "fetch ftp://a.b/").await, Err(Error::InvalidInput { .. })));
}

#[test]
fn state_outlives_a_kill_and_a_secret_is_nowhere_but_in_the_plugin() {
    let component = larder_tests::built_component("reach");
    let home = Home::new(&format!(
        "data_dir: data\nserver: {{ s3: {{ listen: 127.0.0.1:0 }}, admin: {{ listen: 127.0.0.1:0 }} }}\nplugins:\n  reach:\n    \
         path: {}\n    grants: {{ state: 1MiB, secrets: {{ token: {{ file: token }} }}, http: [localhost], clocks: true }}\n\
         stores:\n  cage: {{ provider_type: reach }}\n",
        component.display()
    ));
    std::fs::write(home.path("token"), format!("{SECRET}\n")).unwrap();
    let ask = |host: &Host, command: &str| {
        let answer = larder_tests::http::get(host.s3, &format!("/cage/{}", command.replace(' ', "%20"))).unwrap();
        (answer.status, answer.text())
    };
    let host = home.serve();
    for number in 0..20 {
        assert_eq!(ask(&host, &format!("put k{number} v{number}")), (200, "stored".to_owned()));
    }
    assert_eq!(ask(&host, "secret token"), (200, SECRET.to_owned()));
    let (_, betrayed) = ask(&host, "betray token");
    let metrics = larder_tests::http::get(host.admin, "/metrics").unwrap().text();
    let log = host.kill();
    let printed = home.succeed(&["--json", "config", "check"]) + &home.succeed(&["config", "check"]);
    for text in [&log, &betrayed, &metrics, &printed] {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert!(log.contains("a plugin read a secret") && log.contains("the secret is (secret)"), "{log}");
    let warning = "is granted `clocks`, and imports nothing that needs it";
    assert_eq!(log.matches(warning).count(), 1, "{log}");

    let host = home.serve();
    for number in 0..20 {
        assert_eq!(ask(&host, &format!("get k{number}")), (200, format!("v{number}")));
    }
    // A secret that was changed is seen without a restart.
    std::fs::write(home.path("token"), "another secret of the same plugin").unwrap();
    assert_eq!(ask(&host, "secret token").1, "another secret of the same plugin");
}

/// A server that speaks TLS, with a certificate for `localhost` of an authority of its own. Killed when dropped.
struct SecureServer {
    child: std::process::Child,
    address: SocketAddr,
}

impl SecureServer {
    /// Starts one in a folder, where `ca.pem` is then the authority, or says that there is none to start.
    fn start(folder: &Path) -> Option<Self> {
        use std::process::{Command, Stdio};

        let openssl = "\
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca \\
    -addext basicConstraints=critical,CA:TRUE
openssl req -newkey rsa:2048 -nodes -keyout key.pem -out csr.pem -subj /CN=localhost
echo subjectAltName=DNS:localhost > names
openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out cert.pem -extfile names
";
        let python = "\
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('content-length', '6')
        self.end_headers()
        self.wfile.write(b'secure')
server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('cert.pem', 'key.pem')
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
";
        let made = Command::new("sh").args(["-ec", openssl]).current_dir(folder).stderr(Stdio::null()).status();
        let mut server = Command::new("python3");
        server.args(["-c", python]).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::null());
        let server = server.spawn();
        let (Ok(true), Ok(mut child)) = (made.map(|made| made.success()), server) else {
            larder_tests::skipped("calls over TLS: there is no openssl, or no python3");
            return None;
        };
        let mut port = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut port).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port.trim().parse().unwrap()));
        Some(Self { child, address })
    }
}

impl Drop for SecureServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_is_called_over_tls_if_the_system_trusts_it_by_that_name() {
    let component = larder_tests::built_component("reach");
    let home = Home::new("");
    let Some(server) = SecureServer::start(&home.path("")) else { return };
    let port = server.address.port();
    home.configure(&format!(
        "data_dir: data\nplugins:\n  reach:\n    path: {}\n    grants: {{ state: true, secrets: {{ token: {{ env: PATH }} }}, \
         http: ['localhost:{port}', '127.0.0.1:{port}'] }}\nstores: {{ cage: {{ provider_type: reach }} }}\n",
        component.display()
    ));
    let fetch = |url: &str, authority: &str| {
        let mut command = home.command(&["get", &format!("cage/fetch {url}")]);
        let output = command.env("SSL_CERT_FILE", home.path(authority)).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let (named, numbered) = (format!("https://localhost:{port}/"), format!("https://127.0.0.1:{port}/"));
    assert_eq!(fetch(&named, "ca.pem"), "200 - secure");
    // The certificate is for the name, and an authority that signed something else is none.
    for said in [fetch(&numbered, "ca.pem"), fetch(&named, "cert.pem")] {
        assert!(said.contains("is not to be trusted"), "{said}");
    }
}

/// The memory and the folder of a state do not grow with what is overwritten.
#[tokio::test(flavor = "multi_thread")]
async fn state_that_is_overwritten_takes_no_more_room() {
    let (runtime, folder) = (Runtime::new(), tempfile::tempdir().unwrap());
    let state: StateStore = runtime.state(folder.path(), 10_000).await;
    for number in 0..200u32 {
        let value = number.to_le_bytes().repeat(1000);
        state.put(Key::new("k").unwrap(), value.into(), larder::provider::Condition::None).await.unwrap();
    }
    assert_eq!(state.used(), StateStore::ENTRY_WEIGHT + 1 + 4000);
}

fn env(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

mod wasi {
    use larder::cache::{Batch, EntryId};
    use larder::plugin::GrantedFolder;

    use super::*;

    async fn guest(
        runtime: &Runtime,
        folder: &Path,
        adjust: impl FnOnce(&mut Grants),
    ) -> Option<Arc<dyn StorageProvider>> {
        let component = larder_tests::wasip2_component("reach").await?;
        let mut grants = everything(runtime, folder, "localhost").await;
        adjust(&mut grants);
        let plugin = runtime.load_file(&component, |options| options.grants = grants).await.unwrap();
        Some(plugin.provider().unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_guest_with_wasi_reaches_nothing_by_default() {
        let (runtime, folder) = (Runtime::new(), tempfile::tempdir().unwrap());
        let Some(provider) = guest(&runtime, folder.path(), |_| {}).await else { return };
        assert_eq!(run(&provider, "time").await.unwrap(), "0");
        assert_eq!(run(&provider, "env PATH").await.unwrap(), "absent");
        for path in ["/etc/passwd", "/", "etc/passwd", "/data/x"] {
            assert!(run(&provider, &format!("read {path}")).await.is_err(), "{path}");
        }
        assert_eq!(run(&provider, "print so").await.unwrap(), "printed");
        // What larder itself offers is there as well.
        run(&provider, "put k v").await.unwrap();
        assert_eq!(run(&provider, "get k").await.unwrap(), "v");
        let other = guest(&runtime, folder.path(), |_| {}).await.unwrap();
        assert_eq!(run(&provider, "random").await.unwrap(), run(&other, "random").await.unwrap());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_guest_with_wasi_reaches_what_it_is_granted() {
        let (runtime, folder) = (Runtime::new(), tempfile::tempdir().unwrap());
        let path = |name: &str| folder.path().join(name);
        for name in ["state", "ro", "rw"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        std::fs::write(path("ro/a"), "from a").unwrap();
        std::fs::write(path("outside"), "not to be read").unwrap();
        std::os::unix::fs::symlink(path("outside"), path("rw/link")).unwrap();
        let grant = |grants: &mut Grants| {
            let folder = |name: &str, write| GrantedFolder { path: path(name), write };
            grants.files = [("/ro".to_owned(), folder("ro", false)), ("/rw".to_owned(), folder("rw", true))].into();
            (grants.clocks, grants.random, grants.env) = (true, true, env(&[("WORD", "said")]));
        };
        let Some(provider) = guest(&runtime, &path("state"), grant).await else { return };
        assert_eq!(run(&provider, "read /ro/a").await.unwrap(), "from a");
        assert!(run(&provider, "write /ro/b x").await.is_err());
        run(&provider, "write /rw/b x").await.unwrap();
        assert_eq!(std::fs::read_to_string(path("rw/b")).unwrap(), "x");
        for path in ["/rw/../outside", "/rw/link", "/ro/../../etc/passwd", "/etc/passwd"] {
            assert!(run(&provider, &format!("read {path}")).await.is_err(), "{path}");
        }
        assert_eq!(run(&provider, "env WORD").await.unwrap(), "said");
        assert_eq!(run(&provider, "env PATH").await.unwrap(), "absent");
        let millis: u64 = run(&provider, "time").await.unwrap().parse().unwrap();
        assert!(millis > 1_700_000_000_000, "{millis}");
        let other = guest(&runtime, &path("state"), grant).await.unwrap();
        assert_ne!(run(&provider, "random").await.unwrap(), run(&other, "random").await.unwrap());

        std::fs::remove_dir_all(path("ro")).unwrap();
        let component = larder_tests::wasip2_component("reach").await.unwrap();
        let mut grants = everything(&runtime, &path("state"), "localhost").await;
        grant(&mut grants);
        let refused = runtime.load_file(&component, |options| options.grants = grants).await.unwrap_err().to_string();
        assert!(refused.contains("granted as /ro"), "{refused}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_guest_calls_out_by_wasi_0_2_as_well() {
        let (runtime, folder) = (Runtime::new(), tempfile::tempdir().unwrap());
        let address = server(|head, _| ok(head.lines().next().unwrap_or_default()));
        let granted = address.to_string();
        let grant = |grants: &mut Grants| grants.http = vec![granted.parse().unwrap()];
        let Some(provider) = guest(&runtime, folder.path(), grant).await else { return };
        let got = run(&provider, &format!("fetch-0.2 {address} /a?b")).await.unwrap();
        assert_eq!(got, "200 GET /a?b HTTP/1.1");
        let refused = run(&provider, "fetch-0.2 localhost:1 /").await.unwrap();
        assert!(refused.contains("HttpRequestDenied"), "{refused}");
        let both = run(&provider, &format!("fetch http://{address}/c")).await.unwrap();
        assert_eq!(both, "200 - GET /c HTTP/1.1");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_strategy_that_prints_or_reads_goes_on_and_one_that_waits_is_stopped() {
        let Some(component) = larder_tests::wasip2_component("chatty").await else { return };
        let runtime = Runtime::new();
        for (habit, fails) in [("prints", false), ("reads", false), ("calls", false), ("sleeps", true)] {
            let plugin = runtime.load_file(&component, |options| {
                options.settings = serde_json::json!({ "habit": habit });
                options.limits.call_timeout = Some(Duration::from_secs(2));
            });
            let mut shard = plugin.await.unwrap().eviction().unwrap().open(100).unwrap();
            let batch = Batch { inserted: vec![0, 1], hashes: vec![1, 2], weights: vec![60, 60], ..Batch::default() };
            let mut victims = Vec::new();
            let begun = Instant::now();
            // On a thread of the runtime, where a strategy is called.
            let chosen = shard.step(&batch, 20, 64, &mut victims);
            match fails {
                false => {
                    chosen.unwrap();
                    assert_eq!(victims, [EntryId(0)], "{habit}");
                }
                true => {
                    let error = chosen.unwrap_err().to_string();
                    assert!(error.contains("it waits for something"), "{error}");
                }
            }
            assert!(begun.elapsed() < Duration::from_secs(1), "{habit} took {:?}", begun.elapsed());
        }
    }
}
