//! The UDP port of all sessions, and what they share.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::net::{Counters, Port};
use crate::peer::{Identity, Setup, silence_contained};
use crate::session::{Event, REQUESTS_MAX, Session};
use crate::task::{Start, Task};

/// How many events may wait for whoever opened a session.
const EVENTS_MAX: usize = 2048;

/// How the media plane is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port 0 takes a free one.
    pub bind: SocketAddr,
    /// The addresses that clients are told; those of the machine's interfaces where none is given and all are bound.
    pub public_ips: Vec<IpAddr>,
    /// How long a peer may be silent before it is removed.
    pub silence_max: Duration,
    /// How long a peer may take to connect.
    pub connect_max: Duration,
    /// Peers per session.
    pub peers_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([0, 0, 0, 0], 8189)),
            public_ips: Vec::new(),
            silence_max: Duration::from_secs(8),
            connect_max: Duration::from_secs(30),
            peers_max: 500,
        }
    }
}

/// Counters since the start, over all sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    pub sessions: u64,
    pub peers: u64,
    pub packets_received: u64,
    pub bytes_received: u64,
    pub packets_sent: u64,
    pub bytes_sent: u64,
    /// RTP packets handed to subscribers.
    pub packets_forwarded: u64,
    /// Datagrams that the socket did not take, or a session not in time.
    pub packets_dropped: u64,
    /// Datagrams that belong to no peer.
    pub packets_unknown: u64,
    pub nacks_received: u64,
    pub key_frames_requested: u64,
    /// Connections that were given up since the WebRTC library panicked, in this process.
    pub panics: u64,
}

/// The media plane: a cheap handle.
#[derive(Clone)]
pub struct Sfu {
    parts: Arc<Parts>,
}

struct Parts {
    options: Options,
    identity: Identity,
    port: Port,
    counters: Arc<Counters>,
    handle: tokio::runtime::Handle,
    /// The media plane's own threads; none once it is stopped.
    runtime: Mutex<Option<Runtime>>,
    /// The sessions that were opened.
    sessions: Mutex<Vec<mpsc::WeakSender<crate::session::Request>>>,
}

impl std::fmt::Debug for Sfu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sfu")
            .field("addr", &self.addr())
            .finish_non_exhaustive()
    }
}

impl Sfu {
    /// Binds the port and starts the threads of the media plane, which nothing else uses.
    ///
    /// # Errors
    /// When the address cannot be bound, or no threads or keys can be had.
    pub fn start(options: &Options) -> io::Result<Self> {
        silence_contained();
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("media")
            .enable_all()
            .build()?;
        let counters = Arc::<Counters>::default();
        let guard = runtime.enter();
        let port = Port::bind(options.bind, &options.public_ips, Arc::clone(&counters))?;
        drop(guard);
        let identity = Identity::generate().map_err(io::Error::other)?;
        Ok(Self {
            parts: Arc::new(Parts {
                options: options.clone(),
                identity,
                port,
                counters,
                handle: runtime.handle().clone(),
                runtime: Mutex::new(Some(runtime)),
                sessions: Mutex::default(),
            }),
        })
    }

    /// What is bound.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.parts.port.addr()
    }

    /// Opens a session; gives its handle and what it tells. It ends with its last handle.
    #[must_use]
    pub fn open(&self) -> (Session, mpsc::Receiver<Event>) {
        let (requests, asked) = mpsc::channel(REQUESTS_MAX);
        let (events, told) = mpsc::channel(EVENTS_MAX);
        let options = &self.parts.options;
        let start = Start {
            setup: Setup {
                identity: self.parts.identity.clone(),
                candidates: self.parts.port.candidates().into(),
                silence_max: options.silence_max,
            },
            port: self.parts.port.clone(),
            counters: Arc::clone(&self.parts.counters),
            connect_max: options.connect_max,
            peers_max: options.peers_max,
            requests: asked,
            events,
        };
        {
            let mut sessions = self
                .parts
                .sessions
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            sessions.retain(|session| session.strong_count() > 0);
            sessions.push(requests.downgrade());
        }
        self.parts.handle.spawn(Task::run(start));
        (Session { requests }, told)
    }

    /// What was counted.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.parts.counters.metrics()
    }

    /// Closes all sessions, which tells their peers, and gives the port back.
    pub async fn stop(&self) {
        let sessions = std::mem::take(
            &mut *self
                .parts
                .sessions
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for requests in sessions.iter().filter_map(mpsc::WeakSender::upgrade) {
            Session { requests }.close().await;
        }
        self.parts.port.close();
        self.parts.port.closed().await;
        let runtime = self
            .parts
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        // A runtime must not be dropped by one of its own threads, nor inside another runtime: it waits.
        let runtime = self
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}
