//! Rooms and members as lists show them.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::roster::{self, params};
use super::service::Actor;
use super::state::{CONFIDENTIAL, JoinType, PAID_AMOUNT, ROOM, Role, Status, USER, number, room};
use super::{Error, MEMBERS, ROOMS, Rooms};
use crate::engine::records::{RecordQuery, RecordSum};
use crate::engine::{self, Link, RequestInfo};
use crate::filter::Param;
use crate::model::Record;
use crate::store::records;
use crate::store::search::Condition;

/// Rooms whose members are counted in one query.
const COUNTED_MAX: usize = 50;

/// Why somebody cannot enter a room now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bar {
    Inactive,
    Banned,
    Full,
    Locked,
    /// Their request waits.
    Pending,
    ApprovalRequired,
    PaymentRequired,
    /// Members alone enter, and the caller is none.
    MembersOnly,
}

impl Bar {
    /// The name on the wire.
    fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Banned => "banned",
            Self::Full => "full",
            Self::Locked => "locked",
            Self::Pending => "pending",
            Self::ApprovalRequired => "approval_required",
            Self::PaymentRequired => "payment_required",
            Self::MembersOnly => "members_only",
        }
    }
}

impl Rooms {
    /// Adds to rooms how many are in now (`participants`), and whether the caller can enter (`can_join`) or why not
    /// (`reason`).
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn describe(
        &self,
        actor: &Actor,
        rows: &mut [Record],
    ) -> Result<(), engine::Error> {
        let engine = self.engine();
        let user = match actor {
            Actor::Superuser => None,
            Actor::User(user) => Some(user.as_str()),
        };
        let mut own: HashMap<String, Record> = HashMap::new();
        if let Some(user) = user {
            let members = engine.collection(MEMBERS)?;
            let mut conn = engine.read().await?;
            let user = [(USER, user.into())];
            let found = records::find_all_by_fields(&mut conn, &members, &user).await?;
            let found = found.into_iter();
            own.extend(found.map(|row| (row.text(ROOM).to_owned(), row)));
        }
        // Who is no member yet needs a member's place.
        let mut unknown: Vec<&str> = Vec::new();
        for row in rows.iter() {
            let is_open = JoinType::of(row) == JoinType::Free && roster::is_public(row);
            let own = own.get(row.id());
            let is_member = own.is_some_and(|own| self.status(own) == Some(Status::Active));
            if user.is_some() && is_open && !is_member {
                unknown.push(row.id());
            }
        }
        let taken = self.places_taken(&unknown).await?;
        for row in rows {
            let live = self.sessions().count(row.id());
            let taken = taken.get(row.id()).copied().unwrap_or_default();
            let bar = self.bar(row, own.get(row.id()), (live, taken), user.is_some());
            row.export_custom(true);
            row.set_custom("participants", live.into());
            row.set_custom("can_join", bar.is_none().into());
            let reason = bar.map_or(Json::Null, |bar| bar.as_str().into());
            row.set_custom("reason", reason);
        }
        Ok(())
    }

    fn status(&self, row: &Record) -> Option<Status> {
        Status::at(row, self.engine().now())
    }

    /// What keeps a caller out, given how many are in now and how many places members have taken.
    fn bar(
        &self,
        row: &Record,
        own: Option<&Record>,
        (live, taken): (usize, u64),
        is_user: bool,
    ) -> Option<Bar> {
        let places = number(row, room::MAX_PARTICIPANTS);
        let status = own.and_then(|own| self.status(own));
        let is_host = own.is_some_and(|own| Role::of(own).is_host());
        match status {
            Some(Status::Banned) => return Some(Bar::Banned),
            _ if !row.flag(room::IS_ACTIVE) => return Some(Bar::Inactive),
            Some(Status::Active) if row.flag(room::LOCKED) && !is_host => return Some(Bar::Locked),
            Some(Status::Active) => return (live as f64 >= places).then_some(Bar::Full),
            Some(Status::Pending) => return Some(Bar::Pending),
            _ => {}
        }
        if !is_user || !roster::is_public(row) {
            return Some(Bar::MembersOnly);
        }
        if row.flag(room::LOCKED) {
            return Some(Bar::Locked);
        }
        match JoinType::of(row) {
            JoinType::Free => {
                let is_full = taken as f64 >= places || live as f64 >= places;
                is_full.then_some(Bar::Full)
            }
            JoinType::RequireApproval => Some(Bar::ApprovalRequired),
            JoinType::PaidPeriod | JoinType::PaidLifetime => Some(Bar::PaymentRequired),
        }
    }

    /// How many places of rooms are taken.
    async fn places_taken(&self, rooms: &[&str]) -> Result<HashMap<String, u64>, engine::Error> {
        let engine = self.engine();
        let members = engine.collection(MEMBERS)?;
        let mut taken = HashMap::with_capacity(rooms.len());
        for some in rooms.chunks(COUNTED_MAX) {
            let mut params = params(engine, []);
            let mut names = Vec::with_capacity(some.len());
            for (index, id) in some.iter().enumerate() {
                names.push(format!("room = {{:room{index}}}"));
                params.insert(format!("room{index}"), Param::Text((*id).to_owned()));
            }
            let filter = format!("({}) && {}", names.join(" || "), roster::HAS_PLACE);
            let sum = RecordSum {
                filter: &filter,
                params,
                field: PAID_AMOUNT,
                group: ROOM,
            };
            let mut link = Link::Pool(engine);
            for sum in engine.sum_records(&mut link, &members, &sum).await? {
                taken.insert(sum.group, sum.rows);
            }
        }
        Ok(taken)
    }

    /// The rooms of some members that the caller may see.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn visible(
        &self,
        request: &RequestInfo,
        members: &[Record],
    ) -> Result<Vec<Record>, engine::Error> {
        let engine = self.engine();
        let rooms = engine.collection(ROOMS)?;
        let Some(rule) = rooms.view_rule.as_deref() else {
            return Ok(Vec::new());
        };
        let condition = match rule {
            "" => Condition::Always,
            rule => engine.condition(&engine.schema(), &rooms, rule, Some(request), true)?,
        };
        let ids: Vec<&str> = members.iter().map(|row| row.text(ROOM)).collect();
        let mut conn = engine.read().await?;
        Ok(records::find_many(&mut conn, &rooms, &ids, &condition).await?)
    }

    /// A page of members in one state, longest first, and how many there are. `field` is the field that holds `id`.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn members(
        &self,
        (field, id): (&str, &str),
        status: Status,
        (page, per_page): (u64, u64),
    ) -> Result<(Vec<Record>, u64), Error> {
        let engine = self.engine();
        let members = engine.collection(MEMBERS)?;
        let state = match status {
            Status::Active => "status = 'active' && (expiresAt = '' || expiresAt > {:now})",
            Status::Expired => {
                "(status = 'expired' || (status = 'active' && expiresAt != '' && expiresAt <= {:now}))"
            }
            Status::Pending | Status::Rejected | Status::Banned => "status = {:status}",
        };
        let filter = format!("{field} = {{:id}} && {state}");
        let query = RecordQuery {
            filter: &filter,
            params: params(engine, [("id", id), ("status", status.as_str())]),
            sort: "created,id",
            limit: per_page,
            offset: (page - 1).saturating_mul(per_page),
        };
        let mut conn = engine.read().await?;
        let mut link = Link::Conn(&mut conn);
        let found = engine.find_by_filter(&mut link, &members, &query).await?;
        let count = engine.count_records(&mut link, &members, &filter, query.params.clone());
        Ok((found, count.await?))
    }
}

/// Shows what only the member itself and the room's hosts see, or hides it.
pub(super) fn disclose(row: &mut Record, may_see: bool) {
    if may_see {
        row.unhide(CONFIDENTIAL);
    } else {
        row.hide(["updated"]);
    }
}
