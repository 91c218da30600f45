//! Which addresses may be asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One entry of an [`Allowlist`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// `*`: every address.
    All,
    /// A network such as `10.0.0.0/8`, or one address.
    Network(IpAddr, u8),
    /// A host by name, in lower case, wherever that leads.
    Host(String),
}

/// What may be asked although it is not public.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowlist(Vec<Allowed>);

/// An entry that is neither `*` nor a network, an address or a host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no host, address or network such as 10.0.0.0/8")]
pub struct EntryError(String);

impl std::str::FromStr for Allowed {
    type Err = EntryError;

    fn from_str(text: &str) -> Result<Self, EntryError> {
        let text = text.trim();
        let wrong = || EntryError(text.to_owned());
        if text == "*" || text == "true" {
            return Ok(Self::All);
        }
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| wrong())?;
            let bits: u8 = bits.parse().map_err(|_| wrong())?;
            let bits_max = if address.is_ipv4() { 32 } else { 128 };
            return if bits <= bits_max {
                Ok(Self::Network(address, bits))
            } else {
                Err(wrong())
            };
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            return Ok(Self::Network(address, bits));
        }
        let is_name = !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'));
        if is_name {
            Ok(Self::Host(text.to_ascii_lowercase()))
        } else {
            Err(wrong())
        }
    }
}

impl Allowlist {
    /// A list of these entries.
    ///
    /// # Errors
    /// The first entry that cannot be understood.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, EntryError> {
        let entries = entries.into_iter().filter(|entry| !entry.trim().is_empty());
        entries.map(str::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an address may be connected to that a host name, if there is one, has led to.
    #[must_use]
    pub fn permits(&self, host: Option<&str>, address: IpAddr) -> bool {
        is_public(address)
            || self.0.iter().any(|allowed| match allowed {
                Allowed::All => true,
                Allowed::Network(network, bits) => is_in(address, *network, *bits),
                Allowed::Host(name) => host.is_some_and(|host| host.eq_ignore_ascii_case(name)),
            })
    }
}

/// Whether the first bits of two addresses are equal. IPv4 addresses in IPv6 notation count as IPv4.
fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let prefix = |number: u128, length: u8| number >> (length - bits.min(length)).min(127);
    match (address.to_canonical(), network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            bits == 0
                || prefix(u32::from(address).into(), 32) == prefix(u32::from(network).into(), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            bits == 0 || prefix(address.into(), 128) == prefix(network.into(), 128)
        }
        _ => false,
    }
}

/// Whether an address is one of the public internet (IANA's special-purpose registries, RFC 6890).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=255, _, _)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Addresses that carry an IPv4 address lead where that does.
    let [.., high, low] = segments;
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    let last = Ipv4Addr::new(a, b, c, d);
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(last),
        [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Teredo, benchmarks, ORCHID and documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Global unicast is 2000::/3; the rest is local, multicast or not given out.
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_behind_the_server_are_not_public() {
        for text in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "fec0::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn the_operator_may_allow_hosts_and_networks() {
        let list = |text: &str| Allowlist::parse(text.split(',')).unwrap();
        let permits = |list: &Allowlist, host: Option<&str>, address: &str| {
            list.permits(host, address.parse().unwrap())
        };
        assert!(!permits(&list(""), None, "10.0.0.1"));
        assert!(permits(&list("*"), None, "10.0.0.1"));
        assert!(permits(&list("10.0.0.0/8, ::1"), None, "10.200.0.1"));
        assert!(permits(&list("10.0.0.0/8"), None, "::ffff:10.0.0.1"));
        assert!(!permits(&list("10.0.0.0/8"), None, "192.168.0.1"));
        assert!(permits(&list("::1"), None, "::1"));
        assert!(!permits(&list("::1"), None, "127.0.0.1"));
        assert!(permits(&list("LocalHost"), Some("localhost"), "127.0.0.1"));
        assert!(!permits(&list("localhost"), None, "127.0.0.1"));
        for wrong in ["10.0.0.0/33", "a b", "x/8"] {
            assert!(Allowlist::parse([wrong]).is_err(), "{wrong}");
        }
    }
}
