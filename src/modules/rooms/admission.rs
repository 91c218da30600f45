//! Who may enter a room, and who may see it: asked by the live half of the module.

use super::Error;
pub(crate) use super::state::{Permissions, Role};
use crate::http::Caller;
use crate::model::Record;
use crate::modules::Ground;

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
/// [`Error::NoRoom`] for strangers to a room that is not public, [`Error::NotAMember`] where joining must be asked for,
/// [`Error::Inactive`], [`Error::Banned`]; [`Error::Full`] where a new member has no place.
pub(crate) async fn admit(
    _ground: &Ground,
    _caller: &Caller,
    _room_id: &str,
) -> Result<Admission, Error> {
    Err(Error::NoRoom)
}

/// What a caller is to a room: members see it with its messages (`role`), others a public room alone.
///
/// # Errors
/// [`Error::NoRoom`] for those who may not see it.
pub(crate) async fn view(
    _ground: &Ground,
    _caller: &Caller,
    _room_id: &str,
) -> Result<Sight, Error> {
    Err(Error::NoRoom)
}
