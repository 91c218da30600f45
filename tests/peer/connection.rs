//! The sans-I/O connection: how it is built, its descriptions, and what it sends. It owns no socket and reads no clock.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use rtc::data_channel::{RTCDataChannelId, RTCDataChannelInit};
use rtc::interceptor::{NackResponderBuilder, Registry, Slot};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::interceptor_registry::{
    configure_rtcp_reports, configure_simulcast_extension_headers, configure_twcc,
};
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_OPUS, MIME_TYPE_RTX, MIME_TYPE_VP8, MediaEngine,
};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::{
    CandidateConfig, CandidateHostConfig, RTCDtlsRole, RTCDtlsTransportState, RTCIceCandidate,
};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters,
    RTCRtpEncodingParameters, RTCRtpHeaderExtensionCapability, RTCRtpRtxParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{
    RTCRtpSenderId, RTCRtpTransceiverDirection, RTCRtpTransceiverId, RTCRtpTransceiverInit,
};
use rtc::sdp::extmap;

use crate::description::{Section, palatable, sections};
use crate::feedback::Tap;
use crate::media::{Media, Packet};
use crate::plan::{Direction, Plan, Publication, Source};
use crate::stats::Kind;

const VP8_TYPE: u8 = 96;
const RTX_TYPE: u8 = 97;
const OPUS_TYPE: u8 = 111;
const RIDS: [&str; 3] = ["q", "h", "f"];
/// How long a sent channel message may be (the server's `max-message-size` bounds it as well).
const MESSAGE_BYTES_MAX: u32 = 1 << 20;

/// What is published, with its place in the connection.
pub(crate) struct Sending {
    pub(crate) source: Source,
    pub(crate) media: Media,
    transceiver: RTCRtpTransceiverId,
    sender: RTCRtpSenderId,
    ssrcs: Vec<u32>,
    wire: Option<Wire>,
}

/// What the negotiation settled for a sender.
#[derive(Clone, Debug)]
struct Wire {
    payload_type: u8,
    mid: Bytes,
    mid_id: Option<u8>,
    rid_id: Option<u8>,
    level_id: Option<u8>,
}

pub(crate) struct Connection {
    pub(crate) core: RTCPeerConnection,
    pub(crate) tap: Tap,
    pub(crate) sendings: Vec<Sending>,
    /// The sections of the other side's last description.
    pub(crate) sections: Vec<Section>,
    /// Whether an own offer waits for its answer.
    is_offering: bool,
    seed: u64,
}

impl Connection {
    pub(crate) fn new(plan: &Plan, local: SocketAddr, now: Instant) -> Result<Self> {
        let tap = Tap::default();
        let mut media = media_engine(plan)?;
        let mut registry =
            Registry::new().with(Slot::NackResponder, NackResponderBuilder::new().build());
        configure_simulcast_extension_headers(&mut media)?;
        if plan.is_decoding {
            registry = configure_twcc(registry, &mut media)?;
        }
        registry = configure_rtcp_reports(registry).with(Slot::from(14_000), tap.interceptor());
        let settings = SettingEngineBuilder::new()
            .with_answering_dtls_role(RTCDtlsRole::Client)
            .with_include_loopback_candidate(true)
            .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
            .with_sctp_max_message_size(
                rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize::Bounded(
                    MESSAGE_BYTES_MAX,
                ),
            )
            .with_ice_timeouts(
                Some(plan.silence_max / 2),
                Some(plan.silence_max / 2),
                Some(Duration::from_secs(2)),
            )
            .build();
        let mut core = RTCPeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_setting_engine(settings)
            .with_media_engine(media)
            .with_interceptor_registry(registry)
            .build(now)?;
        core.add_local_candidate(
            RTCIceCandidate::from(&host_candidate(local)?)
                .to_json()
                .context("candidate")?,
        )?;
        for label in &plan.channels {
            core.create_data_channel(label, None)?;
        }
        Ok(Self {
            core,
            tap,
            sendings: Vec::new(),
            sections: Vec::new(),
            is_offering: false,
            seed: plan.seed,
        })
    }

    /// Takes an offer, gives the answer. An own offer that is not answered yet is taken back.
    pub(crate) fn answer(
        &mut self,
        offer: &str,
        publish: &[Publication],
        now: Instant,
    ) -> Result<String> {
        if std::mem::take(&mut self.is_offering) {
            let rollback = RTCSessionDescription::rollback(None)?;
            self.core.set_local_description(now, rollback)?;
        }
        let offer = palatable(offer);
        self.sections = sections(&offer);
        let offer = RTCSessionDescription::offer(offer)?;
        self.core
            .set_remote_description(now, offer)
            .context("the offer")?;
        for publication in publish {
            self.attach(publication.clone(), now)?;
        }
        self.rest_unused();
        let answer = self.core.create_answer(None).context("create the answer")?;
        let sdp = answer.sdp.clone();
        self.core
            .set_local_description(now, answer)
            .context("the own answer")?;
        self.settle();
        Ok(sdp)
    }

    /// An own offer: of what is published, and of sections to receive on.
    pub(crate) fn offer(
        &mut self,
        publish: &[Publication],
        receive: &[Direction],
        now: Instant,
    ) -> Result<String> {
        for publication in publish {
            self.add(publication.clone(), now)?;
        }
        for direction in receive {
            let kind = match direction {
                Direction::Audio => RtpCodecKind::Audio,
                Direction::Video => RtpCodecKind::Video,
            };
            self.core.add_transceiver_from_kind(kind, None)?;
        }
        let offer = self.core.create_offer(None)?;
        let sdp = offer.sdp.clone();
        self.core.set_local_description(now, offer)?;
        self.is_offering = true;
        Ok(sdp)
    }

    /// The answer to the own offer.
    pub(crate) fn accept(&mut self, answer: &str, now: Instant) -> Result<()> {
        self.sections = sections(answer);
        let answer = RTCSessionDescription::answer(answer.to_owned())?;
        self.core.set_remote_description(now, answer)?;
        self.is_offering = false;
        self.settle();
        Ok(())
    }

    /// Publishes on the uplink section of that source. It flows once that is negotiated.
    pub(crate) fn attach(&mut self, publication: Publication, now: Instant) -> Result<()> {
        let kind = kind_of(publication.source);
        if self.sendings.iter().any(|s| s.source == publication.source) {
            bail!("{:?} is published already", publication.source);
        }
        // The core takes the first section of the kind that has no sender. A screen alone has to pass the camera's.
        let mut placeholder = None;
        if publication.source == Source::Screen
            && !self.sendings.iter().any(|s| s.source == Source::Camera)
        {
            let (track, _) = self.track(&publication, kind);
            placeholder = Some(self.core.add_track(track)?);
        }
        let (track, ssrcs) = self.track(&publication, kind);
        let sender = self.core.add_track(track)?;
        if let Some(placeholder) = placeholder {
            self.core.remove_track(placeholder)?;
        }
        let ids: Vec<_> = self.core.get_transceivers().collect();
        let transceiver = ids
            .into_iter()
            .find(|&id| self.sender_of(id) == Some(sender))
            .context("no transceiver for the track")?;
        self.begin(publication, transceiver, sender, ssrcs, now);
        Ok(())
    }

    /// Publishes on a section of its own, in an own first offer.
    fn add(&mut self, publication: Publication, now: Instant) -> Result<()> {
        let kind = kind_of(publication.source);
        let (track, ssrcs) = self.track(&publication, kind);
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Sendonly,
            streams: Vec::new(),
            send_encodings: Vec::new(),
        };
        let transceiver = self.core.add_transceiver_from_track(track, Some(init))?;
        let sender = self
            .sender_of(transceiver)
            .context("no sender for the track")?;
        self.begin(publication, transceiver, sender, ssrcs, now);
        Ok(())
    }

    fn begin(
        &mut self,
        publication: Publication,
        transceiver: RTCRtpTransceiverId,
        sender: RTCRtpSenderId,
        ssrcs: Vec<u32>,
        now: Instant,
    ) {
        // Sources of many peers shall not all send at one instant.
        let number = self.sendings.len() as u64;
        let spread = self.seed.wrapping_mul(7_919).wrapping_add(number * 3) % 33;
        let seed = self.seed ^ u64::from(ssrcs.first().copied().unwrap_or_default());
        let start = now + Duration::from_millis(spread);
        let kind = kind_of(publication.source);
        self.sendings.push(Sending {
            source: publication.source,
            media: Media::new(publication, kind, start, seed),
            transceiver,
            sender,
            ssrcs,
            wire: None,
        });
    }

    pub(crate) fn unpublish(&mut self, source: Source) -> Result<()> {
        let index = self.sendings.iter().position(|s| s.source == source);
        let index = index.context("not published")?;
        let sending = self.sendings.remove(index);
        Ok(self.core.remove_track(sending.sender)?)
    }

    fn sender_of(&mut self, id: RTCRtpTransceiverId) -> Option<RTCRtpSenderId> {
        self.core.rtp_transceiver(id)?.sender()
    }

    fn track(&self, publication: &Publication, kind: Kind) -> (MediaStreamTrack, Vec<u32>) {
        let (codec, kind) = match kind {
            Kind::Audio => (opus(), RtpCodecKind::Audio),
            Kind::Video => (vp8(), RtpCodecKind::Video),
        };
        let rids: &[&str] = if publication.is_simulcast {
            &RIDS
        } else {
            &[""]
        };
        let mut ssrcs = Vec::new();
        let mut encodings = Vec::new();
        for rid in rids {
            let ssrc = rand::random::<u32>();
            ssrcs.push(ssrc);
            encodings.push(RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters {
                    rid: (*rid).to_owned(),
                    ssrc: Some(ssrc),
                    rtx: Some(RTCRtpRtxParameters {
                        ssrc: rand::random::<u32>(),
                    }),
                    fec: None,
                },
                active: true,
                codec: codec.clone(),
                ..Default::default()
            });
        }
        let name = format!("{:?}-{:08x}", publication.source, rand::random::<u32>()).to_lowercase();
        let stream = format!("stream-{:08x}", rand::random::<u32>());
        let track = MediaStreamTrack::new(stream, name.clone(), name, kind, encodings);
        (track, ssrcs)
    }

    /// Sections that could be sent on and are not are answered `inactive`.
    fn rest_unused(&mut self) {
        let ids: Vec<_> = self.core.get_transceivers().collect();
        for id in ids {
            if let Some(mut transceiver) = self.core.rtp_transceiver(id)
                && transceiver.sender().is_none()
                && transceiver.direction() == RTCRtpTransceiverDirection::Sendonly
            {
                transceiver.set_direction(RTCRtpTransceiverDirection::Inactive);
            }
        }
    }

    /// Reads off what was negotiated.
    fn settle(&mut self) {
        for sending in &mut self.sendings {
            let mid = self
                .core
                .rtp_transceiver(sending.transceiver)
                .and_then(|transceiver| transceiver.mid().clone());
            let wanted = match sending.media.kind {
                Kind::Audio => MIME_TYPE_OPUS,
                Kind::Video => MIME_TYPE_VP8,
            };
            let (Some(mid), Some(mut sender)) = (mid, self.core.rtp_sender(sending.sender)) else {
                continue;
            };
            let parameters = &sender.get_parameters().rtp_parameters;
            let id = |uri: &str| {
                let mut extensions = parameters.header_extensions.iter();
                extensions.find(|e| e.uri == uri).map(|e| e.id as u8)
            };
            let codec = parameters
                .codecs
                .iter()
                .find(|codec| codec.rtp_codec.mime_type.eq_ignore_ascii_case(wanted));
            sending.wire = codec.map(|codec| Wire {
                payload_type: codec.payload_type,
                mid: Bytes::from(mid),
                mid_id: id(extmap::SDES_MID_URI),
                rid_id: id(extmap::SDES_RTP_STREAM_ID_URI),
                level_id: id(extmap::AUDIO_LEVEL_URI),
            });
        }
    }

    /// Writes a packet of a source.
    pub(crate) fn write(&mut self, index: usize, packet: Packet, now: Instant) -> Result<()> {
        let Some(sending) = self.sendings.get(index) else {
            return Ok(());
        };
        let (Some(wire), Some(&ssrc)) = (&sending.wire, sending.ssrcs.get(packet.layer)) else {
            return Ok(());
        };
        let mut header = rtp::header::Header {
            version: 2,
            marker: packet.marker,
            payload_type: wire.payload_type,
            sequence_number: packet.sequence,
            timestamp: packet.timestamp,
            ssrc,
            ..Default::default()
        };
        if sending.ssrcs.len() > 1
            && let (Some(mid_id), Some(rid_id)) = (wire.mid_id, wire.rid_id)
        {
            header.set_extension(mid_id, wire.mid.clone())?;
            let rid = RIDS.get(packet.layer).copied().unwrap_or_default();
            header.set_extension(rid_id, Bytes::from_static(rid.as_bytes()))?;
        }
        if sending.media.kind == Kind::Audio
            && let Some(level_id) = wire.level_id
        {
            let level = sending.media.level().min(127);
            // The first bit says that somebody speaks.
            let voice = if level < 100 { 0x80 } else { 0 };
            header.set_extension(level_id, Bytes::copy_from_slice(&[voice | level]))?;
        }
        let packet = rtp::Packet {
            header,
            payload: packet.payload,
        };
        let Some(mut sender) = self.core.rtp_sender(sending.sender) else {
            return Ok(());
        };
        Ok(sender.write_rtp(now, packet)?)
    }

    /// Whether the other side has closed DTLS; the state of the connection does not tell.
    pub(crate) fn is_closed_there(&mut self) -> bool {
        let closed = RTCDtlsTransportState::Closed;
        if let Some(sctp) = self.core.sctp() {
            return sctp.transport().state() == closed;
        }
        let ids: Vec<_> = self.core.get_receivers().collect();
        ids.into_iter().any(|id| {
            let receiver = self.core.rtp_receiver(id);
            receiver.is_some_and(|r| r.transport().is_some_and(|t| t.state() == closed))
        })
    }

    /// The source and layer that an SSRC belongs to.
    pub(crate) fn layer_of(&self, ssrc: u32) -> Option<(usize, usize)> {
        let mut sendings = self.sendings.iter().enumerate();
        sendings.find_map(|(index, sending)| {
            let layer = sending.ssrcs.iter().position(|&own| own == ssrc)?;
            Some((index, layer))
        })
    }

    pub(crate) fn open_channel(
        &mut self,
        label: &str,
        is_reliable: bool,
    ) -> Result<RTCDataChannelId> {
        let init = RTCDataChannelInit {
            ordered: is_reliable,
            max_retransmits: (!is_reliable).then_some(0),
            ..Default::default()
        };
        Ok(self.core.create_data_channel(label, Some(init))?.id())
    }

    pub(crate) fn send(
        &mut self,
        channel: RTCDataChannelId,
        payload: &crate::plan::Payload,
        now: Instant,
    ) -> Result<()> {
        let mut channel = self.core.data_channel(channel).context("no such channel")?;
        match payload {
            crate::plan::Payload::Text(text) => channel.send_text(now, text.clone())?,
            crate::plan::Payload::Binary(bytes) => channel.send(now, BytesMut::from(&bytes[..]))?,
        }
        Ok(())
    }
}

fn kind_of(source: Source) -> Kind {
    match source {
        Source::Mic => Kind::Audio,
        Source::Camera | Source::Screen => Kind::Video,
    }
}

fn feedback(kinds: &[(&str, &str)]) -> Vec<RTCPFeedback> {
    let feedback = kinds.iter().map(|(typ, parameter)| RTCPFeedback {
        typ: (*typ).to_owned(),
        parameter: (*parameter).to_owned(),
    });
    feedback.collect()
}

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: Vec::new(),
    }
}

fn vp8() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_VP8.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: String::new(),
        rtcp_feedback: feedback(&[("ccm", "fir"), ("nack", ""), ("nack", "pli")]),
    }
}

fn media_engine(plan: &Plan) -> Result<MediaEngine> {
    let mut media = MediaEngine::default();
    let codec = |rtp_codec, payload_type| RTCRtpCodecParameters {
        rtp_codec,
        payload_type,
    };
    media.register_codec(codec(opus(), OPUS_TYPE), RtpCodecKind::Audio)?;
    media.register_codec(codec(vp8(), VP8_TYPE), RtpCodecKind::Video)?;
    if plan.has_rtx {
        let rtx = RTCRtpCodec {
            mime_type: MIME_TYPE_RTX.to_owned(),
            clock_rate: 90_000,
            channels: 0,
            sdp_fmtp_line: format!("apt={VP8_TYPE}"),
            rtcp_feedback: Vec::new(),
        };
        media.register_codec(codec(rtx, RTX_TYPE), RtpCodecKind::Video)?;
    }
    let level = RTCRtpHeaderExtensionCapability {
        uri: extmap::AUDIO_LEVEL_URI.to_owned(),
    };
    media.register_header_extension(level, RtpCodecKind::Audio, None)?;
    Ok(media)
}

fn host_candidate(local: SocketAddr) -> Result<rtc::ice::candidate::Candidate> {
    let config = CandidateHostConfig {
        base_config: CandidateConfig {
            network: "udp".to_owned(),
            address: local.ip().to_string(),
            port: local.port(),
            component: 1,
            ..Default::default()
        },
        ..Default::default()
    };
    Ok(config.new_candidate_host()?)
}
