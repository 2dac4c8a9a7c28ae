//! Reloading while a host serves: on request, on SIGHUP, and with `--watch` whenever a file changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::context;
use crate::config::{ComponentSource, Config};
use crate::error::{Error, Result};
use crate::host::{Host, PluginReport, ReloadReport};
use crate::plugin::build;
use crate::server::Plugins;

/// How often `--watch` looks: soon enough for somebody who just saved a file, and a few dozen calls of `stat` each time.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A host, and where its configuration comes from.
#[derive(Debug)]
pub(super) struct Reloader {
    host: Arc<Host>,
    config_file: Option<PathBuf>,
    /// What the files were like when the host last took them.
    seen: Mutex<Vec<Seen>>,
}

/// When a file or a source was changed, and how long a file is: enough to tell that it is another one.
type Seen = (PathBuf, Option<(SystemTime, u64)>);

impl Reloader {
    pub(super) fn new(host: Arc<Host>, config_file: Option<&Path>, config: &Config) -> Self {
        let config_file = config_file.map(Path::to_owned);
        let seen = Mutex::new(look(config_file.as_deref(), config));
        Self { host, config_file, seen }
    }

    async fn reload_now(&self) -> Result<ReloadReport> {
        let config = context::load(self.config_file.as_deref());
        let config = config.map_err(|failure| Error::invalid_input(failure.to_string()))?;
        *self.seen.lock() = look(self.config_file.as_deref(), &config);
        let report = self.host.reload(&config).await;
        for key in &report.needs_restart {
            warn!("`{key}` changed in the configuration, which only a restart puts to work");
        }
        Ok(report)
    }

    /// Reloads on every SIGHUP, and with `watch` whenever a component, a source or the configuration changed, until `stop`.
    pub(super) async fn run(&self, watch: bool, stop: CancellationToken) {
        let hung_up = async {
            loop {
                hangup().await;
                info!("reloading on SIGHUP");
                self.reload_and_tell().await;
            }
        };
        let watched = async {
            if !watch {
                std::future::pending::<()>().await;
            }
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                if self.changed() {
                    self.reload_and_tell().await;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = hung_up => {}
            () = watched => {}
        }
    }

    async fn reload_and_tell(&self) {
        if let Err(error) = self.reload_now().await {
            error!("nothing is reloaded: {error}");
        }
    }

    /// Whether anything is not as it was. It is then taken as seen, so that what is wrong with it is told once.
    fn changed(&self) -> bool {
        let now = match context::load(self.config_file.as_deref()) {
            Ok(config) => look(self.config_file.as_deref(), &config),
            // The rest is looked at again when it can be read.
            Err(_) => {
                let mut seen = self.seen.lock().clone();
                if let (Some(file), Some(first)) = (&self.config_file, seen.first_mut()) {
                    first.1 = stat(file);
                }
                seen
            }
        };
        let mut seen = self.seen.lock();
        let changed = *seen != now;
        *seen = now;
        changed
    }
}

#[async_trait]
impl Plugins for Reloader {
    fn reports(&self) -> Vec<PluginReport> {
        self.host.plugins().iter().map(|plugin| plugin.report()).collect()
    }

    fn reset(&self, plugin: &str) -> Result<()> {
        self.host.reset_plugin(plugin)
    }

    async fn reload(&self) -> Result<ReloadReport> {
        self.reload_now().await
    }
}

/// What a host is made of: its configuration first, then components and the sources of those that are built.
fn look(config_file: Option<&Path>, config: &Config) -> Vec<Seen> {
    let plugins = config.plugins.values().map(|plugin| match &plugin.component {
        ComponentSource::Path(path) => (path.clone(), stat(path)),
        // What a registry has is looked up when something else changed, or when it is asked for.
        ComponentSource::Oci(reference) => (reference.to_string().into(), None),
        ComponentSource::Source(dir) => (dir.clone(), build::last_change(dir).ok().flatten().map(|at| (at, 0))),
    });
    config_file.into_iter().map(|file| (file.to_owned(), stat(file))).chain(plugins).collect()
}

fn stat(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(unix)]
async fn hangup() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::hangup()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn hangup() {
    std::future::pending().await
}
