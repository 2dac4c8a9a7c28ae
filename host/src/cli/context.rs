use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::{Exit, Failure};
use super::open::{Data, GivenStores};
use super::output::Output;
use crate::config::{Config, ConfigError};

/// What every command works with.
#[derive(Debug)]
pub(super) struct Context {
    config: Option<PathBuf>,
    given: Option<GivenStores>,
    output: Arc<Output>,
}

impl Context {
    pub(super) fn new(config: Option<PathBuf>, output: Output) -> Self {
        Self { config, given: None, output: Arc::new(output) }
    }

    /// The same, with these stores in place of those that the configuration describes.
    pub(super) fn over(&self, given: GivenStores) -> Self {
        Self { config: self.config.clone(), given: Some(given), output: Arc::clone(&self.output) }
    }

    pub(super) fn output(&self) -> &Output {
        &self.output
    }

    /// The file that the user named as configuration.
    pub(super) fn config_file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The configuration: the file's that the user named, or the embedded one.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        load(self.config_file())
    }

    /// The data that the configuration describes, or else the stores that were given.
    pub(super) async fn data(&self) -> Result<Data, Failure> {
        if let Some(given) = &self.given {
            return Ok(Data::given(given.clone()));
        }
        Data::reach(self.config()?, Arc::clone(&self.output)).await
    }
}

/// Reads a configuration file, or the embedded configuration.
pub(super) fn load(file: Option<&Path>) -> Result<Config, Failure> {
    match file {
        Some(file) => Config::load(file),
        None => Config::embedded(),
    }
    .map_err(|error: ConfigError| {
        Failure::new(Exit::Failed, "configuration", error.to_string())
            .with_hint("larder config schema describes every key, for people and for editors")
    })
}
