use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::failure::{Exit, Failure};
use super::super::output::{self, Output, Printable};
use crate::plugin::build;

const EXAMPLES: &str = "\
Examples:
  larder plugin componentize clock.wasm                    # makes clock.component.wasm
  larder plugin componentize clock.wasm -o plugins/clock.wasm
";

/// Make a component of a core module that another toolchain compiled
///
/// For a plugin in C, Zig or any language whose compiler makes core modules: linked with the object file that its
/// bindings came with (wit-bindgen makes both), the module says which world it implements. What larder plugin build
/// makes of a crate, and what componentize-py and jco make, are components already.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Componentize {
    /// The module, a .wasm file
    module: PathBuf,
    /// Where the component goes; absent: beside the module, as NAME.component.wasm
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Made {
    component: PathBuf,
    bytes: u64,
}

impl Componentize {
    pub(super) async fn run(self, output: &Output) -> Result<(), Failure> {
        let component = self.output.unwrap_or_else(|| self.module.with_extension("component.wasm"));
        let bytes = build::componentize(&self.module, &component).await;
        let bytes = bytes.map_err(|error| Failure::new(Exit::Failed, "build", error.to_string()))?;
        if output.for_programs() {
            return output.document(&Made { component, bytes });
        }
        output.line(format_args!("{}  {}", output::size(bytes), Printable(&component.display().to_string())))
    }
}
