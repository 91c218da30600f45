//! The port: its handle, and the task that receives.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rtc::crypto::default_provider;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::counters::{Counters, add};
use super::demux::{Demux, Peer};
use super::inbox::Inbox;
use super::interfaces;
use super::socket::{self, Buffer};

/// How long the task rests when the system refuses to read for a reason of its own.
const REST: Duration = Duration::from_millis(10);

/// The UDP port of all peers: a cheap handle. It receives until it is closed, or all handles and registrations are gone.
#[derive(Clone)]
pub(crate) struct Port {
    parts: Arc<Parts>,
}

struct Parts {
    addr: SocketAddr,
    candidates: Vec<SocketAddr>,
    counters: Arc<Counters>,
    /// Taken out when the port is closed.
    socket: Mutex<Option<Arc<UdpSocket>>>,
    commands: mpsc::UnboundedSender<Command>,
    registered: AtomicU64,
}

/// What the receive task is told. It is not bounded: there are as many as there are peers that come and go.
enum Command {
    Register(Peer),
    Unregister(u64),
    Close,
}

/// Keeps a peer reachable; dropping it frees its ufrag and its addresses. Datagrams that wait in the inbox stay there.
#[must_use]
pub(crate) struct Registration {
    id: u64,
    commands: mpsc::UnboundedSender<Command>,
}

impl Port {
    /// Binds, and starts the receive task. Must be called within a tokio runtime, which the task then runs on.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) fn bind(
        addr: SocketAddr,
        public_ips: &[IpAddr],
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let crypto = default_provider().map_err(io::Error::other)?;
        let socket = Arc::new(socket::open(addr)?);
        let addr = socket.local_addr()?;
        let (commands, taken) = mpsc::unbounded_channel();
        let receiver = Receiver {
            socket: Arc::clone(&socket),
            commands: taken,
            buffer: Buffer::new(addr.is_ipv6()),
            demux: Demux::new(crypto),
            counters: Arc::clone(&counters),
        };
        tokio::spawn(receiver.run());
        Ok(Self {
            parts: Arc::new(Parts {
                addr,
                candidates: interfaces::candidates(addr, public_ips),
                counters,
                socket: Mutex::new(Some(socket)),
                commands,
                registered: AtomicU64::new(0),
            }),
        })
    }

    /// What is bound.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.parts.addr
    }

    /// Where clients are told to send to, the likeliest first.
    pub(crate) fn candidates(&self) -> &[SocketAddr] {
        &self.parts.candidates
    }

    /// From now on datagrams of the client that was given this ufrag and password come to the inbox, with the tag: first its
    /// binding requests, then all from where they came.
    pub(crate) fn register(&self, ufrag: &str, pwd: &str, tag: u32, inbox: &Inbox) -> Registration {
        let id = self.parts.registered.fetch_add(1, Relaxed);
        let commands = self.parts.commands.clone();
        // The task takes all commands after it has read a batch and before it looks anybody up. So whoever sends after this
        // function has returned is found. A port that is closed takes none.
        let _ = commands.send(Command::Register(Peer {
            id,
            ufrag: ufrag.as_bytes().into(),
            password: pwd.as_bytes().into(),
            tag,
            inbox: inbox.clone(),
        }));
        Registration { id, commands }
    }

    /// Ends the receive task. The system gets the port back when those who send have let go of it too.
    pub(crate) fn close(&self) {
        let _ = self.parts.commands.send(Command::Close);
        self.parts
            .socket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Waits until the receive task has ended.
    pub(crate) async fn closed(&self) {
        self.parts.commands.closed().await;
    }

    pub(super) fn socket(&self) -> Option<Arc<UdpSocket>> {
        self.parts
            .socket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.parts.counters)
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("addr", &self.parts.addr)
            .finish_non_exhaustive()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Unregister(self.id));
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The receive task: owns the tables, so that looking a peer up needs no lock.
struct Receiver {
    socket: Arc<UdpSocket>,
    commands: mpsc::UnboundedReceiver<Command>,
    buffer: Buffer,
    demux: Demux,
    counters: Arc<Counters>,
}

impl Receiver {
    async fn run(mut self) {
        loop {
            tokio::select! {
                command = self.commands.recv() => {
                    if !self.obey(command) {
                        return;
                    }
                }
                // An error shows when the socket is read.
                _ = self.socket.readable() => {
                    let outcome = socket::receive(&self.socket, &mut self.buffer);
                    while let Ok(command) = self.commands.try_recv() {
                        if !self.obey(Some(command)) {
                            return;
                        }
                    }
                    match outcome {
                        Ok(()) => self.hand_over(),
                        Err(error) => rest(&error).await,
                    }
                }
            }
        }
    }

    /// Whether the task goes on.
    fn obey(&mut self, command: Option<Command>) -> bool {
        match command {
            Some(Command::Register(peer)) => self.demux.register(peer, Instant::now()),
            Some(Command::Unregister(id)) => self.demux.unregister(id),
            Some(Command::Close) | None => return false,
        }
        true
    }

    fn hand_over(&mut self) {
        let now = Instant::now();
        let mut too_long = 0;
        for datagram in self.buffer.datagrams() {
            match datagram {
                Some((from, data)) => self.demux.put(from, data, now),
                None => too_long += 1,
            }
        }
        let tally = self.demux.flush();
        let counters = &self.counters.incoming;
        add(&counters.packets, tally.packets + too_long);
        add(&counters.bytes, tally.bytes);
        add(&counters.unknown, tally.unknown + too_long);
        add(&counters.refused, tally.refused);
        add(&counters.overflowed, tally.overflowed);
    }
}

/// After a read that gave nothing. What ICMP tells about other datagrams (ECONNREFUSED and the like) is no reason to stop.
async fn rest(error: &io::Error) {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable,
        WouldBlock,
    };
    match error.kind() {
        WouldBlock | Interrupted => {}
        ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable => {}
        _ => {
            tracing::warn!(%error, "The media port cannot be read.");
            tokio::time::sleep(REST).await;
        }
    }
}
