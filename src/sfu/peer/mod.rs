//! A peer: one client's connection, its sections and its channels. It does no I/O: datagrams and the time are handed to it.

pub(crate) mod channels;
mod connection;
mod contained;
mod negotiation;
mod sdp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc::data_channel::{RTCDataChannelId, RTCDataChannelMessage};
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent, RTCTrackEvent};
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::RTCDtlsTransportState;
use rtc::rtp_transceiver::rtp_sender::RTCRtpCodec;
use rtc::sansio::Protocol as _;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use webrtc::peer_connection::RTCPeerConnection;

use self::channels::{Channels, Sent};
pub(crate) use self::connection::{Credentials, Identity};
use self::connection::{MESSAGE_MAX, RECEIVE_BUFFER};
use self::contained::contained;
pub(crate) use self::contained::{panics, silence_contained};
use self::negotiation::Negotiation;
pub(crate) use self::negotiation::{Changes, Slot, Uplink};
use crate::Error;
use crate::interceptors::bandwidth::Downlink;
use crate::net::{Datagram, Registration};
use crate::session::{Join, Media, Payload, PeerId, Publishing};

/// A peer's number within its session; never used again.
pub(crate) type PeerKey = u32;

/// What a client may send over DTLS without completing a message, in bytes. SCTP's own window bounds who keeps to it; it takes a
/// message that never ends beyond that.
const UNREAD_MAX: usize = 2 * RECEIVE_BUFFER as usize;
/// How much of what came together an acknowledgement is taken to be for, in bytes: less than there may be, so that noise between
/// a client's own datagrams does not count for it.
const UNSURE_MAX: usize = 16 * 1024;
/// What acknowledging one of our messages may cost the client, in bytes.
const ACKNOWLEDGEMENT: usize = 256;
/// The first byte of what SCTP sends, in DTLS (RFC 5246 section 6.2.1). What is refused is answered by alerts, which are not.
const APPLICATION_DATA: u8 = 23;
/// The connection may name a time that has passed; to ask it at once again would spin.
const TIMER_STEP: Duration = Duration::from_millis(1);

/// What peers of a session are made with.
pub(crate) struct Setup {
    pub(crate) identity: Identity,
    pub(crate) candidates: Arc<[SocketAddr]>,
    pub(crate) silence_max: Duration,
}

/// What a datagram or a moment brought.
#[derive(Debug)]
pub(crate) enum Output {
    Connected,
    /// Closed by the client.
    Closed,
    /// ICE or DTLS failed.
    Failed,
    /// A stream of a section: it has this codec, and is this layer if it is one of several.
    Stream {
        mid: String,
        ssrc: u32,
        rid: Option<String>,
        codec: RTCRtpCodec,
    },
    Rtp {
        mid: String,
        packet: rtc::rtp::Packet,
    },
    /// Feedback; on the track that it is about.
    Rtcp {
        track: String,
        packets: Vec<Box<dyn rtc::rtcp::Packet>>,
    },
    ChannelOpen {
        label: Arc<str>,
    },
    Message {
        label: Arc<str>,
        payload: Payload,
    },
    /// A message was longer than allowed; its channel is closed.
    TooLong,
}

pub(crate) struct Peer {
    pub(crate) key: PeerKey,
    pub(crate) id: PeerId,
    pub(crate) publishing: Publishing,
    pub(crate) uplinks: Vec<Uplink>,
    pub(crate) slots: Vec<Slot>,
    /// What is measured of the way to the client.
    pub(crate) downlink: Arc<Downlink>,
    /// When anything came last.
    pub(crate) heard_at: Instant,
    pub(crate) joined_at: Instant,
    pub(crate) is_connected: bool,
    /// Whether it must be told of new sections.
    pub(crate) wants_offer: bool,
    /// Whether messages of its channels wait since nobody takes them.
    pub(crate) is_held: bool,
    /// Whether its connection cannot go on: it has taken half of a description, or panicked, or its client broke a bound.
    pub(crate) is_broken: bool,
    /// Whether it has something to send.
    pub(crate) is_dirty: bool,
    /// When it has to be looked at next.
    pub(crate) deadline: Option<Instant>,
    connection: RTCPeerConnection,
    channels: Channels,
    negotiation: Negotiation,
    is_simulcast: bool,
    media: Media,
    /// Whether the client has closed the connection.
    is_over: bool,
    /// What came over DTLS since the last message, in bytes.
    unread: usize,
    /// What came over DTLS and was not acknowledged: it may be of anybody who forges the client's address.
    unsure: usize,
    local: SocketAddr,
    _registration: Registration,
}

impl Peer {
    /// A new connection with the server's sections and channels, before its first offer.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub(crate) fn new(
        key: PeerKey,
        join: &Join,
        setup: &Setup,
        credentials: &Credentials,
        registration: Registration,
        now: Instant,
    ) -> Result<Self, Error> {
        let (mut connection, downlink) =
            connection::connect(&setup.identity, credentials, &setup.candidates, now)?;
        let uplinks = negotiation::add_uplinks(&mut connection, join.media)?;
        let channels = Channels::create(&mut connection, &join.channels)?;
        Ok(Self {
            key,
            id: join.peer.clone(),
            publishing: within(join.media, join.publishing),
            uplinks,
            slots: Vec::new(),
            downlink,
            heard_at: now,
            joined_at: now,
            is_connected: false,
            wants_offer: false,
            is_held: false,
            is_broken: false,
            is_dirty: true,
            deadline: Some(now),
            connection,
            channels,
            negotiation: Negotiation::default(),
            is_simulcast: join.is_simulcast,
            is_over: false,
            unread: 0,
            unsure: 0,
            media: join.media,
            local: setup
                .candidates
                .first()
                .copied()
                .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9))),
            _registration: registration,
        })
    }

    /// Changes what the peer may publish: never more than what the session carries.
    pub(crate) fn allow(&mut self, publishing: Publishing) {
        self.publishing = within(self.media, publishing);
    }

    /// Hands a datagram to the connection, and takes at most `room` messages of channels.
    pub(crate) fn receive(&mut self, datagram: Datagram, room: usize, out: &mut Vec<Output>) {
        if self.is_broken {
            return;
        }
        let at = datagram.at;
        self.heard_at = at;
        if is_data(&datagram.data) {
            self.unsure = UNSURE_MAX.min(self.unsure + datagram.data.len());
        }
        let tagged = TaggedBytesMut {
            now: at,
            transport: TransportContext {
                local_addr: self.local,
                peer_addr: datagram.from,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: datagram.data,
        };
        let is_whole = contained(|| {
            if let Err(error) = self.connection.handle_read(tagged) {
                tracing::trace!(%error, "a datagram was refused");
            }
        });
        self.is_broken |= is_whole.is_none();
        self.collect(room, at, out);
    }

    /// Tells the connection the time.
    pub(crate) fn tick(&mut self, now: Instant, room: usize, out: &mut Vec<Output>) {
        let done = contained(|| {
            if let Err(error) = self.connection.handle_timeout(now) {
                tracing::trace!(%error, "a timer failed");
            }
        });
        self.is_broken |= done.is_none();
        self.collect(room, now, out);
    }

    /// Takes what the connection has for us: at most `room` messages of channels, and none where that is 0. What is left slows
    /// the client down.
    fn collect(&mut self, room: usize, now: Instant, out: &mut Vec<Output>) {
        if self.is_broken {
            self.deadline = None;
            return;
        }
        let mut left = room;
        let done = contained(|| {
            loop {
                // Both are sweeps of the whole connection; without `poll_read` channels stay as they are.
                let next = if left > 0 {
                    self.connection.poll_read()
                } else {
                    self.connection.poll_media_read()
                };
                let Some(TaggedRTCMessage { message, .. }) = next else {
                    break;
                };
                match message {
                    RTCMessage::RtpPacket(mid, packet) => out.push(Output::Rtp { mid, packet }),
                    RTCMessage::RtcpPacket(track, packets) => {
                        out.push(Output::Rtcp { track, packets })
                    }
                    RTCMessage::DataChannelMessage(id, message) => {
                        left = left.saturating_sub(1);
                        self.unread = 0;
                        self.take(id, message, out);
                    }
                    _ => {}
                }
            }
            while let Some(event) = self.connection.poll_event() {
                self.note(event, now, out);
            }
            // The connection has no event for the client's close_notify.
            if !self.is_over && self.is_closed_there() {
                self.is_over = true;
                out.push(Output::Closed);
            }
            self.connection.poll_timeout()
        });
        self.is_held = left == 0;
        self.is_broken |= done.is_none();
        self.is_dirty = true;
        self.deadline = done.flatten().map(|at| at.max(now + TIMER_STEP));
    }

    /// A message of a channel.
    fn take(
        &mut self,
        id: RTCDataChannelId,
        message: RTCDataChannelMessage,
        out: &mut Vec<Output>,
    ) {
        let Some(label) = self.channels.label(id).cloned() else {
            return;
        };
        if message.data.len() > MESSAGE_MAX {
            self.channels.close(&mut self.connection, id);
            out.push(Output::TooLong);
            return;
        }
        match payload(message.is_string, message.data) {
            Some(payload) => out.push(Output::Message { label, payload }),
            None => tracing::debug!("a text message is not UTF-8"),
        }
    }

    /// Whether the client has closed DTLS. Any part that uses the transport knows its state; there may be no channels.
    fn is_closed_there(&mut self) -> bool {
        if let Some(sctp) = self.connection.sctp() {
            return sctp.transport().state() == RTCDtlsTransportState::Closed;
        }
        let receiver = self
            .uplinks
            .first()
            .and_then(|uplink| uplink.receiver(&mut self.connection));
        let closed = RTCDtlsTransportState::Closed;
        receiver
            .and_then(|id| self.connection.rtp_receiver(id))
            .is_some_and(|receiver| {
                receiver
                    .transport()
                    .is_some_and(|transport| transport.state() == closed)
            })
    }

    fn note(&mut self, event: RTCPeerConnectionEvent, now: Instant, out: &mut Vec<Output>) {
        match event {
            RTCPeerConnectionEvent::OnConnectionStateChangeEvent(
                RTCPeerConnectionState::Connected,
            ) if !self.is_connected => {
                self.is_connected = true;
                out.push(Output::Connected);
            }
            RTCPeerConnectionEvent::OnConnectionStateChangeEvent(
                RTCPeerConnectionState::Failed,
            ) => out.push(Output::Failed),
            RTCPeerConnectionEvent::OnTrack(RTCTrackEvent::OnOpen(init)) => {
                let codec = self
                    .connection
                    .rtp_receiver(init.receiver_id)
                    .and_then(|receiver| receiver.track().codec(init.ssrc).cloned());
                let Some(codec) = codec else {
                    tracing::debug!("a stream without a codec");
                    return;
                };
                out.push(Output::Stream {
                    mid: init.track_id,
                    ssrc: init.ssrc,
                    rid: init.rid,
                    codec,
                });
            }
            RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(id)) => {
                if let Some(label) = self.channels.opened(&mut self.connection, id, now) {
                    out.push(Output::ChannelOpen { label });
                }
            }
            RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnClose(id)) => {
                self.channels.closed(id);
            }
            _ => {}
        }
    }

    /// The uplink of a section.
    pub(crate) fn uplink_of(&self, mid: &str) -> Option<usize> {
        self.uplinks
            .iter()
            .position(|uplink| uplink.mid.as_deref() == Some(mid))
    }

    /// Sends a packet on a slot; it leaves with [`Peer::drain`]. Its SSRC and payload type are the slot's.
    pub(crate) fn write(&mut self, packet: rtc::rtp::Packet, now: Instant) -> bool {
        if self.is_broken {
            return false;
        }
        self.is_dirty = true;
        // Not through the sender: it would look both up again for each packet.
        let message = RTCMessage::RtpPacket(String::new(), packet);
        let written = contained(|| {
            self.connection
                .handle_write(TaggedRTCMessage { now, message })
                .is_ok()
        });
        self.is_broken |= written.is_none();
        written.unwrap_or(false)
    }

    /// Sends feedback to the publisher of a section.
    pub(crate) fn feed_back(
        &mut self,
        uplink: usize,
        packets: Vec<Box<dyn rtc::rtcp::Packet>>,
        now: Instant,
    ) {
        self.is_dirty = true;
        let Some(receiver) = self
            .uplinks
            .get(uplink)
            .and_then(|uplink| uplink.receiver(&mut self.connection))
        else {
            return;
        };
        let done = contained(|| {
            self.connection
                .rtp_receiver(receiver)
                .map(|mut receiver| receiver.write_rtcp(now, packets))
        });
        self.is_broken |= done.is_none();
    }

    /// What the peer has not acknowledged of a label's messages, in bytes.
    pub(crate) fn behind(&mut self, label: &str) -> usize {
        contained(|| self.channels.behind(&mut self.connection, label)).unwrap_or_default()
    }

    /// Sends a message on the channel of a label.
    pub(crate) fn send(&mut self, label: &str, payload: &Payload, now: Instant) -> Sent {
        self.is_dirty = true;
        // The connection's timers change with what it sends reliably.
        self.deadline = Some(now);
        self.unread = self
            .unread
            .saturating_sub(channels::length(payload) + ACKNOWLEDGEMENT);
        let sent = contained(|| {
            self.channels
                .send(&mut self.connection, label, payload, now)
        });
        self.is_broken |= sent.is_none();
        sent.unwrap_or(Sent::Dropped)
    }

    /// Takes what is to be sent to the client.
    pub(crate) fn drain(&mut self, mut send: impl FnMut(SocketAddr, BytesMut)) {
        self.is_dirty = false;
        let done = contained(|| {
            while let Some(datagram) = self.connection.poll_write() {
                if is_data(&datagram.message) {
                    self.unread += std::mem::take(&mut self.unsure);
                }
                send(datagram.transport.peer_addr, datagram.message);
            }
        });
        self.is_broken |= done.is_none();
        if self.unread > UNREAD_MAX && !self.is_broken {
            tracing::info!(peer = %self.id, "a peer sends messages that do not end and is removed");
            self.is_broken = true;
        }
    }

    /// Ends the connection and tells the client; what is to be sent for that comes with [`Peer::drain`].
    pub(crate) fn close(&mut self) {
        let _ = contained(|| self.connection.close());
        self.is_dirty = true;
    }
}

fn is_data(datagram: &[u8]) -> bool {
    datagram.first() == Some(&APPLICATION_DATA)
}

/// What of this a session that carries `media` takes.
fn within(media: Media, publishing: Publishing) -> Publishing {
    Publishing {
        audio: publishing.audio && media != Media::None,
        camera: publishing.camera && media == Media::Video,
        screen: publishing.screen && media == Media::Video,
    }
}

fn payload(is_text: bool, data: BytesMut) -> Option<Payload> {
    if is_text {
        return std::str::from_utf8(&data)
            .ok()
            .map(|text| Payload::Text(text.into()));
    }
    Some(Payload::Binary(data.freeze()))
}
