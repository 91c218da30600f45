//! What happens inside writes of rooms and of their members.

mod members;
mod rooms;

use std::sync::Arc;

use super::Rooms;
use crate::engine::Engine;

pub(super) use self::members::begin_paid;

pub(super) fn register(engine: &Engine, rooms: &Rooms) {
    engine.register_hook(Arc::new(self::rooms::RoomWrites(rooms.clone())));
    engine.register_hook(Arc::new(members::MemberWrites(rooms.clone())));
}
