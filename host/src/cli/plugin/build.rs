use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{self, Output, Printable};
use crate::plugin;

#[derive(Debug, Serialize)]
struct BuiltLine {
    name: String,
    component: PathBuf,
    bytes: u64,
}

pub(super) async fn build(dirs: &[PathBuf], output: &Output) -> Result<(), Failure> {
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
