use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use base64_simd::STANDARD;
use serde::Deserialize;

use super::{OciError, RegistryHost};

/// What a registry is told of who asks. It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// Name and password, as the header has them: in base 64.
    Basic(String),
    /// A token for the registry itself.
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(credentials)")
    }
}

/// The part of Docker's `config.json` that is of use here.
#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    registrytoken: Option<String>,
}

impl Credentials {
    /// The credentials for a registry: from the variable `DOCKER_AUTH_CONFIG`, which holds what Docker's `config.json`
    /// would, or else from that file, in the folder `DOCKER_CONFIG` or in `.docker` in the home folder. None if there are
    /// none: then nobody in particular asks.
    ///
    /// # Errors
    /// [`OciError::Credentials`] if they are there and can not be understood.
    pub(super) fn find(registry: &RegistryHost) -> Result<Option<Self>, OciError> {
        if let Ok(text) = std::env::var("DOCKER_AUTH_CONFIG") {
            return Self::of_config(registry, &text, "the variable DOCKER_AUTH_CONFIG");
        }
        let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker"));
        let Some(path) = folder.or_else(home).map(|folder| folder.join("config.json")) else { return Ok(None) };
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::of_config(registry, &text, &path.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OciError::Credentials { place: path.display().to_string(), problem: error.to_string() }),
        }
    }

    fn of_config(registry: &RegistryHost, text: &str, place: &str) -> Result<Option<Self>, OciError> {
        // What the reader says of a wrong type quotes it, and it may be a password.
        let broken = |problem: &str| OciError::Credentials { place: place.to_owned(), problem: problem.to_owned() };
        let config: DockerConfig =
            serde_json::from_str(text).map_err(|_| broken("it is not what `docker login` writes"))?;
        let is_for = |key: &str| {
            let key = key.trim_start_matches("https://").trim_start_matches("http://");
            key.split('/').next().is_some_and(|host| host.eq_ignore_ascii_case(registry.as_str()))
        };
        let Some((_, entry)) = config.auths.into_iter().find(|(key, _)| is_for(key)) else { return Ok(None) };
        Ok(match entry {
            Entry { registrytoken: Some(token), .. } if !token.is_empty() => Some(Self::Bearer(token)),
            Entry { auth: Some(auth), .. } if !auth.is_empty() => {
                let decoded = STANDARD.decode_to_vec(&auth).ok().filter(|decoded| decoded.contains(&b':'));
                decoded.ok_or_else(|| broken("`auth` is not a name and a password in base 64"))?;
                Some(Self::Basic(auth))
            }
            Entry { username: Some(name), password: Some(password), .. } => {
                Some(Self::Basic(STANDARD.encode_to_string(format!("{name}:{password}"))))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<Credentials>, OciError> {
        Credentials::of_config(&"ghcr.io".parse().unwrap(), text, "config.json")
    }

    #[test]
    fn credentials_are_those_of_the_registry() {
        let basic = Some(Credentials::Basic("dXNlcjpwYXNz".to_owned()));
        assert_eq!(of(r#"{"auths":{"ghcr.io":{"auth":"dXNlcjpwYXNz"}}}"#).unwrap(), basic);
        assert_eq!(of(r#"{"auths":{"https://GHCR.io/v1/":{"username":"user","password":"pass"}}}"#).unwrap(), basic);
        assert_eq!(of(r#"{"auths":{"docker.io":{"auth":"dXNlcjpwYXNz"}},"credsStore":"x"}"#).unwrap(), None);
        assert_eq!(of(r#"{"auths":{"ghcr.io":{}}}"#).unwrap(), None);
        let bearer = of(r#"{"auths":{"ghcr.io":{"registrytoken":"abc"}}}"#).unwrap();
        assert_eq!(bearer, Some(Credentials::Bearer("abc".to_owned())));
        assert_eq!(format!("{bearer:?}"), "Some((credentials))");
    }

    #[test]
    fn an_error_about_credentials_does_not_quote_them() {
        for text in
            [r#"{"auths":{"ghcr.io":{"auth":1234567}}}"#, r#"{"auths":{"ghcr.io":{"auth":"hunter2"}}}"#, "hunter2"]
        {
            let error = of(text).unwrap_err().to_string();
            assert!(
                error.contains("config.json") && !error.contains("hunter2") && !error.contains("1234567"),
                "{error}"
            );
        }
    }
}
