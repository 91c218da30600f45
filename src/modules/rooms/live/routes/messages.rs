//! The messages of a room: its history, and sending one without being in.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value as Json, json};

use crate::base::DateTime;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, Caller, Query, json as response};
use crate::modules::input::{Fields, is_form, read_body, refused, refused_with};
use crate::modules::rooms::live::access::Visitor;
use crate::modules::rooms::live::error::Error;
use crate::modules::rooms::live::messages::{
    self, MESSAGES, NewMessage, PAGE_DEFAULT, PAGE_MAX, Stored,
};
use crate::modules::rooms::live::people::Subject;
use crate::modules::rooms::live::protocol::{MESSAGE_BYTES_MAX, fits_chat};
use crate::modules::rooms::live::registry::LiveRooms;

/// The messages of a room, oldest first: the last ones, or those before a message or time.
#[utoipa::path(get, path = "/api/rooms/{roomId}/messages", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room"),
        ("before" = Option<String>, Query, description = "Id of a message, or a date: older ones alone"),
        ("limit" = Option<u64>, Query, description = "1 to 200, default 50")),
    responses((status = 200, description = "messages (id, kind, user_id, participant_id, name, text, data, created), has_more"),
        (status = 400, description = "A parameter is refused"), (status = 401, description = "Signing in or a token of the room is needed"),
        (status = 403, description = "The caller is no member"), (status = 404, description = "No such room, or hidden from the caller")))]
pub(super) async fn list_messages(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let engine = &rooms.parts.ground.engine;
    limits.check_path(engine, &caller, &request)?;
    let visitor = rooms.visit(&caller, &request, &path).await?;
    visitor.require_member()?;
    if matches!(visitor.subject, Some(Subject::Guest(_)))
        && participant_of(&rooms, &visitor).is_empty()
    {
        return Err(Error::NotAllowed.into());
    }
    let query = Query::of(&request);
    let limit = match query.text("limit") {
        "" => PAGE_DEFAULT,
        text => text
            .parse::<usize>()
            .map_err(|_| refused("limit", "Must be a whole number."))?
            .clamp(1, PAGE_MAX),
    };
    let before = match query.text("before") {
        "" => None,
        text => Some(place_of(&rooms, visitor.room.id(), text).await?),
    };
    let (found, has_more) = messages::page(engine, visitor.room.id(), before, limit).await?;
    let shown: Vec<Json> = found.iter().map(messages::shown).collect();
    Ok(response::ok_value(
        &json!({"messages": shown, "has_more": has_more}),
    ))
}

/// The time and id before which messages are meant.
async fn place_of(
    rooms: &LiveRooms,
    room: &str,
    before: &str,
) -> Result<(String, String), ApiError> {
    /// Before every id.
    const FIRST: &str = "0";
    let engine = &rooms.parts.ground.engine;
    let collection = engine.collection(MESSAGES)?;
    let found = engine.find_record(&collection, before).await?;
    if let Some(message) = found.filter(|message| message.text("room") == room) {
        return Ok(messages::place_of(&message));
    }
    match DateTime::parse(before) {
        Some(date) => Ok((date.to_string(), FIRST.to_owned())),
        None => Err(refused(
            "before",
            "Must be a message of the room or a date.",
        )),
    }
}

/// Adds a message, with a file or without, and tells those who are in.
#[utoipa::path(post, path = "/api/rooms/{roomId}/messages", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    request_body(content = serde_json::Value, description = "`text`, and `file` in a form (20 MB); one of both must be there"),
    responses((status = 200, description = "success, message_id, message"), (status = 400, description = "A field is refused"),
        (status = 401, description = "Signing in or a token of the room is needed"), (status = 403, description = "The caller is no member, or may not write"),
        (status = 404, description = "No such room, or hidden from the caller"), (status = 413, description = "The file is too large")))]
pub(super) async fn send_message(
    rooms: Data<LiveRooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let engine = &rooms.parts.ground.engine;
    limits.check_path(engine, &caller, &request)?;
    let visitor = rooms.visit(&caller, &request, &path).await?;
    visitor.require_member()?;
    let from = visitor.subject.clone().ok_or(Error::NotAllowed)?;
    if !visitor.belongs || !visitor.permissions.chat || !visitor.room.flag("isActive") {
        return Err(Error::NotAllowed.into());
    }
    let participant = participant_of(&rooms, &visitor);
    if matches!(from, Subject::Guest(_)) && participant.is_empty() {
        return Err(Error::NotAllowed.into());
    }
    let is_form = is_form(&request);
    let body = read_body(&request, payload).await?;
    let file = body.files.into_iter().find(|(key, _)| key == "file");
    let fields = Fields::of(body.fields, is_form);
    let text = fields.text("text", MESSAGE_BYTES_MAX)?.unwrap_or_default();
    if !fits_chat(text) {
        return Err(refused("text", "Is too long for a message."));
    }
    if text.is_empty() && file.is_none() {
        return Err(refused_with(
            "text",
            "validation_required",
            "Cannot be blank.",
        ));
    }
    let message = NewMessage {
        room: visitor.room.id().into(),
        from,
        participant,
        name: visitor.name.clone(),
        kind: if file.is_some() { "file" } else { "chat" },
        text: text.to_owned(),
        created: None,
    };
    let upload = match file {
        Some((_, file)) => Some(file.into_upload("file".to_owned()).await?),
        None => None,
    };
    let record = messages::store_one(engine, &message, upload).await?;
    rooms.relay(&visitor.room, Stored::of(&record)).await;
    Ok(response::ok_value(
        &json!({"success": true, "message_id": record.id(), "message": messages::shown(&record)}),
    ))
}

/// One of the caller's connections to the room, if there is one; empty without.
fn participant_of(rooms: &LiveRooms, visitor: &Visitor) -> String {
    let (Some(subject), Some(room)) = (&visitor.subject, rooms.reach(visitor.room.id())) else {
        return String::new();
    };
    let people = room.shared.people();
    let own = people.named(subject.id());
    own.first()
        .map_or_else(String::new, |person| person.id.as_str().to_owned())
}
