//! What writes of rooms mean for those who are in.

use tokio::runtime::Handle;

use super::registry::LiveRooms;
use crate::engine::{Committed, Engine, Op, RecordHook};
use crate::model::Collection;

/// Follows the records of `rooms`, whoever writes them.
pub(super) struct LiveRecords {
    pub(super) rooms: LiveRooms,
    /// Commits happen outside of it.
    pub(super) runtime: Handle,
}

impl RecordHook for LiveRecords {
    fn wants(&self, collection: &Collection) -> bool {
        collection.name == "rooms"
    }

    fn committed(&self, _: &Engine, event: &Committed) {
        let why = match event.op {
            Op::Create => return,
            Op::Update if event.record.flag("isActive") => {
                self.rooms.note_change(&event.record);
                return;
            }
            Op::Update => "inactive",
            Op::Delete => "deleted",
        };
        if self.rooms.reach(event.record.id()).is_none() {
            return;
        }
        let (rooms, id) = (self.rooms.clone(), event.record.id().to_owned());
        // Nothing may wait here.
        self.runtime
            .spawn(async move { rooms.close(&id, why).await });
    }
}
