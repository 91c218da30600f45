//! Rooms and their members: what can be done to them.

use futures_util::future::BoxFuture;
use serde_json::{Map, Value as Json};

use super::live::LiveRooms;
use super::roster::{self, Standing};
use super::state::{
    APPROVED_BY, CHARGE, PERMISSIONS, ROOM, Role, Status, USER, has_run_out, is_due, is_unpaid,
    owes, room, set_role, set_status,
};
use super::till::Till;
use super::{Error, MEMBERS, ROOMS};
use crate::engine::{self, Engine, Link, RequestInfo};
use crate::live::Live;
use crate::model::{Record, Value};
use crate::modules::expiry::Expiry;
use crate::modules::{owner_of, within};
use crate::store::search::Condition;
use crate::store::{Conn, Tx, records};

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Actor {
    Superuser,
    /// The id of a record of `users`.
    User(String),
}

impl Actor {
    /// The one who calls.
    ///
    /// # Errors
    /// [`Error::NotAUser`] for records of other collections.
    pub(super) fn of(request: &RequestInfo) -> Result<Self, Error> {
        if request.is_superuser() {
            return Ok(Self::Superuser);
        }
        let user = owner_of(request).ok_or(Error::NotAUser)?;
        Ok(Self::User(user.to_owned()))
    }
}

/// What can be decided about a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Approve,
    Reject,
    Ban,
    Unban,
    Promote,
    Demote,
}

/// Values of a room's fields, by name.
pub(super) type Changes = Vec<(&'static str, Value)>;

/// The operations; a cheap handle.
#[derive(Clone)]
pub struct Rooms {
    engine: Engine,
    live: Live,
    sessions: LiveRooms,
    till: Till,
    expiry: Expiry,
}

impl Rooms {
    pub(super) fn new(
        (engine, live): (Engine, Live),
        sessions: LiveRooms,
        till: Till,
        expiry: Expiry,
    ) -> Self {
        Self {
            engine,
            live,
            sessions,
            till,
            expiry,
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn live(&self) -> &Live {
        &self.live
    }

    pub(super) fn sessions(&self) -> &LiveRooms {
        &self.sessions
    }

    pub(super) fn till(&self) -> &Till {
        &self.till
    }

    pub(super) fn expiry(&self) -> &Expiry {
        &self.expiry
    }

    /// Makes a room; its owner, if it has one, is an active member.
    ///
    /// # Errors
    /// [`Error::TooManyRooms`]; `Validation` by field.
    pub(super) async fn create(
        &self,
        tx: &mut Tx,
        owner: Option<&str>,
        fields: Changes,
    ) -> Result<Record, Error> {
        let rooms = self.engine.collection(ROOMS)?;
        let mut row = Record::new(rooms.clone());
        if let Some(owner) = owner {
            let params = roster::params(&self.engine, [("owner", owner)]);
            let mut link = Link::Tx(tx);
            let filter = "owner = {:owner}";
            let count = self
                .engine
                .count_records(&mut link, &rooms, filter, params)
                .await?;
            if i64::try_from(count).unwrap_or(i64::MAX) >= self.engine.own_settings().rooms.per_user
            {
                return Err(Error::TooManyRooms);
            }
            row.set(room::OWNER, owner.into());
            row.set(room::CREATOR, owner.into());
        }
        for (field, value) in fields {
            row.set(field, value);
        }
        Ok(self.engine.save(tx, row).await?)
    }

    /// Makes a user a member of a room, or asks for it. Gives the row.
    ///
    /// # Errors
    /// [`Error::NoRoom`] for strangers to a room that is not public; [`Error::Inactive`], [`Error::Banned`],
    /// [`Error::Full`], [`Error::Already`], [`Error::AlreadyAsked`]; what a charge is refused with.
    pub(super) async fn join(
        &self,
        tx: &mut Tx,
        user: &str,
        room_id: &str,
    ) -> Result<Record, Error> {
        let room = roster::find_room(&self.engine, tx, room_id).await?;
        if !roster::is_public(&room) {
            // Who was in it once, or was asked in, knows of it.
            let known = roster::find_member(&self.engine, tx, room_id, user).await?;
            known.ok_or(Error::NoRoom)?;
        }
        join_as(&self.engine, tx, user, &room).await
    }

    /// Decides about a member. Gives the row as it is then.
    ///
    /// # Errors
    /// [`Error::NoMember`] for strangers; [`Error::NotAllowed`] for those who know of the row and may not decide;
    /// [`Error::State`] where there is nothing to decide; [`Error::Full`].
    pub(super) async fn decide(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        id: &str,
        decision: Decision,
    ) -> Result<Record, Error> {
        let (mut row, standing) = self.find_for(tx, actor, id).await?;
        let needs_owner = matches!(decision, Decision::Promote | Decision::Demote);
        if standing != Standing::Owner && needs_owner {
            return Err(Error::NotAllowed);
        }
        let role = Role::of(&row);
        if role == Role::Owner {
            return Err(match decision {
                Decision::Ban => Error::NotAllowed,
                _ => Error::State("is the owner"),
            });
        }
        if is_due(&row, self.engine.now()) {
            // What has run out is noted first, so that the member hears of it.
            set_status(&mut row, Status::Expired);
            row = self.engine.save(tx, row).await?;
        }
        let charge = match decision {
            Decision::Ban if is_unpaid(&row) => row.text(CHARGE).to_owned(),
            _ => String::new(),
        };
        match decision {
            Decision::Approve => {
                check_request(&row)?;
                set_status(&mut row, Status::Active);
                if let Actor::User(user) = actor {
                    row.set(APPROVED_BY, user.as_str().into());
                }
            }
            Decision::Reject => {
                check_request(&row)?;
                set_status(&mut row, Status::Rejected);
            }
            Decision::Promote if role == Role::Admin => {
                return Err(Error::State("is an admin already"));
            }
            Decision::Promote => {
                check(&row, Status::Active, "only active members can be promoted")?;
                set_role(&mut row, Role::Admin);
            }
            Decision::Demote if role != Role::Admin => return Err(Error::State("is no admin")),
            Decision::Demote => set_role(&mut row, Role::Participant),
            Decision::Ban if role == Role::Admin && standing == Standing::Admin => {
                return Err(Error::NotAllowed);
            }
            Decision::Ban if Status::stored(&row) == Some(Status::Banned) => {
                return Err(Error::State("is banned already"));
            }
            Decision::Ban => {
                set_status(&mut row, Status::Banned);
                set_role(&mut row, Role::Participant);
            }
            Decision::Unban => {
                check(&row, Status::Banned, "is not banned")?;
                let status = self.unbanned(&row);
                set_status(&mut row, status);
            }
        }
        let row = self.engine.save(tx, row).await?;
        if !charge.is_empty() {
            self.till.cancel(tx, &charge).await?;
        }
        Ok(row)
    }

    /// What somebody is whose ban ends: active, unless their time has run out meanwhile or they have never paid.
    fn unbanned(&self, row: &Record) -> Status {
        if owes(row) {
            Status::Rejected
        } else if has_run_out(row, self.engine.now()) {
            Status::Expired
        } else {
            Status::Active
        }
    }

    /// Changes what a member may do in the live session; what is not named stays.
    ///
    /// # Errors
    /// [`Error::NoMember`] for strangers; [`Error::NotAllowed`] for participants, and for admins about the owner and other
    /// admins.
    pub(super) async fn permit(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        id: &str,
        changes: &[(&'static str, bool)],
    ) -> Result<Record, Error> {
        let (mut row, standing) = self.find_for(tx, actor, id).await?;
        if standing == Standing::Admin && Role::of(&row).is_host() {
            return Err(Error::NotAllowed);
        }
        let mut stored: Map<String, Json> =
            serde_json::from_str(row.text(PERMISSIONS)).unwrap_or_default();
        for (name, may) in changes {
            stored.insert((*name).to_owned(), (*may).into());
        }
        row.set(PERMISSIONS, Value::Json(Json::Object(stored).to_string()));
        Ok(self.engine.save(tx, row).await?)
    }

    /// Gives a room another owner; the old one is an admin then.
    ///
    /// # Errors
    /// [`Error::NoRoom`], [`Error::NotAllowed`] for everybody but the owner; [`Error::NoHeir`]; [`Error::State`] for who
    /// owns it already.
    pub(super) async fn transfer(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        (room_id, to): (&str, &str),
    ) -> Result<Record, Error> {
        let mut room = self.find_owned(tx, actor, room_id).await?;
        if room.text(room::OWNER) == to {
            return Err(Error::State("is the owner already"));
        }
        let heir = roster::find_active(&self.engine, tx, room_id, to).await?;
        heir.ok_or(Error::NoHeir)?;
        room.set(room::OWNER, to.into());
        Ok(self.engine.save(tx, room).await?)
    }

    /// Changes a room.
    ///
    /// # Errors
    /// As [`Rooms::transfer`]; [`Error::TooSmall`]; `Validation` by field.
    pub(super) async fn change(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        room_id: &str,
        changes: Changes,
    ) -> Result<Record, Error> {
        let mut room = self.find_owned(tx, actor, room_id).await?;
        for (field, value) in changes {
            room.set(field, value);
        }
        Ok(self.engine.save(tx, room).await?)
    }

    /// Deletes a room with its members and messages, and ends its session.
    ///
    /// # Errors
    /// [`Error::NoRoom`], [`Error::NotAllowed`] for everybody but the owner.
    pub(super) async fn delete(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        room_id: &str,
    ) -> Result<(), Error> {
        let room = self.find_owned(tx, actor, room_id).await?;
        Ok(self.engine.delete_in(tx, room, None).await?)
    }

    /// Ends a user's membership, or takes the request back.
    ///
    /// # Errors
    /// [`Error::NoRoom`], [`Error::NotAMember`]; [`Error::Owner`]; [`Error::Banned`], since the row keeps the user from
    /// asking again.
    pub(super) async fn leave(&self, tx: &mut Tx, user: &str, room_id: &str) -> Result<(), Error> {
        let room = roster::find_room(&self.engine, tx, room_id).await?;
        let row = roster::find_member(&self.engine, tx, room_id, user).await?;
        let row = match row {
            Some(row) => row,
            None if roster::is_public(&room) => return Err(Error::NotAMember),
            None => return Err(Error::NoRoom),
        };
        if Status::stored(&row) == Some(Status::Banned) {
            return Err(Error::Banned);
        }
        if room.text(room::OWNER) == user {
            return Err(Error::Owner);
        }
        Ok(self.engine.delete_in(tx, row, None).await?)
    }

    /// The room, for its owner.
    async fn find_owned(&self, tx: &mut Tx, actor: &Actor, id: &str) -> Result<Record, Error> {
        let room = roster::find_room(&self.engine, tx, id).await?;
        match self.standing(tx, actor, &room).await? {
            Standing::Owner => Ok(room),
            Standing::Stranger if !roster::is_public(&room) => Err(Error::NoRoom),
            _ => Err(Error::NotAllowed),
        }
    }

    /// A row, for the hosts of its room.
    async fn find_for(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        id: &str,
    ) -> Result<(Record, Standing), Error> {
        let members = self.engine.collection(MEMBERS)?;
        let row = records::find(tx, &members, id, &Condition::Always).await?;
        let row = row.ok_or(Error::NoMember)?;
        let room = roster::find_room(&self.engine, tx, row.text(ROOM)).await?;
        let is_own = matches!(actor, Actor::User(user) if user == row.text(USER));
        match self.standing(tx, actor, &room).await? {
            Standing::Stranger if !is_own => Err(Error::NoMember),
            Standing::Stranger | Standing::Participant => Err(Error::NotAllowed),
            standing => Ok((row, standing)),
        }
    }

    /// How an actor stands to a room.
    pub(super) async fn standing(
        &self,
        conn: &mut Conn,
        actor: &Actor,
        room: &Record,
    ) -> Result<Standing, Error> {
        match actor {
            Actor::Superuser => Ok(Standing::Owner),
            Actor::User(user) => roster::standing(&self.engine, conn, room, user).await,
        }
    }

    /// Ends a live session once the transaction is committed, before its caller gets an answer.
    pub(super) fn close_after_commit(&self, tx: &mut Tx, room: &str, why: &'static str) {
        let (sessions, room) = (self.sessions.clone(), room.to_owned());
        tx.after_commit(Box::pin(async move { sessions.close(&room, why).await }));
    }

    /// Runs an operation in a transaction of its own.
    ///
    /// # Errors
    /// Those of the operation.
    pub(super) async fn within<T: Send + 'static>(
        &self,
        work: impl for<'t> FnOnce(Self, &'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    ) -> Result<T, engine::Error> {
        let rooms = self.clone();
        within(&self.engine, None, move |tx| work(rooms, tx)).await
    }
}

/// Makes a user a member of a room that they may see, or asks for it.
pub(super) async fn join_as(
    engine: &Engine,
    tx: &mut Tx,
    user: &str,
    room: &Record,
) -> Result<Record, Error> {
    let mut row = Record::new(engine.collection(MEMBERS)?);
    row.set(ROOM, room.id().into());
    row.set(USER, user.into());
    // What asking leads to is worked out inside the write.
    Ok(engine.save(tx, row).await?)
}

/// Whether a row waits for an answer.
fn check_request(row: &Record) -> Result<(), Error> {
    if is_unpaid(row) {
        return Err(Error::State("waits for its payment"));
    }
    check(row, Status::Pending, "is not pending")
}

fn check(row: &Record, wanted: Status, otherwise: &'static str) -> Result<(), Error> {
    if Status::stored(row) == Some(wanted) {
        return Ok(());
    }
    Err(Error::State(otherwise))
}
