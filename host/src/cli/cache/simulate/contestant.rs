use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;

use crate::cache::EvictionPolicy;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::plugin::{Opened, Subject};
use crate::config::nearest;
use crate::plugin::Plugin;
use crate::simulate::Strategy;

/// A strategy as it is named on the command line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Contestant {
    Native(String),
    Plugin { component: PathBuf, settings: Value },
}

/// Several of them, with commas between.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Contestants(pub(super) Vec<Contestant>);

impl FromStr for Contestants {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        split(text).into_iter().map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Contestant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let natives = Strategy::natives();
        if natives.iter().any(|native| native.name == text) {
            return Ok(Self::Native(text.to_owned()));
        }
        let (component, settings) = text.split_once('=').map_or((text, None), |(name, json)| (name, Some(json)));
        let is_path = component.contains(['/', '\\']) || component.ends_with(".wasm") || Path::new(component).is_dir();
        if !is_path || component.is_empty() {
            let known: Vec<&str> = natives.iter().map(|native| &*native.name).collect();
            let meant = nearest(text, known.iter().copied()).map(|near| format!(" (did you mean {near}?)"));
            return Err(format!(
                "there is no strategy {text:?}{}; there are {}, and plugins by their files, such as ./mine.wasm",
                meant.unwrap_or_default(),
                known.join(", ")
            ));
        }
        let settings = match settings {
            Some(json) => {
                serde_json::from_str(json).map_err(|error| format!("the settings of {component}: {error}"))?
            }
            None => Value::Null,
        };
        Ok(Self::Plugin { component: component.into(), settings })
    }
}

/// The parts between commas that are not within JSON.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut escaped, mut begin) = (0_usize, false, false, 0);
    let mut parts = Vec::new();
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

impl Contestant {
    /// What a report calls it: a plugin by its file, and by its whole path if a native strategy has that name.
    fn name(&self) -> String {
        match self {
            Self::Native(name) => name.clone(),
            Self::Plugin { component, settings } => {
                let file = component.file_name().unwrap_or(component.as_os_str()).to_string_lossy();
                let name = file.strip_suffix(".wasm").unwrap_or(&file);
                let name = name.strip_suffix(".component").unwrap_or(name);
                let is_native = Strategy::natives().iter().any(|native| native.name == name);
                let name = if is_native { component.display().to_string() } else { name.to_owned() };
                let settings = if settings.is_null() { String::new() } else { settings.to_string() };
                name + &settings
            }
        }
    }
}

/// The strategies, all native ones if none is named, and the plugins among them.
pub(super) async fn load(
    contestants: Vec<Contestant>,
    output: &Output,
) -> Result<(Vec<Strategy>, Vec<Plugin>), Failure> {
    if contestants.is_empty() {
        return Ok((Strategy::natives(), Vec::new()));
    }
    let (mut strategies, mut plugins) = (Vec::<Strategy>::new(), Vec::new());
    for contestant in contestants {
        let name = contestant.name();
        if strategies.iter().any(|other| other.name == name) {
            return Err(Failure::usage(format!("there are two strategies {name}"))
                .with_hint("each has a column of its own: rename the file of one, or give it other settings"));
        }
        let policy = match contestant {
            Contestant::Native(name) => native(&name),
            Contestant::Plugin { component, settings } => {
                let Opened { plugin, .. } = Subject::with_settings(component, settings).open(output).await?;
                let factory = plugin.eviction().map_err(|error| Failure::usage(format!("{name}: {error}")))?;
                plugins.push(plugin);
                Some(EvictionPolicy::Custom(factory))
            }
        };
        strategies.extend(policy.map(|policy| Strategy::new(name, policy)));
    }
    Ok((strategies, plugins))
}

fn native(name: &str) -> Option<EvictionPolicy> {
    Strategy::natives().into_iter().find(|native| native.name == name).map(|native| native.policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_split_at_commas_outside_of_settings() {
        let Contestants(found) = r#"lru,a/b.wasm={"x":[1,2],"y":"},\""},c.wasm"#.parse().unwrap();
        assert_eq!(found[0], Contestant::Native("lru".into()));
        let settings = serde_json::json!({ "x": [1, 2], "y": "},\"" });
        assert_eq!(found[1], Contestant::Plugin { component: "a/b.wasm".into(), settings });
        assert_eq!(found[2], Contestant::Plugin { component: "c.wasm".into(), settings: Value::Null });
    }

    #[test]
    fn a_strategy_that_does_not_exist_is_refused_with_the_one_that_may_be_meant() {
        for (text, says) in [
            ("fif", "no strategy \"fif\" (did you mean fifo?)"),
            ("belady", "no strategy \"belady\"; there are default, lru, fifo"),
            ("", "no strategy \"\""),
            ("lru,", "no strategy \"\""),
            ("a.wasm={x}", "the settings of a.wasm: key must be a string"),
        ] {
            let error = text.parse::<Contestants>().unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_plugin_is_called_by_its_file_and_never_like_a_native_strategy() {
        for (text, name) in [
            ("lru", "lru"),
            ("./lru.wasm", "./lru.wasm"),
            ("a/lru.wasm={\"x\": 1}", "a/lru.wasm{\"x\":1}"),
            ("target/coolest_first.component.wasm", "coolest_first"),
            ("plugins/mine", "mine"),
            ("plugins/sieve", "plugins/sieve"),
        ] {
            assert_eq!(text.parse::<Contestant>().unwrap().name(), name);
        }
    }
}
