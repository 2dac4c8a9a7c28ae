use clap::Args;
use serde::Serialize;

use super::folder;
use super::watching::{self, Watching};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Printable};
use crate::object::StoreName;
use crate::provider::Finding;
use crate::provider::file::{self, OldIndex, RebuildReport};

const EXAMPLES: &str = "\
Examples:
  larder store rebuild documents          # what would be made, and what would be lost
  larder store rebuild documents --yes    # makes it
";

/// Make a new index for a store, of what can be read of the old one and of the files
///
/// For a store whose index is damaged or gone; larder store check tells. Without an index, objects of more than 16 KiB come
/// back as they were written; smaller ones, and tags that were changed later, are in the index alone. Without --yes it
/// says what it would do. The old index, and files that belong to no object, are kept in a folder of their own.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Rebuild {
    /// The store, of type file, and closed
    #[arg(value_name = "STORE")]
    store: StoreName,
    /// Do it
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct Rebuilt {
    store: StoreName,
    done: bool,
    #[serde(flatten)]
    report: RebuildReport,
    findings: Vec<Finding>,
}

impl Rebuild {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let Self { store, yes } = self;
        let folder = folder::of(&store, context)?;
        let watching = Watching::begin("reading", context.output());
        let work = move || {
            let report = if yes { file::rebuild(&folder, &watching) } else { file::plan_rebuild(&folder, &watching) };
            report.map(|report| (report, watching.end()))
        };
        let (report, findings) = folder::work_on(&store, work).await?;
        Rebuilt { store, done: yes, report, findings }.tell(context.output())
    }
}

impl Rebuilt {
    fn tell(&self, output: &Output) -> Result<(), Failure> {
        if output.for_programs() {
            return output.document(self);
        }
        let Self { store, done, report, findings } = self;
        if !findings.is_empty() {
            output.line(format_args!("{}\n", watching::table(findings)))?;
        }
        let RebuildReport { old_index, from_index, from_files, lost, left_out, set_aside } = report;
        match old_index {
            OldIndex::Whole => output.line(format_args!("the index of {store} is whole"))?,
            OldIndex::Damaged { why } => {
                output.line(format_args!("the index of {store} is damaged: {}", Printable(why)))?;
            }
            OldIndex::Missing => output.line(format_args!(
                "the index of {store} is missing: objects of up to 16 KiB, which it held, can not be counted"
            ))?,
        }
        output.line(format_args!(
            "objects: {from_index} from that index, {from_files} from files alone, {lost} lost; files left out: {left_out}"
        ))?;
        if let Some(folder) = set_aside {
            output.remark(format_args!("what was there before is in {}", folder.display()));
        }
        output.remark(if *done { "the new index is in its place" } else { "nothing was changed; --yes does it" });
        Ok(())
    }
}
