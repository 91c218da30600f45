//! Writes of rooms: what they default to, who owns them, and when their session ends.

use futures_util::future::BoxFuture;

use crate::base::Cents;
use crate::base::code::BODY_INVALID;
use crate::engine::{self, Engine, Next, Op, RecordEvent, RecordHook, Stage};
use crate::model::{Collection, FieldError, FieldErrors, Record, Value};
use crate::modules::rooms::state::{
    AccessType, EXPIRES_AT, JoinType, MAX_PARTICIPANTS_DEFAULT, PERIOD_DAYS, ROOM, Role, Status,
    USER, number, room, set_role, set_status,
};
use crate::modules::rooms::{Error, MEMBERS, ROOMS, Rooms, notices, roster};
use crate::modules::{AHEAD_OF_SCRIPTS, keep, owner_of};
use crate::store::Tx;

/// What no client writes, where an operator has opened the collection to them.
const FIXED: [&str; 5] = [
    room::CREATOR,
    room::OWNER,
    room::PUBLIC_ID,
    "linkToken",
    room::LOCKED,
];

pub(super) struct RoomWrites(pub(super) Rooms);

/// What a room was before a write.
struct Before {
    owner: String,
    is_active: bool,
}

impl RoomWrites {
    fn complete(event: &mut RecordEvent<'_>) -> Result<(), Error> {
        let row = &mut event.record;
        let request = event.request.as_ref();
        if let Some(client) = request.filter(|info| !info.is_superuser()) {
            let owner = owner_of(client).ok_or(Error::NotAUser)?;
            row.set(room::OWNER, owner.into());
            row.set(room::CREATOR, owner.into());
        }
        if row.text(room::CREATOR).is_empty() {
            let owner = row.text(room::OWNER).to_owned();
            row.set(room::CREATOR, owner.into());
        }
        let names = |field: &str| request.is_some_and(|info| info.body.contains_key(field));
        if !names(room::IS_ACTIVE) {
            row.set(room::IS_ACTIVE, Value::Bool(true));
        }
        if number(row, room::MAX_PARTICIPANTS) == 0.0 {
            let most = event.engine.own_settings().rooms.max_participants;
            let default = MAX_PARTICIPANTS_DEFAULT.min(most);
            row.set(room::MAX_PARTICIPANTS, Value::Number(default as f64));
        }
        if row.text(room::JOIN_TYPE).is_empty() {
            row.set(room::JOIN_TYPE, JoinType::Free.as_str().into());
        }
        if row.text(room::ACCESS_TYPE).is_empty() {
            let is_public =
                row.flag(room::IS_PUBLIC) || (request.is_some() && !names(room::IS_PUBLIC));
            set_access(row, is_public);
        }
        follow_access(row);
        Ok(())
    }

    /// The two ways of saying that a room is public agree; the one that was changed counts.
    fn agree(row: &mut Record) {
        let is_public = row.flag(room::IS_PUBLIC);
        let was_public = row.original(room::IS_PUBLIC) == Some(&Value::Bool(true));
        if !row.has_changed(room::ACCESS_TYPE) && is_public != was_public {
            set_access(row, is_public);
        }
        follow_access(row);
    }

    fn check(&self, row: &Record) -> Result<(), engine::Error> {
        let mut errors = FieldErrors::new();
        let mut refuse = |field: &str, message: &str| {
            errors.add(field, FieldError::new("validation_invalid_value", message));
        };
        let price = number(row, room::PRICE);
        if let Err(error) = Cents::from_number(price) {
            refuse(room::PRICE, &error.to_string());
        }
        let kind = JoinType::of(row);
        if kind.is_paid() {
            if !self.0.till().is_open() {
                refuse(room::JOIN_TYPE, "Paid rooms are not available here.");
            }
            if price <= 0.0 {
                refuse(room::PRICE, "Must be more than 0.");
            }
        }
        if kind == JoinType::PaidPeriod && number(row, room::PERIOD_DAYS) < 1.0 {
            refuse(room::PERIOD_DAYS, "Must be 1 or more.");
        }
        errors
            .into_result()
            .map_err(|fields| engine::Error::validation(BODY_INVALID, fields))
    }

    /// A room keeps a place for each of its members.
    async fn check_places(engine: &Engine, tx: &mut Tx, row: &Record) -> Result<(), Error> {
        let places = number(row, room::MAX_PARTICIPANTS);
        let former = row.original(room::MAX_PARTICIPANTS);
        if former.is_some_and(|former| matches!(former, Value::Number(former) if places >= *former))
        {
            return Ok(());
        }
        let taken = roster::places_taken(engine, tx, row.id(), "").await?;
        if taken as f64 > places {
            return Err(Error::TooSmall);
        }
        Ok(())
    }

    /// Gives the new owner their row, and the old one that of an admin.
    async fn hand_over(&self, tx: &mut Tx, row: &Record, from: &str) -> Result<(), Error> {
        let engine = self.0.engine();
        let to = row.text(room::OWNER);
        if !to.is_empty() {
            let found = roster::find_member(engine, tx, row.id(), to).await?;
            let mut member = match found {
                Some(member) => member,
                None => {
                    let mut member = Record::new(engine.collection(MEMBERS)?);
                    member.set(ROOM, row.id().into());
                    member.set(USER, to.into());
                    member
                }
            };
            set_role(&mut member, Role::Owner);
            set_status(&mut member, Status::Active);
            member.set(EXPIRES_AT, "".into());
            member.set(PERIOD_DAYS, Value::Number(0.0));
            engine.save(tx, member).await?;
        }
        if from.is_empty() {
            return Ok(());
        }
        if let Some(mut member) = roster::find_member(engine, tx, row.id(), from).await? {
            set_role(&mut member, Role::Admin);
            engine.save(tx, member).await?;
        }
        if !to.is_empty() {
            let kind = "room_ownership_transferred";
            notices::notify_of_room(self.0.live(), tx, to, kind, row).await?;
        }
        Ok(())
    }

    async fn settle(&self, event: &mut RecordEvent<'_>, before: &Before) -> Result<(), Error> {
        let row = &event.record;
        let (live, id) = (self.0.live(), row.id());
        if event.op == Op::Delete {
            self.0.close_after_commit(event.tx, id, "deleted");
            return Ok(notices::publish(live, event.tx, "room_deleted", id, "")?);
        }
        if event.op == Op::Create {
            notices::publish(live, event.tx, "room_created", id, row.text(room::OWNER))?;
        }
        if row.text(room::OWNER) != before.owner {
            self.hand_over(event.tx, row, &before.owner).await?;
        }
        if before.is_active && !row.flag(room::IS_ACTIVE) {
            self.0.close_after_commit(event.tx, id, "inactive");
        }
        Ok(())
    }
}

fn set_access(row: &mut Record, is_public: bool) {
    let kind = if is_public {
        AccessType::Public
    } else {
        AccessType::Private
    };
    row.set(room::ACCESS_TYPE, kind.as_str().into());
}

fn follow_access(row: &mut Record) {
    let is_public = AccessType::of(row) == AccessType::Public;
    row.set(room::IS_PUBLIC, Value::Bool(is_public));
}

impl RecordHook for RoomWrites {
    fn priority(&self) -> i32 {
        AHEAD_OF_SCRIPTS
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.name == ROOMS
    }

    fn completes(&self, _: &Collection) -> bool {
        true
    }

    fn is_settable(&self, _: &Collection, field: &str) -> bool {
        !FIXED.contains(&field)
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), engine::Error>> {
        if stage != Stage::Write {
            return next.run(event);
        }
        Box::pin(async move {
            let before = Before {
                owner: match event.record.original(room::OWNER) {
                    Some(owner) => owner.as_text().to_owned(),
                    None => String::new(),
                },
                is_active: event.record.original(room::IS_ACTIVE) == Some(&Value::Bool(true)),
            };
            match event.op {
                Op::Create => Self::complete(event)?,
                Op::Update => {
                    if event.validate {
                        // Whose account is deleted is forgotten unchecked.
                        keep(&mut event.record, &[room::PUBLIC_ID, room::CREATOR]);
                    }
                    Self::agree(&mut event.record);
                }
                Op::Delete => {}
            }
            if event.op != Op::Delete && event.validate {
                self.check(&event.record)?;
                if event.op == Op::Update {
                    Self::check_places(&event.engine, event.tx, &event.record).await?;
                }
            }
            next.run(event).await?;
            self.settle(event, &before).await?;
            Ok(())
        })
    }
}
