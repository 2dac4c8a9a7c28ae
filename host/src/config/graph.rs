//! Which store stands on which, and which archives to which.

use std::collections::BTreeSet;

use super::locate::YamlPath;
use super::{Config, StorageType};
use crate::object::StoreName;

/// The stores that a store's provider was granted.
fn inner<'a>(config: &'a Config, store: &StoreName) -> Vec<&'a StoreName> {
    let Some(StorageType::Custom(plugin)) = config.stores.get(store).map(|store| &store.provider_type) else {
        return Vec::new();
    };
    config.plugins.get(plugin).map_or_else(Vec::new, |plugin| plugin.grants.stores.values().collect())
}

/// The store that a store archives to.
fn archive<'a>(config: &'a Config, store: &StoreName) -> Option<&'a StoreName> {
    config.stores.get(store)?.lifecycle.as_ref()?.archive_to.as_ref()
}

/// The stores that a store needs, to be one.
fn beneath<'a>(config: &'a Config, store: &StoreName) -> Vec<&'a StoreName> {
    inner(config, store).into_iter().chain(archive(config, store)).collect()
}

/// The shortest way from a store along `next` back to itself or to another, both ends included.
fn way<'a>(
    from: &'a StoreName,
    to: &StoreName,
    next: impl Fn(&StoreName) -> Vec<&'a StoreName>,
) -> Option<Vec<&'a StoreName>> {
    let mut seen = BTreeSet::new();
    let mut ways = vec![vec![from]];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let end = *way.last()?;
            for store in next(end) {
                let mut way = way.clone();
                way.push(store);
                if store == to {
                    return Some(way);
                }
                if seen.insert(store) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}

fn shown(way: &[&StoreName]) -> String {
    way.iter().map(|store| format!("`{store}`")).collect::<Vec<_>>().join(" \u{2192} ")
}

/// Stores that stand on themselves, that archive to themselves, or to what they stand on.
pub(super) fn cycles(config: &Config) -> Vec<(YamlPath, String)> {
    let mut found = Vec::new();
    // Every store of a cycle leads back to itself; one report is enough.
    let mut reported = BTreeSet::new();
    for name in config.stores.keys() {
        let path = YamlPath::top("stores").key(name);
        if !reported.contains(name)
            && let Some(way) = way(name, name, |store| inner(config, store))
        {
            let message = format!("a store can not stand on itself: {}; grant the plugin another store", shown(&way));
            found.push((path.key("provider_type"), message));
            reported.extend(way);
        }
    }
    reported.clear();
    for name in config.stores.keys() {
        let Some(archive_to) = archive(config, name) else { continue };
        let path = YamlPath::top("stores").key(name).key("lifecycle").key("archive_to");
        if !reported.contains(name)
            && let Some(way) = way(name, name, |store| archive(config, store).into_iter().collect())
        {
            let message = format!("objects would be archived for ever: {}; choose another store", shown(&way));
            found.push((path, message));
            reported.extend(way);
        } else if let Some(way) = way(name, archive_to, |store| inner(config, store)) {
            let message = format!("the store stands on its own archive: {}; choose another store", shown(&way));
            found.push((path, message));
        } else if let Some(way) = way(archive_to, name, |store| beneath(config, store)) {
            let message = format!("the archive stands on the store: {}; choose another store", shown(&way));
            found.push((path, message));
        }
    }
    found
}
