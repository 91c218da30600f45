//! What a connection speaks: codecs, feedback, header extensions, and its chain of interceptors.
//!
//! All connections are set up alike, and the server makes the offers: so payload types and extension ids are the same on all legs,
//! and packets are forwarded without translating them.

use std::sync::Arc;
use std::time::Duration;

use rtc::interceptor::{
    NackGeneratorBuilder, ReceiverReportBuilder, Registry, SenderReportBuilder, Slot,
    TwccReceiverBuilder,
};
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_AV1, MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_RTX, MIME_TYPE_VP8, MIME_TYPE_VP9,
    MediaEngine,
};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::sdp::extmap::{
    AUDIO_LEVEL_URI, SDES_MID_URI, SDES_REPAIR_RTP_STREAM_ID_URI, SDES_RTP_STREAM_ID_URI,
    TRANSPORT_CC_URI,
};
use rtc::shared::error::Error;

use super::bandwidth::{Downlink, SendSide};
use super::feedback::FeedbackReader;
use super::resend::Resender;
use super::rtx::{MediaOnly, RtxReceiver};

/// The payload type of Opus.
pub(crate) const OPUS: u8 = 111;

/// The header extension id of the audio level in offers: extensions are numbered in the order in which they are registered.
pub(crate) const AUDIO_LEVEL_ID: u8 = 1;

/// Numbers behind the newest that are asked for again; a power of two.
const NACK_WINDOW: u16 = 512;
const NACK_INTERVAL: Duration = Duration::from_millis(20);
const NACKS_PER_PACKET_MAX: u16 = 8;
/// How often publishers are told what arrived. Browsers find their bandwidth by it.
const TRANSPORT_CC_INTERVAL: Duration = Duration::from_millis(50);
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Just before the NACK generator, which must see what was repaired.
const RTX_RECEIVER: usize = 6_500;
/// Nearer the wire than that: browsers probe the path with packets that came before, which must be counted before they are
/// dropped as duplicates. Else every probe looks lost to them.
const TWCC_RECEIVER: usize = 6_400;
/// Behind everything that reads RTCP.
const FEEDBACK_READER: usize = 14_000;

/// A video codec: name, format parameters, payload type, payload type of its retransmissions. The first is preferred.
const VIDEO: [(&str, &str, u8, u8); 5] = [
    (MIME_TYPE_VP8, "", 96, 97),
    (MIME_TYPE_VP9, "profile-id=0", 98, 99),
    (
        MIME_TYPE_H264,
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        102,
        103,
    ),
    (
        MIME_TYPE_H264,
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
        104,
        105,
    ),
    (MIME_TYPE_AV1, "level-idx=5;profile=0;tier=0", 45, 46),
];

const VIDEO_FEEDBACK: [(&str, &str); 5] = [
    ("goog-remb", ""),
    ("transport-cc", ""),
    ("ccm", "fir"),
    ("nack", ""),
    ("nack", "pli"),
];

/// The codecs, feedback and header extensions that offers hold.
///
/// # Errors
/// When the crate refuses one, which would be a fault of ours.
pub(crate) fn media_engine() -> Result<MediaEngine, Error> {
    let mut engine = MediaEngine::default();
    engine.register_codec(opus(), RtpCodecKind::Audio)?;
    for (mime_type, parameters, payload_type, rtx) in VIDEO {
        let codec = video(mime_type, parameters, payload_type, &VIDEO_FEEDBACK);
        engine.register_codec(codec, RtpCodecKind::Video)?;
        let repair = video(MIME_TYPE_RTX, &format!("apt={payload_type}"), rtx, &[]);
        engine.register_codec(repair, RtpCodecKind::Video)?;
    }
    let (audio, video) = (RtpCodecKind::Audio, RtpCodecKind::Video);
    for (uri, kinds) in [
        (AUDIO_LEVEL_URI, &[audio][..]),
        (SDES_MID_URI, &[audio, video]),
        (SDES_RTP_STREAM_ID_URI, &[video]),
        (SDES_REPAIR_RTP_STREAM_ID_URI, &[video]),
        (TRANSPORT_CC_URI, &[audio, video]),
    ] {
        for kind in kinds {
            let extension = RTCRtpHeaderExtensionCapability {
                uri: uri.to_owned(),
            };
            engine.register_header_extension(extension, *kind, None)?;
        }
    }
    Ok(engine)
}

/// The interceptors of a connection. What they measure of the way to the subscriber is found in `downlink`.
pub(crate) fn registry(downlink: &Arc<Downlink>) -> Registry {
    Registry::new()
        .with(Slot::CongestionControl, SendSide::new(Arc::clone(downlink)))
        .with(Slot::NackResponder, Resender::new(Arc::clone(downlink)))
        .with(
            Slot::from(TWCC_RECEIVER),
            TwccReceiverBuilder::new()
                .with_interval(TRANSPORT_CC_INTERVAL)
                .build(),
        )
        .with(Slot::from(RTX_RECEIVER), RtxReceiver::default())
        .with(
            Slot::NackGenerator,
            MediaOnly::new(
                NackGeneratorBuilder::new()
                    .with_size(NACK_WINDOW)
                    .with_interval(NACK_INTERVAL)
                    .with_max_nacks_per_packet(NACKS_PER_PACKET_MAX)
                    .build(),
            ),
        )
        .with(
            Slot::ReceiverReport,
            MediaOnly::new(
                ReceiverReportBuilder::new()
                    .with_interval(REPORT_INTERVAL)
                    .build(),
            ),
        )
        .with(
            Slot::SenderReport,
            SenderReportBuilder::new()
                .with_interval(REPORT_INTERVAL)
                .build(),
        )
        .with(Slot::from(FEEDBACK_READER), FeedbackReader::default())
}

/// A codec as it is sent to subscribers, and what repairs it; none of a codec that is not offered. Of what a publisher says
/// of H.264 the profile counts.
pub(crate) fn sending(codec: &RTCRtpCodec) -> Vec<RTCRtpCodecParameters> {
    if codec.mime_type.eq_ignore_ascii_case(MIME_TYPE_OPUS) {
        return vec![opus()];
    }
    let same: Vec<_> = VIDEO
        .into_iter()
        .filter(|(mime_type, ..)| codec.mime_type.eq_ignore_ascii_case(mime_type))
        .collect();
    let profile = |parameters: &str| {
        let found = parameters
            .split(';')
            .find_map(|part| part.trim().strip_prefix("profile-level-id="));
        found
            .and_then(|id| id.get(..4))
            .map(str::to_ascii_lowercase)
    };
    let found = same
        .iter()
        .find(|(_, parameters, ..)| profile(parameters) == profile(&codec.sdp_fmtp_line))
        .or(same.first());
    let Some((mime_type, parameters, payload_type, rtx)) = found else {
        return Vec::new();
    };
    vec![
        video(mime_type, parameters, *payload_type, &VIDEO_FEEDBACK),
        video(MIME_TYPE_RTX, &format!("apt={payload_type}"), *rtx, &[]),
    ]
}

fn opus() -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: MIME_TYPE_OPUS.to_owned(),
            clock_rate: 48_000,
            channels: 2,
            sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
            rtcp_feedback: feedback(&[("transport-cc", "")]),
        },
        payload_type: OPUS,
    }
}

fn video(
    mime_type: &str,
    parameters: &str,
    payload_type: u8,
    kinds: &[(&str, &str)],
) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: mime_type.to_owned(),
            clock_rate: 90_000,
            channels: 0,
            sdp_fmtp_line: parameters.to_owned(),
            rtcp_feedback: feedback(kinds),
        },
        payload_type,
    }
}

fn feedback(kinds: &[(&str, &str)]) -> Vec<RTCPFeedback> {
    kinds
        .iter()
        .map(|(typ, parameter)| RTCPFeedback {
            typ: (*typ).to_owned(),
            parameter: (*parameter).to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rtc::peer_connection::RTCPeerConnectionBuilder;
    use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};

    use super::*;

    const MID_ID: u8 = 2;
    const RID_ID: u8 = 3;
    const REPAIRED_RID_ID: u8 = 4;
    const TRANSPORT_CC_ID: u8 = 5;

    #[test]
    fn offers_hold_the_codecs_with_repair_and_the_ids_that_are_counted_on() {
        let downlink = Arc::new(Downlink::default());
        let mut peer = RTCPeerConnectionBuilder::new()
            .with_media_engine(media_engine().unwrap())
            .with_interceptor_registry(registry(&downlink))
            .build(Instant::now())
            .unwrap();
        for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                ..Default::default()
            };
            peer.add_transceiver_from_kind(kind, Some(init)).unwrap();
        }
        let sdp = peer.create_offer(None).unwrap().sdp;
        let (audio, video) = sdp.split_at(sdp.find("m=video").unwrap());
        let extension = |id: u8, uri: &str| format!("a=extmap:{id} {uri}\r\n");
        for (section, id, uri) in [
            (audio, AUDIO_LEVEL_ID, AUDIO_LEVEL_URI),
            (audio, MID_ID, SDES_MID_URI),
            (audio, TRANSPORT_CC_ID, TRANSPORT_CC_URI),
            (video, MID_ID, SDES_MID_URI),
            (video, RID_ID, SDES_RTP_STREAM_ID_URI),
            (video, REPAIRED_RID_ID, SDES_REPAIR_RTP_STREAM_ID_URI),
            (video, TRANSPORT_CC_ID, TRANSPORT_CC_URI),
        ] {
            assert!(section.contains(&extension(id, uri)), "{uri}: {section}");
        }
        assert!(audio.contains("a=rtpmap:111 opus/48000/2\r\n"), "{audio}");
        assert!(audio.contains("a=rtcp-fb:111 transport-cc"), "{audio}");
        for (mime_type, parameters, payload_type, rtx) in VIDEO {
            let name = mime_type.split('/').nth(1).unwrap();
            let mut lines = vec![
                format!("a=rtpmap:{payload_type} {name}/90000"),
                format!("a=rtpmap:{rtx} rtx/90000"),
                format!("a=fmtp:{rtx} apt={payload_type}"),
            ];
            if !parameters.is_empty() {
                lines.push(format!("a=fmtp:{payload_type} {parameters}"));
            }
            for (kind, parameter) in VIDEO_FEEDBACK {
                let line = format!("a=rtcp-fb:{payload_type} {kind} {parameter}");
                lines.push(line.trim_end().to_owned());
            }
            for line in lines {
                assert!(video.contains(&line), "{line}: {video}");
            }
        }
    }
}
