use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::context::Context;
use super::failure::{Exit, Failure};
use super::output::{self, Output, Printable};
use crate::config::{ComponentSource, Config, PluginName};
use crate::plugin::{self, Digest, Interface, Needs};

const EXAMPLES: &str = "\
Examples:
  larder plugin build plugins/sieve         # a crate becomes a component
  larder plugin inspect sieve.wasm          # what it is, and what it wants
  larder plugin list                        # what the configuration names
";

/// Build, inspect and list plugins
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PluginCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Build plugin crates into components
    ///
    /// Compiles each crate for wasm32-unknown-unknown with the cargo that is installed, and installs that target through
    /// rustup if it is missing. The component comes to stand beside what cargo made.
    Build {
        /// The folders of the crates
        #[arg(required = true, value_name = "DIR")]
        dirs: Vec<PathBuf>,
    },
    /// Say what a component is and what it imports, without running it
    Inspect {
        /// The component, a .wasm file
        file: PathBuf,
    },
    /// List the plugins that the configuration names, and what uses them
    List,
}

impl PluginCommand {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.action {
            Action::Build { dirs } => build(&dirs, context.output()).await,
            Action::Inspect { file } => inspect(&file, context.output()),
            Action::List => list(&context.config()?, context.output()),
        }
    }
}

#[derive(Debug, Serialize)]
struct BuiltLine {
    name: String,
    component: PathBuf,
    bytes: u64,
}

async fn build(dirs: &[PathBuf], output: &Output) -> Result<(), Failure> {
    let dirs: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
    let built = plugin::build::build_all(&dirs, |line| output.remark(line)).await;
    let built = built.map_err(|error| Failure::new(Exit::Failed, "build", error.to_string()))?;
    let lines =
        built.into_iter().map(|built| BuiltLine { name: built.name, component: built.component, bytes: built.size });
    let lines: Vec<BuiltLine> = lines.collect();
    if output.for_programs() {
        return output.document(&lines);
    }
    let rows = lines.iter().map(|built| {
        let component = built.component.display().to_string();
        [built.name.clone(), output::size(built.bytes).to_string(), Printable(&component).to_string()]
    });
    output.line(output::table(&["PLUGIN", "SIZE", "COMPONENT"], rows))
}

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

fn inspect(file: &Path, output: &Output) -> Result<(), Failure> {
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
                Needs::Grant(yaml) => Some(yaml),
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
            Needs::Inert => " (reaches nothing)".into(),
            Needs::Grant(yaml) => format!(" (if granted: {yaml})"),
            Needs::Unavailable => " (this host does not have it)".into(),
        };
        ["imports".into(), format!("{}{needs}", Printable(&import.name))]
    }));
    output.line(output::table(&[], rows))
}

#[derive(Debug, Serialize)]
struct Listed {
    plugin: PluginName,
    component: PathBuf,
    built_from_source: bool,
    used_by: Vec<String>,
}

fn list(config: &Config, output: &Output) -> Result<(), Failure> {
    let plugins: Vec<Listed> = config
        .plugins
        .iter()
        .map(|(name, plugin)| {
            let (component, built_from_source) = match &plugin.component {
                ComponentSource::Path(path) => (path.clone(), false),
                ComponentSource::Source(path) => (path.clone(), true),
            };
            Listed { plugin: name.clone(), component, built_from_source, used_by: config.users_of(name) }
        })
        .collect();
    if output.for_programs() {
        return output.document(&plugins);
    }
    let rows = plugins.iter().map(|plugin| {
        let from = if plugin.built_from_source { "built from " } else { "" };
        [
            plugin.plugin.to_string(),
            format!("{from}{}", Printable(&plugin.component.display().to_string())),
            plugin.used_by.join(", "),
        ]
    });
    output.line(output::table(&["PLUGIN", "COMPONENT", "USED BY"], rows))
}
