use std::io;
use std::path::PathBuf;

use crate::config::PluginName;
use crate::cosign::SignatureError;
use crate::error::Error;
use crate::object::StoreName;
use crate::oci::OciError;
use crate::plugin::PluginError;
use crate::plugin::build::BuildError;

/// Why a host does not start, or a store of it does not open. Nothing of what failed is left running.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The data folder is of no use.
    #[error("{}: {error}; {hint}", path.display())]
    DataDir {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
        /// What would mend it.
        hint: &'static str,
    },
    /// Another host has the data folder.
    #[error(
        "another host works on {}: stop it, or give this one a data_dir of its own",
        path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// Somebody can not be told of alerts or events.
    #[error("nobody can be told of alerts or events: {0}")]
    Notifying(Error),
    /// The plugins that are built from source can not be.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A plugin can not be loaded.
    #[error("the plugin {plugin} ({}) can not be used: {error}", component.display())]
    Plugin {
        /// Its name in the configuration.
        plugin: PluginName,
        /// Its component.
        component: PathBuf,
        /// Why.
        error: PluginError,
    },
    /// The component of a plugin can not be kept to be checked.
    #[error("the component of the plugin {plugin} ({}) can not be read: {error}", path.display())]
    Component {
        /// The plugin's name in the configuration.
        plugin: PluginName,
        /// Its component.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The component of a plugin can not be had from its registry.
    #[error("the plugin {plugin} can not be used: {error}")]
    Registry {
        /// The plugin's name in the configuration.
        plugin: PluginName,
        /// Why.
        error: OciError,
    },
    /// The signature of a plugin's component does not hold.
    #[error("the plugin {plugin} can not be used: {error}")]
    Signature {
        /// The plugin's name in the configuration.
        plugin: PluginName,
        /// Why.
        error: SignatureError,
    },
    /// What a plugin keeps for itself can not be opened.
    #[error("the state of the plugin {plugin} ({}) can not be opened: {error}", folder.display())]
    PluginState {
        /// The plugin's name in the configuration.
        plugin: PluginName,
        /// The folder of its state.
        folder: PathBuf,
        /// Why.
        error: Error,
    },
    /// The plugin runtime does not start.
    #[error(transparent)]
    Runtime(PluginError),
    /// A store can not be opened.
    #[error("the store {store} can not be opened: {error}")]
    Store {
        /// Its name in the configuration.
        store: StoreName,
        /// Why.
        error: Error,
    },
    /// The metrics or the tasks could not be set up.
    #[error(transparent)]
    Setup(#[from] Error),
}
