use std::collections::BTreeMap;

use serde::Serialize;
use wasmparser::{CustomSectionReader, KnownCustom};

/// The custom section that the SDK leaves its version in.
const SDK_SECTION: &str = "larder-sdk";
/// The most entries that are taken over, since anyone can write any.
const MAX_ENTRIES: usize = 64;
/// The longest text that is taken over.
const MAX_TEXT: usize = 256;

/// What a component says of its making: for each of `language`, `sdk` and `processed-by`, names with their versions, which
/// may be empty. Gathered from the component and all modules in it. Nobody vouches for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Producers(BTreeMap<String, BTreeMap<String, String>>);

impl Producers {
    /// The fields, and in each the names and versions.
    pub fn iter(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = (&str, &str)>)> {
        self.0.iter().map(|(field, values)| {
            (field.as_str(), values.iter().map(|(name, version)| (name.as_str(), version.as_str())))
        })
    }

    /// Takes over what a custom section says, if it is one that says something. One that is malformed says nothing.
    pub(super) fn gather(&mut self, section: &CustomSectionReader<'_>) {
        match section.as_known() {
            KnownCustom::Producers(fields) => {
                for field in fields.into_iter().flatten() {
                    for value in field.values.into_iter().flatten() {
                        self.add(field.name, value.name, value.version);
                    }
                }
            }
            KnownCustom::Unknown if section.name() == SDK_SECTION => {
                if let Ok(version) = std::str::from_utf8(section.data()) {
                    self.add("language", "Rust", "");
                    self.add("sdk", SDK_SECTION, version);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, field: &str, name: &str, version: &str) {
        let cut = |text: &str| text[..text.floor_char_boundary(MAX_TEXT)].to_owned();
        if self.0.values().map(BTreeMap::len).sum::<usize>() < MAX_ENTRIES {
            let known = self.0.entry(cut(field)).or_default().entry(cut(name)).or_default();
            // The compiler knows its version, and the SDK does not know the compiler's.
            if known.is_empty() {
                *known = cut(version);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::{Parser, Payload};

    use super::*;

    /// A component of custom sections alone.
    fn component(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
        for (name, data) in sections {
            wasm.extend([0, (1 + name.len() + data.len()) as u8, name.len() as u8]);
            wasm.extend(name.as_bytes());
            wasm.extend(*data);
        }
        wasm
    }

    fn gathered(sections: &[(&str, &[u8])]) -> Producers {
        let mut producers = Producers::default();
        for payload in Parser::new(0).parse_all(&component(sections)) {
            if let Payload::CustomSection(section) = payload.unwrap() {
                producers.gather(&section);
            }
        }
        producers
    }

    #[test]
    fn what_compiler_and_sdk_say_is_put_together() {
        let rustc: &[u8] = b"\x01\x08language\x01\x04Rust\x042024";
        let found = gathered(&[("larder-sdk", b"0.1.0"), ("producers", rustc), ("name", b"x")]);
        let json = serde_json::to_string(&found).unwrap();
        assert_eq!(json, r#"{"language":{"Rust":"2024"},"sdk":{"larder-sdk":"0.1.0"}}"#);
    }

    #[test]
    fn what_is_malformed_says_nothing() {
        for data in [&b"\xff\xff\xff\xff\x0f"[..], b"\x01\x08lang", b"", b"\x01\x08language\x7f"] {
            assert_eq!(gathered(&[("producers", data), ("larder-sdk", b"\xff")]), Producers::default());
        }
    }
}
