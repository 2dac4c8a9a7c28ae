use std::path::PathBuf;

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{self, Printable};
use crate::cli::progress::Progress;
use crate::oci::{Components, OciError, Pulled, Reference};

#[derive(Debug, Serialize)]
struct PulledLine {
    reference: String,
    digest: String,
    component: PathBuf,
    bytes: u64,
    component_digest: String,
}

pub(super) async fn pull(reference: &Reference, context: &Context) -> Result<(), Failure> {
    let pulled = fetch(reference, context).await?;
    let pinned = reference.clone().pinned(pulled.manifest.clone());
    let line = PulledLine {
        reference: pinned.to_string(),
        digest: pulled.manifest.to_string(),
        component: pulled.component,
        bytes: pulled.size,
        component_digest: pulled.layer.to_string(),
    };
    let output = context.output();
    if output.for_programs() {
        return output.document(&line);
    }
    output.remark(format_args!(
        "pulled {} as {}",
        output::size(line.bytes),
        Printable(&line.component.display().to_string())
    ));
    output.line(Printable(&line.reference))
}

/// Fetches a component into the data folder of the configuration, if it is not there yet.
pub(super) async fn fetch(reference: &Reference, context: &Context) -> Result<Pulled, Failure> {
    let config = context.config()?;
    let components = Components::new(&config.data_dir, config.supply_chain.plain_http.clone());
    let progress = Progress::begin(context.output());
    let limit = config.largest_component();
    let pulled = components.pull(reference, limit, &mut |event| progress.follow(event)).await;
    progress.end();
    pulled.map_err(|error| {
        let exit = match error {
            OciError::NotFound { .. } => Exit::NotFound,
            OciError::Unreachable { .. } => Exit::Unavailable,
            _ => Exit::Failed,
        };
        Failure::new(exit, "registry", error.to_string())
    })
}
