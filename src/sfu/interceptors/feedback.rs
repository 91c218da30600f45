//! Key-frame requests of subscribers, on their way to the application. The crate hands over only what an interceptor marks.

use std::time::Instant;

use rtc::interceptor::{
    Attribute, AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket,
};
use rtc::rtcp;
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;

use super::queue::Queues;

/// Requests that are taken from one datagram.
const REQUESTS_MAX: usize = 16;

/// Hands PLI (RFC 4585) and FIR (RFC 5104) to the application as [`PictureLossIndication`], one packet for each stream that is
/// asked for, and ends all other RTCP.
#[derive(Default)]
pub(crate) struct FeedbackReader {
    queues: Queues,
}

impl FeedbackReader {
    fn hand_over(
        &mut self,
        packets: &[Box<dyn rtcp::Packet>],
        now: Instant,
        transport: TransportContext,
    ) {
        let mut asked = Vec::new();
        for packet in packets {
            let packet = packet.as_any();
            if let Some(request) = packet.downcast_ref::<PictureLossIndication>() {
                asked.push((request.sender_ssrc, request.media_ssrc));
            } else if let Some(request) = packet.downcast_ref::<FullIntraRequest>() {
                let ssrcs = request.fir.iter().map(|entry| entry.ssrc);
                asked.extend(ssrcs.map(|ssrc| (request.sender_ssrc, ssrc)));
            }
        }
        asked.sort_unstable();
        asked.dedup();
        // One by one: the crate looks only for the track of a packet's first request.
        for (sender_ssrc, media_ssrc) in asked.into_iter().take(REQUESTS_MAX) {
            let request = PictureLossIndication {
                sender_ssrc,
                media_ssrc,
            };
            self.queues.read.push_back(TaggedPacket {
                now,
                transport,
                message: AttributedPacket::new(Packet::Rtcp(vec![Box::new(request)]))
                    .with(Attribute::DeliverToApplication),
            });
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for FeedbackReader {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &msg.message.packet {
            self.hand_over(packets, msg.now, msg.transport);
        } else {
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

impl Interceptor for FeedbackReader {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}

    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}

    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}

    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
