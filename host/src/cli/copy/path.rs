//! Which file below a folder stands for which key.

use std::path::{Component, Path, PathBuf};

use crate::object::Key;

/// The longest name of a file that common file systems take, in bytes.
const MAX_NAME: usize = 255;

/// The path below a folder that stands for `name`, the part of a key behind the copied prefix.
///
/// # Errors
/// Says why `name` can not be a file below the folder.
pub(in crate::cli) fn path_of(name: &str) -> Result<PathBuf, String> {
    if name.is_empty() {
        return Err("it is the copied folder itself, and so has no name below it".into());
    }
    let mut path = PathBuf::new();
    for part in name.split('/') {
        if let Some(reason) = unfit(part) {
            return Err(reason);
        }
        path.push(part);
    }
    Ok(path)
}

fn unfit(part: &str) -> Option<String> {
    match part {
        "" => Some(
            "a file's path has no empty part, as \u{2018}//\u{2019} or a \u{2018}/\u{2019} at either end make it"
                .into(),
        ),
        "." | ".." => Some(format!("\u{2018}{part}\u{2019} in a file's path is not a name")),
        _ if part.len() > MAX_NAME => {
            Some(format!("a file's name has at most {MAX_NAME} bytes, and a part of this one has {}", part.len()))
        }
        _ if cfg!(windows) => unfit_on_windows(part),
        _ => None,
    }
}

/// The rules of the Win32 file namespace: reserved characters and device names, no dot or space at the end.
fn unfit_on_windows(part: &str) -> Option<String> {
    const DEVICES: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];
    let stem = part.split('.').next().unwrap_or(part).trim_end().to_ascii_uppercase();
    let numbered =
        |kind: &str| stem.strip_prefix(kind).is_some_and(|number| matches!(number.as_bytes(), [b'0'..=b'9']));
    let reserved = part.chars().any(|character| character < ' ' || r#"<>:"\|?*"#.contains(character));
    let device = DEVICES.contains(&stem.as_str()) || numbered("COM") || numbered("LPT");
    (reserved || device || part.ends_with(['.', ' ']))
        .then(|| format!("\u{2018}{part}\u{2019} can not be the name of a file on Windows"))
}

/// The part of a key that stands for the file at `path`, a path below the copied folder.
///
/// # Errors
/// Says why the path has no key.
pub(super) fn name_of(path: &Path) -> Result<String, String> {
    let mut name = String::new();
    for part in path.components() {
        let Component::Normal(part) = part else { return Err("it is not below the copied folder".into()) };
        let part = part.to_str().ok_or("its name is not UTF-8, which a key must be")?;
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(part);
    }
    if name.is_empty() { Err("it is the copied folder itself".into()) } else { Ok(name) }
}

/// Finds the keys that can not be files because another key is a file where they need a folder: `a/b` beside `a`.
///
/// Keys come in byte order. Every key between `a` and `a/b` begins with `a`, so of the keys before it only those that the
/// present one begins with can matter.
#[derive(Debug, Default)]
pub(in crate::cli) struct Overlap {
    files: Vec<Key>,
}

impl Overlap {
    /// The earlier key that is a file where `key` needs a folder; if there is none, `key` is a file from now on.
    pub(in crate::cli) fn with(&mut self, key: &Key) -> Option<&Key> {
        let text = key.as_str();
        while self.files.last().is_some_and(|file| !text.starts_with(file.as_str())) {
            self.files.pop();
        }
        match self.files.iter().position(|file| text.as_bytes().get(file.as_str().len()) == Some(&b'/')) {
            Some(found) => Some(&self.files[found]),
            None => {
                self.files.push(key.clone());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_leaves_the_folder_is_refused() {
        for name in ["", "..", ".", "../a", "a/../b", "a/./b", "/a", "a//b", "a/", "a/.."] {
            assert!(path_of(name).is_err(), "{name}");
        }
        for name in ["a", "a/b", "...", "..a", "a b/\u{e9}", "a\n", ".hidden", "~"] {
            assert!(path_of(name).is_ok(), "{name}");
        }
        assert!(path_of(&"x".repeat(255)).is_ok());
        assert!(path_of(&format!("a/{}", "x".repeat(256))).unwrap_err().contains("255"));
    }

    #[test]
    fn windows_has_names_of_its_own() {
        for part in ["a:b", "a\\b", "nul", "NUL.txt", "com1", "lpt9.x", "a.", "a ", "a?"] {
            assert!(unfit_on_windows(part).is_some(), "{part}");
        }
        for part in ["a", "null", "com", "com10", "a.b"] {
            assert!(unfit_on_windows(part).is_none(), "{part}");
        }
    }

    #[test]
    fn a_file_cannot_be_a_folder_too() {
        let mut overlap = Overlap::default();
        let mut with = |text: &str| overlap.with(&Key::new(text).unwrap()).map(ToString::to_string);
        assert_eq!(with("a"), None);
        assert_eq!(with("a!"), None);
        assert_eq!(with("a/b"), Some("a".into()));
        assert_eq!(with("a/b/c"), Some("a".into()));
        assert_eq!(with("ab"), None);
        assert_eq!(with("ab/c"), Some("ab".into()));
        assert_eq!(with("b/c"), None);
        assert_eq!(with("b/c/d"), Some("b/c".into()));
    }

    fn key_like() -> impl Strategy<Value = String> {
        prop_oneof!["[a./\\\\ ~:\u{e9}]{1,12}", "[^\0]{1,30}"]
    }

    proptest! {
        #[test]
        fn every_key_is_a_path_inside_and_back_or_refused(name in key_like()) {
            if let Ok(path) = path_of(&name) {
                prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{:?}", path);
                prop_assert!(path.is_relative());
                prop_assert_eq!(name_of(&path).unwrap(), name);
            }
        }

        #[test]
        fn no_two_files_are_in_each_others_way(keys in proptest::collection::btree_set("[ab/!0]{1,6}", 1..40)) {
            let mut overlap = Overlap::default();
            let mut files = BTreeSet::new();
            for key in keys {
                let blocked = files.iter().any(|file| key.starts_with(&format!("{file}/")));
                let found = overlap.with(&Key::new(key.clone()).unwrap()).is_some();
                prop_assert_eq!(found, blocked, "{}", key);
                if !found {
                    files.insert(key);
                }
            }
        }
    }
}
