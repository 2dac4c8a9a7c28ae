use std::num::NonZeroUsize;

use clap::Args;
use serde::Serialize;

use super::address::PrefixAddress;
use super::context::Context;
use super::failure::Failure;
use super::output::{self, Output, Printable};
use crate::object::{Key, StorageMetadata};
use crate::provider::{ListQuery, StorageProvider};

const EXAMPLES: &str = "\
Examples:
  larder ls                             # the stores
  larder ls documents                   # objects and folders at the top
  larder ls documents/2024/             # what is in the folder 2024/
  larder ls -r documents --json | jq -r 'select(.tags.kind == \"backup\").key'
";

/// List stores, or the objects of a store
///
/// Without an argument: the stores. With one: the objects whose keys begin with PREFIX, in byte order; what follows the
/// next slash is shown as one folder, unless -r is given. With --json each line is one object (it has a `key`), folder
/// (a `prefix`) or store (a `store`).
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    /// The store, and how the keys begin
    #[arg(value_name = "STORE[/PREFIX]")]
    place: Option<PrefixAddress>,
    /// Every object, not grouped into folders
    #[arg(short, long, requires = "place")]
    recursive: bool,
    /// Etag, content type and tags too
    #[arg(short, long, requires = "place")]
    long: bool,
    /// Stop after so many lines
    #[arg(long, value_name = "N", requires = "place")]
    limit: Option<NonZeroUsize>,
}

/// A line of a listing.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Entry {
    Object(StorageMetadata),
    Folder { prefix: String },
}

impl List {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let data = context.data().await?;
        match &self.place {
            None => list_stores(data.stores().await?, context.output()),
            Some(place) => {
                let provider = data.store(&place.store).await?;
                self.run_on(place, &*provider, context.output()).await
            }
        }
    }

    async fn run_on(
        &self,
        place: &PrefixAddress,
        provider: &dyn StorageProvider,
        output: &Output,
    ) -> Result<(), Failure> {
        let mut listing = Listing::new(provider, place.prefix.clone(), !self.recursive);
        let mut left = self.limit.map_or(usize::MAX, NonZeroUsize::get);
        let mut empty = true;
        while let Some(entries) = listing.next().await? {
            for entry in entries {
                if left == 0 {
                    output.flush()?;
                    output.remark("there is more; --limit set the end");
                    return Ok(());
                }
                left -= 1;
                empty = false;
                if output.for_programs() {
                    output.json_line(&entry)?;
                } else {
                    output.line(Line { entry: &entry, long: self.long })?;
                }
            }
            output.flush()?;
        }
        if empty && !place.prefix.is_empty() {
            return Err(Failure::not_found(format!(
                "no key in {} begins with \u{2018}{}\u{2019}",
                place.store, place.prefix
            )));
        }
        Ok(())
    }
}

fn list_stores(stores: Vec<super::open::StoreSummary>, output: &Output) -> Result<(), Failure> {
    if output.for_programs() {
        return stores.iter().try_for_each(|store| output.json_line(store));
    }
    let rows = stores.iter().map(|store| vec![store.store.to_string(), store.provider.clone().unwrap_or_default()]);
    output.line(output::table(&["STORE", "PROVIDER"], rows))
}

/// The lines of a listing, page by page. A folder costs one page, however much is in it.
struct Listing<'a> {
    provider: &'a dyn StorageProvider,
    query: Option<ListQuery>,
    grouped: bool,
    folder: Option<String>,
}

impl<'a> Listing<'a> {
    fn new(provider: &'a dyn StorageProvider, prefix: String, grouped: bool) -> Self {
        Self { provider, query: Some(ListQuery::with_prefix(prefix)), grouped, folder: None }
    }

    async fn next(&mut self) -> Result<Option<Vec<Entry>>, Failure> {
        let Some(mut query) = self.query.take() else { return Ok(None) };
        let page = self.provider.list(&query).await?;
        let next = page.next().cloned();
        let mut entries = Vec::new();
        for object in page.objects {
            let key = object.key.as_str();
            if self.folder.as_ref().is_some_and(|folder| key.starts_with(folder)) {
                continue;
            }
            let slash = key.get(query.prefix.len()..).and_then(|rest| rest.find('/')).filter(|_| self.grouped);
            match slash {
                Some(slash) => {
                    let prefix = key[..=query.prefix.len() + slash].to_owned();
                    self.folder = Some(prefix.clone());
                    entries.push(Entry::Folder { prefix });
                }
                None => entries.push(Entry::Object(object)),
            }
        }
        if let Some(next) = next {
            let inside = self.folder.as_ref().filter(|folder| next.as_str().starts_with(folder.as_str()));
            let after = match inside {
                Some(folder) => Key::last_with_prefix(folder)?,
                None => next,
            };
            query.start_after = Some(after.as_str().to_owned());
            self.query = Some(query);
        }
        Ok(Some(entries))
    }
}

/// Columns of fixed width, so that a listing of any length can be written as it comes; the key is last.
struct Line<'a> {
    entry: &'a Entry,
    long: bool,
}

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.entry {
            Entry::Folder { prefix } if self.long => {
                write!(f, "{:>10}  {:20}  {:26}  {:24}  {}", "-", "", "", "", Printable(prefix))
            }
            Entry::Folder { prefix } => write!(f, "{:>10}  {:20}  {}", "-", "", Printable(prefix)),
            Entry::Object(object) => {
                let size = output::size(object.size).to_string();
                let updated = output::moment(object.updated_at).to_string();
                write!(f, "{size:>10}  {updated:20}  ")?;
                let attributes = &object.attributes;
                if self.long {
                    let content_type = attributes.content_type.as_deref().unwrap_or("-");
                    write!(f, "{:26}  {:24}  ", object.etag.as_str(), Printable(content_type).to_string())?;
                }
                write!(f, "{}", Printable(object.key.as_str()))?;
                if self.long && !attributes.tags.is_empty() {
                    write!(f, "  [{}]", attributes.tags)?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::Audience;
    use super::*;
    use crate::object::{Attributes, Body, Tags, timestamp_from_millis};
    use crate::provider::memory::MemoryStorageProvider;
    use crate::provider::{Condition, Stamp, StoreOptions};

    async fn store_of(keys: &[&str]) -> MemoryStorageProvider {
        let provider = MemoryStorageProvider::new();
        for key in keys {
            let options = StoreOptions {
                attributes: Attributes {
                    content_type: Some("text/plain".into()),
                    tags: Tags::from_pairs([("kind".into(), "test".into())]).unwrap(),
                    ..Attributes::default()
                },
                stamp: Stamp {
                    etag: crate::object::ETag::new("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
                    updated_at: timestamp_from_millis(1_700_000_000_000),
                    created_at: None,
                },
                condition: Condition::None,
            };
            provider.store(&Key::new(*key).unwrap(), Body::from(key.repeat(300)), options).await.unwrap();
        }
        provider
    }

    async fn list(provider: &MemoryStorageProvider, arguments: &str, audience: Audience) -> Result<String, Failure> {
        let list = <List as clap::FromArgMatches>::from_arg_matches(
            &<List as Args>::augment_args(clap::Command::new("ls").no_binary_name(true))
                .get_matches_from(arguments.split_whitespace()),
        )
        .unwrap();
        let (output, results, _) = Output::kept(audience);
        list.run_on(list.place.as_ref().unwrap(), provider, &output).await?;
        Ok(results.take())
    }

    #[tokio::test]
    async fn what_follows_the_next_slash_is_one_folder() {
        let provider = store_of(&["a", "a/1", "a/2/3", "b", "c//d", "e\u{7}"]).await;
        insta::assert_snapshot!("grouped", list(&provider, "docs", Audience::People).await.unwrap());
        insta::assert_snapshot!("inside", list(&provider, "docs/a/", Audience::People).await.unwrap());
        insta::assert_snapshot!("recursive_long", list(&provider, "docs -r --long", Audience::People).await.unwrap());
    }

    #[tokio::test]
    async fn each_line_is_json_for_programs() {
        let provider = store_of(&["a", "a/1"]).await;
        let lines = list(&provider, "docs", Audience::Programs).await.unwrap();
        let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["key"], &lines[0]["size"]), (&"a".into(), &300.into()));
        assert_eq!(lines[1], serde_json::json!({ "prefix": "a/" }));
        assert_eq!(lines.len(), 2);
    }

    #[tokio::test]
    async fn the_limit_counts_lines() {
        let provider = store_of(&["a", "b/1", "b/2", "c"]).await;
        assert_eq!(list(&provider, "docs --limit 2", Audience::People).await.unwrap().lines().count(), 2);
    }

    #[tokio::test]
    async fn a_folder_of_many_objects_is_passed_over() {
        let keys: Vec<String> = (0..2500).map(|number| format!("many/{number}")).chain(["z".into()]).collect();
        let provider = store_of(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let mut listing = Listing::new(&provider, String::new(), true);
        let mut pages = 0;
        let mut entries = Vec::new();
        while let Some(page) = listing.next().await.unwrap() {
            entries.extend(page);
            pages += 1;
        }
        assert_eq!((entries.len(), pages), (2, 2));
    }

    #[tokio::test]
    async fn a_prefix_of_nothing_is_not_found() {
        let provider = store_of(&["a"]).await;
        assert_eq!(list(&provider, "docs/b", Audience::People).await.unwrap_err().exit() as u8, 3);
        assert_eq!(list(&MemoryStorageProvider::new(), "docs", Audience::People).await.unwrap(), "");
    }
}
