use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::entries;
use super::name::{GrantName, VariableName};
use super::scalar::{Scalar, scalar_serde};
use super::secret::Secret;
use super::size::Size;
use crate::object::StoreName;
use crate::plugin::{AllowedHost, Grant, StateStore};

/// What a provider plugin may reach beyond the log: nothing, unless it is said here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// Stores that it may build on: the plugin's word for each, and the store.
    #[serde(default, deserialize_with = "entries::to_stores", skip_serializing_if = "BTreeMap::is_empty")]
    pub stores: BTreeMap<GrantName, StoreName>,
    /// Durable entries of its own: `true`, or how many bytes they may take.
    #[serde(default, skip_serializing_if = "StateGrant::is_none")]
    pub state: StateGrant,
    /// Secrets that it may read: the plugin's word for each, and where it is.
    #[serde(default, deserialize_with = "entries::deserialize", skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<GrantName, Secret>,
    /// Hosts that it may send HTTP requests to: `api.example.com`, `*.example.org`, `10.0.0.5:8080`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<AllowedHost>,
    /// Folders of the host's, for a plugin that uses WASI: the path that the plugin sees, and the folder.
    #[serde(default, deserialize_with = "entries::deserialize", skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<GuestPath, FolderGrant>,
    /// The time of day, for a plugin that uses WASI; without it, its clocks stand still.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clocks: bool,
    /// Random numbers, for a plugin that uses WASI; without it, they are always the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub random: bool,
    /// Variables of its environment, for a plugin that uses WASI. Secrets belong under `secrets`.
    #[serde(default, deserialize_with = "entries::deserialize", skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<VariableName, String>,
}

impl Grants {
    /// What is granted, of whatever kind.
    pub fn given(&self) -> impl Iterator<Item = Grant> {
        let Self { stores, state, secrets, http, files, clocks, random, env } = self;
        let given = [
            (Grant::Stores, !stores.is_empty()),
            (Grant::State, !state.is_none()),
            (Grant::Secrets, !secrets.is_empty()),
            (Grant::Http, !http.is_empty()),
            (Grant::Files, !files.is_empty()),
            (Grant::Clocks, *clocks),
            (Grant::Random, *random),
            (Grant::Env, !env.is_empty()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(grant, _)| grant)
    }

    /// Whether objects may be kept in what is granted: two stores on the plugin would then share them.
    pub fn can_keep_objects(&self) -> bool {
        self.given().any(|grant| matches!(grant, Grant::Stores | Grant::State | Grant::Files))
    }

    /// Reads relative file names from `folder` on.
    pub(super) fn rebase(&mut self, folder: &Path) {
        for secret in self.secrets.values_mut() {
            secret.rebase(folder);
        }
        for granted in self.files.values_mut() {
            granted.path = folder.join(&granted.path);
        }
    }
}

/// Whether a plugin has entries of its own, and how many bytes they may take: `true`, `false`, or a size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateGrant(Option<Size>);

impl StateGrant {
    /// How many bytes, if any.
    pub fn capacity(self) -> Option<u64> {
        self.0.map(Size::bytes)
    }

    fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl Serialize for StateGrant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(size) => serializer.collect_str(&size),
            None => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for StateGrant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyForm;

        impl Visitor<'_> for AnyForm {
            type Value = StateGrant;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false`, or a size such as 64MiB")
            }

            fn visit_bool<E: de::Error>(self, granted: bool) -> Result<StateGrant, E> {
                let size = Size::from_bytes(StateStore::DEFAULT_CAPACITY);
                Ok(StateGrant(size.filter(|_| granted)))
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<StateGrant, E> {
                self.visit_str(&bytes.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<StateGrant, E> {
                text.parse().map(|size| StateGrant(Some(size))).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(AnyForm)
    }
}

impl JsonSchema for StateGrant {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StateGrant".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let size = generator.subschema_for::<Size>();
        json_schema!({ "anyOf": [{ "type": "boolean" }, size] })
    }
}

/// A folder granted to a plugin, with all that lies below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderGrant {
    /// The folder on the host.
    pub path: PathBuf,
    /// Whether the plugin may change what is in it.
    #[serde(default)]
    pub write: bool,
}

/// A path in a plugin's own view of files: absolute, in plain words, without `.`, `..` or an end in `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuestPath(String);

impl GuestPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GuestPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
        match text.strip_prefix('/') {
            Some("") => Ok(Self(text.to_owned())),
            Some(rest) if rest.split('/').all(is_plain) => Ok(Self(text.to_owned())),
            _ => Err(format!("{text:?} is not {}", Self::EXPECTED)),
        }
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Scalar for GuestPath {
    const EXPECTED: &'static str =
        "a path that the plugin sees, such as /data: absolute, without `.`, `..` and an end in /";
    const PATTERN: &'static str = "^/([^/]+(/[^/]+)*)?$";
}

impl Scalar for AllowedHost {
    const EXPECTED: &'static str = AllowedHost::EXPECTED;
    const PATTERN: &'static str = AllowedHost::PATTERN;
}

scalar_serde!(GuestPath, AllowedHost);

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(yaml: &str) -> Result<Grants, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn state_is_granted_with_or_without_a_size() {
        let capacity = |yaml: &str| grants(yaml).unwrap().state.capacity();
        assert_eq!(capacity("{}"), None);
        assert_eq!(capacity("state: false"), None);
        assert_eq!(capacity("state: true"), Some(16 << 20));
        assert_eq!(capacity("state: 1GiB"), Some(1 << 30));
        assert_eq!(capacity("state: 4096"), Some(4096));
        assert!(grants("state: much").unwrap_err().contains("is no size"));
    }

    #[test]
    fn a_guest_path_is_plain() {
        for text in ["/", "/data", "/data/a b/c"] {
            assert_eq!(text.parse::<GuestPath>().unwrap().as_str(), text);
        }
        for text in ["", "data", "/data/", "//", "/a//b", "/a/../b", "/."] {
            assert!(text.parse::<GuestPath>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_granted_is_told_by_kind() {
        let all = "{ stores: { a: documents }, state: true, secrets: { b: { env: PATH } }, http: ['*.a.org'], \
                   files: { /data: { path: d } }, clocks: true, random: true, env: { A_B: c } }";
        assert_eq!(grants(all).unwrap().given().count(), 8);
        assert_eq!(grants("{ clocks: false, http: [] }").unwrap().given().count(), 0);
        let serialized = serde_yaml::to_string(&grants(all).unwrap()).unwrap();
        assert!(serialized.contains("16MiB") && serialized.contains("environment variable PATH"), "{serialized}");
        assert!(
            grants("{ http: [api] , files: { data: { path: d } } }")
                .unwrap_err()
                .contains("a path that the plugin sees")
        );
    }
}
