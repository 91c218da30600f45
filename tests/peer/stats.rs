//! What a peer has seen.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    Audio,
    #[default]
    Video,
}

/// How a peer's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By [`crate::Peer::close`] or [`crate::Peer::vanish`].
    Here,
    /// The server closed it.
    Closed,
    /// ICE or DTLS failed, or the server was silent for too long.
    Failed,
}

/// A received track: one SSRC, with its retransmissions.
#[derive(Clone, Debug)]
pub struct Track {
    pub ssrc: u32,
    /// The section of the offer; empty where none names the SSRC.
    pub mid: String,
    /// The first part of `msid`: for a browser the stream's id.
    pub stream_id: String,
    pub track_id: String,
    pub kind: Kind,
    pub first_at: Instant,
    pub last_at: Instant,
    /// Different packets, repaired ones included.
    pub packets: u64,
    /// Of datagrams, retransmitted ones included.
    pub bytes: u64,
    /// Sequence numbers between the first and the highest that never came, after repair.
    pub missing: u64,
    pub duplicates: u64,
    /// Packets that came after a higher sequence number, repaired ones included.
    pub late: u64,
    /// Key frames whose first packet came. Decoding peers only.
    pub key_frames: u64,
    /// Whether the first packet began a key frame.
    pub begins_with_key_frame: bool,
    pub last_sequence: u16,
    pub last_timestamp: u32,
    /// Steps of more than 500 packets.
    pub sequence_jumps: u64,
    /// Steps of more than 5 seconds of media.
    pub timestamp_jumps: u64,
    /// Sequence numbers asked for again.
    pub nacked: u64,
    /// Frames whose VP8 picture id is not the one after the last. Decoding peers only.
    pub picture_jumps: u64,
    /// The last audio level seen, in -dBov. Decoding peers only.
    pub level: Option<u8>,
}

/// A snapshot.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub is_connected: bool,
    pub ended: Option<Ended>,
    /// From the start of the peer until ICE and DTLS were done.
    pub connected_after: Option<Duration>,
    /// Labels of open channels.
    pub open: Vec<String>,
    pub tracks: Vec<Track>,
    /// Packets of SSRCs that no description names and that are no retransmission.
    pub unknown_packets: u64,
    pub rtx_packets: u64,
    pub messages: u64,
    pub message_bytes: u64,
    /// RTP packets that were sent, lost ones included.
    pub sent_packets: u64,
    pub sent_bytes: u64,
    pub sent_key_frames: u64,
    /// PLI and FIR that came.
    pub key_frame_requests: u64,
    pub nacks_received: u64,
    pub transport_feedback_received: u64,
    /// The last bandwidth estimate that the server told (REMB).
    pub remb_bps: Option<u64>,
    /// Datagrams that the loss took.
    pub lost_up: u64,
    pub lost_down: u64,
    pub datagrams_received: u64,
    pub datagrams_sent: u64,
}

impl Stats {
    /// Different RTP packets, over all tracks.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.tracks.iter().map(|track| track.packets).sum()
    }

    #[must_use]
    pub fn missing(&self) -> u64 {
        self.tracks.iter().map(|track| track.missing).sum()
    }

    /// The tracks of a publisher, by the first part of `msid`.
    pub fn tracks_of<'a>(&'a self, stream_id: &'a str) -> impl Iterator<Item = &'a Track> {
        self.tracks
            .iter()
            .filter(move |track| track.stream_id == stream_id)
    }
}
