use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::address::Scope;

/// A host that a plugin may send requests to: `api.example.com`, `*.example.org` for all names below one, or an address
/// such as `10.0.0.5` or `[fd00::5]`; each with a port (`:8080`), or else at the port that the scheme has by default.
#[derive(Clone, PartialEq, Eq)]
pub struct AllowedHost {
    host: Pattern,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// In lower case.
    Name(String),
    /// All names that end with this, which begins with a dot.
    Below(String),
    Address(IpAddr),
}

/// Where a request wants to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: Host,
    pub(super) port: u16,
    /// Whether it is the port that the scheme has by default.
    pub(super) is_default_port: bool,
}

/// As an entry of the allow-list would name it.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_default_port {
            true => self.host.fmt(f),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A name in lower case, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// A host as a URI writes it: an IPv6 address stands in brackets.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            return address.parse::<Ipv6Addr>().ok().map(|address| Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return address.is_ipv4().then_some(Self::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        is_name(&name).then_some(Self::Name(name))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Whether it is a host name (RFC 1123) that no system takes for an address: the last label is not all digits.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_digit()) || label.starts_with("0x") || label.starts_with("0X")
    };
    text.len() <= 253 && text.split('.').all(is_label) && !text.rsplit('.').next().is_some_and(numeric)
}

impl AllowedHost {
    /// Whether a request may go to this target, as far as its name and port tell.
    pub(super) fn admits(&self, target: &Target) -> bool {
        let named = match (&self.host, &target.host) {
            (Pattern::Name(name), Host::Name(wanted)) => name == wanted,
            (Pattern::Below(end), Host::Name(wanted)) => wanted.len() > end.len() && wanted.ends_with(end.as_str()),
            (Pattern::Address(address), Host::Address(wanted)) => address == wanted,
            _ => false,
        };
        named && self.port.map_or(target.is_default_port, |port| port == target.port)
    }

    /// Whether what is asked for under this entry may be found at `address`. An entry that is an address stands for that
    /// one, wherever it reaches. One that is a name may lead into a private network, since the operator named the host; one
    /// that is a pattern may not; and neither leads to the link, to a group, or to nowhere.
    pub(super) fn reaches(&self, address: IpAddr) -> bool {
        match &self.host {
            Pattern::Address(named) => *named == address,
            Pattern::Name(_) => Scope::of(address) != Scope::Special,
            Pattern::Below(_) => Scope::of(address) == Scope::Public,
        }
    }
}

impl FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} is not {}", Self::EXPECTED);
        let (host, port) = match text.rsplit_once(':') {
            // A bare IPv6 address has colons of its own, and is refused for want of brackets.
            Some((host, port)) if !text.ends_with(']') => {
                (host, Some(port.parse().ok().filter(|port| *port != 0).ok_or_else(refuse)?))
            }
            _ => (text, None),
        };
        let host = match host.strip_prefix("*.") {
            Some(name) => match Host::parse(name) {
                Some(Host::Name(name)) => Pattern::Below(format!(".{name}")),
                _ => return Err(refuse()),
            },
            None => match Host::parse(host).ok_or_else(refuse)? {
                Host::Name(name) => Pattern::Name(name),
                Host::Address(address) => Pattern::Address(address),
            },
        };
        Ok(Self { host, port })
    }
}

impl AllowedHost {
    /// What its text is, as in "expected …".
    pub const EXPECTED: &str =
        "a host that may be called: api.example.com, *.example.org, 10.0.0.5:8080 or [fd00::5]:8080";
    /// A regular expression (ECMA 262) that its text matches.
    pub const PATTERN: &str = r"^(\*\.)?([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$";
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Pattern::Name(name) => f.write_str(name)?,
            Pattern::Below(end) => write!(f, "*{end}")?,
            Pattern::Address(address) => Host::Address(*address).fmt(f)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> AllowedHost {
        text.parse().unwrap()
    }

    fn target(host: &str, port: u16) -> Target {
        Target { host: Host::parse(host).unwrap(), port, is_default_port: matches!(port, 80 | 443) }
    }

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        for text in ["api.example.com", "*.example.org", "10.0.0.5:8080", "[fd00::5]:8080", "[::1]", "localhost:9000"] {
            assert_eq!(entry(text).to_string(), text);
        }
        assert_eq!(entry("API.Example.com.").to_string(), "api.example.com");
        let wrong =
            "|*|*.|*.*.com|*.10.0.0.5|http://a.b|a.b/c|::1|a b|a:0|a:70000|a:|-a.b|a..b|1.2.3|0x7f.1|127.1|user@a";
        for text in wrong.split('|') {
            assert!(text.parse::<AllowedHost>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_entry_admits_the_host_that_it_names_at_its_port() {
        let api = entry("api.example.com");
        assert!(api.admits(&target("api.example.com", 443)) && api.admits(&target("API.example.com.", 80)));
        assert!(!api.admits(&target("api.example.com", 8080)));
        for other in ["example.com", "x.api.example.com", "api.example.com.evil.org", "apiXexample.com"] {
            assert!(!api.admits(&target(other, 443)), "{other}");
        }
        let all = entry("*.example.org:8443");
        assert!(all.admits(&target("a.example.org", 8443)) && all.admits(&target("a.b.example.org", 8443)));
        assert!(!all.admits(&target("example.org", 8443)) && !all.admits(&target("evilexample.org", 8443)));
        assert!(!all.admits(&target("a.example.org", 443)));
        assert!(entry("10.0.0.5:8080").admits(&target("10.0.0.5", 8080)));
        assert!(!entry("10.0.0.5:8080").admits(&target("10.0.0.6", 8080)));
        assert!(entry("[::1]:80").admits(&target("[0:0::1]", 80)));
    }

    #[test]
    fn a_name_does_not_lead_where_nobody_meant() {
        let reaches = |text: &str, address: &str| entry(text).reaches(address.parse().unwrap());
        assert!(reaches("*.example.org", "8.8.8.8") && !reaches("*.example.org", "10.0.0.1"));
        assert!(!reaches("*.example.org", "127.0.0.1") && !reaches("*.example.org", "::ffff:127.0.0.1"));
        assert!(reaches("db.internal", "10.0.0.1") && reaches("localhost", "127.0.0.1"));
        assert!(!reaches("db.internal", "169.254.169.254") && !reaches("db.internal", "224.0.0.1"));
        assert!(reaches("169.254.169.254", "169.254.169.254") && !reaches("10.0.0.5", "10.0.0.6"));
    }
}
