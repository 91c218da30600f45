//! Creating, listing, changing and deleting rooms.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value as Json, json};

use super::{actor_of, resource, with_record};
use crate::base::DateTime;
use crate::base::json as text;
use crate::engine::records::ListParams;
use crate::engine::{self, Link, RequestInfo};
use crate::http::rate::RateLimits;
use crate::http::{ApiError, Caller, Paging, Query, json as response};
use crate::model::{FieldErrors, Record, Value};
use crate::modules::input::{Fields, refused};
use crate::modules::owner_of;
use crate::modules::page::Page;
use crate::modules::rooms::service::{Actor, Changes};
use crate::modules::rooms::state::{AccessType, JoinType, RoomType, room};
use crate::modules::rooms::{Error, ROOMS, Rooms, roster};
use crate::store::records;
use crate::store::search::Condition;

const NAME_CHARS_MAX: usize = 200;
const DESCRIPTION_CHARS_MAX: usize = 2_000;
const METADATA_BYTES_MAX: usize = 64 << 10;
const PERIOD_DAYS_MAX: i64 = 36_500;
const PUBLISHERS_MAX: i64 = 100_000;
/// Rooms that somebody is in now which one list looks at.
const LIVE_MAX: usize = 10_000;
const MINE: &str = "owner = @request.auth.id || (roomMembers_via_room.user ?= @request.auth.id \
    && roomMembers_via_room.status ?= 'active' \
    && (roomMembers_via_room.expiresAt ?= '' || roomMembers_via_room.expiresAt ?> @now))";

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            resource("/rooms")
                .route(web::get().to(list_rooms))
                .route(web::post().to(create_room)),
        )
        .service(resource("/rooms/create").route(web::post().to(create_room_whole)))
        .service(
            resource("/rooms/{room_id}")
                .route(web::get().to(view_room))
                .route(web::delete().to(delete_room)),
        )
        .service(resource("/rooms/{room_id}/settings").route(web::patch().to(change_room)))
        .service(
            resource("/rooms/{room_id}/transfer-ownership").route(web::post().to(transfer_room)),
        );
}

/// Creates a room; the caller owns it. With `rooms.allowAnonymousCreate`, guests may too, and nobody owns it.
#[utoipa::path(post, path = "/api/rooms", tag = "rooms",
    request_body(content = serde_json::Value, description = "`room_type` (audio, video, data), `name`, `description`, `is_public` (true), `access_type` (public, private, invitation, cross_workspace, event), `max_participants` (50), `join_type` (free, require_approval, paid_period, paid_lifetime), `price`, `period_days`, `waiting_room`, `max_publishers`, `starts_at`, `ends_at`, `metadata`"),
    responses((status = 200, description = "room_id, room_type, name"), (status = 400, description = "A field is refused"),
        (status = 401, description = "Signing in is needed"), (status = 403, description = "The caller has too many rooms")))]
pub(super) async fn create_room(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    let is_open = rooms.engine().own_settings().rooms.allow_anonymous_create;
    if !is_open {
        caller.require_auth()?;
    }
    let room = create(&rooms, &caller, &request, payload).await?;
    Ok(response::ok_value(
        &json!({"room_id": room.id(), "room_type": room.text(room::ROOM_TYPE),
        "name": room.text(room::NAME)}),
    ))
}

/// Creates a room, as `POST /api/rooms` does, and answers with all of it.
#[utoipa::path(post, path = "/api/rooms/create", tag = "rooms",
    request_body(content = serde_json::Value, description = "As that of `POST /api/rooms`"),
    responses((status = 201, description = "success, room_id, room"), (status = 400, description = "A field is refused"),
        (status = 401, description = "Signing in is needed"), (status = 403, description = "The caller has too many rooms")))]
pub(super) async fn create_room_whole(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    caller.require_auth()?;
    let room = create(&rooms, &caller, &request, payload).await?;
    let mut head = br#"{"success":true,"room_id":"#.to_vec();
    text::write_str(&mut head, room.id());
    head.extend_from_slice(br#","room":"#);
    let body = with_record(&rooms, &caller, head, room).await?;
    Ok(response::response(StatusCode::CREATED, body))
}

async fn create(
    rooms: &Rooms,
    caller: &Caller,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Record, ApiError> {
    let owner = match caller.auth() {
        Some(_) => Some(owner_of(&caller.info).ok_or(Error::NotAUser)?.to_owned()),
        None => None,
    };
    let fields = Fields::read(request, payload).await?;
    let kind = fields.required_text("room_type", 50)?;
    let kind = RoomType::parse(kind)
        .ok_or_else(|| refused("room_type", "Must be audio, video or data."))?;
    fields.required_text("name", NAME_CHARS_MAX)?;
    let mut changes = changes_of(rooms, &fields)?;
    changes.push((room::ROOM_TYPE, kind.as_str().into()));
    if !changes.iter().any(|(field, _)| *field == room::ACCESS_TYPE) {
        let is_public = fields.flag("is_public")?.unwrap_or(true);
        let access = if is_public {
            AccessType::Public
        } else {
            AccessType::Private
        };
        changes.push((room::ACCESS_TYPE, access.as_str().into()));
    }
    let made = rooms.within(move |rooms, tx| {
        Box::pin(async move { rooms.create(tx, owner.as_deref(), changes).await })
    });
    Ok(made.await.map_err(as_sent)?)
}

/// What a body says of a room's fields.
fn changes_of(rooms: &Rooms, fields: &Fields) -> Result<Changes, ApiError> {
    let mut changes = Changes::new();
    for (name, field, chars_max) in [
        ("name", room::NAME, NAME_CHARS_MAX),
        ("description", room::DESCRIPTION, DESCRIPTION_CHARS_MAX),
    ] {
        let text = fields.text(name, chars_max)?;
        if fields.get(name).is_some_and(Json::is_string) {
            changes.push((field, text.unwrap_or_default().into()));
        }
    }
    if let Some(name) = fields.text("access_type", 50)? {
        let kind = AccessType::parse(name)
            .ok_or_else(|| refused("access_type", "Must be a known access type."))?;
        changes.push((room::ACCESS_TYPE, kind.as_str().into()));
    }
    if let Some(name) = fields.text("join_type", 50)? {
        let kind = JoinType::parse(name)
            .ok_or_else(|| refused("join_type", "Must be a known join type."))?;
        changes.push((room::JOIN_TYPE, kind.as_str().into()));
    }
    let places_max = rooms.engine().own_settings().rooms.max_participants;
    for (name, field, min, max) in [
        ("max_participants", room::MAX_PARTICIPANTS, 2, places_max),
        ("period_days", room::PERIOD_DAYS, 0, PERIOD_DAYS_MAX),
        ("max_publishers", "maxPublishers", 0, PUBLISHERS_MAX),
    ] {
        if let Some(number) = fields.whole(name, min, max)? {
            changes.push((field, Value::Number(number as f64)));
        }
    }
    match fields.get("price") {
        None | Some(Json::Null) => {}
        Some(Json::Number(price)) => {
            let price = price.as_f64().filter(|price| *price >= 0.0);
            let price = price.ok_or_else(|| refused("price", "Must be 0 or more."))?;
            changes.push((room::PRICE, Value::Number(price)));
        }
        Some(_) => return Err(refused("price", "Must be a number.")),
    }
    if let Some(flag) = fields.flag("waiting_room")? {
        changes.push(("waitingRoom", Value::Bool(flag)));
    }
    for (name, field) in [("starts_at", "startsAt"), ("ends_at", "endsAt")] {
        let text = fields.text(name, 100)?;
        if let Some(text) = text {
            let date = DateTime::parse(text).ok_or_else(|| refused(name, "Must be a date."))?;
            changes.push((field, date.to_string().into()));
        } else if fields.get(name).is_some() {
            changes.push((field, "".into()));
        }
    }
    match fields.get("metadata") {
        None => {}
        Some(metadata @ (Json::Null | Json::Object(_))) => {
            let encoded = metadata.to_string();
            if encoded.len() > METADATA_BYTES_MAX {
                return Err(refused("metadata", "Must be no more than 64 KiB."));
            }
            changes.push(("metadata", Value::Json(encoded)));
        }
        Some(_) => return Err(refused("metadata", "Must be an object.")),
    }
    Ok(changes)
}

/// Names refused fields as clients of the routes send them.
fn as_sent(error: engine::Error) -> engine::Error {
    let engine::Error::Validation { message, fields } = error else {
        return error;
    };
    let mut sent = FieldErrors::new();
    for (name, field) in fields.leaves() {
        sent.add(&snake_case(name), field.clone());
    }
    engine::Error::validation(message, sent)
}

fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// The rooms that the caller may see, newest first.
#[utoipa::path(get, path = "/api/rooms", tag = "rooms",
    params(("type" = Option<String>, Query, description = "audio, video or data"),
        ("access" = Option<String>, Query, description = "public, private, invitation, cross_workspace or event"),
        ("mine" = Option<bool>, Query, description = "Those alone that the caller owns or is an active member of"),
        ("live" = Option<bool>, Query, description = "Those alone that somebody is in now"),
        ("page" = Option<u64>, Query, description = "From 1"), ("perPage" = Option<u64>, Query, description = "1 to 1000, default 30")),
    responses((status = 200, description = "rooms (each with participants, can_join, reason: inactive, banned, full, locked, pending, approval_required, payment_required, members_only or null), count, page, perPage, totalItems"),
        (status = 400, description = "A parameter is refused"), (status = 401, description = "Signing in is needed")))]
pub(super) async fn list_rooms(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    let actor = actor_of(&caller)?;
    let query = Query::of(&request);
    let paging = Paging::of(&query)?;
    let (page, per_page) = (u64::from(paging.page), u64::from(paging.per_page));
    let mut filter = filter_of(&query)?;
    if flag_of(&query, "mine")? {
        filter.push(format!("({MINE})"));
    }
    let is_live = flag_of(&query, "live")?;
    let params = ListParams {
        page,
        per_page,
        filter: filter.join(" && "),
        sort: "-created,-id".to_owned(),
        ..ListParams::default()
    };
    let (mut found, total_items) = if is_live {
        list_live(&rooms, &caller.info, &params).await?
    } else {
        list_all(&rooms, &caller.info, params).await?
    };
    rooms.describe(&actor, &mut found).await?;
    let schema = rooms.engine().schema();
    let mut link = Link::Pool(rooms.engine());
    let expand = caller.info.query("expand");
    let items = rooms
        .engine()
        .enrich(&mut link, &schema, found, &caller.info, expand);
    Ok(Page {
        name: "rooms",
        items: &items.await?,
        page,
        per_page,
        total_items,
    }
    .respond())
}

/// Conditions on the fields of rooms. Their values are those of the enumerations, which need no quoting.
fn filter_of(query: &Query<'_>) -> Result<Vec<String>, ApiError> {
    let mut filter = Vec::new();
    match query.text("type") {
        "" => {}
        name => {
            let kind = RoomType::parse(name)
                .ok_or_else(|| refused("type", "Must be audio, video or data."))?;
            filter.push(format!("roomType = '{}'", kind.as_str()));
        }
    }
    match query.text("access") {
        "" => {}
        name => {
            let kind = AccessType::parse(name)
                .ok_or_else(|| refused("access", "Must be a known access type."))?;
            filter.push(format!("accessType = '{}'", kind.as_str()));
        }
    }
    Ok(filter)
}

fn flag_of(query: &Query<'_>, name: &str) -> Result<bool, ApiError> {
    match query.text(name) {
        "" | "false" | "0" => Ok(false),
        "true" | "1" => Ok(true),
        _ => Err(refused(name, "Must be true or false.")),
    }
}

/// A page of the rooms that fit and that the list rule shows.
async fn list_all(
    rooms: &Rooms,
    request: &RequestInfo,
    mut params: ListParams,
) -> Result<(Vec<Record>, u64), ApiError> {
    let collection = rooms.engine().collection(ROOMS)?;
    if !request.is_superuser() {
        let rule = collection.list_rule.clone();
        let rule = rule.ok_or_else(|| ApiError::forbidden(""))?;
        if !rule.is_empty() {
            params.filter = match params.filter.as_str() {
                "" => rule,
                filter => format!("({rule}) && {filter}"),
            };
        }
    }
    let found = rooms
        .engine()
        .list_unruled(&collection, &params, Some(request));
    Ok(found.await?)
}

/// As [`list_all`], of the rooms that somebody is in now.
async fn list_live(
    rooms: &Rooms,
    request: &RequestInfo,
    params: &ListParams,
) -> Result<(Vec<Record>, u64), ApiError> {
    let engine = rooms.engine();
    let collection = engine.collection(ROOMS)?;
    let schema = engine.schema();
    let mut condition = Condition::Always;
    let rule = collection.list_rule.as_deref();
    let rule = match (request.is_superuser(), rule) {
        (true, _) => "",
        (false, Some(rule)) => rule,
        (false, None) => return Err(ApiError::forbidden("")),
    };
    for text in [rule, params.filter.as_str()] {
        if !text.is_empty() {
            let part = engine.condition(&schema, &collection, text, Some(request), true)?;
            condition = condition.and(part);
        }
    }
    let live = rooms.sessions().list();
    let ids: Vec<&str> = live
        .iter()
        .map(|(id, _)| id.as_str())
        .take(LIVE_MAX)
        .collect();
    let mut conn = engine.read().await?;
    let mut found = records::find_many(&mut conn, &collection, &ids, &condition)
        .await
        .map_err(engine::Error::from)?;
    found.sort_by(|a, b| (b.text("created"), b.id()).cmp(&(a.text("created"), a.id())));
    let total = found.len() as u64;
    let before = (params.page - 1).saturating_mul(params.per_page);
    let before = usize::try_from(before).unwrap_or(usize::MAX);
    let per_page = usize::try_from(params.per_page).unwrap_or(usize::MAX);
    let page = found.into_iter().skip(before).take(per_page);
    Ok((page.collect(), total))
}

/// A room.
#[utoipa::path(get, path = "/api/rooms/{roomId}", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    responses((status = 200, description = "The room with participants (how many are in now), can_join, reason"),
        (status = 401, description = "Signing in is needed"), (status = 404, description = "No such room, or it is not public and the caller no member")))]
pub(super) async fn view_room(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let engine = rooms.engine();
    limits.check_path(engine, &caller, &request)?;
    let actor = actor_of(&caller)?;
    let collection = engine.collection(ROOMS)?;
    let found = match actor {
        Actor::Superuser => {
            let mut conn = engine.read().await?;
            roster::find_room(engine, &mut conn, &path).await?
        }
        Actor::User(_) => {
            engine
                .find_viewable(&caller.info, &collection, &path)
                .await?
        }
    };
    let mut found = [found];
    rooms.describe(&actor, &mut found).await?;
    let [found] = found;
    let expand = caller.info.query("expand");
    let shown = engine.show(found, &caller.info, expand).await?;
    let mut out = Vec::with_capacity(1024);
    shown.write_json(&mut out);
    Ok(response::ok(out))
}

/// Changes a room. Absent keys keep their value.
#[utoipa::path(patch, path = "/api/rooms/{roomId}/settings", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    request_body(content = serde_json::Value, description = "The fields of `POST /api/rooms` but `room_type`, and `is_active`: what is not active ends its session"),
    responses((status = 200, description = "The room"), (status = 400, description = "A field is refused, or the room has more members than places"),
        (status = 401, description = "Signing in is needed"), (status = 403, description = "Anybody but the owner"),
        (status = 404, description = "No such room, or none of the caller's business")))]
pub(super) async fn change_room(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    let (actor, id) = (actor_of(&caller)?, path.into_inner());
    let fields = Fields::read(&request, payload).await?;
    let mut changes = changes_of(&rooms, &fields)?;
    for (name, field) in [
        ("is_public", room::IS_PUBLIC),
        ("is_active", room::IS_ACTIVE),
    ] {
        if let Some(flag) = fields.flag(name)? {
            changes.push((field, Value::Bool(flag)));
        }
    }
    let room = rooms
        .within(move |rooms, tx| {
            Box::pin(async move { rooms.change(tx, &actor, &id, changes).await })
        })
        .await
        .map_err(as_sent)?;
    let shown = rooms.engine().show(room, &caller.info, "").await?;
    let mut out = Vec::with_capacity(1024);
    shown.write_json(&mut out);
    Ok(response::ok(out))
}

/// Deletes a room with its members and messages, and ends its session.
#[utoipa::path(delete, path = "/api/rooms/{roomId}", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Anybody but the owner"), (status = 404, description = "No such room, or none of the caller's business")))]
pub(super) async fn delete_room(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    let (actor, id) = (actor_of(&caller)?, path.into_inner());
    rooms
        .within(move |rooms, tx| Box::pin(async move { rooms.delete(tx, &actor, &id).await }))
        .await?;
    Ok(response::ok_value(&json!({"success": true})))
}

/// Gives a room to another active member; the old owner stays as an admin.
#[utoipa::path(post, path = "/api/rooms/{roomId}/transfer-ownership", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    request_body(content = serde_json::Value, description = "`new_owner_id`"),
    responses((status = 200, description = "success, room"), (status = 400, description = "The new owner is no active member"),
        (status = 401, description = "Signing in is needed"), (status = 403, description = "Anybody but the owner"),
        (status = 404, description = "No such room, or none of the caller's business"), (status = 409, description = "Owns it already")))]
pub(super) async fn transfer_room(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    let (actor, id) = (actor_of(&caller)?, path.into_inner());
    let fields = Fields::read(&request, payload).await?;
    let to = fields.required_text("new_owner_id", 50)?.to_owned();
    let room = rooms
        .within(move |rooms, tx| {
            Box::pin(async move { rooms.transfer(tx, &actor, (&id, &to)).await })
        })
        .await?;
    let head = br#"{"success":true,"room":"#.to_vec();
    Ok(response::ok(
        with_record(&rooms, &caller, head, room).await?,
    ))
}
