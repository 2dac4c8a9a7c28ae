use clap::Args;
use serde::Serialize;

use super::folder;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::object::StoreName;
use crate::provider::file::{self, Space};

const EXAMPLES: &str = "\
Examples:
  larder store du
  larder store du documents --json | jq .[].on_disk
";

/// Show what stores take on their disks, and what for
///
/// INLINED are the objects of up to 16 KiB, whose bytes are in the index. LOG is the index's write-ahead log. SET ASIDE is
/// what a rebuild has kept of before.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Du {
    /// Only this store, of type file, and closed
    #[arg(value_name = "STORE")]
    store: Option<StoreName>,
}

#[derive(Debug, Serialize)]
struct Line {
    store: StoreName,
    objects: u64,
    bytes: u64,
    on_disk: u64,
    #[serde(flatten)]
    space: Space,
}

impl Du {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let folders = match &self.store {
            Some(store) => vec![(store.clone(), folder::of(store, context)?)],
            // Others were never written to.
            None => folder::all(context)?.into_iter().filter(|(_, folder)| folder.exists()).collect(),
        };
        let mut lines = Vec::new();
        for (store, folder) in folders {
            let space = folder::work_on(&store, move || file::space(&folder)).await?;
            lines.push(Line::new(store, space));
        }
        let output = context.output();
        if output.for_programs() {
            return output.document(&lines);
        }
        let header =
            ["STORE", "OBJECTS", "SIZE", "INLINED", "ON DISK", "INDEX", "LOG", "BODIES", "TEMPORARY", "SET ASIDE"];
        output.line(output::table(&header, lines.iter().map(Line::row)))
    }
}

impl Line {
    fn new(store: StoreName, space: Space) -> Self {
        let objects = space.objects();
        Self { store, objects: objects.objects, bytes: objects.bytes, on_disk: space.on_disk(), space }
    }

    fn row(&self) -> [String; 10] {
        let size = |bytes| output::size(bytes).to_string();
        [
            self.store.to_string(),
            self.objects.to_string(),
            size(self.bytes),
            self.space.inlined.objects.to_string(),
            size(self.on_disk),
            size(self.space.index),
            size(self.space.log),
            size(self.space.bodies),
            size(self.space.temporaries),
            size(self.space.set_aside),
        ]
    }
}
