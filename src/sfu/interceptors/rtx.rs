//! Retransmissions of publishers (RFC 4588), turned back into the packets that were lost.
//!
//! The crate does it after its interceptors, so its NACK generator never learns that a loss was repaired and asks again and again.
//! Here it happens before. Packets that are there already are dropped. A packet without an original (padding, sent to probe the
//! path) passes as it is: the feedback for the publisher's bandwidth must count it.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtp;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

use super::queue::Queues;

/// Streams that are known at once; a connection that announces more gets no repair for the others.
const STREAMS_MAX: usize = 64;
/// How far back duplicates are known.
const WINDOW: usize = 1024;
const RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const REPAIRED_RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";

/// A stream that a publisher sends, and what came of it.
struct Primary {
    payload_type: u8,
    rid: Option<Box<[u8]>>,
    highest: Option<u16>,
    seen: [u64; WINDOW / 64],
}

/// See the module.
#[derive(Default)]
pub(crate) struct RtxReceiver {
    primaries: HashMap<u32, Primary>,
    /// The primary of each stream of retransmissions.
    repairs: HashMap<u32, u32>,
    rid_id: Option<u8>,
    repaired_rid_id: Option<u8>,
    queues: Queues,
}

impl RtxReceiver {
    /// Notes the layer that a stream's packets name, which is how layers without announced numbers are told apart (RFC 8852).
    fn learn(&mut self, header: &rtp::Header) {
        if header.extensions.is_empty() {
            return;
        }
        if let Some(rid) = self.repaired_rid_id.and_then(|id| header.get_extension(id))
            && !self.repairs.contains_key(&header.ssrc)
            && self.repairs.len() < STREAMS_MAX
            && let Some(primary) = self
                .primaries
                .iter()
                .find(|(_, primary)| primary.rid.as_deref() == Some(rid.as_ref()))
                .map(|(ssrc, _)| *ssrc)
        {
            self.repairs.insert(header.ssrc, primary);
        }
        if let Some(rid) = self.rid_id.and_then(|id| header.get_extension(id))
            && let Some(primary) = self.primaries.get_mut(&header.ssrc)
            && primary.rid.as_deref() != Some(rid.as_ref())
        {
            primary.rid = Some(rid.as_ref().into());
        }
    }

    /// Restores a retransmitted packet, and tells whether the packet is to go on.
    fn take(&mut self, packet: &mut rtp::Packet) -> bool {
        self.learn(&packet.header);
        let header = &mut packet.header;
        if let Some(ssrc) = self.repairs.get(&header.ssrc)
            && let Some(primary) = self.primaries.get(ssrc)
        {
            let Some(original) = packet.payload.first_chunk::<2>() else {
                return true;
            };
            header.sequence_number = u16::from_be_bytes(*original);
            header.ssrc = *ssrc;
            header.payload_type = primary.payload_type;
            header.padding = false;
            packet.payload = packet.payload.slice(2..);
        }
        match self.primaries.get_mut(&packet.header.ssrc) {
            Some(primary) => primary.is_first(packet.header.sequence_number),
            None => true,
        }
    }
}

impl Primary {
    fn new(payload_type: u8) -> Self {
        Self {
            payload_type,
            rid: None,
            highest: None,
            seen: [0; WINDOW / 64],
        }
    }

    /// Whether the number did not come before. Numbers behind the window go on: the source may have begun anew.
    fn is_first(&mut self, seq: u16) -> bool {
        let highest = *self.highest.get_or_insert(seq.wrapping_sub(1));
        let ahead = seq.wrapping_sub(highest).cast_signed();
        if ahead > 0 {
            if usize::from(ahead.unsigned_abs()) >= WINDOW {
                self.seen.fill(0);
            } else {
                for step in 1..=ahead.unsigned_abs() {
                    self.set(highest.wrapping_add(step), false);
                }
            }
            self.highest = Some(seq);
        } else if usize::from(ahead.unsigned_abs()) >= WINDOW {
            return true;
        }
        !self.set(seq, true)
    }

    /// Sets a bit; gives what it was.
    fn set(&mut self, seq: u16, is_seen: bool) -> bool {
        let slot = usize::from(seq) % WINDOW;
        let Some(word) = self.seen.get_mut(slot / 64) else {
            return false;
        };
        let bit = 1 << (slot % 64);
        let was = *word & bit != 0;
        if is_seen {
            *word |= bit;
        } else {
            *word &= !bit;
        }
        was
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for RtxReceiver {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut msg: TaggedPacket) -> Result<(), Error> {
        let goes_on = match &mut msg.message.packet {
            Packet::Rtp(packet) => self.take(packet),
            _ => true,
        };
        if goes_on {
            self.queues.read.push_back(msg);
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.queues.read.pop_front()
    }

    fn handle_write(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        self.queues.write.push_back(msg);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.queues.write.pop_front()
    }
}

impl Interceptor for RtxReceiver {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}

    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        let id_of = |uri| {
            info.rtp_header_extensions
                .iter()
                .find(|extension| extension.uri == uri)
                .and_then(|extension| u8::try_from(extension.id).ok())
        };
        self.rid_id = id_of(RID_URI).or(self.rid_id);
        self.repaired_rid_id = id_of(REPAIRED_RID_URI).or(self.repaired_rid_id);
        // The crate binds streams of retransmissions too; they have no numbers of their own here.
        if self.repairs.contains_key(&info.ssrc) || self.primaries.len() >= STREAMS_MAX {
            return;
        }
        self.primaries
            .entry(info.ssrc)
            .or_insert_with(|| Primary::new(info.payload_type))
            .payload_type = info.payload_type;
        if let Some(rtx) = info.ssrc_rtx
            && self.repairs.len() < STREAMS_MAX
        {
            self.primaries.remove(&rtx);
            self.repairs.insert(rtx, info.ssrc);
        }
    }

    fn unbind_remote_stream(&mut self, info: &StreamInfo) {
        self.primaries.remove(&info.ssrc);
        self.repairs
            .retain(|rtx, primary| *rtx != info.ssrc && *primary != info.ssrc);
    }
}

/// Keeps streams of retransmissions from an interceptor that watches for gaps: what is left of them is padding, and the numbers
/// between are packets that were restored.
pub(crate) struct MediaOnly<I> {
    inner: I,
    repairs: HashSet<u32>,
}

impl<I> MediaOnly<I> {
    pub(crate) fn new(inner: I) -> Self {
        Self {
            inner,
            repairs: HashSet::new(),
        }
    }
}

impl<I: Interceptor> Protocol<TaggedPacket, TaggedPacket, ()> for MediaOnly<I> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        self.inner.handle_read(msg)
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inner.poll_read()
    }

    fn handle_write(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        self.inner.handle_write(msg)
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.inner.poll_write()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.inner.handle_timeout(now)
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.inner.poll_timeout()
    }

    fn close(&mut self) -> Result<(), Error> {
        self.inner.close()
    }
}

impl<I: Interceptor> Interceptor for MediaOnly<I> {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        self.inner.bind_local_stream(info);
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.inner.unbind_local_stream(info);
    }

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        // A stream is bound before that of its retransmissions.
        if let Some(rtx) = info.ssrc_rtx
            && self.repairs.len() < STREAMS_MAX
        {
            self.repairs.insert(rtx);
        }
        if !self.repairs.contains(&info.ssrc) {
            self.inner.bind_remote_stream(info);
        }
    }

    fn unbind_remote_stream(&mut self, info: &StreamInfo) {
        if let Some(rtx) = info.ssrc_rtx {
            self.repairs.remove(&rtx);
        }
        self.inner.unbind_remote_stream(info);
    }
}

#[cfg(test)]
mod tests;
