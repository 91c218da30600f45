//! Who has a room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::model::Record;
use crate::sfu::{PeerId, Session};

/// Why a room ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The connection is gone.
    Gone,
    /// The client has said that it goes.
    Disconnected,
    /// The user has connected anew.
    Replaced,
    /// The token has expired, or does not count any more.
    SignedOut,
    /// What was pushed was not taken in time.
    Lagged,
    /// The server stops.
    Stopping,
}

impl End {
    /// As the client is told.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "connection_lost",
            Self::Disconnected => "disconnected",
            Self::Replaced => "replaced",
            Self::SignedOut => "signed_out",
            Self::Lagged => "lagged",
            Self::Stopping => "server_stopping",
        }
    }
}

/// A user's room.
#[derive(Clone)]
pub(super) struct Open {
    pub(super) session: Session,
    pub(super) peer: PeerId,
    pub(super) end: mpsc::UnboundedSender<End>,
}

/// Collection and record of a user.
type Owner = (Box<str>, Box<str>);

/// All rooms; a cheap handle.
#[derive(Clone, Default)]
pub(in crate::live) struct Rooms(Arc<Mutex<HashMap<Owner, Open>>>);

impl Rooms {
    /// Enters a user's room; the one before, if there is one, ends.
    pub(super) fn enter(&self, user: &Record, open: Open) {
        let before = self.lock().insert(owner(user), open);
        if let Some(before) = before {
            let _ = before.end.send(End::Replaced);
        }
    }

    pub(super) fn of(&self, user: &Record) -> Option<Open> {
        self.lock().get(&owner(user)).cloned()
    }

    /// Takes a room off, unless another has taken its place.
    pub(super) fn leave(&self, user: &Record, peer: &PeerId) {
        let owner = owner(user);
        let mut rooms = self.lock();
        if rooms.get(&owner).is_some_and(|open| open.peer == *peer) {
            rooms.remove(&owner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Owner, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn owner(user: &Record) -> Owner {
    (user.collection().id.as_str().into(), user.id().into())
}
