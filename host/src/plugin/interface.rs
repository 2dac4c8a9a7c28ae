//! What a component exports and imports, held against what it may.

use std::fmt;

use wasmparser::{Parser, Payload};

use super::{Grants, PluginError};

/// What a plugin is, told from the interface that it exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It keeps objects.
    Provider,
    /// It chooses what a cache drops.
    Eviction,
    /// It says how objects age.
    Lifecycle,
}

impl Kind {
    /// The kinds, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Provider, Self::Eviction, Self::Lifecycle];

    /// The interface that a plugin of this kind exports, and its name in configuration and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Eviction => "eviction",
            Self::Lifecycle => "lifecycle",
        }
    }

    /// What a plugin of this kind is, in one word.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Eviction => "strategy",
            Self::Lifecycle => "policy",
        }
    }

    fn export(self) -> String {
        format!("larder:plugin/{}@{VERSION}", self.as_str())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provider => "a storage provider",
            Self::Eviction => "an eviction strategy",
            Self::Lifecycle => "a lifecycle policy",
        })
    }
}

/// The version of the package `larder:plugin` that this host speaks.
pub const VERSION: &str = "0.1.0";

const LOG: &str = "larder:plugin/log@0.1.0";
const TYPES: &str = "larder:plugin/types@0.1.0";
const INNER_STORES: &str = "larder:plugin/inner-stores@0.1.0";

/// The packages whose interfaces the standard library of a `wasm32-wasip2` guest imports whether it uses them or not.
const INERT_WASI: [&str; 6] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// Something that a component imports, and what it takes for it to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The interface, with its version.
    pub name: String,
    /// What it takes.
    pub needs: Needs,
}

/// What it takes for a plugin to have an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: every plugin of its kind may have it.
    Nothing,
    /// Nothing: it is there, but reaches nothing. No environment, arguments, files, network, clock or randomness.
    Inert,
    /// The grant with this YAML.
    Grant(&'static str),
    /// The host does not have it.
    Unavailable,
}

/// What a component is and wants.
#[derive(Clone, Debug)]
pub struct Interface {
    /// The kind of plugin it is.
    pub kind: Kind,
    /// What it imports, in order of name.
    pub imports: Vec<Import>,
}

impl Interface {
    /// Reads it from a component's bytes.
    ///
    /// # Errors
    /// [`PluginError::NotAComponent`] if they are none, [`PluginError::WrongWorld`] if it is no plugin.
    pub fn of(wasm: &[u8]) -> Result<Self, PluginError> {
        if Parser::is_core_wasm(wasm) {
            return Err(PluginError::NotAComponent(
                "it is a core WebAssembly module, and a plugin is a component; `larder plugin build` makes one from a \
                 crate, and `wasm-tools component new` from a module"
                    .to_owned(),
            ));
        }
        if !Parser::is_component(wasm) {
            return Err(PluginError::NotAComponent(
                "it is no WebAssembly: a component begins with the bytes 00 61 73 6d 0d 00 01 00".to_owned(),
            ));
        }
        let (mut imports, mut exports) = (Vec::new(), Vec::new());
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(malformed)? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        imports.push(import.map_err(malformed)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        exports.push(export.map_err(malformed)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        let kind = kind_of(&exports)?;
        imports.retain(|name| name != TYPES);
        imports.sort_unstable();
        let imports = imports.into_iter().map(|name| Import { needs: needs(&name, kind), name }).collect();
        Ok(Self { kind, imports })
    }

    /// Whether it imports anything from WASI.
    pub(super) fn uses_wasi(&self) -> bool {
        self.imports.iter().any(|import| import.needs == Needs::Inert)
    }

    /// Refuses imports that nothing grants.
    ///
    /// # Errors
    /// [`PluginError::Ungranted`], which names the YAML that would grant it.
    pub(super) fn check_grants(&self, grants: &Grants) -> Result<(), PluginError> {
        for Import { name, needs } in &self.imports {
            match needs {
                Needs::Nothing | Needs::Inert => {}
                Needs::Grant(_) if !grants.stores.is_empty() => {}
                Needs::Grant(yaml) => {
                    return Err(PluginError::Ungranted(format!(
                        "it imports {name}, which is not granted to it; to grant it, add to its entry under plugins: {yaml}"
                    )));
                }
                Needs::Unavailable => {
                    return Err(PluginError::Ungranted(format!(
                        "it imports {name}, which this host has not, so nothing can grant it; \
                         `larder plugin inspect` lists what it imports"
                    )));
                }
            }
        }
        Ok(())
    }
}

fn malformed(error: wasmparser::BinaryReaderError) -> PluginError {
    PluginError::NotAComponent(format!("it is a broken or cut-off component: {error}"))
}

fn kind_of(exports: &[String]) -> Result<Kind, PluginError> {
    let found: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| exports.contains(&kind.export())).collect();
    match found[..] {
        [kind] => Ok(kind),
        [] => Err(PluginError::WrongWorld(match exports.iter().find(|name| name.starts_with("larder:plugin/")) {
            Some(other) => format!(
                "it exports {other}, and this host speaks version {VERSION} of larder:plugin; \
                 build it against that version"
            ),
            None => format!(
                "it is a component, but no larder plugin: one exports {}, {} or {}, and this exports {}",
                Kind::Provider.export(),
                Kind::Eviction.export(),
                Kind::Lifecycle.export(),
                if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") },
            ),
        })),
        _ => Err(PluginError::WrongWorld(format!(
            "it exports more than one of the interfaces that make a plugin ({}); split it into one component each",
            exports.join(", ")
        ))),
    }
}

fn needs(name: &str, kind: Kind) -> Needs {
    if name == LOG {
        Needs::Nothing
    } else if name == INNER_STORES && kind == Kind::Provider {
        Needs::Grant("`grants: { stores: { NAME: STORE } }`")
    } else if INERT_WASI.iter().any(|package| name.starts_with(package)) && name.contains("@0.2.") {
        Needs::Inert
    } else {
        Needs::Unavailable
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::provider::StorageProvider;
    use crate::provider::memory::MemoryStorageProvider;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_kind_is_told_from_the_exports() {
        assert_eq!(kind_of(&names(&["larder:plugin/eviction@0.1.0"])).unwrap(), Kind::Eviction);
        let none = kind_of(&names(&["wasi:cli/run@0.2.0"])).unwrap_err().to_string();
        assert!(none.contains("wasi:cli/run@0.2.0") && none.contains("larder:plugin/provider@0.1.0"), "{none}");
        let newer = kind_of(&names(&["larder:plugin/provider@0.9.0"])).unwrap_err().to_string();
        assert!(newer.contains("0.9.0") && newer.contains(VERSION), "{newer}");
        assert!(kind_of(&names(&["larder:plugin/eviction@0.1.0", "larder:plugin/lifecycle@0.1.0"])).is_err());
    }

    #[test]
    fn what_is_no_component_is_told_apart() {
        let refused = |wasm: &[u8]| Interface::of(wasm).unwrap_err().to_string();
        assert!(refused(b"MZ").contains("no WebAssembly"));
        assert!(refused(b"\0asm\x01\0\0\0").contains("core WebAssembly module"));
        assert!(refused(b"\0asm\x0d\0\x01\0").contains("no larder plugin"));
        assert!(refused(b"\0asm\x0d\0\x01\0\x0a\xff").contains("broken or cut-off"));
    }

    #[test]
    fn nothing_is_granted_by_default() {
        let import = |name: &str, kind| Interface {
            kind,
            imports: vec![Import { name: name.into(), needs: needs(name, kind) }],
        };
        let memory: Arc<dyn StorageProvider> = Arc::new(MemoryStorageProvider::new());
        let granted = Grants { stores: [("inner".to_owned(), memory)].into() };
        assert!(import(LOG, Kind::Eviction).check_grants(&Grants::default()).is_ok());
        assert!(import("wasi:random/random@0.2.3", Kind::Lifecycle).check_grants(&Grants::default()).is_ok());
        let refused = import(INNER_STORES, Kind::Provider).check_grants(&Grants::default()).unwrap_err().to_string();
        assert!(refused.contains("grants: { stores:"), "{refused}");
        assert!(import(INNER_STORES, Kind::Provider).check_grants(&granted).is_ok());
        assert!(import(INNER_STORES, Kind::Eviction).check_grants(&granted).is_err());
        assert!(import("wasi:http/outgoing-handler@0.2.0", Kind::Provider).check_grants(&granted).is_err());
    }
}
