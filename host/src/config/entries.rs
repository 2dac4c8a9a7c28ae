use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::name::StoreNameText;
use super::scalar::{self, Scalar};
use crate::object::StoreName;

/// Reads a mapping from names to values. Unlike the standard map's own reader it refuses a name that comes twice, and
/// reports a bad name at its line.
pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Scalar + Ord + Display,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Key<'a, K, V>(&'a BTreeMap<K, V>);

    impl<'de, K: Scalar + Ord + Display, V> DeserializeSeed<'de> for Key<'_, K, V> {
        type Value = K;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<K, D::Error> {
            struct Distinct<'a, K, V>(&'a BTreeMap<K, V>);

            impl<K: Scalar + Ord + Display, V> Visitor<'_> for Distinct<'_, K, V> {
                type Value = K;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(K::EXPECTED)
                }

                fn visit_str<E: de::Error>(self, text: &str) -> Result<K, E> {
                    let key: K = text.parse().map_err(E::custom)?;
                    if self.0.contains_key(&key) {
                        return Err(E::custom(format!("`{key}` is there twice; rename or remove one of them")));
                    }
                    Ok(key)
                }
            }

            deserializer.deserialize_str(Distinct(self.0))
        }
    }

    struct Entries<K, V>(PhantomData<(K, V)>);

    impl<'de, K: Scalar + Ord + Display, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a mapping from {}", K::EXPECTED)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = BTreeMap::new();
            while let Some(key) = map.next_key_seed(Key(&entries))? {
                let value = map.next_value()?;
                entries.insert(key, value);
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_map(Entries(PhantomData))
}

/// [`deserialize`] for names of stores.
pub(super) fn by_store<'de, V, D>(deserializer: D) -> Result<BTreeMap<StoreName, V>, D::Error>
where
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let entries: BTreeMap<StoreNameText, V> = deserialize(deserializer)?;
    Ok(entries.into_iter().map(|(name, value)| (name.0, value)).collect())
}

/// [`deserialize`] for stores that are granted.
pub(super) fn to_stores<'de, K, D>(deserializer: D) -> Result<BTreeMap<K, StoreName>, D::Error>
where
    K: Scalar + Ord + Display,
    D: Deserializer<'de>,
{
    struct Named(StoreName);

    impl<'de> Deserialize<'de> for Named {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            scalar::deserialize::<StoreNameText, D>(deserializer).map(|name| Self(name.0))
        }
    }

    let entries: BTreeMap<K, Named> = deserialize(deserializer)?;
    Ok(entries.into_iter().map(|(word, store)| (word, store.0)).collect())
}

/// Reads the name of a store that may be absent.
pub(super) fn optional_store<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<StoreName>, D::Error> {
    scalar::deserialize::<StoreNameText, D>(deserializer).map(|name| Some(name.0))
}

/// Reads any YAML as what JSON can say.
pub(super) fn json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<serde_json::Value, D::Error> {
    // By way of YAML's own value, which refuses a key that comes twice.
    let value = serde_yaml::Value::deserialize(deserializer)?;
    serde_json::to_value(value).map_err(|error| D::Error::custom(format!("JSON can not say this: {error}")))
}
