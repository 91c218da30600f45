//! What owner and admins (and superusers) can do in a live room.

use std::time::Instant;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value as Json, json};

use crate::engine::Error as EngineError;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, Caller, json as response};
use crate::model::Value as FieldValue;
use crate::modules::rooms::Role;
use crate::modules::rooms::live::access::Visitor;
use crate::modules::rooms::live::error::Error;
use crate::modules::rooms::live::people::Subject;
use crate::modules::rooms::live::registry::LiveRooms;
use crate::modules::rooms::live::room::{Command, Whom};
use crate::modules::rooms::live::value::Data as Value;
use crate::sfu::PeerId;

/// The room as a host sees it.
///
/// # Errors
/// 401, 403 for everyone else who may see the room, 404 for those who may not.
async fn host(
    rooms: &LiveRooms,
    limits: &RateLimits,
    caller: &Caller,
    request: &HttpRequest,
    room: &str,
) -> Result<Visitor, ApiError> {
    limits.check_path(&rooms.parts.ground.engine, caller, request)?;
    let visitor = rooms.visit(caller, request, room).await?;
    visitor.require_host()?;
    Ok(visitor)
}

fn success() -> HttpResponse {
    response::ok_value(&json!({"success": true}))
}

/// Takes a participant out of the live session. Who is a member may come again.
#[utoipa::path(post, path = "/api/rooms/{roomId}/participants/{participantId}/kick", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room"), ("participantId" = String, Path, description = "Id of the participant")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Not by the caller, or not this one: nobody kicks the owner, and only the owner an admin"),
        (status = 404, description = "No such room or participant, or hidden from the caller")))]
pub(super) async fn kick_participant(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let (room, participant) = path.into_inner();
    let visitor = host(&rooms, &limits, &caller, &request, &room).await?;
    let id = PeerId::new(&participant);
    let found = rooms.reach(&room).and_then(|room| {
        let people = room.shared.people();
        people.get(&id).map(|person| person.who.clone())
    });
    let target = found.ok_or(Error::NoParticipant)?;
    let is_own = visitor.subject.as_ref() == Some(&target.subject);
    let is_owner =
        matches!(&visitor.subject, Some(Subject::User(id)) if id == visitor.room.text("owner"));
    let may = match target.role {
        Role::Participant => true,
        Role::Admin => is_owner || is_own || caller.is_superuser(),
        Role::Owner => is_own || caller.is_superuser(),
    };
    if !may {
        return Err(Error::NotAllowed.into());
    }
    rooms.parts.waiting.forget(&room, target.subject.id());
    if !rooms.kick(&room, &participant).await {
        return Err(Error::NoParticipant.into());
    }
    Ok(success())
}

/// Mutes a participant: nothing that it says gets out until it unmutes itself.
#[utoipa::path(post, path = "/api/rooms/{roomId}/participants/{participantId}/mute", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room"), ("participantId" = String, Path, description = "Id of the participant")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed"), (status = 403, description = "Not by the caller"),
        (status = 404, description = "No such room or participant, or hidden from the caller")))]
pub(super) async fn mute_participant(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let (room, participant) = path.into_inner();
    host(&rooms, &limits, &caller, &request, &room).await?;
    let id = PeerId::new(&participant);
    let is_there = rooms
        .reach(&room)
        .is_some_and(|room| room.shared.people().get(&id).is_some());
    if !is_there {
        return Err(Error::NoParticipant.into());
    }
    rooms.send(&room, Command::Mute(Whom::One(id))).await;
    Ok(success())
}

/// Mutes all but the hosts.
#[utoipa::path(post, path = "/api/rooms/{roomId}/mute-all", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed"), (status = 403, description = "Not by the caller"),
        (status = 404, description = "No such room, or hidden from the caller")))]
pub(super) async fn mute_all(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    host(&rooms, &limits, &caller, &request, &path).await?;
    rooms.send(&path, Command::Mute(Whom::All)).await;
    Ok(success())
}

/// Ends the live session for all.
#[utoipa::path(post, path = "/api/rooms/{roomId}/end", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed"), (status = 403, description = "Not by the caller"),
        (status = 404, description = "No such room, or hidden from the caller")))]
pub(super) async fn end_session(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    host(&rooms, &limits, &caller, &request, &path).await?;
    rooms.close(&path, "ended").await;
    Ok(success())
}

/// Lets nobody in any more but the hosts and those who are in.
#[utoipa::path(post, path = "/api/rooms/{roomId}/lock", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed"), (status = 403, description = "Not by the caller"),
        (status = 404, description = "No such room, or hidden from the caller")))]
pub(super) async fn lock_room(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let visitor = host(&rooms, &limits, &caller, &request, &path).await?;
    set_locked(&rooms, &visitor, true).await?;
    Ok(success())
}

/// Opens a locked room.
#[utoipa::path(post, path = "/api/rooms/{roomId}/unlock", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed"), (status = 403, description = "Not by the caller"),
        (status = 404, description = "No such room, or hidden from the caller")))]
pub(super) async fn unlock_room(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let visitor = host(&rooms, &limits, &caller, &request, &path).await?;
    set_locked(&rooms, &visitor, false).await?;
    Ok(success())
}

async fn set_locked(rooms: &LiveRooms, visitor: &Visitor, is_locked: bool) -> Result<(), ApiError> {
    let engine = rooms.parts.ground.engine.clone();
    let (inside, id) = (engine.clone(), visitor.room.id().to_owned());
    let collection = engine.collection("rooms")?;
    engine
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let condition = crate::store::search::Condition::Always;
                let found = crate::store::records::find(tx, &collection, &id, &condition).await?;
                let mut room = found.ok_or_else(EngineError::not_found)?;
                if room.flag("locked") != is_locked {
                    room.set("locked", FieldValue::Bool(is_locked));
                    inside.save(tx, room).await?;
                }
                Ok::<_, EngineError>(())
            })
        })
        .await?;
    let kind = if is_locked { "locked" } else { "unlocked" };
    let by = visitor.subject.as_ref().map(Subject::id);
    rooms
        .tell(
            visitor.room.id(),
            kind,
            Value::map([("by", by.into())]),
            false,
        )
        .await;
    Ok(())
}

/// Who waits to be let in.
#[utoipa::path(get, path = "/api/rooms/{roomId}/waiting", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    responses((status = 200, description = "waiting (participant_id, user_id, name, since), count"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Not by the caller"), (status = 404, description = "No such room, or hidden from the caller")))]
pub(super) async fn list_waiting(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    host(&rooms, &limits, &caller, &request, &path).await?;
    let waiting = rooms.parts.waiting.list(&path, Instant::now());
    let listed = waiting.iter().map(|waiter| {
        json!({"participant_id": &*waiter.id, "user_id": waiter.subject, "name": waiter.name, "since": waiter.since})
    });
    let listed: Vec<Json> = listed.collect();
    let count = listed.len();
    Ok(response::ok_value(
        &json!({"waiting": listed, "count": count}),
    ))
}

/// Lets in somebody who waits: their next join goes through.
#[utoipa::path(post, path = "/api/rooms/{roomId}/waiting/{participantId}/admit", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room"), ("participantId" = String, Path, description = "As `waiting` names them")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed"), (status = 403, description = "Not by the caller"),
        (status = 404, description = "No such room, hidden from the caller, or nobody of this id waits")))]
pub(super) async fn admit_waiting(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    host(&rooms, &limits, &caller, &request, &path.0).await?;
    decide(&rooms, &path.0, &path.1, true).await
}

/// Refuses somebody who waits.
#[utoipa::path(post, path = "/api/rooms/{roomId}/waiting/{participantId}/deny", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room"), ("participantId" = String, Path, description = "As `waiting` names them")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed"), (status = 403, description = "Not by the caller"),
        (status = 404, description = "No such room, hidden from the caller, or nobody of this id waits")))]
pub(super) async fn deny_waiting(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    host(&rooms, &limits, &caller, &request, &path.0).await?;
    decide(&rooms, &path.0, &path.1, false).await
}

/// Decides, and tells the hosts and the one who waits, on the user's channel.
async fn decide(
    rooms: &LiveRooms,
    room: &str,
    id: &str,
    admits: bool,
) -> Result<HttpResponse, ApiError> {
    let decided = rooms.parts.waiting.decide(room, id, admits, Instant::now());
    let waiter = decided.ok_or(Error::NotWaiting)?;
    let kind = if admits { "admitted" } else { "denied" };
    let data = Value::map([
        ("participant_id", (*waiter.id).into()),
        ("user_id", waiter.subject.as_str().into()),
        ("name", waiter.name.as_str().into()),
    ]);
    rooms.tell(room, kind, data, true).await;
    let told = json!({"room_id": room, "participant_id": &*waiter.id});
    rooms.parts.ground.live.push(&waiter.subject, kind, &told);
    Ok(success())
}

/// What is measured of each participant's connection.
#[utoipa::path(get, path = "/api/rooms/{roomId}/stats", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    responses((status = 200, description = "room_id, participants (participant_id, rtt_ms, up: bitrate_bps, loss; down: bitrate_bps, loss, layer)"),
        (status = 401, description = "Signing in is needed"), (status = 403, description = "Not by the caller"), (status = 404, description = "No such room, or hidden from the caller")))]
pub(super) async fn room_stats(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    host(&rooms, &limits, &caller, &request, &path).await?;
    let measured = match rooms.reach(&path) {
        // One that ends right now has nobody in.
        Some(room) => room.session.stats().await.unwrap_or_default(),
        None => Vec::new(),
    };
    let measured = measured.iter().map(|peer| {
        json!({
            "participant_id": peer.peer.as_str(),
            "rtt_ms": peer.rtt_ms,
            "connected": peer.is_connected,
            "up": {"bitrate_bps": peer.up.bitrate_bps, "loss": peer.up.loss},
            "down": {
                "bitrate_bps": peer.down.bitrate_bps,
                "loss": peer.down.loss,
                "layer": peer.layer.map(crate::sfu::Layer::rid),
                "available_bps": peer.available_bps,
            },
        })
    });
    let measured: Vec<Json> = measured.collect();
    Ok(response::ok_value(
        &json!({"room_id": *path, "participants": measured}),
    ))
}
