//! Live sessions of rooms: who is in now, what they say, and what they see of each other.
//!
//! | file | holds |
//! | --- | --- |
//! | `registry` | [`LiveRooms`]: which rooms are live, and the handle of the rest of the server |
//! | `room` | the task of a live room: joins, leaves, messages, what the media plane tells |
//! | `people` | who is in, in what state: plain data |
//! | `protocol`, `value` | the messages of the channels `events` and `fast`, in both encodings |
//! | `rate` | how much a participant may say |
//! | `messages` | what outlasts the session: `roomMessages` |
//! | `metrics` | what is counted |
//! | `waiting` | who waits to be let in |
//! | `token` | room tokens |
//! | `access` | who calls a route, and what they may do |
//! | `routes` | the handlers |
//! | `hooks` | what writes of rooms mean for those who are in |
//! | `seams` | what a room's task needs of the media plane and of the server |
//!
//! A second join of a user is a second participant: each tab has a connection and a place of its own.

mod access;
mod error;
mod hooks;
mod messages;
mod metrics;
mod people;
mod protocol;
mod rate;
mod registry;
mod room;
mod routes;
mod seams;
mod token;
mod value;
mod waiting;

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use utoipa::OpenApi;

pub(crate) use self::registry::{LiveRooms, Participant};

/// The routes as an OpenAPI document.
pub(super) fn description() -> utoipa::openapi::OpenApi {
    routes::Description::openapi()
}

impl LiveRooms {
    /// Mounts the routes below `/api`.
    pub(crate) fn configure(&self, config: &mut ServiceConfig) {
        config.app_data(Data::new(self.clone()));
        routes::configure(config);
    }

    /// Follows the records of rooms.
    fn register(&self) {
        let engine = &self.parts.ground.engine;
        engine.register_hook(Arc::new(hooks::LiveRecords {
            rooms: self.clone(),
            runtime: tokio::runtime::Handle::current(),
        }));
    }
}
