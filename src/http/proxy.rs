//! The client's address behind trusted proxies (PocketBase's setting `trustedProxy`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::HeaderMap;

use crate::engine::settings::TrustedProxyConfig;

/// A client's address. Prints IPv6 in full, as PocketBase does: `2001:0db8:0000:0000:0000:0000:0000:0001`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientIp(pub IpAddr);

impl fmt::Display for ClientIp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(out, "{address}"),
            IpAddr::V6(address) => {
                for (index, group) in address.segments().into_iter().enumerate() {
                    let colon = if index == 0 { "" } else { ":" };
                    write!(out, "{colon}{group:04x}")?;
                }
                Ok(())
            }
        }
    }
}

/// The address of the connection: the client's, or the last proxy's.
pub fn remote_ip(peer: Option<SocketAddr>) -> Option<ClientIp> {
    peer.map(|peer| ClientIp(peer.ip()))
}

/// The client's address as the first trusted header with a valid one tells it, else the connection's.
pub fn real_ip(
    trusted: &TrustedProxyConfig,
    headers: &HeaderMap,
    peer: Option<SocketAddr>,
) -> Option<ClientIp> {
    let named = trusted.headers.iter().find_map(|name| {
        // Of several headers of one name, the last is the one the nearest proxy wrote.
        let list = headers.get_all(name.as_str()).last()?.to_str().ok()?;
        let mut addresses = list.split(',').filter_map(parse_ip);
        if trusted.use_leftmost_ip {
            addresses.next()
        } else {
            addresses.next_back()
        }
    });
    named.map(ClientIp).or_else(|| remote_ip(peer))
}

/// Reads one address; the zone of a link-local one (`fe80::1%eth0`) is left out.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.split_once('%')
        .map_or(text, |(address, _zone)| address)
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn real(trusted: &[&str], leftmost: bool, headers: &[(&str, &str)]) -> String {
        let trusted = TrustedProxyConfig {
            headers: trusted.iter().map(|name| (*name).to_owned()).collect(),
            use_leftmost_ip: leftmost,
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let peer = "127.0.0.1:4000".parse().unwrap();
        real_ip(&trusted, &map, Some(peer)).unwrap().to_string()
    }

    #[test]
    fn untrusted_headers_count_for_nothing() {
        assert_eq!(
            real(&[], false, &[("X-Forwarded-For", "1.2.3.4")]),
            "127.0.0.1"
        );
        assert_eq!(
            real(&["X-Real-IP"], false, &[("X-Forwarded-For", "1.2.3.4")]),
            "127.0.0.1"
        );
    }

    #[test]
    fn the_address_nearest_to_the_proxy_counts_unless_told_otherwise() {
        let forwarded = [
            ("X-Forwarded-For", "1.1.1.1"),
            ("X-Forwarded-For", "bad, 2.2.2.2 ,3.3.3.3, "),
        ];
        assert_eq!(real(&["x-forwarded-for"], false, &forwarded), "3.3.3.3");
        assert_eq!(real(&["X-Forwarded-For"], true, &forwarded), "2.2.2.2");
    }

    #[test]
    fn headers_without_an_address_are_passed_over() {
        let headers = [("A", ""), ("B", "unknown"), ("C", "4.4.4.4")];
        assert_eq!(real(&["A", "B", "C"], false, &headers), "4.4.4.4");
        assert_eq!(real(&["A", "B"], false, &headers), "127.0.0.1");
        assert_eq!(
            real(&["not a header name", "C"], false, &headers),
            "4.4.4.4"
        );
    }

    #[test]
    fn ipv6_is_printed_in_full() {
        assert_eq!(
            real(&["A"], false, &[("A", "2001:db8::1")]),
            "2001:0db8:0000:0000:0000:0000:0000:0001"
        );
        assert_eq!(
            real(&["A"], false, &[("A", "fe80::1%eth0")]),
            "fe80:0000:0000:0000:0000:0000:0000:0001"
        );
    }
}
