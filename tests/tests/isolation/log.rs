//! Whose a plugin's lines are.

use std::io::{self, Write};
use std::pin::pin;
use std::sync::Mutex;

use super::*;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that a plugin wrote since this was last asked.
fn written(log: &Log) -> Vec<Value> {
    let log = String::from_utf8(std::mem::take(&mut log.0.lock().unwrap())).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["message"].as_str().unwrap().contains("of a flood")).collect()
}

#[tokio::test]
async fn a_line_says_which_of_several_calls_wrote_it() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
    let _here = tracing::subscriber::set_default(subscriber);
    let runtime = Runtime::new();
    let zoo = zoo(&runtime, "reading").await.unwrap();
    store(&*zoo, "log/a", "bytes").await.unwrap();
    assert!(written(&log).is_empty(), "it writes lines when it is read");

    // The second call on the instance waits for its body, while the third writes.
    let (body, pieces) = futures::channel::mpsc::unbounded();
    let stored = key("plain");
    let mut storing = pin!(zoo.store(&stored, Body::stream(pieces), StoreOptions::default()));
    tokio::select! {
        biased;
        stored = &mut storing => panic!("its body has not ended: {stored:?}"),
        read = read(&*zoo, "log/a") => assert_eq!(read.unwrap(), "bytes"),
    }
    let lines = written(&log);
    assert!(!lines.is_empty());
    for line in lines {
        assert_eq!(
            (&line["plugin"], &line["operation"], &line["call"]),
            (&json!("zoo"), &json!("retrieve"), &json!(3))
        );
    }
    drop(body);
    storing.await.unwrap();
}
