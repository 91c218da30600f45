//! Packets that subscribers miss, sent again from what was sent before: by RTX (RFC 4588) where it is negotiated, else as they were.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use rtc::interceptor::{
    Attribute, AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket,
};
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::rtp;
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;

use super::bandwidth::Downlink;
use super::queue::Queues;

/// Packets kept for each stream; at 2 Mbit/s the last two seconds.
const PACKETS_MAX: usize = 512;
/// Streams that are kept for a connection.
const STREAMS_MAX: usize = 256;
/// Nobody waits for older ones: the picture is over.
const AGE_MAX: Duration = Duration::from_secs(2);
const RESENDS_MAX: u8 = 8;
/// A packet is not sent again before the first repair can have arrived: a round trip, within these bounds.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// What is needed to send a packet again. Header extensions are not kept: none of those that are forwarded matters for a repair.
struct Sent {
    seq: u16,
    timestamp: u32,
    payload_type: u8,
    marker: bool,
    payload: Bytes,
    sent_at: Instant,
    resends: u8,
    resent_at: Option<Instant>,
}

struct Stream {
    /// The SSRC and payload type of retransmissions.
    rtx: Option<(u32, u8)>,
    next_seq: u16,
    /// By sequence number without gaps: what was not sent is `None`. The last one is the highest.
    packets: VecDeque<Option<Sent>>,
    highest: Option<u16>,
}

/// Keeps what leaves and answers NACKs (RFC 4585 section 6.2.1).
pub(crate) struct Resender {
    streams: HashMap<u32, Stream>,
    downlink: Arc<Downlink>,
    queues: Queues,
}

impl Resender {
    pub(crate) fn new(downlink: Arc<Downlink>) -> Self {
        Self {
            streams: HashMap::new(),
            downlink,
            queues: Queues::default(),
        }
    }

    fn answer(&mut self, nack: &TransportLayerNack, now: Instant) {
        let Some(stream) = self.streams.get_mut(&nack.media_ssrc) else {
            return;
        };
        let pause = self
            .downlink
            .rtt()
            .unwrap_or(PAUSE_MIN)
            .clamp(PAUSE_MIN, PAUSE_MAX);
        let mut asked = 0;
        let mut resent = 0;
        for pair in &nack.nacks {
            let bits = u32::from(pair.lost_packets) << 1 | 1;
            for step in (0..17_u16).filter(|step| bits & (1 << step) != 0) {
                asked += 1;
                let seq = pair.packet_id.wrapping_add(step);
                if let Some(packet) = stream.again(nack.media_ssrc, seq, now, pause) {
                    resent += 1;
                    self.queues.write.push_back(TaggedPacket {
                        now,
                        transport: TransportContext::default(),
                        message: AttributedPacket::new(Packet::Rtp(packet))
                            .with(Attribute::Retransmission),
                    });
                }
            }
        }
        self.downlink.note_nack(asked, resent);
    }
}

impl Stream {
    fn keep(&mut self, packet: &rtp::Packet, now: Instant) {
        let header = &packet.header;
        let seq = header.sequence_number;
        let ahead = self
            .highest
            .map_or(1, |highest| seq.wrapping_sub(highest).cast_signed());
        let sent = Some(Sent {
            seq,
            timestamp: header.timestamp,
            payload_type: header.payload_type,
            marker: header.marker,
            payload: packet.payload.clone(),
            sent_at: now,
            resends: 0,
            resent_at: None,
        });
        if ahead > 0 {
            if usize::from(ahead.unsigned_abs()) > PACKETS_MAX {
                self.packets.clear();
            } else {
                self.packets
                    .extend((1..ahead).map(|_| None).chain(std::iter::once(None)));
            }
            if self.packets.is_empty() {
                self.packets.push_back(None);
            }
            while self.packets.len() > PACKETS_MAX {
                self.packets.pop_front();
            }
            self.highest = Some(seq);
        }
        if let Some(slot) = self.slot(seq) {
            *slot = sent;
        }
        while let Some(first) = self.packets.front()
            && first
                .as_ref()
                .is_none_or(|sent| now.saturating_duration_since(sent.sent_at) > AGE_MAX)
            && self.packets.len() > 1
        {
            self.packets.pop_front();
        }
    }

    fn slot(&mut self, seq: u16) -> Option<&mut Option<Sent>> {
        let behind = usize::from(self.highest?.wrapping_sub(seq));
        let index = self.packets.len().checked_sub(behind + 1)?;
        self.packets.get_mut(index)
    }

    /// The packet that repairs a lost one, where it is known and its turn has come.
    fn again(&mut self, ssrc: u32, seq: u16, now: Instant, pause: Duration) -> Option<rtp::Packet> {
        let rtx = self.rtx;
        let next_seq = self.next_seq;
        let sent = self.slot(seq)?.as_mut()?;
        if sent.resends >= RESENDS_MAX
            || now.saturating_duration_since(sent.sent_at) > AGE_MAX
            || sent
                .resent_at
                .is_some_and(|at| now.saturating_duration_since(at) < pause)
        {
            return None;
        }
        sent.resends += 1;
        sent.resent_at = Some(now);
        let mut header = rtp::Header {
            version: 2,
            marker: sent.marker,
            payload_type: sent.payload_type,
            sequence_number: sent.seq,
            timestamp: sent.timestamp,
            ssrc,
            ..Default::default()
        };
        let Some((rtx_ssrc, rtx_payload_type)) = rtx else {
            let payload = sent.payload.clone();
            return Some(rtp::Packet { header, payload });
        };
        let mut payload = BytesMut::with_capacity(2 + sent.payload.len());
        payload.put_u16(sent.seq);
        payload.put_slice(&sent.payload);
        header.ssrc = rtx_ssrc;
        header.payload_type = rtx_payload_type;
        header.sequence_number = next_seq;
        self.next_seq = next_seq.wrapping_add(1);
        Some(rtp::Packet {
            header,
            payload: payload.freeze(),
        })
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Resender {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &msg.message.packet {
            for packet in packets {
                if let Some(nack) = packet.as_any().downcast_ref::<TransportLayerNack>() {
                    self.answer(nack, msg.now);
                }
            }
        }
        self.queues.read.push_back(msg);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.queues.read.pop_front()
    }

    fn handle_write(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtp(packet) = &msg.message.packet
            && let Some(stream) = self.streams.get_mut(&packet.header.ssrc)
        {
            stream.keep(packet, msg.now);
        }
        self.queues.write.push_back(msg);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.queues.write.pop_front()
    }
}

impl Interceptor for Resender {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        let is_asked_for = info
            .rtcp_feedback
            .iter()
            .any(|feedback| feedback.typ == "nack" && feedback.parameter.is_empty());
        if !is_asked_for || self.streams.len() >= STREAMS_MAX {
            return;
        }
        let rtx = info.ssrc_rtx.zip(info.payload_type_rtx);
        // A renegotiation binds anew what is bound already: what was sent stays known.
        self.streams
            .entry(info.ssrc)
            .or_insert_with(|| Stream {
                rtx,
                next_seq: 1,
                packets: VecDeque::new(),
                highest: None,
            })
            .rtx = rtx;
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.streams.remove(&info.ssrc);
    }

    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}

    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
