use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::open;
use crate::cli::output::{self, Printable};
use crate::host::ReloadOutcome;

/// Has a plugin start again.
pub(super) async fn reset(context: &Context, plugin: &str) -> Result<(), Failure> {
    open::host_at_work(context)?.reset_plugin(plugin).await?;
    context.output().remark(format!("{plugin} starts again with its next call"));
    Ok(())
}

/// Has the host put to work what changed.
pub(super) async fn reload(context: &Context) -> Result<(), Failure> {
    let report = open::host_at_work(context)?.reload().await?;
    let output = context.output();
    let kept = report.plugins.iter().filter(|plugin| matches!(plugin.outcome, ReloadOutcome::Kept { .. })).count();
    if output.for_programs() {
        output.document(&report)?;
    } else {
        let rows = report.plugins.iter().map(|plugin| {
            let outcome = match &plugin.outcome {
                ReloadOutcome::Unchanged => "unchanged".to_owned(),
                ReloadOutcome::Replaced { digest } => format!("replaced by {digest}"),
                ReloadOutcome::Kept { error } => format!("kept as it was: {}", Printable(error)),
            };
            [plugin.plugin.to_string(), plugin.store.to_string(), outcome]
        });
        output.line(output::table(&["PLUGIN", "STORE", "OUTCOME"], rows))?;
    }
    for key in &report.needs_restart {
        output.remark(format!("`{key}` changed in the configuration, which only a restart puts to work"));
    }
    match kept {
        0 => Ok(()),
        count => Err(Failure::new(Exit::Failed, "reload", format!("{count} of the plugins could not be replaced"))),
    }
}
