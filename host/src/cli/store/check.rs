use clap::Args;
use serde::Serialize;

use super::folder;
use super::watching::{self, Watching};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{self, Output};
use crate::object::StoreName;
use crate::provider::file::{self, CheckReport, Finding};

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
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// The store, of type file, and closed
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
        let folder = folder::of(&self.store, context)?;
        let mut watching = Watching::begin("checking", context.output());
        let work = move || file::check(&folder, &mut watching).map(|report| (report, watching.end()));
        let (report, findings) = folder::work_on(&self.store, work).await?;
        Checked { store: self.store, report, findings }.tell(context.output())
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
