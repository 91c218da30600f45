//! Following, leaving, and what the followed user and their admins decide.

use futures_util::future::BoxFuture;
use serde_json::Map;

use super::settings::{self, Terms};
use super::state::{
    APPROVED_AT, APPROVED_BY, CHARGE, FOLLOWER, FOLLOWING, Role, Status, WAS_ACTIVE, has_run_out,
    is_due, is_unpaid, set_role, set_status,
};
use super::till::Till;
use super::{Error, FOLLOWS, SETTINGS, USERS, find_pair};
use crate::engine::records::{Input, RecordQuery};
use crate::engine::{self, Engine, Link, RequestInfo};
use crate::filter::{Param, Params};
use crate::model::{Record, Value};
use crate::modules::{owner_of, within};
use crate::store::search::Condition;
use crate::store::{Conn, Tx, records};

/// Who decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A superuser, or a script.
    Superuser,
    /// The id of a record of `users`.
    User(String),
}

impl Actor {
    /// The one who calls.
    ///
    /// # Errors
    /// [`Error::NotAUser`] for records of other collections.
    pub fn of(request: &RequestInfo) -> Result<Self, Error> {
        if request.is_superuser() {
            return Ok(Self::Superuser);
        }
        let user = owner_of(request).ok_or(Error::NotAUser)?;
        Ok(Self::User(user.to_owned()))
    }
}

/// What can be decided about a follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Approve,
    Reject,
    Promote,
    Demote,
    Ban,
    Unban,
}

/// Which side of follows a list is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those who follow a user.
    Followers,
    /// Those whom a user follows.
    Following,
}

/// How somebody stands to a follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The followed user, or a superuser.
    Followed,
    /// An active follower of the same user with role admin.
    Admin,
    /// The follower of the row.
    Follower,
    Stranger,
}

/// The operations; a cheap handle.
#[derive(Clone)]
pub struct Following {
    engine: Engine,
    till: Till,
}

impl Following {
    pub(super) fn new(engine: Engine, till: Till) -> Self {
        Self { engine, till }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Makes the caller follow a user, or ask for it. Gives the row.
    ///
    /// # Errors
    /// [`Error::NoUser`], [`Error::Oneself`], [`Error::Already`], [`Error::AlreadyAsked`], [`Error::NotAccepting`],
    /// [`Error::Banned`]; what a charge is refused with.
    pub async fn follow(&self, request: &RequestInfo, user: &str) -> Result<Record, Error> {
        let mut conn = self.engine.read().await?;
        self.check_user(&mut conn, user).await?;
        drop(conn);
        let follows = self.engine.collection(FOLLOWS)?;
        let input = Input {
            body: Map::from_iter([(FOLLOWING.to_owned(), user.into())]),
            uploads: Vec::new(),
        };
        Ok(self.engine.create_record(request, &follows, input).await?)
    }

    /// Ends a user's follow of another, or takes the request back.
    ///
    /// # Errors
    /// [`Error::NotFollowing`]; [`Error::Banned`], since the row keeps the follower from asking again.
    pub async fn unfollow(
        &self,
        tx: &mut Tx,
        follower: &str,
        following: &str,
    ) -> Result<(), Error> {
        let row = find_pair(tx, follower, following).await?;
        let row = row.ok_or(Error::NotFollowing)?;
        if Status::stored(&row) == Some(Status::Banned) {
            return Err(Error::Banned);
        }
        Ok(self.engine.delete_in(tx, row, None).await?)
    }

    /// Removes a follower: the row is gone, and may be asked for anew.
    ///
    /// # Errors
    /// [`Error::NoFollow`] for strangers; [`Error::NotAllowed`] for an admin who removes an admin; [`Error::Banned`].
    pub async fn remove(&self, tx: &mut Tx, actor: &Actor, id: &str) -> Result<(), Error> {
        let (row, standing) = self.find_for(tx, actor, id).await?;
        match standing {
            Standing::Follower if Status::stored(&row) == Some(Status::Banned) => {
                return Err(Error::Banned);
            }
            Standing::Admin if Role::of(&row) == Role::Admin => return Err(Error::NotAllowed),
            _ => {}
        }
        Ok(self.engine.delete_in(tx, row, None).await?)
    }

    /// Decides about a follow. Gives the row as it is then.
    ///
    /// # Errors
    /// [`Error::NoFollow`] for strangers; [`Error::NotAllowed`] for those who know of the row and may not decide;
    /// [`Error::State`] where there is nothing to decide.
    pub async fn decide(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        id: &str,
        decision: Decision,
    ) -> Result<Record, Error> {
        let (mut row, standing) = self.find_for(tx, actor, id).await?;
        let needs_followed = matches!(decision, Decision::Promote | Decision::Demote);
        match standing {
            Standing::Followed => {}
            Standing::Admin if !needs_followed => {}
            _ => return Err(Error::NotAllowed),
        }
        if is_due(&row, self.engine.now()) {
            // What has run out is noted first, so that the follower hears of it.
            set_status(&mut row, Status::Expired);
            row = self.engine.save(tx, row).await?;
        }
        let is_admin = Role::of(&row) == Role::Admin;
        let charge = match decision {
            Decision::Ban if is_unpaid(&row) => row.text(CHARGE).to_owned(),
            _ => String::new(),
        };
        match decision {
            Decision::Approve => {
                check_request(&row)?;
                set_status(&mut row, Status::Active);
                row.set(APPROVED_AT, self.engine.now().to_string().into());
                if let Actor::User(user) = actor {
                    row.set(APPROVED_BY, user.as_str().into());
                }
            }
            Decision::Reject => {
                check_request(&row)?;
                set_status(&mut row, Status::Rejected);
            }
            Decision::Promote if is_admin => return Err(Error::State("is an admin already")),
            Decision::Promote => {
                check(
                    &row,
                    Status::Active,
                    "only active followers can be promoted",
                )?;
                set_role(&mut row, Role::Admin);
            }
            Decision::Demote if !is_admin => return Err(Error::State("is no admin")),
            Decision::Demote => set_role(&mut row, Role::Follower),
            Decision::Ban if is_admin && standing == Standing::Admin => {
                return Err(Error::NotAllowed);
            }
            Decision::Ban if Status::stored(&row) == Some(Status::Banned) => {
                return Err(Error::State("is banned already"));
            }
            Decision::Ban => {
                set_status(&mut row, Status::Banned);
                set_role(&mut row, Role::Follower);
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

    /// What an unbanned follower is: active if they were before, and their time has not run out meanwhile. Who was not let
    /// in, or has not paid, may ask again.
    fn unbanned(&self, row: &Record) -> Status {
        if !row.flag(WAS_ACTIVE) {
            Status::Rejected
        } else if has_run_out(row, self.engine.now()) {
            Status::Expired
        } else {
            Status::Active
        }
    }

    /// The row, and how somebody stands to it.
    async fn find_for(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        id: &str,
    ) -> Result<(Record, Standing), Error> {
        let follows = self.engine.collection(FOLLOWS)?;
        let row = records::find(tx, &follows, id, &Condition::Always).await?;
        let row = row.ok_or(Error::NoFollow)?;
        match self.standing(tx, actor, &row).await? {
            Standing::Stranger => Err(Error::NoFollow),
            standing => Ok((row, standing)),
        }
    }

    async fn standing(
        &self,
        conn: &mut Conn,
        actor: &Actor,
        row: &Record,
    ) -> Result<Standing, Error> {
        let user = match actor {
            Actor::Superuser => return Ok(Standing::Followed),
            Actor::User(user) => user.as_str(),
        };
        if user == row.text(FOLLOWING) {
            return Ok(Standing::Followed);
        }
        if user == row.text(FOLLOWER) {
            return Ok(Standing::Follower);
        }
        if self.is_admin(conn, row.text(FOLLOWING), user).await? {
            return Ok(Standing::Admin);
        }
        Ok(Standing::Stranger)
    }

    /// Whether somebody is an active follower of `user` with role admin.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn is_admin(
        &self,
        conn: &mut Conn,
        user: &str,
        somebody: &str,
    ) -> Result<bool, Error> {
        let found = self.find_active(conn, somebody, user).await?;
        Ok(found.is_some_and(|row| Role::of(&row) == Role::Admin))
    }

    /// Whether a user follows another: active, and not run out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn is_following(
        &self,
        conn: &mut Conn,
        follower: &str,
        following: &str,
    ) -> Result<bool, Error> {
        let found = self.find_active(conn, follower, following).await?;
        Ok(found.is_some())
    }

    async fn find_active(
        &self,
        conn: &mut Conn,
        follower: &str,
        following: &str,
    ) -> Result<Option<Record>, Error> {
        let follows = self.engine.collection(FOLLOWS)?;
        let found = super::pair_in(conn, &follows, follower, following).await?;
        let now = self.engine.now();
        Ok(found.filter(|row| Status::at(row, now) == Some(Status::Active)))
    }

    /// # Errors
    /// [`Error::NoUser`].
    pub(super) async fn check_user(&self, conn: &mut Conn, user: &str) -> Result<(), Error> {
        let users = self.engine.collection(USERS)?;
        let found = records::exists_ids(conn, &users, &[user]).await?;
        if found.is_empty() {
            return Err(Error::NoUser);
        }
        Ok(())
    }

    /// A page of a user's follows in one state, newest first, and how many there are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(
        &self,
        user: &str,
        side: Side,
        status: Status,
        (page, per_page): (u64, u64),
    ) -> Result<(Vec<Record>, u64), Error> {
        let follows = self.engine.collection(FOLLOWS)?;
        let side = match side {
            Side::Followers => FOLLOWING,
            Side::Following => FOLLOWER,
        };
        let state = match status {
            Status::Active => "status = 'active' && (expiresAt = '' || expiresAt > {:now})",
            Status::Expired => {
                "(status = 'expired' || (status = 'active' && expiresAt != '' && expiresAt <= {:now}))"
            }
            Status::Pending | Status::Rejected | Status::Banned => "status = {:status}",
        };
        let filter = format!("{side} = {{:user}} && {state}");
        let now = self.engine.now().to_string();
        let params = [("user", user), ("status", status.as_str()), ("now", &now)];
        let params = params.map(|(name, text)| (name.to_owned(), Param::Text(text.to_owned())));
        let query = RecordQuery {
            filter: &filter,
            params: Params::from(params),
            sort: "-created,-id",
            limit: per_page,
            offset: (page - 1).saturating_mul(per_page),
        };
        let mut conn = self.engine.read().await?;
        let mut link = Link::Conn(&mut conn);
        let found = self.engine.find_by_filter(&mut link, &follows, &query);
        let found = found.await?;
        let params = query.params.clone();
        let count = self
            .engine
            .count_records(&mut link, &follows, &filter, params);
        Ok((found, count.await?))
    }

    /// The stored settings of a user, if there are any.
    ///
    /// # Errors
    /// [`Error::NoUser`].
    pub async fn settings(&self, user: &str) -> Result<Option<Record>, Error> {
        let mut conn = self.engine.read().await?;
        self.check_user(&mut conn, user).await?;
        let collection = self.engine.collection(SETTINGS)?;
        settings::find(&mut conn, &collection, user).await
    }

    /// On which terms a user can be followed.
    ///
    /// # Errors
    /// [`Error::NoUser`].
    pub async fn terms(&self, user: &str) -> Result<Terms, Error> {
        let found = self.settings(user).await?;
        Ok(found.as_ref().map(Terms::of).unwrap_or_default())
    }

    /// Changes a user's settings, or makes them.
    ///
    /// # Errors
    /// `Validation` by field.
    pub async fn change_settings(
        &self,
        tx: &mut Tx,
        user: &str,
        changes: Vec<(&'static str, Value)>,
    ) -> Result<Record, Error> {
        let collection = self.engine.collection(SETTINGS)?;
        let mut row = match settings::find(tx, &collection, user).await? {
            Some(row) => row,
            None => {
                let mut row = Record::new(collection);
                row.set(settings::USER, user.into());
                row.set(
                    settings::FOLLOW_TYPE,
                    settings::FollowType::Free.as_str().into(),
                );
                row.set(settings::ACCEPTING, Value::Bool(true));
                row
            }
        };
        for (field, value) in changes {
            row.set(field, value);
        }
        Ok(self.engine.save(tx, row).await?)
    }

    /// Runs an operation in a transaction of its own.
    ///
    /// # Errors
    /// Those of the operation.
    pub(super) async fn within<T: Send + 'static>(
        &self,
        work: impl for<'t> FnOnce(Self, &'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    ) -> Result<T, engine::Error> {
        let following = self.clone();
        within(&self.engine, None, move |tx| work(following, tx)).await
    }
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
