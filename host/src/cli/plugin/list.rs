use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::open;
use crate::cli::output::{self, Printable};
use crate::config::{ComponentSource, PluginName};
use crate::host::PluginReport;
use crate::plugin::PluginState;

#[derive(Debug, Serialize)]
struct Listed {
    plugin: PluginName,
    component: String,
    built_from_source: bool,
    used_by: Vec<String>,
    /// How it is, for each store that it works for; absent while no host runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_work: Option<Vec<PluginReport>>,
}

pub(super) async fn list(context: &Context) -> Result<(), Failure> {
    let (config, output) = (context.config()?, context.output());
    let reports = match open::running_host(&config)? {
        Some(host) => Some(host.plugins().await?),
        None => None,
    };
    let listed = config.plugins.iter().map(|(name, plugin)| {
        let (component, built_from_source) = match &plugin.component {
            ComponentSource::Path(path) => (path.display().to_string(), false),
            ComponentSource::Source(path) => (path.display().to_string(), true),
            ComponentSource::Oci(reference) => (reference.to_string(), false),
        };
        let at_work = reports.as_ref().map(|reports| reports.iter().filter(|report| report.plugin == *name));
        Listed {
            plugin: name.clone(),
            component,
            built_from_source,
            used_by: config.users_of(name),
            at_work: at_work.map(|at_work| at_work.cloned().collect()),
        }
    });
    let listed: Vec<Listed> = listed.collect();
    if output.for_programs() {
        return output.document(&listed);
    }
    if reports.is_none() {
        let rows = listed.iter().map(|plugin| [plugin.plugin.to_string(), plugin.origin(), plugin.used_by.join(", ")]);
        return output.line(output::table(&["PLUGIN", "COMPONENT", "USED BY"], rows));
    }
    let rows = listed.iter().flat_map(Listed::rows);
    output.line(output::table(&["PLUGIN", "STORE", "STATE", "CALLS", "FAULTS", "MEMORY", "COMPONENT"], rows))?;
    for report in listed.iter().flat_map(|plugin| plugin.at_work.iter().flatten()) {
        if let (PluginState::BackingOff { .. } | PluginState::Quarantined { .. }, Some(failure)) =
            (report.status.state, &report.status.last_failure)
        {
            let (plugin, store, at) = (&report.plugin, &report.store, output::moment(failure.at));
            output.line(format_args!("\n{plugin} for {store} failed at {at}: {}", Printable(&failure.message)))?;
        }
    }
    Ok(())
}

impl Listed {
    fn origin(&self) -> String {
        let from = if self.built_from_source { "built from " } else { "" };
        format!("{from}{}", Printable(&self.component))
    }

    /// A row for each store that it works for, or one that says that it works for none.
    fn rows(&self) -> Vec<[String; 7]> {
        let row = |report: Option<&PluginReport>| {
            let status = report.map(|report| &report.status);
            let of = |cell: &dyn Fn(&crate::plugin::PluginStatus) -> String| status.map(cell).unwrap_or_default();
            [
                self.plugin.to_string(),
                report.map(|report| report.store.to_string()).unwrap_or_default(),
                status.map_or("not used".to_owned(), |status| state(status.state)),
                of(&|status| (status.calls.ok + status.calls.errors + status.calls.faults).to_string()),
                of(&|status| status.failures.to_string()),
                of(&|status| output::size(status.memory).to_string()),
                self.origin(),
            ]
        };
        match self.at_work.as_deref().unwrap_or_default() {
            [] => vec![row(None)],
            reports => reports.iter().map(|report| row(Some(report))).collect(),
        }
    }
}

fn state(state: PluginState) -> String {
    match state {
        PluginState::Running => "running".to_owned(),
        PluginState::BackingOff { remaining } => format!("starts in {}", humantime::format_duration(remaining)),
        PluginState::Quarantined { since } => format!("quarantined since {}", output::moment(since)),
    }
}
