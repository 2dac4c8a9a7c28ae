//! What a host finds of itself, as those see it who are told: a real Prometheus, its Alertmanager, and a webhook.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Child;
use std::sync::mpsc::{self, Receiver};

use serde_json::Value;

use super::*;

/// How long a server from Debian has to do what it is there for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that serves on loopback. Killed when dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program, unless this machine does not have it.
fn serve(program: &str, package: &str, arguments: &[String]) -> Option<Served> {
    let started = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    match started {
        Ok(child) => Some(Served(child)),
        Err(_) => {
            skipped(&format!("monitoring: there is no {program} (Debian: apt-get install {package})"));
            None
        }
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Waits until something is there.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        thread::sleep(Duration::from_millis(100));
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Takes what is posted, one request a connection, and hands over the bodies with their heads.
fn receiver() -> (SocketAddr, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, received) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                    break;
                }
                let lower = line.to_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head.push_str(&lower);
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let _ = stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            if length > 0 && sender.send((head, serde_json::from_slice(&body).unwrap())).is_err() {
                return;
            }
        }
    });
    (address, received)
}

/// A store that is full with one object of 1,000 bytes.
fn small_store(rest: &str) -> String {
    format!(
        "{OPEN_DOORS}health: {{ every: 200ms }}\nstores:\n  documents: {{ provider_type: memory, max_size: 1000B }}\n{rest}"
    )
}

#[test]
fn alerts_reach_a_real_alertmanager_and_end_there() {
    let (notified, notifications) = receiver();
    let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
    let config = format!(
        "route: {{ receiver: test, group_wait: 0s, group_interval: 1s, repeat_interval: 1h }}\n\
         receivers: [{{ name: test, webhook_configs: [{{ url: 'http://{notified}/', send_resolved: true }}] }}]\n"
    );
    let file = folder.path().join("alertmanager.yml");
    fs::write(&file, config).unwrap();
    let arguments = [
        format!("--config.file={}", file.display()),
        format!("--storage.path={}", folder.path().join("data").display()),
        format!("--web.listen-address={port}"),
        "--cluster.listen-address=".to_owned(),
    ];
    let Some(_alertmanager) = serve("prometheus-alertmanager", "prometheus-alertmanager", &arguments) else { return };

    let home = Home::new(&small_store(&format!(
        "alerts:\n  rules:\n    - {{ name: full, level: critical, health: 'store:*', state: degraded, for: 1s }}\n\
         \x20 alertmanagers: [{{ url: 'http://{port}', labels: {{ cluster: test }} }}]\n"
    )));
    let host = home.serve();
    says(&home.succeed(&["alert", "ls"]), &["there is no alert"]);
    assert_eq!(http::send(host.s3, "PUT", "/documents/k", &[], &[0; 1000]).unwrap().status, 200);
    eventually("the alert fires", || home.succeed(&["alert", "ls"]).contains("critical").then_some(()));
    says(&home.succeed(&["health"]), &["store:documents", "degraded"]);
    assert_eq!(http::get(host.admin, "/readyz").unwrap().status, 200, "what is degraded still serves");

    let known = eventually("Alertmanager has it", || {
        let answer = http::get(port, "/api/v2/alerts").ok()?;
        json(&answer.text()).as_array().filter(|alerts| !alerts.is_empty()).cloned()
    });
    let labels = &known[0]["labels"];
    let of = |name: &str| labels[name].as_str().unwrap_or_default();
    assert_eq!((of("alertname"), of("severity"), of("cluster")), ("full", "critical", "test"), "{labels}");
    assert_eq!(of("check"), "store:documents");
    let (_, firing) = notifications.recv_timeout(PATIENCE).unwrap();
    assert_eq!(firing["status"], "firing", "{firing}");

    assert_eq!(http::send(host.s3, "DELETE", "/documents/k", &[], b"").unwrap().status, 204);
    let (_, resolved) = notifications.recv_timeout(PATIENCE).unwrap();
    assert_eq!(resolved["status"], "resolved", "{resolved}");
    eventually("Alertmanager has none", || {
        let answer = http::get(port, "/api/v2/alerts?active=true").ok()?;
        json(&answer.text()).as_array().is_some_and(Vec::is_empty).then_some(())
    });
    says(&home.succeed(&["alert", "ls", "--all"]), &["full", "resolved"]);
    let metrics = http::get(host.admin, "/metrics").unwrap().text();
    says(
        &metrics,
        &[
            "larder_alertmanager_requests_total{outcome=\"delivered\"}",
            "larder_health_state{check=\"store:documents\"} 0",
        ],
    );
}

#[test]
fn a_webhook_is_told_of_objects_and_alerts() {
    let (address, received) = receiver();
    let home = Home::new(&small_store(&format!(
        "alerts: {{ rules: [{{ name: full, health: 'store:*' }}] }}\n\
         webhooks:\n  - {{ name: all, url: 'http://{address}/hook', secret: a-shared-secret, authorization: Bearer token }}\n"
    )));
    let host = home.serve();
    assert_eq!(http::send(host.s3, "PUT", "/documents/a%20b", &[], &[7; 1000]).unwrap().status, 200);
    let (mut events, mut heads) = (Vec::new(), Vec::new());
    let mut wait_for = |kind: &str| {
        while !events.iter().any(|event: &Value| event["type"] == kind) {
            let (head, batch) = received.recv_timeout(PATIENCE).unwrap();
            events.extend(batch.as_array().unwrap().clone());
            heads.push(head);
        }
        events.iter().find(|event| event["type"] == kind).cloned().unwrap()
    };
    let created = wait_for("object.created");
    assert_eq!((&created["source"], &created["subject"]), (&"/stores/documents".into(), &"a b".into()));
    assert_eq!(created["data"]["size"], 1000);
    let firing = wait_for("alert.firing");
    assert_eq!((&firing["subject"], &firing["data"]["level"]), (&"full".into(), &"warning".into()));
    assert_eq!(http::send(host.s3, "DELETE", "/documents/a%20b", &[], b"").unwrap().status, 204);
    wait_for("object.deleted");
    wait_for("alert.resolved");
    assert!(!events.iter().any(|event| event["subject"] == ".larder/health-probe"), "probes are nobody's objects");
    let sequences: Vec<&str> = events.iter().map(|event| event["sequence"].as_str().unwrap()).collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
    for head in heads {
        says(&head, &["post /hook", "authorization: bearer token", "webhook-id: ", "webhook-signature: v1,"]);
        says(&head, &["content-type: application/cloudevents-batch+json"]);
    }
    let (status, log) = host.stop();
    assert!(status.success());
    assert!(!log.contains("a-shared-secret") && !log.contains("Bearer token"), "a secret is in the log");
}

#[test]
fn events_are_told_as_they_happen() {
    let home = Home::new(&format!(
        "{OPEN_DOORS}stores:\n  documents: {{ provider_type: memory }}\n  other-store: {{ provider_type: memory }}\n"
    ));
    let host = home.serve();
    let mut command = home.command(&["events", "--json", "--store", "documents", "--type", "object.*"]);
    let mut telling = Served(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(telling.0.stdout.take().unwrap()).lines();
    // It listens at some moment from now on.
    let (s3, stop) = (host.s3, AtomicBool::new(false));
    let event = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(http::send(s3, "PUT", "/other-store/k", &[], b"x").unwrap().status, 200);
                assert_eq!(http::send(s3, "PUT", "/documents/k", &[], b"bytes").unwrap().status, 200);
                thread::sleep(Duration::from_millis(50));
            }
        });
        let event = json(&lines.next().unwrap().unwrap());
        stop.store(true, Ordering::Relaxed);
        event
    });
    assert_eq!((&event["type"], &event["source"]), (&"object.created".into(), &"/stores/documents".into()));
    let (code, said) = home.fail(&["events", "--type", "nothing"]);
    assert_eq!(code, 1, "{said}");
    says(&said, &["\"nothing\" is no type of event", "object.created"]);
    assert!(host.stop().0.success(), "whoever listens does not hold it up");
    assert!(lines.all(|line| json(&line.unwrap())["source"] == "/stores/documents"));
}

#[test]
fn prometheus_scrapes_what_the_dashboard_and_the_rules_ask_for() {
    let config = project().join("config");
    let promtool = |arguments: &[&str], input: &str| {
        let mut command = Command::new("promtool");
        command
            .args(arguments)
            .current_dir(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "promtool {arguments:?}: {said}");
        said
    };
    let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
    let (address, _received) = receiver();
    let component = built_component("zoo");
    let home = Home::new(&format!(
        "{OPEN_DOORS}health: {{ every: 1s }}\nplugins:\n  zoo: {{ path: {} }}\nstores:\n  documents:\n    provider_type: file\n    cache: {{ size_limit: 1MiB }}\n    backup: {{ to: backups, schedule: '@yearly' }}\n  cage: {{ provider_type: zoo }}\n\
         webhooks: [{{ name: all, url: 'http://{address}/' }}]\n",
        component.display()
    ));
    let host = home.serve();
    let file = folder.path().join("prometheus.yml");
    let scrape = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: ['{}']\n\
         scrape_configs: [{{ job_name: larder, static_configs: [{{ targets: ['{}'] }}] }}]\n",
        config.join("prometheus-rules.yaml").display(),
        host.admin
    );
    fs::write(&file, scrape).unwrap();
    let arguments = [
        format!("--config.file={}", file.display()),
        format!("--storage.tsdb.path={}", folder.path().join("data").display()),
        format!("--web.listen-address={port}"),
    ];
    let Some(_prometheus) = serve("prometheus", "prometheus", &arguments) else { return };

    assert_eq!(http::send(host.s3, "PUT", "/documents/k", &[], b"bytes").unwrap().status, 200);
    assert_eq!(http::get(host.s3, "/documents/k").unwrap().status, 200);
    assert_eq!(http::send(host.s3, "PUT", "/cage/k", &[], b"bytes").unwrap().status, 200);
    // Its fault is one that metrics tell of.
    assert_eq!(http::get(host.s3, "/cage/trap/a").unwrap().status, 503);
    home.succeed(&["task", "run", "backup:documents"]);
    home.succeed(&["task", "run", "usage:documents"]);
    promtool(&["check", "rules", "prometheus-rules.yaml"], "");
    promtool(&["test", "rules", "prometheus-rules.test.yaml"], "");
    let metrics = http::get(host.admin, "/metrics").unwrap().text();
    promtool(&["check", "metrics"], &metrics);

    let ask = |path: &str, query: &str| {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        Some(json(&http::get(port, &format!("{path}?query={encoded}")).ok()?.text()))
    };
    eventually("Prometheus has scraped", || {
        let answer = ask("/api/v1/query", "up{job=\"larder\"}")?;
        (answer["data"]["result"][0]["value"][1] == "1").then_some(())
    });
    let dashboard = json(&fs::read_to_string(config.join("grafana-dashboard.json")).unwrap());
    let targets =
        dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut asked = 0;
    for expression in targets.map(|target| target["expr"].as_str().unwrap()) {
        let query = expression.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$store", ".*");
        // A series that is rare may not be there yet, but what it is made of is known.
        let answer = ask("/api/v1/query", &query).unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        for metric in query
            .split(|end: char| !end.is_ascii_alphanumeric() && end != '_')
            .filter(|word| word.starts_with("larder_"))
        {
            assert!(metrics.contains(metric), "{metric} of the dashboard is no metric");
        }
        asked += 1;
    }
    assert!(asked > 15, "the dashboard asks for something");
    let rules = json(&http::get(port, "/api/v1/rules").unwrap().text());
    let rules = rules["data"]["groups"][0]["rules"].as_array().unwrap().clone();
    assert!(rules.len() > 5);
    eventually("the rules are asked", || {
        let answer = json(&http::get(port, "/api/v1/rules").unwrap().text());
        let rules = answer["data"]["groups"][0]["rules"].as_array().unwrap().clone();
        rules.iter().all(|rule| rule["health"] == "ok").then_some(())
    });
}
