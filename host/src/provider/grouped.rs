//! Listing as a tree: keys that share what comes before a delimiter are rolled up into one prefix.

use super::{ListQuery, StorageProvider};
use crate::error::{Error, Result};
use crate::object::{Key, StorageMetadata};

/// One page of a grouped listing.
#[derive(Clone, Debug, Default)]
pub struct GroupedPage {
    /// The objects that stand alone, in strictly rising byte order of their keys.
    pub objects: Vec<StorageMetadata>,
    /// What the others begin with, up to and with the delimiter, in strictly rising byte order, each once.
    pub prefixes: Vec<String>,
    /// The `start_after` of the next page, if there is one.
    pub next: Option<String>,
}

impl GroupedPage {
    fn len(&self) -> usize {
        self.objects.len() + self.prefixes.len()
    }
}

/// Lists a store as Amazon S3 does with a delimiter: of keys that hold it somewhere behind `query.prefix`, only the part
/// up to and with its first occurrence is returned, once. An empty delimiter groups nothing.
///
/// `query.limit` counts objects and prefixes together. When `query.start_after` is itself such a prefix, its whole group
/// is passed over, so that [`GroupedPage::next`] continues behind it; otherwise keys behind `start_after` are listed and
/// rolled up, even into a prefix that comes before it. However large a group is, it costs one call of the provider.
///
/// # Errors
/// Those of the provider's `list`.
pub async fn list_grouped(provider: &dyn StorageProvider, query: &ListQuery, delimiter: &str) -> Result<GroupedPage> {
    let group_of = |key: &str| -> Option<String> {
        let rest = key.strip_prefix(&*query.prefix).filter(|_| !delimiter.is_empty())?;
        let end = query.prefix.len() + rest.find(delimiter)? + delimiter.len();
        Some(key[..end].to_owned())
    };
    let mut page = GroupedPage::default();
    let mut last = query.start_after.clone();
    let mut group = last.as_deref().and_then(|after| group_of(after).filter(|group| group == after));
    loop {
        let start_after = match &group {
            Some(group) => Some(Key::last_with_prefix(group)?.as_str().to_owned()),
            None => last.clone(),
        };
        let limit = (query.limit - page.len() + 1).min(ListQuery::MAX_LIMIT);
        let found = provider.list(&ListQuery { prefix: query.prefix.clone(), start_after, limit }).await?;
        if found.more && found.objects.is_empty() {
            return Err(Error::internal("the provider returned an empty page of a listing that goes on"));
        }
        for object in found.objects {
            if group.as_ref().is_some_and(|group| object.key.as_str().starts_with(group)) {
                continue;
            }
            if page.len() == query.limit {
                page.next = last;
                return Ok(page);
            }
            group = group_of(object.key.as_str());
            match &group {
                Some(group) => {
                    last = Some(group.clone());
                    page.prefixes.push(group.clone());
                }
                None => {
                    last = Some(object.key.as_str().to_owned());
                    page.objects.push(object);
                }
            }
        }
        if !found.more {
            return Ok(page);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::object::Body;
    use crate::provider::StoreOptions;
    use crate::provider::memory::MemoryStorageProvider;

    async fn provider(keys: &BTreeSet<String>) -> MemoryStorageProvider {
        let provider = MemoryStorageProvider::new();
        for key in keys {
            provider.store(&Key::new(key.as_str()).unwrap(), Body::from(""), StoreOptions::default()).await.unwrap();
        }
        provider
    }

    /// Objects and prefixes of the whole listing, in the order of a walk over all keys.
    fn model(keys: &BTreeSet<String>, prefix: &str, after: Option<&str>, delimiter: &str) -> Vec<(String, bool)> {
        let mut items: Vec<(String, bool)> = Vec::new();
        for key in keys.iter().filter(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)) {
            let group = key[prefix.len()..].find(delimiter).filter(|_| !delimiter.is_empty());
            let item = match group {
                Some(at) => (key[..prefix.len() + at + delimiter.len()].to_owned(), true),
                None => (key.clone(), false),
            };
            // A group that is itself where to start after is passed over whole.
            let passed = item.1 && after == Some(&item.0);
            if !passed && items.last() != Some(&item) {
                items.push(item);
            }
        }
        items
    }

    proptest! {
        #[test]
        fn pages_give_what_a_walk_over_all_keys_gives(
            keys in prop::collection::btree_set("[ab/\u{10FFFF}]{1,6}", 0..60),
            prefix in "[ab/]{0,2}",
            after in prop::option::of("[ab/]{1,3}"),
            delimiter in prop::sample::select(vec!["", "/", "a/", "b"]),
            limit in 1_usize..6,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let provider = provider(&keys).await;
                let mut query = ListQuery { prefix: prefix.clone(), start_after: after.clone(), limit };
                let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
                loop {
                    let page = list_grouped(&provider, &query, delimiter).await.unwrap();
                    prop_assert!(page.len() <= limit);
                    prop_assert!(page.next.is_none() || page.len() == limit);
                    objects.extend(page.objects.iter().map(|object| object.key.as_str().to_owned()));
                    prefixes.extend(page.prefixes);
                    let Some(next) = page.next else { break };
                    query.start_after = Some(next);
                }
                let expected = model(&keys, &prefix, after.as_deref(), delimiter);
                let of = |group| expected.iter().filter(move |item| item.1 == group).map(|item| item.0.clone());
                prop_assert_eq!(objects, of(false).collect::<Vec<_>>());
                prop_assert_eq!(prefixes, of(true).collect::<Vec<_>>());
                Ok(())
            })?;
        }
    }

    #[tokio::test]
    async fn a_large_group_is_one_entry() {
        let keys: BTreeSet<_> = (0..3000).map(|n| format!("logs/{n:04}")).chain(["zebra".to_owned()]).collect();
        let page = list_grouped(&provider(&keys).await, &ListQuery::all(), "/").await.unwrap();
        assert_eq!(page.prefixes, ["logs/"]);
        assert_eq!(page.objects[0].key.as_str(), "zebra");
        assert!(page.next.is_none());
    }
}
