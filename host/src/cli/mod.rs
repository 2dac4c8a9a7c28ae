//! The command line: `larder put`, `larder get` and their kin.
//!
//! A command is one file: its arguments, its help and what it does. Commands on objects are written against
//! [`StorageProvider`](crate::provider::StorageProvider), and `open` finds the one that answers: the data itself, or the
//! host that runs on it.

mod address;
mod alert;
mod archive;
mod backup;
mod cache;
mod completions;
mod config;
mod console;
mod content;
mod context;
mod copy;
mod events;
mod export;
mod failure;
mod get;
mod health;
mod lifecycle;
mod list;
mod logging;
mod open;
mod output;
mod part_file;
mod plugin;
mod progress;
mod put;
mod reload;
mod remove;
mod serve;
mod stat;
mod store;
mod tag;
mod task;
mod trash;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use self::context::Context;
use self::failure::{Exit, Failure};
use self::output::{Audience, Output};

/// How long a command that is over waits for what it left behind, such as a read from standard input.
const GRACE: Duration = Duration::from_millis(500);

const AFTER_HELP: &str = "\
Examples:
  larder                                   # serve, as the embedded configuration says
  larder put documents/report.pdf report.pdf
  larder get documents/report.pdf | less
  larder cp -r photos larder://documents/photos
  larder ls documents/photos/

Addresses:
  An object is written STORE/KEY or larder://STORE/KEY. The key is all that follows
  the first slash, as it is: nothing is decoded or normalized. In cp, what does not
  begin with larder:// is a local path.

Commands on objects work while a host runs on the same data, through it, and by
themselves while none does.

Exit codes:
  0    done
  1    failed
  2    wrong usage
  3    there is no such object, store or file
  4    the object is not in the state that --if-absent or --if-match asks for
  5    the host or a store is not available now
  130  stopped by Ctrl-C (143: by SIGTERM)";

/// A storage host whose providers, eviction strategies and lifecycle policies are WebAssembly components
///
/// Without a command, larder serves.
#[derive(Debug, Parser)]
#[command(name = "larder", version, after_help = AFTER_HELP, max_term_width = 110, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The configuration; absent: the embedded one
    #[arg(long, global = true, value_name = "FILE", env = "LARDER_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Speak JSON: results on standard output, errors on standard error
    #[arg(long, global = true)]
    json: bool,
    /// Log more; twice: even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Only results and errors: no progress, no remarks
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Color on standard error
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// Whether to use it. `NO_COLOR` is a convention of no-color.org.
    fn is_on(self) -> bool {
        let unwanted = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self {
            Self::Auto => io::stderr().is_terminal() && !unwanted(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Put(put::Put),
    Get(get::Get),
    #[command(name = "cp")]
    Copy(copy::Copy),
    #[command(name = "ls")]
    List(list::List),
    #[command(name = "rm")]
    Remove(remove::Remove),
    Stat(stat::Stat),
    Tag(tag::Tag),
    Store(store::StoreCommand),
    Lifecycle(lifecycle::LifecycleCommand),
    Archive(archive::ArchiveCommand),
    Trash(trash::TrashCommand),
    Backup(backup::BackupCommand),
    Export(export::Export),
    Plugin(plugin::PluginCommand),
    Cache(cache::CacheCommand),
    Task(task::TaskCommand),
    Health(health::Health),
    Alert(alert::AlertCommand),
    Events(events::Events),
    Console(console::Console),
    Config(config::ConfigCommand),
    Completions(completions::Completions),
}

impl Command {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Serve(serve) => serve.run(context).await,
            Self::Put(put) => put.run(context).await,
            Self::Get(get) => get.run(context).await,
            Self::Copy(copy) => copy.run(context).await,
            Self::List(list) => list.run(context).await,
            Self::Remove(remove) => remove.run(context).await,
            Self::Stat(stat) => stat.run(context).await,
            Self::Tag(tag) => tag.run(context).await,
            Self::Store(store) => store.run(context).await,
            Self::Lifecycle(lifecycle) => lifecycle.run(context).await,
            Self::Archive(archive) => archive.run(context).await,
            Self::Trash(trash) => trash.run(context).await,
            Self::Backup(backup) => backup.run(context).await,
            Self::Export(export) => export.run(context).await,
            Self::Plugin(plugin) => plugin.run(context).await,
            Self::Cache(cache) => cache.run(context).await,
            Self::Task(task) => task.run(context).await,
            Self::Health(health) => health.run(context).await,
            Self::Alert(alert) => alert.run(context).await,
            Self::Events(events) => events.run(context).await,
            Self::Console(console) => console.run(context).await,
            Self::Config(config) => config.run(context),
            Self::Completions(completions) => completions.run(context),
        }
    }
}

/// Does what the process's arguments ask for.
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let exit = match Cli::try_parse_from(&arguments) {
        Ok(cli) => execute(cli),
        Err(error) => explain(&error, &arguments),
    };
    ExitCode::from(exit as u8)
}

fn execute(Cli { global, command }: Cli) -> Exit {
    let command = command.unwrap_or(Command::Serve(serve::Serve::default()));
    let serves = matches!(command, Command::Serve(_));
    let audience = if global.json { Audience::Programs } else { Audience::People };
    let color = global.color.is_on();
    logging::init(logging::Detail { quiet: global.quiet, verbose: global.verbose, serves }, audience, color);
    let context = Context::new(global.config, Output::standard(audience, global.quiet, color));

    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            context.output().failure(&Failure::new(
                Exit::Failed,
                "internal",
                format!("can not start threads: {error}"),
            ));
            return Exit::Failed;
        }
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = Box::pin(command.run(&context)) => outcome,
            // A host ends by itself, once the calls in flight have ended.
            exit = interrupted(), if !serves => Err(Failure::silent(exit)),
        }
    });
    // Tasks that were in the middle of a file are dropped here, and remove their part of it.
    runtime.shutdown_timeout(GRACE);

    match outcome.and(context.output().flush()) {
        Ok(()) => Exit::Done,
        Err(failure) => {
            context.output().failure(&failure);
            failure.exit()
        }
    }
}

/// Waits for the user or the system to stop the process.
async fn interrupted() -> Exit {
    let ctrl_c = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = ctrl_c => Exit::Interrupted,
        _ = terminated => Exit::Terminated,
    }
}

/// Says why the arguments are none, or the help that they ask for.
fn explain(error: &clap::Error, arguments: &[OsString]) -> Exit {
    if !error.use_stderr() {
        return match error.print() {
            Ok(()) => Exit::Done,
            Err(error) => Failure::stdio(&error).exit(),
        };
    }
    if arguments.iter().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let message = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
        Output::standard(Audience::Programs, false, false).failure(&Failure::usage(message));
    } else {
        // Where standard error is closed, the exit code must do.
        let _ = error.print();
    }
    Exit::Usage
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_teaches() {
        insta::assert_snapshot!(Cli::command().term_width(100).render_long_help());
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "{}", command.get_name());
        }
    }

    #[test]
    fn no_command_means_serve() {
        assert!(Cli::try_parse_from(["larder"]).unwrap().command.is_none());
    }

    #[test]
    fn a_key_may_look_like_anything_behind_the_store() {
        for address in ["docs/--", "docs/-x", "docs/..", "larder://docs/a b"] {
            assert!(Cli::try_parse_from(["larder", "stat", address]).is_ok(), "{address}");
        }
        for wrong in [&["larder", "stat", "docs"][..], &["larder", "put"], &["larder", "get", "docs/a", "--range", "x"]]
        {
            let error = Cli::try_parse_from(wrong).unwrap_err();
            assert_eq!(explain(&error, &[]), Exit::Usage);
        }
    }
}
