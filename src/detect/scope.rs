//! Where an address leads, by the IANA special-purpose address registries.
//!
//! Sources: <https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry> and
//! <https://www.iana.org/assignments/ipv6-unicast-address-assignments>, as of
//! 2026-01. The metadata services are those that the clouds document.
//! What no table proves harmless is global: Critical.

use super::finding::Importance;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of network an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// A name for reports, such as `private` or `cloud metadata`.
    pub name: &'static str,
    /// What a contact there weighs.
    pub importance: Importance,
}

const fn medium(name: &'static str) -> Scope {
    Scope { name, importance: Importance::Medium }
}

const fn critical(name: &'static str) -> Scope {
    Scope { name, importance: Importance::Critical }
}

const GLOBAL: Scope = critical("global");
const METADATA: Scope = critical("cloud metadata");

/// Services that hand credentials to whoever asks from inside.
const METADATA_V4: [Ipv4Addr; 7] = [
    Ipv4Addr::new(169, 254, 169, 254), // EC2, GCE, Azure, OpenStack, OCI, DigitalOcean …
    Ipv4Addr::new(169, 254, 170, 2),   // ECS task credentials
    Ipv4Addr::new(169, 254, 170, 23),  // EKS pod identity
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba Cloud
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle Cloud, classic
    Ipv4Addr::new(168, 63, 129, 16),   // Azure WireServer
    Ipv4Addr::new(169, 254, 42, 42),   // Scaleway
];
const METADATA_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // EC2
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),  // EKS pod identity
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),  // GCE
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe), // OpenStack
];

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u32, scope: Scope) -> (u32, u32, Scope) {
    (Ipv4Addr::new(a, b, c, d).to_bits(), length, scope)
}

/// More specific entries first.
const V4: [(u32, u32, Scope); 18] = [
    v4(192, 0, 0, 9, 32, critical("PCP anycast")),
    v4(192, 0, 0, 10, 32, critical("TURN anycast")),
    v4(192, 0, 0, 0, 24, medium("IETF protocol assignments")),
    v4(192, 0, 2, 0, 24, medium("documentation")),
    v4(198, 51, 100, 0, 24, medium("documentation")),
    v4(203, 0, 113, 0, 24, medium("documentation")),
    v4(192, 88, 99, 0, 24, medium("6to4 relay anycast, deprecated")),
    v4(192, 31, 196, 0, 24, critical("AS112")),
    v4(192, 52, 193, 0, 24, critical("AMT")),
    v4(192, 175, 48, 0, 24, critical("AS112")),
    v4(192, 168, 0, 0, 16, medium("private")),
    v4(169, 254, 0, 0, 16, medium("link-local")),
    v4(198, 18, 0, 0, 15, medium("benchmarking")),
    v4(172, 16, 0, 0, 12, medium("private")),
    v4(100, 64, 0, 0, 10, medium("shared address space")),
    v4(10, 0, 0, 0, 8, medium("private")),
    v4(127, 0, 0, 0, 8, medium("loopback")),
    v4(0, 0, 0, 0, 8, medium("this network")),
];

const fn v6(a: u16, b: u16, c: u16, length: u32, scope: Scope) -> (u128, u32, Scope) {
    (Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_bits(), length, scope)
}

const fn v6_one(last: u16, scope: Scope) -> (u128, u32, Scope) {
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, last).to_bits(), 128, scope)
}

/// More specific entries first.
const V6: [(u128, u32, Scope); 21] = [
    (0, 128, medium("unspecified")),
    (1, 128, medium("loopback")),
    v6_one(1, critical("PCP anycast")),
    v6_one(2, critical("TURN anycast")),
    v6_one(3, critical("DNS-SD registration anycast")),
    v6(0x0100, 0, 0, 64, medium("discard")),
    v6(0x64, 0xff9b, 1, 48, medium("local NAT64")),
    v6(0x2001, 2, 0, 48, medium("benchmarking")),
    v6(0x2001, 4, 0x112, 48, critical("AS112")),
    v6(0x2620, 0x4f, 0x8000, 48, critical("AS112")),
    v6(0x2001, 3, 0, 32, critical("AMT")),
    v6(0x2001, 0xdb8, 0, 32, medium("documentation")),
    v6(0x2001, 0x20, 0, 28, critical("ORCHIDv2")),
    v6(0x2001, 0x30, 0, 28, critical("drone remote ID")),
    v6(0x3fff, 0, 0, 20, medium("documentation")),
    v6(0x5f00, 0, 0, 16, medium("segment routing")),
    v6(0xfe80, 0, 0, 10, medium("link-local")),
    v6(0xfec0, 0, 0, 10, medium("site-local, deprecated")),
    v6(0xff00, 0, 0, 8, medium("multicast")),
    v6(0xfc00, 0, 0, 7, medium("unique local")),
    v6(0x2000, 0, 0, 3, GLOBAL),
];

/// The scope of an address.
pub fn scope(address: IpAddr) -> Scope {
    match address {
        IpAddr::V4(address) => scope_v4(address),
        IpAddr::V6(address) => scope_v6(address),
    }
}

fn scope_v4(address: Ipv4Addr) -> Scope {
    if METADATA_V4.contains(&address) {
        return METADATA;
    }
    let bits = address.to_bits();
    if bits >> 28 == 0xe {
        return medium("multicast");
    }
    if bits >> 28 == 0xf {
        return medium("reserved");
    }
    V4.iter()
        .find(|(network, length, _)| (bits ^ network) >> (32 - length) == 0)
        .map_or(GLOBAL, |(_, _, scope)| *scope)
}

fn scope_v6(address: Ipv6Addr) -> Scope {
    if METADATA_V6.contains(&address) {
        return METADATA;
    }
    if let Some(inner) = embedded_v4(address) {
        return scope_v4(inner);
    }
    let bits = address.to_bits();
    V6.iter()
        .find(|(network, length, _)| (bits ^ network).checked_shr(128 - length).unwrap_or(0) == 0)
        .map_or(medium("unallocated"), |(_, _, scope)| *scope)
}

/// The IPv4 address that packets to this address end at: IPv4-mapped (RFC 4291),
/// NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let pair = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(pair(high, low))
        }
        [0x2002, high, low, ..] => Some(pair(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_every_range() {
        let medium = "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.0 127.255.255.255 \
            169.254.0.0 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.8 192.0.0.11 192.0.0.255 192.0.2.0 192.0.2.255 \
            192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255 \
            224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.255 :: ::1 ::2 64:ff9b:1:: 64:ff9b:1:ffff::1 100:: 100::ffff:ffff:ffff:ffff \
            100:0:0:1::1 2001:2:: 2001:2:0:ffff::1 2001:db8:: 2001:db8:ffff::1 3fff:: 3fff:fff::1 5f00::1 fc00:: fdff::1 fe80:: febf::1 \
            fec0:: feff::1 ff00:: ffff::1 4000::1 e000::1 ::ffff:10.0.0.1 64:ff9b::10.0.0.1 2002:a00:1::";
        let critical = "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 \
            172.15.255.255 172.32.0.0 191.255.255.255 192.0.0.9 192.0.0.10 192.0.1.0 192.0.3.0 192.31.196.1 192.52.193.1 192.175.48.1 \
            192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255 \
            169.254.169.254 169.254.170.2 169.254.170.23 100.100.100.200 192.0.0.192 168.63.129.16 169.254.42.42 \
            fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fe80::a9fe:a9fe 2001:1::1 2001:1::2 2001:1::3 2001:3::1 2001:4:112::1 2001:20::1 \
            2001:2f:ffff::1 2001:30::1 2001:3f:ffff::1 2001:2:1::1 2001:db7::1 2001:db9::1 2000:: 3ffe:: 3fff:1000:: 2620:4f:8000::1 \
            ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808:: 2002:a9fe:a9fe:: 64:ff9b::a9fe:a9fe";
        for (list, want) in [(medium, Importance::Medium), (critical, Importance::Critical)] {
            for text in list.split_whitespace() {
                let address = text.parse().expect(text);
                assert_eq!(scope(address).importance, want, "{text}: {}", scope(address).name);
            }
        }
    }
}
