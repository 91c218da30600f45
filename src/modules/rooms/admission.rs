//! Who may enter a room, and who may see it: asked by the live half of the module.

use super::Error;
use super::roster;
use super::service::{Actor, join_as};
use super::state::{JoinType, Status, room};
pub(crate) use super::state::{Permissions, Role};
use crate::http::Caller;
use crate::model::Record;
use crate::modules::{Ground, owner_of, within};

/// A caller who may be in a room's live session.
pub(crate) struct Admission {
    pub room: Record,
    pub role: Role,
    pub permissions: Permissions,
}

/// What a caller is to a room that they may see.
pub(crate) struct Sight {
    pub room: Record,
    /// The role of an active member; none for others who may see a public room, and for superusers.
    pub role: Option<Role>,
    pub permissions: Permissions,
    /// The owner, an admin, or a superuser.
    pub is_host: bool,
}

/// Lets a caller into the live session of a room: active members and, on a free public room, any user, who becomes a member.
/// Whether the session has a place is for it to say.
///
/// # Errors
/// [`Error::NotAUser`]; [`Error::NoRoom`] for strangers to a room that is not public, [`Error::NotAMember`] where joining
/// must be asked for; [`Error::Inactive`], [`Error::Banned`]; [`Error::Full`] where a new member has no place.
pub(crate) async fn admit(
    ground: &Ground,
    caller: &Caller,
    room_id: &str,
) -> Result<Admission, Error> {
    let engine = &ground.engine;
    let user = owner_of(&caller.info).ok_or(Error::NotAUser)?;
    let (room, member) = {
        let mut conn = engine.read().await?;
        let room = roster::find_room(engine, &mut conn, room_id).await?;
        let member = roster::find_member(engine, &mut conn, room_id, user).await?;
        (room, member)
    };
    let status = member
        .as_ref()
        .and_then(|row| Status::at(row, engine.now()));
    let is_public = roster::is_public(&room);
    match status {
        Some(Status::Active | Status::Banned) => {}
        _ if !is_public => return Err(Error::NoRoom),
        _ => {}
    }
    if !room.flag(room::IS_ACTIVE) {
        return Err(Error::Inactive);
    }
    let member = match (status, member) {
        (Some(Status::Active), Some(member)) => member,
        (Some(Status::Banned), _) => return Err(Error::Banned),
        _ if JoinType::of(&room) == JoinType::Free => become_member(ground, user, room_id).await?,
        _ => return Err(Error::NotAMember),
    };
    Ok(Admission {
        role: Role::of(&member),
        permissions: Permissions::of(&member),
        room,
    })
}

/// Makes a user a member of a free public room, unless they became one meanwhile.
async fn become_member(ground: &Ground, user: &str, room_id: &str) -> Result<Record, Error> {
    let (engine, user, room_id) = (ground.engine.clone(), user.to_owned(), room_id.to_owned());
    let joined = within(&ground.engine, None, move |tx| {
        Box::pin(async move {
            let active = roster::find_active(&engine, tx, &room_id, &user).await?;
            if let Some(member) = active {
                return Ok(member);
            }
            let room = roster::find_room(&engine, tx, &room_id).await?;
            // It may have changed since it was looked at.
            if !roster::is_public(&room) {
                return Err(Error::NoRoom);
            }
            if JoinType::of(&room) != JoinType::Free {
                return Err(Error::NotAMember);
            }
            join_as(&engine, tx, &user, &room).await
        })
    });
    Ok(joined.await?)
}

/// What a caller is to a room: members see it with its messages (`role`), others a public room alone. Superusers see all.
///
/// # Errors
/// [`Error::NoRoom`] for those who may not see it; [`Error::NotAUser`].
pub(crate) async fn view(ground: &Ground, caller: &Caller, room_id: &str) -> Result<Sight, Error> {
    let engine = &ground.engine;
    let actor = Actor::of(&caller.info)?;
    let mut conn = engine.read().await?;
    let room = roster::find_room(engine, &mut conn, room_id).await?;
    let member = match &actor {
        Actor::Superuser => {
            return Ok(Sight {
                room,
                role: None,
                permissions: Permissions::default(),
                is_host: true,
            });
        }
        Actor::User(user) => roster::find_active(engine, &mut conn, room_id, user).await?,
    };
    if member.is_none() && !roster::is_public(&room) {
        return Err(Error::NoRoom);
    }
    let role = member.as_ref().map(Role::of);
    Ok(Sight {
        permissions: member.as_ref().map(Permissions::of).unwrap_or_default(),
        is_host: role.is_some_and(Role::is_host),
        role,
        room,
    })
}
