//! Room tokens: JWT with `type: "room"`, signed with a key of their own. Each opens the media, message and WebSocket routes
//! of one room and nothing else: no record has such a token, so that it signs nobody in.

use super::error::Error;
use super::people::Subject;
use super::registry::LiveRooms;
use crate::base::token::{self, Claims};
use crate::engine;

/// Where the key is kept.
const KEY: &str = "rotundaRoomTokens";
const TYPE: &str = "room";

/// What a room token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoomClaims {
    pub(crate) room: String,
    pub(crate) subject: Subject,
    pub(crate) name: String,
}

impl LiveRooms {
    /// A token for one room and one person, for `lifetime_s` seconds.
    ///
    /// # Errors
    /// Those of the database, where the key is read for the first time.
    #[expect(dead_code, reason = "minted by the signalling protocols for guests")]
    pub(crate) async fn mint(&self, claims: &RoomClaims, lifetime_s: i64) -> Result<String, Error> {
        let key = self.key().await?;
        let now = self.parts.ground.engine.now();
        let token = token::sign(claims.to_claims(), key, now, lifetime_s);
        let failed = |cause| engine::Error::internal("failed to sign a room token", cause);
        Ok(token.map_err(failed)?)
    }

    /// What a token says; `None` if it is none of a room, or not valid any more.
    ///
    /// # Errors
    /// Those of the database, where the key is read for the first time.
    pub(crate) async fn verify(&self, token: &str) -> Result<Option<RoomClaims>, Error> {
        let is_of_room = |claims: &Claims| claims.get("type").is_some_and(|kind| kind == TYPE);
        if !token::peek_unverified(token).is_some_and(|claims| is_of_room(&claims)) {
            return Ok(None);
        }
        let key = self.key().await?;
        let claims = token::verify(token, key, self.parts.ground.engine.now());
        Ok(claims.ok().and_then(|claims| RoomClaims::of(&claims)))
    }

    async fn key(&self) -> Result<&str, Error> {
        let engine = &self.parts.ground.engine;
        let key = self.parts.key.get_or_try_init(|| engine.kept_secret(KEY));
        Ok(key.await?)
    }
}

impl RoomClaims {
    fn to_claims(&self) -> Claims {
        let (name, id) = match &self.subject {
            Subject::User(id) => ("user_id", id),
            Subject::Guest(id) => ("guest_id", id),
        };
        Claims::from_iter([
            ("type".to_owned(), TYPE.into()),
            ("room_id".to_owned(), self.room.as_str().into()),
            (name.to_owned(), id.as_str().into()),
            ("name".to_owned(), self.name.as_str().into()),
        ])
    }

    fn of(claims: &Claims) -> Option<Self> {
        let text = |name: &str| Some(claims.get(name)?.as_str()?.to_owned());
        let guest = text("guest_id").map(Subject::Guest);
        // Tokens end.
        claims.get("exp")?.as_i64()?;
        Some(Self {
            room: text("room_id")?,
            subject: guest.or_else(|| text("user_id").map(Subject::User))?,
            name: text("name")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_go_out_and_come_back() {
        for subject in [
            Subject::User("u".to_owned()),
            Subject::Guest("g".to_owned()),
        ] {
            let said = RoomClaims {
                room: "r".to_owned(),
                subject,
                name: "Ann".to_owned(),
            };
            let mut claims = said.to_claims();
            assert_eq!(claims["type"], "room");
            assert_eq!(RoomClaims::of(&claims), None);
            claims.insert("exp".to_owned(), 5.into());
            assert_eq!(RoomClaims::of(&claims), Some(said));
        }
    }
}
