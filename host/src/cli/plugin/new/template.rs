//! What a new plugin begins with.

use crate::plugin::Kind;

const MANIFEST: &str = include_str!("templates/Cargo.toml.txt");
const README: &str = include_str!("templates/README.md.txt");
const EVICTION: &str = include_str!("templates/eviction.rs.txt");
const LIFECYCLE: &str = include_str!("templates/lifecycle.rs.txt");
/// A new provider is a copy of the simplest one.
const PROVIDER: &str = include_str!("../../../../../plugins/memory/src/lib.rs");
const PROVIDER_TESTS: &str = include_str!("../../../../../plugins/memory/src/tests.rs");

/// The files of a plugin of this kind and name, by their paths in its folder. `sdk` is where the SDK is, as a manifest
/// says it; `path` is where the plugin is, as a configuration says it.
pub(super) fn files(kind: Kind, name: &str, sdk: &str, path: &str) -> Vec<(&'static str, String)> {
    let type_name = type_name(kind, name);
    let fill = |template: &str| {
        let (what, operation, config, store) = match kind {
            Kind::Provider => (
                "A storage provider",
                "'put plugin/a README.md' 'ls plugin'",
                ", limits: { instances: 1 }",
                format!("  scratch: {{ provider_type: {name} }}"),
            ),
            Kind::Eviction => (
                "An eviction strategy",
                "--capacity 3 'a b c a d e a'",
                "",
                format!(
                    "  documents:\n    provider_type: file\n    cache: {{ size_limit: 64MiB, eviction_policy: {name} }}"
                ),
            ),
            Kind::Lifecycle => (
                "A lifecycle policy",
                "'letter --age 40days --tag state=draft'",
                ", config: { days: 30 }",
                format!("  documents:\n    provider_type: file\n    lifecycle: {{ policies: [{name}], every: 1h }}"),
            ),
        };
        template
            .replace("{name}", name)
            .replace("{Type}", &type_name)
            .replace("{sdk}", sdk)
            .replace("{what}", what)
            .replace("{operation}", operation)
            .replace("{config}", config)
            .replace("{path}", path)
            .replace("{store}", &store)
    };
    let mut files =
        vec![("Cargo.toml", fill(MANIFEST)), ("README.md", fill(README)), (".gitignore", "/target/\n".to_owned())];
    match kind {
        Kind::Provider => {
            let source = |text: &str| text.replace("Memory", &type_name);
            let (_, code) = PROVIDER.split_once("\n\n").unwrap_or(("", PROVIDER));
            let intro = format!(
                "//! {name}: a storage provider for larder.\n//!\n//! Objects in a map, for as long as the instance \
                 lives: it needs `instances: 1` among its limits.\n\n"
            );
            files.push(("src/lib.rs", intro + &source(code)));
            files.push(("src/tests.rs", source(PROVIDER_TESTS)));
        }
        Kind::Eviction => files.push(("src/lib.rs", fill(EVICTION))),
        Kind::Lifecycle => files.push(("src/lib.rs", fill(LIFECYCLE))),
    }
    files
}

/// `CoolestFirstStrategy` for an eviction strategy `coolest-first`.
fn type_name(kind: Kind, name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    let kind = match kind {
        Kind::Provider => "Provider",
        Kind::Eviction => "Strategy",
        Kind::Lifecycle => "Policy",
    };
    name.split('-').map(word).chain([kind.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_fill_in() {
        for kind in Kind::ALL {
            let files = files(kind, "coolest-first", "vendor/sdk", "plugins/coolest-first");
            for (path, text) in &files {
                for blank in ["{name}", "{Type}", "{sdk}", "{what}", "{operation}", "{config}", "{path}"] {
                    assert!(!text.contains(blank), "{path}: {blank}");
                }
            }
            let (_, source) = files.iter().find(|(path, _)| *path == "src/lib.rs").unwrap();
            assert!(source.starts_with("//! coolest-first: a"), "{source}");
            let export =
                source.lines().find(|line| line.starts_with(&format!("larder_sdk::export!({}", kind.as_str())));
            assert!(export.is_some_and(|export| export.contains(": CoolestFirst")), "{source}");
            let (_, manifest) = files.iter().find(|(path, _)| *path == "Cargo.toml").unwrap();
            let manifest: toml::Table = toml::from_str(manifest).unwrap();
            assert_eq!(manifest["package"]["name"].as_str(), Some("coolest-first"));
        }
    }
}
