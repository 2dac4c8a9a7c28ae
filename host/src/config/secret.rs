use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A secret, or where to find it: text, `{ env: NAME }` for a variable of the host's environment, or `{ file: PATH }` for a
/// file's content without the line break at its end. It never shows itself: not in `Debug`, and not when serialized.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Text(String),
    Env(String),
    File(PathBuf),
}

impl Secret {
    /// The fewest bytes that a secret has.
    pub const MIN_LEN: usize = 8;

    /// The secret itself, read now from where it is. Whoever calls this answers for where it goes.
    ///
    /// # Errors
    /// One line that says what could not be read and what would mend it, or that the secret is shorter than
    /// [`Secret::MIN_LEN`] bytes; never the secret.
    pub fn expose(&self) -> Result<String, String> {
        let (secret, place) = match &self.0 {
            Source::Text(text) => (text.clone(), "it".to_owned()),
            Source::Env(name) => {
                let place = format!("the environment variable {name}");
                let secret = std::env::var(name).map_err(|error| match error {
                    std::env::VarError::NotPresent => format!("{place} is not set; set it before starting larder"),
                    std::env::VarError::NotUnicode(_) => format!("{place} is not UTF-8"),
                })?;
                (secret, place)
            }
            Source::File(path) => {
                let place = format!("the file {}", path.display());
                let text =
                    std::fs::read_to_string(path).map_err(|error| format!("{place} can not be read: {error}"))?;
                (text.trim_end_matches(['\r', '\n']).to_owned(), place)
            }
        };
        match secret.len() {
            len if len < Self::MIN_LEN => {
                let min = Self::MIN_LEN;
                Err(format!("a secret has at least {min} bytes, and {place} has {len}; choose a longer one"))
            }
            _ => Ok(secret),
        }
    }

    /// Whether only the host's user can read it where it is.
    ///
    /// # Errors
    /// One line that says who else can, and what would mend it.
    pub(super) fn check_private(&self) -> Result<(), String> {
        match &self.0 {
            Source::Text(_) => {
                Err("a key does not stand in the configuration: put it into a variable of the environment \
                                    or a file, and write `{ env: NAME }` or `{ file: PATH }`"
                    .to_owned())
            }
            Source::Env(_) => Ok(()),
            Source::File(path) => check_mode(path),
        }
    }

    /// Reads a relative file name from `folder` on.
    pub(super) fn rebase(&mut self, folder: &Path) {
        if let Source::File(path) = &mut self.0 {
            *path = folder.join(&*path);
        }
    }
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;

    match path.metadata() {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            let path = path.display();
            Err(format!("the file {path} can be read by other users; let nobody else: chmod 600 {path}"))
        }
        // One that is not there is reported when it is read.
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<(), String> {
    Ok(())
}

/// Where it comes from, without what it is.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Text(_) => f.write_str("(secret)"),
            Source::Env(name) => write!(f, "(secret from the environment variable {name})"),
            Source::File(path) => write!(f, "(secret from the file {})", path.display()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Env,
    File,
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyForm;

        const EXPECTED: &str = "a secret: text in quotes, `{ env: NAME }` or `{ file: PATH }`";

        // serde's own complaint about a wrong type quotes what it found, which here may be the secret.
        fn refuse<E: de::Error>() -> E {
            E::custom(format!("this is not {EXPECTED}"))
        }

        impl<'de> Visitor<'de> for AnyForm {
            type Value = Source;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Source, E> {
                Ok(Source::Text(text.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Source, E> {
                Err(refuse())
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Source, E> {
                Err(refuse())
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Source, E> {
                Err(refuse())
            }

            fn visit_i128<E: de::Error>(self, _: i128) -> Result<Source, E> {
                Err(refuse())
            }

            fn visit_u128<E: de::Error>(self, _: u128) -> Result<Source, E> {
                Err(refuse())
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Source, E> {
                Err(refuse())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Source, A::Error> {
                let source = match map.next_key()? {
                    Some(Place::Env) => Source::Env(map.next_value()?),
                    Some(Place::File) => Source::File(map.next_value()?),
                    None => return Err(refuse()),
                };
                match map.next_key::<Place>()? {
                    None => Ok(source),
                    Some(_) => Err(de::Error::custom("a secret comes from one place: write `env` or `file`, not both")),
                }
            }
        }

        deserializer.deserialize_any(AnyForm).map(Self)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A secret of at least 8 bytes, or where to find it.",
            "oneOf": [
                { "type": "string", "minLength": Self::MIN_LEN },
                {
                    "type": "object",
                    "description": "The value of a variable of the host's environment.",
                    "properties": { "env": { "type": "string" } },
                    "required": ["env"],
                    "additionalProperties": false,
                },
                {
                    "type": "object",
                    "description": "The content of a file, without the line break at its end.",
                    "properties": { "file": { "type": "string" } },
                    "required": ["file"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(yaml: &str) -> Secret {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn a_secret_never_shows_itself() {
        let secret = secret("hunter2-hunter2");
        let shown = format!("{secret} {secret:?} {}", serde_json::to_string(&secret).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(secret.expose().unwrap(), "hunter2-hunter2");
    }

    #[test]
    fn an_error_about_a_secret_does_not_quote_it() {
        for yaml in ["1234567890", "-1234567890", "1234.567890", "[1234567890]", "{1234567890: a}"] {
            let error = serde_yaml::from_str::<Secret>(yaml).unwrap_err().to_string();
            assert!(yaml.starts_with('{') || !error.contains("1234"), "{error}");
        }
        let error = secret("short").expose().unwrap_err();
        assert!(error.contains("at least 8 bytes") && !error.contains("short"), "{error}");
    }

    #[test]
    fn a_secret_can_be_kept_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "from-a-file\n").unwrap();
        let mut kept = secret("file: key");
        kept.rebase(folder.path());
        assert_eq!(kept.expose().unwrap(), "from-a-file");

        let mut missing = secret("file: missing");
        missing.rebase(folder.path());
        assert!(missing.expose().unwrap_err().contains("missing"));
    }

    #[test]
    fn a_secret_can_come_from_the_environment() {
        assert_eq!(secret("{ env: PATH }").expose().ok(), std::env::var("PATH").ok());
        let error = secret("{ env: LARDER_NO_SUCH_VARIABLE }").expose().unwrap_err();
        assert!(error.contains("LARDER_NO_SUCH_VARIABLE is not set"), "{error}");
    }

    #[test]
    fn a_secret_comes_from_one_place() {
        for yaml in ["{ env: A, file: b }", "{}", "{ path: b }"] {
            assert!(serde_yaml::from_str::<Secret>(yaml).is_err(), "{yaml}");
        }
    }
}
