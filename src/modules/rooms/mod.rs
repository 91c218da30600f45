//! Rooms: who may enter (membership, persistent) and who is in now (the live session).
//!
//! | file | holds |
//! | --- | --- |
//! | `state` | what the rows say |
//! | `roster` | looking up rooms and members |
//! | `hooks` | what happens inside writes: asking, paying, places, ownership, who is told, the end of sessions |
//! | `service` | creating, joining, deciding, leaving |
//! | `admission` | who may enter and see a room, for the live half |
//! | `listing` | rooms and members as lists show them |
//! | `till` | charges |
//! | `notices` | notifications and the topic of rooms |
//! | `routes`, `script` | the handlers, and the global `webrtc` of scripts |
//! | `live` | live sessions: participants, media, messages |
//!
//! A membership exists once per room and user. Whoever writes a new row asks, and a row that was rejected or has expired
//! begins anew. A banned row stays, so that it cannot be asked for again. The owner has a row like everybody else; room and
//! row always agree, and no room has more active members than places.

mod admission;
mod error;
mod hooks;
mod listing;
mod live;
mod notices;
mod roster;
mod routes;
mod script;
mod service;
mod state;
mod till;

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use serde_json::Value as Json;

pub(crate) use self::admission::{admit, view};
pub use self::error::Error;
pub(crate) use self::live::{LiveRooms, Participant};
pub use self::service::Rooms;
pub(crate) use self::state::{Permissions, Role};
use super::expiry::{Ending, Expiry};
use super::{Ground, Module};
use crate::base::metric::Metric;
use crate::engine::ScriptApi;

/// The collections.
pub const ROOMS: &str = "rooms";
pub const MEMBERS: &str = "roomMembers";

pub(super) fn description() -> Json {
    let mut description = routes::description();
    description.merge(live::description());
    serde_json::to_value(description).unwrap_or_default()
}

pub(super) fn start(ground: &Ground) -> Arc<dyn Module> {
    let (engine, live) = (ground.engine.clone(), ground.live.clone());
    let till = till::Till::of(ground);
    let expiry = Expiry::start(&engine, live.stop(), ending(till.clone()));
    let sessions = LiveRooms::start(ground);
    let rooms = Rooms::new((engine, live), sessions, till, expiry);
    hooks::register(&ground.engine, &rooms);
    Arc::new(rooms)
}

/// The end of paid periods, and of the time in which a payment is waited for.
fn ending(till: till::Till) -> Ending {
    Ending {
        job: "roomsExpiry",
        collection: MEMBERS,
        statuses: &["active", "pending"],
        note: Arc::new(move |engine, tx, mut row| {
            let till = till.clone();
            Box::pin(async move {
                if state::is_unpaid(&row) {
                    // Who waits for the charge hears of it, if there still is one.
                    till.cancel(tx, row.text(state::CHARGE)).await?;
                    row = match engine
                        .find_by_id(&mut tx.into(), row.collection(), row.id())
                        .await?
                    {
                        Some(row) if state::is_unpaid(&row) => till::given_up(row),
                        _ => return Ok(()),
                    };
                } else {
                    state::set_status(&mut row, state::Status::Expired);
                }
                engine.save(tx, row).await.map(drop)
            })
        }),
    }
}

impl Module for Rooms {
    fn configure(&self, config: &mut ServiceConfig) {
        config.app_data(Data::new(self.clone()));
        routes::configure(config);
        self.sessions().configure(config);
    }

    fn script_apis(&self) -> Vec<Arc<dyn ScriptApi>> {
        vec![Arc::new(script::Api::new(self.clone()))]
    }

    fn metrics(&self) -> Vec<Metric> {
        self.sessions().metrics()
    }
}
