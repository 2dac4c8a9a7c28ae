//! What the tests of larder share: the plugins, built once, and providers made of them; whole hosts; and a browser.

pub mod browser;
pub mod host;
pub mod http;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::contract::{Component, Part};
use larder::plugin::{Plugin, PluginError, PluginOptions, PluginRuntime, Registry, StateStore};
use larder::provider::StorageProvider;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// The first-party plugins, those that misbehave, and the one that uses all that it is granted.
const PLUGINS: [&str; 11] = [
    "plugins/memory",
    "plugins/versions",
    "plugins/sieve",
    "plugins/s3-fifo",
    "plugins/tinylfu",
    "plugins/gdsf",
    "plugins/retention",
    "tests/zoo",
    "tests/zoo-eviction",
    "tests/zoo-lifecycle",
    "tests/reach",
];

/// The folder of the project.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in a folder of the project")
}

/// The component of a first-party plugin, by the name of its folder. All are built when the first is asked for.
pub async fn component(name: &str) -> PathBuf {
    static BUILT: OnceCell<Vec<PathBuf>> = OnceCell::const_new();
    let built = BUILT
        .get_or_init(|| async {
            let folders = PLUGINS.map(|folder| project().join(folder));
            let folders = folders.each_ref().map(PathBuf::as_path);
            let built = larder::plugin::build::build_all(&folders, |line| eprintln!("{line}")).await;
            let built = built.unwrap_or_else(|error| panic!("the plugins do not build: {error}"));
            built.into_iter().map(|built| built.component).collect()
        })
        .await;
    let position = PLUGINS.iter().position(|folder| folder.ends_with(&format!("/{name}")));
    built[position.expect("it is one of the plugins")].clone()
}

/// The component of a plugin of the tests, built for `wasm32-wasip2` as anyone's own toolchain would, with a standard
/// library that imports WASI; `None` if the target is not there and can not be had, which is then said.
pub async fn wasip2_component(name: &str) -> Option<PathBuf> {
    static BUILT: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    let built = BUILT.get_or_init(|| async {
        let run = |program: &str, arguments: &[&str]| {
            let mut command = tokio::process::Command::new(program);
            // What the cargo that runs the tests has said is about them.
            for (variable, _) in std::env::vars_os() {
                let name = variable.to_string_lossy();
                if name.starts_with("CARGO_") && !matches!(&*name, "CARGO_HOME" | "CARGO_REGISTRIES") {
                    command.env_remove(&variable);
                }
            }
            command.args(arguments).current_dir(project().join("plugins"));
            command
        };
        let added = run("rustup", &["target", "add", "wasm32-wasip2"]).output().await;
        if !added.is_ok_and(|added| added.status.success()) {
            skipped("guests with WASI: the target wasm32-wasip2 can not be added");
            return None;
        }
        let build = ["build", "--release", "--locked", "--target", "wasm32-wasip2", "-p", "reach", "-p", "chatty"];
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let built = run(&cargo, &build).output().await.expect("cargo runs the tests, and so is there");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Some(project().join("plugins/target/wasm32-wasip2/release"))
    });
    Some(built.await.as_ref()?.join(format!("{name}.wasm")))
}

/// As [`component`], for tests that run without tokio.
pub fn built_component(name: &str) -> PathBuf {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime of one thread can be made").block_on(component(name))
}

/// Says that a test could not test all it is for. Written past cargo's capture, so that it is seen although the test
/// passes.
pub fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

/// Says something worth reading although the test passes, past cargo's capture.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A plugin runtime with a folder of its own for compiled code.
#[derive(Debug)]
pub struct Runtime {
    runtime: Arc<PluginRuntime>,
    folder: TempDir,
}

impl Runtime {
    /// A runtime whose cache of compiled code is empty.
    pub fn new() -> Self {
        Self::with_memory(PluginRuntime::MEMORY)
    }

    /// A runtime whose plugins have so many bytes of memory together.
    pub fn with_memory(bytes: usize) -> Self {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let runtime = PluginRuntime::new(folder.path().join("compiled")).expect("this platform has a plugin runtime");
        Self { runtime: Arc::new(runtime.with_memory(bytes)), folder }
    }

    /// Has a registry show the metrics of its plugins.
    pub fn register(&self, registry: &Registry) {
        self.runtime.register(registry).expect("the registry is the test's own");
    }

    /// Loads a first-party plugin with these settings, default limits and no grants.
    ///
    /// # Errors
    /// Those of [`PluginRuntime::load`].
    pub async fn load(&self, name: &str, settings: Value) -> Result<Plugin, PluginError> {
        self.load_with(name, settings, |_| {}).await
    }

    /// Loads a first-party plugin with options that `adjust` changes.
    ///
    /// # Errors
    /// Those of [`PluginRuntime::load`].
    pub async fn load_with(
        &self,
        name: &str,
        settings: Value,
        adjust: impl FnOnce(&mut PluginOptions),
    ) -> Result<Plugin, PluginError> {
        let mut options = PluginOptions { settings, ..PluginOptions::new(name) };
        adjust(&mut options);
        self.runtime.load(&component(name).await, options).await
    }

    /// A first-party plugin as something to be held to its contract, with options that `adjust` changes.
    ///
    /// # Errors
    /// Those of [`PluginRuntime::load`].
    pub async fn part(
        &self,
        name: &str,
        settings: Value,
        adjust: impl FnOnce(Component) -> Component,
    ) -> Result<Part, PluginError> {
        let options = PluginOptions { settings, ..PluginOptions::new(name) };
        let component = adjust(Component::new(component(name).await, options));
        component.into_part(Arc::clone(&self.runtime), self.folder.path().join("stores")).await
    }

    /// Loads the component in a file, with options that `adjust` changes.
    ///
    /// # Errors
    /// Those of [`PluginRuntime::load`].
    pub async fn load_file(&self, path: &Path, adjust: impl FnOnce(&mut PluginOptions)) -> Result<Plugin, PluginError> {
        let mut options = PluginOptions::new("guest");
        adjust(&mut options);
        self.runtime.load(path, options).await
    }

    /// The state in a folder, for a plugin to be granted.
    pub async fn state(&self, folder: &Path, capacity: u64) -> StateStore {
        self.runtime.state(folder, capacity).await.expect("the test's own folder can be opened")
    }

    /// The plugin `versions` over two stores.
    ///
    /// # Errors
    /// Those of [`PluginRuntime::load`].
    pub async fn versions(
        &self,
        current: Arc<dyn StorageProvider>,
        history: Arc<dyn StorageProvider>,
    ) -> Result<Arc<dyn StorageProvider>, PluginError> {
        let plugin = self.load_with("versions", serde_json::json!({ "keep": 3 }), |options| {
            options.grants.stores = [("current".to_owned(), current), ("history".to_owned(), history)].into();
            options.limits.instances = 4;
        });
        plugin.await?.provider()
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self::new()
    }
}
