//! A host that is killed, and a plugin that never returns.

use super::*;

#[test]
fn every_acknowledged_object_outlives_a_kill() {
    let home = Home::new(&format!("{OPEN_DOORS}{DOCUMENTS}"));
    let acknowledged = Mutex::new(BTreeMap::new());
    for round in 0..3u64 {
        let host = home.serve();
        let (killed, counted) = (AtomicBool::new(false), AtomicUsize::new(0));
        let s3 = host.s3;
        thread::scope(|scope| {
            for writer in 0..6u64 {
                let (acknowledged, killed, counted) = (&acknowledged, &killed, &counted);
                scope.spawn(move || {
                    for number in 0.. {
                        // Some keys are overwritten in every round, and sizes are on both sides of what goes inline.
                        let name = if number % 3 == 0 {
                            format!("kept/{writer}/{number}")
                        } else {
                            format!("new/{round}/{writer}/{number}")
                        };
                        let seed = round << 32 | writer << 16 | number;
                        let size = [10, 3_000, 90_000, 400_000][number as usize % 4];
                        let answer = http::send(s3, "PUT", &format!("/documents/{name}"), &[], &noise(seed, size));
                        match answer {
                            Ok(answer) => {
                                assert_eq!(answer.status, 200, "{}", answer.text());
                                acknowledged.lock().unwrap().insert(name, (seed, size));
                                counted.fetch_add(1, Ordering::Relaxed);
                            }
                            // Whether a write that was cut off happened is not known: either version may be there.
                            Err(_) => {
                                acknowledged.lock().unwrap().remove(&name);
                                break;
                            }
                        }
                        if killed.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                });
            }
            let begun = Instant::now();
            while counted.load(Ordering::Relaxed) < 60 && begun.elapsed() < Duration::from_secs(20) {
                thread::sleep(Duration::from_millis(5));
            }
            host.kill();
            killed.store(true, Ordering::Relaxed);
        });
        assert!(counted.load(Ordering::Relaxed) >= 60, "the load was no load");
    }
    let host = home.serve();
    let acknowledged = acknowledged.into_inner().unwrap();
    for (name, (seed, size)) in &acknowledged {
        let answer = http::get(host.s3, &format!("/documents/{name}")).unwrap();
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert!(answer.body == noise(*seed, *size), "{name} is another one");
    }
    // What was not acknowledged is there whole or not at all: reading checks.
    let listed = home.succeed(&["--json", "ls", "-r", "documents"]);
    assert!(listed.lines().count() >= acknowledged.len());
    home.succeed(&["cp", "-r", "larder://documents", "all"]);
}

#[test]
fn an_endless_loop_in_a_plugin_is_an_error_for_its_caller_alone() {
    let home = Home::new(&format!(
        "{OPEN_DOORS}\
plugins:
  zoo: {{ path: {}, limits: {{ call_timeout: 2s }} }}
stores:
  cage: {{ provider_type: zoo }}
  documents: {{ provider_type: file }}
",
        built_component("zoo").display()
    ));
    let host = home.serve();
    assert_eq!(http::send(host.s3, "PUT", "/documents/k", &[], b"bytes").unwrap().status, 200);
    let begun = Instant::now();
    thread::scope(|scope| {
        let looping = scope.spawn(|| http::get(host.s3, "/cage/loop/a").unwrap());
        thread::sleep(Duration::from_millis(100));
        for _ in 0..100 {
            assert_eq!(http::get(host.s3, "/documents/k").unwrap().body, b"bytes");
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "others had to wait for {:?}", begun.elapsed());
        let answer = looping.join().unwrap();
        assert!(matches!(answer.status, 500..=504), "{}: {}", answer.status, answer.text());
        says(&answer.text(), &["limits.call_timeout"]);
    });
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    assert_eq!(http::send(host.s3, "PUT", "/cage/good", &[], b"again").unwrap().status, 200);
    assert_eq!(http::get(host.s3, "/cage/good").unwrap().body, b"again");
    let (status, log) = host.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    says(&log, &["zoo", "did not finish"]);
}

#[test]
fn a_host_that_is_stopped_as_soon_as_it_is_ready_stops() {
    let home = Home::new(&format!("{DOORS}{DOCUMENTS}"));
    for _ in 0..40 {
        assert_eq!(home.serve().stop().0.code(), Some(0));
    }
}
