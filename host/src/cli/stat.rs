use clap::Args;

use super::address::ObjectAddress;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::output::{self, Output, Printable};
use crate::object::StorageMetadata;
use crate::provider::StorageProvider;

const EXAMPLES: &str = "\
Examples:
  larder stat documents/report.pdf
  larder stat documents/report.pdf --json | jq -r .etag
";

/// Show an object's metadata
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Stat {
    /// The object: all behind the first slash is the key
    #[arg(value_name = "STORE/KEY")]
    object: ObjectAddress,
}

impl Stat {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let data = context.data().await?;
        let provider = data.store(&self.object.store).await?;
        self.run_on(&*provider, context.output()).await
    }

    async fn run_on(self, provider: &dyn StorageProvider, output: &Output) -> Result<(), Failure> {
        let address = self.object;
        let metadata = provider.metadata(&address.key).await.map_err(|error| {
            Failure::from(error)
                .hint_on(Exit::NotFound, || format!("larder ls -r {} lists what is there", address.store))
        })?;
        if output.for_programs() {
            return output.document(&metadata);
        }
        output.line(output::table(&[], rows(&metadata)))
    }
}

fn rows(metadata: &StorageMetadata) -> Vec<[String; 2]> {
    let StorageMetadata { key, size, created_at, updated_at, checksum, etag, attributes } = metadata;
    let mut rows = vec![
        ["key".into(), Printable(key.as_str()).to_string()],
        ["size".into(), format!("{} ({size} bytes)", output::size(*size))],
        ["created".into(), output::moment(*created_at).to_string()],
        ["updated".into(), output::moment(*updated_at).to_string()],
        ["etag".into(), etag.to_string()],
        ["checksum".into(), checksum.to_string()],
    ];
    if let Some(content_type) = &attributes.content_type {
        rows.push(["content type".into(), Printable(content_type).to_string()]);
    }
    rows.extend(attributes.tags.iter().map(|(name, value)| [format!("tag {name}"), value.to_owned()]));
    rows.extend(attributes.user_metadata.iter().map(|(name, value)| [format!("meta {name}"), value.to_owned()]));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_for_people() {
        let metadata: StorageMetadata = serde_json::from_value(serde_json::json!({
            "key": "report\u{1b}[2J.pdf",
            "size": 1_572_864,
            "created_at": "2024-05-06T07:08:09.010Z",
            "updated_at": "2025-01-02T03:04:05Z",
            "checksum": "crc64nvme:ae8b14860a799888",
            "etag": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "content_type": "application/pdf",
            "tags": { "kind": "report", "owner": "Zo\u{eb}" },
            "user_metadata": { "source": "scanner" },
        }))
        .unwrap();
        insta::assert_snapshot!(output::table(&[], rows(&metadata)));
    }
}
