//! A session's task: it owns the peers and everything about them.
//!
//! One turn of the loop takes what is there (datagrams, requests, timers), works it off, and then sends in one go whatever the
//! peers' connections have to send. Nothing in a turn waits.

mod forward;
mod messages;
mod requests;
mod stats;
mod tracks;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use self::tracks::Tracks;
use crate::net::{Counters, Datagram, Inbox, Outgoing, Port};
use crate::peer::{Output, Peer, PeerKey, Setup};
use crate::session::{Event, Leave, PeerId, Request};

/// How many events must be free for messages to be taken from channels; the rest is for what may not wait.
const EVENTS_FREE: usize = 256;
/// How soon to look again whether events are taken.
const RETRY: Duration = Duration::from_millis(5);
/// How often what has no timer of its own is looked at: silence, layers, levels.
const BEAT: Duration = Duration::from_millis(100);
/// How many requests are taken in one turn.
const REQUESTS_PER_TURN: usize = 64;
/// How many datagrams are taken in one turn, so that a flood of them holds up neither requests nor timers.
const DATAGRAMS_PER_TURN: usize = 512;
/// After so many datagrams what they caused leaves: connections hold no more than that.
const DATAGRAMS_PER_BATCH: usize = 64;
/// How often what clients can cause at will is worth a line in the log.
const WARN_EVERY: Duration = Duration::from_secs(1);
/// How long the last events of a session wait for whoever opened it.
const LAST_EVENTS: Duration = Duration::from_secs(10);

/// What a session is opened with.
pub(crate) struct Start {
    pub(crate) setup: Setup,
    pub(crate) port: Port,
    pub(crate) counters: Arc<Counters>,
    pub(crate) connect_max: Duration,
    pub(crate) peers_max: usize,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) events: mpsc::Sender<Event>,
}

pub(crate) struct Task {
    setup: Setup,
    port: Port,
    counters: Arc<Counters>,
    connect_max: Duration,
    peers_max: usize,
    events: mpsc::Sender<Event>,
    /// Events for which there was no room.
    waiting: VecDeque<Event>,
    inbox: Inbox,
    outgoing: Outgoing,
    peers: HashMap<PeerKey, Peer>,
    keys: HashMap<PeerId, PeerKey>,
    next_key: PeerKey,
    tracks: Tracks,
    /// What peers bring; kept for its room.
    outputs: Vec<Output>,
    /// Who has to go at the end of the turn.
    leaving: Vec<(PeerKey, Leave)>,
    is_closed: bool,
    /// When something was last told that clients can cause at will.
    warned_at: Option<Instant>,
}

impl Task {
    /// Runs a session until it is closed, or nobody has a handle of it.
    pub(crate) async fn run(start: Start) {
        let outgoing = Outgoing::new(&start.port);
        start.counters.work.sessions.fetch_add(1, Relaxed);
        let mut task = Self {
            setup: start.setup,
            port: start.port,
            counters: start.counters,
            connect_max: start.connect_max,
            peers_max: start.peers_max,
            events: start.events,
            waiting: VecDeque::new(),
            inbox: Inbox::new(),
            outgoing,
            peers: HashMap::new(),
            keys: HashMap::new(),
            next_key: 0,
            tracks: Tracks::new(),
            outputs: Vec::new(),
            leaving: Vec::new(),
            is_closed: false,
            warned_at: None,
        };
        let closed = task.turn(start.requests).await;
        task.counters.work.sessions.fetch_sub(1, Relaxed);
        let (events, waiting) = (task.events.clone(), std::mem::take(&mut task.waiting));
        // The port and all else is given back at once; only the last events stay, for a while.
        drop(task);
        if let Some(reply) = closed {
            let _ = reply.send(());
        }
        let _ = tokio::time::timeout(LAST_EVENTS, tell_all(events, waiting)).await;
    }

    /// Takes turns until the session is closed; gives whom to tell that it is.
    async fn turn(&mut self, mut requests: mpsc::Receiver<Request>) -> Option<oneshot::Sender<()>> {
        let mut datagrams: Vec<Datagram> = Vec::new();
        let mut backlog = VecDeque::new();
        let mut asked: Vec<Request> = Vec::new();
        let mut closed: Option<oneshot::Sender<()>> = None;
        let mut beat_at = Instant::now() + BEAT;
        let inbox = self.inbox.clone();
        while !self.is_closed {
            if backlog.is_empty() {
                let wake_at = self.wake_at(beat_at);
                tokio::select! {
                    biased;
                    () = inbox.take(&mut datagrams) => {}
                    count = requests.recv_many(&mut asked, REQUESTS_PER_TURN) => {
                        if count == 0 {
                            break;
                        }
                    }
                    () = tokio::time::sleep_until(wake_at.into()) => {}
                }
                // Both are buffers without a gap: nothing is copied.
                backlog = VecDeque::from(std::mem::take(&mut datagrams));
            } else {
                // A session with a backlog does not wait; others have their turn all the same.
                tokio::task::yield_now().await;
            }
            self.receive_some(&mut backlog);
            if backlog.is_empty() {
                datagrams = Vec::from(std::mem::take(&mut backlog));
            }
            // However many datagrams there are, requests come in between.
            while asked.len() < REQUESTS_PER_TURN
                && let Ok(request) = requests.try_recv()
            {
                asked.push(request);
            }
            for request in asked.drain(..) {
                match request {
                    Request::Close(reply) => {
                        self.is_closed = true;
                        closed = Some(reply);
                    }
                    request => self.answer(request, Instant::now()),
                }
            }
            let now = Instant::now();
            self.run_timers(now);
            if now >= beat_at {
                beat_at = now + BEAT;
                self.beat(now);
            }
            self.settle(now);
        }
        self.end();
        closed
    }

    /// Works off the first datagrams of a backlog.
    fn receive_some(&mut self, backlog: &mut VecDeque<Datagram>) {
        let count = backlog.len().min(DATAGRAMS_PER_TURN);
        for (index, datagram) in backlog.drain(..count).enumerate() {
            if index > 0 && index % DATAGRAMS_PER_BATCH == 0 {
                self.drain_peers();
            }
            self.receive(datagram);
        }
    }

    fn wake_at(&self, beat_at: Instant) -> Instant {
        let soonest = self.peers.values().filter_map(|peer| peer.deadline).min();
        let mut at = soonest.map_or(beat_at, |soonest| soonest.min(beat_at));
        if !self.waiting.is_empty() || self.peers.values().any(|peer| peer.is_held) {
            at = at.min(Instant::now() + RETRY);
        }
        at
    }

    fn receive(&mut self, datagram: Datagram) {
        let (key, at) = (datagram.tag, datagram.at);
        let room = self.room();
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let mut outputs = std::mem::take(&mut self.outputs);
        peer.receive(datagram, room, &mut outputs);
        self.work_off(key, &mut outputs, at);
        self.outputs = outputs;
    }

    fn run_timers(&mut self, now: Instant) {
        let takes = self.room() > 0;
        let due: Vec<PeerKey> = self
            .peers
            .values()
            .filter(|peer| peer.deadline.is_some_and(|at| at <= now) || peer.is_held && takes)
            .map(|peer| peer.key)
            .collect();
        let mut outputs = std::mem::take(&mut self.outputs);
        for key in due {
            let room = self.room();
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.tick(now, room, &mut outputs);
                self.work_off(key, &mut outputs, now);
            }
        }
        self.outputs = outputs;
    }

    /// How many messages may be taken from channels now: none while nobody takes events.
    fn room(&self) -> usize {
        if self.waiting.is_empty() {
            self.events.capacity().saturating_sub(EVENTS_FREE)
        } else {
            0
        }
    }

    fn work_off(&mut self, key: PeerKey, outputs: &mut Vec<Output>, at: Instant) {
        for output in outputs.drain(..) {
            match output {
                Output::Rtp { mid, packet } => self.forward(key, &mid, &packet, at),
                Output::Rtcp { track, packets } => self.note_feedback(key, &track, &packets, at),
                Output::Stream {
                    mid,
                    ssrc,
                    rid,
                    codec,
                } => self.note_stream(key, &mid, ssrc, rid.as_deref(), &codec),
                Output::Message { label, payload } => self.pass_up(key, label, payload),
                Output::ChannelOpen { label } => {
                    if let Some(peer) = self.id_of(key) {
                        self.tell(Event::ChannelOpen { peer, label });
                    }
                }
                Output::Connected => {
                    if let Some(peer) = self.id_of(key) {
                        self.tell(Event::Connected { peer });
                    }
                    self.start_slots(key, at);
                }
                Output::Closed => self.leaving.push((key, Leave::Closed)),
                Output::Failed => self.leaving.push((key, Leave::Lost)),
                Output::TooLong => {
                    // Once in a while is enough: a client can do it as often as it likes.
                    let is_due = |told: Instant| at.saturating_duration_since(told) > WARN_EVERY;
                    if self.warned_at.is_none_or(is_due) {
                        self.warned_at = Some(at);
                        tracing::warn!(peer = %self.name(key), "a channel is closed: a message was too long");
                    }
                }
            }
        }
    }

    /// What is due every tenth of a second.
    fn beat(&mut self, now: Instant) {
        for peer in self.peers.values() {
            let (since, bound) = if peer.is_connected {
                (peer.heard_at, self.setup.silence_max)
            } else {
                (peer.joined_at, self.connect_max)
            };
            if now.saturating_duration_since(since) > bound {
                self.leaving.push((peer.key, Leave::Lost));
            }
        }
        self.beat_media(now);
    }

    /// The end of a turn: who has to go goes, offers are made, events and datagrams leave.
    fn settle(&mut self, now: Instant) {
        for (key, why) in std::mem::take(&mut self.leaving) {
            self.drop_peer(key, why);
        }
        let broken = self.peers.values().filter(|peer| peer.is_broken);
        for key in broken.map(|peer| peer.key).collect::<Vec<_>>() {
            self.drop_peer(key, Leave::Faulty);
        }
        self.make_offers(now);
        while let Some(event) = self.waiting.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
                self.waiting.push_front(event);
                break;
            }
        }
        self.drain_peers();
    }

    /// Sends what connections have to send.
    fn drain_peers(&mut self) {
        let outgoing = &mut self.outgoing;
        for peer in self.peers.values_mut().filter(|peer| peer.is_dirty) {
            peer.drain(|to, data| outgoing.push(to, data));
        }
        self.outgoing.flush();
    }

    fn make_offers(&mut self, now: Instant) {
        let due: Vec<PeerKey> = self
            .peers
            .values()
            .filter(|peer| peer.wants_offer && peer.can_offer())
            .map(|peer| peer.key)
            .collect();
        for key in due {
            let Some(peer) = self.peers.get_mut(&key) else {
                continue;
            };
            match peer.make_offer(now) {
                Ok((sdp, seq)) => {
                    let peer = peer.id.clone();
                    self.tell(Event::Offer { peer, sdp, seq });
                }
                Err(error) => {
                    tracing::warn!(peer = %peer.id, %error, "no offer can be made");
                    self.drop_peer(key, Leave::Faulty);
                }
            }
        }
    }

    /// Ends a peer's connection and forgets it.
    fn drop_peer(&mut self, key: PeerKey, why: Leave) {
        let Some(mut peer) = self.peers.remove(&key) else {
            return;
        };
        self.keys.remove(&peer.id);
        self.counters.work.peers.fetch_sub(1, Relaxed);
        peer.close();
        let outgoing = &mut self.outgoing;
        peer.drain(|to, data| outgoing.push(to, data));
        self.forget_media(key, &peer);
        self.tell(Event::Left { peer: peer.id, why });
    }

    fn end(&mut self) {
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.drop_peer(key, Leave::Ended);
        }
        self.outgoing.flush();
    }

    /// Tells whoever opened the session; what finds no room waits, in order.
    fn tell(&mut self, event: Event) {
        if !self.waiting.is_empty() {
            self.waiting.push_back(event);
        } else if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            self.waiting.push_back(event);
        }
    }

    fn id_of(&self, key: PeerKey) -> Option<PeerId> {
        self.peers.get(&key).map(|peer| peer.id.clone())
    }

    fn name(&self, key: PeerKey) -> String {
        self.id_of(key).map(|id| id.to_string()).unwrap_or_default()
    }
}

/// Tells the last events, as whoever opened the session takes them.
async fn tell_all(events: mpsc::Sender<Event>, waiting: VecDeque<Event>) {
    for event in waiting {
        if events.send(event).await.is_err() {
            break;
        }
    }
}
