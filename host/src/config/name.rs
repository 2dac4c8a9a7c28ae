use std::fmt;
use std::str::FromStr;

use super::scalar::{Scalar, scalar_serde};
use crate::object::StoreName;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, expected: $expected:expr, pattern: $pattern:expr, fits: $fits:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let fits: fn(&str) -> bool = $fits;
                if fits(text) { Ok(Self(text.to_owned())) } else { Err(format!("{text:?} is not {}", $expected)) }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Scalar for $type {
            const EXPECTED: &'static str = $expected;
            const PATTERN: &'static str = $pattern;
        }

        scalar_serde!($type);
    };
}

name! {
    /// The name of a plugin in the configuration: 1 to 63 lower-case letters, digits and inner hyphens. So a name is safe
    /// as the value of a metric's label and as a folder.
    PluginName,
    expected: "the name of a plugin: 1 to 63 lower-case letters, digits and inner hyphens",
    pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    fits: |text| hyphenated(text, 63)
}

name! {
    /// The name of an alert: 1 to 63 lower-case letters, digits and inner hyphens.
    AlertName,
    expected: "the name of an alert: 1 to 63 lower-case letters, digits and inner hyphens",
    pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    fits: |text| hyphenated(text, 63)
}

name! {
    /// The name of a webhook: 1 to 63 lower-case letters, digits and inner hyphens.
    WebhookName,
    expected: "the name of a webhook: 1 to 63 lower-case letters, digits and inner hyphens",
    pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    fits: |text| hyphenated(text, 63)
}

name! {
    /// The word that a plugin knows a granted thing by: 1 to 63 lower-case letters, digits and inner hyphens.
    GrantName,
    expected: "the word that a plugin knows a grant by: 1 to 63 lower-case letters, digits and inner hyphens",
    pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    fits: |text| hyphenated(text, 63)
}

name! {
    /// The name of a variable of an environment: letters, digits and `_`, not beginning with a digit.
    VariableName,
    expected: "the name of a variable: letters, digits and `_`, not beginning with a digit",
    pattern: "^[A-Za-z_][A-Za-z0-9_]{0,254}$",
    fits: |text| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        (1..=255).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with(|first: char| first.is_ascii_digit())
    }
}

name! {
    /// The name of an S3 region, part of every signature: 1 to 63 lower-case letters, digits and inner hyphens.
    Region,
    expected: "a region: 1 to 63 lower-case letters, digits and inner hyphens",
    pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    fits: |text| hyphenated(text, 63)
}

name! {
    /// The public half of a key pair: 3 to 128 letters, digits and `_ - . + =`, since it stands in a signature's scope
    /// between slashes and commas.
    AccessKey,
    expected: "an access key: 3 to 128 letters, digits, `_`, `-`, `.`, `+` and `=`",
    pattern: "^[A-Za-z0-9_.+=-]{3,128}$",
    fits: |text| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.+=".contains(&byte);
        (3..=128).contains(&text.len()) && text.bytes().all(allowed)
    }
}

/// Whether the text is 1 to `max` lower-case letters, digits and hyphens, with hyphens only inside.
fn hyphenated(text: &str, max: usize) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=max).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('-') && !text.ends_with('-')
}

/// The name of a store, read so that a refusal is reported at its own line.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StoreNameText(pub(super) StoreName);

impl FromStr for StoreNameText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        StoreName::new(text).map(Self).map_err(|error| error.to_string())
    }
}

impl fmt::Display for StoreNameText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Scalar for StoreNameText {
    const EXPECTED: &'static str = "the name of a store: 3 to 63 lower-case letters, digits and inner hyphens";
    const PATTERN: &'static str = "^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$";
}

impl schemars::JsonSchema for StoreName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StoreName".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": StoreNameText::EXPECTED,
            "pattern": StoreNameText::PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_name_is_safe_as_a_label_and_a_folder() {
        for text in ["a", "sieve", "a-1", &"x".repeat(63)] {
            assert_eq!(text.parse::<PluginName>().unwrap().as_str(), text);
        }
        for text in ["", "-a", "a-", "A", "a.b", "a/b", "..", "ä", &"x".repeat(64)] {
            assert!(text.parse::<PluginName>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_access_key_fits_a_signature() {
        assert!("AKIA_1".parse::<AccessKey>().is_ok());
        for text in ["ab", "a/bc", "a bc", "a,bc", ""] {
            assert!(text.parse::<AccessKey>().is_err(), "{text}");
        }
    }
}
