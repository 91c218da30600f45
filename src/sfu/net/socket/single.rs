//! One datagram per system call, where batches are not to be had.

use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::net::UdpSocket;

use super::{BATCH_MAX, DATAGRAM_BYTES_MAX, Outcome, mapped, unmapped};

/// A destination, as the system takes it.
pub(in super::super) type Name = SocketAddr;

/// `None` where the socket cannot reach it.
pub(in super::super) fn name(to: SocketAddr, is_ipv6_socket: bool) -> Option<Name> {
    match to {
        _ if is_ipv6_socket => Some(mapped(to).into()),
        SocketAddr::V4(_) => Some(to),
        SocketAddr::V6(_) => None,
    }
}

/// A batch that was received.
pub(in super::super) struct Buffer {
    bytes: Vec<u8>,
    received: Vec<Option<(SocketAddr, usize)>>,
}

impl Buffer {
    pub(in super::super) fn new(_is_ipv6_socket: bool) -> Self {
        Self {
            bytes: vec![0; BATCH_MAX * DATAGRAM_BYTES_MAX],
            received: Vec::with_capacity(BATCH_MAX),
        }
    }

    /// The datagrams of the last batch; `None` for one that is too long.
    pub(in super::super) fn datagrams(&self) -> impl Iterator<Item = Option<(SocketAddr, &[u8])>> {
        self.received
            .iter()
            .zip(self.bytes.chunks_exact(DATAGRAM_BYTES_MAX))
            .map(|(received, bytes)| {
                let (from, length) = (*received)?;
                Some((from, bytes.get(..length)?))
            })
    }
}

/// Reads what there is, up to a batch. An error says that there was nothing, or that the system refuses; the batch is empty then.
pub(in super::super) fn receive(socket: &UdpSocket, buffer: &mut Buffer) -> io::Result<()> {
    buffer.received.clear();
    for chunk in buffer.bytes.chunks_exact_mut(DATAGRAM_BYTES_MAX) {
        match socket.try_recv_from(chunk) {
            // A datagram that fills the buffer may have been cut.
            Ok((length, _)) if length == DATAGRAM_BYTES_MAX => buffer.received.push(None),
            Ok((length, from)) => buffer.received.push(Some((unmapped(from), length))),
            Err(_) if !buffer.received.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends a batch without waiting: what the socket does not take now is dropped, what it refuses is skipped.
pub(in super::super) fn send(
    socket: &UdpSocket,
    names: &[Option<Name>],
    data: &[BytesMut],
) -> Outcome {
    // Past the runtime, which at first does not know that a socket can be written.
    let writer = SockRef::from(socket);
    let mut outcome = Outcome::default();
    for (index, (name, data_of_one)) in names.iter().zip(data).enumerate() {
        let Some(name) = name else {
            continue;
        };
        match writer.send_to(data_of_one, &(*name).into()) {
            Ok(_) => {
                outcome.packets += 1;
                outcome.bytes += data_of_one.len() as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                outcome.dropped += (data.len() - index) as u64;
                return outcome;
            }
            Err(_) => outcome.dropped += 1,
        }
    }
    outcome
}
