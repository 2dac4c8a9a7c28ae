use std::path::PathBuf;

use super::Kind;
use crate::object::Digest;

/// Why a plugin could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The file is not there or can not be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is larger than the plugin's limit.
    #[error("the component has {size} bytes, and its limit is {limit} (limits.component_size)")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes are no WebAssembly component.
    #[error("{0}")]
    NotAComponent(String),
    /// It is not the component that was pinned.
    #[error(
        "its digest is {found}, and {wanted} is wanted (digest); it is another component than the one that was pinned"
    )]
    Digest {
        /// What the configuration pins.
        wanted: Digest,
        /// What was found.
        found: Digest,
    },
    /// It exports none of the interfaces that make a plugin, or more than one, or another version of one.
    #[error("{0}")]
    WrongWorld(String),
    /// It imports what was not granted.
    #[error("{0}")]
    Ungranted(String),
    /// A folder that was granted is none.
    #[error("the folder {} that is granted as {guest} can not be used: {error}", path.display())]
    Folder {
        /// The path that the plugin sees.
        guest: String,
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The compiler takes too long.
    #[error("it was not compiled within {} (limits.compile_time)", humantime::format_duration(*limit))]
    CompileTime {
        /// How long it may take.
        limit: std::time::Duration,
    },
    /// The compiler does not take it.
    #[error("it does not compile: {0}")]
    Compile(String),
    /// An instance could not be made, or failed while it was opened.
    #[error("it does not start: {0}")]
    Start(String),
    /// The plugin refused its configuration.
    #[error("it does not accept its configuration: {0}")]
    Settings(String),
    /// It is used as a kind of plugin that it is not.
    #[error("it is {found}, and {wanted} is wanted here")]
    WrongKind {
        /// What the configuration asks for.
        wanted: Kind,
        /// What the component exports.
        found: Kind,
    },
    /// The runtime itself could not be set up.
    #[error("the plugin runtime does not start: {0}")]
    Runtime(String),
}

impl PluginError {
    /// The kind of reason, in a word: the value of the label `reason` of `larder_plugin_load_failures_total`. For limits it
    /// is the limit's name.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::TooLarge { .. } => "component_size",
            Self::NotAComponent(_) => "not-a-component",
            Self::Digest { .. } => "digest",
            Self::WrongWorld(_) => "wrong-world",
            Self::Ungranted(_) => "ungranted",
            Self::Folder { .. } => "folder",
            Self::CompileTime { .. } => "compile_time",
            Self::Compile(_) => "compile",
            Self::Start(_) => "start",
            Self::Settings(_) => "settings",
            Self::WrongKind { .. } => "wrong-kind",
            Self::Runtime(_) => "runtime",
        }
    }
}
