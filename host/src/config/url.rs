use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use hyper::Uri;

use super::scalar::{Scalar, scalar_serde};

/// An address of something that speaks HTTP: `http://127.0.0.1:9093`, `https://example.org/hooks/larder`. Without a user: a
/// password does not stand in an address here.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(Uri);

impl Url {
    /// As HTTP has it.
    pub fn as_uri(&self) -> &Uri {
        &self.0
    }

    /// Whether what is sent there can be read on the way.
    pub fn is_plain(&self) -> bool {
        self.0.scheme_str() == Some("http")
    }

    /// Whether it is on this machine, as far as the address says.
    pub fn is_loopback(&self) -> bool {
        let host = self.0.host().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is not {}", Self::EXPECTED);
        let uri: Uri = text.parse().map_err(|_| refused())?;
        let served = matches!(uri.scheme_str(), Some("http" | "https"));
        let host = uri.host().is_some_and(|host| !host.is_empty());
        if !served || !host {
            return Err(refused());
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("an address names no user here: write what is secret under `authorization`".to_owned());
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Scalar for Url {
    const EXPECTED: &'static str = "an http or https address, such as https://example.org/hooks/larder";
    const PATTERN: &'static str = r"^[Hh][Tt][Tt][Pp][Ss]?://[^@\s/?#]+([/?][^\s#]*)?$";
}

scalar_serde!(Url);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_no_user() {
        for text in ["http://127.0.0.1:9093", "https://example.org/a?b=c", "http://[::1]:80/"] {
            let url: Url = text.parse().unwrap();
            assert_eq!(url.to_string().trim_end_matches('/'), text.trim_end_matches('/'));
        }
        assert!("http://a".parse::<Url>().unwrap().is_plain() && !"https://a".parse::<Url>().unwrap().is_plain());
        for text in ["", "example.org", "ftp://example.org", "http://", "/path", "http://me:secret@example.org"] {
            let error = text.parse::<Url>().unwrap_err();
            assert!(!error.contains("me:secret"), "{error}");
        }
    }
}
