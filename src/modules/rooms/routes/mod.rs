//! The routes of rooms and their members.

mod members;
mod rooms;

use actix_web::Resource;
use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

use super::service::Actor;
use super::{Error, Rooms};
use crate::http::{ApiError, BodyLimit, Caller, ModuleRoute};
use crate::model::Record;
use crate::modules::owner_of;

/// Room for the fields of a room, its metadata among them.
const BODY_BYTES_MAX: u64 = 128 << 10;

#[derive(OpenApi)]
#[openapi(paths(
    rooms::create_room,
    rooms::create_room_whole,
    rooms::list_rooms,
    rooms::view_room,
    rooms::change_room,
    rooms::delete_room,
    rooms::transfer_room,
    members::request_join,
    members::leave_room,
    members::list_members,
    members::list_own,
    members::permit_member,
    members::approve_member,
    members::reject_member,
    members::ban_member,
    members::unban_member,
    members::promote_member,
    members::demote_member,
))]
struct Description;

pub(super) fn description() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

pub(super) fn configure(config: &mut ServiceConfig) {
    rooms::configure(config);
    members::configure(config);
}

fn resource(path: &str) -> Resource {
    web::resource(path)
        .app_data(ModuleRoute)
        .app_data(BodyLimit(BODY_BYTES_MAX))
}

/// The one who calls.
fn actor_of(caller: &Caller) -> Result<Actor, ApiError> {
    caller.require_auth()?;
    Ok(Actor::of(&caller.info)?)
}

/// The id of the user who calls.
fn user_of(caller: &Caller) -> Result<String, ApiError> {
    caller.require_auth()?;
    Ok(owner_of(&caller.info).ok_or(Error::NotAUser)?.to_owned())
}

/// An answer with a record in it: `head` is the beginning of a JSON object, such as `{"success":true,"room":`.
async fn with_record(
    rooms: &Rooms,
    caller: &Caller,
    mut head: Vec<u8>,
    record: Record,
) -> Result<Vec<u8>, ApiError> {
    let shown = rooms.engine().show(record, &caller.info, "").await?;
    shown.write_json(&mut head);
    head.push(b'}');
    Ok(head)
}
