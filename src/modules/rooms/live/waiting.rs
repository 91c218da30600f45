//! Who waits to be let into a room, and who was. Kept beside the sessions: somebody may wait before anybody is in.
//!
//! Clients wait by asking again; who does not ask any more is forgotten. Nothing of it outlasts the server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::base::id::random_id;

/// How long somebody who does not ask again is still waiting.
const WAITING: Duration = Duration::from_secs(90);
/// How long somebody who was let in may take to come, also again.
const ADMITTED: Duration = Duration::from_secs(4 * 3600);
/// How long somebody who was refused need not ask.
const DENIED: Duration = Duration::from_secs(300);
/// How many may wait for one room, and in all.
const PER_ROOM_MAX: usize = 500;
const ALL_MAX: usize = 20_000;

/// Somebody who asked to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiter {
    /// As hosts name them.
    pub(super) id: Arc<str>,
    /// A user's or a guest's.
    pub(super) subject: String,
    pub(super) name: String,
    /// Unix seconds.
    pub(super) since: i64,
}

/// What becomes of somebody who asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Admitted,
    Denied,
    Waits {
        waiter: Waiter,
        /// The hosts have not heard of it.
        is_new: bool,
    },
    /// Too many wait.
    Full,
}

#[derive(Default)]
pub(super) struct WaitingRooms(Mutex<HashMap<String, Vec<Entry>>>);

struct Entry {
    waiter: Waiter,
    state: State,
    until: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waits,
    Admitted,
    Denied,
}

impl WaitingRooms {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody asks to be let in.
    pub(super) fn ask(
        &self,
        room: &str,
        subject: &str,
        name: &str,
        (now, unix): (Instant, i64),
    ) -> Turn {
        let mut rooms = self.lock();
        sweep(&mut rooms, now);
        let all: usize = rooms.values().map(Vec::len).sum();
        let entries = rooms.entry(room.to_owned()).or_default();
        let known = entries
            .iter_mut()
            .find(|entry| entry.waiter.subject == subject);
        if let Some(entry) = known {
            return match entry.state {
                State::Admitted => Turn::Admitted,
                State::Denied => Turn::Denied,
                State::Waits => {
                    entry.until = now + WAITING;
                    Turn::Waits {
                        waiter: entry.waiter.clone(),
                        is_new: false,
                    }
                }
            };
        }
        if entries.len() >= PER_ROOM_MAX || all >= ALL_MAX {
            return Turn::Full;
        }
        let waiter = Waiter {
            id: random_id().into(),
            subject: subject.to_owned(),
            name: name.to_owned(),
            since: unix,
        };
        entries.push(Entry {
            waiter: waiter.clone(),
            state: State::Waits,
            until: now + WAITING,
        });
        Turn::Waits {
            waiter,
            is_new: true,
        }
    }

    /// Those who wait for a room, in the order in which they came.
    pub(super) fn list(&self, room: &str, now: Instant) -> Vec<Waiter> {
        let mut rooms = self.lock();
        sweep(&mut rooms, now);
        let entries = rooms.get(room).into_iter().flatten();
        entries
            .filter(|entry| entry.state == State::Waits)
            .map(|entry| entry.waiter.clone())
            .collect()
    }

    /// A host lets somebody in or refuses; `None` if nobody of this id waits.
    pub(super) fn decide(
        &self,
        room: &str,
        id: &str,
        admits: bool,
        now: Instant,
    ) -> Option<Waiter> {
        let mut rooms = self.lock();
        sweep(&mut rooms, now);
        let mut entries = rooms.get_mut(room)?.iter_mut();
        let entry = entries.find(|entry| *entry.waiter.id == *id && entry.state == State::Waits)?;
        (entry.state, entry.until) = if admits {
            (State::Admitted, now + ADMITTED)
        } else {
            (State::Denied, now + DENIED)
        };
        Some(entry.waiter.clone())
    }

    /// Somebody has no place in the room any more, and asks anew if ever.
    pub(super) fn forget(&self, room: &str, subject: &str) {
        let mut rooms = self.lock();
        if let Some(entries) = rooms.get_mut(room) {
            entries.retain(|entry| entry.waiter.subject != subject);
        }
    }

    /// The session is over.
    pub(super) fn close(&self, room: &str) {
        self.lock().remove(room);
    }
}

fn sweep(rooms: &mut HashMap<String, Vec<Entry>>, now: Instant) {
    rooms.retain(|_, entries| {
        entries.retain(|entry| entry.until > now);
        !entries.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(turn: Turn) -> Arc<str> {
        match turn {
            Turn::Waits { waiter, .. } => waiter.id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_asks_waits_until_a_host_decides() {
        let rooms = WaitingRooms::default();
        let now = Instant::now();
        let at = (now, 0);
        let ann = id_of(rooms.ask("r", "ann", "Ann", at));
        let bob = id_of(rooms.ask("r", "bob", "Bob", at));
        assert_eq!(id_of(rooms.ask("r", "ann", "Ann", at)), ann);
        let names = |rooms: &WaitingRooms| {
            let list = rooms.list("r", now).into_iter();
            list.map(|waiter| waiter.subject).collect::<Vec<_>>()
        };
        assert_eq!(names(&rooms), ["ann", "bob"]);
        assert!(rooms.decide("other", &ann, true, now).is_none());
        assert!(rooms.decide("r", &ann, true, now).is_some());
        assert!(rooms.decide("r", &ann, false, now).is_none());
        assert!(rooms.decide("r", &bob, false, now).is_some());
        assert!(names(&rooms).is_empty());
        assert_eq!(rooms.ask("r", "ann", "Ann", at), Turn::Admitted);
        assert_eq!(rooms.ask("r", "bob", "Bob", at), Turn::Denied);
        let later = (now + DENIED, 300);
        id_of(rooms.ask("r", "bob", "Bob", later));
        rooms.forget("r", "ann");
        id_of(rooms.ask("r", "ann", "Ann", later));
    }

    #[test]
    fn who_does_not_ask_again_is_forgotten() {
        let rooms = WaitingRooms::default();
        let now = Instant::now();
        rooms.ask("r", "ann", "Ann", (now, 0));
        rooms.ask("r", "bob", "Bob", (now, 0));
        rooms.ask("r", "bob", "Bob", (now + WAITING / 2, 0));
        assert_eq!(rooms.list("r", now + WAITING).len(), 1);
        assert!(rooms.list("r", now + WAITING * 2).is_empty());
        assert!(rooms.lock().is_empty());
    }

    #[test]
    fn only_so_many_can_wait_for_a_room() {
        let rooms = WaitingRooms::default();
        let at = (Instant::now(), 0);
        for index in 0..PER_ROOM_MAX {
            rooms.ask("r", &index.to_string(), "", at);
        }
        assert_eq!(rooms.ask("r", "more", "", at), Turn::Full);
        assert!(matches!(
            rooms.ask("r", "7", "", at),
            Turn::Waits { is_new: false, .. }
        ));
    }
}
