mod plugins;
mod schedules;

use std::fs;

use super::*;
use crate::provider::file::Durability;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse("larder.yaml", text, Path::new("/data"), Path::new("/plugins"))
}

/// The error for a document, as people see it.
fn refusal(text: &str) -> String {
    parse(text).expect_err("the document is to be refused").to_string()
}

/// A file with a key that nobody else can read.
fn private_key(path: &Path) {
    fs::write(path, "07".repeat(32)).unwrap();
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

#[test]
fn the_embedded_configuration_is_right() {
    let config = Config::embedded().unwrap();
    let names: Vec<&str> = config.stores.keys().map(StoreName::as_str).collect();
    assert_eq!(names, ["documents", "notebook", "notebook-current", "notebook-history", "scratch", "wasm-memory"]);
    assert_eq!(config.data_dir, Path::new("larder-data"));

    let documents = &config.stores["documents"];
    assert_eq!(documents.provider_type, StorageType::File);
    let cache = documents.cache.as_ref().unwrap();
    assert_eq!(cache.eviction_policy, EvictionPolicy::Custom("wasm-sieve".parse().unwrap()));
    assert_eq!((cache.size_limit.bytes(), cache.entry_limit.bytes()), (64 << 20, 1 << 20));

    let versions = &config.plugins["versions"];
    let ComponentSource::Source(source) = &versions.component else { panic!("{versions:?}") };
    assert!(source.is_absolute() && source.ends_with("plugins/versions"), "{source:?}");
    assert_eq!(versions.config, serde_json::json!({ "keep": 5 }));
    assert_eq!(versions.grants.stores["history"].as_str(), "notebook-history");
}

#[test]
fn paths_start_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("larder.yaml");
    let text = "
data_dir: data
server: { s3: { credentials: [{ access_key: abc, secret_key: { file: key } }] } }
plugins: { one: { path: one.wasm } }
stores: { plain: { provider_type: file }, moved: { provider_type: file, base_path: elsewhere } }
";
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("key"), "a-long-secret").unwrap();

    let config = Config::load(&path).unwrap();
    assert_eq!(config.data_dir, folder.path().join("data"));
    assert_eq!(config.server.s3.credentials[0].secret_key.expose().unwrap(), "a-long-secret");
    assert_eq!(config.plugins["one"].component, ComponentSource::Path(folder.path().join("one.wasm")));
    let directory = |name: &str| {
        let (name, store) = config.stores.get_key_value(name).unwrap();
        store.folder(name, &config.data_dir)
    };
    assert_eq!(directory("plain"), folder.path().join("data/stores/plain"));
    assert_eq!(directory("moved"), folder.path().join("data/elsewhere"));
}

#[test]
fn durability_is_a_word_and_strict_unless_it_is_said() {
    let text = "stores: { one: { provider_type: file }, two: { provider_type: file, durability: relaxed } }";
    let config = parse(text).unwrap();
    assert_eq!(config.stores["one"].durability.unwrap_or_default(), Durability::Strict);
    assert_eq!(config.stores["two"].durability, Some(Durability::Relaxed));
    assert!(config.summary().to_string().contains("/stores/two, durability relaxed\n"));
    let template = parse("new_buckets: { provider_type: file, durability: none }").unwrap().new_buckets.unwrap();
    assert_eq!(template.to_storage().durability, Some(Durability::None));
    assert!(refusal("stores: { one: { provider_type: file, durability: eventual } }").contains("relaxed"));
}

#[test]
fn a_file_that_can_not_be_read_is_named() {
    let error = Config::load(Path::new("/no/such/larder.yaml")).unwrap_err().to_string();
    assert!(error.starts_with("/no/such/larder.yaml: can not be read"), "{error}");
}

#[test]
fn what_is_absent_has_a_default() {
    let config = parse("stores: { one: { provider_type: memory, cache: {} } }").unwrap();
    assert_eq!(config.server.s3.listen.to_string(), "127.0.0.1:9000");
    assert_eq!(config.server.admin.listen.to_string(), "127.0.0.1:9001");
    assert_eq!(config.stores["one"].cache, Some(CacheConfig::default()));
    assert_eq!(config.data_dir, Path::new("/data/larder-data"));
    assert!(config.new_buckets.is_none());
}

#[test]
fn a_store_has_the_ttl_of_the_host_unless_it_has_its_own() {
    let config = parse(
        "cache: { ttl: 10m }\nstores:\n  of-host: { provider_type: memory, cache: {} }\n  own: { provider_type: memory, \
         cache: { ttl: 5s } }\n  none: { provider_type: memory, cache: { ttl: forever } }\n",
    )
    .unwrap();
    let ttl = |store: &str| {
        let (_, store) = config.stores.iter().find(|(name, _)| name.as_str() == store).unwrap();
        store.cache.as_ref().unwrap().ttl(config.cache).map(|ttl| ttl.to_string())
    };
    assert_eq!(["of-host", "own", "none"].map(ttl), [Some("10m".to_owned()), Some("5s".to_owned()), None]);
    assert!(
        config.summary().to_string().contains("caches   an entry is used for 10m, unless its store says otherwise")
    );
    let unsaid = parse("stores:\n  one: { provider_type: memory, cache: {} }\n").unwrap();
    assert!(unsaid.stores.values().all(|store| store.cache.as_ref().unwrap().ttl(unsaid.cache).is_none()));
}

#[test]
fn a_parse_error_says_where_and_what_would_do() {
    let cases = [
        (
            "stores:\n  one:\n    provider_type: file\n    cache: { size_limt: 1MiB }\n",
            "larder.yaml:4:14: stores.one.cache: unknown key `size_limt`; did you mean `size_limit`? known here: \
             size_limit, ttl, negative_ttl, max_entries, eviction_policy, entry_limit",
        ),
        (
            "compression: zstd\n",
            "larder.yaml:1:1: unknown key `compression`; known here: data_dir, server, plugins, health, alerts, webhooks, supply_chain, \
             plugin_memory, cache, stores, new_buckets",
        ),
        (
            "stores:\n  one:\n    provider_type: [file]\n",
            "larder.yaml:3:20: stores.one.provider_type: invalid type: sequence, expected a provider: file, memory or \
             the name of a plugin",
        ),
        (
            "stores:\n  one: { provider_type: file, cache: { size_limit: 64 apples } }\n",
            "larder.yaml:2:52: stores.one.cache.size_limit: \"64 apples\" is no size; write a number and a unit, such as \
             64MiB, 1.5GB or 4096",
        ),
        (
            "stores:\n  one: { provider_type: file, cache: { ttl: soon } }\n",
            "larder.yaml:2:45: stores.one.cache.ttl: \"soon\" is no span of time; write numbers with units, such as 90s, \
             10m, 1h 30m or 7d; or `forever`",
        ),
        (
            "stores:\n  One: { provider_type: file }\n",
            "larder.yaml:2:3: stores: the name of a store is 3 to 63 lower-case letters, digits and inner hyphens, not \
             \"One\"",
        ),
        (
            "stores:\n  one: { provider_type: file }\n  one: { provider_type: memory }\n",
            "larder.yaml:3:3: stores: `one` is there twice; rename or remove one of them",
        ),
        ("stores:\n  one: { internal: true }\n", "larder.yaml:2:8: stores.one: missing field `provider_type`"),
        (
            "stores:\n  one: file\n",
            "larder.yaml:2:8: stores.one: invalid type: string \"file\", expected a mapping of keys to values",
        ),
        (
            "server:\n  s3:\n    listen: example.org\n",
            "larder.yaml:3:13: server.s3.listen: \"example.org\" is not an IP address and a port, such as 127.0.0.1:9000 \
             or [::1]:9000",
        ),
        (
            "plugins:\n  one:\n    config: {}\n",
            "larder.yaml:3:5: plugins.one: a plugin needs `path` (a .wasm file), `source` (the folder of its crate) or `oci` (a reference \
             into a registry)",
        ),
        (
            "plugins:\n  one:\n    path: a\n    source: b\n",
            "larder.yaml:3:5: plugins.one: a plugin has one of `path`, `source` and `oci`, and this one has more; \
             remove all but one",
        ),
        (
            "plugins:\n  one:\n    path: a\n    limits: { instances: 0 }\n",
            "larder.yaml:4:26: plugins.one.limits.instances: invalid value: integer `0`, expected a nonzero u32",
        ),
        (
            "plugins:\n  one:\n    path: a\n    grants: { stores: { x: Y } }\n",
            "larder.yaml:4:28: plugins.one.grants.stores.x: the name of a store is 3 to 63 lower-case letters, digits \
             and inner hyphens, not \"Y\"",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text), expected, "{text}");
    }
    let broken = refusal("server: {\n");
    assert!(broken.starts_with("larder.yaml:2:1: "), "{broken}");
    assert!(refusal("a: 1\n---\nb: 2\n").starts_with("larder.yaml"));
}

#[test]
fn an_error_never_quotes_a_secret() {
    for text in [
        "server: { s3: { credentials: hunter2-hunter2 } }",
        "server: { s3: { credentials: [hunter2-hunter2] } }",
        "server: { s3: { credentials: [{ access_key: abc, secret_key: [hunter2-hunter2] }] } }",
        "server: { s3: { credentials: [{ access_key: abc, secret_key: hunter2 }] } }",
    ] {
        let error = refusal(text);
        assert!(error.starts_with("larder.yaml:1:") && !error.contains("hunter2"), "{error}");
    }
    let text = "server: { s3: { credentials: [{ access_key: abc, secret_key: hunter2-hunter2 }] } }";
    let config = parse(text).unwrap();
    let shown = format!("{config:?}{}{}", config.summary(), serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_checks_across_the_file_say_where() {
    let cases = [
        (
            "stores:\n  one:\n    provider_type: flie\n",
            "larder.yaml:3:5: stores.one.provider_type: there is no plugin `flie` (did you mean `file`?); define it under \
             `plugins`",
        ),
        (
            "plugins: { steady: { path: a } }\nstores:\n  one: { provider_type: file, cache: { eviction_policy: stedy } }\n",
            "larder.yaml:3:40: stores.one.cache.eviction_policy: there is no plugin `stedy` (did you mean `steady`?); \
             define it under `plugins`",
        ),
        (
            "stores:\n  one:\n    provider_type: file\n    lifecycle: { policies: [a], archive_to: two }\n",
            "larder.yaml:4:29: stores.one.lifecycle.policies[0]: there is no plugin `a`; define it under `plugins`\n\
             larder.yaml:4:33: stores.one.lifecycle.archive_to: there is no store `two` (there are: one); define it \
             under `stores`",
        ),
        (
            "plugins:\n  a:\n    path: a\n    grants: { stores: { x: two } }\n",
            "larder.yaml:4:25: plugins.a.grants.stores.x: there is no store `two`; define it under `stores`",
        ),
        (
            "plugins:\n  memory: { path: a }\n",
            "larder.yaml:2:3: plugins.memory: this word names what is built in; give the plugin another name",
        ),
        (
            "server:\n  s3: { listen: 0.0.0.0:9000 }\n",
            "larder.yaml:2:9: server.s3.listen: 0.0.0.0:9000 can be reached from other machines, and there are no \
             credentials: everybody could read and write; add server.s3.credentials, or listen on 127.0.0.1",
        ),
        (
            "server:\n  admin: { listen: 127.0.0.1:9000 }\n",
            "larder.yaml:2:12: server.admin.listen: 127.0.0.1:9000 is taken by server.s3.listen (127.0.0.1:9000); give \
             each a port of its own",
        ),
        (
            "stores:\n  one: { provider_type: memory, base_path: x }\n",
            "larder.yaml:2:33: stores.one.base_path: only a store of type file has a base_path, and this one is of type \
             memory",
        ),
        (
            "stores:\n  one: { provider_type: memory, durability: none }\n",
            "larder.yaml:2:33: stores.one.durability: larder answers for the durability of stores of type file alone, and \
             this one is of type memory; remove it",
        ),
        (
            "new_buckets: { provider_type: memory, durability: strict }\n",
            "larder.yaml:1:39: new_buckets.durability: larder answers for the durability of stores of type file alone, and \
             this one is of type memory; remove it",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text), expected, "{text}");
    }
}

#[test]
fn credentials_are_long_and_distinct() {
    let error = refusal(
        "server:
  s3:
    listen: 0.0.0.0:9000
    credentials:
      - { access_key: abc, secret_key: \"\" }
      - { access_key: abc, secret_key: '1234567' }
      - { access_key: def, secret_key: 'long-enough' }
",
    );
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 3, "{error}");
    assert!(
        lines[0].starts_with("larder.yaml:5:28: server.s3.credentials[0].secret_key: a secret has at least 8 bytes")
    );
    assert!(lines[1].starts_with("larder.yaml:6:11: server.s3.credentials[1].access_key: the access key abc is there"));
}

#[test]
fn folders_of_stores_do_not_overlap() {
    let with = |first: &str, second: &str| {
        format!(
            "stores:\n  one: {{ provider_type: file, base_path: {first} }}\n  two: {{ provider_type: file, base_path: \
             {second} }}\n"
        )
    };
    for (first, second) in [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a", "./x/../a"), ("a", "/data/larder-data/a")] {
        let error = refusal(&with(first, second));
        assert!(error.starts_with("larder.yaml:3:") && error.contains("overlaps"), "{first} {second}: {error}");
    }
    for first in [".", "..", "/"] {
        assert!(refusal(&with(first, "b")).contains("the host keeps its own files"), "{first}");
    }
    for first in ["stores", "stores/two", "stores/other/x"] {
        assert!(refusal(&with(first, "b")).contains("is for stores without a base_path"), "{first}");
    }
    for (first, second) in [("a", "b"), ("a", "ab"), ("stores/one", "stores/two"), ("/elsewhere", "a")] {
        assert!(parse(&with(first, second)).is_ok(), "{first} {second}");
    }
}

#[test]
fn a_store_does_not_stand_on_itself() {
    let direct = "
plugins: { layer: { path: a, grants: { stores: { inner: one } } } }
stores: { one: { provider_type: layer } }
";
    let error = refusal(direct);
    assert!(
        error.starts_with("larder.yaml:3:18: stores.one.provider_type: a store can not stand on itself"),
        "{error}"
    );
    assert!(error.contains("`one` → `one`"), "{error}");

    let indirect = "
plugins:
  first: { path: a, grants: { stores: { inner: two } } }
  second: { path: a, grants: { stores: { other: files, inner: one } } }
stores:
  files: { provider_type: file }
  one: { provider_type: first }
  two: { provider_type: second }
";
    let error = refusal(indirect);
    assert!(error.contains("`one` → `two` → `one`") && error.lines().count() == 1, "{error}");
}

#[test]
fn archiving_comes_to_an_end() {
    let archiving = |one: &str, two: &str| {
        format!(
            "
plugins: {{ policy: {{ path: a }}, layer: {{ path: a, grants: {{ stores: {{ inner: files }} }} }} }}
stores:
  files: {{ provider_type: file }}
  one: {{ provider_type: layer, lifecycle: {{ policies: [policy], archive_to: {one} }} }}
  two: {{ provider_type: file, lifecycle: {{ policies: [policy], archive_to: {two} }} }}
  cold: {{ provider_type: file }}
"
        )
    };
    assert!(parse(&archiving("two", "cold")).is_ok());
    assert!(refusal(&archiving("one", "cold")).contains("archived for ever: `one` → `one`"));
    assert!(refusal(&archiving("two", "one")).contains("archived for ever: `one` → `two` → `one`"));
    assert!(refusal(&archiving("files", "cold")).contains("stands on its own archive: `one` → `files`"));
    assert!(refusal(&archiving("cold", "cold")).contains("`one` archives to `cold` too"));
}

#[test]
fn rules_that_say_too_little_or_too_much_are_refused() {
    let cases = [
        ("{ name: a }", "rules[0].name: the rule does nothing"),
        ("{ name: '', delete_after: 1d }", "rules[0].name: \"\" is no name for a rule"),
        ("{ name: a, tag_after: 1d }", "rules[0].tag_after: `tag_after` goes with `set_tags`"),
        ("{ name: a, set_tags: { x: y } }", "rules[0].set_tags: `set_tags` goes with `tag_after`"),
        ("{ name: a, lock: true, delete_after: 1d }", "rules[0].lock: `lock` goes with `retain`"),
        ("{ name: a, larger_than: 2kB, smaller_than: 1kB, retain: 1d }", "rules[0].smaller_than: no object is larger"),
        ("{ name: a, retain: 1d, tags: { '': y } }", "rules[0].tags: the name of a tag"),
        ("{ name: a, retain: 1d }, { name: a, retain: 2d }", "rules[1].name: there is another rule \"a\""),
        ("{ name: a, retain: 1d, delet_after: 1d }", "delete_after"),
        ("{ name: a, retain: soon }", "no span of time"),
    ];
    let text = |rules: &str| format!("stores:\n  one: {{ provider_type: file, lifecycle: {{ rules: [{rules}] }} }}\n");
    for (rules, expected) in cases {
        let error = refusal(&text(rules));
        assert!(error.contains(expected), "{rules}: {error}");
    }
    let good = "{ name: a, prefix: x/, tags: { k: v }, since: created, archive_after: 1d, retain: 2d, lock: true }";
    let config = parse(&text(good)).unwrap();
    let lifecycle = config.stores.values().next().unwrap().lifecycle.clone().unwrap();
    let (name, rule) = lifecycle.rules().next().unwrap();
    assert_eq!((name, &*rule.prefix, rule.tags.get("k"), rule.lock), ("a", "x/", Some("v"), true));
    let error = refusal(&text(good).replace("lifecycle: {", "lifecycle: { recall: true,"));
    assert!(error.contains("`recall` goes with `archive_to`"), "{error}");
}

#[test]
fn an_archive_does_not_stand_on_its_store() {
    let error = refusal(
        "plugins:
  layer: { path: layer.wasm, grants: { stores: { inner: one } } }
stores:
  one: { provider_type: file, lifecycle: { rules: [{ name: a, archive_after: 1d }], archive_to: two } }
  two: { provider_type: layer }
",
    );
    assert!(error.contains("the archive stands on the store: `two` \u{2192} `one`"), "{error}");
}

#[test]
fn new_buckets_are_checked_too() {
    let error = refusal("new_buckets: { provider_type: nope, lifecycle: { policies: [], archive_to: one } }");
    for part in ["no plugin `nope`", "no policy is named", "new buckets would share this archive"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let template = parse("new_buckets: { provider_type: file }").unwrap().new_buckets.unwrap();
    assert_eq!(template.to_storage().provider_type, StorageType::File);
}

#[test]
fn what_is_serialized_reads_back_but_for_secrets() {
    let mut config = Config::embedded().unwrap();
    config.server.s3.credentials.clear();
    config.data_dir = PathBuf::from("/data/larder-data");
    let text = serde_yaml::to_string(&config).unwrap();
    assert_eq!(parse(&text).unwrap(), config);
}

#[test]
fn every_example_of_the_reference_is_right() {
    let reference = include_str!("../../docs/configuration.md");
    let examples: Vec<&str> =
        reference.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or(rest)).collect();
    assert_eq!(examples.len(), 7);
    let folder = tempfile::tempdir().unwrap();
    for name in ["records.key", "records-2025.key"] {
        private_key(&folder.path().join(name));
    }
    for example in examples {
        let example = example.replace("/etc/larder", &folder.path().display().to_string());
        if let Err(error) = parse(&example) {
            panic!("{error}\n{example}");
        }
    }
}

#[test]
fn layers_are_read_and_their_keys_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    private_key(&path);
    let text = |key: &str| {
        format!(
            "stores:\n  one:\n    provider_type: memory\n    max_size: 1GiB\n    compression: zstd:9\n    encryption: {{ key: \
             {key} }}\n"
        )
    };
    let config = parse(&text(&format!("{{ file: {} }}", path.display()))).unwrap();
    let layers = config.stores[&StoreName::new("one").unwrap()].layers().unwrap();
    assert_eq!((layers.max_size, layers.compression), (Some(1 << 30), Some(9)));
    assert!(layers.encryption.is_some());
    assert!(
        config.summary().to_string().contains("up to 1GiB, compressed by zstd:9, encrypted"),
        "{}",
        config.summary()
    );

    let error = refusal(&text("secret-in-the-file"));
    assert!(error.starts_with("larder.yaml:6:19: stores.one.encryption.key: a key does not stand"), "{error}");
    assert!(!error.contains("secret-in-the-file"), "{error}");
    let error = refusal(&text("{ env: LARDER_NO_SUCH_KEY }"));
    assert!(error.contains("LARDER_NO_SUCH_KEY is not set"), "{error}");
    let error = refusal("stores:\n  one: { provider_type: memory, compression: gzip }\n");
    assert!(error.starts_with("larder.yaml:2:46: stores.one.compression: \"gzip\" is no compression"), "{error}");
}
