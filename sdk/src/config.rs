//! What an operator's configuration becomes.
//!
//! The host hands a plugin what stands under `config` as JSON, and the SDK makes of it the `Config` type of the plugin's
//! trait. When nothing was written the plugin gets what it would get for `config: {}`, unless its type has a meaning for
//! `null` itself, as `()` and `Option` have. So a type all of whose fields have defaults needs no configuration, and one
//! with a required field refuses to go without, naming the field.

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Reads a plugin's configuration from the JSON that the host hands over.
///
/// ```
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config { keep: u32 }
///
/// let config: Config = larder_sdk::config::parse("{\"keep\": 3}").unwrap();
/// assert_eq!(config.keep, 3);
/// let error = larder_sdk::config::parse::<Config>("null").err().unwrap();
/// assert_eq!(error.message, "this plugin can not do without `config`: missing field `keep`");
/// ```
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) that says what does not fit.
pub fn parse<C: DeserializeOwned>(settings: &str) -> Result<C> {
    if settings == "null" {
        return serde_json::from_str("null").or_else(|_| serde_json::from_str("{}")).map_err(|error| {
            Error::invalid_input(format!("this plugin can not do without `config`: {}", without_position(&error)))
        });
    }
    serde_json::from_str(settings).map_err(|error| {
        Error::invalid_input(format!("the plugin's `config` does not fit: {}", without_position(&error)))
    })
}

/// The position is one in the JSON that the host made, and of no use to who wrote the YAML.
fn without_position(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(end) = text.rfind(" at line ") {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Lenient {
        ways: u32,
    }

    impl Default for Lenient {
        fn default() -> Self {
            Self { ways: 7 }
        }
    }

    #[test]
    fn no_configuration_is_an_empty_one() {
        assert_eq!(parse::<Lenient>("null").unwrap(), Lenient { ways: 7 });
        assert_eq!(parse::<Option<Lenient>>("null").unwrap(), None);
        parse::<()>("null").unwrap();
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = parse::<Lenient>("{\"way\": 1}").unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert_eq!(error.message, "the plugin's `config` does not fit: unknown field `way`, expected `ways`");
        let error = parse::<Lenient>("{\"ways\": \"many\"}").unwrap_err();
        assert!(error.message.ends_with("invalid type: string \"many\", expected u32"), "{error}");
    }
}
