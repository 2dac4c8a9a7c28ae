//! Where the component of a plugin is, once it is there: built, fetched, and its signature checked.

use std::path::{Path, PathBuf};

use super::HostError;
use crate::config::{ComponentSource, Cosign, PluginConfig, PluginName, SupplyChain, Verify};
use crate::cosign::Signer;
use crate::object::Digest;
use crate::oci::{Components, Pulled};
use crate::plugin::build;

/// A component to be loaded.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) path: PathBuf,
    /// The digest that it must have.
    pub(super) digest: Option<Digest>,
}

/// Finds the component of a plugin, and fetches it from its registry if it is not in the data folder yet.
///
/// # Errors
/// Why there is none, or why it is not to be trusted.
pub(super) async fn locate(
    supply_chain: &SupplyChain,
    data_dir: &Path,
    name: &PluginName,
    config: &PluginConfig,
) -> Result<Located, HostError> {
    let PluginConfig { component, digest, verify, limits, .. } = config;
    let components = Components::new(data_dir, supply_chain.plain_http.clone());
    let signer = verify.as_ref().map(signer);
    let unsigned = |error| HostError::Signature { plugin: name.clone(), error };
    let (path, found) = match component {
        ComponentSource::Source(dir) => (build::component_path(dir)?, None),
        ComponentSource::Path(path) => match &signer {
            None => (path.clone(), None),
            // What is checked is what is loaded: the file may change in between.
            Some(signer) => {
                let failed = |error| HostError::Component { plugin: name.clone(), path: path.clone(), error };
                let (copy, digest) = components.keep(path).map_err(failed)?;
                signer.verify_file(&copy, path).await.map_err(unsigned)?;
                (copy, Some(digest))
            }
        },
        ComponentSource::Oci(reference) => {
            let failed = |error| HostError::Registry { plugin: name.clone(), error };
            let limit = limits.component_size.bytes();
            let Pulled { manifest, layer, component, .. } =
                components.pull(reference, limit, &mut |_| {}).await.map_err(failed)?;
            if let Some(signer) = &signer {
                let plain_http = components.is_plain_http(reference.registry());
                signer.verify_artifact(&reference.clone().pinned(manifest), plain_http).await.map_err(unsigned)?;
            }
            (component, Some(layer))
        }
    };
    Ok(Located { path, digest: digest.clone().or(found) })
}

fn signer(verify: &Verify) -> Signer {
    match &verify.cosign {
        Cosign::Key { key } => Signer::Key(key.clone()),
        Cosign::Identity { identity, issuer } => {
            Signer::Identity { identity: identity.clone(), issuer: issuer.clone() }
        }
    }
}
