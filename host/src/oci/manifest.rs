use serde::Deserialize;

use crate::object::Digest;

/// The media type of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type that marks a WebAssembly artifact.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The media type of a component.
const LAYER: &str = "application/wasm";

/// The component that a manifest leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    schema_version: u32,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    manifests: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

impl Layer {
    /// Reads a manifest.
    ///
    /// # Errors
    /// What it is instead of one that leads to a component.
    pub(super) fn of_manifest(manifest: &[u8]) -> Result<Self, String> {
        let written: Written =
            serde_json::from_slice(manifest).map_err(|error| format!("its manifest can not be read: {error}"))?;
        let Written { schema_version, config, layers, manifests } = written;
        if manifests.is_some() {
            return Err("it is an index of several artifacts; name the one that is meant by its digest".to_owned());
        }
        if schema_version != 2 {
            return Err(format!("its manifest is of version {schema_version}, and 2 is understood"));
        }
        match config.map(|config| config.media_type) {
            Some(config) if config == CONFIG => {}
            found => {
                let found = found.unwrap_or_else(|| "none".to_owned());
                return Err(format!("its config is of type {found}, and that of a component {CONFIG}"));
            }
        }
        let count = layers.len();
        match <[Descriptor; 1]>::try_from(layers) {
            Ok([Descriptor { media_type, digest, size }]) if media_type == LAYER => {
                Ok(Self { digest: digest.parse()?, size })
            }
            Ok([other]) => Err(format!("its layer is of type {}, and that of a component {LAYER}", other.media_type)),
            Err(_) => Err(format!("it has {count} layers, and a component is one")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn manifest(config: &str, layers: &[&str]) -> String {
        let layers: Vec<String> =
            layers.iter().map(|layer| format!(r#"{{"mediaType":"{layer}","digest":"{DIGEST}","size":7}}"#)).collect();
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{config}","digest":"{DIGEST}","size":2}},"layers":[{}]}}"#,
            layers.join(",")
        )
    }

    #[test]
    fn a_component_is_one_layer_of_a_wasm_artifact() {
        let layer = Layer::of_manifest(manifest(CONFIG, &[LAYER]).as_bytes()).unwrap();
        assert_eq!(layer, Layer { digest: DIGEST.parse().unwrap(), size: 7 });
        for (config, layers, says) in [
            ("application/vnd.oci.image.config.v1+json", &[LAYER][..], "its config is of type"),
            (CONFIG, &["application/vnd.oci.image.layer.v1.tar+gzip"], "its layer is of type"),
            (CONFIG, &[LAYER, LAYER], "it has 2 layers"),
            (CONFIG, &[], "it has 0 layers"),
        ] {
            let refused = Layer::of_manifest(manifest(config, layers).as_bytes()).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
        assert!(Layer::of_manifest(br#"{"schemaVersion":2,"manifests":[]}"#).unwrap_err().contains("index"));
        assert!(Layer::of_manifest(b"<html>").is_err());
    }
}
