use crate::error::Result;
use crate::object::{Key, StorageMetadata};
use crate::provider::{ListQuery, Page};

/// One page of a listing in which keys that share a beginning are folded into one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupedPage {
    /// The objects that stand alone, in strictly rising byte order of their keys.
    pub objects: Vec<StorageMetadata>,
    /// The shared beginnings, each with the delimiter at its end, in strictly rising byte order.
    pub common_prefixes: Vec<String>,
    /// What the next page starts after, if there is one: the `start_after` of its query.
    pub next: Option<String>,
}

impl GroupedPage {
    fn len(&self) -> usize {
        self.objects.len() + self.common_prefixes.len()
    }
}

/// How many objects are asked for after a group was passed over: the next group may be as large.
const AFTER_JUMP: usize = 16;

/// Fills a page from `list`, passing over the rest of a group in one step.
///
/// It goes on until it has seen that something follows the page, or that nothing does.
pub(super) async fn list_grouped(
    list: impl AsyncFn(&ListQuery) -> Result<Page>,
    query: &ListQuery,
    delimiter: &str,
) -> Result<GroupedPage> {
    let mut page = GroupedPage::default();
    if query.limit == 0 {
        return Ok(page);
    }
    let mut asked = ListQuery { limit: (query.limit + 1).min(ListQuery::MAX_LIMIT), ..query.clone() };
    // Behind what the page has so far: the key of its last object, or the last key that its last group can have.
    let mut reached: Option<Key> = None;
    loop {
        let listed = list(&asked).await?;
        let next = listed.next().cloned();
        for object in listed.objects {
            if reached.as_ref().is_some_and(|reached| object.key <= *reached) {
                continue;
            }
            if page.len() == query.limit {
                page.next = reached.map(|reached| reached.as_str().to_owned());
                return Ok(page);
            }
            match group_of(&object.key, &query.prefix, delimiter) {
                Some(group) => {
                    reached = Some(Key::last_with_prefix(group)?);
                    page.common_prefixes.push(group.to_owned());
                }
                None => {
                    reached = Some(object.key.clone());
                    page.objects.push(object);
                }
            }
        }
        let Some(last) = next else { return Ok(page) };
        match &reached {
            Some(reached) if *reached > last => {
                asked.limit = AFTER_JUMP;
                asked.start_after = Some(reached.as_str().to_owned());
            }
            _ => {
                asked.limit = (asked.limit * 2).min(ListQuery::MAX_LIMIT);
                asked.start_after = Some(last.as_str().to_owned());
            }
        }
    }
}

/// The beginning of `key` up to the first delimiter behind `prefix`, that included, if there is one.
fn group_of<'a>(key: &'a Key, prefix: &str, delimiter: &str) -> Option<&'a str> {
    if delimiter.is_empty() {
        return None;
    }
    let key = key.as_str();
    let rest = key.strip_prefix(prefix)?;
    let found = rest.find(delimiter)?;
    Some(&key[..prefix.len() + found + delimiter.len()])
}
