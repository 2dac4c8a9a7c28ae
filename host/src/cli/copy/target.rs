use std::fmt;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use std::sync::Arc;

use super::super::address::{PrefixAddress, Side};
use super::super::content;
use super::super::failure::Failure;
use super::super::open::Data;
use super::super::part_file::PartFile;
use super::super::progress::Progress;
use super::folder::Folder;
use super::path::{Overlap, path_of};
use super::source::{Item, refused};
use crate::object::{Attributes, Key};
use crate::provider::{StorageProvider, StoreOptions};

/// Where copies go.
#[derive(Debug)]
pub(super) struct Target {
    kind: Kind,
    naming: Naming,
}

#[derive(Debug)]
enum Kind {
    Folder { folder: Arc<Folder>, overlap: Overlap },
    Store { address: PrefixAddress, provider: Arc<dyn StorageProvider> },
}

/// What a copy is called.
#[derive(Debug)]
enum Naming {
    /// By its own name, below the target.
    Own,
    /// By the target's last name; there is but one copy.
    Given(String),
}

impl Target {
    pub(super) async fn open(side: &Side, data: &Data, recursive: bool) -> Result<Self, Failure> {
        match side {
            Side::Local(path) => Ok(Self::local(path.clone(), recursive)),
            Side::Store(address) => {
                let provider = data.store(&address.store).await?;
                Ok(Self::store(address.clone(), provider, recursive))
            }
        }
    }

    pub(super) fn local(path: PathBuf, recursive: bool) -> Self {
        let is_folder = recursive || path.is_dir() || path.to_string_lossy().ends_with(['/', MAIN_SEPARATOR]);
        let given = path.file_name().and_then(|name| name.to_str()).filter(|_| !is_folder).map(str::to_owned);
        let (root, naming) = match given {
            Some(name) => (path.parent().unwrap_or(Path::new("")).to_owned(), Naming::Given(name)),
            None => (path, Naming::Own),
        };
        Self { kind: Kind::Folder { folder: Arc::new(Folder::new(root)), overlap: Overlap::default() }, naming }
    }

    pub(super) fn store(address: PrefixAddress, provider: Arc<dyn StorageProvider>, recursive: bool) -> Self {
        let is_folder = recursive || address.folder() == address.prefix;
        let naming = if is_folder { Naming::Own } else { Naming::Given(address.prefix.clone()) };
        Self { kind: Kind::Store { address, provider }, naming }
    }

    /// Where this thing goes. Things from a store must come in the order of their keys.
    ///
    /// # Errors
    /// Why it can not go there.
    pub(super) fn place(&mut self, item: &Item) -> Result<Place, Failure> {
        let because = |reason: &str| refused(&item.to_string(), reason);
        match &mut self.kind {
            Kind::Folder { folder, overlap } => {
                let Item::Object { name, metadata, .. } = item else {
                    return Err(because("a local file is not copied to another"));
                };
                let name = match &self.naming {
                    Naming::Own => name,
                    Naming::Given(name) => name,
                };
                let path = path_of(name).map_err(|reason| because(&reason))?;
                if let Some(file) = overlap.with(&metadata.key) {
                    return Err(because(&format!("\u{2018}{file}\u{2019} is a file, and can not be a folder too")));
                }
                Ok(Place::File { folder: folder.clone(), path })
            }
            Kind::Store { address, provider } => {
                let key = match &self.naming {
                    Naming::Own => address.folder() + item.own_name(),
                    Naming::Given(key) => key.clone(),
                };
                let key = Key::new(key).map_err(|error| because(&error.to_string()))?;
                let address = PrefixAddress { store: address.store.clone(), prefix: key.as_str().to_owned() };
                Ok(Place::Object { provider: provider.clone(), address, key })
            }
        }
    }
}

/// Where one copy goes.
#[derive(Debug)]
pub(super) enum Place {
    File { folder: Arc<Folder>, path: PathBuf },
    Object { provider: Arc<dyn StorageProvider>, address: PrefixAddress, key: Key },
}

impl Place {
    /// Copies the thing here and says how many bytes it has.
    pub(super) async fn take(self, item: Item, progress: &Arc<Progress>) -> Result<u64, Failure> {
        let shown = item.to_string();
        self.copy(item, progress).await.map_err(|failure| failure.about(&format!("can not copy {shown}")))
    }

    async fn copy(self, item: Item, progress: &Arc<Progress>) -> Result<u64, Failure> {
        match (self, item) {
            (Self::File { folder, path }, Item::Object { provider, metadata, .. }) => {
                let shown = folder.root().join(&path);
                let cannot_write = |error: &std::io::Error| Failure::file("can not write", &shown, error);
                let target = folder.ready(&path).await.map_err(|error| cannot_write(&error))?;
                let object = provider.retrieve(&metadata.key, None).await?;
                let mut part = PartFile::create(target).await.map_err(|error| cannot_write(&error))?;
                let size = content::write(object, part.file(), cannot_write, progress).await?;
                part.commit().await.map_err(|error| cannot_write(&error))?;
                Ok(size)
            }
            (Self::Object { provider, key, .. }, Item::File { path, .. }) => {
                let body = content::of_file(&path).await?;
                Ok(content::store(&*provider, &key, body, StoreOptions::default(), progress).await?.size)
            }
            (Self::Object { provider, key, .. }, Item::Object { provider: from, metadata, .. }) => {
                let object = from.retrieve(&metadata.key, None).await?;
                let attributes: Attributes = object.metadata.attributes.clone();
                let options = StoreOptions { attributes, ..StoreOptions::default() };
                Ok(content::store(&*provider, &key, object.body, options, progress).await?.size)
            }
            (Self::File { path, .. }, Item::File { .. }) => {
                Err(refused(&path.display().to_string(), "a local file is not copied to another"))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { folder, path } => write!(f, "{}", folder.root().join(path).display()),
            Self::Object { address, .. } => write!(f, "larder://{address}"),
        }
    }
}
