//! What a peer is to do.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

/// Where published media pretends to come from. It takes the uplink section of that order in a server's offer: the first audio
/// section, the first and the second video section that the server receives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Mic,
    Camera,
    Screen,
}

/// Synthetic media: Opus of 50 packets/s, or VP8 with key frames, answering PLI and FIR with another one.
#[derive(Clone, Debug)]
pub struct Publication {
    pub source: Source,
    /// Of the highest layer. 1.5 Mbit/s at 30 frames/s makes 150 packets/s.
    pub bitrate_bps: u32,
    /// Video only.
    pub frames_per_second: u32,
    /// Frames between key frames that nobody asked for.
    pub key_frame_interval: u32,
    /// Three layers by RID (`q`, `h`, `f`), where the server's section asks for them.
    pub is_simulcast: bool,
    /// The audio level in -dBov: 0 is the loudest, 127 silence (RFC 6464).
    pub level: u8,
}

impl Publication {
    #[must_use]
    pub fn mic() -> Self {
        Self {
            source: Source::Mic,
            bitrate_bps: 32_000,
            frames_per_second: 50,
            key_frame_interval: 0,
            is_simulcast: false,
            level: 30,
        }
    }

    #[must_use]
    pub fn camera() -> Self {
        Self {
            source: Source::Camera,
            bitrate_bps: 1_500_000,
            frames_per_second: 30,
            key_frame_interval: 900,
            is_simulcast: false,
            level: 127,
        }
    }

    #[must_use]
    pub fn screen() -> Self {
        Self {
            source: Source::Screen,
            ..Self::camera()
        }
    }

    #[must_use]
    pub fn simulcast(mut self) -> Self {
        self.is_simulcast = true;
        self
    }

    #[must_use]
    pub fn bitrate_bps(mut self, bitrate_bps: u32) -> Self {
        self.bitrate_bps = bitrate_bps;
        self
    }

    #[must_use]
    pub fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }
}

/// Part of the media datagrams (RTP and RTCP) to lose, chosen by [`Plan::seed`]. ICE, DTLS and data are never lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    pub up_percent: f64,
    pub down_percent: f64,
}

/// How much a peer reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    #[default]
    Everything,
    /// Media only: data-channel messages stay in the SCTP receive buffer, and its window closes.
    NoMessages,
    /// Nothing: the socket is not read any more.
    Nothing,
}

/// The direction of media that a peer asks for in an offer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Audio,
    Video,
}

/// What a data channel carries.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    Text(String),
    Binary(Bytes),
}

impl Payload {
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text, or nothing where it is binary.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Binary(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

/// What takes a peer's messages in its inbox's place: label and payload. It runs in the peer's task.
pub type OnMessage = Arc<dyn Fn(&str, &Payload) + Send + Sync>;

/// What a peer is to do from its start; most of it can be changed later.
#[derive(Clone)]
pub struct Plan {
    /// The address of its socket.
    pub bind: IpAddr,
    pub publish: Vec<Publication>,
    /// Data channels to open. The server's are there without asking.
    pub channels: Vec<String>,
    /// Whether received RTP is decrypted; see the crate's documentation.
    pub is_decoding: bool,
    /// Whether RTX (RFC 4588) is negotiated; retransmissions come plain otherwise.
    pub has_rtx: bool,
    pub loss: Loss,
    /// Of what is lost, of SSRCs, and of when the first packet goes out.
    pub seed: u64,
    /// It never sends a datagram, hence never finishes ICE.
    pub is_silent: bool,
    pub reading: Reading,
    pub on_message: Option<OnMessage>,
    /// Kernel buffer of the socket, as far as the kernel allows.
    pub receive_buffer_bytes: usize,
    /// How long the server may be silent before the peer takes the connection for failed.
    pub silence_max: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            bind: Ipv4Addr::LOCALHOST.into(),
            publish: Vec::new(),
            channels: Vec::new(),
            is_decoding: true,
            has_rtx: true,
            loss: Loss::default(),
            seed: 1,
            is_silent: false,
            reading: Reading::Everything,
            on_message: None,
            receive_buffer_bytes: 1 << 20,
            silence_max: Duration::from_secs(10),
        }
    }
}

impl Plan {
    /// A peer that publishes, and receives what it is offered.
    #[must_use]
    pub fn publishing(publish: impl IntoIterator<Item = Publication>) -> Self {
        Self {
            publish: publish.into_iter().collect(),
            ..Self::default()
        }
    }

    /// A cheap peer: it counts what it receives and does not decrypt it.
    #[must_use]
    pub fn counting() -> Self {
        Self {
            is_decoding: false,
            ..Self::default()
        }
    }
}
