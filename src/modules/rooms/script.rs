//! The global `webrtc` of scripts: live sessions.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};

use super::state::room;
use super::{Participant, ROOMS, Rooms};
use crate::engine::{ApiCall, ApiFunction, Error, Link, ScriptApi};

/// Rooms that `listRooms` gives at most.
const ROOMS_MAX: usize = 1_000;
const KIND_CHARS_MAX: usize = 100;

/// `getRoom(id)`, `listRooms()`, `broadcast(roomId, eventType, data)`, `kickParticipant(roomId, participantId)`.
pub(super) struct Api {
    rooms: Rooms,
}

impl Api {
    pub(super) fn new(rooms: Rooms) -> Self {
        Self { rooms }
    }

    fn function<F>(&self, run: F) -> ApiFunction
    where
        F: for<'a> Fn(Rooms, ApiCall<'a>) -> BoxFuture<'a, Result<Json, Error>>
            + Send
            + Sync
            + 'static,
    {
        let rooms = self.rooms.clone();
        Arc::new(move |call| run(rooms.clone(), call))
    }
}

impl ScriptApi for Api {
    fn name(&self) -> &'static str {
        "webrtc"
    }

    fn functions(&self) -> Vec<(&'static str, ApiFunction)> {
        vec![
            (
                "getRoom",
                self.function(|rooms, call| Box::pin(get_room(rooms, call))),
            ),
            (
                "listRooms",
                self.function(|rooms, call| Box::pin(list_rooms(rooms, call))),
            ),
            (
                "broadcast",
                self.function(|rooms, call| Box::pin(broadcast(rooms, call))),
            ),
            (
                "kickParticipant",
                self.function(|rooms, call| Box::pin(kick_participant(rooms, call))),
            ),
        ]
    }
}

async fn get_room(rooms: Rooms, call: ApiCall<'_>) -> Result<Json, Error> {
    let id = text(&call.arguments, 0, "roomId")?;
    let collection = call.engine.collection(ROOMS)?;
    let mut link = match call.tx {
        Some(tx) => Link::Tx(tx),
        None => Link::Pool(call.engine),
    };
    let found = call.engine.find_by_id(&mut link, &collection, &id).await?;
    let found = found.ok_or_else(|| super::Error::NoRoom)?;
    let present = rooms.sessions().participants(&id);
    let ids: Vec<&str> = present.iter().map(|one| one.id.as_str()).collect();
    Ok(
        json!({"id": found.id(), "type": found.text(room::ROOM_TYPE), "participants": ids,
        "count": ids.len()}),
    )
}

/// The rooms that somebody is in now.
async fn list_rooms(rooms: Rooms, call: ApiCall<'_>) -> Result<Json, Error> {
    let live = rooms.sessions().list();
    let ids: Vec<&str> = live.iter().map(|(id, _)| id.as_str()).collect();
    let ids = ids.get(..ROOMS_MAX).unwrap_or(&ids);
    let collection = call.engine.collection(ROOMS)?;
    let mut link = match call.tx {
        Some(tx) => Link::Tx(tx),
        None => Link::Pool(call.engine),
    };
    let found = call.engine.find_by_ids(&mut link, &collection, ids).await?;
    let one = |row: &crate::model::Record| {
        json!({"id": row.id(), "type": row.text(room::ROOM_TYPE),
            "participants": rooms.sessions().count(row.id())})
    };
    Ok(found.iter().map(one).collect())
}

async fn broadcast(rooms: Rooms, call: ApiCall<'_>) -> Result<Json, Error> {
    let id = text(&call.arguments, 0, "roomId")?;
    let kind = text(&call.arguments, 1, "eventType")?;
    if kind.chars().count() > KIND_CHARS_MAX {
        return Err(Error::bad_request("eventType is too long"));
    }
    let data = call.arguments.get(2).cloned().unwrap_or_default();
    let sessions = rooms.sessions().clone();
    match call.tx {
        // What is undone is not told.
        Some(tx) if sessions.count(&id) > 0 => tx.after_commit(Box::pin(async move {
            sessions.broadcast(&id, &kind, data).await;
        })),
        None if sessions.broadcast(&id, &kind, data).await => {}
        _ => return Err(Error::NotFound("nobody is in this room".to_owned())),
    }
    Ok(json!({"success": true}))
}

async fn kick_participant(rooms: Rooms, call: ApiCall<'_>) -> Result<Json, Error> {
    let id = text(&call.arguments, 0, "roomId")?;
    let participant = text(&call.arguments, 1, "participantId")?;
    let sessions = rooms.sessions().clone();
    let is_in = |one: &Participant| one.id == participant;
    match call.tx {
        Some(tx) if sessions.participants(&id).iter().any(is_in) => {
            tx.after_commit(Box::pin(async move {
                sessions.kick(&id, &participant).await;
            }));
        }
        None if sessions.kick(&id, &participant).await => {}
        _ => return Err(Error::NotFound("no such participant".to_owned())),
    }
    Ok(json!({"success": true}))
}

fn text(arguments: &[Json], index: usize, name: &str) -> Result<String, Error> {
    let text = arguments.get(index).and_then(Json::as_str);
    match text.filter(|text| !text.is_empty()) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::bad_request(format!("{name} must be a text"))),
    }
}
