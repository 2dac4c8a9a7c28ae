use larder_sdk::{
    AttributeChanges, Condition, ErrorKind, InnerStore, ListQuery, Metadata, Object, Pairs, Result, Stamp,
    StoreOptions, log,
};
use sha2::{Digest, Sha256};

/// The user metadata of a version that names its key, where the key in the history does not.
const KEY: &str = "larder-versions-key";
/// The most bytes of a key that stand in the history's key as they are: beside them there must be room in 1,024 bytes for
/// their count, the time and the etag.
const MAX_PLAIN: usize = 1024 - "1024:".len() - "/".len() - 20 - "-".len() - 64;
/// The most bytes of user metadata that an object can have.
const MAX_USER_METADATA: usize = 8 * 1024;

/// The earlier versions of all keys, each an object of the store `history`.
///
/// The versions of a key are what begins with its [`prefix`], in the order of their times. A version is copied there under
/// a key made of nothing but the version itself, so copying it again changes nothing.
#[derive(Debug)]
pub(crate) struct Archive {
    history: InnerStore,
    keep: usize,
}

impl Archive {
    pub(crate) fn open(keep: usize) -> Result<Self> {
        Ok(Self { history: InnerStore::open("history")?, keep })
    }

    /// Copies a version, unless it is there already.
    pub(crate) async fn add(&self, Object { metadata, body }: Object) -> Result<()> {
        let Metadata { key, created_at, updated_at, etag, mut attributes, .. } = metadata;
        let version = format!("{}{:020}-{etag}", prefix(&key), updated_at.as_millis());
        if key.len() > MAX_PLAIN {
            name(&key, &mut attributes.user_metadata);
        }
        let changes = AttributeChanges {
            content_type: attributes.content_type.clone(),
            user_metadata: Some(attributes.user_metadata.clone()),
            tags: Some(attributes.tags.clone()),
        };
        let options = StoreOptions {
            attributes,
            stamp: Stamp { etag, updated_at, created_at: Some(created_at) },
            condition: Some(Condition::IfAbsent),
        };
        match self.history.store(&version, body, options).await {
            // An earlier attempt left it here; its attributes may have changed since.
            Err(error) if error.is(ErrorKind::PreconditionFailed) => {
                match self.history.update(&version, changes, None).await {
                    // Trimmed meanwhile, so there are later versions enough.
                    Err(error) if error.is(ErrorKind::NotFound) => Ok(()),
                    result => result.map(drop),
                }
            }
            result => result.map(drop),
        }
    }

    /// Deletes all but the latest versions of a key. A failure is the next write's to mend, and only logged.
    pub(crate) async fn trim(&self, key: &str) {
        if let Err(error) = self.try_trim(key).await {
            log::warn!("old versions stay where they are: {error}");
        }
    }

    async fn try_trim(&self, key: &str) -> Result<()> {
        let mut query = ListQuery::with_prefix(prefix(key));
        let mut versions = Vec::new();
        loop {
            let page = self.history.list(&query).await?;
            query.start_after = page.next().map(str::to_owned);
            versions.extend(page.objects.into_iter().map(|version| version.key));
            if query.start_after.is_none() {
                break;
            }
        }
        let surplus = versions.len().saturating_sub(self.keep);
        for version in &versions[..surplus] {
            match self.history.delete(version, None).await {
                Err(error) if !error.is(ErrorKind::NotFound) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// What the history's keys of all versions of `key` begin with, and those of no other key: the count says where the key
/// ends, and no two keys are known that have the same SHA-256.
pub(crate) fn prefix(key: &str) -> String {
    if key.len() <= MAX_PLAIN {
        return format!("{}:{key}/", key.len());
    }
    let mut prefix = String::from("long:");
    for byte in Sha256::digest(key) {
        prefix.push_str(&format!("{byte:02x}"));
    }
    prefix.push('/');
    prefix
}

/// Writes a long key into the user metadata of its version, for people who look at the history, if there is room.
fn name(key: &str, user_metadata: &mut Pairs) {
    let escaped = escape(key);
    let taken: usize = user_metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if taken + KEY.len() + escaped.len() <= MAX_USER_METADATA {
        user_metadata.set(KEY, escaped);
    }
}

/// A key as text that user metadata can hold, which has no control characters.
fn escape(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for character in key.chars() {
        if character.is_control() || character == '%' {
            text.push_str(&format!("%{:02x}", u32::from(character)));
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_has_the_prefix_of_another() {
        let keys = ["a", "a/", "a/0", "1:a/", "long:x", "aa", &"k".repeat(MAX_PLAIN), &"k".repeat(MAX_PLAIN + 1)];
        for (index, key) in keys.iter().enumerate() {
            for other in &keys[index + 1..] {
                let (one, two) = (prefix(key), prefix(other));
                assert!(!one.starts_with(&two) && !two.starts_with(&one), "{one} {two}");
            }
        }
    }

    #[test]
    fn the_longest_key_and_etag_fit() {
        for length in [1, MAX_PLAIN, MAX_PLAIN + 1, 1024] {
            let version = format!("{}{:020}-{}", prefix(&"k".repeat(length)), u64::MAX, "e".repeat(64));
            assert!(version.len() <= 1024, "{length}: {}", version.len());
        }
    }

    #[test]
    fn escaped_keys_differ_and_hold_no_control_characters() {
        assert_eq!(escape("a\nb%0a\u{85}"), "a%0ab%250a%85");
        assert_ne!(escape("%0a"), escape("\n"));
    }
}
