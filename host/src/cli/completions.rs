use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::context::Context;
use super::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  larder completions bash > ~/.local/share/bash-completion/completions/larder
  larder completions zsh > \"${fpath[1]}/_larder\"
  larder completions fish > ~/.config/fish/completions/larder.fish
";

/// Print a script that completes larder's commands in a shell
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "larder", &mut script);
        context.output().line(String::from_utf8_lossy(&script).trim_end())
    }
}
