use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::{AllowedHost, Grant, GrantedSecrets, StateStore};
use crate::provider::StorageProvider;

/// The stores granted to a plugin, under the names that it uses.
pub type GrantedStores = BTreeMap<String, Arc<dyn StorageProvider>>;

/// What a plugin may reach beyond its log: nothing, unless it is said here. Only a provider may be granted anything: an
/// eviction strategy and a lifecycle policy see what they are handed, and nothing else.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// Stores that it may build on.
    pub stores: GrantedStores,
    /// Entries of its own that outlast it.
    pub state: Option<StateStore>,
    /// Secrets that it may read.
    pub secrets: GrantedSecrets,
    /// Hosts that it may send HTTP requests to.
    pub http: Vec<AllowedHost>,
    /// Folders of the host's, under the paths that the plugin sees them at.
    pub files: BTreeMap<String, GrantedFolder>,
    /// Whether its clocks go. Otherwise they stand still.
    pub clocks: bool,
    /// Whether its random numbers are random. Otherwise they are always the same.
    pub random: bool,
    /// The variables of its environment.
    pub env: BTreeMap<String, String>,
}

/// A folder granted to a plugin, with all that lies below it. Nothing leads out of it: neither `..` nor a symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedFolder {
    /// The folder on the host. It has to be there.
    pub path: PathBuf,
    /// Whether the plugin may change what is in it.
    pub write: bool,
}

impl Grants {
    /// What is granted, of whatever kind.
    pub fn given(&self) -> impl Iterator<Item = Grant> {
        let Self { stores, state, secrets, http, files, clocks, random, env } = self;
        let given = [
            (Grant::Stores, !stores.is_empty()),
            (Grant::State, state.is_some()),
            (Grant::Secrets, !secrets.is_empty()),
            (Grant::Http, !http.is_empty()),
            (Grant::Files, !files.is_empty()),
            (Grant::Clocks, *clocks),
            (Grant::Random, *random),
            (Grant::Env, !env.is_empty()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(grant, _)| grant)
    }

    /// Whether something of this kind is granted.
    pub fn has(&self, grant: Grant) -> bool {
        self.given().any(|given| given == grant)
    }
}
