use larder_sdk::testing::{self, run};
use larder_sdk::{Checksum, ErrorKind};

use super::*;

fn open() -> Memory {
    run(testing::open_provider("null")).unwrap()
}

#[test]
fn what_was_stored_comes_back_whole_or_in_part() {
    let memory = open();
    run(async {
        let bytes: Vec<u8> = (0..3 * WHOLE / 2).map(|number| number as u8).collect();
        let stored = memory.store("k", Upload::new(bytes.clone()), testing::options()).await.unwrap();
        assert_eq!((stored.size, stored.checksum), (bytes.len() as u64, Checksum::of(&bytes)));
        let object = memory.retrieve("k", None).await.unwrap();
        assert_eq!(object.metadata, stored);
        assert!(matches!(object.body, Body::Stream(_)));
        assert_eq!(object.body.collect(usize::MAX).await.unwrap(), bytes);
        let object = memory.retrieve("k", Some(ByteRange::Last(3))).await.unwrap();
        assert_eq!(object.body.collect(usize::MAX).await.unwrap(), bytes[bytes.len() - 3..]);
        let error = memory.retrieve("k", Some(ByteRange::StartingAt(stored.size))).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::RangeNotSatisfiable);
    });
}

#[test]
fn a_reader_keeps_the_version_that_it_began_with() {
    let memory = open();
    run(async {
        memory.store("k", Upload::new(vec![1; 2 * WHOLE]), testing::options()).await.unwrap();
        let mut body = memory.retrieve("k", None).await.unwrap().body;
        body.next().await.unwrap();
        memory.store("k", Upload::new("new"), testing::options()).await.unwrap();
        let rest = body.collect(usize::MAX).await.unwrap();
        assert_eq!(rest.len(), 2 * WHOLE - CHUNK_SIZE);
        assert!(rest.iter().all(|byte| *byte == 1));
    });
}

#[test]
fn what_does_not_arrive_whole_changes_nothing() {
    let memory = run(testing::open_provider::<Memory>("{\"max_object\": 5}")).unwrap();
    run(async {
        memory.store("k", Upload::new("old"), testing::options()).await.unwrap();
        let cut_off = Body::pieces([Ok(b"ne".to_vec()), Err(Error::timeout("cut off"))]);
        for (body, kind) in [(cut_off, ErrorKind::Timeout), (Body::from("123456"), ErrorKind::TooLarge)] {
            let error = memory.store("k", Upload::new(body), testing::options()).await.unwrap_err();
            assert_eq!(error.kind, kind);
        }
        assert_eq!(memory.metadata("k").await.unwrap().size, 3);
    });
}

#[test]
fn conditions_hold_for_every_write() {
    let memory = open();
    run(async {
        let first = memory.store("k", Upload::new("one"), testing::options()).await.unwrap();
        let second = memory.store("k", Upload::new("two"), testing::options()).await.unwrap();
        assert_eq!(second.created_at, first.created_at);
        let mut options = testing::options();
        options.condition = Some(Condition::IfMatch(first.etag.clone()));
        let failed = |error: Error| assert_eq!(error.kind, ErrorKind::PreconditionFailed);
        failed(memory.store("k", Upload::new("three"), options).await.unwrap_err());
        failed(memory.delete("k", Some(&first.etag)).await.unwrap_err());
        failed(memory.update("k", AttributeChanges::default(), Some(&first.etag)).await.unwrap_err());
        memory.delete("k", Some(&second.etag)).await.unwrap();
        assert_eq!(memory.metadata("k").await.unwrap_err().kind, ErrorKind::NotFound);
    });
}

#[test]
fn pages_go_on_where_the_last_one_ended() {
    let memory = open();
    run(async {
        for key in ["b/1", "a", "b//", "b/2", "b", "c", "b/10"] {
            memory.store(key, Upload::new(""), testing::options()).await.unwrap();
        }
        let mut query = ListQuery { limit: 2, ..ListQuery::with_prefix("b/") };
        let mut pages = Vec::new();
        loop {
            let page = memory.list(&query).await.unwrap();
            pages.push(page.objects.iter().map(|object| object.key.clone()).collect::<Vec<_>>().join(" "));
            let Some(next) = page.next() else { break };
            query.start_after = Some(next.to_owned());
        }
        assert_eq!(pages, ["b// b/1", "b/10 b/2"]);
        query.start_after = Some("a".to_owned());
        assert_eq!(memory.list(&query).await.unwrap().objects[0].key, "b//");
    });
}
