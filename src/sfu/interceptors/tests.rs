//! Whole chains: what a connection sends, and what the other side makes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rtc::interceptor::{
    AttributedPacket, Interceptor, Packet, RTCPFeedback, RTPHeaderExtension, StreamInfo,
    TaggedPacket,
};
use rtc::rtcp;
use rtc::rtcp::payload_feedbacks::full_intra_request::{FirEntry, FullIntraRequest};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use rtc::rtp;
use rtc::sansio::Protocol;
use rtc::sdp::extmap::TRANSPORT_CC_URI;
use rtc::shared::TransportContext;

use super::bandwidth::Downlink;
use super::registry::{media_engine, registry};

const MEDIA: u32 = 1_000;
const RTX: u32 = 2_000;
const TRANSPORT_CC_ID: u8 = 5;

fn info(has_rtx: bool) -> StreamInfo {
    StreamInfo {
        ssrc: MEDIA,
        ssrc_rtx: has_rtx.then_some(RTX),
        payload_type: 96,
        payload_type_rtx: has_rtx.then_some(97),
        clock_rate: 90_000,
        mime_type: "video/VP8".to_owned(),
        rtcp_feedback: vec![RTCPFeedback {
            typ: "nack".to_owned(),
            parameter: String::new(),
        }],
        rtp_header_extensions: vec![RTPHeaderExtension {
            id: u16::from(TRANSPORT_CC_ID),
            uri: TRANSPORT_CC_URI.to_owned(),
        }],
        ..Default::default()
    }
}

fn media(seq: u16) -> Packet {
    Packet::Rtp(rtp::Packet {
        header: rtp::Header {
            version: 2,
            ssrc: MEDIA,
            sequence_number: seq,
            timestamp: u32::from(seq) * 3_000,
            payload_type: 96,
            ..Default::default()
        },
        payload: Bytes::copy_from_slice(&seq.to_be_bytes()),
    })
}

fn tagged(packet: Packet, now: Instant) -> TaggedPacket {
    TaggedPacket {
        now,
        transport: TransportContext::default(),
        message: AttributedPacket::new(packet),
    }
}

fn nack(seqs: &[u16]) -> Packet {
    let nacks = seqs
        .iter()
        .map(|seq| NackPair {
            packet_id: *seq,
            lost_packets: 0,
        })
        .collect();
    Packet::Rtcp(vec![Box::new(TransportLayerNack {
        sender_ssrc: 1,
        media_ssrc: MEDIA,
        nacks,
    })])
}

/// A connection's chain.
struct Chain<I> {
    chain: I,
    downlink: Arc<Downlink>,
}

fn chain() -> Chain<impl Interceptor> {
    let downlink = Arc::new(Downlink::default());
    Chain {
        chain: registry(&downlink).build(),
        downlink,
    }
}

impl<I: Interceptor> Chain<I> {
    fn write(&mut self, packet: Packet, now: Instant) -> Vec<Packet> {
        self.chain.handle_write(tagged(packet, now)).unwrap();
        self.writes()
    }

    /// What leaves because of a packet that came.
    fn read(&mut self, packet: Packet, now: Instant) -> Vec<Packet> {
        self.chain.handle_read(tagged(packet, now)).unwrap();
        self.writes()
    }

    fn writes(&mut self) -> Vec<Packet> {
        std::iter::from_fn(|| self.chain.poll_write())
            .map(|tagged| tagged.message.packet)
            .collect()
    }

    fn reads(&mut self) -> Vec<Packet> {
        std::iter::from_fn(|| self.chain.poll_read())
            .map(|tagged| tagged.message.packet)
            .collect()
    }
}

fn rtp(packets: &[Packet]) -> Vec<&rtp::Packet> {
    packets
        .iter()
        .filter_map(|packet| match packet {
            Packet::Rtp(packet) => Some(packet),
            _ => None,
        })
        .collect()
}

#[test]
fn the_engine_and_the_chain_can_be_built() {
    assert!(media_engine().is_ok());
    let slots = registry(&Arc::new(Downlink::default())).slots();
    assert_eq!(slots.len(), 8, "{slots:?}");
}

#[test]
fn a_lost_packet_is_sent_again_by_rtx_once_per_round_trip() {
    let mut now = Instant::now();
    let mut chain = chain();
    chain.chain.bind_local_stream(&info(true));
    for seq in 0..100 {
        chain.write(media(seq), now);
    }
    let sent = chain.read(nack(&[7]), now);
    let sent = rtp(&sent);
    assert_eq!(sent.len(), 1);
    let header = &sent[0].header;
    assert_eq!((header.ssrc, header.payload_type), (RTX, 97));
    assert_eq!(sent[0].payload.as_ref(), [0, 7, 0, 7]);
    assert!(
        header.get_extension(TRANSPORT_CC_ID).is_some(),
        "it is numbered too"
    );
    assert!(rtp(&chain.read(nack(&[7]), now)).is_empty(), "too early");
    now += Duration::from_millis(300);
    assert_eq!(rtp(&chain.read(nack(&[7, 8, 500]), now)).len(), 2);
    assert_eq!(chain.downlink.resent(), 3);
    assert_eq!(chain.downlink.take_nacked(), 5);
    now += Duration::from_secs(3);
    assert!(rtp(&chain.read(nack(&[9]), now)).is_empty(), "too late");
}

#[test]
fn without_rtx_a_packet_is_sent_again_as_it_was() {
    let now = Instant::now();
    let mut chain = chain();
    chain.chain.bind_local_stream(&info(false));
    chain.write(media(65_535), now);
    chain.write(media(2), now);
    let sent = chain.read(nack(&[65_535, 0, 2]), now);
    let numbers: Vec<_> = rtp(&sent)
        .iter()
        .map(|packet| (packet.header.ssrc, packet.header.sequence_number))
        .collect();
    assert_eq!(numbers, [(MEDIA, 65_535), (MEDIA, 2)]);
}

#[test]
fn a_packet_is_not_sent_again_without_end() {
    let mut now = Instant::now();
    let mut chain = chain();
    chain.chain.bind_local_stream(&info(true));
    chain.write(media(1), now);
    let mut sent = 0;
    for _ in 0..100 {
        now += Duration::from_millis(15);
        sent += rtp(&chain.read(nack(&[1]), now)).len();
    }
    assert_eq!(sent, 8);
}

#[test]
fn key_frame_requests_reach_the_application_and_nothing_else_does() {
    let now = Instant::now();
    let mut chain = chain();
    let fir = |ssrc| FirEntry {
        ssrc,
        sequence_number: 1,
    };
    let packets: Vec<Box<dyn rtcp::Packet>> = vec![
        Box::new(ReceiverReport::default()),
        Box::new(PictureLossIndication {
            sender_ssrc: 1,
            media_ssrc: 10,
        }),
        Box::new(FullIntraRequest {
            sender_ssrc: 1,
            media_ssrc: 0,
            fir: vec![fir(11), fir(10)],
        }),
        Box::new(ReceiverEstimatedMaximumBitrate {
            sender_ssrc: 1,
            bitrate: 640_000.0,
            ssrcs: vec![10],
        }),
    ];
    chain.read(Packet::Rtcp(packets), now);
    let asked: Vec<_> = chain
        .reads()
        .into_iter()
        .filter_map(|packet| match packet {
            Packet::Rtcp(packets) => Some(packets),
            _ => None,
        })
        .flatten()
        .flat_map(|packet| packet.destination_ssrc())
        .collect();
    assert_eq!(asked, [10, 11]);
    assert_eq!(chain.downlink.estimate_bps(), Some(640_000));
}

#[test]
fn the_round_trip_is_measured_by_reports() {
    let start = Instant::now();
    let mut chain = chain();
    chain.chain.bind_local_stream(&info(true));
    chain.write(media(1), start);
    let later = start + Duration::from_secs(2);
    chain.chain.handle_timeout(later).unwrap();
    let sent = chain.writes();
    let middle = sent.iter().find_map(|packet| match packet {
        Packet::Rtcp(packets) => packets
            .iter()
            .find_map(|packet| packet.as_any().downcast_ref::<SenderReport>())
            .map(|report| (report.ntp_time >> 16) as u32),
        _ => None,
    });
    let report = ReceptionReport {
        ssrc: MEDIA,
        fraction_lost: 64,
        last_sender_report: middle.expect("a sender report"),
        delay: 65_536,
        ..Default::default()
    };
    let report = ReceiverReport {
        ssrc: 1,
        reports: vec![report],
        ..Default::default()
    };
    chain.read(
        Packet::Rtcp(vec![Box::new(report)]),
        later + Duration::from_millis(1_080),
    );
    let rtt = chain.downlink.rtt().expect("a round trip");
    assert!((79..=81).contains(&rtt.as_millis()), "{rtt:?}");
    assert!((0.24..0.26).contains(&chain.downlink.loss()));
}

/// Sends 150 packets per second for some seconds from one chain to another over a path that loses some. Gives the numbers that
/// arrived, and how many packets left in all.
fn over_a_lossy_path<S: Interceptor, R: Interceptor>(
    sender: &mut Chain<S>,
    receiver: &mut Chain<R>,
    loss: f64,
    seconds: u64,
) -> (Vec<u16>, usize) {
    let mut now = Instant::now();
    let mut rng = SmallRng::seed_from_u64(11);
    let mut there: Vec<(Instant, Packet)> = Vec::new();
    let mut back: Vec<(Instant, Packet)> = Vec::new();
    let mut arrived = Vec::new();
    let mut left = 0;
    let trip = Duration::from_millis(20);
    for ms in 0..seconds * 1_000 {
        now += Duration::from_millis(1);
        let mut sent = Vec::new();
        if ms % 20 == 0 {
            for step in 0..3 {
                sent.extend(sender.write(media((ms / 20 * 3 + step) as u16), now));
            }
        }
        for (_, packet) in back.extract_if(.., |(at, _)| *at <= now) {
            sent.extend(sender.read(packet, now));
        }
        sender.chain.handle_timeout(now).unwrap();
        sent.extend(sender.writes());
        for packet in sent {
            let is_rtp = matches!(packet, Packet::Rtp(_));
            left += usize::from(is_rtp);
            if !(is_rtp && rng.random_bool(loss)) {
                there.push((now + trip, packet));
            }
        }
        let mut answers = Vec::new();
        for (_, packet) in there.extract_if(.., |(at, _)| *at <= now) {
            answers.extend(receiver.read(packet, now));
        }
        receiver.chain.handle_timeout(now).unwrap();
        answers.extend(receiver.writes());
        back.extend(answers.into_iter().map(|packet| (now + trip, packet)));
        for packet in receiver.reads() {
            if let Packet::Rtp(packet) = packet {
                assert_eq!(packet.header.ssrc, MEDIA);
                assert_eq!(
                    packet.payload.as_ref(),
                    packet.header.sequence_number.to_be_bytes()
                );
                arrived.push(packet.header.sequence_number);
            }
        }
    }
    (arrived, left)
}

#[test]
fn loss_is_repaired_without_a_storm() {
    let (mut sender, mut receiver) = (chain(), chain());
    sender.chain.bind_local_stream(&info(true));
    receiver.chain.bind_remote_stream(&info(true));
    let (mut arrived, left) = over_a_lossy_path(&mut sender, &mut receiver, 0.05, 20);
    let count = arrived.len();
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived.len(), count, "nothing twice");
    assert!(count >= 2_985, "{count} of 3000 arrived");
    // 5 % of loss, and 5 % of the repairs.
    assert!(left <= 3_000 * 108 / 100, "{left} packets left for 3000");
    assert!(
        (0.02..0.09).contains(&sender.downlink.loss()),
        "{}",
        sender.downlink.loss()
    );
}

#[test]
fn the_estimate_follows_the_feedback_of_the_other_side() {
    let (mut sender, mut receiver) = (chain(), chain());
    sender.chain.bind_local_stream(&info(true));
    receiver.chain.bind_remote_stream(&info(true));
    assert_eq!(sender.downlink.estimate_bps(), None);
    let (arrived, left) = over_a_lossy_path(&mut sender, &mut receiver, 0.0, 10);
    assert_eq!(left, 1_500);
    assert!(arrived.len() >= 1_490);
    assert_eq!(sender.downlink.setbacks(), 0);
    assert!(sender.downlink.estimate_bps() >= Some(2_000_000));
}
