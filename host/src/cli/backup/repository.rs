use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::backup::Repository;
use crate::cli::address::Side;
use crate::cli::failure::{Exit, Failure};
use crate::cli::open::Data;
use crate::error::{Error, Result};
use crate::object::StoreName;
use crate::provider::file;

/// Where backups are: a folder, or a store, which is written `larder://STORE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RepositoryAddress {
    Folder(PathBuf),
    Store(StoreName),
}

impl FromStr for RepositoryAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse()? {
            Side::Local(path) => Ok(Self::Folder(path)),
            Side::Store(address) if address.prefix.is_empty() => Ok(Self::Store(address.store)),
            Side::Store(address) => Err(Error::invalid_input(format!(
                "backups are in all of a store: larder://{}, without {:?}",
                address.store, address.prefix
            ))),
        }
    }
}

impl fmt::Display for RepositoryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Store(store) => write!(f, "larder://{store}"),
        }
    }
}

impl RepositoryAddress {
    /// Opens a repository that is there.
    pub(super) async fn open(&self, data: &Lazy<'_>) -> Result<Repository, Failure> {
        match self {
            Self::Folder(path) if !file::is_store(path) => {
                Err(Failure::not_found(format!("there are no backups in {}", path.display()))
                    .with_hint("larder backup create STORE FOLDER makes the first one"))
            }
            Self::Folder(path) => open_folder(path).await,
            Self::Store(store) => Ok(Repository::new(data.get().await?.store(store).await?)),
        }
    }

    /// Opens a repository, and makes it if it is not there.
    pub(super) async fn make(&self, data: &Lazy<'_>) -> Result<Repository, Failure> {
        match self {
            Self::Folder(path) => open_folder(path).await,
            Self::Store(_) => self.open(data).await,
        }
    }
}

async fn open_folder(path: &Path) -> Result<Repository, Failure> {
    Repository::make(path).await.map_err(|error| match error {
        Error::InvalidInput { message } => {
            Failure::usage(message).with_hint("name a folder that is empty, or not there yet")
        }
        error => {
            let hint = || "another command may be at work on these backups: wait for it".to_owned();
            Failure::from(error).about(&path.display().to_string()).hint_on(Exit::Unavailable, hint)
        }
    })
}

/// The stores, reached when one is needed: backups in a folder can be looked at without them.
pub(super) struct Lazy<'a> {
    context: &'a crate::cli::context::Context,
    data: tokio::sync::OnceCell<Data>,
}

impl<'a> Lazy<'a> {
    pub(super) fn new(context: &'a crate::cli::context::Context) -> Self {
        Self { context, data: tokio::sync::OnceCell::new() }
    }

    pub(super) async fn get(&self) -> Result<&Data, Failure> {
        self.data.get_or_try_init(|| self.context.data()).await
    }
}
