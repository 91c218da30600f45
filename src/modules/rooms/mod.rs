//! Rooms: who may enter (membership, persistent) and who is in now (the live session).
//!
//! | file | holds |
//! | --- | --- |
//! | `state` | what the rows say |
//! | `admission` | who may enter and see a room, for the live half |
//! | `live` | live sessions: participants, media, messages |

mod admission;
mod error;
mod live;
mod state;

use std::sync::Arc;

use actix_web::web::ServiceConfig;
use serde_json::Value as Json;

pub(crate) use self::admission::{Admission, Sight, admit, view};
pub use self::error::Error;
pub(crate) use self::live::{LiveRooms, Participant};
pub(crate) use self::state::{Permissions, Role};
use super::{Ground, Module};

pub(super) fn description() -> Json {
    serde_json::to_value(live::description()).unwrap_or_default()
}

pub(super) fn start(ground: &Ground) -> Arc<dyn Module> {
    Arc::new(Rooms {
        live: LiveRooms::start(ground),
    })
}

struct Rooms {
    live: LiveRooms,
}

impl Module for Rooms {
    fn configure(&self, config: &mut ServiceConfig) {
        self.live.configure(config);
    }
}
