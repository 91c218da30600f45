//! Lists of addresses and subnets in the settings.

use std::net::IpAddr;

/// An address, or all addresses whose first `bits` bits are those of `address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subnet {
    address: IpAddr,
    bits: u8,
}

impl Subnet {
    /// Reads `10.0.0.1`, `10.0.0.0/8`, `::1`, `fe80::1%eth0` or `fd00::/8`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Some((address, bits)) = text.split_once('/') else {
            let address = parse_address(text)?;
            let bits = width(address);
            return Some(Self { address, bits });
        };
        let address: IpAddr = address.parse().ok()?;
        let plain = bits.bytes().all(|byte| byte.is_ascii_digit())
            && (bits == "0" || !bits.starts_with('0'));
        let bits = bits.parse().ok()?;
        (plain && bits <= width(address)).then_some(Self { address, bits })
    }

    fn contains(self, address: IpAddr) -> bool {
        let prefix = |address: IpAddr| -> Option<u128> {
            let (number, width) = match address {
                IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
                IpAddr::V6(address) => (u128::from(address), 128),
            };
            number.checked_shr(width - u32::from(self.bits))
        };
        self.address.is_ipv4() == address.is_ipv4() && prefix(self.address) == prefix(address)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// An address; an IPv6 one may name its zone, which does not count.
fn parse_address(text: &str) -> Option<IpAddr> {
    match text.split_once('%') {
        None => text.parse().ok(),
        Some((address, zone)) => {
            let address: IpAddr = address.parse().ok()?;
            (address.is_ipv6() && !zone.is_empty()).then_some(address)
        }
    }
}

/// Whether `address` is in one of the subnets. Entries and addresses that cannot be read match nothing.
pub(super) fn any_contains(list: &[String], address: &str) -> bool {
    let Some(address) = parse_address(address.trim()) else {
        return false;
    };
    let address = address.to_canonical();
    list.iter()
        .filter_map(|text| Subnet::parse(text))
        .any(|subnet| subnet.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_contain_their_addresses() {
        for (list, address, expected) in [
            (&["10.0.0.0/8"][..], "10.1.2.3", true),
            (&["10.0.0.0/8"], "11.1.2.3", false),
            (&["10.0.0.1"], "10.0.0.1", true),
            (&["10.0.0.1"], "10.0.0.2", false),
            (&["0.0.0.0/0"], "1.2.3.4", true),
            (&["::/0"], "1.2.3.4", false),
            (&["::/0", "x"], "fe80::1", true),
            (&["fd00::/8"], "fd12::1", true),
            (&["127.0.0.1"], "::ffff:127.0.0.1", true),
            (&["10.0.0.1"], "", false),
        ] {
            let list: Vec<String> = list.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(any_contains(&list, address), expected, "{list:?} {address}");
        }
    }

    #[test]
    fn only_addresses_and_subnets_parse() {
        for text in [
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/",
            "10.0",
            "x",
            "",
            "1.2.3.4%a",
        ] {
            assert_eq!(Subnet::parse(text), None, "{text}");
        }
        assert!(Subnet::parse("fe80::1%eth0").is_some());
    }
}
