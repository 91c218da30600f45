//! Which rooms are live, and the handle that the rest of the server has of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;
use tokio::sync::{OnceCell, mpsc, oneshot};

use super::error::Error;
use super::messages::{Server, Stored};
use super::people::{Entrant, NoPlace, Person};
use super::room::{
    COMMANDS_MAX, Command, Joined, NotJoined, Opening, ROOM_EVENTS, Room, Shared, event_of,
};
use super::seams::World;
use super::value::Data;
use super::waiting::WaitingRooms;
use crate::model::Record;
use crate::modules::Ground;
use crate::modules::rooms::{Permissions, Role};
use crate::sfu::{Media, PeerId, Session, Sfu};

/// The live sessions of all rooms; a cheap handle.
#[derive(Clone)]
pub(crate) struct LiveRooms {
    pub(super) parts: Arc<Parts>,
}

pub(super) struct Parts {
    pub(super) ground: Ground,
    world: Arc<dyn World>,
    rooms: Arc<Rooms>,
    counters: Arc<Counters>,
    pub(super) waiting: WaitingRooms,
    /// What room tokens are signed with; read at first use.
    pub(super) key: OnceCell<String>,
}

/// Somebody who is in a room now.
#[derive(Clone, Debug)]
pub(crate) struct Participant {
    pub(crate) id: String,
    /// The id of a record of `users`; none for guests.
    pub(crate) user: Option<String>,
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// What is counted over all rooms since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    heard: AtomicU64,
    told: AtomicU64,
    refused: AtomicU64,
    stored: AtomicU64,
    joined: AtomicU64,
}

impl Counters {
    /// A client's message came.
    pub(super) fn heard(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// A message went to so many.
    pub(super) fn told(&self, count: usize) {
        self.told.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stored(&self) {
        self.stored.fetch_add(1, Ordering::Relaxed);
    }
}

/// The figures of all rooms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) rooms: u64,
    pub(super) participants: u64,
    pub(super) joined: u64,
    pub(super) messages_received: u64,
    pub(super) messages_sent: u64,
    pub(super) messages_refused: u64,
    pub(super) messages_stored: u64,
}

/// A live room as others reach it.
#[derive(Clone)]
pub(super) struct Reach {
    commands: mpsc::Sender<Command>,
    pub(super) shared: Arc<Shared>,
    pub(super) session: Session,
}

#[derive(Default)]
pub(super) struct Rooms(Mutex<HashMap<Arc<str>, Reach>>);

impl Rooms {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Reach>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a room out unless something is asked of it; see [`super::room::Retire`].
    fn retire(&self, id: &str, own: &Arc<Shared>, waits: Option<&mpsc::Receiver<Command>>) -> bool {
        let mut rooms = self.lock();
        if waits.is_some_and(|commands| !commands.is_empty()) {
            return false;
        }
        // Another may have its name by now.
        if rooms
            .get(id)
            .is_some_and(|room| Arc::ptr_eq(&room.shared, own))
        {
            rooms.remove(id);
        }
        true
    }
}

impl LiveRooms {
    /// Begins without a session. Must run inside a runtime.
    pub(crate) fn start(ground: &Ground) -> Self {
        let server = Server {
            engine: ground.engine.clone(),
            live: ground.live.clone(),
        };
        let rooms = Self {
            parts: Arc::new(Parts {
                ground: ground.clone(),
                world: Arc::new(server),
                rooms: Arc::default(),
                counters: Arc::default(),
                waiting: WaitingRooms::default(),
                key: OnceCell::new(),
            }),
        };
        rooms.register();
        rooms
    }

    /// How many are in a room now.
    pub(crate) fn count(&self, room: &str) -> usize {
        self.reach(room)
            .map_or(0, |room| room.shared.people().len())
    }

    /// The rooms that somebody is in, and how many.
    pub(crate) fn list(&self) -> Vec<(String, usize)> {
        let rooms = self.parts.rooms.lock();
        let counted = rooms.iter().map(|(id, room)| {
            let count = room.shared.people().len();
            (id.to_string(), count)
        });
        counted.filter(|(_, count)| *count > 0).collect()
    }

    /// Who is in a room now, in the order in which they came.
    pub(crate) fn participants(&self, room: &str) -> Vec<Participant> {
        let Some(room) = self.reach(room) else {
            return Vec::new();
        };
        let people = room.shared.people();
        let present = people.present().into_iter();
        present.map(Participant::of).collect()
    }

    /// Takes all of a user's participants out of a room, at once: a ban, the end of a membership, leaving.
    pub(crate) async fn evict_user(&self, room: &str, user: &str, why: &'static str) {
        self.parts.waiting.forget(room, user);
        let user = user.to_owned();
        self.send(room, Command::Evict { user, why }).await;
    }

    /// Takes one participant out; false if there is none.
    pub(crate) async fn kick(&self, room: &str, participant: &str) -> bool {
        self.remove(room, participant, "kicked").await
    }

    pub(super) async fn remove(&self, room: &str, participant: &str, why: &'static str) -> bool {
        let (reply, told) = oneshot::channel();
        let id = PeerId::new(participant);
        self.send(room, Command::Remove { id, why, reply }).await;
        told.await.unwrap_or(false)
    }

    /// What a user may do from now on.
    pub(crate) async fn set_permissions(
        &self,
        room: &str,
        user: &str,
        role: Role,
        permissions: Permissions,
    ) {
        let command = Command::Permit {
            user: user.to_owned(),
            role,
            permissions,
        };
        self.send(room, command).await;
    }

    /// Ends a session: the room is deleted or not active any more. Returns when all are out.
    pub(crate) async fn close(&self, room: &str, why: &'static str) {
        self.parts.waiting.close(room);
        let (done, ended) = oneshot::channel();
        self.send(room, Command::Close { why, done }).await;
        let _ = ended.await;
    }

    /// Sends a message to all who are in; false if nobody is.
    pub(crate) async fn broadcast(&self, room: &str, kind: &str, data: Json) -> bool {
        self.tell(room, kind, data.into(), false).await
    }

    pub(super) async fn tell(&self, room: &str, kind: &str, data: Data, hosts_only: bool) -> bool {
        if self.count(room) == 0 {
            return false;
        }
        let command = Command::Tell {
            kind: kind.to_owned(),
            data,
            hosts_only,
        };
        self.send(room, command).await
    }

    /// Tells of a message that is stored: those who are in, and of a public room whoever follows all rooms.
    pub(super) async fn relay(&self, room: &Record, stored: Stored) {
        let data = is_public(room).then(|| stored.clone().into_data());
        if !self.send(room.id(), Command::Relay(stored)).await
            && let Some(data) = data
        {
            let event = event_of(room.id(), "chat", &data);
            self.parts.world.publish(ROOM_EVENTS, &event);
        }
    }

    /// Asks a live room for something; false if it is none.
    pub(super) async fn send(&self, room: &str, command: Command) -> bool {
        let Some(reach) = self.reach(room) else {
            return false;
        };
        reach.commands.send(command).await.is_ok()
    }

    /// A live room, where there is one.
    pub(super) fn reach(&self, room: &str) -> Option<Reach> {
        let rooms = self.parts.rooms.lock();
        let found = rooms.get(room);
        found.filter(|room| !room.commands.is_closed()).cloned()
    }

    /// Lets somebody into a room's session, which begins with the first.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::TooManyTabs`], [`Error::NoMedia`], [`Error::Media`], and [`Error::Busy`] where too many join at once.
    pub(super) async fn join(
        &self,
        room: &Record,
        who: Entrant,
        is_simulcast: bool,
    ) -> Result<Joined, Error> {
        let mut told = self.ask_to_join(room, &who, is_simulcast)?.await;
        if told.is_err() {
            // The session was being closed: the next one begins.
            told = self.ask_to_join(room, &who, is_simulcast)?.await;
        }
        match told {
            Ok(Ok(joined)) => {
                self.parts.counters.joined.fetch_add(1, Ordering::Relaxed);
                Ok(joined)
            }
            Ok(Err(NotJoined::NoPlace(NoPlace::Full))) => Err(Error::Full),
            Ok(Err(NotJoined::NoPlace(NoPlace::TooManyTabs))) => Err(Error::TooManyTabs),
            Ok(Err(NotJoined::Media(error))) => Err(error.into()),
            Ok(Err(NotJoined::Evicted)) | Err(_) => Err(Error::Ended),
        }
    }

    fn ask_to_join(
        &self,
        room: &Record,
        who: &Entrant,
        is_simulcast: bool,
    ) -> Result<oneshot::Receiver<Result<Joined, NotJoined>>, Error> {
        let (reply, told) = oneshot::channel();
        let command = Command::Join {
            who: who.clone(),
            is_simulcast,
            places_max: places_of(room),
            reply,
        };
        self.open(room, command)?;
        Ok(told)
    }

    /// Gives a room a command, in a session that is begun where there is none. The command lies there before the registry is
    /// let go, so that the room does not end before it sees it.
    fn open(&self, record: &Record, command: Command) -> Result<(), Error> {
        let sfu = self.parts.ground.sfu.as_ref().ok_or(Error::NoMedia)?;
        let mut rooms = self.parts.rooms.lock();
        let known = rooms.get(record.id());
        if let Some(room) = known.filter(|room| !room.commands.is_closed()) {
            room.shared
                .is_public
                .store(is_public(record), Ordering::Relaxed);
            return room.commands.try_send(command).map_err(|_| Error::Busy);
        }
        let reach = self.begin(sfu, record);
        reach.commands.try_send(command).map_err(|_| Error::Busy)?;
        rooms.insert(record.id().into(), reach);
        Ok(())
    }

    fn begin(&self, sfu: &Sfu, record: &Record) -> Reach {
        let (session, events) = sfu.open();
        let (commands, asked) = mpsc::channel(COMMANDS_MAX);
        let shared = Arc::<Shared>::default();
        shared.is_public.store(is_public(record), Ordering::Relaxed);
        let (rooms, own) = (Arc::clone(&self.parts.rooms), Arc::clone(&shared));
        let id: Arc<str> = record.id().into();
        let name = Arc::clone(&id);
        let room = Room::new(Opening {
            id,
            media: media_of(record),
            plane: session.clone(),
            shared: Arc::clone(&shared),
            counters: Arc::clone(&self.parts.counters),
            world: Arc::clone(&self.parts.world),
            events,
            commands: asked,
            retire: Box::new(move |waits| rooms.retire(&name, &own, waits)),
        });
        tokio::spawn(room.run());
        Reach {
            commands,
            shared,
            session,
        }
    }

    /// A room's record has changed.
    pub(super) fn note_change(&self, record: &Record) {
        if let Some(room) = self.reach(record.id()) {
            room.shared
                .is_public
                .store(is_public(record), Ordering::Relaxed);
        }
    }

    pub(super) fn figures(&self) -> Figures {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (rooms, participants) = {
            let rooms = self.parts.rooms.lock();
            let participants = rooms.values().map(|room| room.shared.people().len());
            (rooms.len(), participants.sum::<usize>())
        };
        let counters = &self.parts.counters;
        Figures {
            rooms: rooms as u64,
            participants: participants as u64,
            joined: count(&counters.joined),
            messages_received: count(&counters.heard),
            messages_sent: count(&counters.told),
            messages_refused: count(&counters.refused),
            messages_stored: count(&counters.stored),
        }
    }
}

impl Participant {
    fn of(person: &Person) -> Self {
        Self {
            id: person.id.as_str().to_owned(),
            user: person.who.subject.user().map(str::to_owned),
            name: person.who.name.clone(),
            role: person.who.role,
        }
    }
}

fn is_public(room: &Record) -> bool {
    room.text("accessType") == "public"
}

fn media_of(room: &Record) -> Media {
    match room.text("roomType") {
        "audio" => Media::Audio,
        "video" => Media::Video,
        _ => Media::None,
    }
}

/// How many may be in at once.
fn places_of(room: &Record) -> usize {
    const DEFAULT: usize = 50;
    match room.get("maxParticipants") {
        // A whole number within the bounds of its field.
        Some(crate::model::Value::Number(max)) if *max >= 1.0 => *max as usize,
        _ => DEFAULT,
    }
}
