use clap::Args;
use serde::Serialize;

use super::policies::Policies;
use super::shown;
use crate::cli::address::ObjectAddress;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Printable};
use crate::lifecycle::{Opinion, Planned};

const EXAMPLES: &str = "\
Examples:
  larder lifecycle explain documents/report.pdf
  larder lifecycle explain documents/report.pdf --at 2027-01-01
";

/// Say what each policy wants for one object, and what comes of it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Explain {
    /// The object
    #[arg(value_name = "STORE/KEY")]
    object: ObjectAddress,
    #[command(flatten)]
    policies: Policies,
}

#[derive(Debug, Serialize)]
struct Explained {
    #[serde(flatten)]
    planned: Planned,
    policies: Vec<Opinion>,
}

impl Explain {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let Self { object, policies } = self;
        let (output, now) = (context.output(), policies.now());
        let data = context.data().await?;
        let store = data.ageing(&object.store).await?;
        let metadata = store.metadata(&object.key).await?;
        let manager = policies.open(&object.store, store, context).await?;
        let (planned, policies) = manager.explain(metadata, now).await?;
        if output.for_programs() {
            return output.document(&Explained { planned, policies });
        }
        output
            .line(output::table(&["POLICY", "ARCHIVE", "DELETE", "RETAIN UNTIL", "TAG", "DECIDES"], rows(&policies)))?;
        let by = planned.by.as_deref().map(|by| format!(", by {by}")).unwrap_or_default();
        let verdict = shown(&planned.verdict);
        output.line(format_args!("\n{}", Printable(&format!("{object}: {verdict}{by}"))))
    }
}

fn rows(opinions: &[Opinion]) -> impl Iterator<Item = [String; 6]> {
    let word = |yes: bool| if yes { "yes" } else { "-" }.to_owned();
    opinions.iter().map(move |opinion| {
        let Opinion { policy, decides, archive, delete, retain_until, tags } = opinion;
        let tags = if tags.is_empty() { "-".to_owned() } else { Printable(&tags.to_string()).to_string() };
        let retain = retain_until.map_or_else(|| "-".to_owned(), |until| output::moment(until).to_string());
        let decides = if *decides { "yes" } else { "no, monitored" }.to_owned();
        [Printable(policy).to_string(), word(*archive), word(*delete), retain, tags, decides]
    })
}
