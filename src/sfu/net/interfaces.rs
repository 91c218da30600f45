//! The addresses that clients are told.

use std::net::{IpAddr, SocketAddr};

use super::socket::is_dual_stack;

/// More would only make descriptions longer: a machine with many virtual interfaces should be given its public addresses.
const CANDIDATES_MAX: usize = 16;

/// Where clients reach a socket that is bound to `bound`: at the given addresses; else at what it is bound to; else, where it is
/// bound to all interfaces, at theirs, loopback last.
pub(super) fn candidates(bound: SocketAddr, public_ips: &[IpAddr]) -> Vec<SocketAddr> {
    let with_port = |ip: IpAddr| SocketAddr::new(ip, bound.port());
    if !public_ips.is_empty() {
        return public_ips.iter().copied().map(with_port).collect();
    }
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    let mut ips = addresses();
    ips.retain(|ip| is_usable(*ip) && (ip.is_ipv4() || is_dual_stack(bound)));
    ips.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
    ips.dedup();
    let loopback = ips.iter().filter(|ip| ip.is_loopback()).count();
    let others = (ips.len() - loopback).min(CANDIDATES_MAX);
    let (first, last) = ips.split_at(ips.len() - loopback);
    first
        .iter()
        .take(others)
        .chain(last.iter().take(2))
        .copied()
        .map(with_port)
        .collect()
}

/// Whether a client elsewhere may use it without naming an interface.
fn is_usable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_unspecified() && !ip.is_multicast(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_unspecified() && !ip.is_multicast(),
    }
}

/// The addresses of the interfaces that are up.
#[cfg(unix)]
fn addresses() -> Vec<IpAddr> {
    use nix::ifaddrs::getifaddrs;
    use nix::net::if_::InterfaceFlags;

    let Ok(interfaces) = getifaddrs() else {
        return Vec::new();
    };
    interfaces
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|interface| interface.address)
        .filter_map(|address| {
            let ipv4 = address.as_sockaddr_in().map(|at| IpAddr::from(at.ip()));
            ipv4.or_else(|| address.as_sockaddr_in6().map(|at| IpAddr::from(at.ip())))
        })
        .collect()
}

/// The address that the machine would take to reach the Internet: nothing is sent to find it.
#[cfg(not(unix))]
fn addresses() -> Vec<IpAddr> {
    use std::net::{Ipv4Addr, UdpSocket};

    let outwards = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    outwards
        .map(|addr| addr.ip())
        .into_iter()
        .chain([loopback])
        .collect()
}
