//! Who calls a route of a live room, and what they may do there.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;

use super::error::Error;
use super::people::{Entrant, Subject};
use super::registry::{LiveRooms, Reach};
use super::token::RoomClaims;
use crate::base::code::AUTH_REQUIRED;
use crate::http::caller::bare_token;
use crate::http::{ApiError, Caller, Query};
use crate::model::Record;
use crate::modules::owner_of;
use crate::modules::rooms::{self, Permissions, Role, admit, view};
use crate::sfu::PeerId;

/// What a caller is to a room that they know of.
pub(super) struct Visitor {
    pub(super) room: Record,
    /// A user or guest; none for superusers.
    pub(super) subject: Option<Subject>,
    pub(super) name: String,
    /// An active member, or somebody with a token of the room.
    pub(super) belongs: bool,
    pub(super) is_host: bool,
    pub(super) permissions: Permissions,
}

impl Visitor {
    /// # Errors
    /// [`Error::NotAllowed`] for everyone but owner, admins and superusers.
    pub(super) fn require_host(&self) -> Result<(), Error> {
        self.is_host.then_some(()).ok_or(Error::NotAllowed)
    }

    /// # Errors
    /// [`rooms::Error::NotAMember`] for those who may see the room and are none.
    pub(super) fn require_member(&self) -> Result<(), Error> {
        let is_inside = self.belongs || self.is_host;
        is_inside
            .then_some(())
            .ok_or_else(|| rooms::Error::NotAMember.into())
    }
}

impl LiveRooms {
    /// What a caller is to a room.
    ///
    /// # Errors
    /// 401 for callers without a token, 404 for those who may not know of the room.
    pub(super) async fn visit(
        &self,
        caller: &Caller,
        request: &HttpRequest,
        room: &str,
    ) -> Result<Visitor, ApiError> {
        let ground = &self.parts.ground;
        if caller.auth().is_none() {
            let claims = self.claims(request, room).await?;
            let room = self.find(room).await?;
            return Ok(Visitor {
                room,
                subject: Some(claims.subject),
                name: claims.name,
                belongs: true,
                is_host: false,
                permissions: Permissions::default(),
            });
        }
        let sight = view(ground, caller, room).await?;
        let user = owner_of(&caller.info);
        Ok(Visitor {
            room: sight.room,
            subject: user.map(|id| Subject::User(id.to_owned())),
            name: name_of(caller),
            belongs: sight.role.is_some(),
            is_host: sight.is_host,
            permissions: sight.permissions,
        })
    }

    /// The room that a caller may enter, and as who.
    ///
    /// # Errors
    /// 401 for callers without a token; what admission refuses.
    pub(super) async fn entrant(
        &self,
        caller: &Caller,
        request: &HttpRequest,
        room: &str,
    ) -> Result<(Record, Entrant), ApiError> {
        if caller.auth().is_none() {
            let claims = self.claims(request, room).await?;
            let room = self.find(room).await?;
            if !room.flag("isActive") {
                return Err(rooms::Error::Inactive.into());
            }
            let entrant = Entrant {
                subject: claims.subject,
                name: claims.name,
                role: Role::Participant,
                permissions: Permissions::default(),
            };
            return Ok((room, entrant));
        }
        let admission = admit(&self.parts.ground, caller, room).await?;
        let user = owner_of(&caller.info).ok_or(rooms::Error::NotAUser)?;
        let entrant = Entrant {
            subject: Subject::User(user.to_owned()),
            name: name_of(caller),
            role: admission.role,
            permissions: admission.permissions,
        };
        Ok((admission.room, entrant))
    }

    /// The live room of a participant that is the caller's own. Asks the database only to find out what to refuse with.
    ///
    /// # Errors
    /// 401, 404 for strangers and where there is no such participant, 403 for somebody else's.
    pub(super) async fn own(
        &self,
        caller: &Caller,
        request: &HttpRequest,
        room: &str,
        participant: &PeerId,
    ) -> Result<Reach, ApiError> {
        let subject = match owner_of(&caller.info) {
            Some(user) => Some(Subject::User(user.to_owned())),
            None if caller.auth().is_some() => None,
            None => Some(self.claims(request, room).await?.subject),
        };
        let reach = self.reach(room);
        let owner = reach.as_ref().and_then(|reach| {
            let people = reach.shared.people();
            people
                .get(participant)
                .map(|person| person.who.subject.clone())
        });
        match (reach, owner) {
            (Some(reach), Some(owner)) if Some(&owner) == subject.as_ref() => Ok(reach),
            (_, owner) => {
                self.visit(caller, request, room).await?;
                Err(match owner {
                    Some(_) => Error::NotYours.into(),
                    None => Error::NoParticipant.into(),
                })
            }
        }
    }

    /// What the caller's room token says of this room.
    async fn claims(&self, request: &HttpRequest, room: &str) -> Result<RoomClaims, ApiError> {
        let header = request.headers().get(AUTHORIZATION);
        let header = header.and_then(|value| value.to_str().ok());
        let query = Query::of(request);
        let token = match bare_token(header.unwrap_or_default()) {
            "" => query.text("token"),
            token => token,
        };
        let claims = self.verify(token).await?;
        let claims = claims.filter(|claims| claims.room == room);
        claims.ok_or_else(|| ApiError::unauthorized(AUTH_REQUIRED))
    }

    async fn find(&self, room: &str) -> Result<Record, ApiError> {
        let engine = &self.parts.ground.engine;
        let rooms = engine.collection("rooms")?;
        let found = engine.find_record(&rooms, room).await?;
        found.ok_or_else(|| rooms::Error::NoRoom.into())
    }
}

/// As others in the room know the caller; never an address.
fn name_of(caller: &Caller) -> String {
    let Some(auth) = caller.auth() else {
        return String::new();
    };
    let names = ["name", "username"].map(|field| auth.text(field).trim());
    let name = names.into_iter().find(|name| !name.is_empty());
    name.unwrap_or_default().to_owned()
}
