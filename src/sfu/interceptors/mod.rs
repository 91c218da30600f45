//! Interim.
use rtc::interceptor::{NackGeneratorBuilder, NackResponderBuilder, Slot};
use rtc::peer_connection::configuration::interceptor_registry::*;
use rtc::peer_connection::configuration::media_engine::*;
use rtc::rtp_transceiver::rtp_sender::*;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub(crate) type Estimate = Arc<AtomicU64>;

fn codecs() -> Vec<(RtpCodecKind, RTCRtpCodecParameters)> {
    let fb = |t: &str, p: &str| RTCPFeedback {
        typ: t.into(),
        parameter: p.into(),
    };
    let vp8 = RTCRtpCodec {
        mime_type: MIME_TYPE_VP8.into(),
        clock_rate: 90000,
        channels: 0,
        sdp_fmtp_line: "".into(),
        rtcp_feedback: vec![
            fb("ccm", "fir"),
            fb("nack", ""),
            fb("nack", "pli"),
            fb("transport-cc", ""),
        ],
    };
    let opus = RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.into(),
        clock_rate: 48000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".into(),
        rtcp_feedback: vec![fb("transport-cc", "")],
    };
    let rtx = RTCRtpCodec {
        mime_type: MIME_TYPE_RTX.into(),
        clock_rate: 90000,
        channels: 0,
        sdp_fmtp_line: "apt=96".into(),
        rtcp_feedback: vec![],
    };
    vec![
        (
            RtpCodecKind::Audio,
            RTCRtpCodecParameters {
                rtp_codec: opus,
                payload_type: 111,
                ..Default::default()
            },
        ),
        (
            RtpCodecKind::Video,
            RTCRtpCodecParameters {
                rtp_codec: vp8,
                payload_type: 96,
                ..Default::default()
            },
        ),
        (
            RtpCodecKind::Video,
            RTCRtpCodecParameters {
                rtp_codec: rtx,
                payload_type: 97,
                ..Default::default()
            },
        ),
    ]
}

pub(crate) fn sending(codec: &RTCRtpCodec) -> Vec<RTCRtpCodecParameters> {
    let all = codecs();
    let n = all
        .iter()
        .position(|c| {
            c.1.rtp_codec
                .mime_type
                .eq_ignore_ascii_case(&codec.mime_type)
        })
        .unwrap_or(0);
    if n == 0 {
        vec![all[0].1.clone()]
    } else {
        vec![all[1].1.clone(), all[2].1.clone()]
    }
}

pub(crate) fn media_engine() -> Result<MediaEngine, rtc::shared::error::Error> {
    let mut m = MediaEngine::default();
    for (k, c) in codecs() {
        m.register_codec(c, k)?;
    }
    m.register_header_extension(
        RTCRtpHeaderExtensionCapability {
            uri: rtc::sdp::extmap::AUDIO_LEVEL_URI.into(),
        },
        RtpCodecKind::Audio,
        None,
    )?;
    Ok(m)
}
pub(crate) fn registry(
    m: &mut MediaEngine,
) -> Result<(Registry, Estimate), rtc::shared::error::Error> {
    let mut r = Registry::new();
    r = r
        .with(Slot::NackResponder, NackResponderBuilder::new().build())
        .with(
            Slot::NackGenerator,
            NackGeneratorBuilder::new().with_size(512).build(),
        );
    configure_simulcast_extension_headers(m)?;
    r = configure_twcc(r, m)?;
    r = configure_rtcp_reports(r);
    Ok((r, Estimate::default()))
}
