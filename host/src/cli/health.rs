use clap::Args;

use super::context::Context;
use super::failure::{Exit, Failure};
use super::open;
use super::output::{self, Output, Printable};
use crate::monitor::{HealthReport, HealthState};

const EXAMPLES: &str = "\
Examples:
  larder health
  larder health --all                       # also what is well
  larder health --json | jq .status
";

/// Ask a running host how its parts are: stores, disks, plugins and tasks
///
/// Each is looked at now: a store is written to and read from, with an object that nobody else sees. What is degraded does what
/// it is for, but somebody should look at it. Fails if something has failed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Health {
    /// Also show what is well
    #[arg(long)]
    all: bool,
}

impl Health {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let report = open::host_at_work(context)?.health().await?;
        tell(&report, self.all, context.output())
    }
}

fn tell(report: &HealthReport, all: bool, output: &Output) -> Result<(), Failure> {
    if output.for_programs() {
        output.document(report)?;
    } else {
        let checks = report.checks.iter().flat_map(|(name, checks)| checks.iter().map(move |check| (name, check)));
        let shown = checks.filter(|(_, check)| all || check.state != HealthState::Healthy);
        let rows: Vec<[String; 4]> = shown
            .map(|(name, check)| {
                let measured = check
                    .observed_value
                    .map(|value| format!("{value:.1} {}", check.observed_unit.as_deref().unwrap_or_default()));
                let name = match &check.component_id {
                    Some(id) => format!("{name} for {id}"),
                    None => name.clone(),
                };
                [
                    Printable(&name).to_string(),
                    check.state.to_string(),
                    measured.unwrap_or_default(),
                    Printable(check.output.as_deref().unwrap_or_default()).to_string(),
                ]
            })
            .collect();
        if rows.is_empty() {
            output.line(format_args!("all is well: {} checks", report.checks.values().flatten().count()))?;
        } else {
            output.line(output::table(&["CHECK", "STATE", "MEASURED", "WHAT"], rows))?;
        }
    }
    if report.state == HealthState::Failed {
        let failed = report.troubles().filter(|(_, check)| check.state == HealthState::Failed).count();
        let noun = if failed == 1 { "check has" } else { "checks have" };
        return Err(Failure::new(Exit::Failed, "failed", format!("{failed} {noun} failed")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cli::output::Audience;
    use crate::monitor::HealthCheck;

    #[test]
    fn what_is_not_well_is_shown() {
        let check = |state, output: Option<&str>| HealthCheck {
            state,
            component_type: "datastore".into(),
            component_id: None,
            observed_value: Some(5.25),
            observed_unit: Some("ms".into()),
            output: output.map(str::to_owned),
            time: "2026-11-22T03:00:00Z".parse().unwrap(),
        };
        let report = |worst, output| {
            let checks = BTreeMap::from([
                ("store:documents".to_owned(), vec![check(HealthState::Healthy, None)]),
                ("store:scratch".to_owned(), vec![check(worst, output)]),
            ]);
            HealthReport::new("2026-11-22T03:00:00Z".parse().unwrap(), checks)
        };
        let said = |report: &HealthReport, all| {
            let (output, results, _) = Output::kept(Audience::People);
            let failed = tell(report, all, &output).is_err();
            (results.take(), failed)
        };
        let well = report(HealthState::Healthy, None);
        insta::assert_snapshot!(said(&well, false).0);
        insta::assert_snapshot!(said(&well, true).0);
        let (text, failed) = said(&report(HealthState::Failed, Some("it does not answer")), false);
        insta::assert_snapshot!(text);
        assert!(failed);
        assert!(!said(&report(HealthState::Degraded, Some("no room")), false).1);
    }
}
