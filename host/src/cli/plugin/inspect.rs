use std::path::Path;

use serde::Serialize;

use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{self, Output, Printable};
use crate::plugin::{Digest, Interface, Needs};

#[derive(Debug, Serialize)]
struct Inspected {
    kind: &'static str,
    bytes: usize,
    sha256: String,
    imports: Vec<ImportLine>,
}

#[derive(Debug, Serialize)]
struct ImportLine {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<&'static str>,
    available: bool,
}

pub(super) fn inspect(file: &Path, output: &Output) -> Result<(), Failure> {
    let wasm = std::fs::read(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::not_found(format!("there is no file {}", file.display())),
        _ => Failure::file("can not read", file, &error),
    })?;
    let interface = Interface::of(&wasm)
        .map_err(|error| Failure::new(Exit::Failed, "plugin", format!("{}: {error}", file.display())))?;
    let sha256 = Digest::of(&wasm).hex();
    if output.for_programs() {
        let imports = interface.imports.into_iter().map(|import| {
            let grant = match import.needs {
                Needs::Grant(grant) => Some(grant.yaml()),
                _ => None,
            };
            ImportLine { name: import.name, grant, available: import.needs != Needs::Unavailable }
        });
        let kind = interface.kind.as_str();
        return output.document(&Inspected { kind, bytes: wasm.len(), sha256, imports: imports.collect() });
    }
    let mut rows = vec![
        ["file".to_owned(), Printable(&file.display().to_string()).to_string()],
        ["kind".into(), interface.kind.to_string()],
        ["size".into(), output::size(wasm.len() as u64).to_string()],
        ["sha256".into(), sha256],
    ];
    if interface.imports.is_empty() {
        rows.push(["imports".into(), "nothing".into()]);
    }
    rows.extend(interface.imports.iter().map(|import| {
        let needs = match import.needs {
            Needs::Nothing => String::new(),
            Needs::Inert(_) => " (reaches nothing)".into(),
            Needs::Grant(grant) => format!(" (if granted: `{}`)", grant.yaml()),
            Needs::Unavailable => " (this host does not have it)".into(),
        };
        ["imports".into(), format!("{}{needs}", Printable(&import.name))]
    }));
    output.line(output::table(&[], rows))
}
