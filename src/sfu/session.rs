//! The handle of a session, what can be asked of it, and what it tells.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::Error;

/// How many requests may wait for a session; who asks then waits.
pub(super) const REQUESTS_MAX: usize = 1024;

/// A peer's id: given by whoever joins it, unique within the session, at most 64 characters of `A-Za-z0-9_-`. It is the stream
/// id (`msid`) of what the peer publishes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(Arc<str>);

impl PeerId {
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Audio,
    Video,
}

/// Where a track comes from; told by the section of the offer that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Mic,
    Camera,
    Screen,
}

impl Source {
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Mic => Kind::Audio,
            Self::Camera | Self::Screen => Kind::Video,
        }
    }
}

/// What a session carries, hence which sections its offers have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Media {
    /// Data channels alone.
    #[default]
    None,
    Audio,
    /// Audio, camera and screen.
    Video,
}

/// Simulcast layers, low to high: `q`, `h`, `f` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    Quarter,
    Half,
    Full,
}

impl Layer {
    pub const ALL: [Self; 3] = [Self::Quarter, Self::Half, Self::Full];

    /// The RTP stream id (RFC 8852).
    #[must_use]
    pub fn rid(self) -> &'static str {
        match self {
            Self::Quarter => "q",
            Self::Half => "h",
            Self::Full => "f",
        }
    }

    #[must_use]
    pub fn from_rid(rid: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layer| layer.rid() == rid)
    }
}

/// A published track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    pub peer: PeerId,
    /// Unique within the session; the track id of `msid`.
    pub id: Arc<str>,
    pub source: Source,
}

/// A data channel that the server opens to each peer. A channel of the same label that the client makes takes its place.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    pub label: &'static str,
    /// Ordered and retransmitted; else neither (`ordered: false, maxRetransmits: 0`).
    pub is_reliable: bool,
}

/// What a peer may publish. What it may not is received and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publishing {
    pub audio: bool,
    pub camera: bool,
    pub screen: bool,
}

impl Default for Publishing {
    fn default() -> Self {
        Self {
            audio: true,
            camera: true,
            screen: true,
        }
    }
}

/// A peer that is to join.
#[derive(Clone, Debug)]
pub struct Join {
    pub peer: PeerId,
    pub media: Media,
    /// Whether the camera's section asks for three layers.
    pub is_simulcast: bool,
    pub channels: Vec<Channel>,
    pub publishing: Publishing,
}

/// A trickled candidate (RFC 8840).
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    pub candidate: String,
    pub mid: Option<String>,
    pub line: Option<u16>,
}

/// What a data channel carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    Text(Arc<str>),
    Binary(Bytes),
}

/// Who gets a message.
#[derive(Clone, Debug)]
pub enum To {
    All,
    AllBut(PeerId),
    Only(PeerId),
    These(Arc<[PeerId]>),
}

/// A message to peers. Who has no open channel of the label gets it when it opens, unless it never does.
#[derive(Clone, Debug)]
pub struct Message {
    pub to: To,
    pub label: &'static str,
    pub payload: Payload,
}

/// What a subscriber wants of a publisher's track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The best that its bandwidth takes.
    Auto,
    /// This layer or the next lower one that there is; less while its bandwidth does not take it.
    Layer(Layer),
    Off,
}

#[derive(Clone, Debug)]
pub struct Subscription {
    pub subscriber: PeerId,
    pub publisher: PeerId,
    /// All tracks of the publisher where it is not said.
    pub source: Option<Source>,
    pub choice: Choice,
}

/// Why a peer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// By [`Session::remove`], with its reason.
    Removed(&'static str),
    /// The client closed the connection.
    Closed,
    /// It is silent: vanished, or its ICE or DTLS never completed.
    Lost,
    /// It broke a bound: a message too long, or it reads too slowly.
    Faulty,
    /// The session was closed.
    Ended,
}

impl Leave {
    /// As clients are told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Removed(why) => why,
            Self::Closed => "left",
            Self::Lost => "connection_lost",
            Self::Faulty => "protocol_error",
            Self::Ended => "room_closed",
        }
    }
}

/// What a session tells.
#[derive(Debug)]
pub enum Event {
    /// ICE and DTLS are done.
    Connected {
        peer: PeerId,
    },
    /// Messages can be sent on the channel.
    ChannelOpen {
        peer: PeerId,
        label: Arc<str>,
    },
    /// A message from a peer. While events are not taken, peers are slowed down; none is lost on reliable channels.
    Message {
        peer: PeerId,
        label: Arc<str>,
        payload: Payload,
    },
    /// An offer that the peer must be sent and has to answer with the same number.
    Offer {
        peer: PeerId,
        sdp: String,
        seq: u64,
    },
    /// A track's first packet came.
    Published(Track),
    Unpublished(Track),
    /// Who speaks has changed; at most twice a second.
    ActiveSpeaker {
        peer: PeerId,
    },
    /// The last event of a peer.
    Left {
        peer: PeerId,
        why: Leave,
    },
}

/// One direction of a peer's media.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flow {
    pub bitrate_bps: u64,
    /// 0 to 1, of the last seconds.
    pub loss: f64,
    pub packets: u64,
    pub retransmitted: u64,
}

/// What is measured of a peer.
#[derive(Clone, Debug)]
pub struct PeerStats {
    pub peer: PeerId,
    pub rtt_ms: Option<f64>,
    pub up: Flow,
    pub down: Flow,
    /// The estimate of what the peer can receive.
    pub available_bps: Option<u64>,
    /// The highest layer that it is sent.
    pub layer: Option<Layer>,
    pub is_connected: bool,
    pub is_speaking: bool,
}

/// An answer to come.
pub(super) type Reply<T> = oneshot::Sender<T>;

/// What a handle asks of its session's task.
#[derive(Debug)]
pub(super) enum Request {
    Join(Box<Join>, Reply<Result<String, Error>>),
    Answer {
        peer: PeerId,
        sdp: String,
        seq: Option<u64>,
        reply: Reply<Result<(), Error>>,
    },
    Offer {
        peer: PeerId,
        sdp: String,
        reply: Reply<Result<String, Error>>,
    },
    Candidate {
        peer: PeerId,
        candidate: Candidate,
        reply: Reply<Result<(), Error>>,
    },
    Remove {
        peer: PeerId,
        why: &'static str,
        reply: Reply<Result<(), Error>>,
    },
    Send(Message),
    Behind {
        peer: PeerId,
        label: &'static str,
        reply: Reply<Result<usize, Error>>,
    },
    Subscribe(Subscription, Reply<Result<(), Error>>),
    Allow {
        peer: PeerId,
        publishing: Publishing,
        reply: Reply<Result<(), Error>>,
    },
    Tracks(Reply<Vec<Track>>),
    Stats(Reply<Vec<PeerStats>>),
    Close(Reply<()>),
}

/// A live room of peers: a cheap handle. The session ends when it is closed or all handles are gone.
#[derive(Clone, Debug)]
pub struct Session {
    pub(super) requests: mpsc::Sender<Request>,
}

impl Session {
    /// Lets a peer in; gives the server's offer, with all candidates of the server and all present tracks.
    ///
    /// # Errors
    /// [`Error::PeerExists`], [`Error::Full`], [`Error::Closed`].
    pub async fn join(&self, join: Join) -> Result<String, Error> {
        self.ask(|reply| Request::Join(Box::new(join), reply))
            .await?
    }

    /// The peer's answer to an offer: to the last one where no number is given.
    ///
    /// # Errors
    /// [`Error::UnknownPeer`], [`Error::WrongState`], [`Error::BadDescription`], [`Error::Closed`].
    pub async fn answer(&self, peer: &PeerId, sdp: String, seq: Option<u64>) -> Result<(), Error> {
        let peer = peer.clone();
        self.ask(|reply| Request::Answer {
            peer,
            sdp,
            seq,
            reply,
        })
        .await?
    }

    /// The peer's own offer; gives the answer.
    ///
    /// # Errors
    /// [`Error::UnknownPeer`], [`Error::Glare`], [`Error::BadDescription`], [`Error::Closed`].
    pub async fn offer(&self, peer: &PeerId, sdp: String) -> Result<String, Error> {
        let peer = peer.clone();
        self.ask(|reply| Request::Offer { peer, sdp, reply })
            .await?
    }

    /// A candidate of the peer; kept where it comes before a description. An empty one ends them.
    ///
    /// # Errors
    /// [`Error::UnknownPeer`], [`Error::BadCandidate`], [`Error::Closed`].
    pub async fn candidate(&self, peer: &PeerId, candidate: Candidate) -> Result<(), Error> {
        let peer = peer.clone();
        self.ask(|reply| Request::Candidate {
            peer,
            candidate,
            reply,
        })
        .await?
    }

    /// Ends a peer's connection at once.
    ///
    /// # Errors
    /// [`Error::UnknownPeer`], [`Error::Closed`].
    pub async fn remove(&self, peer: &PeerId, why: &'static str) -> Result<(), Error> {
        let peer = peer.clone();
        self.ask(|reply| Request::Remove { peer, why, reply })
            .await?
    }

    /// Sends a message to peers; they get messages in the order in which they were sent.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn send(&self, message: Message) -> Result<(), Error> {
        self.requests
            .send(Request::Send(message))
            .await
            .map_err(|_| Error::Closed)
    }

    /// How many bytes of messages on a channel the peer has not acknowledged yet. Who sends much asks, and waits: a peer that is
    /// too far behind is removed.
    ///
    /// # Errors
    /// [`Error::UnknownPeer`], [`Error::Closed`].
    pub async fn behind(&self, peer: &PeerId, label: &'static str) -> Result<usize, Error> {
        let peer = peer.clone();
        self.ask(|reply| Request::Behind { peer, label, reply })
            .await?
    }

    /// What a subscriber wants of a publisher.
    ///
    /// # Errors
    /// [`Error::UnknownPeer`], [`Error::Closed`].
    pub async fn subscribe(&self, subscription: Subscription) -> Result<(), Error> {
        self.ask(|reply| Request::Subscribe(subscription, reply))
            .await?
    }

    /// Changes what a peer may publish.
    ///
    /// # Errors
    /// [`Error::UnknownPeer`], [`Error::Closed`].
    pub async fn allow(&self, peer: &PeerId, publishing: Publishing) -> Result<(), Error> {
        let peer = peer.clone();
        self.ask(|reply| Request::Allow {
            peer,
            publishing,
            reply,
        })
        .await?
    }

    /// What is published now.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn tracks(&self) -> Result<Vec<Track>, Error> {
        self.ask(Request::Tracks).await
    }

    /// What is measured of each peer.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn stats(&self) -> Result<Vec<PeerStats>, Error> {
        self.ask(Request::Stats).await
    }

    /// Ends all connections and the session. Without effect on a closed one.
    pub async fn close(&self) {
        let _ = self.ask(Request::Close).await;
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(request(reply))
            .await
            .map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)
    }
}
