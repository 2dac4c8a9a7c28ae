//! The checks that need more than one place of the file.

mod watching;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::error::nearest;
use super::locate::YamlPath;
use super::{
    BackupConfig, ComponentSource, Config, Cosign, EncryptionConfig, EvictionPolicy, LifecycleConfig, PluginMode,
    PluginName, RepositoryAddress, StorageConfig, StorageType, Verify, graph, layers,
};
use crate::object::StoreName;
use crate::provider::file::Durability;

/// What is wrong with it, each with the place of what would have to change.
pub(super) fn check(config: &Config) -> Vec<(YamlPath, String)> {
    let mut check = Check { config, found: Vec::new() };
    check.listeners();
    check.credentials();
    check.plugins();
    check.health();
    check.alerts();
    check.webhooks();
    check.stores();
    check.new_buckets();
    check.folders();
    check.archives();
    check.shared_grants();
    check.found.extend(graph::cycles(config));
    check.found
}

struct Check<'a> {
    config: &'a Config,
    found: Vec<(YamlPath, String)>,
}

impl Check<'_> {
    fn report(&mut self, path: YamlPath, message: impl Into<String>) {
        self.found.push((path, message.into()));
    }

    fn listeners(&mut self) {
        let server = YamlPath::top("server");
        let (s3, admin) = (&self.config.server.s3, &self.config.server.admin);
        if s3.listen.clashes(admin.listen) {
            let (s3, admin) = (s3.listen, admin.listen);
            self.report(
                server.key("admin").key("listen"),
                format!("{admin} is taken by server.s3.listen ({s3}); give each a port of its own"),
            );
        }
        if !s3.listen.is_loopback() && s3.credentials.is_empty() {
            self.report(
                server.key("s3").key("listen"),
                format!(
                    "{} can be reached from other machines, and there are no credentials: everybody could read and \
                     write; add server.s3.credentials, or listen on 127.0.0.1",
                    s3.listen
                ),
            );
        }
    }

    fn credentials(&mut self) {
        let path = YamlPath::top("server").key("s3").key("credentials");
        let credentials = &self.config.server.s3.credentials;
        for (index, credential) in credentials.iter().enumerate() {
            if let Err(message) = credential.secret_key.expose() {
                self.report(path.index(index).key("secret_key"), message);
            }
            if credentials[..index].iter().any(|earlier| earlier.access_key == credential.access_key) {
                let message = format!("the access key {} is there twice; remove one of them", credential.access_key);
                self.report(path.index(index).key("access_key"), message);
            }
        }
    }

    fn plugins(&mut self) {
        let config = self.config;
        let plugins = YamlPath::top("plugins");
        for (name, plugin) in &config.plugins {
            let built_in = StorageType::BUILT_IN.iter().chain(&EvictionPolicy::BUILT_IN);
            if built_in.into_iter().any(|word| *word == name.as_str()) {
                let message = "this word names what is built in; give the plugin another name";
                self.report(plugins.key(name), message);
            }
            if config.supply_chain.require_digest && !plugin.is_pinned() {
                let message = "it is pinned to no digest, and supply_chain.require_digest asks for one: add `digest`, \
                               which `larder plugin inspect` tells, or one in the reference";
                self.report(plugins.key(name), message);
            }
            if let (Some(_), ComponentSource::Source(_)) = (&plugin.verify, &plugin.component) {
                let message = "what is built here is signed by nobody; remove this, or name a component by path or oci";
                self.report(plugins.key(name).key("verify"), message);
            }
            if let Some(Verify { cosign: Cosign::Key { key } }) = &plugin.verify
                && !key.is_file()
            {
                let message = format!("there is no file {}; name the public key", key.display());
                self.report(plugins.key(name).key("verify").key("cosign").key("key"), message);
            }
            let grants = plugins.key(name).key("grants");
            for (word, store) in &plugin.grants.stores {
                self.store_exists(grants.key("stores").key(word), store);
            }
            for (word, secret) in &plugin.grants.secrets {
                if let Err(message) = secret.expose() {
                    self.report(grants.key("secrets").key(word), message);
                }
            }
            if let Some(job) = config.pure_use_of(name) {
                for grant in plugin.grants.given() {
                    let message = format!(
                        "`{name}` is the {job}, and such a plugin decides from what it is handed alone, so that its \
                         decisions can be replayed; it can be granted nothing: remove this"
                    );
                    self.report(grants.key(grant), message);
                }
            }
        }
    }

    fn stores(&mut self) {
        let config = self.config;
        for (name, store) in &config.stores {
            let path = YamlPath::top("stores").key(name);
            let StorageConfig { provider_type, base_path, durability, encryption, cache, lifecycle, backup, .. } =
                store;
            self.provider(path.key("provider_type"), provider_type);
            if let Some(encryption) = encryption {
                self.encryption(&path.key("encryption"), encryption);
            }
            if base_path.is_some() && *provider_type != StorageType::File {
                let message =
                    format!("only a store of type file has a base_path, and this one is of type {provider_type}");
                self.report(path.key("base_path"), message);
            }
            self.durability(&path, provider_type, *durability);
            if let Some(cache) = cache {
                self.eviction(path.key("cache").key("eviction_policy"), &cache.eviction_policy);
            }
            if let Some(lifecycle) = lifecycle {
                self.lifecycle(path.key("lifecycle"), lifecycle);
                if let Some(archive) = &lifecycle.archive_to {
                    self.store_exists(path.key("lifecycle").key("archive_to"), archive);
                }
            }
            if let Some(backup) = backup {
                self.backup(path.key("backup").key("to"), name, backup);
                if backup.keep.is_some_and(|keep| keep.is_empty()) {
                    let message = "it would keep no backup; say which, such as { last: 7, weekly: 8 }, or remove it";
                    self.report(path.key("backup").key("keep"), message);
                }
            }
        }
    }

    fn encryption(&mut self, path: &YamlPath, encryption: &EncryptionConfig) {
        if let Err(message) = layers::read(&encryption.key) {
            self.report(path.key("key"), message);
        }
        for (index, key) in encryption.old_keys.iter().enumerate() {
            if let Err(message) = layers::read(key) {
                self.report(path.key("old_keys").index(index), message);
            }
        }
    }

    fn new_buckets(&mut self) {
        let Some(template) = &self.config.new_buckets else { return };
        let path = YamlPath::top("new_buckets");
        self.provider(path.key("provider_type"), &template.provider_type);
        if let Some(encryption) = &template.encryption {
            self.encryption(&path.key("encryption"), encryption);
        }
        self.durability(&path, &template.provider_type, template.durability);
        if let Some(cache) = &template.cache {
            self.eviction(path.key("cache").key("eviction_policy"), &cache.eviction_policy);
        }
        if let Some(lifecycle) = &template.lifecycle {
            self.lifecycle(path.key("lifecycle"), lifecycle);
            if lifecycle.archive_to.is_some() {
                let message =
                    "new buckets would share this archive, and equal keys would replace each other; remove it";
                self.report(path.key("lifecycle").key("archive_to"), message);
            }
        }
    }

    fn provider(&mut self, path: YamlPath, provider: &StorageType) {
        if let StorageType::Custom(name) = provider {
            let monitored = self.config.plugins.get(name).is_some_and(|plugin| plugin.mode == PluginMode::Monitor);
            if monitored {
                let message =
                    format!("the plugin `{name}` has `mode: monitor`, and a provider is there to be used; remove it");
                self.report(path.clone(), message);
            }
            self.plugin_exists(path, name, &StorageType::BUILT_IN);
        }
    }

    fn durability(&mut self, store: &YamlPath, provider: &StorageType, durability: Option<Durability>) {
        if durability.is_some() && *provider != StorageType::File {
            let message = format!(
                "larder answers for the durability of stores of type file alone, and this one is of type {provider}; remove it"
            );
            self.report(store.key("durability"), message);
        }
    }

    fn eviction(&mut self, path: YamlPath, policy: &EvictionPolicy) {
        if let EvictionPolicy::Custom(name) = policy {
            self.plugin_exists(path, name, &EvictionPolicy::BUILT_IN);
        }
    }

    fn lifecycle(&mut self, path: YamlPath, lifecycle: &LifecycleConfig) {
        let policies = path.key("policies");
        if lifecycle.policies.is_empty() && lifecycle.rules.is_empty() {
            let message = "no policy is named; write `rules`, name a plugin in `policies`, or remove `lifecycle`";
            self.report(path.clone(), message);
        }
        for (index, rule) in lifecycle.rules.iter().enumerate() {
            let path = path.key("rules").index(index);
            if let Some((key, message)) = rule.problem() {
                self.report(path.key(key), message);
            } else if lifecycle.rules[..index].iter().any(|other| other.name == rule.name) {
                self.report(path.key("name"), format!("there is another rule {:?}; give each its own name", rule.name));
            }
        }
        if lifecycle.recall && lifecycle.archive_to.is_none() {
            self.report(path.key("recall"), "nothing is archived here: `recall` goes with `archive_to`");
        }
        for (index, name) in lifecycle.policies.iter().enumerate() {
            self.plugin_exists(policies.index(index), name, &[]);
        }
        if lifecycle.every.is_some() && lifecycle.schedule.is_some() {
            let message = "`every` says already when they are asked; remove one of them";
            self.report(path.key("schedule"), message);
        }
    }

    fn backup(&mut self, path: YamlPath, name: &StoreName, backup: &BackupConfig) {
        let config = self.config;
        match &backup.to {
            RepositoryAddress::Store(store) if store == name => {
                self.report(path, "a store is not backed up to itself; name another store, or a folder");
            }
            RepositoryAddress::Store(store) => self.store_exists(path, store),
            RepositoryAddress::Folder(folder) => {
                let folder = plain(folder);
                let files = config.stores.iter().filter(|(_, store)| store.provider_type == StorageType::File);
                let overlaps = |other: &Path| folder.starts_with(other) || other.starts_with(&folder);
                let taken = files
                    .map(|(name, store)| (name, plain(&store.folder(name, &config.data_dir))))
                    .find(|(_, other)| overlaps(other));
                if let Some((other, taken)) = taken {
                    let taken = taken.display();
                    self.report(
                        path,
                        format!("`{other}` has its files in {taken}; name a folder that is apart from it"),
                    );
                } else if folder.starts_with(plain(&config.data_dir)) {
                    let message = "the host keeps its own files in data_dir, and backups are for when that is lost; name a \
                                   folder elsewhere, on another disk if there is one";
                    self.report(path, message);
                }
            }
        }
    }

    fn plugin_exists(&mut self, path: YamlPath, name: &PluginName, built_in: &[&str]) {
        let plugins = &self.config.plugins;
        if plugins.contains_key(name) {
            return;
        }
        let known: Vec<&str> = built_in.iter().copied().chain(plugins.keys().map(PluginName::as_str)).collect();
        let message = format!("there is no plugin `{name}`{}; define it under `plugins`", hint(name.as_str(), &known));
        self.report(path, message);
    }

    fn store_exists(&mut self, path: YamlPath, name: &StoreName) {
        let stores = &self.config.stores;
        if stores.contains_key(name) {
            return;
        }
        let known: Vec<&str> = stores.keys().map(StoreName::as_str).collect();
        let message = format!("there is no store `{name}`{}; define it under `stores`", hint(name.as_str(), &known));
        self.report(path, message);
    }

    /// No two stores keep their files in one folder, or one inside the other's; nor where new ones may come to lie.
    fn folders(&mut self) {
        let config = self.config;
        let data_dir = plain(&config.data_dir);
        let common = data_dir.join(StorageConfig::FOLDER);
        let files = config.stores.iter().filter(|(_, store)| store.provider_type == StorageType::File);
        let folders: Vec<(&StoreName, PathBuf)> =
            files.map(|(name, store)| (name, plain(&store.folder(name, &config.data_dir)))).collect();
        for (index, (name, folder)) in folders.iter().enumerate() {
            let path = YamlPath::top("stores").key(name).key("base_path");
            if data_dir.starts_with(folder) {
                self.report(path, "the host keeps its own files in data_dir; name a folder inside it, or elsewhere");
                continue;
            }
            if common.starts_with(folder) || (folder.starts_with(&common) && *folder != common.join(name.as_str())) {
                let common = common.display();
                self.report(
                    path,
                    format!("{common} is for stores without a base_path, each under its name; choose another"),
                );
                continue;
            }
            let overlap = |other: &Path| folder.starts_with(other) || other.starts_with(folder);
            if let Some((other, _)) = folders[..index].iter().find(|(_, other)| overlap(other)) {
                let folder = folder.display();
                let message = format!("{folder} overlaps with the folder of the store `{other}`; give each its own");
                self.report(path, message);
            }
        }
    }

    /// Equal keys of two stores would replace each other in one archive.
    fn archives(&mut self) {
        let mut users: BTreeMap<&StoreName, &StoreName> = BTreeMap::new();
        for (name, store) in &self.config.stores {
            let Some(archive) = store.lifecycle.as_ref().and_then(|lifecycle| lifecycle.archive_to.as_ref()) else {
                continue;
            };
            if let Some(other) = users.insert(archive, name) {
                let message = format!(
                    "`{other}` archives to `{archive}` too, and equal keys would replace each other; \
                     give each store an archive of its own"
                );
                self.report(YamlPath::top("stores").key(name).key("lifecycle").key("archive_to"), message);
            }
        }
    }

    /// Two stores on one plugin with grants would keep their objects in the same place, under the same keys.
    fn shared_grants(&mut self) {
        let config = self.config;
        let granted = |provider: &StorageType| match provider {
            StorageType::Custom(name) => {
                config.plugins.get(name).is_some_and(|plugin| plugin.grants.can_keep_objects())
            }
            _ => false,
        };
        let mut users: BTreeMap<String, &StoreName> = BTreeMap::new();
        for (name, store) in config.stores.iter().filter(|(_, store)| granted(&store.provider_type)) {
            let provider = store.provider_type.to_string();
            if let Some(other) = users.get(&provider) {
                let message = format!(
                    "`{other}` stands on the plugin `{provider}` too, and both would share what is granted to it; \
                     define the plugin once more under another name, with grants of its own"
                );
                self.report(YamlPath::top("stores").key(name).key("provider_type"), message);
            }
            users.insert(provider, name);
        }
        if let Some(template) = config.new_buckets.as_ref().filter(|template| granted(&template.provider_type)) {
            let message = format!(
                "all new buckets would share what is granted to the plugin `{}`; choose a provider without grants",
                template.provider_type
            );
            self.report(YamlPath::top("new_buckets").key("provider_type"), message);
        }
    }
}

/// Which of the known words was meant, or which there are.
fn hint(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!(" (did you mean `{near}`?)"),
        None if known.is_empty() => String::new(),
        None => format!(" (there are: {})", known.join(", ")),
    }
}

/// The path from the root on without `.` and `..`, as far as text can tell.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}
