//! Live sessions of rooms: who is in now. A stub until the session is joined with the media plane.

use actix_web::web::ServiceConfig;
use serde_json::Value as Json;

use super::{Permissions, Role};
use crate::modules::Ground;

/// The live sessions of all rooms; a cheap handle.
#[derive(Clone)]
pub(crate) struct LiveRooms;

/// Somebody who is in a room now.
#[derive(Clone)]
pub(crate) struct Participant {
    pub(crate) id: String,
    /// The id of a record of `users`; none for guests.
    pub(crate) user: Option<String>,
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// The routes as an OpenAPI document.
pub(super) fn description() -> utoipa::openapi::OpenApi {
    utoipa::openapi::OpenApi::default()
}

#[expect(clippy::unused_async, clippy::unused_self, reason = "a stub")]
impl LiveRooms {
    pub(crate) fn start(_ground: &Ground) -> Self {
        Self
    }

    /// How many are in a room now.
    pub(crate) fn count(&self, _room: &str) -> usize {
        0
    }

    /// The rooms that somebody is in, and how many.
    pub(crate) fn list(&self) -> Vec<(String, usize)> {
        Vec::new()
    }

    pub(crate) fn participants(&self, _room: &str) -> Vec<Participant> {
        Vec::new()
    }

    /// Takes all of a user's participants out of a room, at once: a ban, the end of a membership, leaving.
    pub(crate) async fn evict_user(&self, _room: &str, _user: &str, _why: &'static str) {}

    /// Takes one participant out; false if there is none.
    pub(crate) async fn kick(&self, _room: &str, _participant: &str) -> bool {
        false
    }

    /// What a user may do from now on.
    pub(crate) async fn set_permissions(
        &self,
        _room: &str,
        _user: &str,
        _role: Role,
        _permissions: Permissions,
    ) {
    }

    /// Ends a session: the room is deleted or not active any more.
    pub(crate) async fn close(&self, _room: &str, _why: &'static str) {}

    /// Sends a message to all who are in; false if nobody is.
    pub(crate) async fn broadcast(&self, _room: &str, _kind: &str, _data: Json) -> bool {
        false
    }

    /// Mounts the routes below `/api`.
    pub(crate) fn configure(&self, _config: &mut ServiceConfig) {}
}
