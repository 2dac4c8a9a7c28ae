use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::{AccessKey, Region};
use super::scalar::{Scalar, scalar_serde};
use super::secret::Secret;

/// Where the host listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// The S3 front door.
    pub s3: S3Config,
    /// The front door of operators: `/metrics`, `/healthz`, `/readyz`, and the object API of the command line.
    pub admin: AdminConfig,
}

/// The S3 front door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct S3Config {
    /// The address it listens on. Off loopback only with credentials.
    pub listen: ListenAddress,
    /// The region that clients sign for.
    pub region: Region,
    /// Who may come in, with AWS Signature Version 4. Empty: everybody, which is for loopback alone.
    pub credentials: Vec<Credential>,
}

/// `127.0.0.1:9000`, `us-east-1`, no credentials.
impl Default for S3Config {
    fn default() -> Self {
        Self {
            listen: ListenAddress::loopback(9000),
            region: "us-east-1".parse().expect("this is a region"),
            credentials: Vec::new(),
        }
    }
}

/// The front door of operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// The address it listens on. Metrics and health are for whoever reaches it; the object API wants the token that
    /// each run of the host makes and keeps in its data folder.
    pub listen: ListenAddress,
}

/// `127.0.0.1:9001`.
impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: ListenAddress::loopback(9001) }
    }
}

/// A key pair of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// The public half.
    pub access_key: AccessKey,
    /// The secret half.
    pub secret_key: Secret,
}

/// An IP address and a port to listen on: `127.0.0.1:9000`, `[::1]:9000`; port 0 takes any free one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenAddress(SocketAddr);

impl ListenAddress {
    fn loopback(port: u16) -> Self {
        Self(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// As the standard library has it.
    pub fn socket_addr(self) -> SocketAddr {
        self.0
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }

    /// Whether two listeners can not both have their address.
    pub(super) fn clashes(self, other: Self) -> bool {
        let (mine, others) = (self.0.ip(), other.0.ip());
        let overlap = mine == others || mine.is_unspecified() || others.is_unspecified();
        self.0.port() != 0 && self.0.port() == other.0.port() && overlap
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("localhost:").map(str::parse) {
            Some(Ok(port)) => Ok(Self::loopback(port)),
            _ => text.parse().map(Self).map_err(|_| format!("{text:?} is not {}", Self::EXPECTED)),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Scalar for ListenAddress {
    const EXPECTED: &'static str = "an IP address and a port, such as 127.0.0.1:9000 or [::1]:9000";
    const PATTERN: &'static str = r"^(localhost|[0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9a-fA-F:.%]+\]):[0-9]{1,5}$";
}

scalar_serde!(ListenAddress);

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> ListenAddress {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_an_ip_and_a_port() {
        assert!(address("localhost:9000").is_loopback() && address("[::1]:1").is_loopback());
        assert!(!address("0.0.0.0:9000").is_loopback() && !address("[::]:1").is_loopback());
        for text in ["9000", "127.0.0.1", "localhost:", "localhost:99999", "example.org:80", ""] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn two_listeners_clash_on_one_port() {
        assert!(address("127.0.0.1:1").clashes(address("127.0.0.1:1")));
        assert!(address("0.0.0.0:1").clashes(address("127.0.0.1:1")));
        assert!(!address("127.0.0.1:1").clashes(address("127.0.0.1:2")));
        assert!(!address("127.0.0.1:0").clashes(address("127.0.0.1:0")));
        assert!(!address("127.0.0.2:1").clashes(address("127.0.0.1:1")));
    }
}
