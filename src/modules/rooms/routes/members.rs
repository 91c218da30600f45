//! Joining, leaving, and what hosts decide about members.

use actix_web::web::{self, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::{actor_of, resource, user_of};
use crate::engine::Link;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, Caller, Paging, Query, json as response};
use crate::modules::input::{Fields, refused};
use crate::modules::page::Page;
use crate::modules::rooms::listing::disclose;
use crate::modules::rooms::roster::{self, Standing};
use crate::modules::rooms::service::{Actor, Decision};
use crate::modules::rooms::state::{Permissions, ROLE, ROOM, STATUS, Status, USER};
use crate::modules::rooms::{Error, Rooms};

const TOKEN_CHARS_MAX: usize = 500;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/rooms/{room_id}/join-request").route(web::post().to(request_join)))
        .service(resource("/rooms/{room_id}/leave").route(web::post().to(leave_room)))
        .service(resource("/rooms/{room_id}/members").route(web::get().to(list_members)))
        .service(resource("/user/rooms").route(web::get().to(list_own)))
        .service(resource("/room-members/{member_id}").route(web::patch().to(permit_member)))
        .service(
            resource("/room-members/{member_id}/approve").route(web::post().to(approve_member)),
        )
        .service(resource("/room-members/{member_id}/reject").route(web::post().to(reject_member)))
        .service(resource("/room-members/{member_id}/ban").route(web::post().to(ban_member)))
        .service(resource("/room-members/{member_id}/unban").route(web::post().to(unban_member)))
        .service(
            resource("/room-members/{member_id}/promote").route(web::post().to(promote_member)),
        )
        .service(resource("/room-members/{member_id}/demote").route(web::post().to(demote_member)));
}

/// Becomes a member of a room, or asks for it.
#[utoipa::path(post, path = "/api/rooms/{roomId}/join-request", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    request_body(content = serde_json::Value, description = "`invite` and `ticket`, where the room asks for one"),
    responses((status = 200, description = "success, member_id, status: active, or pending where an answer or a payment is waited for"),
        (status = 400, description = "A member already, or paid rooms are not available"),
        (status = 401, description = "Signing in is needed"), (status = 402, description = "The caller's balance is too small"),
        (status = 403, description = "The room is not active or full, or has banned the caller"),
        (status = 404, description = "No such room, or it is not public")))]
pub(super) async fn request_join(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    let (user, id) = (user_of(&caller)?, path.into_inner());
    let fields = Fields::read(&request, payload).await?;
    for name in ["invite", "ticket"] {
        fields.text(name, TOKEN_CHARS_MAX)?;
    }
    let row = rooms
        .within(move |rooms, tx| Box::pin(async move { rooms.join(tx, &user, &id).await }))
        .await?;
    Ok(response::ok_value(
        &json!({"success": true, "member_id": row.id(), "status": row.text(STATUS)}),
    ))
}

/// Ends the caller's membership of a room, or takes the request back. Nothing is paid back.
#[utoipa::path(post, path = "/api/rooms/{roomId}/leave", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "The owner, somebody who is banned, or no member"), (status = 404, description = "No such room, or it is not public")))]
pub(super) async fn leave_room(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    let (user, id) = (user_of(&caller)?, path.into_inner());
    Fields::read(&request, payload).await?;
    rooms
        .within(move |rooms, tx| Box::pin(async move { rooms.leave(tx, &user, &id).await }))
        .await?;
    Ok(response::ok_value(&json!({"success": true})))
}

/// The members of a room, for its members; those who came first, first.
#[utoipa::path(get, path = "/api/rooms/{roomId}/members", tag = "rooms",
    params(("roomId" = String, Path, description = "Id of the room"),
        ("status" = Option<String>, Query, description = "active (default); pending, rejected, expired and banned for the owner and admins"),
        ("page" = Option<u64>, Query, description = "From 1"), ("perPage" = Option<u64>, Query, description = "1 to 1000, default 30")),
    responses((status = 200, description = "members (user expanded), count, page, perPage, totalItems; amounts, expiry and permissions in the caller's own row and for the owner and admins alone"),
        (status = 400, description = "No such status"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Not for the caller to see"), (status = 404, description = "No such room, or it is not public")))]
pub(super) async fn list_members(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let engine = rooms.engine();
    limits.check_path(engine, &caller, &request)?;
    let actor = actor_of(&caller)?;
    let query = Query::of(&request);
    let paging = Paging::of(&query)?;
    let status = status_of(&query)?;
    let standing = {
        let mut conn = engine.read().await?;
        let room = roster::find_room(engine, &mut conn, &path).await?;
        match rooms.standing(&mut conn, &actor, &room).await? {
            Standing::Stranger if !roster::is_public(&room) => return Err(Error::NoRoom.into()),
            standing => standing,
        }
    };
    let is_host = matches!(standing, Standing::Owner | Standing::Admin);
    if standing == Standing::Stranger || (status != Status::Active && !is_host) {
        return Err(Error::NotAllowed.into());
    }
    let pages = (u64::from(paging.page), u64::from(paging.per_page));
    let (mut rows, total_items) = rooms.members((ROOM, &path), status, pages).await?;
    for row in &mut rows {
        let is_own = matches!(&actor, Actor::User(user) if user == row.text(USER));
        disclose(row, is_host || is_own);
    }
    let schema = engine.schema();
    let mut link = Link::Pool(engine);
    let items = engine.enrich(&mut link, &schema, rows, &caller.info, USER);
    Ok(Page {
        name: "members",
        items: &items.await?,
        page: pages.0,
        per_page: pages.1,
        total_items,
    }
    .respond())
}

fn status_of(query: &Query<'_>) -> Result<Status, ApiError> {
    match query.text("status") {
        "" => Ok(Status::Active),
        name => Status::parse(name).ok_or_else(|| refused("status", "Must be a known status.")),
    }
}

/// The caller's memberships with their rooms.
#[utoipa::path(get, path = "/api/user/rooms", tag = "rooms",
    params(("status" = Option<String>, Query, description = "active (default), pending, rejected, expired or banned"),
        ("page" = Option<u64>, Query, description = "From 1"), ("perPage" = Option<u64>, Query, description = "1 to 1000, default 30")),
    responses((status = 200, description = "rooms: member and room (null where the caller may not see it), count, page, perPage, totalItems"),
        (status = 400, description = "No such status"), (status = 401, description = "Signing in is needed")))]
pub(super) async fn list_own(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let engine = rooms.engine();
    limits.check_path(engine, &caller, &request)?;
    let user = user_of(&caller)?;
    let query = Query::of(&request);
    let paging = Paging::of(&query)?;
    let status = status_of(&query)?;
    let pages = (u64::from(paging.page), u64::from(paging.per_page));
    let (mut rows, total_items) = rooms.members((USER, &user), status, pages).await?;
    for row in &mut rows {
        disclose(row, true);
    }
    let found = rooms.visible(&caller.info, &rows).await?;
    let schema = engine.schema();
    let mut link = Link::Pool(engine);
    let members = engine.enrich(&mut link, &schema, rows, &caller.info, "");
    let members = members.await?;
    let found = engine.enrich(&mut link, &schema, found, &caller.info, "");
    let found = found.await?;
    let mut out = br#"{"rooms":["#.to_vec();
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(br#"{"member":"#);
        member.write_json(&mut out);
        out.extend_from_slice(br#","room":"#);
        let id = member.record.text(ROOM);
        match found.iter().find(|room| room.record.id() == id) {
            Some(room) => room.write_json(&mut out),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
    }
    let rest = format!(
        r#"],"count":{},"page":{},"perPage":{},"totalItems":{total_items}}}"#,
        members.len(),
        pages.0,
        pages.1
    );
    out.extend_from_slice(rest.as_bytes());
    Ok(response::ok(out))
}

/// Changes what a member may do in the live session.
#[utoipa::path(patch, path = "/api/room-members/{memberId}", tag = "rooms",
    params(("memberId" = String, Path, description = "Id of the membership")),
    request_body(content = serde_json::Value, description = "`permissions`: `speak`, `video`, `screen`, `chat`, `invite`; what is absent stays"),
    responses((status = 200, description = "success, member_id, permissions"), (status = 400, description = "A permission is no truth value"),
        (status = 401, description = "Signing in is needed"), (status = 403, description = "Not for the caller to change"),
        (status = 404, description = "No such membership, or none of the caller's business")))]
pub(super) async fn permit_member(
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
    let changes = permissions_of(&fields)?;
    let row = rooms
        .within(move |rooms, tx| {
            Box::pin(async move { rooms.permit(tx, &actor, &id, &changes).await })
        })
        .await?;
    let permissions = Permissions::of(&row).to_json();
    Ok(response::ok_value(
        &json!({"success": true, "member_id": row.id(), "permissions": permissions}),
    ))
}

/// What a body says of permissions.
fn permissions_of(fields: &Fields) -> Result<Vec<(&'static str, bool)>, ApiError> {
    let sent = match fields.get("permissions") {
        Some(serde_json::Value::Object(sent)) => sent,
        None | Some(serde_json::Value::Null) => return Ok(Vec::new()),
        Some(_) => return Err(refused("permissions", "Must be an object.")),
    };
    let mut changes = Vec::new();
    for name in Permissions::NAMES {
        match sent.get(name) {
            None | Some(serde_json::Value::Null) => {}
            Some(serde_json::Value::Bool(may)) => changes.push((name, *may)),
            Some(_) => return Err(refused("permissions", "Must hold true or false.")),
        }
    }
    Ok(changes)
}

async fn decide(
    rooms: &Rooms,
    caller: &Caller,
    id: String,
    decision: Decision,
    (request, payload): (&HttpRequest, Payload),
) -> Result<HttpResponse, ApiError> {
    let actor = actor_of(caller)?;
    Fields::read(request, payload).await?;
    let row = rooms
        .within(move |rooms, tx| {
            Box::pin(async move { rooms.decide(tx, &actor, &id, decision).await })
        })
        .await?;
    Ok(response::ok_value(
        &json!({"success": true, "member_id": row.id(),
        "status": row.text(STATUS), "role": row.text(ROLE)}),
    ))
}

/// Lets somebody in who has asked.
#[utoipa::path(post, path = "/api/room-members/{memberId}/approve", tag = "rooms",
    params(("memberId" = String, Path, description = "Id of the membership")),
    responses((status = 200, description = "success, member_id, status, role"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Anybody but the owner and admins; or the room is full"), (status = 404, description = "No such membership, or none of the caller's business"),
        (status = 409, description = "It is not pending, or waits for its payment")))]
pub(super) async fn approve_member(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    let body = (&request, payload);
    decide(&rooms, &caller, path.into_inner(), Decision::Approve, body).await
}

/// Refuses somebody who has asked, and may ask again.
#[utoipa::path(post, path = "/api/room-members/{memberId}/reject", tag = "rooms",
    params(("memberId" = String, Path, description = "Id of the membership")),
    responses((status = 200, description = "success, member_id, status, role"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Anybody but the owner and admins"), (status = 404, description = "No such membership, or none of the caller's business"),
        (status = 409, description = "It is not pending, or waits for its payment")))]
pub(super) async fn reject_member(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    let body = (&request, payload);
    decide(&rooms, &caller, path.into_inner(), Decision::Reject, body).await
}

/// Bans a member, who leaves the live session at once and cannot ask again.
#[utoipa::path(post, path = "/api/room-members/{memberId}/ban", tag = "rooms",
    params(("memberId" = String, Path, description = "Id of the membership")),
    responses((status = 200, description = "success, member_id, status, role"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Anybody but the owner and admins; the owner is not banned, an admin not by an admin"), (status = 404, description = "No such membership, or none of the caller's business"),
        (status = 409, description = "It is banned already")))]
pub(super) async fn ban_member(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    let body = (&request, payload);
    decide(&rooms, &caller, path.into_inner(), Decision::Ban, body).await
}

/// Ends a ban: what the member was before.
#[utoipa::path(post, path = "/api/room-members/{memberId}/unban", tag = "rooms",
    params(("memberId" = String, Path, description = "Id of the membership")),
    responses((status = 200, description = "success, member_id, status, role"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Anybody but the owner and admins; or the room is full"), (status = 404, description = "No such membership, or none of the caller's business"),
        (status = 409, description = "It is not banned")))]
pub(super) async fn unban_member(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    let body = (&request, payload);
    decide(&rooms, &caller, path.into_inner(), Decision::Unban, body).await
}

/// Makes a member an admin.
#[utoipa::path(post, path = "/api/room-members/{memberId}/promote", tag = "rooms",
    params(("memberId" = String, Path, description = "Id of the membership")),
    responses((status = 200, description = "success, member_id, status, role"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Anybody but the owner"), (status = 404, description = "No such membership, or none of the caller's business"),
        (status = 409, description = "It is not active, or an admin already")))]
pub(super) async fn promote_member(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    let body = (&request, payload);
    decide(&rooms, &caller, path.into_inner(), Decision::Promote, body).await
}

/// Makes an admin a participant.
#[utoipa::path(post, path = "/api/room-members/{memberId}/demote", tag = "rooms",
    params(("memberId" = String, Path, description = "Id of the membership")),
    responses((status = 200, description = "success, member_id, status, role"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Anybody but the owner"), (status = 404, description = "No such membership, or none of the caller's business"),
        (status = 409, description = "It is no admin")))]
pub(super) async fn demote_member(
    rooms: Data<Rooms>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(rooms.engine(), &caller, &request)?;
    let body = (&request, payload);
    decide(&rooms, &caller, path.into_inner(), Decision::Demote, body).await
}
