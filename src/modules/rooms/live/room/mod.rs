//! A live room: one task that hears of the media plane, of clients and of the rest of the server, and tells those who are in.
//!
//! The task never waits for anything but news, so that a slow database or client keeps nobody's tracks, joins or leaves:
//! - What it tells goes to the media plane at once where that takes it. Else it waits in `outbox`, with what is asked of the
//!   plane (answers, candidates, removals), one after the other in the order in which it came up.
//! - Chats wait in `chats`, and one write at a time takes all that wait. They get their ids, and the room is told of them,
//!   when they are stored: whoever comes later finds in the history what it was not told. Chats are in order among themselves;
//!   other messages may pass them.
//! - While `outbox` or `chats` are full no event is taken. The media plane then slows those down who send messages
//!   (its own flow control), and no message is lost.

mod incoming;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, future};
use serde_json::{Value as Json, json};
use tokio::sync::{mpsc, oneshot};

use super::messages::{NewMessage, Stored};
use super::people::{Audience, Entrant, NoPlace, People, Person, kind_name, source_name};
use super::protocol::{Encoding, Notice, StateChange};
use super::registry::Counters;
use super::seams::{Plane, World};
use super::value::{Data, Members};
use crate::base::DateTime;
use crate::base::id::random_id;
use crate::modules::rooms::{Permissions, Role};
use crate::sfu::{self, Channel, Event, Join, Leave, Media, Message, Payload, PeerId, To, Track};

/// Reliable, for everything.
pub(super) const EVENTS: &str = "events";
/// Unordered and without retransmits, for `custom` messages.
pub(super) const FAST: &str = "fast";
/// The topic of all that happens in rooms.
pub(super) const ROOM_EVENTS: &str = "room_events";
/// How many commands may wait.
pub(super) const COMMANDS_MAX: usize = 1024;
/// How much may wait for the media plane before no event is taken any more.
const OUTBOX_MAX: usize = 4096;
const OUTBOX_BYTES_MAX: usize = 16 << 20;
/// How many chats may wait to be stored, and how many are stored at once.
const CHATS_MAX: usize = 512;
const CHATS_PER_WRITE: usize = 128;
const CHATS_BYTES_MAX: usize = 8 << 20;

/// What others may know of a room at any time.
#[derive(Default)]
pub(super) struct Shared {
    people: Mutex<People>,
    /// Whether what happens is for the topics that anybody reads.
    pub(super) is_public: AtomicBool,
}

impl Shared {
    pub(super) fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who came in.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) id: PeerId,
    /// The server's offer.
    pub(super) sdp: String,
    /// All who are in.
    pub(super) participants: Vec<Data>,
}

/// Why nobody came in.
#[derive(Debug)]
pub(super) enum NotJoined {
    NoPlace(NoPlace),
    /// The place was taken away meanwhile.
    Evicted,
    Media(sfu::Error),
}

/// Whom a host mutes.
#[derive(Debug)]
pub(super) enum Whom {
    One(PeerId),
    /// All but the hosts.
    All,
}

/// What a room is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Join {
        who: Entrant,
        is_simulcast: bool,
        places_max: usize,
        reply: oneshot::Sender<Result<Joined, NotJoined>>,
    },
    /// Ends one connection; tells whether it was there.
    Remove {
        id: PeerId,
        why: &'static str,
        reply: oneshot::Sender<bool>,
    },
    /// Ends all connections of a user.
    Evict {
        user: String,
        why: &'static str,
    },
    Permit {
        user: String,
        role: Role,
        permissions: Permissions,
    },
    State {
        id: PeerId,
        change: StateChange,
    },
    Mute(Whom),
    /// Tells the room of a message that was stored elsewhere.
    Relay(Stored),
    Tell {
        kind: String,
        data: Data,
        hosts_only: bool,
    },
    Close {
        why: &'static str,
        done: oneshot::Sender<()>,
    },
}

/// What waits for the media plane.
enum Out {
    Message(Message),
    Ask(BoxFuture<'static, Asked>),
}

/// What came of it.
enum Asked {
    Done,
    /// A client's own message is answered.
    Answered {
        peer: PeerId,
        kind: &'static str,
        result: Result<Option<String>, sfu::Error>,
    },
}

type JoinReply = oneshot::Sender<Result<Joined, NotJoined>>;
type Writing = BoxFuture<'static, (Vec<PeerId>, Vec<Result<Stored, String>>)>;

/// How a room begins.
pub(super) struct Opening<P> {
    pub(super) id: Arc<str>,
    pub(super) media: Media,
    pub(super) plane: P,
    pub(super) shared: Arc<Shared>,
    pub(super) counters: Arc<Counters>,
    pub(super) world: Arc<dyn World>,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) retire: Retire,
}

/// Takes the room out of the registry, so that nobody asks it for anything any more; where the commands are given, only
/// if none waits. Tells whether it is out.
pub(super) type Retire = Box<dyn Fn(Option<&mpsc::Receiver<Command>>) -> bool + Send>;

/// The task's own.
pub(super) struct Room<P> {
    id: Arc<str>,
    media: Media,
    plane: P,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    world: Arc<dyn World>,
    events: mpsc::Receiver<Event>,
    commands: mpsc::Receiver<Command>,
    retire: Retire,
    outbox: VecDeque<Out>,
    outbox_bytes: usize,
    asking: Option<BoxFuture<'static, Asked>>,
    joins: FuturesUnordered<BoxFuture<'static, (PeerId, Result<String, sfu::Error>, JoinReply)>>,
    chats: VecDeque<(PeerId, NewMessage)>,
    chats_bytes: usize,
    writing: Option<Writing>,
    /// When the last message was stored: each has a time of its own, so that their order is kept.
    last_chat: Option<DateTime>,
    /// Somebody waits for the end.
    closing: Option<(&'static str, oneshot::Sender<()>)>,
}

impl<P: Plane> Room<P> {
    pub(super) fn new(opening: Opening<P>) -> Self {
        Self {
            id: opening.id,
            media: opening.media,
            plane: opening.plane,
            shared: opening.shared,
            counters: opening.counters,
            world: opening.world,
            events: opening.events,
            commands: opening.commands,
            retire: opening.retire,
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            asking: None,
            joins: FuturesUnordered::new(),
            chats: VecDeque::new(),
            chats_bytes: 0,
            writing: None,
            last_chat: None,
            closing: None,
        }
    }

    /// Runs until nobody is in, the room is closed, or the media plane ends.
    pub(super) async fn run(mut self) {
        while self.closing.is_none() {
            self.push();
            self.write();
            // Whoever opened the room has left a command.
            if self.is_idle() && (self.retire)(Some(&self.commands)) {
                break;
            }
            let takes_events = self.takes_events();
            tokio::select! {
                Some(joined) = self.joins.next(), if !self.joins.is_empty() => self.joined(joined),
                asked = pending(&mut self.asking) => {
                    self.asking = None;
                    self.asked(asked);
                }
                written = pending(&mut self.writing) => {
                    self.writing = None;
                    self.written(written);
                }
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => break,
                },
                event = self.events.recv(), if takes_events => match event {
                    Some(event) => self.event(event),
                    None => {
                        // The media plane has ended by itself.
                        self.closing.get_or_insert_with(|| ("room_closed", oneshot::channel().0));
                    }
                },
            }
        }
        (self.retire)(None);
        self.end().await;
    }

    /// Whether nobody is in, and nothing is on its way.
    fn is_idle(&self) -> bool {
        self.shared.people().is_deserted()
            && self.joins.is_empty()
            && self.asking.is_none()
            && self.outbox.is_empty()
            && self.writing.is_none()
            && self.chats.is_empty()
    }

    fn takes_events(&self) -> bool {
        self.outbox.len() < OUTBOX_MAX
            && self.outbox_bytes < OUTBOX_BYTES_MAX
            && self.chats.len() < CHATS_MAX
            && self.chats_bytes < CHATS_BYTES_MAX
    }

    /// Stores what waits, says good-bye, and ends the session.
    async fn end(mut self) {
        self.commands.close();
        while let Some(writing) = self.writing.take() {
            let written = writing.await;
            self.written(written);
            self.write();
        }
        let (why, done) = match self.closing.take() {
            Some((why, done)) => (why, Some(done)),
            None => ("empty", None),
        };
        if done.is_some() {
            self.announce("room_closed", Data::map([("reason", why.into())]));
        }
        self.push();
        while let Some(asking) = self.asking.take() {
            let _ = asking.await;
            self.push();
        }
        self.plane.close().await;
        *self.shared.people() = People::default();
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    /// Hands on what waits, as far as it is taken.
    fn push(&mut self) {
        while self.asking.is_none() {
            match self.outbox.pop_front() {
                None => return,
                Some(Out::Ask(asking)) => self.asking = Some(asking),
                Some(Out::Message(message)) => {
                    self.outbox_bytes -= length(&message.payload);
                    self.send_now(message);
                }
            }
        }
    }

    fn send_now(&mut self, message: Message) {
        if self.plane.send(message.clone()).now_or_never().is_none() {
            let plane = self.plane.clone();
            self.asking = Some(Box::pin(async move {
                let _ = plane.send(message).await;
                Asked::Done
            }));
        }
    }

    fn send(&mut self, to: To, label: &'static str, payload: Payload) {
        let message = Message { to, label, payload };
        if self.asking.is_none() && self.outbox.is_empty() {
            self.send_now(message);
        } else {
            self.outbox_bytes += length(&message.payload);
            self.outbox.push_back(Out::Message(message));
        }
    }

    /// Asks the media plane for something in its turn.
    fn ask<F>(&mut self, question: impl FnOnce(P) -> F)
    where
        F: Future<Output = Asked> + Send + 'static,
    {
        let asking = question(self.plane.clone());
        self.outbox.push_back(Out::Ask(Box::pin(asking)));
    }

    /// Tells some of those who are in; encoded once for each encoding that they use. False if it is too long.
    fn tell(&mut self, audience: &Audience, label: &'static str, kind: &str, data: Data) -> bool {
        let id = Arc::clone(&self.id);
        let notice = Notice {
            kind,
            room: &id,
            data,
            timestamp: self.world.now().unix(),
        };
        let groups = [
            (Encoding::MessagePack, &audience.messagepack),
            (Encoding::Json, &audience.json),
        ];
        for (encoding, ids) in groups {
            if ids.is_empty() {
                continue;
            }
            let Some(payload) = notice.encode(encoding) else {
                return false;
            };
            self.counters.told(ids.len());
            self.send(To::These(Arc::clone(ids)), label, payload);
        }
        true
    }

    /// Tells all who are in.
    fn broadcast(&mut self, kind: &str, data: Data) -> bool {
        let audience = self.shared.people().audience();
        self.tell(&audience, EVENTS, kind, data)
    }

    /// Tells all, and whoever follows all rooms.
    fn announce(&mut self, kind: &str, data: Data) {
        self.publish(kind, &data);
        self.broadcast(kind, data);
    }

    fn publish(&self, kind: &str, data: &Data) {
        self.world
            .publish(ROOM_EVENTS, &event_of(&self.id, kind, data));
    }

    /// Tells one participant.
    fn tell_one(&mut self, id: &PeerId, kind: &str, data: Data) -> bool {
        let audience = {
            let people = self.shared.people();
            Audience::of(people.get(id))
        };
        self.tell(&audience, EVENTS, kind, data)
    }

    fn is_public(&self) -> bool {
        self.shared.is_public.load(Ordering::Relaxed)
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Join {
                who,
                is_simulcast,
                places_max,
                reply,
            } => self.join(who, is_simulcast, places_max, reply),
            Command::Remove { id, why, reply } => {
                let _ = reply.send(self.remove(&id, why));
            }
            Command::Evict { user, why } => {
                let ids = self.shared.people().of_user(&user);
                for id in ids {
                    self.remove(&id, why);
                }
            }
            Command::Permit {
                user,
                role,
                permissions,
            } => self.permit(&user, role, permissions),
            Command::State { id, change } => self.change_state(&id, change),
            Command::Mute(whom) => self.mute(&whom),
            Command::Relay(stored) => self.relay(stored),
            Command::Tell {
                kind,
                data,
                hosts_only,
            } => {
                self.publish(&kind, &data);
                let audience = self.audience(hosts_only);
                self.tell(&audience, EVENTS, &kind, data);
            }
            Command::Close { why, done } => {
                self.closing = Some((why, done));
            }
        }
    }

    fn audience(&self, hosts_only: bool) -> Arc<Audience> {
        let mut people = self.shared.people();
        if !hosts_only {
            return people.audience();
        }
        let present = people.present().into_iter();
        let hosts = present.filter(|person| person.who.role.is_host());
        Arc::new(Audience::of(hosts))
    }

    fn join(&mut self, who: Entrant, is_simulcast: bool, places_max: usize, reply: JoinReply) {
        let id = PeerId::new(&random_id());
        let now = self.world.now();
        let publishing = {
            let mut people = self.shared.people();
            let person = people.take_place(id.clone(), who, places_max, now);
            person.map(Person::publishing)
        };
        let publishing = match publishing {
            Ok(publishing) => publishing,
            Err(why) => {
                let _ = reply.send(Err(NotJoined::NoPlace(why)));
                return;
            }
        };
        let join = Join {
            peer: id.clone(),
            media: self.media,
            is_simulcast,
            channels: CHANNELS.to_vec(),
            publishing,
        };
        let plane = self.plane.clone();
        self.joins.push(Box::pin(async move {
            let joined = plane.join(join).await;
            (id, joined, reply)
        }));
    }

    fn joined(&mut self, (id, sdp, reply): (PeerId, Result<String, sfu::Error>, JoinReply)) {
        let sdp = match sdp {
            Ok(sdp) => sdp,
            Err(error) => {
                self.shared.people().remove(&id);
                let _ = reply.send(Err(NotJoined::Media(error)));
                return;
            }
        };
        let introduction = self.shared.people().enter(&id).map(Person::introduction);
        let Some(introduction) = introduction else {
            self.drop_peer(&id, "evicted");
            let _ = reply.send(Err(NotJoined::Evicted));
            return;
        };
        self.publish("participant_joined", &introduction);
        let (others, participants) = {
            let people = self.shared.people();
            let others = people.present().into_iter().filter(|other| other.id != id);
            (Audience::of(others), people.listed())
        };
        self.tell(&others, EVENTS, "participant_joined", introduction);
        let joined = Joined {
            id: id.clone(),
            sdp,
            participants,
        };
        if reply.send(Ok(joined)).is_err() {
            // Nobody will ever answer the offer.
            self.remove(&id, "left");
        }
    }

    /// Ends a connection, at once as far as others can see.
    fn remove(&mut self, id: &PeerId, why: &'static str) -> bool {
        let is_there = self.depart(id, why);
        if is_there {
            self.drop_peer(id, why);
        }
        is_there
    }

    fn drop_peer(&mut self, id: &PeerId, why: &'static str) {
        let id = id.clone();
        self.ask(|plane| async move {
            let _ = plane.remove(&id, why).await;
            Asked::Done
        });
    }

    /// Somebody is gone, or is made to go and told why as well.
    fn depart(&mut self, id: &PeerId, why: &str) -> bool {
        let (audience, person) = {
            let mut people = self.shared.people();
            let audience = people.audience();
            (audience, people.remove(id))
        };
        let Some(person) = person else {
            return false;
        };
        let data = Data::map([
            ("participant_id", id.as_str().into()),
            ("user_id", person.who.subject.id().into()),
            ("reason", why.into()),
        ]);
        self.publish("participant_left", &data);
        self.tell(&audience, EVENTS, "participant_left", data);
        true
    }

    fn permit(&mut self, user: &str, role: Role, permissions: Permissions) {
        let changed: Vec<_> = {
            let mut people = self.shared.people();
            let ids = people.of_user(user).into_iter();
            ids.filter_map(|id| {
                let person = people.get_mut(&id)?;
                person.who.role = role;
                let before = person.publishing();
                person.who.permissions = permissions;
                let now = person.publishing();
                (before != now).then_some(id)
            })
            .collect()
        };
        for id in changed {
            self.allow(&id);
        }
    }

    /// Tells the media plane what somebody may send now.
    fn allow(&mut self, id: &PeerId) {
        let publishing = self.shared.people().get(id).map(Person::publishing);
        if let Some(publishing) = publishing {
            let id = id.clone();
            self.ask(|plane| async move {
                let _ = plane.allow(&id, publishing).await;
                Asked::Done
            });
        }
    }

    fn change_state(&mut self, id: &PeerId, change: StateChange) {
        let changed = {
            let mut people = self.shared.people();
            people
                .get_mut(id)
                .map(|person| (person.apply(change), person.state()))
        };
        if let Some((is_heard_otherwise, state)) = changed {
            if is_heard_otherwise {
                self.allow(id);
            }
            self.announce("participant_state", state);
        }
    }

    fn mute(&mut self, whom: &Whom) {
        let muted: Vec<(PeerId, Data)> = {
            let mut people = self.shared.people();
            let ids = match whom {
                Whom::One(id) => vec![id.clone()],
                Whom::All => people.ids(),
            };
            let ids = ids.into_iter();
            ids.filter_map(|id| {
                let person = people.get_mut(&id)?;
                if matches!(whom, Whom::All) && person.who.role.is_host() {
                    return None;
                }
                person.silence();
                Some((id, person.state()))
            })
            .collect()
        };
        for (id, state) in muted {
            self.allow(&id);
            self.announce("participant_state", state);
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Connected { .. } | Event::ChannelOpen { .. } => {}
            Event::Message {
                peer,
                label,
                payload,
            } => self.message(&peer, &label, &payload),
            Event::Offer { peer, sdp, seq } => {
                let data = Data::map([("sdp", sdp.into()), ("seq", seq.into())]);
                if !self.tell_one(&peer, "offer", data) {
                    tracing::warn!(
                        room.id = &*self.id,
                        "an offer is longer than a message may be"
                    );
                }
            }
            Event::Published(track) => self.published(track, true),
            Event::Unpublished(track) => self.published(track, false),
            Event::ActiveSpeaker { peer } => {
                if self.shared.people().note_speaker(&peer) {
                    let data = Data::map([("participant_id", peer.as_str().into())]);
                    self.broadcast("active_speaker", data);
                }
            }
            Event::Left { peer, why } => {
                if why == Leave::Faulty {
                    tracing::info!(room.id = &*self.id, participant.id = %peer, "a participant broke a bound and is out");
                }
                self.depart(&peer, why.as_str());
            }
        }
    }

    fn published(&mut self, track: Track, is_there: bool) {
        let is_known = {
            let mut people = self.shared.people();
            match people.get_mut(&track.peer) {
                None => false,
                Some(person) => {
                    person.tracks.retain(|other| other.id != track.id);
                    if is_there {
                        person.tracks.push(track.clone());
                    }
                    true
                }
            }
        };
        if !is_known {
            return;
        }
        let mut data = Members::from([
            ("participant_id", track.peer.as_str().into()),
            ("track_id", (*track.id).into()),
            ("kind", kind_name(track.source).into()),
            ("source", source_name(track.source).into()),
        ]);
        let kind = if is_there {
            "track_published"
        } else {
            // It says which one, and no more.
            data.take("kind");
            data.take("source");
            "track_unpublished"
        };
        self.announce(kind, data.into());
    }
}

/// What happens in a room, as the topic is told: `{type,room_id,..}`.
pub(super) fn event_of(room: &str, kind: &str, data: &Data) -> Json {
    let mut event = json!({"type": kind, "room_id": room});
    if let (Some(event), Json::Object(members)) = (event.as_object_mut(), data.to_json()) {
        for (name, value) in members {
            event.entry(name).or_insert(value);
        }
    }
    event
}

const CHANNELS: [Channel; 2] = [
    Channel {
        label: EVENTS,
        is_reliable: true,
    },
    Channel {
        label: FAST,
        is_reliable: false,
    },
];

fn length(payload: &Payload) -> usize {
    match payload {
        Payload::Text(text) => text.len(),
        Payload::Binary(bytes) => bytes.len(),
    }
}

/// What a future gives; never anything where there is none.
async fn pending<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => future::pending().await,
    }
}
