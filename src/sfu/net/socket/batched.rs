//! Many datagrams per system call (Linux).

use std::array;
use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::thread::LocalKey;

use bytes::BytesMut;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage,
    recvmmsg, sendmmsg,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::{BATCH_MAX, DATAGRAM_BYTES_MAX, Outcome, mapped, unmapped};

/// A destination, as the system takes it.
pub(in super::super) type Name = SockaddrStorage;

/// `None` where the socket cannot reach it.
pub(in super::super) fn name(to: SocketAddr, is_ipv6_socket: bool) -> Option<Name> {
    match to {
        _ if is_ipv6_socket => Some(mapped(to).into()),
        SocketAddr::V4(to) => Some(to.into()),
        SocketAddr::V6(_) => None,
    }
}

// The headers hold pointers, hence cannot move with a task from thread to thread; each thread has its own. Every call sets all
// pointers that the system reads, but the lengths of received names are those of the last call: one set per family.
thread_local! {
    static FROM_IPV4: RefCell<MultiHeaders<SockaddrIn>> = RefCell::new(MultiHeaders::preallocate(BATCH_MAX, None));
    static FROM_IPV6: RefCell<MultiHeaders<SockaddrIn6>> = RefCell::new(MultiHeaders::preallocate(BATCH_MAX, None));
    static TO: RefCell<MultiHeaders<SockaddrStorage>> = RefCell::new(MultiHeaders::preallocate(BATCH_MAX, None));
}

/// A batch that was received.
pub(in super::super) struct Buffer {
    bytes: Vec<u8>,
    /// Source and length of each datagram; none where it was too long.
    received: Vec<Option<(SocketAddr, usize)>>,
    is_ipv6: bool,
}

impl Buffer {
    pub(in super::super) fn new(is_ipv6_socket: bool) -> Self {
        Self {
            bytes: vec![0; BATCH_MAX * DATAGRAM_BYTES_MAX],
            received: Vec::with_capacity(BATCH_MAX),
            is_ipv6: is_ipv6_socket,
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
    let outcome = socket.try_io(Interest::READABLE, || {
        let fd = socket.as_raw_fd();
        let Buffer {
            bytes, received, ..
        } = buffer;
        let count = if buffer.is_ipv6 {
            read(fd, &FROM_IPV6, bytes, received)
        } else {
            read(fd, &FROM_IPV4, bytes, received)
        }?;
        if count < BATCH_MAX {
            // All that there was: the next call can wait for the system's word instead of asking for nothing.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    });
    match outcome {
        Err(_) if !buffer.received.is_empty() => Ok(()),
        outcome => outcome,
    }
}

fn read<S: SockaddrLike + Copy + Into<SocketAddr>>(
    fd: i32,
    headers: &'static LocalKey<RefCell<MultiHeaders<S>>>,
    bytes: &mut [u8],
    received: &mut Vec<Option<(SocketAddr, usize)>>,
) -> io::Result<usize> {
    headers.with_borrow_mut(|headers| {
        let mut chunks = bytes.chunks_exact_mut(DATAGRAM_BYTES_MAX);
        let mut slices: [_; BATCH_MAX] =
            array::from_fn(|_| [IoSliceMut::new(chunks.next().unwrap_or_default())]);
        let messages = recvmmsg(fd, headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        received.extend(messages.map(|message| {
            let is_whole = !message.flags.contains(MsgFlags::MSG_TRUNC);
            message
                .address
                .filter(|_| is_whole)
                .map(|from| (unmapped(from.into()), message.bytes))
        }));
        Ok(received.len())
    })
}

/// Sends without waiting: what the socket does not take now is dropped, what it refuses is skipped.
pub(in super::super) fn send(
    socket: &UdpSocket,
    names: &[Option<Name>],
    data: &[BytesMut],
) -> Outcome {
    let mut outcome = Outcome::default();
    for (names, data) in names.chunks(BATCH_MAX).zip(data.chunks(BATCH_MAX)) {
        TO.with_borrow_mut(|headers| {
            let slices: [_; BATCH_MAX] =
                array::from_fn(|index| [IoSlice::new(data.get(index).map_or(&[], |data| data))]);
            send_all(data, &mut outcome, |at| {
                let slices = slices.get(at..data.len()).unwrap_or_default();
                let names = names.get(at..).unwrap_or_default();
                let none: [ControlMessage<'_>; 0] = [];
                let flags = MsgFlags::MSG_DONTWAIT;
                sendmmsg(socket.as_raw_fd(), headers, slices, names, none, flags)
                    .map(Iterator::count)
            });
        });
    }
    outcome
}

/// Sends all by `attempt`, which sends from an index on as many as it can, and says why not even one.
fn send_all(
    data: &[BytesMut],
    outcome: &mut Outcome,
    mut attempt: impl FnMut(usize) -> nix::Result<usize>,
) {
    let mut at = 0;
    while at < data.len() {
        match attempt(at) {
            Ok(sent) if sent > 0 => {
                let taken = data.iter().skip(at).take(sent);
                outcome.packets += sent as u64;
                outcome.bytes += taken.map(|data| data.len() as u64).sum::<u64>();
                at += sent;
            }
            Err(Errno::EINTR) => {}
            // The socket is full, or the interface's queue, or memory is short: so it will be for the rest.
            Ok(_) | Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM) => {
                outcome.dropped += (data.len() - at) as u64;
                return;
            }
            // Of this destination alone: no route, forbidden, too long for the way.
            Err(_) => {
                outcome.dropped += 1;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends ten datagrams of one byte; gives what came of it, and from where on each attempt was made.
    fn attempts(results: &[nix::Result<usize>]) -> (Outcome, Vec<usize>) {
        let data = vec![BytesMut::zeroed(1); 10];
        let mut outcome = Outcome::default();
        let mut made = Vec::new();
        let mut results = results.iter();
        send_all(&data, &mut outcome, |at| {
            made.push(at);
            *results.next().unwrap()
        });
        (outcome, made)
    }

    #[test]
    fn a_full_socket_drops_the_rest() {
        let dropped = Outcome {
            packets: 4,
            bytes: 4,
            dropped: 6,
        };
        let (outcome, made) = attempts(&[Ok(4), Err(Errno::EAGAIN)]);
        assert_eq!((outcome, made), (dropped, vec![0, 4]));
    }

    #[test]
    fn a_destination_that_is_refused_is_skipped_alone() {
        let skipped = Outcome {
            packets: 8,
            bytes: 8,
            dropped: 2,
        };
        for errno in [Errno::ENETUNREACH, Errno::EPERM, Errno::EMSGSIZE] {
            let (outcome, made) = attempts(&[Err(errno), Ok(3), Err(errno), Ok(5)]);
            assert_eq!((outcome, made), (skipped, vec![0, 1, 4, 5]));
        }
    }

    #[test]
    fn an_interruption_drops_nothing() {
        let (outcome, made) = attempts(&[Err(Errno::EINTR), Ok(2), Err(Errno::EINTR), Ok(8)]);
        assert_eq!((outcome.dropped, made), (0, vec![0, 0, 2, 2]));
    }
}
