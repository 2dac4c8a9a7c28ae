//! Compiled code on disk, so that a component is compiled once.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::PluginError;
use crate::object::Digest;

/// A folder of compiled components, each under the digest of its wasm and the compatibility hash of the engine that
/// compiled it. What does not fit is a miss; it may be emptied at any time.
///
/// Compiled code is run as it is. So the folder belongs to the host's user alone, is never filled from elsewhere, and
/// files come into it whole or not at all.
#[derive(Clone, Debug)]
pub(super) struct CompiledCache {
    folder: PathBuf,
}

impl CompiledCache {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The component with this digest, if it was compiled for this engine before.
    pub(super) fn find(&self, engine: &Engine, digest: &Digest) -> Option<Component> {
        let path = self.path(engine, digest);
        if !path.exists() {
            return None;
        }
        // SAFETY: the file was written by `save` from `Component::serialize`; see the type's documentation for why no one
        // else can have written it. wasmtime itself checks that engine and version are the same.
        let found = unsafe { Component::deserialize_file(engine, &path) };
        found.inspect_err(|error| debug!(%digest, "compiled code is of no use any more: {error:#}")).ok()
    }

    /// Compiles the component with these bytes, and keeps its code.
    ///
    /// # Errors
    /// [`PluginError::Compile`] if it is not valid. A folder that can not be written costs time and nothing else.
    pub(super) fn compile(&self, engine: &Engine, digest: &Digest, wasm: &[u8]) -> Result<Component, PluginError> {
        let component = Component::new(engine, wasm).map_err(|error| PluginError::Compile(format!("{error:#}")))?;
        let path = self.path(engine, digest);
        if let Err(error) = component.serialize().map_err(io::Error::other).and_then(|code| save(&path, &code)) {
            warn!(path = %path.display(), "compiled code could not be kept, so it is compiled anew next time: {error}");
        }
        Ok(component)
    }

    fn path(&self, engine: &Engine, digest: &Digest) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.folder.join(format!("{}-{:016x}.cwasm", digest.hex(), hasher.finish()))
    }
}

fn save(path: &Path, code: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    create_private_folder(folder)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(code)?;
        file.sync_all()
    });
    let saved = written.and_then(|()| fs::rename(&temporary, path));
    if saved.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    saved
}

fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn a_component_is_compiled_once_and_a_foreign_file_is_a_miss() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CompiledCache::new(folder.path().join("compiled"));
        let engine = Engine::default();
        let digest = Digest::of(EMPTY);
        assert!(cache.find(&engine, &digest).is_none());
        cache.compile(&engine, &digest, EMPTY).unwrap();
        assert!(cache.find(&engine, &digest).is_some());
        let path = cache.path(&engine, &digest);
        let code = fs::read(&path).unwrap();

        for foreign in [&b""[..], b"something else", &code[..code.len() / 2]] {
            fs::write(&path, foreign).unwrap();
            assert!(cache.find(&engine, &digest).is_none());
            cache.compile(&engine, &digest, EMPTY).unwrap();
            assert_eq!(fs::read(&path).unwrap().len(), code.len());
        }
    }

    #[test]
    fn a_folder_that_can_not_be_written_costs_only_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cache = CompiledCache::new(file.path().join("below-a-file"));
        assert!(cache.compile(&Engine::default(), &Digest::of(EMPTY), EMPTY).is_ok());
    }
}
