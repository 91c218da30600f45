//! Looking up rooms and their members.

use super::state::{ROOM, Role, Status, USER, room};
use super::{Error, MEMBERS, ROOMS};
use crate::engine::records::RecordQuery;
use crate::engine::{self, Engine, Link};
use crate::filter::{Param, Params};
use crate::model::Record;
use crate::modules::rooms::state::AccessType;
use crate::store::search::Condition;
use crate::store::{Conn, Tx, records};

/// Who has a place: active members, and those whose payment is waited for.
pub(super) const HAS_PLACE: &str = "((status = 'active' && (expiresAt = '' || expiresAt > {:now})) \
    || (status = 'pending' && paidAmount > 0 && paidAt = '' && expiresAt > {:now}))";
const HOSTS: &str = "room = {:room} && role != 'participant' && status = 'active' && (expiresAt = '' || expiresAt > {:now})";
const HEIRS: &str = "room = {:room} && role = 'admin' && status = 'active' && (expiresAt = '' || expiresAt > {:now})";

/// How somebody stands to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The owner, or a superuser.
    Owner,
    Admin,
    /// An active member without an office.
    Participant,
    /// Anybody else.
    Stranger,
}

/// The room of an id.
///
/// # Errors
/// [`Error::NoRoom`].
pub(super) async fn find_room(engine: &Engine, conn: &mut Conn, id: &str) -> Result<Record, Error> {
    let rooms = engine.collection(ROOMS)?;
    let found = records::find(conn, &rooms, id, &Condition::Always).await?;
    found.ok_or(Error::NoRoom)
}

/// A user's row of a room, whatever it says.
pub(super) async fn find_member(
    engine: &Engine,
    conn: &mut Conn,
    room: &str,
    user: &str,
) -> Result<Option<Record>, Error> {
    let members = engine.collection(MEMBERS)?;
    let pair = [(ROOM, room.into()), (USER, user.into())];
    let found = records::find_all_by_fields(conn, &members, &pair).await?;
    Ok(found.into_iter().next())
}

/// A user's row of a room, if it is active now.
pub(super) async fn find_active(
    engine: &Engine,
    conn: &mut Conn,
    room: &str,
    user: &str,
) -> Result<Option<Record>, Error> {
    let found = find_member(engine, conn, room, user).await?;
    let now = engine.now();
    Ok(found.filter(|row| Status::at(row, now) == Some(Status::Active)))
}

/// How a user stands to a room.
pub(super) async fn standing(
    engine: &Engine,
    conn: &mut Conn,
    room: &Record,
    user: &str,
) -> Result<Standing, Error> {
    if !user.is_empty() && room.text(room::OWNER) == user {
        return Ok(Standing::Owner);
    }
    let row = find_active(engine, conn, room.id(), user).await?;
    Ok(match row.as_ref().map(Role::of) {
        Some(Role::Owner | Role::Admin) => Standing::Admin,
        Some(Role::Participant) => Standing::Participant,
        None => Standing::Stranger,
    })
}

/// Whether anybody who is signed in may see a room.
pub(super) fn is_public(room: &Record) -> bool {
    AccessType::of(room) == AccessType::Public
}

/// How many places of a room are taken by others than one row.
pub(super) async fn places_taken(
    engine: &Engine,
    tx: &mut Tx,
    room: &str,
    but: &str,
) -> Result<u64, engine::Error> {
    let members = engine.collection(MEMBERS)?;
    let params = params(engine, [("room", room), ("but", but)]);
    let filter = format!("room = {{:room}} && id != {{:but}} && {HAS_PLACE}");
    let mut link = Link::Tx(tx);
    engine
        .count_records(&mut link, &members, &filter, params)
        .await
}

/// The ids of a room's owner and admins, the owner's first among equals.
pub(super) async fn hosts(
    engine: &Engine,
    tx: &mut Tx,
    room: &str,
) -> Result<Vec<String>, engine::Error> {
    let members = engine.collection(MEMBERS)?;
    let query = RecordQuery {
        filter: HOSTS,
        params: params(engine, [("room", room)]),
        sort: "joinedAt,id",
        ..RecordQuery::default()
    };
    let mut link = Link::Tx(tx);
    let found = engine.find_by_filter(&mut link, &members, &query).await?;
    Ok(found.iter().map(|row| row.text(USER).to_owned()).collect())
}

/// Who inherits a room: its oldest admin.
pub(super) async fn heir(
    engine: &Engine,
    tx: &mut Tx,
    room: &str,
) -> Result<Option<String>, engine::Error> {
    let members = engine.collection(MEMBERS)?;
    let query = RecordQuery {
        filter: HEIRS,
        params: params(engine, [("room", room)]),
        sort: "joinedAt,created,id",
        limit: 1,
        offset: 0,
    };
    let mut link = Link::Tx(tx);
    let found = engine.find_by_filter(&mut link, &members, &query).await?;
    Ok(found.first().map(|row| row.text(USER).to_owned()))
}

/// Texts for a filter, with the present moment as `now`.
pub(super) fn params<const N: usize>(engine: &Engine, texts: [(&str, &str); N]) -> Params {
    let now = engine.now().to_string();
    let texts = texts.into_iter().chain([("now", now.as_str())]);
    texts
        .map(|(name, text)| (name.to_owned(), Param::Text(text.to_owned())))
        .collect()
}
