use super::sample::{self, key};
use super::trial::Store;
use crate::contract::Breach;
use crate::error::Result;
use crate::object::{AttributeChanges, Key};
use crate::provider::ListQuery;

/// Stores these keys in an order that is not theirs.
async fn stock(store: &Store, keys: &[&str]) -> Result<(), Breach> {
    for text in keys.iter().rev().step_by(2).chain(keys.iter().rev().skip(1).step_by(2)) {
        store.put(&key(text)?, (*text).to_owned()).await?;
    }
    Ok(())
}

fn query(prefix: &str, start_after: Option<&str>, limit: usize) -> ListQuery {
    ListQuery { prefix: prefix.into(), start_after: start_after.map(str::to_owned), limit }
}

/// Keys in byte order, around slashes, letters, and characters of one to four bytes.
const KEYS: [&str; 14] =
    ["!", "/", "A", "a", "a!", "a/", "a/1", "a/10", "a/2", "a/b/c", "a0", "ab", "\u{e9}", "\u{1F980}"];

promises! {
    /// An empty store lists nothing, whatever is asked.
    async fn an_empty_store_lists_nothing(trial) {
        let store = trial.store().await?;
        for query in [ListQuery::all(), query("a", None, 1), query("", Some("a"), 10), query("a", Some("b"), 10)] {
            let page = store.list(&query).await?;
            ensure!(page.objects.is_empty() && !page.more, "an empty store lists {page:?} for {query:?}");
        }
        Ok(())
    }

    /// A list is in rising byte order of the keys, each once.
    async fn a_list_is_in_byte_order(trial) {
        let store = trial.store().await?;
        stock(&store, &KEYS).await?;
        ensure_eq!(store.keys(ListQuery::all()).await?, KEYS, "the listing");
        Ok(())
    }

    /// A list has the metadata that storing answered with.
    async fn a_list_has_all_metadata(trial) {
        let store = trial.store().await?;
        let mut stored = Vec::new();
        for (seed, size) in [0, 10, 70_000].into_iter().enumerate() {
            let attributes = sample::attributes(&format!("m{seed}"))?;
            stored.push(store.put_with(&key(&format!("k{seed}"))?, sample::bytes(size, 1), attributes).await?);
        }
        ensure_eq!(store.list_all(ListQuery::all()).await?, stored, "the listing");
        Ok(())
    }

    /// A prefix is bytes at the beginning of a key; it need not end at a slash.
    async fn a_prefix_is_bytes(trial) {
        let store = trial.store().await?;
        stock(&store, &KEYS).await?;
        let prefixes = [
            "", "a", "a/", "a/1", "a/10", "a/100", "a/b/", "a//", "b", "A", "/", "\u{e9}", "\u{e9}\u{e9}", "\u{1F980}",
            "\u{1F981}", "\u{10FFFF}",
        ];
        for prefix in prefixes {
            let wanted: Vec<_> = KEYS.into_iter().filter(|key| key.starts_with(prefix)).collect();
            ensure_eq!(store.keys(ListQuery::with_prefix(prefix)).await?, wanted, "the listing of {prefix:?}");
        }
        Ok(())
    }

    /// No character of a prefix is special, and case matters.
    async fn a_prefix_is_no_pattern(trial) {
        let store = trial.store().await?;
        let keys = ["%", "%a", "*", "*a", "A", "AB", "[a]", "_", "_a", "a", "ab", "\u{7f}", "\u{7f}x"];
        stock(&store, &keys).await?;
        for prefix in ["%", "_", "*", "[", "[a]", "?", "a", "A", "\u{7f}"] {
            let wanted: Vec<_> = keys.into_iter().filter(|key| key.starts_with(prefix)).collect();
            ensure_eq!(store.keys(ListQuery::with_prefix(prefix)).await?, wanted, "the listing of {prefix:?}");
        }
        Ok(())
    }

    /// A listing starts behind a key, which need not be there, and not at it.
    async fn a_list_starts_behind_a_key(trial) {
        let store = trial.store().await?;
        stock(&store, &KEYS).await?;
        for after in ["", "!", "a", "a/", "a/1", "a/15", "a/z", "Z", "b", "\u{e9}", "\u{1F980}", "\u{10FFFF}"] {
            let wanted: Vec<_> = KEYS.into_iter().filter(|key| *key > after).collect();
            ensure_eq!(store.keys(query("", Some(after), 1000)).await?, wanted, "the listing behind {after:?}");
        }
        Ok(())
    }

    /// A prefix and a start hold together, wherever the start lies.
    async fn a_prefix_and_a_start_hold_together(trial) {
        let store = trial.store().await?;
        stock(&store, &KEYS).await?;
        for prefix in ["a", "a/", "a/1", "\u{e9}"] {
            for after in ["", "!", "Z", "a", "a/", "a/1", "a/2", "a/zzz", "b", "\u{1F980}"] {
                let wanted: Vec<_> = KEYS.into_iter().filter(|key| key.starts_with(prefix) && *key > after).collect();
                let found = store.keys(query(prefix, Some(after), 1000)).await?;
                ensure_eq!(found, wanted, "the listing of {prefix:?} behind {after:?}");
            }
        }
        Ok(())
    }

    /// A page has at most as many objects as asked for, at least one if there is one, and says whether there are more.
    async fn a_page_heeds_its_limit(trial) {
        let store = trial.store().await?;
        stock(&store, &KEYS).await?;
        for limit in [1, 2, 13, 14, 15, 1000] {
            let page = store.list(&query("", None, limit)).await?;
            ensure!(page.objects.len() <= limit, "a page of at most {limit} has {}", page.objects.len());
            ensure!(!page.objects.is_empty(), "a page of at most {limit} is empty");
            ensure_eq!(page.more, page.objects.len() < KEYS.len(), "whether there is more");
        }
        let page = store.list(&query("a/1", None, 2)).await?;
        ensure_eq!(page.more, page.objects.len() < 2, "whether there is more below a prefix");
        Ok(())
    }

    /// Pages of any length join to the whole.
    async fn pages_join_to_the_whole(trial) {
        let store = trial.store().await?;
        stock(&store, &KEYS).await?;
        for limit in [1, 2, 3, 5, 14] {
            ensure_eq!(store.keys(query("", None, limit)).await?, KEYS, "the listing in pages of {limit}");
            let wanted: Vec<_> = KEYS.into_iter().filter(|key| key.starts_with("a/")).collect();
            ensure_eq!(store.keys(query("a/", None, limit)).await?, wanted, "the listing of a/ in pages of {limit}");
        }
        Ok(())
    }

    /// What is there all the while is listed once, whatever comes and goes between the pages.
    async fn pages_continue_over_changes(trial) {
        let store = trial.store().await?;
        let steady: Vec<String> = (0..20).map(|number| format!("k{number:02}")).collect();
        for text in &steady {
            store.put(&key(text)?, "x").await?;
            store.put(&key(&format!("{text}-goes"))?, "x").await?;
        }
        let mut found = Vec::new();
        let mut query = query("k", None, 3);
        loop {
            let page = store.list(&query).await?;
            found.extend(page.objects.iter().map(|object| object.key.as_str().to_owned()));
            let Some(last) = page.next().cloned() else { break };
            // The last key of the page goes, something comes before and behind it, and what is to come is rewritten.
            if last.as_str().ends_with("-goes") {
                store.delete(&last, None).await?;
            }
            store.put(&key(&format!("a{}", found.len()))?, "x").await?;
            store.put(&key(&format!("{last}-comes"))?, "x").await?;
            store.put(&key("k19")?, "rewritten").await?;
            query.start_after = Some(last.as_str().to_owned());
            ensure!(found.len() < 200, "the listing does not end");
        }
        ensure!(found.is_sorted_by(|one, other| one < other), "the pages are not in order: {found:?}");
        found.retain(|text| steady.contains(text));
        ensure_eq!(found, steady, "what was there all the while");
        Ok(())
    }

    /// A listing sees every write, update and deletion at once.
    async fn a_list_sees_changes_at_once(trial) {
        let store = trial.store().await?;
        for round in 0..5 {
            let name = key("k")?;
            let stored = store.put(&name, format!("{round}")).await?;
            ensure_eq!(store.list_all(ListQuery::all()).await?, [stored], "the listing after storing");
            let changes = AttributeChanges { content_type: Some("a/b".into()), ..AttributeChanges::default() };
            let updated = store.update(&name, changes, None).await?;
            ensure_eq!(store.list_all(ListQuery::all()).await?, [updated], "the listing after updating");
            store.delete(&name, None).await?;
            ensure_eq!(store.list_all(ListQuery::all()).await?, [], "the listing after deleting");
        }
        Ok(())
    }

    /// Starting behind the greatest key of a prefix passes over all keys that begin with it.
    async fn a_list_can_pass_over_a_prefix(trial) {
        let store = trial.store().await?;
        stock(&store, &KEYS).await?;
        let last = Key::last_with_prefix("a/")?;
        let found = store.keys(query("", Some(last.as_str()), 1000)).await?;
        ensure_eq!(found, ["a0", "ab", "\u{e9}", "\u{1F980}"], "the listing behind all of a/");
        Ok(())
    }

    /// More objects than fit a page come in several.
    async fn more_objects_than_a_page_holds(trial) {
        let store = trial.store().await?;
        let puts = (0..ListQuery::MAX_LIMIT + 5).map(|number| {
            let store = store.clone();
            async move { store.put(&key(&format!("{number:04}"))?, "").await }
        });
        futures::future::try_join_all(puts).await?;
        let page = store.list(&ListQuery::all()).await?;
        ensure!(page.more && page.objects.len() <= ListQuery::MAX_LIMIT, "a page of {} objects", page.objects.len());
        let keys = store.keys(ListQuery::all()).await?;
        ensure_eq!(keys.len(), ListQuery::MAX_LIMIT + 5, "the number of keys");
        ensure!(keys.is_sorted_by(|one, other| one < other), "the listing is not in order");
        Ok(())
    }

    /// The order is that of UTF-8, and neither that of UTF-16 nor one that any language sorts by.
    async fn the_order_is_that_of_utf8(trial) {
        let store = trial.store().await?;
        let keys = [
            "\u{1}", " ", "-", "0", "10", "9", "A", "Z", "_", "a", "az", "a\u{300}", "z", "~", "\u{7f}", "\u{80}", "\u{e0}",
            "\u{7ff}", "\u{800}", "\u{d7ff}", "\u{e000}", "\u{fffd}", "\u{ffff}", "\u{10000}", "\u{1F980}", "\u{10ffff}",
        ];
        stock(&store, &keys).await?;
        for limit in [1000, 1] {
            ensure_eq!(store.keys(query("", None, limit)).await?, keys, "the listing");
        }
        Ok(())
    }

    /// A page that ends with the last object says that there is no more, whatever else is in the store.
    async fn a_page_that_just_fits_is_the_last(trial) {
        let store = trial.store().await?;
        stock(&store, &["a", "b/1", "b/2", "b/3", "c"]).await?;
        for limit in [2, 3, 4] {
            let page = store.list(&query("b/", None, limit)).await?;
            ensure_eq!(page.more, page.objects.len() < 3, "whether there is more behind a page of {limit}");
            let page = store.list(&query("b/", Some("b/3"), limit)).await?;
            ensure!(page.objects.is_empty() && !page.more, "behind the last there is {page:?}");
        }
        Ok(())
    }

    /// A store can be emptied page by page, each deleted before the next is asked for.
    async fn a_store_can_be_emptied_page_by_page(trial) {
        let store = trial.store().await?;
        for number in 0..50 {
            store.put(&key(&format!("k/{number:02}"))?, "x").await?;
        }
        let left = store.put(&key("l")?, "x").await?;
        let mut query = query("k/", None, 7);
        loop {
            let page = store.list(&query).await?;
            for object in &page.objects {
                store.delete(&object.key, None).await?;
            }
            let Some(last) = page.next() else { break };
            query.start_after = Some(last.as_str().to_owned());
        }
        ensure_eq!(store.list_all(ListQuery::all()).await?, [left], "what is left");
        Ok(())
    }

    /// What is rewritten between the pages is listed once, as it is when its page is made.
    async fn pages_hold_while_everything_is_rewritten(trial) {
        let store = trial.store().await?;
        let keys: Vec<String> = (0..12).map(|number| format!("k{number:02}")).collect();
        for text in &keys {
            store.put(&key(text)?, "old").await?;
        }
        let (mut found, mut query) = (Vec::new(), query("", None, 5));
        loop {
            let page = store.list(&query).await?;
            for object in &page.objects {
                ensure_eq!(store.metadata(&object.key).await?, *object, "the metadata of {:?}", object.key);
                found.push(object.key.as_str().to_owned());
            }
            for text in &keys {
                store.put_with(&key(text)?, format!("{}", found.len()), sample::attributes("new")?).await?;
            }
            let Some(last) = page.next() else { break };
            query.start_after = Some(last.as_str().to_owned());
        }
        ensure_eq!(found, keys, "the listing");
        Ok(())
    }
}
