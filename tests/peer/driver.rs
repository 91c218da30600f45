//! The task of a peer: its socket, its timers and its connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::BytesMut;
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use rtc::data_channel::RTCDataChannelId;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent, RTCTrackEvent};
use rtc::peer_connection::message::RTCMessage;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use rtc::rtp;
use rtc::rtp_transceiver::RTCRtpReceiverId;
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep_until};

use crate::connection::Connection;
use crate::description::Section;
use crate::handle::{Command, Inbox};
use crate::inbound::{Header, Inbound};
use crate::media::{Packet, clock_nanos, stamp_of};
use crate::plan::{Payload, Plan, Reading, Source};
use crate::stats::{Ended, Kind, Stats};

const DATAGRAM_BYTES: usize = 2_048;
/// Datagrams read before timers and commands have their turn.
const BURST: usize = 64;
const IDLE: Duration = Duration::from_secs(5);
/// The core may name a time that has passed; asking it again at once would spin.
const TIMER_STEP: Duration = Duration::from_millis(1);
/// The content type of a DTLS record (RFC 5246, 6.2.1).
const DTLS_ALERT: u8 = 21;
const LATENCIES_MAX: usize = 1_000_000;

struct Channel {
    id: RTCDataChannelId,
    label: String,
    is_own: bool,
    is_open: bool,
}

pub(crate) struct Driver {
    plan: Plan,
    socket: UdpSocket,
    local: SocketAddr,
    remote: Option<SocketAddr>,
    connection: Connection,
    commands: mpsc::Receiver<Command>,
    inbox: Arc<Inbox>,
    rng: SmallRng,
    began: Instant,
    channels: Vec<Channel>,
    inbound: Vec<Inbound>,
    /// All sections that descriptions of the other side ever had.
    sections: Vec<Section>,
    receivers: Vec<(u32, RTCRtpReceiverId)>,
    packets: Vec<Packet>,
    stats: Stats,
    latencies_us: Vec<u32>,
    is_over: bool,
}

/// What a datagram is, by its first bytes (RFC 7983, and RFC 5761 for RTCP).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Rtp,
    Rtcp,
    Other,
}

fn class(datagram: &[u8]) -> Class {
    match datagram {
        [128..=191, 192..=223, ..] => Class::Rtcp,
        [128..=191, ..] => Class::Rtp,
        _ => Class::Other,
    }
}

impl Driver {
    pub(crate) fn new(
        plan: Plan,
        socket: UdpSocket,
        connection: Connection,
        commands: mpsc::Receiver<Command>,
        inbox: Arc<Inbox>,
    ) -> Result<Self> {
        Ok(Self {
            local: socket.local_addr()?,
            rng: SmallRng::seed_from_u64(plan.seed),
            plan,
            socket,
            remote: None,
            sections: connection.sections.clone(),
            connection,
            commands,
            inbox,
            began: Instant::now(),
            channels: Vec::new(),
            inbound: Vec::new(),
            receivers: Vec::new(),
            packets: Vec::new(),
            stats: Stats::default(),
            latencies_us: Vec::new(),
            is_over: false,
        })
    }

    pub(crate) async fn run(mut self) {
        let timer = sleep_until(Instant::now().into());
        tokio::pin!(timer);
        let mut buffer = vec![0; DATAGRAM_BYTES];
        self.settle(timer.as_mut());
        loop {
            let reads = self.plan.reading != Reading::Nothing;
            let is_busy = tokio::select! {
                biased;
                command = self.commands.recv() => {
                    let Some(command) = command else { return };
                    self.obey(command);
                    true
                }
                () = timer.as_mut() => {
                    self.tick(Instant::now());
                    true
                }
                ready = self.socket.readable(), if reads => {
                    ready.is_ok() && self.read(&mut buffer)
                }
            };
            if self.is_over {
                return;
            }
            if is_busy {
                self.settle(timer.as_mut());
            }
        }
    }

    /// Reads what the socket has. Whether the connection got any of it.
    fn read(&mut self, buffer: &mut [u8]) -> bool {
        let mut is_fed = false;
        for _ in 0..BURST {
            let Ok((length, from)) = self.socket.try_recv_from(buffer) else {
                break;
            };
            let now = Instant::now();
            self.stats.datagrams_received += 1;
            if self.plan.is_silent {
                continue;
            }
            let datagram = buffer.get(..length).unwrap_or_default();
            let class = class(datagram);
            if class != Class::Other && self.loses(self.plan.loss.down_percent) {
                self.stats.lost_down += 1;
                continue;
            }
            self.remote = Some(from);
            if class == Class::Rtp {
                if let Some(header) = Header::read(datagram)
                    && !self.plan.is_decoding
                {
                    self.count(header, length, None, now);
                }
                if !self.plan.is_decoding {
                    continue;
                }
            }
            self.feed(datagram, from, now);
            is_fed = true;
        }
        is_fed
    }

    fn feed(&mut self, datagram: &[u8], from: SocketAddr, now: Instant) {
        let message = TaggedBytesMut {
            now,
            transport: TransportContext {
                local_addr: self.local,
                peer_addr: from,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: BytesMut::from(datagram),
        };
        // What the core refuses is lost, as on a wire.
        let _ = self.connection.core.handle_read(message);
        self.take_messages();
        if datagram.first() == Some(&DTLS_ALERT) && self.connection.is_closed_there() {
            self.stats.ended.get_or_insert(Ended::Closed);
        }
    }

    fn loses(&mut self, percent: f64) -> bool {
        percent > 0.0 && self.rng.random_range(0.0..100.0) < percent
    }

    /// Moves on all that waits in the connection, and sets the timer.
    fn settle(&mut self, timer: std::pin::Pin<&mut Sleep>) {
        loop {
            self.take_messages();
            let mut is_quiet = true;
            while let Some(event) = self.connection.core.poll_event() {
                is_quiet = false;
                self.note(event);
            }
            while let Some(datagram) = self.connection.core.poll_write() {
                is_quiet = false;
                self.transmit(&datagram);
            }
            if is_quiet {
                break;
            }
        }
        let now = Instant::now();
        let mut next = self
            .connection
            .core
            .poll_timeout()
            .unwrap_or(now + IDLE)
            .max(now + TIMER_STEP);
        if self.stats.is_connected {
            let sources = self.connection.sendings.iter();
            if let Some(due) = sources.map(|sending| sending.media.next_at()).min() {
                next = next.min(due);
            }
            let nacks = self.inbound.iter().filter_map(Inbound::next_nack_at).min();
            if let Some(due) = nacks {
                next = next.min(due);
            }
        }
        timer.reset(next.into());
    }

    fn transmit(&mut self, datagram: &TaggedBytesMut) {
        if self.plan.is_silent {
            return;
        }
        let bytes = &datagram.message;
        let class = class(bytes);
        if class == Class::Rtp {
            self.stats.sent_packets += 1;
            self.stats.sent_bytes += bytes.len() as u64;
        }
        if class != Class::Other && self.loses(self.plan.loss.up_percent) {
            self.stats.lost_up += 1;
            return;
        }
        self.stats.datagrams_sent += 1;
        // A full socket buffer loses it, as on a wire.
        let _ = self.socket.try_send_to(bytes, datagram.transport.peer_addr);
    }

    fn tick(&mut self, now: Instant) {
        let _ = self.connection.core.handle_timeout(now);
        if !self.stats.is_connected {
            return;
        }
        for ssrc in self
            .connection
            .tap
            .look(|seen| std::mem::take(&mut seen.wanted))
        {
            if let Some((index, layer)) = self.connection.layer_of(ssrc)
                && let Some(sending) = self.connection.sendings.get_mut(index)
            {
                sending.media.want_key_frame(layer);
            }
        }
        let mut packets = std::mem::take(&mut self.packets);
        for index in 0..self.connection.sendings.len() {
            if let Some(sending) = self.connection.sendings.get_mut(index) {
                sending.media.due(now, &mut packets);
            }
            for packet in packets.drain(..) {
                let _ = self.connection.write(index, packet, now);
                // At once: the stamp tells when it left.
                while let Some(datagram) = self.connection.core.poll_write() {
                    self.transmit(&datagram);
                }
            }
        }
        self.packets = packets;
        for index in 0..self.inbound.len() {
            let Some(inbound) = self.inbound.get_mut(index) else {
                continue;
            };
            let due = inbound.nacks(now);
            let media_ssrc = inbound.track.ssrc;
            if !due.is_empty() {
                let nack = TransportLayerNack {
                    sender_ssrc: 1,
                    media_ssrc,
                    nacks: nack_pairs_from_sequence_numbers(&due),
                };
                self.write_rtcp(media_ssrc, Box::new(nack), now);
            }
        }
    }

    fn write_rtcp(&mut self, ssrc: u32, packet: Box<dyn rtc::rtcp::Packet>, now: Instant) {
        let receiver = self.receivers.iter().find(|(of, _)| *of == ssrc);
        if let Some(&(_, id)) = receiver
            && let Some(mut receiver) = self.connection.core.rtp_receiver(id)
        {
            let _ = receiver.write_rtcp(now, vec![packet]);
        }
    }

    fn note(&mut self, event: RTCPeerConnectionEvent) {
        match event {
            RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) => match state {
                RTCPeerConnectionState::Connected => {
                    self.stats.is_connected = true;
                    self.stats
                        .connected_after
                        .get_or_insert(self.began.elapsed());
                }
                RTCPeerConnectionState::Failed => {
                    self.stats.ended.get_or_insert(Ended::Failed);
                }
                RTCPeerConnectionState::Closed => {
                    self.stats.ended.get_or_insert(Ended::Closed);
                }
                _ => {}
            },
            RTCPeerConnectionEvent::OnDataChannel(event) => self.note_channel(&event),
            RTCPeerConnectionEvent::OnTrack(RTCTrackEvent::OnOpen(init)) => {
                self.receivers.retain(|(ssrc, _)| *ssrc != init.ssrc);
                self.receivers.push((init.ssrc, init.receiver_id));
            }
            _ => {}
        }
    }

    fn note_channel(&mut self, event: &RTCDataChannelEvent) {
        match *event {
            RTCDataChannelEvent::OnOpen(id) => {
                let channel = self.connection.core.data_channel(id);
                let label = channel.map(|c| c.label().to_owned()).unwrap_or_default();
                match self.channels.iter_mut().find(|c| c.id == id) {
                    Some(channel) => channel.is_open = true,
                    None => {
                        let is_own = self.plan.channels.contains(&label);
                        self.channels.push(Channel {
                            id,
                            label,
                            is_own,
                            is_open: true,
                        });
                    }
                }
            }
            RTCDataChannelEvent::OnClose(id) => self.channels.retain(|c| c.id != id),
            _ => {}
        }
    }

    /// Takes what came out of the connection, as far as this peer reads.
    fn take_messages(&mut self) {
        loop {
            let core = &mut self.connection.core;
            let message = match self.plan.reading {
                Reading::Everything => core.poll_read(),
                Reading::NoMessages | Reading::Nothing => core.poll_media_read(),
            };
            let Some(message) = message else { return };
            match message.message {
                RTCMessage::RtpPacket(_, packet) => self.take_packet(&packet, message.now),
                RTCMessage::DataChannelMessage(id, message) => {
                    let payload = if message.is_string {
                        Payload::Text(String::from_utf8_lossy(&message.data).into_owned())
                    } else {
                        Payload::Binary(message.data.freeze())
                    };
                    self.take_message(id, payload);
                }
                _ => {}
            }
        }
    }

    fn take_message(&mut self, id: RTCDataChannelId, payload: Payload) {
        self.stats.messages += 1;
        self.stats.message_bytes += payload.bytes().len() as u64;
        let Some(channel) = self.connection.core.data_channel(id) else {
            return;
        };
        match &self.plan.on_message {
            Some(on_message) => on_message(channel.label(), &payload),
            None => self.inbox.put(channel.label(), payload),
        }
    }

    fn take_packet(&mut self, packet: &rtp::Packet, now: Instant) {
        if let Some(sent) = stamp_of(&packet.payload)
            && self.latencies_us.len() < LATENCIES_MAX
        {
            let micros = clock_nanos().saturating_sub(sent) / 1_000;
            let micros = u32::try_from(micros).unwrap_or(u32::MAX);
            self.latencies_us.push(micros);
        }
        let header = Header {
            sequence: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            ssrc: packet.header.ssrc,
        };
        self.count(header, packet.payload.len(), Some(packet), now);
    }

    /// Counts a packet: by its header alone, or with what was decrypted of it.
    fn count(&mut self, header: Header, bytes: usize, packet: Option<&rtp::Packet>, now: Instant) {
        let known = self
            .inbound
            .iter()
            .position(|i| i.track.ssrc == header.ssrc);
        let index = match known {
            Some(index) => index,
            None => match self.meet(header, now) {
                Some(index) => index,
                None => return,
            },
        };
        if let Some(inbound) = self.inbound.get_mut(index) {
            inbound.note(header, bytes, packet.map(|packet| &packet.payload[..]), now);
            let level = packet.and_then(|packet| level_of(packet, inbound.track.kind));
            inbound.track.level = level.or(inbound.track.level);
        }
    }

    /// The first packet of an SSRC.
    fn meet(&mut self, header: Header, now: Instant) -> Option<usize> {
        let mut repairs = self.sections.iter().flat_map(|s| &s.repairs);
        if repairs.any(|(_, repair)| *repair == header.ssrc) {
            self.stats.rtx_packets += 1;
            return None;
        }
        let mut sections = self.sections.iter();
        let Some(section) = sections.find(|s| s.ssrcs.contains(&header.ssrc)) else {
            self.stats.unknown_packets += 1;
            return None;
        };
        let kind = section.kind.unwrap_or(Kind::Video);
        let inbound = Inbound::new(header, kind, Some(section), now);
        self.inbound.push(inbound);
        Some(self.inbound.len() - 1)
    }

    fn learn_sections(&mut self) {
        for section in &self.connection.sections {
            self.sections
                .retain(|known| known.mid != section.mid || !known.ssrcs.is_empty());
            if !self.sections.contains(section) {
                // The newest first: an SSRC belongs to where it was named last.
                self.sections.insert(0, section.clone());
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let now = Instant::now();
        let connection = &mut self.connection;
        // Who asked may be gone: then nobody hears the reply.
        match command {
            Command::Answer(offer, reply) => {
                let _ = reply.send(connection.answer(&offer, &[], now));
                self.learn_sections();
            }
            Command::Offer(publish, receive, reply) => {
                let _ = reply.send(connection.offer(&publish, &receive, now));
            }
            Command::Accept(answer, reply) => {
                let _ = reply.send(connection.accept(&answer, now));
                self.learn_sections();
            }
            Command::Publish(publication, reply) => {
                let _ = reply.send(connection.attach(publication, now));
            }
            Command::Unpublish(source, reply) => {
                let _ = reply.send(connection.unpublish(source));
            }
            Command::Level(level) => {
                for sending in &mut connection.sendings {
                    if sending.media.kind == Kind::Audio {
                        sending.media.set_level(level);
                    }
                }
            }
            Command::Layer(layer, is_on) => {
                for sending in &mut connection.sendings {
                    if sending.source == Source::Camera {
                        sending.media.set_layer(layer, is_on);
                    }
                }
            }
            Command::OpenChannel(label, is_reliable, reply) => {
                let opened = connection.open_channel(&label, is_reliable);
                let _ = reply.send(opened.map(|id| {
                    self.channels.push(Channel {
                        id,
                        label,
                        is_own: true,
                        is_open: false,
                    });
                }));
            }
            Command::CloseChannel(label, reply) => {
                let _ = reply.send(self.close_channel(&label));
            }
            Command::Send(label, payload, reply) => {
                let sent = self
                    .channel(&label)
                    .and_then(|id| self.connection.send(id, &payload, now));
                let _ = reply.send(sent);
            }
            Command::KeyFrame(stream, reply) => {
                let _ = reply.send(self.request_key_frame(stream.as_deref(), now));
            }
            Command::Reading(reading) => self.plan.reading = reading,
            Command::Loss(loss) => self.plan.loss = loss,
            Command::Garbage(datagrams) => self.send_garbage(datagrams),
            Command::Stats(reply) => {
                let _ = reply.send(self.snapshot());
            }
            Command::Latencies(reply) => {
                let _ = reply.send(std::mem::take(&mut self.latencies_us));
            }
            Command::Close(reply) => {
                let _ = self.connection.core.close();
                while let Some(datagram) = self.connection.core.poll_write() {
                    self.transmit(&datagram);
                }
                self.is_over = true;
                let _ = reply.send(());
            }
            Command::Vanish(reply) => {
                self.is_over = true;
                let _ = reply.send(());
            }
        }
    }

    fn channel(&self, label: &str) -> Result<RTCDataChannelId> {
        let open = || {
            let channels = self.channels.iter();
            channels.filter(|c| c.is_open && c.label == label)
        };
        let channel = open().find(|c| c.is_own).or_else(|| open().next());
        Ok(channel
            .with_context(|| format!("no open channel {label}"))?
            .id)
    }

    fn close_channel(&mut self, label: &str) -> Result<()> {
        let id = self.channel(label)?;
        self.channels.retain(|channel| channel.id != id);
        let channel = self.connection.core.data_channel(id);
        Ok(channel.context("no such channel")?.close()?)
    }

    fn request_key_frame(&mut self, stream_id: Option<&str>, now: Instant) -> Result<()> {
        let wanted: Vec<u32> = self
            .inbound
            .iter()
            .map(|inbound| &inbound.track)
            .filter(|track| track.kind == Kind::Video)
            .filter(|track| stream_id.is_none_or(|id| id == track.stream_id))
            .map(|track| track.ssrc)
            .collect();
        for media_ssrc in wanted {
            let loss = PictureLossIndication {
                sender_ssrc: 1,
                media_ssrc,
            };
            self.write_rtcp(media_ssrc, Box::new(loss), now);
        }
        Ok(())
    }

    fn send_garbage(&mut self, datagrams: usize) {
        let Some(remote) = self.remote else { return };
        // How the kinds of datagram begin: noise, STUN request, DTLS record, RTP, RTCP; each shorter or longer than it says.
        let starts: [&[u8]; 5] = [
            &[],
            &[0, 1, 0, 0x40, 0x21, 0x12, 0xa4, 0x42],
            &[22, 254, 253, 0, 0],
            &[0x90, 96],
            &[0x81, 201, 0xff, 0xff],
        ];
        for start in starts.iter().cycle().take(datagrams) {
            let length = self.rng.random_range(0..400);
            let mut datagram = vec![0; start.len() + length];
            self.rng.fill_bytes(&mut datagram);
            if let Some(begin) = datagram.get_mut(..start.len()) {
                begin.copy_from_slice(start);
            }
            let _ = self.socket.try_send_to(&datagram, remote);
        }
    }

    fn snapshot(&mut self) -> Stats {
        let mut stats = self.stats.clone();
        stats.tracks = self.inbound.iter().map(|i| i.track.clone()).collect();
        let open = self.channels.iter().filter(|channel| channel.is_open);
        stats.open = open.map(|channel| channel.label.clone()).collect();
        let sendings = self.connection.sendings.iter();
        stats.sent_key_frames = sendings.map(|sending| sending.media.key_frames).sum();
        self.connection.tap.look(|seen| {
            stats.key_frame_requests = seen.key_frame_requests;
            stats.nacks_received = seen.nacks;
            stats.transport_feedback_received = seen.transport;
            stats.remb_bps = seen.remb_bps;
        });
        stats
    }
}

/// The audio level in a packet's header extensions: the only one of one byte that audio comes with.
fn level_of(packet: &rtp::Packet, kind: Kind) -> Option<u8> {
    if kind != Kind::Audio {
        return None;
    }
    let mut extensions = packet.header.extensions.iter();
    let level = extensions.find(|extension| extension.payload.len() == 1)?;
    level.payload.first().map(|byte| byte & 0x7f)
}
