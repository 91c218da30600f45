//! Joining a live session, and the signalling of a participant's own connection.

use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::ID_CHARS_MAX;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, Caller, json as response};
use crate::live::ice_servers;
use crate::model::Record;
use crate::modules::input::{Fields, refused};
use crate::modules::rooms::live::error::Error;
use crate::modules::rooms::live::people::Entrant;
use crate::modules::rooms::live::protocol::StateChange;
use crate::modules::rooms::live::registry::LiveRooms;
use crate::modules::rooms::live::room::Command;
use crate::modules::rooms::live::value::Data as Value;
use crate::modules::rooms::live::waiting::{Turn, Waiter};
use crate::sfu::{self, Candidate, PeerId};

/// Most characters of a session description: what the body may be long.
const SDP_CHARS_MAX: usize = 512 << 10;
const CANDIDATE_CHARS_MAX: usize = 4096;

/// Comes into a room's live session.
#[utoipa::path(post, path = "/api/rooms/{roomId}/join", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    request_body(content = serde_json::Value, description = "May be empty; `simulcast: true` asks for three layers of the camera"),
    responses((status = 200, description = "participant_id, sdp (type, sdp: the server's offer), ice_servers, room, participants"),
        (status = 202, description = "status: waiting, participant_id: a host has to let the caller in; ask again"),
        (status = 400, description = "A member is refused"), (status = 401, description = "Signing in or a token of the room is needed"),
        (status = 403, description = "The room is full, locked or not active, or the caller is no member or banned"),
        (status = 404, description = "No such room, or hidden from the caller")))]
pub(super) async fn join_room(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let engine = &rooms.parts.ground.engine;
    limits.check_path(engine, &caller, &request)?;
    let (room, who) = rooms.entrant(&caller, &request, &path).await?;
    let fields = Fields::read(&request, payload).await?;
    let is_simulcast = fields.flag("simulcast")?.unwrap_or_default();
    if let Some(waiter) = wait_for_host(&rooms, &room, &who).await? {
        let body =
            json!({"status": "waiting", "participant_id": &*waiter.id, "room_id": room.id()});
        return Ok(response::response(StatusCode::ACCEPTED, body.to_string()));
    }
    let subject = who.subject.id().to_owned();
    let joined = rooms.join(&room, who, is_simulcast).await?;
    // Whoever was banned, or whose room was deleted, while they came in was not there to be put out.
    if let Err(refused) = still_welcome(&rooms, &caller, &request, room.id()).await {
        rooms.remove(room.id(), joined.id.as_str(), "evicted").await;
        return Err(refused);
    }
    let shown = engine.show(room, &caller.info, "").await?;
    let participants = Value::List(joined.participants).to_json();
    let ice_servers = ice_servers(engine, &subject);
    let mut out = br#"{"participant_id":"#.to_vec();
    crate::base::json::write_str(&mut out, joined.id.as_str());
    out.extend_from_slice(br#","sdp":{"type":"offer","sdp":"#);
    crate::base::json::write_str(&mut out, &joined.sdp);
    out.extend_from_slice(br#"},"ice_servers":"#);
    crate::base::json::write_value(&mut out, &ice_servers);
    out.extend_from_slice(br#","room":"#);
    shown.write_json(&mut out);
    out.extend_from_slice(br#","participants":"#);
    crate::base::json::write_value(&mut out, &participants);
    out.push(b'}');
    Ok(response::ok(out))
}

async fn still_welcome(
    rooms: &LiveRooms,
    caller: &Caller,
    request: &HttpRequest,
    room: &str,
) -> Result<(), ApiError> {
    let visitor = rooms.visit(caller, request, room).await?;
    if !visitor.room.flag("isActive") {
        return Err(Error::Room(crate::modules::rooms::Error::Inactive).into());
    }
    Ok(visitor.require_member()?)
}

/// Lets hosts in, and those who are in already; others wait where the room has a waiting room.
async fn wait_for_host(
    rooms: &LiveRooms,
    room: &Record,
    who: &Entrant,
) -> Result<Option<Waiter>, Error> {
    let is_guarded = room.flag("locked") || room.flag("waitingRoom");
    if !is_guarded || who.role.is_host() || is_in(rooms, room.id(), who) {
        return Ok(None);
    }
    if room.flag("locked") {
        return Err(Error::Locked);
    }
    let now = (Instant::now(), rooms.parts.ground.engine.now().unix());
    let waiting = &rooms.parts.waiting;
    match waiting.ask(room.id(), who.subject.id(), &who.name, now) {
        Turn::Admitted => Ok(None),
        Turn::Denied => Err(Error::Denied),
        Turn::Full => Err(Error::Full),
        Turn::Waits { waiter, is_new } => {
            if is_new {
                let data = Value::map([
                    ("participant_id", (*waiter.id).into()),
                    ("user_id", who.subject.id().into()),
                    ("name", who.name.as_str().into()),
                ]);
                rooms.tell(room.id(), "waiting", data, true).await;
            }
            Ok(Some(waiter))
        }
    }
}

fn is_in(rooms: &LiveRooms, room: &str, who: &Entrant) -> bool {
    rooms.reach(room).is_some_and(|room| {
        let people = room.shared.people();
        !people.named(who.subject.id()).is_empty()
    })
}

/// Who is in a room now.
#[utoipa::path(get, path = "/api/rooms/{roomId}/participants", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    responses((status = 200, description = "participants (participant_id, user_id, name, role, joined_at, audio_muted, video_off, screen_sharing, hand_raised, speaking, tracks), count"),
        (status = 401, description = "Signing in or a token of the room is needed"), (status = 403, description = "The caller is no member"),
        (status = 404, description = "No such room, or hidden from the caller")))]
pub(super) async fn list_participants(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(&rooms.parts.ground.engine, &caller, &request)?;
    let visitor = rooms.visit(&caller, &request, &path).await?;
    visitor.require_member()?;
    let reach = rooms.reach(visitor.room.id());
    let listed = reach.map_or_else(Vec::new, |room| room.shared.people().listed());
    let count = listed.len();
    let participants = Value::List(listed).to_json();
    Ok(response::ok_value(
        &json!({"participants": participants, "count": count}),
    ))
}

/// Answers the server's last offer.
#[utoipa::path(post, path = "/api/rooms/{roomId}/participants/{participantId}/answer", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room"), ("participantId" = String, Path, description = "One of the caller's own")),
    request_body(content = serde_json::Value, description = "`type`: answer, `sdp`, and `seq` for the answer to a later offer"),
    responses((status = 200, description = "status: ok"), (status = 400, description = "The description is refused"),
        (status = 401, description = "Signing in or a token of the room is needed"), (status = 403, description = "Somebody else's participant"),
        (status = 404, description = "No such participant"), (status = 409, description = "There is no offer to answer")))]
pub(super) async fn answer_offer(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(&rooms.parts.ground.engine, &caller, &request)?;
    let (reach, id) = own(&rooms, &caller, &request, &path).await?;
    let fields = Fields::read(&request, payload).await?;
    let sdp = description(&fields, "answer")?;
    let seq = fields.whole("seq", 0, i64::MAX)?;
    let seq = seq.and_then(|seq| u64::try_from(seq).ok());
    let answered = reach.session.answer(&id, sdp, seq).await;
    answered.map_err(Error::from)?;
    Ok(response::ok_value(&json!({"status": "ok"})))
}

/// Adds a candidate of the participant's connection; it may come before the answer.
#[utoipa::path(post, path = "/api/rooms/{roomId}/participants/{participantId}/candidates", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room"), ("participantId" = String, Path, description = "One of the caller's own")),
    request_body(content = serde_json::Value, description = "`candidate`, `sdpMid`, `sdpMLineIndex`; an empty candidate ends them"),
    responses((status = 200, description = "status: ok"), (status = 400, description = "The candidate is refused"),
        (status = 401, description = "Signing in or a token of the room is needed"), (status = 403, description = "Somebody else's participant"),
        (status = 404, description = "No such participant")))]
pub(super) async fn add_candidate(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(&rooms.parts.ground.engine, &caller, &request)?;
    let (reach, id) = own(&rooms, &caller, &request, &path).await?;
    let fields = Fields::read(&request, payload).await?;
    if fields.get("candidate").is_none() {
        return Err(refused(
            "candidate",
            "Must be a text; an empty one ends the candidates.",
        ));
    }
    let text = |name: &str, max: usize| fields.text(name, max).map(|text| text.map(str::to_owned));
    let line = fields.whole("sdp_m_line_index", 0, i64::from(u16::MAX))?;
    let candidate = Candidate {
        candidate: text("candidate", CANDIDATE_CHARS_MAX)?.unwrap_or_default(),
        mid: text("sdp_mid", ID_CHARS_MAX)?,
        line: line.and_then(|line| u16::try_from(line).ok()),
    };
    let added = reach.session.candidate(&id, candidate).await;
    added.map_err(Error::from)?;
    Ok(response::ok_value(&json!({"status": "ok"})))
}

/// Takes the client's own offer, such as for a track it has added.
#[utoipa::path(post, path = "/api/rooms/{roomId}/participants/{participantId}/offer", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room"), ("participantId" = String, Path, description = "One of the caller's own")),
    request_body(content = serde_json::Value, description = "`sdp`"),
    responses((status = 200, description = "type: answer, sdp"), (status = 400, description = "The description is refused"),
        (status = 401, description = "Signing in or a token of the room is needed"), (status = 403, description = "Somebody else's participant"),
        (status = 404, description = "No such participant"), (status = 409, description = "error: retry; the server's offer comes first")))]
pub(super) async fn offer_media(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(&rooms.parts.ground.engine, &caller, &request)?;
    let (reach, id) = own(&rooms, &caller, &request, &path).await?;
    let fields = Fields::read(&request, payload).await?;
    let sdp = description(&fields, "offer")?;
    match reach.session.offer(&id, sdp).await {
        Ok(sdp) => Ok(response::ok_value(&json!({"type": "answer", "sdp": sdp}))),
        Err(sfu::Error::Glare) => {
            // Clients compare this text, so that it is no sentence.
            let body = json!({"data": {}, "error": "retry", "message": "retry", "status": 409, "success": false});
            Ok(response::response(StatusCode::CONFLICT, body.to_string()))
        }
        Err(error) => Err(Error::from(error).into()),
    }
}

/// Changes what others see of a participant.
#[utoipa::path(post, path = "/api/rooms/{roomId}/participants/{participantId}/state", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room"), ("participantId" = String, Path, description = "One of the caller's own")),
    request_body(content = serde_json::Value, description = "`audio_muted`, `video_off`, `screen_sharing`, `hand_raised`; what is not said stays"),
    responses((status = 200, description = "success"), (status = 400, description = "A member is no truth value"),
        (status = 401, description = "Signing in or a token of the room is needed"), (status = 403, description = "Somebody else's participant"),
        (status = 404, description = "No such participant")))]
pub(super) async fn change_state(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(&rooms.parts.ground.engine, &caller, &request)?;
    let (_, id) = own(&rooms, &caller, &request, &path).await?;
    let fields = Fields::read(&request, payload).await?;
    let change = StateChange {
        audio_muted: fields.flag("audio_muted")?,
        video_off: fields.flag("video_off")?,
        screen_sharing: fields.flag("screen_sharing")?,
        hand_raised: fields.flag("hand_raised")?,
    };
    rooms.send(&path.0, Command::State { id, change }).await;
    Ok(response::ok_value(&json!({"success": true})))
}

/// Ends one of the caller's connections.
#[utoipa::path(delete, path = "/api/rooms/{roomId}/participants/{participantId}", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room"), ("participantId" = String, Path, description = "One of the caller's own")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in or a token of the room is needed"),
        (status = 403, description = "Somebody else's participant"), (status = 404, description = "No such participant")))]
pub(super) async fn remove_participant(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(&rooms.parts.ground.engine, &caller, &request)?;
    own(&rooms, &caller, &request, &path).await?;
    rooms.remove(&path.0, &path.1, "left").await;
    Ok(response::ok_value(&json!({"success": true})))
}

/// Ends all of the caller's connections to a room, or the named one; the membership stays.
#[utoipa::path(post, path = "/api/rooms/{roomId}/leave-media", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    request_body(content = serde_json::Value, description = "May be empty; `participant_id` names one of the caller's"),
    responses((status = 200, description = "success"), (status = 400, description = "A member is refused"),
        (status = 401, description = "Signing in or a token of the room is needed"), (status = 403, description = "Somebody else's participant"),
        (status = 404, description = "No such room or participant, or hidden from the caller")))]
pub(super) async fn leave_media(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(&rooms.parts.ground.engine, &caller, &request)?;
    let visitor = rooms.visit(&caller, &request, &path).await?;
    let fields = Fields::read(&request, payload).await?;
    if let Some(id) = fields.text("participant_id", ID_CHARS_MAX)? {
        let id = PeerId::new(id);
        rooms.own(&caller, &request, &path, &id).await?;
        rooms.remove(&path, id.as_str(), "left").await;
    } else if let Some(subject) = &visitor.subject {
        let own: Vec<PeerId> = rooms.reach(&path).map_or_else(Vec::new, |room| {
            let people = room.shared.people();
            let own = people.named(subject.id()).into_iter();
            own.map(|person| person.id.clone()).collect()
        });
        for id in own {
            rooms.remove(&path, id.as_str(), "left").await;
        }
    }
    Ok(response::ok_value(&json!({"success": true})))
}

async fn own(
    rooms: &LiveRooms,
    caller: &Caller,
    request: &HttpRequest,
    path: &(String, String),
) -> Result<(crate::modules::rooms::live::registry::Reach, PeerId), ApiError> {
    let (room, participant) = path;
    let id = PeerId::new(participant);
    let reach = rooms.own(caller, request, room, &id).await?;
    Ok((reach, id))
}

/// The `sdp` of a body whose `type`, if it has one, is this one.
fn description(fields: &Fields, kind: &str) -> Result<String, ApiError> {
    match fields.text("type", ID_CHARS_MAX)? {
        None => {}
        Some(given) if given == kind => {}
        Some(_) => return Err(refused("type", &format!("Must be {kind}."))),
    }
    Ok(fields.required_text("sdp", SDP_CHARS_MAX)?.to_owned())
}
