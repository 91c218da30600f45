//! What a session sends, collected into batches.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::net::UdpSocket;

use super::counters::{Counters, add};
use super::port::Port;
use super::socket::{self, BATCH_MAX, Name};

/// A session's way out: never waits; what the socket does not take is dropped and counted.
pub(crate) struct Outgoing {
    /// None once the port is closed.
    socket: Option<Arc<UdpSocket>>,
    is_ipv6: bool,
    counters: Arc<Counters>,
    names: Vec<Option<Name>>,
    data: Vec<BytesMut>,
    /// Datagrams to where the socket does not reach, not counted yet.
    unreachable: u64,
}

impl Outgoing {
    pub(crate) fn new(port: &Port) -> Self {
        Self {
            socket: port.socket(),
            is_ipv6: port.addr().is_ipv6(),
            counters: port.counters(),
            names: Vec::with_capacity(BATCH_MAX),
            data: Vec::with_capacity(BATCH_MAX),
            unreachable: 0,
        }
    }

    /// Adds a datagram to the batch; sends the batch when it is full.
    pub(crate) fn push(&mut self, to: SocketAddr, data: BytesMut) {
        match socket::name(to, self.is_ipv6) {
            Some(name) => {
                self.names.push(Some(name));
                self.data.push(data);
            }
            None => self.unreachable += 1,
        }
        if self.data.len() >= BATCH_MAX {
            self.flush();
        }
    }

    /// Sends what has been collected.
    pub(crate) fn flush(&mut self) {
        let sent = &self.counters.outgoing;
        if !self.data.is_empty() {
            match &self.socket {
                Some(socket) => {
                    let outcome = socket::send(socket, &self.names, &self.data);
                    add(&sent.packets, outcome.packets);
                    add(&sent.bytes, outcome.bytes);
                    add(&sent.dropped, outcome.dropped);
                }
                None => add(&sent.dropped, self.data.len() as u64),
            }
            self.names.clear();
            self.data.clear();
        }
        add(&sent.dropped, std::mem::take(&mut self.unreachable));
    }
}
