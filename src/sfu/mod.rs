//! The media plane: rooms of peers on one UDP port. It forwards RTP without transcoding and carries data channels.
//!
//! It knows peers, tracks and channels, and nothing of users, rights, databases or HTTP: whoever opens a [`Session`] decides who
//! joins it and what messages mean.
//!
//! # How a packet flows
//!
//! ```text
//! UDP port --recvmmsg--> net: which peer? (STUN user name once, checked; then by source address)
//!     --> the session's inbox --> the session's task: the peer's connection (ICE, DTLS, SRTP; sans-I/O, `webrtc`)
//!         --> publisher: header read once, key frame? level? --> per subscriber: wanted layer? sequence and timestamp rewritten
//!         --> the subscriber's connection (SRTP) --> one batch --sendmmsg--> UDP port
//! ```
//!
//! A session is one task that owns all its peers. So a packet crosses one queue on its way, and no lock is held while it is
//! forwarded; sessions share nothing but the socket. Nothing waits for a subscriber: what a socket does not take is dropped and
//! counted, and asked for again.
//!
//! | file | holds |
//! | --- | --- |
//! | `port` | the UDP port: starting, stopping, what all sessions share |
//! | `session` | the handle of a session: what can be asked of it, and what it tells |
//! | `task` | the session's task: peers, tracks and who is sent them, forwarding |
//! | `peer` | one client's connection: sections, offers and answers, channels |
//! | `interceptors` | what stands between the wire and a connection's tracks |
//! | `media` | the pure parts: codecs, rewriting, layers, the estimate, speakers |
//! | `net` | the UDP port itself: batches, and whose a datagram is |

mod error;
mod interceptors;
mod media;
mod net;
mod peer;
mod port;
mod session;
mod task;

pub use self::error::Error;
pub use self::port::{Metrics, Options, Sfu};
pub use self::session::{
    Candidate, Channel, Choice, Event, Join, Kind, Layer, Leave, Media, Message, Payload, PeerId,
    PeerStats, Publishing, Session, Source, Subscription, To, Track,
};
