//! Signatures of components, checked by the program `cosign` of Sigstore, which is asked and not imitated.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::oci::Reference;

/// How long it may take: it asks the registry, and a transparency log.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most of what it says that is passed on.
const MAX_SAID: usize = 2048;

/// Who must have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The holder of the key to this public one, a file.
    Key(PathBuf),
    /// Someone whom an issuer of OpenID Connect vouched for.
    Identity {
        /// Who, as the certificate has it, such as an address of a workflow.
        identity: String,
        /// The issuer's URL.
        issuer: String,
    },
}

/// Why a signature does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The program is not there.
    #[error(
        "its signature can not be checked: there is no program `cosign` on the path; install it \
         (https://docs.sigstore.dev), or remove `verify`"
    )]
    NoCosign,
    /// The program can not be run.
    #[error("its signature can not be checked: cosign can not be run: {0}")]
    Run(std::io::Error),
    /// The program did not end.
    #[error("its signature was not checked within {}", humantime::format_duration(PATIENCE))]
    Timeout,
    /// The program says no.
    #[error("its signature does not hold: cosign says: {said}")]
    Refused {
        /// What it said.
        said: String,
    },
}

impl Signer {
    /// Checks the signature of an artifact in a registry, which its reference pins to a digest.
    ///
    /// # Errors
    /// Why it does not hold, or could not be checked.
    pub async fn verify_artifact(&self, reference: &Reference, plain_http: bool) -> Result<(), SignatureError> {
        let mut arguments = vec!["verify".to_owned()];
        arguments.extend(self.arguments());
        if plain_http {
            arguments.push("--allow-http-registry".to_owned());
        }
        arguments.push(reference.bare());
        run(&arguments).await
    }

    /// Checks the signature of a file, a copy of `original`, beside which the signature lies in a bundle:
    /// `ORIGINAL.sigstore.json`.
    ///
    /// # Errors
    /// As [`verify_artifact`](Self::verify_artifact).
    pub async fn verify_file(&self, file: &Path, original: &Path) -> Result<(), SignatureError> {
        let mut bundle = original.as_os_str().to_owned();
        bundle.push(".sigstore.json");
        let mut arguments = vec!["verify-blob".to_owned()];
        arguments.extend(self.arguments());
        arguments.extend(["--bundle".to_owned(), PathBuf::from(bundle).display().to_string()]);
        arguments.push(file.display().to_string());
        run(&arguments).await
    }

    fn arguments(&self) -> Vec<String> {
        match self {
            Self::Key(key) => vec!["--key".to_owned(), key.display().to_string()],
            Self::Identity { identity, issuer } => vec![
                "--certificate-identity".to_owned(),
                identity.clone(),
                "--certificate-oidc-issuer".to_owned(),
                issuer.clone(),
            ],
        }
    }
}

async fn run(arguments: &[String]) -> Result<(), SignatureError> {
    let mut command = Command::new("cosign");
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(PATIENCE, command.output()).await.map_err(|_| SignatureError::Timeout)?;
    let output = ended.map_err(|error| match error.kind() {
        ErrorKind::NotFound => SignatureError::NoCosign,
        _ => SignatureError::Run(error),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    let said =
        if said.is_empty() { output.status.to_string() } else { said[..said.floor_char_boundary(MAX_SAID)].to_owned() };
    Err(SignatureError::Refused { said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signer_is_named_as_cosign_wants_it() {
        assert_eq!(Signer::Key("cosign.pub".into()).arguments(), ["--key", "cosign.pub"]);
        let identity = Signer::Identity { identity: "a@b.c".into(), issuer: "https://d.e".into() };
        let arguments = ["--certificate-identity", "a@b.c", "--certificate-oidc-issuer", "https://d.e"];
        assert_eq!(identity.arguments(), arguments);
    }
}
