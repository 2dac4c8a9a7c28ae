use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::manifest::Layer;
use super::registry::Registry;
use super::{OciError, Reference, RegistryHost};
use crate::object::Digest;

/// The folder of components, in the data folder.
const FOLDER: &str = "components";

/// The components that were pulled, in a folder: each blob in a file named by its digest, and for each tag that was asked
/// for the digest that it had. Files come into it whole or not at all, and may be removed at any time.
#[derive(Clone, Debug)]
pub struct Components {
    folder: PathBuf,
    plain_http: Vec<RegistryHost>,
}

/// A component that was pulled.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The digest of its manifest: what a reference is pinned to.
    pub manifest: Digest,
    /// The digest of the component.
    pub layer: Digest,
    /// The file that holds it.
    pub component: PathBuf,
    /// How many bytes it has.
    pub size: u64,
}

/// What happens while a component is fetched.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A component of so many bytes is on its way.
    Found(u64),
    /// So many bytes more have come.
    Bytes(usize),
    /// It is there.
    Done,
}

impl Components {
    /// Those of a data folder. Registries on loopback and those of `plain_http` are spoken to without TLS.
    pub fn new(data_dir: &Path, plain_http: Vec<RegistryHost>) -> Self {
        Self { folder: data_dir.join(FOLDER), plain_http }
    }

    /// The component that a reference names, fetched if it is not there yet. A tag without a digest is looked up in the
    /// registry; if that is out of reach, it stands for what it stood for last.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn pull(
        &self,
        reference: &Reference,
        limit: u64,
        progress: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Pulled, OciError> {
        let mut registry = Registry::new(reference, self.is_plain_http(reference.registry()))?;
        let (manifest, written) = self.manifest(reference, &mut registry).await?;
        let layer = Layer::of_manifest(&written)
            .map_err(|problem| OciError::NotAComponent { reference: reference.to_string(), problem })?;
        let Layer { digest, size } = layer;
        if size > limit {
            return Err(OciError::TooLarge { reference: reference.to_string(), size, limit });
        }
        let component = self.path(&digest);
        if self.read(&digest)?.is_none() {
            self.fetch(reference, &mut registry, &digest, size, progress).await?;
        }
        Ok(Pulled { manifest, layer: digest, component, size })
    }

    /// Whether a registry is spoken to without TLS.
    pub fn is_plain_http(&self, registry: &RegistryHost) -> bool {
        registry.is_loopback() || self.plain_http.contains(registry)
    }

    /// Keeps a copy of a file under its digest.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep(&self, file: &Path) -> io::Result<(PathBuf, Digest)> {
        let bytes = fs::read(file)?;
        let digest = Digest::of(&bytes);
        let path = self.path(&digest);
        let mut part = Part::create(&path)?;
        part.file.write_all(&bytes)?;
        part.keep(&path)?;
        Ok((path, digest))
    }

    /// The manifest, from the folder or else from the registry.
    async fn manifest(
        &self,
        reference: &Reference,
        registry: &mut Registry<'_>,
    ) -> Result<(Digest, Vec<u8>), OciError> {
        if let Some(digest) = reference.digest()
            && let Some(written) = self.read(digest)?
        {
            return Ok((digest.clone(), written));
        }
        let written = match registry.manifest().await {
            Ok(written) => written,
            Err(error @ OciError::Unreachable { .. }) if reference.digest().is_none() => {
                let Some((digest, written)) = self.last_of_tag(reference)? else { return Err(error) };
                warn!("{error}; {reference} is taken for {digest}, which it was the last time");
                return Ok((digest, written));
            }
            Err(error) => return Err(error),
        };
        let found = Digest::of(&written);
        match reference.digest() {
            Some(wanted) if *wanted != found => {
                return Err(OciError::Digest { reference: reference.to_string(), wanted: wanted.clone(), found });
            }
            Some(_) => {}
            None => self.write(&self.tag_path(reference), found.to_string().as_bytes())?,
        }
        self.write(&self.path(&found), &written)?;
        Ok((found, written.to_vec()))
    }

    async fn fetch(
        &self,
        reference: &Reference,
        registry: &mut Registry<'_>,
        digest: &Digest,
        size: u64,
        progress: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), OciError> {
        progress(Event::Found(size));
        let mut body = registry.blob(&digest.to_string()).await?.into_body();
        let path = self.path(digest);
        let failed = |error| OciError::Folder { path: path.clone(), error };
        let mut part = Part::create(&path).map_err(failed)?;
        let (mut hasher, mut came) = (Sha256::new(), 0);
        while let Some(piece) = registry.piece(&mut body).await? {
            came += piece.len() as u64;
            if came > size {
                return Err(OciError::TooLarge { reference: reference.to_string(), size: came, limit: size });
            }
            hasher.update(&piece);
            part.file.write_all(&piece).map_err(failed)?;
            progress(Event::Bytes(piece.len()));
        }
        let found = Digest::from_hash(hasher.finalize().into());
        if found != *digest {
            return Err(OciError::Digest { reference: reference.to_string(), wanted: digest.clone(), found });
        }
        part.keep(&path).map_err(failed)?;
        progress(Event::Done);
        Ok(())
    }

    /// What is kept under a digest. What does not have it any more is taken for absent, and fetched anew.
    fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, OciError> {
        let path = self.path(digest);
        match fs::read(&path) {
            Ok(bytes) if Digest::of(&bytes) == *digest => Ok(Some(bytes)),
            Ok(_) => {
                warn!("{} is damaged, and is fetched anew", path.display());
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OciError::Folder { path, error }),
        }
    }

    fn last_of_tag(&self, reference: &Reference) -> Result<Option<(Digest, Vec<u8>)>, OciError> {
        let Ok(text) = fs::read_to_string(self.tag_path(reference)) else { return Ok(None) };
        let Ok(digest) = text.trim().parse::<Digest>() else { return Ok(None) };
        Ok(self.read(&digest)?.map(|written| (digest, written)))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), OciError> {
        let written = Part::create(path).and_then(|mut part| {
            part.file.write_all(bytes)?;
            part.keep(path)
        });
        written.map_err(|error| OciError::Folder { path: path.to_owned(), error })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("sha256").join(digest.hex())
    }

    /// A file for each tag, whatever letters are in it.
    fn tag_path(&self, reference: &Reference) -> PathBuf {
        self.folder.join("tags").join(Digest::of(reference.to_string().as_bytes()).hex())
    }
}

/// A file in the making, removed unless it is kept.
struct Part {
    file: File,
    path: Option<PathBuf>,
}

impl Part {
    fn create(whole: &Path) -> io::Result<Self> {
        let folder = whole.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        let path = whole.with_extension(format!("{}.part", ulid::Ulid::generate()));
        Ok(Self { file: File::create_new(&path)?, path: Some(path) })
    }

    fn keep(mut self, whole: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(path) = &self.path {
            fs::rename(path, whole)?;
        }
        self.path = None;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}
