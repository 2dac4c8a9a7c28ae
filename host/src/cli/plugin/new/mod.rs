//! `larder plugin new`: a plugin to begin with.

mod sdk;
mod template;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output::{Output, Printable};
use crate::config::PluginName;
use crate::plugin::Kind;

const EXAMPLES: &str = "\
Examples:
  larder plugin new coolest-first --kind eviction
  larder plugin new archive --kind provider --path plugins/archive
";

/// Begin a plugin: a crate with a small example that works, and its test
///
/// The crate comes with a copy of the SDK that this larder was built with, so that it builds wherever larder runs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct New {
    /// What it is called: lower-case letters, digits and inner hyphens, a letter first
    #[arg(value_parser = name)]
    name: PluginName,
    /// What it does for larder
    #[arg(long, value_parser = kinds())]
    kind: Kind,
    /// The folder to make; absent: NAME in the current one
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The SDK's crate, in place of a copy
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

fn kinds() -> impl TypedValueParser<Value = Kind> {
    let named = |text: String| Kind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or("no such kind");
    PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)).try_map(named)
}

/// A name in the configuration that is one of a crate, too.
fn name(text: &str) -> Result<PluginName, String> {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return Err("the name of a crate begins with a letter".to_owned());
    }
    text.parse()
}

#[derive(Debug, Serialize)]
struct Made {
    name: PluginName,
    kind: &'static str,
    path: PathBuf,
    next: Vec<String>,
}

impl New {
    pub(super) fn run(self, output: &Output) -> Result<(), Failure> {
        let Self { name, kind, path, sdk } = self;
        let folder = path.unwrap_or_else(|| PathBuf::from(name.as_str()));
        if fs::symlink_metadata(&folder).is_ok() {
            return Err(Failure::usage(format!("{} is there already, and stays as it is", folder.display()))
                .with_hint("--path names another folder"));
        }
        let (sdk, vendored) = match sdk {
            Some(sdk) => (named_sdk(&sdk)?, Vec::new()),
            None => ("vendor/sdk".to_owned(), sdk::files()),
        };
        let shown = folder.display().to_string();
        let files = template::files(kind, name.as_str(), &sdk, &shown);
        let files = files.into_iter().map(|(path, text)| (PathBuf::from(path), text));
        let vendored = vendored.into_iter().map(|(path, text)| (Path::new("vendor").join(path), text));
        for (path, text) in files.chain(vendored) {
            write(&folder.join(path), &text)?;
        }
        let command = |what: &str| format!("larder plugin {what} {shown}");
        let next = vec![
            format!("cargo test --manifest-path {}", folder.join("Cargo.toml").display()),
            command("build"),
            command("test"),
        ];
        if output.for_programs() {
            return output.document(&Made { name, kind: kind.as_str(), path: folder, next });
        }
        output.remark(format_args!("made {} in {}; next:", kind, Printable(&shown)));
        next.iter().try_for_each(|command| output.line(Printable(command)))
    }
}

/// The path of an SDK for a manifest.
fn named_sdk(dir: &Path) -> Result<String, Failure> {
    let failed = |error| Failure::file("can not find the SDK in", dir, &error);
    let dir = dir.canonicalize().map_err(failed)?;
    fs::metadata(dir.join("Cargo.toml")).map_err(failed)?;
    // A basic string of TOML escapes what a JSON string does.
    let quoted = serde_json::Value::from(dir.to_string_lossy()).to_string();
    Ok(quoted.trim_matches('"').to_owned())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| Failure::file("can not write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Audience;

    fn new(folder: &Path) -> New {
        let name = "coolest-first".parse().unwrap();
        New { name, kind: Kind::Eviction, path: Some(folder.join("coolest-first")), sdk: None }
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (output, results, _) = Output::kept(Audience::People);
        new(folder.path()).run(&output).unwrap();
        assert_eq!(results.take().lines().count(), 3);
        let source = folder.path().join("coolest-first/src/lib.rs");
        fs::write(&source, "mine").unwrap();
        let failure = new(folder.path()).run(&output).unwrap_err();
        assert!(failure.to_string().contains("is there already"), "{failure}");
        assert_eq!(fs::read_to_string(source).unwrap(), "mine");
    }

    #[test]
    fn names_are_those_of_plugins_and_of_crates() {
        assert!(name("a-1").is_ok());
        for wrong in ["", "1a", "A", "a_b", "-a", "a/b"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
