use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args};
use tokio::task::spawn_blocking;

use super::progress::Progress;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::config::Size;
use crate::simulate::{Columns, Format, Pattern, Synthetic, Trace, TraceError, TraceOptions};

/// Where the requests come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Requests", group(ArgGroup::new("source").required(true).multiple(true)))]
pub(super) struct Requests {
    /// A file of requests, which may be compressed by xz, zstd or gzip; may be given again
    #[arg(short, long = "trace", value_name = "FILE", group = "source")]
    traces: Vec<PathBuf>,
    /// How requests are written; absent: as the name of the file says
    #[arg(short, long, value_parser = one_of(Format::ALL.map(Format::as_str)).try_map(|name| name.parse::<Format>()))]
    format: Option<Format>,
    /// Where keys and sizes stand in a CSV file, by name or by number from 1; absent: as the header says
    #[arg(long, value_name = "key=COLUMN,size=COLUMN")]
    columns: Option<Columns>,
    /// Leave out the sizes that a trace has: all objects count alike
    #[arg(long)]
    ignore_sizes: bool,
    /// Only so many requests of each trace, from the first on
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Make requests up, the same ones each time. zipf: few keys often and many rarely; scan: the same, broken by scans
    /// over keys that never come again; loop: all keys in turn. May be given again
    #[arg(
        long = "synthetic",
        value_name = "PATTERN",
        group = "source",
        value_parser = one_of(Pattern::ALL.map(Pattern::as_str)).try_map(|name| name.parse::<Pattern>())
    )]
    patterns: Vec<Pattern>,
    /// How many requests are made up
    #[arg(long = "requests", value_name = "COUNT", default_value = "1000000", requires = "patterns",
          value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Over how many keys
    #[arg(long, value_name = "COUNT", default_value = "100000", requires = "patterns",
          value_parser = clap::value_parser!(u32).range(1..))]
    keys: u32,
    /// How uneven the popularity of keys is, by Zipf's law; 0: not at all
    #[arg(long, value_name = "NUMBER", default_value = "1.0", requires = "patterns", value_parser = exponent)]
    exponent: f64,
    /// Give made-up objects sizes, small ones as often as large ones on a logarithmic scale
    #[arg(long, value_name = "MIN..MAX", requires = "patterns", value_parser = sizes)]
    sizes: Option<RangeInclusive<u64>>,
    /// What random requests are made from
    #[arg(long, value_name = "NUMBER", default_value = "1", requires = "patterns")]
    seed: u64,
}

/// Requests to be replayed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    Trace(PathBuf),
    Synthetic(Synthetic),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trace(path) => path.file_name().unwrap_or(path.as_os_str()).display().fmt(f),
            Self::Synthetic(synthetic) => synthetic.pattern.fmt(f),
        }
    }
}

impl Requests {
    pub(super) fn sources(&self) -> Vec<Source> {
        let traces = self.traces.iter().cloned().map(Source::Trace);
        let made_up = self.patterns.iter().map(|&pattern| {
            let Self { count, keys, exponent, seed, .. } = *self;
            Source::Synthetic(Synthetic { pattern, requests: count, keys, exponent, seed, sizes: self.sizes.clone() })
        });
        traces.chain(made_up).collect()
    }

    /// The requests of a source.
    pub(super) async fn read(&self, source: &Source, output: &Output) -> Result<Trace, Failure> {
        let internal = |error: tokio::task::JoinError| Failure::new(Exit::Failed, "internal", error.to_string());
        match source.clone() {
            Source::Synthetic(synthetic) => {
                let made = spawn_blocking(move || synthetic.generate()).await.map_err(internal)?;
                made.map_err(|error| Failure::usage(error.to_string()))
            }
            Source::Trace(path) => {
                let options = TraceOptions {
                    format: self.format,
                    columns: self.columns.clone().unwrap_or_default(),
                    limit: self.limit,
                    ignore_sizes: self.ignore_sizes,
                };
                let size = path.metadata().map_or(0, |file| file.len());
                let progress = Progress::of_bytes(&source.to_string(), size, output);
                let bar = progress.clone();
                let read = spawn_blocking(move || Trace::read(&path, &options, |count| bar.advance(count))).await;
                progress.end();
                read.map_err(internal)?.map_err(|error| unreadable(&error))
            }
        }
    }
}

fn unreadable(error: &TraceError) -> Failure {
    let exit = if error.is_not_found() { Exit::NotFound } else { Exit::Failed };
    let kind = if error.is_not_found() { "not-found" } else { "trace" };
    let failure = Failure::new(exit, kind, error.to_string());
    match error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// One of these words; another one that is near is corrected.
fn one_of<const N: usize>(words: [&'static str; N]) -> PossibleValuesParser {
    PossibleValuesParser::new(words)
}

fn exponent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|number| number.is_finite() && *number >= 0.0).ok_or_else(|| "write a number, such as 0.9".into())
}

fn sizes(text: &str) -> Result<RangeInclusive<u64>, String> {
    let (least, most) = text.split_once("..").ok_or("write two sizes, such as 1KiB..1MiB")?;
    let (least, most): (Size, Size) = (least.parse()?, most.parse()?);
    if least > most {
        return Err(format!("the smaller size comes first: {most}..{least}"));
    }
    Ok(least.bytes()..=most.bytes())
}
