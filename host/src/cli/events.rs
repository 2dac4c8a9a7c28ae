use clap::Args;
use serde_json::Value;

use super::context::Context;
use super::failure::Failure;
use super::open;
use super::output::{Output, Printable};
use crate::object::StoreName;

const EXAMPLES: &str = "\
Examples:
  larder events                             # until Ctrl-C
  larder events --store documents --type 'object.*'
  larder events --type alert.firing --json | jq -r .data.summary
";

/// Tell what happens in a running host, as it happens
///
/// Shows objects that are created, updated, deleted, archived and restored, what policies decide, and alerts. With --json each is
/// a line as CloudEvents write it. What comes faster than it is read is lost, and how much that was is told as events.lost.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Events {
    /// Only events of this type; all that begin so if it ends with a *. May be given several times
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only events of this store, and those of none. May be given several times
    #[arg(long = "store", value_name = "STORE")]
    stores: Vec<StoreName>,
}

impl Events {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let mut events = open::host_at_work(context)?.events(&self.types, &self.stores).await?;
        let output = context.output();
        output.remark("telling what happens from now on");
        while let Some(event) = events.next().await? {
            tell(&event, output)?;
            output.flush()?;
        }
        Ok(())
    }
}

fn tell(event: &Value, output: &Output) -> Result<(), Failure> {
    if output.for_programs() {
        return output.json_line(event);
    }
    let of = |name: &str| event[name].as_str().unwrap_or_default();
    let time = of("time").split('.').next().unwrap_or_default().trim_end_matches('Z').replace('T', " ");
    let store = of("source").strip_prefix("/stores/");
    let subject = match store {
        Some(store) => format!("{store}/{}", of("subject")),
        None => of("subject").to_owned(),
    };
    let data = &event["data"];
    let told = match of("type") {
        "events.lost" => format!("{} events are gone", data["count"]),
        "policy.decided" => format!("{} by {}", text(&data["action"]), text(&data["by"])),
        kind if kind.starts_with("alert.") => format!("{}: {}", text(&data["level"]), text(&data["summary"])),
        _ => data["size"].as_u64().map(|size| format!("{size} bytes")).unwrap_or_default(),
    };
    let line = format!("{time}Z  {:<15}  {subject}  {told}", of("type"));
    output.line(Printable(line.trim_end()))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::output::Audience;

    #[test]
    fn an_event_is_a_line() {
        let (output, results, _) = Output::kept(Audience::People);
        let event = |kind: &str, source: &str, subject: &str, data: Value| json!({ "type": kind, "source": source, "subject": subject, "time": "2026-11-22T03:00:00.123Z", "data": data });
        let documents = "/stores/documents";
        for event in [
            event("object.created", documents, "a\nb", json!({ "size": 12 })),
            event("policy.decided", documents, "a", json!({ "action": "archive", "by": "old" })),
            event("alert.firing", "/", "failed", json!({ "level": "critical", "summary": "store:documents: gone" })),
            event("events.lost", "/", "", json!({ "count": 3 })),
        ] {
            tell(&event, &output).unwrap();
        }
        insta::assert_snapshot!(results.take());
    }
}
