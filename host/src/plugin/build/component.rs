use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use super::BuildError;

/// Makes a component of a module, and returns its size in bytes. The file's time is `modified`: that of the build's
/// beginning, so that what was edited meanwhile is newer.
pub(super) fn encode(module: &Path, component: &Path, modified: SystemTime) -> Result<u64, BuildError> {
    let not_a_component = |problem: String| BuildError::NotAComponent { module: module.to_owned(), problem };
    let core = std::fs::read(module).map_err(BuildError::io(module))?;
    if !Parser::is_core_wasm(&core) {
        let found = if Parser::is_component(&core) { "a component already" } else { "no WebAssembly" };
        return Err(not_a_component(format!("it is {found}, and a component is made of a core module")));
    }
    let encoded = ComponentEncoder::default()
        .validate(true)
        .module(&core)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| not_a_component(format!("{error:#}")))?;
    if !exports_anything(&encoded) {
        return Err(not_a_component(
            "it exports nothing: a crate needs a line larder_sdk::export!(...) in its lib.rs, and a program in another \
             language the object file that its bindings came with"
                .to_owned(),
        ));
    }
    write_whole(component, &encoded, modified).map_err(BuildError::io(component))?;
    Ok(encoded.len() as u64)
}

fn exports_anything(component: &[u8]) -> bool {
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::Version { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth -= 1,
            Ok(Payload::ComponentExportSection(section)) if depth == 1 => return section.count() > 0,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

fn write_whole(path: &Path, bytes: &[u8], modified: SystemTime) -> io::Result<()> {
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    let written = std::fs::write(&partial, bytes)
        .and_then(|()| File::options().write(true).open(&partial)?.set_modified(modified))
        .and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        // What remains of it is of no use; the error that matters is the one above.
        let _ = std::fs::remove_file(&partial);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn what_is_no_module_of_a_plugin_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let (module, component) = (dir.path().join("m.wasm"), dir.path().join("c.wasm"));
        for (bytes, says) in [
            (EMPTY_MODULE, "it exports nothing"),
            (b"\0asm\x0d\0\x01\0", "a component already"),
            (b"#!/bin/sh", "no WebAssembly"),
            (b"\0asm\x01\0\0\0\x0a\xff", "m.wasm can not be made a component"),
        ] {
            std::fs::write(&module, bytes).unwrap();
            let error = encode(&module, &component, SystemTime::now()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert!(!component.exists());
        }
    }

    #[test]
    fn what_is_written_is_whole_and_dated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.component.wasm");
        let moment = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        for text in ["a longer first text", "second"] {
            write_whole(&path, text.as_bytes(), moment).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), moment);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
