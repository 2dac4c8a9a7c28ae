use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

use super::pull;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{self, Printable};
use crate::object::Digest;
use crate::oci::Reference;
use crate::plugin::{Interface, Needs, Producers, VERSION};

/// A component to be looked at.
#[derive(Clone, Debug)]
pub(super) enum Component {
    File(PathBuf),
    /// In a registry; what is wrong with the reference if it is none.
    Oci(Result<Reference, String>),
}

impl FromStr for Component {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text.starts_with("oci://") { Self::Oci(text.parse()) } else { Self::File(text.into()) })
    }
}

#[derive(Debug, Serialize)]
struct Inspected {
    kind: &'static str,
    wit: String,
    bytes: usize,
    digest: String,
    sha256: String,
    imports: Vec<ImportLine>,
    exports: Vec<String>,
    producers: Producers,
}

#[derive(Debug, Serialize)]
struct ImportLine {
    name: String,
    /// The YAML that it needs, or that would make it real.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<&'static str>,
    /// Whether it must have that grant to be loaded.
    required: bool,
    available: bool,
}

pub(super) async fn inspect(component: &Component, context: &Context) -> Result<(), Failure> {
    let file = match component {
        Component::File(file) => file.clone(),
        Component::Oci(Ok(reference)) => pull::fetch(reference, context).await?.component,
        Component::Oci(Err(problem)) => return Err(Failure::usage(problem)),
    };
    let wasm = std::fs::read(&file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::not_found(format!("there is no file {}", file.display())),
        _ => Failure::file("can not read", &file, &error),
    })?;
    let interface = Interface::of(&wasm)
        .map_err(|error| Failure::new(Exit::Failed, "plugin", format!("{}: {error}", file.display())))?;
    let (digest, output) = (Digest::of(&wasm), context.output());
    let wit = format!("larder:plugin@{VERSION}");
    if output.for_programs() {
        let imports = interface.imports.into_iter().map(|import| {
            let (grant, required) = match import.needs {
                Needs::Grant(grant) => (Some(grant.yaml()), true),
                Needs::Inert(grant) => (grant.map(|grant| grant.yaml()), false),
                Needs::Nothing | Needs::Unavailable => (None, false),
            };
            ImportLine { name: import.name, grant, required, available: import.needs != Needs::Unavailable }
        });
        return output.document(&Inspected {
            kind: interface.kind.as_str(),
            wit,
            bytes: wasm.len(),
            digest: digest.to_string(),
            sha256: digest.hex(),
            imports: imports.collect(),
            exports: interface.exports,
            producers: interface.producers,
        });
    }
    let mut rows = vec![
        ["file".to_owned(), Printable(&file.display().to_string()).to_string()],
        ["kind".into(), interface.kind.to_string()],
        ["wit".into(), wit],
        ["size".into(), output::size(wasm.len() as u64).to_string()],
        ["digest".into(), digest.to_string()],
    ];
    for (field, values) in interface.producers.iter() {
        let values: Vec<String> = values.map(|(name, version)| format!("{name} {version}").trim().to_owned()).collect();
        rows.push([Printable(field).to_string(), Printable(&values.join(", ")).to_string()]);
    }
    rows.extend(interface.exports.iter().map(|export| ["exports".into(), Printable(export).to_string()]));
    if interface.imports.is_empty() {
        rows.push(["imports".into(), "nothing".into()]);
    }
    rows.extend(interface.imports.iter().map(|import| {
        let needs = match import.needs {
            Needs::Nothing => String::new(),
            Needs::Inert(None) => " (reaches nothing)".into(),
            Needs::Inert(Some(grant)) => format!(" (reaches nothing without `{}`)", grant.yaml()),
            Needs::Grant(grant) => format!(" (needs `{}`)", grant.yaml()),
            Needs::Unavailable => " (this host does not have it)".into(),
        };
        ["imports".into(), format!("{}{needs}", Printable(&import.name))]
    }));
    output.line(output::table(&[], rows))
}
