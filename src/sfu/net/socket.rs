//! The socket: opened with large buffers, read and written by the batch where the system can.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

#[cfg(target_os = "linux")]
#[path = "socket/batched.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "socket/single.rs"]
mod system;

pub(super) use self::system::{Buffer, Name, name, receive, send};

/// Datagrams per system call.
pub(super) const BATCH_MAX: usize = 64;
/// Longer datagrams are not of WebRTC, which stays below the Ethernet's 1,500 bytes; they are dropped.
pub(super) const DATAGRAM_BYTES_MAX: usize = 2_048;
/// What the system is asked for; it gives what its own bounds (`net.core.rmem_max`, `wmem_max`) allow.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;

/// Binds; `[::]` takes IPv4 too.
pub(super) fn open(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if is_dual_stack(addr) {
        socket.set_only_v6(false)?;
    }
    // Best effort: the system may give less, and says so nowhere.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    tracing::debug!(
        receive_bytes = socket.recv_buffer_size().unwrap_or_default(),
        send_bytes = socket.send_buffer_size().unwrap_or_default(),
        "The buffers of the media port."
    );
    UdpSocket::from_std(socket.into())
}

pub(super) fn is_dual_stack(bound: SocketAddr) -> bool {
    bound.is_ipv6() && bound.ip().is_unspecified()
}

/// As clients are known: an IPv4 client of a dual stack socket by its IPv4 address.
pub(super) fn unmapped(from: SocketAddr) -> SocketAddr {
    match from.ip() {
        IpAddr::V4(_) => from,
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => SocketAddr::from((ip, from.port())),
            None => from,
        },
    }
}

/// As a socket of IPv6 must be told.
pub(super) fn mapped(to: SocketAddr) -> SocketAddrV6 {
    match to {
        SocketAddr::V6(to) => to,
        SocketAddr::V4(to) => SocketAddrV6::new(to.ip().to_ipv6_mapped(), to.port(), 0, 0),
    }
}

/// What became of a batch that was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) dropped: u64,
}
