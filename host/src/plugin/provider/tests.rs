//! Whatever comes back from a plugin is what the contract says, or an error: never anything else, and never a panic.
//!
//! `PROPTEST_CASES` says how much is tried of each; 110,000 take about seven minutes of processor time in a debug build.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::object::Checksum;
use crate::plugin::limits::{Limits, MemoryBudget};
use crate::plugin::metrics::Metrics;
use crate::plugin::{GrantedSecrets, Kind, Restart};

/// Text that is sometimes what is wanted, and sometimes anything.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]{1,3}(/[a-c]{1,3})?",
        1 => Just(String::new()),
        1 => Just("\0".to_owned()),
        1 => Just("x".repeat(1025)),
        2 => any::<String>(),
    ]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..20u64, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

prop_compose! {
    fn metadata()(
        key in text(),
        size in number(),
        created_at in number(),
        updated_at in number(),
        checksum in prop_oneof![3 => Just(Checksum::of(b"bytes").as_u64()), 1 => any::<u64>()],
        etag in text(),
        content_type in option::of(text()),
        user_metadata in vec((text(), text()), 0..3),
        tags in vec((text(), text()), 0..3),
    ) -> exports::Metadata {
        let attributes = wit::Attributes { content_type, user_metadata, tags };
        exports::Metadata {
            key: key.into(), size, created_at, updated_at, checksum, etag: etag.into(), attributes,
        }
    }
}

fn kind() -> impl Strategy<Value = wit::ErrorKind> {
    use wit::ErrorKind::*;
    proptest::sample::select(vec![
        NotFound,
        PreconditionFailed,
        InvalidInput,
        RangeNotSatisfiable,
        Unsupported,
        Exhausted,
        TooLarge,
        Corrupt,
        PermissionDenied,
        Unavailable,
        Timeout,
        Internal,
    ])
}

fn supervisor() -> Supervisor {
    let (name, budget) = (Arc::<str>::from("fuzzed"), Arc::new(MemoryBudget::new(1 << 20)));
    let meter = Metrics::new().unwrap().meter(&name, &name);
    let limits = Limits { whole_body: 8, object_size: Some(16), ..Limits::default() };
    Supervisor::new(name.clone(), name, Kind::Provider, limits, Restart::default(), meter, budget)
}

fn wanted_range() -> impl Strategy<Value = Option<ByteRange>> {
    let between = (0..10u64, 1..10u64).prop_map(|(start, length)| ByteRange::between(start, start + length).unwrap());
    option::of(prop_oneof![
        between,
        number().prop_map(ByteRange::starting_at),
        (1..20u64).prop_map(|count| ByteRange::last(count).unwrap()),
    ])
}

proptest! {
    #[test]
    fn metadata_is_that_of_the_key_or_refused(asked in text(), metadata in metadata()) {
        let Ok(key) = Key::new(asked) else { return Ok(()) };
        if let Ok(found) = metadata_of(&key, metadata.clone()) {
            prop_assert_eq!(&found.key, &key);
            let back = wit::Metadata::from(&found);
            prop_assert_eq!(back.size, metadata.size);
            prop_assert_eq!(&*back.etag, &*metadata.etag);
            prop_assert_eq!(back.attributes.tags.len(), metadata.attributes.tags.len());
        }
    }

    #[test]
    fn an_object_has_as_many_bytes_as_it_says_and_the_right_ones(
        metadata in metadata(), body in vec(any::<u8>(), 0..20), honest in any::<bool>(), range in wanted_range(),
    ) {
        let body = if honest { b"bytes".to_vec() } else { body };
        let Ok(key) = Key::new(&*metadata.key) else { return Ok(()) };
        let (size, checksum) = (metadata.size, metadata.checksum);
        if let Ok(object) = check_object(&key, range, (metadata, Body::from(body)), &supervisor()) {
            prop_assert!(size <= 16 && object.range.end <= size);
            let Body::Bytes(bytes) = object.body else { panic!("a body in one piece stays one") };
            prop_assert!(bytes.len() <= 8);
            prop_assert_eq!(bytes.len() as u64, object.range.end - object.range.start);
            if bytes.len() as u64 == size {
                prop_assert_eq!(Checksum::of(&bytes).as_u64(), checksum);
            }
        }
    }

    #[test]
    fn a_page_is_in_order_and_what_was_asked_for(
        objects in vec(metadata(), 0..5), more in any::<bool>(), prefix in text(), after in option::of(text()), limit in 1..5usize,
    ) {
        let query = ListQuery { prefix, start_after: after, limit };
        if let Ok(page) = check_page(&query, exports::Page { objects, more }) {
            prop_assert!(page.objects.len() <= limit && (!page.more || !page.objects.is_empty()));
            let keys: Vec<&str> = page.objects.iter().map(|object| object.key.as_str()).collect();
            prop_assert!(keys.is_sorted_by(|one, other| one < other));
            prop_assert!(keys.iter().all(|key| key.starts_with(&query.prefix)));
            prop_assert!(query.start_after.is_none_or(|after| keys.iter().all(|key| **key > *after)));
        }
    }

    #[test]
    fn what_was_stored_is_what_was_sent(stored in metadata(), sent in option::of((number(), any::<u64>()))) {
        let Ok(key) = Key::new(&*stored.key) else { return Ok(()) };
        let told = Sent::default();
        if let Some((size, _)) = sent {
            let _ = told.set((size, Checksum::of(b"bytes")));
        }
        let options = StoreOptions::default();
        if let Ok(stored) = check_stored(&key, stored, &told, &options) {
            prop_assert_eq!(Some(stored.size), sent.map(|(size, _)| size));
            prop_assert_eq!(stored.etag, options.stamp.etag);
        }
    }

    #[test]
    fn an_error_is_one_line_of_bounded_length(
        kind in kind(), code in any::<String>(), message in any::<String>(), retry_after in option::of(number()),
    ) {
        let error = wit::Error { kind, code, message: message.repeat(200), retry_after };
        let error = error_from_plugin(error, None, &GrantedSecrets::default());
        let text = error.to_string();
        prop_assert!(text.len() < 8 << 10);
        prop_assert!(!text.contains(char::is_control), "{text:?}");
        if let Error::Unavailable { retry_after: Some(after), .. } = error {
            prop_assert!(std::time::Instant::now().checked_add(after).is_some());
        }
    }
}
