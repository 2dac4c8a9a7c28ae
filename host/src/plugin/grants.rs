use std::collections::BTreeMap;
use std::sync::Arc;

use crate::provider::StorageProvider;

/// The stores granted to a plugin, under the names that it uses.
pub type GrantedStores = BTreeMap<String, Arc<dyn StorageProvider>>;

/// What a plugin may reach beyond its log: nothing, unless it is said here.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// Stores that a provider may build on.
    pub stores: GrantedStores,
}
