use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::context::{self, Context};
use super::failure::Failure;
use super::output::Printable;
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  larder config check                       # the configuration in use
  larder config check larder.yaml
  larder config schema > larder.schema.json # for editors that complete YAML
";

/// Check the configuration, or print its schema
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what is wrong with a configuration, or what it amounts to
    Check {
        /// The file; absent: that of --config, or the embedded configuration
        file: Option<PathBuf>,
    },
    /// Print the JSON Schema of the configuration
    Schema,
}

impl ConfigCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let output = context.output();
        match self.action {
            Action::Schema => output.line(Config::json_schema().trim_end()),
            Action::Check { file } => {
                let file = file.as_deref().or(context.config_file());
                let config = context::load(file)?;
                if output.for_programs() {
                    return output.document(&config);
                }
                let name = file.map_or("the embedded configuration".into(), |file| file.display().to_string());
                output.remark(format_args!("{} is in order", Printable(&name)));
                output.line(config.summary().to_string().trim_end())
            }
        }
    }
}
