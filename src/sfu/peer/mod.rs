//! A peer: one client's connection, its sections and its channels. It does no I/O: datagrams and the time are handed to it.

pub(crate) mod channels;
mod connection;
mod negotiation;
mod sdp;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent, RTCTrackEvent};
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::RTCDtlsTransportState;
use rtc::rtp_transceiver::rtp_sender::RTCRtpCodec;
use rtc::sansio::Protocol as _;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use webrtc::peer_connection::RTCPeerConnection;

use self::channels::{Channels, Sent};
use self::connection::MESSAGE_MAX;
pub(crate) use self::connection::{Credentials, Identity};
use self::negotiation::Negotiation;
pub(crate) use self::negotiation::{Changes, Slot, Uplink};
use crate::Error;
use crate::interceptors::bandwidth::Downlink;
use crate::net::{Datagram, Registration};
use crate::session::{Join, Payload, PeerId, Publishing};

/// A peer's number within its session; never used again.
pub(crate) type PeerKey = u32;

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
    /// Whether its connection has taken half of a description and cannot go on.
    pub(crate) is_broken: bool,
    /// Whether it has something to send.
    pub(crate) is_dirty: bool,
    /// When it has to be looked at next.
    pub(crate) deadline: Option<Instant>,
    connection: RTCPeerConnection,
    channels: Channels,
    negotiation: Negotiation,
    is_simulcast: bool,
    /// Whether the client has closed the connection.
    is_over: bool,
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
            publishing: join.publishing,
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
            local: setup
                .candidates
                .first()
                .copied()
                .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9))),
            _registration: registration,
        })
    }

    /// Hands a datagram to the connection. `takes_messages` is false while nobody takes what channels bring.
    pub(crate) fn receive(
        &mut self,
        datagram: Datagram,
        takes_messages: bool,
        out: &mut Vec<Output>,
    ) {
        let at = datagram.at;
        self.heard_at = at;
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
        if is_whole.is_none() {
            out.push(Output::Failed);
            return;
        }
        self.collect(takes_messages, at, out);
    }

    /// Tells the connection the time.
    pub(crate) fn tick(&mut self, now: Instant, takes_messages: bool, out: &mut Vec<Output>) {
        let done = contained(|| {
            if let Err(error) = self.connection.handle_timeout(now) {
                tracing::trace!(%error, "a timer failed");
            }
        });
        if done.is_none() {
            out.push(Output::Failed);
            return;
        }
        self.collect(takes_messages, now, out);
    }

    /// Takes what the connection has for us.
    pub(crate) fn collect(&mut self, takes_messages: bool, now: Instant, out: &mut Vec<Output>) {
        let done = contained(|| {
            self.is_held = !takes_messages;
            loop {
                // Both are sweeps of the whole connection; without `poll_read` channels stay as they are.
                let next = if takes_messages {
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
                        let Some(label) = self.channels.label(id).cloned() else {
                            continue;
                        };
                        if message.data.len() > MESSAGE_MAX {
                            self.channels.close(&mut self.connection, id);
                            out.push(Output::TooLong);
                            continue;
                        }
                        match payload(message.is_string, message.data) {
                            Some(payload) => out.push(Output::Message { label, payload }),
                            None => tracing::debug!("a text message is not UTF-8"),
                        }
                    }
                    _ => {}
                }
            }
            while let Some(event) = self.connection.poll_event() {
                self.note(event, now, out);
            }
            // The connection has no event for the client's close_notify.
            let is_over = self
                .connection
                .sctp()
                .is_some_and(|sctp| sctp.transport().state() == RTCDtlsTransportState::Closed);
            if is_over && !self.is_over {
                self.is_over = true;
                out.push(Output::Closed);
            }
        });
        if done.is_none() {
            out.push(Output::Failed);
        }
        self.is_dirty = true;
        self.deadline = contained(|| self.connection.poll_timeout()).flatten();
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

    /// Sends a packet on a slot; it leaves with [`Peer::drain`].
    pub(crate) fn write(
        &mut self,
        sender: rtc::rtp_transceiver::RTCRtpSenderId,
        packet: rtc::rtp::Packet,
        now: Instant,
    ) -> bool {
        self.is_dirty = true;
        contained(|| {
            self.connection
                .rtp_sender(sender)
                .is_some_and(|mut sender| sender.write_rtp(now, packet).is_ok())
        })
        .unwrap_or(false)
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
        let _ = contained(|| {
            self.connection
                .rtp_receiver(receiver)
                .map(|mut receiver| receiver.write_rtcp(now, packets))
        });
    }

    /// Sends a message on the channel of a label.
    pub(crate) fn send(&mut self, label: &str, payload: &Payload, now: Instant) -> Sent {
        self.is_dirty = true;
        // The connection's timers change with what it sends reliably.
        self.deadline = Some(now);
        contained(|| {
            self.channels
                .send(&mut self.connection, label, payload, now)
        })
        .unwrap_or(Sent::TooSlow)
    }

    /// Takes what is to be sent to the client.
    pub(crate) fn drain(&mut self, mut send: impl FnMut(SocketAddr, BytesMut)) {
        self.is_dirty = false;
        let _ = contained(|| {
            while let Some(datagram) = self.connection.poll_write() {
                send(datagram.transport.peer_addr, datagram.message);
            }
        });
    }

    /// Ends the connection and tells the client; what is to be sent for that comes with [`Peer::drain`].
    pub(crate) fn close(&mut self) {
        let _ = contained(|| self.connection.close());
        self.is_dirty = true;
    }

    /// What the connection has measured.
    pub(crate) fn report(
        &mut self,
        now: Instant,
    ) -> Option<webrtc::peer_connection::RTCStatsReport> {
        contained(|| {
            self.connection
                .get_stats(now, webrtc::peer_connection::StatsSelector::None)
        })
    }
}

/// Runs a step of the connection. The library is young and reads what strangers send: a panic in it costs the peer alone.
fn contained<T>(step: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(step)).ok()
}

fn payload(is_text: bool, data: BytesMut) -> Option<Payload> {
    if is_text {
        return std::str::from_utf8(&data)
            .ok()
            .map(|text| Payload::Text(text.into()));
    }
    Some(Payload::Binary(data.freeze()))
}
