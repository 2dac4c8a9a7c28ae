//! What a component exports and imports, held against what it may.

use std::fmt;

use wasmparser::{Parser, Payload};

use super::{Grant, Grants, PluginError, Producers};

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
/// What a provider may import, and what it takes.
const GRANTED: [(&str, Grant); 3] = [
    ("larder:plugin/inner-stores@0.1.0", Grant::Stores),
    ("larder:plugin/state@0.1.0", Grant::State),
    ("larder:plugin/secrets@0.1.0", Grant::Secrets),
];

/// The packages whose interfaces the standard library of a `wasm32-wasip2` guest imports whether it uses them or not.
const INERT_WASI: [&str; 6] = ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"];

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
    /// Nothing: it is there, but reaches nothing, unless a provider has the grant that makes it real.
    Inert(Option<Grant>),
    /// The grant.
    Grant(Grant),
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
    /// The interfaces and functions that it exports, in order of name.
    pub exports: Vec<String>,
    /// What it says of its making.
    pub producers: Producers,
}

impl Import {
    /// Whether it is an interface of WASI, of a version that begins so.
    pub(super) fn is_wasi(&self, version: &str) -> bool {
        self.name.starts_with("wasi:") && self.name.split_once('@').is_some_and(|(_, of)| of.starts_with(version))
    }
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
                 crate, and `larder plugin componentize` from a module"
                    .to_owned(),
            ));
        }
        if !Parser::is_component(wasm) {
            return Err(PluginError::NotAComponent(
                "it is no WebAssembly: a component begins with the bytes 00 61 73 6d 0d 00 01 00".to_owned(),
            ));
        }
        let (mut imports, mut exports, mut producers) = (Vec::new(), Vec::new(), Producers::default());
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
                Payload::CustomSection(section) => producers.gather(&section),
                _ => {}
            }
        }
        let kind = kind_of(&exports)?;
        imports.retain(|name| name != TYPES);
        imports.sort_unstable();
        exports.sort_unstable();
        let imports = imports.into_iter().map(|name| Import { needs: needs(&name, kind), name }).collect();
        Ok(Self { kind, imports, exports, producers })
    }

    /// Whether it imports anything from WASI.
    pub(super) fn uses_wasi(&self) -> bool {
        self.imports.iter().any(|import| import.name.starts_with("wasi:"))
    }

    /// Refuses imports that nothing grants, and grants to what may have none.
    ///
    /// # Errors
    /// [`PluginError::Ungranted`], which names the YAML that would mend it.
    pub(super) fn check_grants(&self, grants: &Grants) -> Result<(), PluginError> {
        let ungranted = |message| Err(PluginError::Ungranted(message));
        if self.kind != Kind::Provider
            && let Some(grant) = grants.given().next()
        {
            return ungranted(format!(
                "it is {}, which decides from what it is handed alone, so that its decisions can be replayed, and can be \
                 granted nothing; remove `{grant}` from its `grants`",
                self.kind
            ));
        }
        for Import { name, needs } in &self.imports {
            match needs {
                Needs::Nothing | Needs::Inert(_) => {}
                Needs::Grant(grant) if grants.has(*grant) => {}
                Needs::Grant(grant) => {
                    return ungranted(format!(
                        "it imports {name}, which is not granted to it; to grant it, add to its entry under plugins: \
                         `{}`",
                        grant.yaml()
                    ));
                }
                Needs::Unavailable => {
                    return ungranted(format!(
                        "it imports {name}, which this host has not, so nothing can grant it; \
                         `larder plugin inspect` lists what it imports"
                    ));
                }
            }
        }
        Ok(())
    }

    /// What is granted to it and not imported by it.
    pub(super) fn unused(&self, grants: &Grants) -> Vec<Grant> {
        let uses = |grant: Grant| {
            let is_of = |needs: &Needs| matches!(needs, Needs::Grant(of) | Needs::Inert(Some(of)) if *of == grant);
            self.imports.iter().any(|import| is_of(&import.needs))
        };
        grants.given().filter(|grant| !uses(*grant)).collect()
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
        return Needs::Nothing;
    }
    let is_provider = kind == Kind::Provider;
    if let Some((_, grant)) = GRANTED.iter().find(|(interface, _)| is_provider && *interface == name) {
        return Needs::Grant(*grant);
    }
    let (package, _) = name.split_once('/').unwrap_or((name, ""));
    let is_of = |version: &str| name.split_once('@').is_some_and(|(_, of)| of.starts_with(version));
    // The interfaces of WASI 0.3 are asynchronous, and so are providers alone.
    let is_spoken = is_of("0.2.") || (is_provider && is_of("0.3."));
    match package {
        "wasi:http" if is_spoken && is_provider => Needs::Grant(Grant::Http),
        _ if !is_spoken || !INERT_WASI.contains(&package) => Needs::Unavailable,
        _ if !is_provider => Needs::Inert(None),
        "wasi:filesystem" => Needs::Inert(Some(Grant::Files)),
        "wasi:clocks" => Needs::Inert(Some(Grant::Clocks)),
        "wasi:random" => Needs::Inert(Some(Grant::Random)),
        _ if name.starts_with("wasi:cli/environment@") => Needs::Inert(Some(Grant::Env)),
        _ => Needs::Inert(None),
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

    fn import(name: &str, kind: Kind) -> Interface {
        let imports = vec![Import { name: name.into(), needs: needs(name, kind) }];
        Interface { kind, imports, exports: Vec::new(), producers: Producers::default() }
    }

    fn stores() -> Grants {
        let memory: Arc<dyn StorageProvider> = Arc::new(MemoryStorageProvider::new());
        Grants { stores: [("inner".to_owned(), memory)].into(), ..Grants::default() }
    }

    fn refusal(import: &Interface, grants: &Grants) -> String {
        import.check_grants(grants).unwrap_err().to_string()
    }

    #[test]
    fn nothing_is_granted_by_default() {
        let nothing = Grants::default();
        assert!(import(LOG, Kind::Eviction).check_grants(&nothing).is_ok());
        assert!(import("wasi:random/random@0.2.3", Kind::Lifecycle).check_grants(&nothing).is_ok());
        for (name, grant) in [
            ("larder:plugin/inner-stores@0.1.0", Grant::Stores),
            ("larder:plugin/state@0.1.0", Grant::State),
            ("larder:plugin/secrets@0.1.0", Grant::Secrets),
            ("wasi:http/outgoing-handler@0.2.0", Grant::Http),
            ("wasi:http/client@0.3.0", Grant::Http),
        ] {
            let refused = refusal(&import(name, Kind::Provider), &nothing);
            assert!(refused.contains(name) && refused.contains(grant.yaml()), "{refused}");
            let never = refusal(&import(name, Kind::Eviction), &nothing);
            assert!(never.contains("nothing can grant it"), "{never}");
        }
        assert!(import("larder:plugin/inner-stores@0.1.0", Kind::Provider).check_grants(&stores()).is_ok());
        for name in ["wasi:keyvalue/store@0.2.0", "wasi:cli/stdout@0.4.0", "wasi:clocks", "other:thing/a@0.2.0"] {
            assert!(import(name, Kind::Provider).check_grants(&stores()).is_err(), "{name}");
        }
        assert!(import("wasi:cli/stdout@0.3.0", Kind::Lifecycle).check_grants(&nothing).is_err());
    }

    #[test]
    fn what_has_to_be_pure_is_granted_nothing() {
        for kind in [Kind::Eviction, Kind::Lifecycle] {
            let refused = refusal(&import(LOG, kind), &Grants { clocks: true, ..Grants::default() });
            assert!(refused.contains("remove `clocks`"), "{refused}");
        }
    }

    #[test]
    fn a_grant_that_nothing_uses_is_found() {
        let grants = Grants { clocks: true, ..stores() };
        let plugin = import("wasi:clocks/wall-clock@0.2.3", Kind::Provider);
        assert!(plugin.check_grants(&grants).is_ok());
        assert_eq!(plugin.unused(&grants), [Grant::Stores]);
    }
}
