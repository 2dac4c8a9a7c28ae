use std::fmt;

use super::{Config, StorageConfig, StorageType};
use crate::plugin::Grant;

/// What a configuration amounts to, in lines for people.
#[derive(Debug)]
pub struct Summary<'a>(&'a Config);

impl Config {
    /// What it amounts to, in lines for people; for programs it serializes. Secrets are in neither.
    pub fn summary(&self) -> Summary<'_> {
        Summary(self)
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config {
            data_dir,
            server,
            plugins,
            supply_chain,
            plugin_memory: _,
            cache,
            health: _,
            alerts,
            webhooks,
            stores,
            new_buckets,
        } = self.0;
        writeln!(f, "data     {}", data_dir.display())?;
        let keys = match server.s3.credentials.len() {
            0 => "open to everybody on this machine".to_owned(),
            1 => "1 key pair".to_owned(),
            count => format!("{count} key pairs"),
        };
        writeln!(f, "s3       http://{} in {}, {keys}", server.s3.listen, server.s3.region)?;
        writeln!(f, "admin    http://{}", server.admin.listen)?;
        if supply_chain.require_digest {
            writeln!(f, "supply   every plugin is pinned to a digest")?;
        }
        if let Some(ttl) = cache.ttl {
            writeln!(f, "caches   an entry is used for {ttl}, unless its store says otherwise")?;
        }
        for (name, plugin) in plugins {
            write!(f, "plugin   {name}: {}", plugin.component)?;
            if plugin.is_pinned() {
                f.write_str(", pinned")?;
            }
            for (word, store) in &plugin.grants.stores {
                write!(f, ", store `{store}` as {word}")?;
            }
            let others: Vec<&str> =
                plugin.grants.given().filter(|grant| *grant != Grant::Stores).map(Grant::as_str).collect();
            if !others.is_empty() {
                write!(f, ", granted {}", others.join(", "))?;
            }
            writeln!(f)?;
        }
        for (name, store) in stores {
            write!(f, "store    {name}: ")?;
            if store.provider_type == StorageType::File {
                write!(f, "files in {}", store.folder(name, data_dir).display())?;
            } else {
                write!(f, "{}", store.provider_type)?;
            }
            describe(f, store)?;
        }
        for alertmanager in &alerts.alertmanagers {
            writeln!(f, "alerts   to the Alertmanager at {}", alertmanager.url)?;
        }
        for webhook in webhooks {
            let of = if webhook.types.is_empty() { "all".to_owned() } else { webhook.types.join(", ") };
            writeln!(f, "webhook  {}: events to {}, {of}", webhook.name, webhook.url)?;
        }
        if let Some(template) = new_buckets {
            write!(f, "buckets  {}", template.provider_type)?;
            describe(f, &template.to_storage())?;
        }
        Ok(())
    }
}

/// The rest of a store's line.
fn describe(f: &mut fmt::Formatter<'_>, store: &StorageConfig) -> fmt::Result {
    if store.internal {
        f.write_str(", internal")?;
    }
    if let Some(durability) = store.durability {
        write!(f, ", durability {}", durability.as_str())?;
    }
    if let Some(max_size) = store.max_size {
        write!(f, ", up to {max_size}")?;
    }
    if let Some(compression) = store.compression {
        write!(f, ", compressed by {compression}")?;
    }
    if store.encryption.is_some() {
        f.write_str(", encrypted")?;
    }
    if let Some(cache) = &store.cache {
        write!(f, ", cache of {} ({})", cache.size_limit, cache.eviction_policy)?;
    }
    if let Some(lifecycle) = &store.lifecycle {
        write!(f, ", {}", lifecycle.summary())?;
    }
    if let Some(scrub) = &store.scrub {
        write!(f, ", scrubbed {scrub}")?;
    }
    if let Some(backup) = &store.backup {
        write!(f, ", backed up to {} {}", backup.to, backup.schedule)?;
        if let Some(keep) = &backup.keep {
            write!(f, ", where it keeps {keep}")?;
        }
    }
    writeln!(f)
}
