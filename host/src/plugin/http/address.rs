use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address reaches, after the registries of special addresses (IANA, RFC 6890 and its updates).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Anywhere on the internet.
    Public,
    /// This machine, or an operator's own network.
    Private,
    /// The link (where clouds keep the credentials of a machine), a group, or nothing that a server has.
    Special,
}

impl Scope {
    /// How far this address reaches. One that embeds an IPv4 address is taken for that one.
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => match embedded(address) {
                Some(address) => of_v4(address),
                None => of_v6(address),
            },
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Scope {
    let [first, second, third, _] = address.octets();
    match (first, second, third) {
        (10 | 127, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Scope::Private,
        (0 | 224..=255, ..)
        | (169, 254, _)
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 18 | 19, _)
        | (198, 51, 100)
        | (203, 0, 113) => Scope::Special,
        _ => Scope::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Scope {
    let segments = address.segments();
    match segments[0] {
        _ if address == Ipv6Addr::LOCALHOST => Scope::Private,
        0xfc00..=0xfdff => Scope::Private,
        // Documentation, and what is set aside for tunnels, benchmarks and identifiers.
        0x2001 if segments[1] < 0x200 || segments[1] == 0xdb8 => Scope::Special,
        0x2000..=0x3ffe => Scope::Public,
        _ => Scope::Special,
    }
}

/// The IPv4 address that a translated, mapped, compatible or 6to4 address leads to.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (s0, s1, s2, s3, s4, s5) {
        (0, 0, 0, 0, 0, 0xffff) | (0, 0, 0, 0, 0xffff, 0) | (0x64, 0xff9b, 0, 0, 0, 0) => Some(v4(s6, s7)),
        (0, 0, 0, 0, 0, 0) if s6 != 0 => Some(v4(s6, s7)),
        (0x2002, ..) => Some(v4(s1, s2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_range_is_known() {
        let cases = [
            (
                Scope::Public,
                "8.8.8.8 1.1.1.1 172.15.0.1 172.32.0.1 100.63.0.1 100.128.0.1 192.0.1.1 198.17.0.1 2606:4700::1",
            ),
            (Scope::Public, "::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1 2001:4860:4860::8888"),
            (Scope::Private, "127.0.0.1 127.9.9.9 10.0.0.5 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 ::1"),
            (Scope::Private, "fc00::1 fd12:3456::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::a00:1 2002:a00:1::1"),
            (Scope::Special, "0.0.0.0 169.254.169.254 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 192.0.2.1"),
            (Scope::Special, "198.51.100.1 203.0.113.9 198.18.0.1 :: fe80::1 ff02::1 2001:db8::1 fec0::1 2001::1"),
            (Scope::Special, "::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe:: 3fff::1 64:ff9b:1::1 100::1"),
        ];
        for (scope, addresses) in cases {
            for address in addresses.split(' ') {
                assert_eq!(Scope::of(address.parse().unwrap()), scope, "{address}");
            }
        }
    }
}
