use super::sample::key;
use super::trial::Store;
use crate::contract::Breach;
use crate::error::Result;
use crate::object::Key;
use crate::provider::ListQuery;

/// Keys that are easily taken for one another, or for something else.
fn odd_keys() -> Vec<String> {
    [
        "a",
        "a/",
        "/a",
        "a/b",
        "a//b",
        "a/./b",
        "a/../b",
        "/",
        "//",
        "///",
        ".",
        "..",
        "../",
        "../x",
        "../../etc/passwd",
        "./x",
        "x",
        "%2e",
        "%2E",
        "%2e%2e",
        "%2F",
        "a%2Fb",
        "%",
        "%00",
        "+",
        " ",
        "a ",
        " a",
        "a.",
        "a..",
        "a...",
        "\u{e9}",
        "e\u{301}",
        "\u{212b}",
        "\u{c5}",
        "stra\u{df}e",
        "strasse",
        "STRASSE",
        "A",
        "B",
        "b",
        "\u{1}",
        "\u{7f}",
        "a\nb",
        "a\r\nb",
        "a\tb",
        "\u{85}",
        "\u{feff}a",
        "\u{202e}a",
        "\u{1F980}",
        "\u{1F469}\u{200D}\u{1F680}",
        "a\\b",
        "C:\\x",
        "C:/x",
        "CON",
        "nul.txt",
        "a:b",
        "a*b",
        "a?b",
        "a\"b",
        "a'b",
        "a''b",
        "a;b",
        "a|b",
        "a<b",
        "a&b",
        "a#b",
        "~",
        "-",
        "--",
        "-rf",
        "$(id)",
        "`id`",
        "{a,b}",
        "index.sqlite",
        "LOCK",
        "tmp/x",
        "\u{10FFFF}",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([
        "s".repeat(255),
        "s".repeat(256),
        format!("{}/{}", "d".repeat(255), "f".repeat(255)),
        "/".repeat(Key::MAX_LEN),
        "d/".repeat(Key::MAX_LEN / 2),
        "\u{e9}".repeat(Key::MAX_LEN / 2),
        "k".repeat(Key::MAX_LEN),
        format!("{}l", "k".repeat(Key::MAX_LEN - 1)),
        "k".repeat(Key::MAX_LEN - 1),
    ])
    .collect()
}

/// Stores each key with bytes of its own, then looks whether each still has them.
async fn are_distinct(store: &Store, keys: &[&str]) -> Result<(), Breach> {
    let mut stored = Vec::new();
    for text in keys {
        stored.push(store.put(&key(text)?, format!("<{text}>")).await?);
    }
    for (text, metadata) in keys.iter().zip(&stored) {
        ensure_eq!(metadata.key.as_str(), *text, "the key that storing answered with");
        store.ensure_is(metadata, format!("<{text}>").as_bytes()).await?;
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    ensure_eq!(store.keys(ListQuery::all()).await?, sorted, "the listing");
    Ok(())
}

promises! {
    /// `a`, `a/`, `a/b` and `a//b` are different objects: a slash is a byte like any other.
    async fn an_object_can_stand_beside_keys_below_it(trial) {
        are_distinct(&trial.store().await?, &["a/b", "a", "a/", "a//b", "a//", "a/b/c", "a/b/"]).await
    }

    /// Slashes at the beginning, at the end and alone are kept.
    async fn slashes_are_kept(trial) {
        are_distinct(&trial.store().await?, &["/", "//", "x", "/x", "//x", "x/", "x//", "/x/"]).await
    }

    /// `.` and `..` lead nowhere.
    async fn dots_are_no_path(trial) {
        let keys = ["..", ".", "../x", "../../x", "./x", "x", "a/../x", "a/./x", "a/x", "../", "a/..", "..."];
        are_distinct(&trial.store().await?, &keys).await
    }

    /// `%2e` is three characters and not a dot.
    async fn percent_escapes_are_not_decoded(trial) {
        are_distinct(&trial.store().await?, &["%2e", "%2E", ".", "%252e", "%2F", "/", "%", "%%", "%00", "+", " "]).await
    }

    /// Spaces and dots at an end are kept.
    async fn trailing_spaces_and_dots_are_kept(trial) {
        are_distinct(&trial.store().await?, &["a", "a ", "a  ", " a", "a.", "a..", "a. ", "a .", " "]).await
    }

    /// Upper and lower case are different.
    async fn case_matters(trial) {
        are_distinct(&trial.store().await?, &["a", "A", "README", "readme", "\u{e9}", "\u{c9}", "\u{df}", "ss"]).await
    }

    /// Composed and decomposed characters are different: no Unicode normalization applies.
    async fn unicode_is_not_normalized(trial) {
        let keys = ["\u{e9}", "e\u{301}", "e", "\u{212b}", "\u{c5}", "A\u{30a}", "\u{fb01}", "fi", "\u{1F980}", "\u{200d}"];
        are_distinct(&trial.store().await?, &keys).await
    }

    /// Control characters and line breaks are kept.
    async fn control_characters_are_kept(trial) {
        are_distinct(&trial.store().await?, &["a\nb", "a\r\nb", "a\tb", "ab", "\u{1}", "\u{7f}", "\u{85}", "\n", "\u{1b}[0m"]).await
    }

    /// Characters that mean something to shells, databases and other systems mean nothing here.
    async fn no_character_is_special(trial) {
        let keys = ["'", "''", "\"", ";--", "$x", "`x`", "\\", "*", "?", "a*", "[a]", "CON", "C:\\x", "a:b", "|", "<", "-rf", "~"];
        are_distinct(&trial.store().await?, &keys).await
    }

    /// Keys of one byte, whichever ASCII it is.
    async fn keys_of_one_byte(trial) {
        let store = trial.store().await?;
        let keys: Vec<String> = (1u8..0x80).step_by(3).map(|byte| char::from(byte).to_string()).collect();
        are_distinct(&store, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// Keys of 1,024 bytes, with segments of 255 bytes and more, even if only the last byte differs.
    async fn the_longest_keys_are_kept_whole(trial) {
        let store = trial.store().await?;
        let start = "k".repeat(Key::MAX_LEN - 1);
        let segments = format!("{0}/{0}/{0}/{0}", "s".repeat(255));
        let keys = [
            format!("{start}1"), format!("{start}2"), start, segments, "\u{1F980}".repeat(256), "/".repeat(1024), "s".repeat(255),
        ];
        are_distinct(&store, &keys.each_ref().map(String::as_str)).await
    }

    /// All odd keys in one store are different objects, in the order of their bytes.
    async fn all_odd_keys_stand_beside_each_other(trial) {
        let store = trial.store().await?;
        let keys = odd_keys();
        are_distinct(&store, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// Deleting a key leaves those that look like it.
    async fn deleting_a_key_leaves_those_that_look_like_it(trial) {
        let store = trial.store().await?;
        let twins = [("a", "a/b"), ("a//c", "a/c"), ("..", "."), ("%2e", "%2E"), ("\u{e9}", "e\u{301}"), ("x ", "x"), ("N", "n")];
        for (gone, left) in twins {
            store.put(&key(gone)?, "gone").await?;
            let stored = store.put(&key(left)?, "left").await?;
            store.delete(&key(gone)?, None).await?;
            store.ensure_absent(&key(gone)?).await?;
            store.ensure_is(&stored, b"left").await?;
        }
        Ok(())
    }

    /// A segment may have 254, 255, 256 or 1,023 bytes, of characters of one byte or of more.
    async fn long_segments_are_kept(trial) {
        let keys = [
            "s".repeat(254), "s".repeat(255), "s".repeat(256), "s".repeat(1_023), format!("a/{}", "s".repeat(1_022)),
            format!("{}x", "\u{e9}".repeat(127)), "\u{e9}".repeat(128), "\u{1F980}".repeat(64), "\u{1F980}".repeat(63),
            format!("{}/b", "s".repeat(255)), format!("{}/b", "s".repeat(256)),
        ];
        are_distinct(&trial.store().await?, &keys.each_ref().map(String::as_str)).await
    }

    /// The beginning of a key, up to a slash or not, is no object by that alone.
    async fn a_part_of_a_key_is_no_object(trial) {
        let store = trial.store().await?;
        store.put(&key("folder/file.txt")?, "x").await?;
        for part in ["folder", "folder/", "f", "folder/file", "folder/file.txt/", "/folder/file.txt", "file.txt", "/"] {
            store.ensure_absent(&key(part)?).await?;
            ensure_fails!(store.delete(&key(part)?, None).await, "not-found", "deleting {part:?}");
        }
        store.delete(&key("folder/file.txt")?, None).await?;
        store.ensure_absent(&key("folder")?).await
    }

    /// Each odd key can be listed by itself as a prefix, and from behind itself.
    async fn odd_keys_can_be_listed_from_and_behind(trial) {
        let store = trial.store().await?;
        let mut keys = odd_keys();
        for text in &keys {
            store.put(&key(text)?, "x").await?;
        }
        keys.sort_unstable();
        for text in &keys {
            let page = store.list(&ListQuery { limit: 1, ..ListQuery::with_prefix(text) }).await?;
            let found: Vec<_> = page.objects.iter().map(|object| object.key.as_str()).collect();
            ensure_eq!(found, [text.as_str()], "the first object with the prefix {text:?}");
            let behind = ListQuery { start_after: Some(text.clone()), limit: 1, ..ListQuery::all() };
            let page = store.list(&behind).await?;
            let found: Vec<_> = page.objects.iter().map(|object| object.key.as_str()).collect();
            let wanted: Vec<_> = keys.iter().map(String::as_str).filter(|other| *other > text.as_str()).take(1).collect();
            ensure_eq!(found, wanted, "the first object behind {text:?}");
        }
        Ok(())
    }
}
