//! RTCP that comes for what a peer publishes. The core keeps it from applications, so an interceptor looks at it in passing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// What came.
#[derive(Debug, Default)]
pub(crate) struct Feedback {
    /// SSRCs whose key frame is wanted, until it is taken.
    pub(crate) wanted: Vec<u32>,
    pub(crate) key_frame_requests: u64,
    pub(crate) nacks: u64,
    pub(crate) transport: u64,
    pub(crate) remb_bps: Option<u64>,
}

/// The interceptor, and who reads what it saw.
#[derive(Clone, Default)]
pub(crate) struct Tap {
    seen: Arc<Mutex<Feedback>>,
}

impl Tap {
    pub(crate) fn look<T>(&self, at: impl FnOnce(&mut Feedback) -> T) -> T {
        at(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn interceptor(&self) -> TapInterceptor {
        TapInterceptor {
            tap: self.clone(),
            reads: VecDeque::new(),
            writes: VecDeque::new(),
        }
    }
}

pub(crate) struct TapInterceptor {
    tap: Tap,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for TapInterceptor {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, message: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &message.message.packet {
            self.tap.look(|feedback| {
                for packet in packets {
                    feedback.note(packet.as_any());
                }
            });
        }
        self.reads.push_back(message);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Error> {
        self.writes.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl Interceptor for TapInterceptor {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

impl Feedback {
    fn note(&mut self, packet: &dyn std::any::Any) {
        if let Some(loss) = packet.downcast_ref::<PictureLossIndication>() {
            self.key_frame_requests += 1;
            self.wanted.push(loss.media_ssrc);
        } else if let Some(request) = packet.downcast_ref::<FullIntraRequest>() {
            self.key_frame_requests += 1;
            self.wanted
                .extend(request.fir.iter().map(|entry| entry.ssrc));
        } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
            self.nacks += nack
                .nacks
                .iter()
                .map(|pair| 1 + u64::from(pair.lost_packets.count_ones()))
                .sum::<u64>();
        } else if packet.is::<TransportLayerCc>() {
            self.transport += 1;
        } else if let Some(estimate) = packet.downcast_ref::<ReceiverEstimatedMaximumBitrate>() {
            self.remb_bps = Some(estimate.bitrate as u64);
        }
    }
}
