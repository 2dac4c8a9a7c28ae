//! A component, from its file to code that runs.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::compiled::CompiledCache;
use super::engine::Engines;
use super::{Interface, PluginError};
use crate::object::Digest;

/// Reads components and compiles them, on threads that may block.
#[derive(Clone, Debug)]
pub(super) struct ComponentLoader {
    engines: Engines,
    compiled: CompiledCache,
}

/// A component that was read, and what it says of itself.
pub(super) struct Source {
    pub(super) digest: Digest,
    pub(super) interface: Interface,
    /// The engine that it runs on.
    pub(super) engine: Engine,
    code: Code,
}

enum Code {
    /// From the cache.
    Compiled(Component),
    Wasm(Vec<u8>),
}

impl ComponentLoader {
    /// A loader that keeps compiled code in a folder.
    ///
    /// # Errors
    /// [`PluginError::Runtime`] on a platform that wasmtime does not support.
    pub(super) fn new(compiled: PathBuf) -> Result<Self, PluginError> {
        Ok(Self { engines: Engines::new()?, compiled: CompiledCache::new(compiled) })
    }

    /// Reads the component in a file, at most `limit` bytes of it, and its code if that is in the cache.
    ///
    /// If its digest is known beforehand, the code is loaded while the file is read and hashed, which takes about as long;
    /// it is used only if the file has that digest.
    ///
    /// # Errors
    /// It can not be read, is larger, does not have the digest that is `wanted`, or is no plugin.
    pub(super) async fn read(&self, path: &Path, limit: u64, wanted: Option<Digest>) -> Result<Source, PluginError> {
        let expected = wanted.clone().map(|digest| {
            let Self { engines, compiled } = self.clone();
            spawn_blocking(move || engines.all().into_iter().find_map(|engine| compiled.find(engine, &digest)))
        });
        let Self { engines, compiled } = self.clone();
        let path = path.to_owned();
        let reading = spawn_blocking(move || {
            let wasm = read(&path, limit)?;
            let digest = Digest::of(&wasm);
            if let Some(wanted) = wanted.as_ref().filter(|wanted| **wanted != digest) {
                return Err(PluginError::Digest { wanted: wanted.clone(), found: digest });
            }
            let interface = Interface::of(&wasm)?;
            let engine = engines.of(interface.kind).clone();
            let code = match wanted {
                Some(_) => None,
                None => compiled.find(&engine, &digest),
            };
            Ok(Source { digest, interface, engine, code: code.map_or(Code::Wasm(wasm), Code::Compiled) })
        });
        let mut source = reading.await.map_err(|error| PluginError::Compile(error.to_string()))??;
        if let Some(expected) = expected
            && let Ok(Some(component)) = expected.await
            && Engine::same(component.engine(), &source.engine)
        {
            source.code = Code::Compiled(component);
        }
        Ok(source)
    }

    /// Compiles a component, unless that was done before, in so much time. A compiler that takes longer is not waited
    /// for; it ends by itself, as a component's size is limited.
    ///
    /// # Errors
    /// It is not valid, or takes too long.
    pub(super) async fn compile(&self, source: Source, limit: Duration) -> Result<Component, PluginError> {
        let Source { digest, engine, code, .. } = source;
        let wasm = match code {
            Code::Compiled(component) => return Ok(component),
            Code::Wasm(wasm) => wasm,
        };
        let compiled = self.compiled.clone();
        match timeout(limit, spawn_blocking(move || compiled.compile(&engine, &digest, &wasm))).await {
            Ok(ended) => ended.map_err(|error| PluginError::Compile(error.to_string()))?,
            Err(_) => Err(PluginError::CompileTime { limit }),
        }
    }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, PluginError> {
    let failed = |error: io::Error| PluginError::Read { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if size > limit {
        return Err(PluginError::TooLarge { size, limit });
    }
    let mut wasm = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // No more than was there when it was measured, should it grow meanwhile.
    file.take(size).read_to_end(&mut wasm).map_err(failed)?;
    Ok(wasm)
}
