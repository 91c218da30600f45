//! The wire side of sending: numbers what leaves for transport-wide feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01), and feeds the estimate of what the path carries.
//!
//! It stands in place of the crate's numbering, send history and pacer: packets leave when they come, and a ring in place of hash
//! tables costs next to nothing per packet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp;
use rtc::rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, SymbolTypeTcc, TransportLayerCc,
};
use rtc::sansio::Protocol;
use rtc::sdp::extmap::TRANSPORT_CC_URI;
use rtc::shared::error::Error;
use rtc::shared::marshal::MarshalSize;

use super::queue::Queues;
use crate::media::estimate::{Estimator, Status};
use crate::media::meter::Meter;

/// Streams that are numbered.
const STREAMS_MAX: usize = 1_024;
/// Sender reports that a round trip can be measured by.
const REPORTS_MAX: usize = 64;
/// Longer ones are a mistake.
const RTT_MAX: Duration = Duration::from_secs(5);
/// UDP, SRTP's tag and IP: what a packet costs the path beside RTP.
const OVERHEAD_BYTES: usize = 28 + 10;

/// What is measured of the way to a subscriber: written by its connection, read by anyone at no cost.
#[derive(Debug, Default)]
pub(crate) struct Downlink {
    estimate_bps: AtomicU64,
    setbacks: AtomicU32,
    loss_ppm: AtomicU32,
    rtt_us: AtomicU64,
    nacked: AtomicU64,
    resent: AtomicU64,
}

impl Downlink {
    /// What the path carries, in bits per second; `None` before any feedback.
    pub(crate) fn estimate_bps(&self) -> Option<u64> {
        match self.estimate_bps.load(Ordering::Relaxed) {
            0 => None,
            bps => Some(bps),
        }
    }

    /// How often the estimate fell. It tells a trial of a higher layer that it failed.
    pub(crate) fn setbacks(&self) -> u32 {
        self.setbacks.load(Ordering::Relaxed)
    }

    /// 0 to 1, of the last moments.
    pub(crate) fn loss(&self) -> f64 {
        f64::from(self.loss_ppm.load(Ordering::Relaxed)) / 1_000_000.0
    }

    pub(crate) fn rtt(&self) -> Option<Duration> {
        match self.rtt_us.load(Ordering::Relaxed) {
            0 => None,
            us => Some(Duration::from_micros(us)),
        }
    }

    /// Packets that the subscriber asked for again since this was last called.
    pub(crate) fn take_nacked(&self) -> u64 {
        self.nacked.swap(0, Ordering::Relaxed)
    }

    /// Packets that were sent again.
    pub(crate) fn resent(&self) -> u64 {
        self.resent.load(Ordering::Relaxed)
    }

    pub(super) fn note_nack(&self, asked: u64, resent: u64) {
        self.nacked.fetch_add(asked, Ordering::Relaxed);
        self.resent.fetch_add(resent, Ordering::Relaxed);
    }

    fn note_rtt(&self, sample: Duration) {
        if sample > RTT_MAX {
            return;
        }
        let sample_us = (sample.as_micros() as u64).max(1);
        let smoothed_us = match self.rtt_us.load(Ordering::Relaxed) {
            0 => sample_us,
            before => (before * 7 + sample_us) / 8,
        };
        self.rtt_us.store(smoothed_us, Ordering::Relaxed);
    }
}

/// A sender report that left: the middle of its time, and when.
struct Report {
    ssrc: u32,
    middle: u32,
    at: Instant,
}

/// See the module.
pub(crate) struct SendSide {
    /// The id of the extension, by the SSRC of streams that negotiated it and of their retransmissions. What is not numbered is
    /// not reported, and would count as lost.
    numbered: HashMap<u32, u8>,
    estimator: Option<Estimator>,
    sent: Option<Meter>,
    reports: VecDeque<Report>,
    downlink: Arc<Downlink>,
    queues: Queues,
}

impl SendSide {
    pub(crate) fn new(downlink: Arc<Downlink>) -> Self {
        Self {
            numbered: HashMap::new(),
            estimator: None,
            sent: None,
            reports: VecDeque::new(),
            downlink,
            queues: Queues::default(),
        }
    }

    fn note_rtp(&mut self, packet: &mut rtc::rtp::Packet, at: Instant) {
        let bytes = packet.marshal_size() + OVERHEAD_BYTES;
        self.sent
            .get_or_insert_with(|| Meter::new(at))
            .add(bytes, at);
        if let Some(id) = self.numbered.get(&packet.header.ssrc).copied() {
            let seq = self
                .estimator
                .get_or_insert_with(|| Estimator::new(at))
                .send(bytes, at);
            let value = Bytes::copy_from_slice(&seq.to_be_bytes());
            // It fits: two bytes, and an id of 1 to 14.
            let _ = packet.header.set_extension(id, value);
        }
    }

    fn note_reports(&mut self, packets: &[Box<dyn rtcp::Packet>], at: Instant) {
        for packet in packets {
            if let Some(report) = packet.as_any().downcast_ref::<SenderReport>() {
                if self.reports.len() == REPORTS_MAX {
                    self.reports.pop_front();
                }
                self.reports.push_back(Report {
                    ssrc: report.ssrc,
                    middle: (report.ntp_time >> 16) as u32,
                    at,
                });
            }
        }
    }

    /// Whether the packets are to go on: not where they are all feedback that ends here.
    fn take_feedback(&mut self, packets: &[Box<dyn rtcp::Packet>], at: Instant) -> bool {
        let mut goes_on = false;
        let mut is_news = false;
        for packet in packets {
            let packet = packet.as_any();
            if let Some(feedback) = packet.downcast_ref::<TransportLayerCc>() {
                if let Some(estimator) = &mut self.estimator {
                    estimator.on_feedback(
                        feedback.base_sequence_number,
                        feedback.reference_time,
                        statuses(feedback),
                        at,
                    );
                    is_news = true;
                }
                continue;
            }
            goes_on = true;
            if let Some(estimate) = packet.downcast_ref::<ReceiverEstimatedMaximumBitrate>() {
                self.estimator
                    .get_or_insert_with(|| Estimator::new(at))
                    .on_remb(f64::from(estimate.bitrate), at);
                is_news = true;
            } else if let Some(report) = packet.downcast_ref::<ReceiverReport>() {
                is_news |= self.take_reception(&report.reports, at);
            } else if let Some(report) = packet.downcast_ref::<SenderReport>() {
                is_news |= self.take_reception(&report.reports, at);
            }
        }
        if is_news {
            self.publish();
        }
        goes_on
    }

    /// Round trip and loss from what the receiver reports of our streams (RFC 3550 section 6.4.1).
    fn take_reception(&mut self, receptions: &[ReceptionReport], at: Instant) -> bool {
        let mut lost = 0.0_f64;
        for reception in receptions {
            lost = lost.max(f64::from(reception.fraction_lost) / 256.0);
            let report = self.reports.iter().find(|report| {
                report.ssrc == reception.ssrc && report.middle == reception.last_sender_report
            });
            if let Some(report) = report {
                let held = Duration::from_secs_f64(f64::from(reception.delay) / 65_536.0);
                let since = at.saturating_duration_since(report.at);
                self.downlink.note_rtt(since.saturating_sub(held));
            }
        }
        if receptions.is_empty() {
            return false;
        }
        let sent_bps = self.sent.as_mut().map_or(0, |sent| sent.bps(at));
        self.estimator
            .get_or_insert_with(|| Estimator::new(at))
            .on_report(lost, sent_bps, at);
        true
    }

    fn publish(&mut self) {
        let downlink = &self.downlink;
        if let Some(estimator) = &mut self.estimator {
            let loss_ppm = (estimator.loss() * 1_000_000.0) as u32;
            downlink
                .estimate_bps
                .store(estimator.bps(), Ordering::Relaxed);
            downlink
                .setbacks
                .store(estimator.setbacks(), Ordering::Relaxed);
            downlink.loss_ppm.store(loss_ppm, Ordering::Relaxed);
        }
    }
}

/// What feedback says, packet by packet.
fn statuses(feedback: &TransportLayerCc) -> impl Iterator<Item = Status> {
    let mut deltas = feedback.recv_deltas.iter();
    feedback
        .packet_chunks
        .iter()
        .flat_map(|chunk| {
            let (run, list) = match chunk {
                PacketStatusChunk::RunLengthChunk(chunk) => (
                    Some((chunk.packet_status_symbol, usize::from(chunk.run_length))),
                    None,
                ),
                PacketStatusChunk::StatusVectorChunk(chunk) => (None, Some(&chunk.symbol_list)),
            };
            let run = run.map(|(symbol, length)| std::iter::repeat_n(symbol, length));
            run.into_iter()
                .flatten()
                .chain(list.into_iter().flatten().copied())
        })
        .take(usize::from(feedback.packet_status_count))
        .map(move |symbol| match symbol {
            SymbolTypeTcc::PacketNotReceived => Status::Missing,
            SymbolTypeTcc::PacketReceivedWithoutDelta => Status::Arrived(None),
            SymbolTypeTcc::PacketReceivedSmallDelta | SymbolTypeTcc::PacketReceivedLargeDelta => {
                Status::Arrived(deltas.next().map(|delta| delta.delta))
            }
        })
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for SendSide {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        let goes_on = match &msg.message.packet {
            Packet::Rtcp(packets) => self.take_feedback(packets, msg.now),
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

    fn handle_write(&mut self, mut msg: TaggedPacket) -> Result<(), Error> {
        match &mut msg.message.packet {
            Packet::Rtp(packet) => self.note_rtp(packet, msg.now),
            Packet::Rtcp(packets) => self.note_reports(packets, msg.now),
            _ => {}
        }
        self.queues.write.push_back(msg);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.queues.write.pop_front()
    }
}

impl Interceptor for SendSide {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        let id = info
            .rtp_header_extensions
            .iter()
            .find(|extension| extension.uri == TRANSPORT_CC_URI)
            .and_then(|extension| u8::try_from(extension.id).ok())
            .filter(|id| (1..=14).contains(id));
        if let Some(id) = id
            && self.numbered.len() < STREAMS_MAX
        {
            let ssrcs = [Some(info.ssrc), info.ssrc_rtx];
            self.numbered
                .extend(ssrcs.into_iter().flatten().map(|ssrc| (ssrc, id)));
        }
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.numbered
            .retain(|ssrc, _| *ssrc != info.ssrc && Some(*ssrc) != info.ssrc_rtx);
    }

    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}

    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
