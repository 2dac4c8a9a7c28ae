use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::object::Digest;

/// Where a component is in a registry: `ghcr.io/acme/sieve:1.2@sha256:…`, with `oci://` before it or not. With neither tag
/// nor digest it is the tag `latest`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: RegistryHost,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// The host of a registry, and its port if it has one of its own: `ghcr.io`, `localhost:5000`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryHost(String);

impl Reference {
    /// What its text is, as in "expected …".
    pub const EXPECTED: &str =
        "a component in a registry, such as ghcr.io/acme/sieve@sha256:…, or :TAG where no digest is asked for";
    /// A regular expression (ECMA 262) that its text matches.
    pub const PATTERN: &str = concat!(
        r"^(oci://)?[A-Za-z0-9.\[\]:-]+/[a-z0-9]+([._/-]+[a-z0-9]+)*",
        r"(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$"
    );

    /// The registry.
    pub fn registry(&self) -> &RegistryHost {
        &self.registry
    }

    /// The digest of the manifest, if it is pinned to one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same, pinned to this manifest.
    #[must_use]
    pub fn pinned(self, manifest: Digest) -> Self {
        Self { digest: Some(manifest), ..self }
    }

    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    /// What a registry is asked for.
    pub(super) fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// Without `oci://`, as other tools write it.
    pub fn bare(&self) -> String {
        let text = self.to_string();
        text.strip_prefix("oci://").map(str::to_owned).unwrap_or(text)
    }
}

impl RegistryHost {
    /// What its text is, as in "expected …".
    pub const EXPECTED: &str = "the host of a registry, with its port if it has one of its own: registry.internal:5000";
    /// A regular expression (ECMA 262) that its text matches.
    pub const PATTERN: &str = r"^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$";

    /// The host and port as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Host without port, and an IPv6 address without brackets.
    pub(super) fn host(&self) -> &str {
        let host = match self.0.rsplit_once(':') {
            Some((host, _)) if !self.0.ends_with(']') => host,
            _ => &self.0,
        };
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether it is on this machine, by its name alone.
    pub fn is_loopback(&self) -> bool {
        self.host() == "localhost" || self.host().parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for RegistryHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} is not {}", Self::EXPECTED);
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let is_name = |host: &str| {
            !host.is_empty()
                && host.split('.').all(|label| {
                    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                })
        };
        let is_address = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        let fits = (is_name(host) || is_address) && port_fits;
        if fits { Ok(Self(text.to_ascii_lowercase())) } else { Err(refuse()) }
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| format!("{text:?} is not {}: {why}", Self::EXPECTED);
        let rest = text.strip_prefix("oci://").unwrap_or(text);
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>().map_err(|error| refuse(&error))?)),
            None => (rest, None),
        };
        let (registry, rest) = rest.split_once('/').ok_or_else(|| refuse("it names no registry"))?;
        let registry: RegistryHost = registry.parse().map_err(|error: String| refuse(&error))?;
        if !registry.0.contains(['.', ':']) && registry.0 != "localhost" {
            return Err(refuse("it names no registry: that has a dot, a port, or is localhost"));
        }
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if !repository.split('/').all(is_part_of_repository) || repository.len() > 255 {
            return Err(refuse(
                "the repository is written in lower-case letters, digits and single . _ - between them",
            ));
        }
        if !tag.is_none_or(is_tag) {
            return Err(refuse("a tag has up to 128 letters, digits and . _ -"));
        }
        Ok(Self { registry, repository: repository.to_owned(), tag: tag.map(str::to_owned), digest })
    }
}

/// As the specification of distribution has it: alphanumerics, separated by one of `.`, `_`, `__` or hyphens.
fn is_part_of_repository(part: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = part.bytes().next().is_some_and(is_alphanumeric) && part.bytes().last().is_some_and(is_alphanumeric);
    let separators = part.split(|char: char| char.is_ascii() && is_alphanumeric(char as u8));
    ends && separators
        .into_iter()
        .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.registry.0, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_reference_is_taken_apart() {
        let reference: Reference = format!("oci://GHCR.io/acme/plugins/sieve:1.2@{DIGEST}").parse().unwrap();
        assert_eq!(reference.to_string(), format!("oci://ghcr.io/acme/plugins/sieve:1.2@{DIGEST}"));
        assert_eq!((reference.repository(), reference.wanted()), ("acme/plugins/sieve", DIGEST.to_owned()));
        let reference: Reference = "localhost:5000/a".parse().unwrap();
        assert_eq!((reference.wanted().as_str(), reference.registry().host()), ("latest", "localhost"));
        assert!(reference.registry().is_loopback());
        assert_eq!("[::1]:5000/a:t".parse::<Reference>().unwrap().registry().host(), "::1");
        assert!(!"registry.example.com/a".parse::<Reference>().unwrap().registry().is_loopback());
    }

    #[test]
    fn what_is_no_reference_is_told_why() {
        for text in [
            "",
            "sieve",
            "acme/sieve",
            "oci://ghcr.io",
            "ghcr.io/",
            "ghcr.io/Acme/sieve",
            "ghcr.io/a//b",
            "ghcr.io/a/../b",
            "ghcr.io/a:",
            "ghcr.io/a:-t",
            "ghcr.io/a@sha256:abc",
            "ghcr.io/a@sha512:abc",
            "https://ghcr.io/a",
            "a b.c/d",
            "ghcr.io:0/a",
            "ghcr.io/-a",
            "ghcr.io/a._b",
            "user@ghcr.io/a",
            "ghcr.io/a%2fb",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }
}
