use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backup::BackupConfig;
use super::cache::CacheConfig;
use super::health::Probe;
use super::layers::{Compression, EncryptionConfig};
use super::lifecycle::LifecycleConfig;
use super::name::PluginName;
use super::scalar::{Scalar, scalar_serde};
use super::schedule::ScheduleConfig;
use super::size::Size;
use crate::object::StoreName;
use crate::provider::file::Durability;
use crate::provider::layers::Layers;

/// A store: where its bytes live, what is cached, and how its objects age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageConfig {
    /// Where the bytes live.
    pub provider_type: StorageType,
    /// For `file` only: the folder, relative to `data_dir`; absent: `stores/` and the store's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_path: Option<PathBuf>,
    /// For `file` only: what of acknowledged writes outlasts a loss of power; absent: strict, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// Whether only plugins that are granted it can reach it. No front door serves it then.
    #[serde(default)]
    pub internal: bool,
    /// The most bytes that the objects have together, as they are read; absent: as many as there is room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<Size>,
    /// How objects are compressed; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// What objects are encrypted with, after they were compressed; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionConfig>,
    /// The cache in front; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheConfig>,
    /// How objects age; absent: they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<LifecycleConfig>,
    /// When all bytes are read and held against their checksums; absent: only when somebody asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrub: Option<ScheduleConfig>,
    /// How the host finds out whether it works.
    #[serde(default)]
    pub probe: Probe,
    /// When it is backed up, and where to; absent: only when somebody does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupConfig>,
}

impl StorageConfig {
    /// The folder under `data_dir` that holds the folders of all stores without a `base_path` of their own.
    pub const FOLDER: &str = "stores";

    /// The folder of a `file` store of this name.
    pub fn folder(&self, name: &StoreName, data_dir: &Path) -> PathBuf {
        match &self.base_path {
            Some(path) => data_dir.join(path),
            None => data_dir.join(Self::FOLDER).join(name.as_str()),
        }
    }

    /// The layers around its provider, with the keys read now.
    ///
    /// # Errors
    /// One line that says what is wrong with a key.
    pub fn layers(&self) -> Result<Layers, String> {
        Ok(Layers {
            max_size: self.max_size.map(Size::bytes),
            compression: self.compression.map(Compression::level),
            encryption: self.encryption.as_ref().map(EncryptionConfig::keys).transpose()?,
        })
    }
}

/// Where the bytes of a store live.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageType {
    /// In files under a folder; they outlast the host.
    File,
    /// In the host's memory; they end with the host.
    Memory,
    /// Where the plugin of this name keeps them.
    Custom(PluginName),
}

impl StorageType {
    /// The words that name what is built in, and so no plugin.
    pub const BUILT_IN: [&str; 2] = ["file", "memory"];
}

impl FromStr for StorageType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "file" => Self::File,
            "memory" => Self::Memory,
            name => Self::Custom(name.parse().map_err(|_| format!("{text:?} is not {}", Self::EXPECTED))?),
        })
    }
}

impl fmt::Display for StorageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Memory => "memory",
            Self::Custom(name) => name.as_str(),
        })
    }
}

impl Scalar for StorageType {
    const EXPECTED: &'static str = "a provider: file, memory or the name of a plugin";
    const PATTERN: &'static str = PluginName::PATTERN;
}

scalar_serde!(StorageType);

/// What a store is like that a client makes, as S3 CreateBucket does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreTemplate {
    /// Where the bytes live.
    pub provider_type: StorageType,
    /// The most bytes that the objects have together, as they are read; absent: as many as there is room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<Size>,
    /// How objects are compressed; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// What objects are encrypted with, after they were compressed; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionConfig>,
    /// For `file` only: what of acknowledged writes outlasts a loss of power; absent: strict, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// The cache in front; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheConfig>,
    /// How objects age; absent: they do not. `archive_to` can not be used here, since no two stores share an archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<LifecycleConfig>,
    /// When all bytes are read and held against their checksums; absent: only when somebody asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrub: Option<ScheduleConfig>,
    /// How the host finds out whether it works.
    #[serde(default)]
    pub probe: Probe,
}

impl StoreTemplate {
    /// A store of this type, and nothing else.
    pub fn new(provider_type: StorageType) -> Self {
        Self {
            provider_type,
            durability: None,
            max_size: None,
            compression: None,
            encryption: None,
            cache: None,
            lifecycle: None,
            scrub: None,
            probe: Probe::default(),
        }
    }

    /// The configuration of a store made after it.
    pub fn to_storage(&self) -> StorageConfig {
        let Self { provider_type, durability, max_size, compression, encryption, cache, lifecycle, scrub, probe } =
            self.clone();
        StorageConfig {
            provider_type,
            base_path: None,
            durability,
            internal: false,
            max_size,
            compression,
            encryption,
            cache,
            lifecycle,
            scrub,
            probe,
            backup: None,
        }
    }
}
