//! What users are told of rooms, and what the topic `room_events` is told.

use serde_json::{Value as Json, json};

use crate::engine;
use crate::live::{Live, Notification, Publication};
use crate::model::Record;
use crate::store::Tx;

/// The topic of all that happens in rooms, for superusers and scripts.
const TOPIC: &str = "room_events";

/// Tells a user, once the transaction is committed. The message is the room's name.
pub(super) async fn notify(
    live: &Live,
    tx: &mut Tx,
    user: &str,
    kind: &str,
    room: &Record,
    data: &Json,
) -> Result<(), engine::Error> {
    let title = match kind {
        "join_request" => "Someone asks to join your room",
        "room_join_approved" => "Your request to join was approved",
        "room_join_rejected" => "Your request to join was rejected",
        "promoted_to_room_admin" => "You are an admin of a room",
        "demoted_from_room_admin" => "You are no admin of a room any more",
        "room_banned" => "You are banned from a room",
        "room_ownership_transferred" => "You own a room",
        "room_membership_expired" => "Your membership of a room has expired",
        "room_invitation" => "You are invited to a room",
        _ => "",
    };
    let notification = Notification {
        user,
        kind,
        title,
        message: room.text(super::state::room::NAME),
        data,
    };
    live.notify(tx, notification).await?;
    Ok(())
}

/// As [`notify`], with the room's id as data.
pub(super) async fn notify_of_room(
    live: &Live,
    tx: &mut Tx,
    user: &str,
    kind: &str,
    room: &Record,
) -> Result<(), engine::Error> {
    let data = json!({"room_id": room.id()});
    notify(live, tx, user, kind, room, &data).await
}

/// Tells the topic, once the transaction is committed; `user` is whom it is about, or empty.
pub(super) fn publish(
    live: &Live,
    tx: &mut Tx,
    kind: &str,
    room: &str,
    user: &str,
) -> Result<(), engine::Error> {
    let mut payload = json!({"type": kind, "room_id": room});
    if !user.is_empty() {
        payload["user_id"] = user.into();
    }
    let publication = Publication::new(TOPIC, &payload)?;
    live.publish_after_commit(tx, publication);
    Ok(())
}
