//! The command line beside a host and without one.

use super::*;

#[test]
fn objects_put_without_a_host_are_there_with_one_and_the_other_way_round() {
    let home = Home::new(&format!("{DOORS}{DOCUMENTS}"));
    let bytes = noise(1, 3 << 20);
    fs::write(home.path("file"), &bytes).unwrap();
    home.succeed(&["put", "documents/alone", "file", "--tag", "by=command", "--content-type", "text/plain"]);

    let host = home.serve();
    let stat = home.succeed(&["--json", "stat", "documents/alone"]);
    says(&stat, &["\"by\"", "\"command\"", "text/plain", "3145728"]);
    home.succeed(&["get", "documents/alone", "copy"]);
    assert!(fs::read(home.path("copy")).unwrap() == bytes);
    home.succeed(&["put", "documents/beside", "file"]);
    home.succeed(&["rm", "documents/alone"]);
    // What a command did is what the host did: it counted it.
    let metrics = http::get(host.admin, "/metrics").unwrap().text();
    says(&metrics, &["larder_writes_total{store=\"documents\"} 1", "larder_deletes_total{store=\"documents\"} 1"]);

    assert_eq!(host.stop().0.code(), Some(0));
    home.succeed(&["get", "documents/beside", "another"]);
    assert!(fs::read(home.path("another")).unwrap() == bytes);
    assert_eq!(home.fail(&["get", "documents/alone"]).0, 3);
}

#[test]
fn commands_at_the_same_time_wait_for_each_other() {
    let home = Home::new(&format!("{DOORS}{DOCUMENTS}"));
    thread::scope(|scope| {
        for number in 0..6 {
            let home = &home;
            scope.spawn(move || {
                let (file, address) = (format!("file{number}"), format!("documents/{number}"));
                fs::write(home.path(&file), noise(number, 100_000)).unwrap();
                home.succeed(&["put", &address, &file]);
            });
        }
    });
    for number in 0..6 {
        home.succeed(&["get", &format!("documents/{number}"), "copy"]);
        assert!(fs::read(home.path("copy")).unwrap() == noise(number, 100_000));
    }
}

#[test]
fn a_store_is_checked_while_it_goes_on() {
    let home = Home::new(&format!("{OPEN_DOORS}{DOCUMENTS}  quick: {{ provider_type: memory }}\n"));
    let host = home.serve();
    let put = |key: &str, bytes: &[u8]| {
        let path = format!("/documents/{key}");
        assert_eq!(http::send(host.s3, "PUT", &path, &[], bytes).unwrap().status, 200);
    };
    put("small", b"small");
    put("large", &noise(1, 300_000));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                (0..20).for_each(|n| put(&format!("other/{n}"), &noise(n, 20_000 * n as usize)));
            }
        });
        for _ in 0..5 {
            says(&home.succeed(&["store", "check", "documents"]), &["documents is sound", "damage: 0"]);
        }
        stop.store(true, Ordering::Relaxed);
    });
    says(&home.succeed(&["--json", "store", "check", "quick"]), &["\"objects\": 0"]);
    assert_eq!(home.fail(&["store", "check", "none"]).0, 3);

    let body = home.path("data/stores/documents/bodies/000000/000/0000000000000002");
    let mut bytes = fs::read(&body).unwrap();
    bytes[100_000] ^= 1;
    fs::write(&body, bytes).unwrap();
    let (exit, _) = home.fail(&["store", "check", "documents"]);
    assert_eq!(exit, 1);
    let output = home.run(&["--json", "store", "check", "documents"]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["damage"], &said["findings"][0]["key"]), (&1.into(), &"large".into()), "{said}");
    host.stop();
}
