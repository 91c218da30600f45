//! A WebRTC client for tests and benches: it answers a server's offers, publishes synthetic media, counts what it receives,
//! talks on data channels, and misbehaves on request.
//!
//! It runs on the sans-I/O core of `rtc`: one task and one UDP socket per peer, on whatever tokio runtime it is made in. A
//! dropped [`Peer`] vanishes without a word, as a killed browser does; [`Peer::close`] says goodbye.
//!
//! ```no_run
//! # async fn example(offer: &str) -> anyhow::Result<()> {
//! use rotunda_peer::{Payload, Peer, Plan, Publication};
//!
//! let (peer, answer) = Peer::answer(offer, Plan::publishing([Publication::camera()])).await?;
//! // ... give the answer to the server ...
//! peer.connected().await?;
//! peer.opened("events").await?;
//! peer.send("events", Payload::text("hello")).await?;
//! let reply = peer.message("events").await?;
//! peer.until("video of the other", |stats| stats.tracks.iter().any(|t| t.packets > 100)).await?;
//! # Ok(()) }
//! ```
//!
//! What it costs: with [`Plan::is_decoding`] each packet is decrypted, checked for loss and repaired by NACK. Without, RTP is
//! counted by its header, which SRTP leaves readable (RFC 3711, section 3.1), and is not decrypted; then there are no NACKs, no
//! receiver reports and no transport-wide feedback, and key frames and latencies are unknown. A load generator decodes in a few
//! peers and counts in the others.

mod connection;
mod description;
mod driver;
mod feedback;
mod handle;
mod inbound;
mod media;
mod plan;
mod stats;
#[cfg(test)]
mod tests;

pub use handle::{DEADLINE, Peer};
pub use media::clock_nanos;
pub use plan::{Direction, Loss, OnMessage, Payload, Plan, Publication, Reading, Source};
pub use stats::{Ended, Kind, Stats, Track};
