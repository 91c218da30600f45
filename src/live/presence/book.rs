//! Who is in what state: a state machine without clock, task or database. Time is an argument.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// How long a lost connection may take to come back before its user is offline: a tab reload makes no flicker.
pub const GRACE: Duration = Duration::from_secs(10);
/// How long a user room may be still before its user is away.
pub const IDLE: Duration = Duration::from_secs(300);

/// How a user is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Online,
    Away,
    Busy,
    Offline,
}

impl State {
    /// The name on the wire and in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Busy => "busy",
            Self::Offline => "offline",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Online, Self::Away, Self::Busy, Self::Offline];
        all.into_iter().find(|state| state.as_str() == name)
    }
}

/// What kind of connection makes a user present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// The user's event stream.
    Channel,
    /// The user's room; without activity on it its user is away after a while.
    Room,
}

/// Somebody is seen in another state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) user: Arc<str>,
    pub(super) state: State,
    pub(super) previous: State,
}

/// Everybody who is not simply offline.
#[derive(Debug, Default)]
pub(super) struct Book {
    users: HashMap<Arc<str>, Entry>,
    /// When an entry has to be looked at.
    due: BTreeSet<(Instant, Arc<str>)>,
}

#[derive(Debug)]
struct Entry {
    channels: u32,
    rooms: u32,
    /// What the user set: it holds until the user sets something else.
    chosen: Option<State>,
    /// No activity on the room.
    is_idle: bool,
    /// Until when a user without connections is still here.
    stays_until: Option<Instant>,
    active_at: Instant,
    due: Option<Instant>,
    shown: State,
}

impl Entry {
    fn new(now: Instant) -> Self {
        Self {
            channels: 0,
            rooms: 0,
            chosen: None,
            is_idle: false,
            stays_until: None,
            active_at: now,
            due: None,
            shown: State::Offline,
        }
    }

    fn is_connected(&self) -> bool {
        self.channels > 0 || self.rooms > 0
    }

    fn count(&mut self, connection: Connection) -> &mut u32 {
        match connection {
            Connection::Channel => &mut self.channels,
            Connection::Room => &mut self.rooms,
        }
    }

    fn state(&self) -> State {
        let is_here = self.is_connected() || self.stays_until.is_some();
        match self.chosen {
            _ if !is_here => State::Offline,
            Some(chosen) => chosen,
            None if self.is_idle => State::Away,
            None => State::Online,
        }
    }

    /// When time alone changes something.
    fn next_due(&self) -> Option<Instant> {
        let idles = self.rooms > 0 && !self.is_idle;
        let idle = idles.then(|| self.active_at + IDLE);
        [self.stays_until, idle].into_iter().flatten().min()
    }
}

impl Book {
    pub(super) fn opened(
        &mut self,
        user: &str,
        connection: Connection,
        now: Instant,
    ) -> Option<Change> {
        self.change(user, now, |entry| {
            *entry.count(connection) += 1;
            entry.stays_until = None;
            entry.active_at = now;
            entry.is_idle = false;
        })
    }

    /// `orderly`: the client said so, and is offline at once if it was the last.
    pub(super) fn closed(
        &mut self,
        user: &str,
        connection: Connection,
        orderly: bool,
        now: Instant,
    ) -> Option<Change> {
        if !self.users.contains_key(user) {
            return None;
        }
        self.change(user, now, |entry| {
            let count = entry.count(connection);
            *count = count.saturating_sub(1);
            if entry.rooms == 0 {
                entry.is_idle = false;
            }
            if !entry.is_connected() {
                entry.stays_until = (!orderly).then_some(now + GRACE);
            }
        })
    }

    pub(super) fn activity(&mut self, user: &str, now: Instant) -> Option<Change> {
        if !self.users.contains_key(user) {
            return None;
        }
        self.change(user, now, |entry| {
            entry.active_at = now;
            entry.is_idle = false;
        })
    }

    /// `Online` takes back what was set before.
    pub(super) fn set(&mut self, user: &str, state: State, now: Instant) -> Option<Change> {
        self.change(user, now, |entry| {
            entry.chosen = Some(state).filter(|state| *state != State::Online);
            entry.active_at = now;
            entry.is_idle = false;
        })
    }

    /// Somebody who was here when the server ended: offline unless a connection comes back.
    pub(super) fn restore(&mut self, user: &str, state: State, now: Instant) {
        if state == State::Offline || self.users.contains_key(user) {
            return;
        }
        self.change(user, now, |entry| {
            entry.stays_until = Some(now + GRACE);
            // Nobody is busy by doing nothing.
            entry.chosen = Some(state).filter(|state| *state == State::Busy);
            entry.is_idle = state == State::Away;
        });
    }

    /// What the passing of time brings.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some((at, user)) = self.due.first().cloned() {
            if at > now {
                break;
            }
            changes.extend(self.change(&user, now, |entry| {
                if entry.stays_until.is_some_and(|until| until <= now) {
                    entry.stays_until = None;
                }
                if entry.rooms > 0 && entry.active_at + IDLE <= now {
                    entry.is_idle = true;
                }
            }));
        }
        changes
    }

    /// When to call [`Book::tick`].
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn state(&self, user: &str) -> State {
        let entry = self.users.get(user);
        entry.map_or(State::Offline, |entry| entry.shown)
    }

    /// How many are online, away and busy.
    pub(super) fn counts(&self) -> [u64; 3] {
        let in_state = |state| {
            let entries = self.users.values();
            entries.filter(|entry| entry.shown == state).count() as u64
        };
        [State::Online, State::Away, State::Busy].map(in_state)
    }

    /// Forgets a user, as when the record is deleted. Whoever was seen is offline with that.
    pub(super) fn forget(&mut self, user: &str) -> Option<Change> {
        let (user, entry) = self.users.remove_entry(user)?;
        if let Some(at) = entry.due {
            self.due.remove(&(at, Arc::clone(&user)));
        }
        (entry.shown != State::Offline).then_some(Change {
            user,
            previous: entry.shown,
            state: State::Offline,
        })
    }

    fn change(
        &mut self,
        user: &str,
        now: Instant,
        change: impl FnOnce(&mut Entry),
    ) -> Option<Change> {
        let known = self.users.get_key_value(user);
        let user: Arc<str> = known.map_or_else(|| Arc::from(user), |(user, _)| Arc::clone(user));
        let entry = self
            .users
            .entry(Arc::clone(&user))
            .or_insert_with(|| Entry::new(now));
        change(entry);
        let (previous, state) = (entry.shown, entry.state());
        entry.shown = state;
        let next = entry.next_due();
        if next != entry.due {
            if let Some(at) = entry.due.take() {
                self.due.remove(&(at, Arc::clone(&user)));
            }
            if let Some(at) = next {
                self.due.insert((at, Arc::clone(&user)));
            }
            entry.due = next;
        }
        let is_over = !entry.is_connected() && next.is_none() && entry.chosen.is_none();
        if is_over {
            self.users.remove(&user);
        }
        (previous != state).then_some(Change {
            user,
            state,
            previous,
        })
    }
}

#[cfg(test)]
mod tests;
