//! What the configuration writes as one word: names, sizes, spans of time, addresses.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};

/// A value that is read from one word of text.
pub(super) trait Scalar: FromStr<Err = String> {
    /// What it is, as in "expected …".
    const EXPECTED: &'static str;
    /// A regular expression (ECMA 262) that every text of it matches.
    const PATTERN: &'static str;
    /// What JSON may write it as; the pattern holds for strings.
    const JSON_TYPES: &'static [&'static str] = &["string"];
}

/// Reads a scalar. The text is taken while the reader is still at it, so that a refusal is reported with its line; serde's
/// `try_from` comes too late for that.
pub(super) fn deserialize<'de, T: Scalar, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Text<T>(PhantomData<T>);

    impl<T: Scalar> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text(PhantomData))
}

/// Gives types that are [`Scalar`] and `Display` their serde and JSON Schema implementations.
macro_rules! scalar_serde {
    ($($type:ident),*) => {
        $(
            impl serde::Serialize for $type {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> serde::Deserialize<'de> for $type {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    $crate::config::scalar::deserialize(deserializer)
                }
            }

            impl schemars::JsonSchema for $type {
                fn schema_name() -> std::borrow::Cow<'static, str> {
                    stringify!($type).into()
                }

                fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                    schemars::json_schema!({
                        "type": <Self as $crate::config::scalar::Scalar>::JSON_TYPES,
                        "description": <Self as $crate::config::scalar::Scalar>::EXPECTED,
                        "pattern": <Self as $crate::config::scalar::Scalar>::PATTERN,
                    })
                }
            }
        )*
    };
}
pub(super) use scalar_serde;
