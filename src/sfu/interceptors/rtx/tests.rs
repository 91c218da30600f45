use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use rtc::interceptor::{AttributedPacket, NackGeneratorBuilder, RTCPFeedback, RTPHeaderExtension};
use rtc::shared::TransportContext;

use super::*;

const MEDIA: u32 = 1_000;
const RTX: u32 = 2_000;

fn info(ssrc: u32, ssrc_rtx: Option<u32>) -> StreamInfo {
    StreamInfo {
        ssrc,
        ssrc_rtx,
        payload_type: 96,
        payload_type_rtx: Some(97),
        clock_rate: 90_000,
        rtcp_feedback: vec![RTCPFeedback {
            typ: "nack".to_owned(),
            parameter: String::new(),
        }],
        rtp_header_extensions: [(3, RID_URI), (4, REPAIRED_RID_URI)]
            .map(|(id, uri)| RTPHeaderExtension {
                id,
                uri: uri.to_owned(),
            })
            .to_vec(),
        ..Default::default()
    }
}

fn packet(
    ssrc: u32,
    seq: u16,
    payload: &[u8],
    extension: Option<(u8, &'static str)>,
) -> rtp::Packet {
    let mut header = rtp::Header {
        version: 2,
        ssrc,
        sequence_number: seq,
        payload_type: if ssrc == RTX { 97 } else { 96 },
        ..Default::default()
    };
    if let Some((id, value)) = extension {
        header
            .set_extension(id, Bytes::from_static(value.as_bytes()))
            .unwrap();
    }
    rtp::Packet {
        header,
        payload: Bytes::copy_from_slice(payload),
    }
}

fn tagged(packet: rtp::Packet, now: Instant) -> TaggedPacket {
    TaggedPacket {
        now,
        transport: TransportContext::default(),
        message: AttributedPacket::new(Packet::Rtp(packet)),
    }
}

/// What comes out for a packet: SSRC, payload type, number, payload.
fn through(receiver: &mut RtxReceiver, packet: rtp::Packet) -> Option<(u32, u8, u16, Bytes)> {
    receiver
        .handle_read(tagged(packet, Instant::now()))
        .unwrap();
    let out = receiver.poll_read()?;
    assert!(receiver.poll_read().is_none());
    let Packet::Rtp(packet) = out.message.packet else {
        return None;
    };
    Some((
        packet.header.ssrc,
        packet.header.payload_type,
        packet.header.sequence_number,
        packet.payload,
    ))
}

fn receiver() -> RtxReceiver {
    let mut receiver = RtxReceiver::default();
    receiver.bind_remote_stream(&info(MEDIA, Some(RTX)));
    receiver.bind_remote_stream(&info(RTX, None));
    receiver
}

#[test]
fn a_retransmission_becomes_the_packet_that_was_lost() {
    let mut receiver = receiver();
    for seq in [10, 12] {
        assert!(through(&mut receiver, packet(MEDIA, seq, b"x", None)).is_some());
    }
    let restored = through(&mut receiver, packet(RTX, 700, &[0, 11, 7, 8, 9], None));
    assert_eq!(
        restored,
        Some((MEDIA, 96, 11, Bytes::from_static(&[7, 8, 9])))
    );
}

#[test]
fn what_is_there_already_is_dropped() {
    let mut receiver = receiver();
    assert!(through(&mut receiver, packet(MEDIA, 65_535, b"x", None)).is_some());
    assert!(through(&mut receiver, packet(MEDIA, 0, b"x", None)).is_some());
    assert_eq!(through(&mut receiver, packet(MEDIA, 0, b"x", None)), None);
    let again = packet(RTX, 1, &[0xff, 0xff, 1], None);
    assert_eq!(through(&mut receiver, again), None);
    assert!(through(&mut receiver, packet(RTX, 2, &[0, 1, 1], None)).is_some());
    assert_eq!(through(&mut receiver, packet(MEDIA, 1, b"x", None)), None);
}

#[test]
fn padding_passes_as_it_is() {
    let mut receiver = receiver();
    for payload in [&[][..], &[1]] {
        let out = through(&mut receiver, packet(RTX, 5, payload, None));
        assert_eq!(out.map(|out| (out.0, out.2)), Some((RTX, 5)));
    }
    let unknown = through(&mut receiver, packet(77, 5, b"abc", None));
    assert_eq!(unknown.map(|out| (out.0, out.2)), Some((77, 5)));
}

#[test]
fn layers_are_matched_by_their_names() {
    let mut receiver = RtxReceiver::default();
    for (ssrc, rid) in [(1, "q"), (2, "h")] {
        receiver.bind_remote_stream(&info(ssrc, None));
        through(&mut receiver, packet(ssrc, 10, b"x", Some((3, rid))));
    }
    let first = packet(9, 1, &[0, 8, 1], Some((4, "h")));
    assert_eq!(
        through(&mut receiver, first).map(|out| (out.0, out.2)),
        Some((2, 8))
    );
    // Later packets need not name it.
    let later = packet(9, 2, &[0, 9, 1], None);
    assert_eq!(
        through(&mut receiver, later).map(|out| (out.0, out.2)),
        Some((2, 9))
    );
    receiver.unbind_remote_stream(&info(2, None));
    let gone = packet(9, 3, &[0, 7, 1], None);
    assert_eq!(through(&mut receiver, gone).map(|out| out.0), Some(9));
}

#[test]
fn padding_between_repairs_is_not_taken_for_loss() {
    let mut generator = MediaOnly::new(
        NackGeneratorBuilder::new()
            .with_interval(Duration::from_millis(20))
            .build(),
    );
    let mut now = Instant::now();
    generator.bind_remote_stream(&info(MEDIA, Some(RTX)));
    generator.bind_remote_stream(&info(RTX, None));
    for (ssrc, seq) in [(MEDIA, 1), (RTX, 1), (RTX, 9), (MEDIA, 2)] {
        generator
            .handle_read(tagged(packet(ssrc, seq, b"", None), now))
            .unwrap();
    }
    now += Duration::from_millis(50);
    generator.handle_timeout(now).unwrap();
    assert!(generator.poll_write().is_none());
    let lost = packet(MEDIA, 4, b"", None);
    generator.handle_read(tagged(lost, now)).unwrap();
    generator
        .handle_timeout(now + Duration::from_millis(50))
        .unwrap();
    assert!(generator.poll_write().is_some(), "media is watched");
}

proptest! {
    #[test]
    fn a_number_goes_on_once_whatever_the_order(
        packets in proptest::collection::vec((any::<bool>(), 0_u16..500), 0..400),
        first in any::<u16>(),
    ) {
        let mut receiver = receiver();
        let mut seen = HashSet::new();
        for (is_rtx, step) in packets {
            let seq = first.wrapping_add(step);
            let packet = if is_rtx {
                let [high, low] = seq.to_be_bytes();
                packet(RTX, step, &[high, low, 1], None)
            } else {
                packet(MEDIA, seq, &[1], None)
            };
            let out = through(&mut receiver, packet);
            prop_assert_eq!(out.map(|out| out.2), seen.insert(seq).then_some(seq));
        }
    }
}
