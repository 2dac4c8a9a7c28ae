use clap::CommandFactory;
use clap::Parser;

use super::*;

/// The command by itself.
#[derive(Debug, Parser)]
#[command(name = "backup")]
struct Typed {
    #[command(flatten)]
    backup: BackupCommand,
}

#[test]
fn the_help_teaches() {
    for mut command in Typed::command().get_subcommands().cloned() {
        let name = format!("help_of_{}", command.get_name());
        insta::assert_snapshot!(name, command.render_long_help());
    }
}
