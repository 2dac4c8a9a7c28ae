use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hyper::Method;

use super::{RemoteHost, read_json};
use crate::error::Result;
use crate::wire::CodeBody;

/// Where a browser finds the console, and is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleLink {
    /// The address, good once.
    pub url: String,
    /// How long it is good.
    pub good_for: Duration,
}

impl RemoteHost {
    /// A link that logs a browser in to its console.
    ///
    /// # Errors
    /// As [`stores`](Self::stores).
    pub async fn console_link(&self) -> Result<ConsoleLink> {
        let body: CodeBody = read_json(self.ask(Method::POST, "/console/codes").await?).await?;
        let url = format!("http://{}/console/login?code={}", reachable(self.address), body.code);
        Ok(ConsoleLink { url, good_for: Duration::from_secs(body.good_for_seconds) })
    }
}

/// An address as a browser on this machine can type it: one that means all of a machine's means itself.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_to_an_address_that_it_can_reach() {
        for (address, shown) in
            [("0.0.0.0:9001", "127.0.0.1:9001"), ("[::]:9001", "[::1]:9001"), ("10.1.2.3:9001", "10.1.2.3:9001")]
        {
            assert_eq!(reachable(address.parse().unwrap()).to_string(), shown);
        }
    }
}
