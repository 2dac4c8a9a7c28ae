use clap::Args;

use super::policies::failed;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::open;
use crate::cli::output::{self, Output};
use crate::host::Host;
use crate::lifecycle::LifecycleReport;
use crate::object::{StoreName, now};

const EXAMPLES: &str = "\
Examples:
  larder lifecycle plan documents && larder lifecycle apply documents
";

/// Do now what the policies of a store say
///
/// The same as a host does by itself every so often; if one runs, it is asked to. The exit code is 1 if something failed
/// and objects were kept because of that.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Apply {
    /// The store
    #[arg(value_name = "STORE")]
    store: StoreName,
}

impl Apply {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let (name, output) = (self.store, context.output());
        let report = match open::running_host(&context.config()?)? {
            Some(host) => host.apply_lifecycle(&name).await?,
            None => {
                let data = context.data().await?;
                let store = data.ageing(&name).await?;
                let mut progress = |line: &str| output.remark(line);
                let policies = Host::policies_of(&context.config()?, &name, store, None, &mut progress).await;
                let mut policies = policies.map_err(failed)?;
                if let Some(audit) = data.audit()? {
                    policies = policies.with_audit(audit);
                }
                if let Some(reads) = data.reads(&name)? {
                    policies = policies.with_reads(reads);
                }
                policies.apply_policies(now()).await?
            }
        };
        tell(&name, &report, output)
    }
}

fn tell(name: &StoreName, report: &LifecycleReport, output: &Output) -> Result<(), Failure> {
    if output.for_programs() {
        output.document(report)?;
    } else {
        let LifecycleReport { considered, kept, archived, deleted, tagged, purged, in_trash, .. } = report;
        let LifecycleReport { kept_by_retention, kept_by_failure, changed_meanwhile, failed, swept, .. } = report;
        let counts = [
            ("archived", archived),
            ("deleted", deleted),
            ("tagged", tagged),
            ("purged from the trash", purged),
            ("kept", kept),
            ("retained", kept_by_retention),
            ("still in the trash", in_trash),
            ("changed meanwhile", changed_meanwhile),
            ("kept, since a policy failed", kept_by_failure),
            ("kept, since it failed", failed),
            ("copies swept from the archive", swept),
        ];
        let rows =
            counts.iter().filter(|(_, count)| **count > 0).map(|(what, count)| [(*what).to_owned(), count.to_string()]);
        output.line(format_args!("{name}: {considered} objects considered"))?;
        output.line(output::table(&[], rows))?;
        for problem in &report.problems {
            output.line(format_args!("problem: {}", output::Printable(problem)))?;
        }
    }
    if report.problems.is_empty() { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
}
