use prometheus::Registry;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::*;
use crate::events::{Event, EventType, ObjectEvent};

/// What a server was sent.
#[derive(Debug)]
struct Request {
    headers: Vec<(String, String)>,
    body: Value,
    text: String,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map_or("", |(_, value)| value)
    }

    fn types(&self) -> Vec<&str> {
        self.body.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
    }
}

/// Answers one request after the other with these statuses, and the last of them for ever.
async fn server(statuses: &'static [u16]) -> (hyper::Uri, UnboundedReceiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?of=larder", listener.local_addr().unwrap()).parse().unwrap();
    let (requests, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut statuses = statuses.iter().chain(std::iter::repeat(statuses.last().unwrap()));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                if line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            if lines.is_empty() {
                continue;
            }
            assert_eq!(lines[0], "POST /hook?of=larder HTTP/1.1");
            let headers: Vec<(String, String)> = lines[1..]
                .iter()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            let length = headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            let status = statuses.next().unwrap();
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlong");
            stream.write_all(answer.as_bytes()).await.unwrap();
            let text = String::from_utf8(body).unwrap();
            requests.send(Request { headers, body: serde_json::from_str(&text).unwrap(), text }).unwrap();
        }
    });
    (url, received)
}

struct Running {
    events: EventStream,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(url: hyper::Uri, events: EventStream, filter: EventFilter) -> Running {
    let (metrics, stop) = (WebhookMetrics::new(&Registry::new()).unwrap(), CancellationToken::new());
    let key = Some(SigningKey::new("a shared secret").unwrap());
    let options = WebhookOptions {
        name: "hook".into(),
        url,
        key,
        authorization: Some(HeaderValue::from_static("Bearer token")),
        filter,
    };
    let webhook = Webhook::new(options, &events, metrics);
    let task = tokio::spawn(webhook.run(stop.clone()));
    Running { events, stop, task }
}

fn tell(events: &EventStream, kind: EventType, key: &str) {
    let (store, key) = ("documents".parse().unwrap(), key.parse().unwrap());
    events.publish(|| Event::of_object(kind, &store, &key, &ObjectEvent::default()));
}

#[tokio::test]
async fn events_that_are_wanted_arrive_signed() {
    let (url, mut received) = server(&[204]).await;
    let filter = EventFilter { types: vec![EventType::ObjectDeleted], stores: vec![] };
    let running = start(url, EventStream::default(), filter);
    tell(&running.events, EventType::ObjectCreated, "a");
    tell(&running.events, EventType::ObjectDeleted, "b");
    let request = received.recv().await.unwrap();
    assert_eq!(request.types(), ["object.deleted"]);
    assert_eq!((&request.body[0]["subject"], request.header("content-type")), (&"b".into(), MEDIA_TYPE));
    assert_eq!(request.header("authorization"), "Bearer token");
    let key = SigningKey::new("a shared secret").unwrap();
    let (id, time) = (request.header("webhook-id"), request.header("webhook-timestamp").parse().unwrap());
    assert_eq!(key.sign(id.as_bytes(), time, request.text.as_bytes()), request.header("webhook-signature"));
    running.stop.cancel();
    running.task.await.unwrap();
}

#[tokio::test]
async fn what_does_not_arrive_is_sent_again_as_the_same() {
    let (url, mut received) = server(&[503, 429, 200]).await;
    let running = start(url, EventStream::default(), EventFilter::default());
    tell(&running.events, EventType::ObjectCreated, "a");
    let (first, second, third) =
        (received.recv().await.unwrap(), received.recv().await.unwrap(), received.recv().await.unwrap());
    assert_eq!((first.header("webhook-id"), &first.text), (second.header("webhook-id"), &second.text));
    assert_eq!(first.text, third.text);
    tell(&running.events, EventType::ObjectCreated, "b");
    let next = received.recv().await.unwrap();
    assert_eq!((next.types(), &next.body[0]["subject"]), (vec!["object.created"], &"b".into()));
    assert_ne!(first.header("webhook-id"), next.header("webhook-id"));
}

#[tokio::test]
async fn what_waits_goes_out_before_the_host_ends() {
    let (url, mut received) = server(&[200]).await;
    let running = start(url, EventStream::default(), EventFilter::default());
    for key in 0..250 {
        tell(&running.events, EventType::ObjectCreated, &key.to_string());
    }
    running.stop.cancel();
    running.task.await.unwrap();
    let mut count = 0;
    while let Ok(request) = received.try_recv() {
        count += request.types().len();
    }
    assert_eq!(count, 250);
}

#[tokio::test]
async fn a_slow_one_is_told_what_it_lost() {
    let (url, mut received) = server(&[500, 200]).await;
    let running = start(url, EventStream::with_capacity(WAITING * 2), EventFilter::default());
    tell(&running.events, EventType::ObjectCreated, "first");
    assert_eq!(received.recv().await.unwrap().types(), ["object.created"]);
    for key in 0..WAITING + 10 {
        tell(&running.events, EventType::ObjectCreated, &key.to_string());
    }
    let again = received.recv().await.unwrap();
    assert_eq!(again.types(), ["object.created"], "what was sent once is sent again as it was");
    let next = received.recv().await.unwrap();
    assert_eq!(&next.types()[..2], ["events.lost", "object.created"]);
    assert_eq!((&next.body[0]["data"]["count"], &next.body[1]["subject"]), (&10.into(), &"10".into()));
}
