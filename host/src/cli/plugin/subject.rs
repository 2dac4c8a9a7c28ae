use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use crate::cli::address::Pair;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::config::{Period, Size};
use crate::plugin::{GrantedStores, Plugin, PluginError, PluginOptions, PluginRuntime, build};
use crate::provider::StorageProvider;
use crate::provider::file::{FileOptions, FileStorageProvider};
use crate::provider::memory::MemoryStorageProvider;

/// The plugin that a command works on, and what it has.
#[derive(Debug, Args)]
pub(in crate::cli) struct Subject {
    /// The component, a .wasm file, or the folder of a plugin crate, which is built if it is stale
    #[arg(value_name = "FILE|DIR")]
    component: PathBuf,
    /// The settings of the plugin: what stands under `config` in a configuration, as JSON
    #[arg(long, value_name = "JSON", default_value = "null", value_parser = json)]
    settings: Value,
    /// Grant a provider a store under this name, in memory or in files below a folder; may be given again
    #[arg(long = "store", value_name = "NAME=memory|DIR")]
    stores: Vec<Pair>,
    /// The memory of an instance; absent: 64MiB
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
    /// How long a call may take
    #[arg(long, value_name = "TIME", default_value_t = CALL_TIMEOUT)]
    call_timeout: Period,
}

const CALL_TIMEOUT: Period = Period::seconds(10);

pub(in crate::cli) fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))
}

/// A plugin that is ready, and the stores granted to it.
#[derive(Debug)]
pub(in crate::cli) struct Opened {
    pub(in crate::cli) plugin: Plugin,
    pub(in crate::cli) granted: GrantedStores,
}

impl Subject {
    /// A plugin with these settings, to which nothing is granted.
    pub(in crate::cli) fn with_settings(component: PathBuf, settings: Value) -> Self {
        Self { component, settings, stores: Vec::new(), memory: None, call_timeout: CALL_TIMEOUT }
    }

    /// Where the component is, which is built if it must be.
    pub(super) async fn component(&self, output: &Output) -> Result<PathBuf, Failure> {
        let given = &self.component;
        if !given.is_dir() {
            return Ok(given.clone());
        }
        let failed = |error: build::BuildError| Failure::new(Exit::Failed, "build", error.to_string());
        if build::is_stale(given).map_err(failed)? {
            build::build(given, |line| output.remark(line)).await.map_err(failed)?;
        }
        build::component_path(given).map_err(failed)
    }

    /// How to load it, under default limits but those that were given.
    pub(super) fn options(&self) -> Result<PluginOptions, Failure> {
        let name = self.component.file_stem().map_or("plugin".into(), |stem| stem.to_string_lossy());
        let mut options = PluginOptions { settings: self.settings.clone(), ..PluginOptions::new(name.as_ref()) };
        if let Some(memory) = self.memory {
            options.limits.memory = usize::try_from(memory.bytes()).unwrap_or(usize::MAX);
        }
        // No cache waits for a strategy here, and the machine may be busy with a build.
        options.limits.call_timeout = Some(self.call_timeout.as_duration());
        for Pair { name, value } in &self.stores {
            options.grants.stores.insert(name.clone(), store(value)?);
        }
        Ok(options)
    }

    /// Builds it if it must be, and loads it.
    pub(in crate::cli) async fn open(&self, output: &Output) -> Result<Opened, Failure> {
        let component = self.component(output).await?;
        let options = self.options()?;
        let granted = options.grants.stores.clone();
        let loaded = runtime()?.load(&component, options).await;
        let plugin = loaded.map_err(|error| not_loaded(&component, &error))?;
        Ok(Opened { plugin, granted })
    }
}

/// A runtime that keeps compiled code for the next command of the same user.
pub(super) fn runtime() -> Result<PluginRuntime, Failure> {
    runtime_in(cache_folder().unwrap_or_else(std::env::temp_dir).join("larder").join("compiled"))
}

/// A runtime that keeps compiled code in this folder.
pub(super) fn runtime_in(folder: PathBuf) -> Result<PluginRuntime, Failure> {
    PluginRuntime::new(folder).map_err(|error| Failure::new(Exit::Failed, "plugin", error.to_string()))
}

/// Where programs keep what they can do without, after the XDG Base Directory Specification.
fn cache_folder() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    named.or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
}

/// Why a component can not be used.
pub(super) fn not_loaded(component: &Path, error: &PluginError) -> Failure {
    let failure = Failure::new(Exit::Failed, "plugin", format!("{}: {error}", component.display()));
    match error {
        PluginError::Ungranted(message) if message.contains("inner-stores") => {
            failure.with_hint("--store NAME=memory grants it a store")
        }
        PluginError::Settings(_) => failure.with_hint("--settings JSON is what it is told when it is opened"),
        PluginError::Read { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
            Failure::not_found(format!("there is no file {}", component.display()))
        }
        _ => failure,
    }
}

fn store(kind: &str) -> Result<Arc<dyn StorageProvider>, Failure> {
    match kind {
        "memory" => Ok(Arc::new(MemoryStorageProvider::new())),
        folder => {
            Ok(Arc::new(FileStorageProvider::open(Path::new(folder), &FileOptions::default()).map_err(Failure::from)?))
        }
    }
}
