use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use crate::cache::{HotKey, TopKeys};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::open;
use crate::cli::output::{self, Printable};
use crate::object::StoreName;

/// How often `--watch` looks.
const PERIOD: Duration = Duration::from_secs(2);
/// Clears a terminal, and puts the cursor at its top.
const CLEAR: &str = "\x1b[2J\x1b[H";

const EXAMPLES: &str = "\
Examples:
  larder cache top documents
  larder cache top documents --limit 5 --json | jq -r .keys[].key
  larder cache top documents --watch
";

/// Show which keys of a store are read most
///
/// Of the last minute or two, estimated from one read in 64; a count may be too high by as much as ERROR says. HIT RATIO
/// is the share of the reads that the cache answered.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Top {
    /// The store
    #[arg(value_name = "STORE")]
    store: StoreName,
    /// So many keys, 256 at most
    #[arg(short = 'n', long, value_name = "N", default_value = "20", value_parser = RangedU64ValueParser::<usize>::new().range(1..=256))]
    limit: usize,
    /// Look again every two seconds, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
}

impl Top {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let output = context.output();
        let host = open::host_at_work(context)?;
        loop {
            let top = host.top_keys(&self.store, self.limit).await?;
            match (output.for_programs(), self.watch) {
                (true, false) => output.document(&top)?,
                (true, true) => output.json_line(&top)?,
                (false, watch) => {
                    let clear = if watch && io::stdout().is_terminal() { CLEAR } else { "" };
                    output.line(format_args!("{clear}{}", table(&top)))?;
                }
            }
            if !self.watch {
                return Ok(());
            }
            output.flush()?;
            tokio::time::sleep(PERIOD).await;
        }
    }
}

fn table(top: &TopKeys) -> String {
    let TopKeys { seconds, reads, keys } = top;
    let summary = format!("about {reads} reads in {seconds:.0} s");
    if keys.is_empty() {
        return summary;
    }
    let row = |HotKey { key, reads: of_key, error, hit_ratio }: &HotKey| {
        [
            Printable(key.as_str()).to_string(),
            of_key.to_string(),
            error.to_string(),
            output::percent(*of_key as f64 / (*reads).max(1) as f64),
            output::percent(*hit_ratio),
        ]
    };
    let header = ["KEY", "READS", "ERROR", "SHARE", "HIT RATIO"];
    format!("{summary}\n\n{}", output::table(&header, keys.iter().map(row)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Key;

    #[test]
    fn the_most_read_keys_are_a_table() {
        let hot = |key: &str, reads, error, hit_ratio| HotKey { key: Key::new(key).unwrap(), reads, error, hit_ratio };
        let keys = vec![hot("index.html", 6400, 0, 0.999), hot("a\u{1b}b", 640, 64, 0.0)];
        insta::assert_snapshot!(table(&TopKeys { seconds: 61.4, reads: 12_800, keys }), @r"
        about 12800 reads in 61 s

        KEY         READS  ERROR  SHARE   HIT RATIO
        index.html  6400   0      50.0 %  99.9 %
        a\u{1b}b    640    64     5.0 %   0.0 %
        ");
        let none = TopKeys { seconds: 2.0, reads: 0, keys: vec![] };
        assert_eq!(table(&none), "about 0 reads in 2 s");
    }
}
