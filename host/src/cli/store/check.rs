use clap::Args;
use serde::Serialize;

use std::sync::Arc;

use super::folder;
use super::watching::{self, Watching};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::open;
use crate::cli::output::{self, Output};
use crate::object::StoreName;
use crate::provider::{CheckReport, Finding, Watch, file};

const EXAMPLES: &str = "\
Examples:
  larder store check documents
  larder store check documents --json | jq -r '.findings[].key // empty'   # the damaged objects
";

/// Read all of a store, and hold it against its checksums
///
/// Everything: the index, its rows and values, and the files of larger objects block by block; and whether index and files
/// have each other. Nothing is changed. The exit code is 1 if there is damage. What a crash leaves behind and the next
/// start clears away, orphan and temporary, is none.
///
/// If a host runs it reads the store, of whatever type, while it goes on, as it is at one moment.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// The store; of type file if no host runs
    #[arg(value_name = "STORE")]
    store: StoreName,
}

#[derive(Debug, Serialize)]
struct Checked {
    store: StoreName,
    #[serde(flatten)]
    report: CheckReport,
    findings: Vec<Finding>,
}

impl Check {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let watching = Arc::new(Watching::begin("checking", context.output()));
        let report = if open::running_host(&context.config()?)?.is_some() {
            let store = context.data().await?.store(&self.store).await?;
            let checked = store.check(Arc::clone(&watching) as Arc<dyn Watch>).await;
            checked.map_err(|error| Failure::from(error).about(&format!("the store {}", self.store)))?
        } else {
            let (folder, watch) = (folder::of(&self.store, context)?, Arc::clone(&watching));
            folder::work_on(&self.store, move || file::check(&folder, &*watch)).await?
        };
        Checked { store: self.store, report, findings: watching.end() }.tell(context.output())
    }
}

impl Checked {
    fn tell(&self, output: &Output) -> Result<(), Failure> {
        let Self { store, report, findings } = self;
        if output.for_programs() {
            output.document(self)?;
        } else {
            if !findings.is_empty() {
                output.line(format_args!("{}\n", watching::table(findings)))?;
            }
            let CheckReport { objects, bytes, damage, leftovers } = report;
            let (size, verdict) = (output::size(*bytes), if *damage == 0 { "sound" } else { "damaged" });
            output.line(format_args!(
                "{store} is {verdict}: {objects} objects, {size}; damage: {damage}, leftovers of a crash: {leftovers}"
            ))?;
        }
        if report.damage == 0 { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
    }
}
