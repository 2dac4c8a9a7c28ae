use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{self, Output, Printable};
use crate::config::{Period, Size};
use crate::contract::{self, Component, Options, Outcome, Part, Promise, Report, StoreForm};
use crate::plugin::{self, Kind, PluginOptions, PluginRuntime};

const EXAMPLES: &str = "\
Examples:
  larder plugin test plugins/sieve                          # built, and held to the contract of its kind
  larder plugin test memory.wasm --report junit > memory.xml
  larder plugin test plugins/versions --store current=memory --store history=file
  larder plugin test plugins/retention --settings '{\"rules\": []}' --filter time
  larder plugin test --list                                 # what is promised
";

/// Hold a plugin to the contract of its kind
///
/// Every promise is tried on a plugin that is loaded anew, with empty stores: nothing of the configuration is touched.
/// The exit code is 1 if a promise is broken. What is random comes from the seed, which the report tells.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Test {
    /// The component, a .wasm file, or the folder of a plugin crate, which is built first
    #[arg(value_name = "FILE|DIR", required_unless_present = "list")]
    plugin: Option<PathBuf>,
    /// The settings of the plugin: what stands under `config` in a configuration, as JSON
    #[arg(long, value_name = "JSON", default_value = "null", value_parser = json)]
    settings: Value,
    /// Grant a provider an empty store under this name: `memory`, or `file` in a temporary folder; may be given again.
    /// What a plugin keeps in granted stores has to outlive it
    #[arg(long = "store", value_name = "NAME=FORM", value_parser = store)]
    stores: Vec<(String, StoreForm)>,
    /// Grant a provider an empty state of its own, clocks that go, or random numbers that are random; may be given again.
    /// What a plugin keeps in its state has to outlive it
    #[arg(long = "grant", value_name = "WHAT")]
    grants: Vec<Grantable>,
    /// What the plugin keeps does not outlive it, although it is granted stores or state
    #[arg(long)]
    volatile: bool,
    /// How many instances a provider may have
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    instances: u32,
    /// The memory of an instance; absent: 64MiB
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
    /// How long a call may take; absent: as in a configuration that says nothing of it
    #[arg(long, value_name = "TIME")]
    call_timeout: Option<Period>,
    /// Only promises whose names have this in them
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// What random operations are made from; absent: another number each time
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Stop at the first promise that is broken
    #[arg(long)]
    fail_fast: bool,
    /// The form of the report; absent: a table for people, and JSON with --json
    #[arg(long, value_name = "FORM")]
    report: Option<Form>,
    /// List the promises, of all kinds if no plugin is given, and try none
    #[arg(long)]
    list: bool,
}

/// What reaches nothing beyond the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Grantable {
    State,
    Clocks,
    Random,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Table,
    Json,
    Junit,
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))
}

fn store(text: &str) -> Result<(String, StoreForm), String> {
    let form = |form| match form {
        "memory" => Some(StoreForm::Memory),
        "file" => Some(StoreForm::File),
        _ => None,
    };
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty() && !name.contains(['/', '\\', '\0']) && !name.starts_with('.'))
        .and_then(|(name, text)| Some((name.to_owned(), form(text)?)))
        .ok_or_else(|| {
            "write the plugin's word for the store and its form, such as current=memory or files=file".into()
        })
}

impl Test {
    pub(super) async fn run(self: Box<Self>, output: &Output) -> Result<(), Failure> {
        let form = self.report.unwrap_or(if output.for_programs() { Form::Json } else { Form::Table });
        let Some(plugin) = &self.plugin else { return self.list(&Kind::ALL, form, output) };
        let (name, path) = component(plugin, output).await?;
        let refused = |error: &dyn std::fmt::Display| {
            Failure::new(Exit::Failed, "plugin", format!("{}: {error}", plugin.display()))
        };
        if self.list {
            let wasm = std::fs::read(&path).map_err(|error| Failure::file("can not read", &path, &error))?;
            let interface = plugin::Interface::of(&wasm).map_err(|error| refused(&error))?;
            return self.list(&[interface.kind], form, output);
        }
        let folder =
            TempDir::new().map_err(|error| Failure::file("can not write to", &std::env::temp_dir(), &error))?;
        let runtime = PluginRuntime::new(folder.path().join("compiled")).map_err(|error| refused(&error))?;
        let part = self.component(&name, path).into_part(Arc::new(runtime), folder.path().join("stores")).await;
        let part = part.map_err(|error| {
            refused(&error).with_hint("--settings gives it its settings; --store and --grant grant it what it imports")
        })?;
        let report = self.try_promises(&name, &part, output).await?;
        match form {
            Form::Table => table(&report, output)?,
            Form::Json => output.document(&report)?,
            Form::Junit => output.line(report.to_junit().trim_end())?,
        }
        if report.counts().broken == 0 { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
    }

    fn component(&self, name: &str, path: PathBuf) -> Component {
        let mut options = PluginOptions { settings: self.settings.clone(), ..PluginOptions::new(name) };
        options.limits.instances = self.instances as usize;
        if let Some(memory) = self.memory {
            options.limits.memory = usize::try_from(memory.bytes()).unwrap_or(usize::MAX);
        }
        if let Some(timeout) = self.call_timeout {
            options.limits.call_timeout = Some(timeout.as_duration());
        }
        let granted = |component: Component, (name, form): &(String, StoreForm)| component.with_store(name, *form);
        options.grants.clocks = self.grants.contains(&Grantable::Clocks);
        options.grants.random = self.grants.contains(&Grantable::Random);
        let mut component = self.stores.iter().fold(Component::new(path, options), granted);
        if self.grants.contains(&Grantable::State) {
            component = component.with_state();
        }
        Component { is_persistent: component.is_persistent && !self.volatile, ..component }
    }

    fn selected(&self, kind: Kind) -> impl Iterator<Item = &'static Promise> {
        contract::promises(kind).iter().filter(|promise| promise.name.contains(&self.filter))
    }

    async fn try_promises(&self, name: &str, part: &Part, output: &Output) -> Result<Report, Failure> {
        let promises: Vec<_> = self.selected(part.kind()).collect();
        if promises.is_empty() {
            let text = format!(
                "no promise of the {} contract has \u{2018}{}\u{2019} in its name",
                part.kind().as_str(),
                self.filter
            );
            return Err(Failure::usage(text).with_hint("--list names them"));
        }
        let options = Options { seed: self.seed.unwrap_or_else(fresh_seed) };
        let mut report = Report::new(name, part.kind(), &options);
        let progress = Progress::begin(promises.len(), output);
        for promise in promises {
            progress.next(promise);
            let outcome = promise.check(part, &options).await;
            progress.tell(&outcome, output);
            let stop = self.fail_fast && outcome.is_broken();
            report.outcomes.push(outcome);
            if stop {
                break;
            }
        }
        progress.0.finish_and_clear();
        Ok(report)
    }

    fn list(&self, kinds: &[Kind], form: Form, output: &Output) -> Result<(), Failure> {
        let promises = kinds.iter().flat_map(|kind| self.selected(*kind));
        if form != Form::Table {
            let line = |promise: &Promise| serde_json::json!({ "kind": promise.kind().as_str(), "promise": promise.name, "says": promise.says });
            return output.document(&promises.map(line).collect::<Vec<_>>());
        }
        let rows = promises.map(|promise| [promise.kind().as_str(), promise.name, promise.says]);
        output.line(output::table(&["KIND", "PROMISE", "WHAT IS PROMISED"], rows))
    }
}

/// The name of a plugin and its component, built if it is a folder.
async fn component(plugin: &Path, output: &Output) -> Result<(String, PathBuf), Failure> {
    if plugin.is_dir() {
        let built = plugin::build::build_all(&[plugin], |line| output.remark(line)).await;
        let built = built.map_err(|error| Failure::new(Exit::Failed, "build", error.to_string()))?;
        let built = built.into_iter().next();
        return built
            .map(|built| (built.name, built.component))
            .ok_or_else(|| Failure::new(Exit::Failed, "build", format!("{} made no component", plugin.display())));
    }
    if !plugin.exists() {
        return Err(Failure::not_found(format!("there is no file {}", plugin.display())));
    }
    let name = plugin.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_suffix(".wasm").unwrap_or(&name);
    Ok((name.strip_suffix(".component").unwrap_or(name).to_owned(), plugin.to_owned()))
}

/// Small enough to be typed again.
fn fresh_seed() -> u64 {
    getrandom::u32().map_or(0, u64::from)
}

fn table(report: &Report, output: &Output) -> Result<(), Failure> {
    let rows = report.outcomes.iter().map(|outcome| {
        let took = format!("{:.2} s", outcome.took.as_secs_f64());
        [outcome.promise.name.to_owned(), outcome.verdict.word().to_owned(), took]
    });
    output.line(output::table(&["PROMISE", "VERDICT", "TIME"], rows))?;
    for outcome in &report.outcomes {
        if let Some(detail) = outcome.verdict.detail() {
            let Promise { name, says, .. } = outcome.promise;
            let detail = Printable(detail);
            output.line(format_args!("\n{} {name}\n  {says}\n  {detail:#}", outcome.verdict.word()))?;
        }
    }
    let (name, kind, took) = (Printable(&report.part), report.kind.as_str(), report.took().as_secs_f64());
    output.line(format_args!("\n{name}, the {kind} contract: {} ({took:.1} s, seed {})", report.counts(), report.seed))
}

/// What is being tried, on standard error.
struct Progress(ProgressBar);

impl Progress {
    fn begin(count: usize, output: &Output) -> Self {
        if output.is_quiet() || output.for_programs() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(count as u64);
        bar.set_style(
            ProgressStyle::with_template("{pos} of {len}  {wide_bar}  {elapsed}  {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self(bar)
    }

    fn next(&self, promise: &Promise) {
        self.0.set_message(promise.name);
    }

    /// Where no bar can be seen, a line for each broken promise tells that something goes on.
    fn tell(&self, outcome: &Outcome, output: &Output) {
        self.0.inc(1);
        if outcome.is_broken() {
            self.0.suspend(|| output.remark(format_args!("broken {}", outcome.promise.name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_has_a_name_and_a_form() {
        assert_eq!(store("a=memory"), Ok(("a".to_owned(), StoreForm::Memory)));
        assert_eq!(store("b-c=file"), Ok(("b-c".to_owned(), StoreForm::File)));
        for text in ["", "a", "=file", "a=redis", "a=", "../a=file", "a/b=file", ".=file"] {
            assert!(store(text).unwrap_err().contains("current=memory"), "{text}");
        }
    }

    #[test]
    fn the_table_explains_what_is_broken_and_sums_up() {
        let (output, results, _) = Output::kept(output::Audience::People);
        let promise = &contract::promises(Kind::Lifecycle)[0];
        let verdict = contract::Verdict::Broken("it drew\n  a \u{1b}[2J".into());
        let options = Options { seed: 7 };
        let mut report = Report::new("p", Kind::Lifecycle, &options);
        report.outcomes.push(Outcome { promise, verdict, took: std::time::Duration::from_millis(1_500) });
        table(&report, &output).unwrap();
        let text = results.take();
        assert!(
            text.contains(&format!("\nbroken {}\n  {}\n  it drew\n  a \\u{{1b}}[2J\n", promise.name, promise.says)),
            "{text}"
        );
        let summary =
            "\np, the lifecycle contract: 0 kept, 1 broken, 0 unsupported, 0 not applicable (1.5 s, seed 7)\n";
        assert!(text.ends_with(summary), "{text}");
    }
}
