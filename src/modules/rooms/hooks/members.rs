//! Writes of members: asking, paying, places, who is told, and what becomes of their live session.

use futures_util::future::BoxFuture;
use serde_json::json;

use crate::base::DateTime;
use crate::engine::{self, Engine, Next, Op, RecordEvent, RecordHook, RequestInfo, Stage, context};
use crate::model::{Collection, Record, Value};
use crate::modules::rooms::state::{
    CHARGE, CONFIDENTIAL, EXPIRES_AT, JOINED_AT, JoinType, PAID_AMOUNT, PAID_AT, PERIOD_DAYS,
    Permissions, ROLE, ROOM, Role, STATUS, Status, USER, begin_anew, has_run_out, is_due,
    is_unpaid, number, price_of, room, set_role, set_status,
};
use crate::modules::rooms::till::Bill;
use crate::modules::rooms::{Error, MEMBERS, Rooms, notices, roster};
use crate::modules::{AHEAD_OF_SCRIPTS, keep, owner_of};
use crate::store::Tx;

const MINUTE_S: i64 = 60;
const DAY_S: i64 = 86_400;
/// What clients may name, where an operator has opened the collection to them: the room they ask for.
const SETTABLE: [&str; 2] = ["id", ROOM];

/// Writes of members. A new one asks, whoever writes it, unless it says what it is.
pub(super) struct MemberWrites(pub(super) Rooms);

/// What a row was before a write.
#[derive(Clone, Copy)]
struct Before {
    status: Option<Status>,
    role: Role,
    is_unpaid: bool,
    /// Whether the row had a place, and its time had not run out.
    has_place: bool,
    permissions: Permissions,
}

impl Before {
    const NOTHING: Self = Self {
        status: None,
        role: Role::Participant,
        is_unpaid: false,
        has_place: false,
        permissions: Permissions {
            speak: true,
            video: true,
            screen: true,
            chat: true,
            invite: true,
        },
    };

    fn of(row: &Record, now: DateTime) -> Self {
        let (status, is_unpaid) = (Status::stored(row), is_unpaid(row));
        Self {
            status,
            role: Role::of(row),
            is_unpaid,
            has_place: (is_unpaid || status == Some(Status::Active)) && !has_run_out(row, now),
            permissions: Permissions::of(row),
        }
    }
}

/// A write on its way through the hook.
struct Course {
    /// None: the row says what it is, as when it is brought from elsewhere; nobody is told.
    before: Option<Before>,
    /// None where validation says what is missing.
    room: Option<Record>,
    /// Whether there is known to be a place.
    has_place: bool,
}

impl MemberWrites {
    fn engine(&self) -> &Engine {
        self.0.engine()
    }

    async fn begin(&self, event: &mut RecordEvent<'_>) -> Result<Course, Error> {
        match event.op {
            Op::Create => self.create(event).await,
            Op::Update => {
                keep(&mut event.record, &[ROOM, USER]);
                let (before, now) = (event.record.to_original(), event.engine.now());
                let before = before.map(|before| Before::of(&before, now));
                Ok(Course {
                    before,
                    room: self.room_of(event.tx, &event.record).await?,
                    has_place: before.is_some_and(|before| before.has_place),
                })
            }
            Op::Delete => Ok(Course {
                before: Some(Before::of(&event.record, event.engine.now())),
                room: None,
                has_place: false,
            }),
        }
    }

    async fn create(&self, event: &mut RecordEvent<'_>) -> Result<Course, Error> {
        let client = event.request.as_ref().filter(|info| !info.is_superuser());
        if let Some(client) = client {
            let user = owner_of(client).ok_or(Error::NotAUser)?.to_owned();
            event.record.set(USER, user.into());
        } else if !event.record.text(STATUS).is_empty() {
            if event.record.text(ROLE).is_empty() {
                set_role(&mut event.record, Role::Participant);
            }
            let room = self.room_of(event.tx, &event.record).await?;
            return Ok(Course {
                before: None,
                room,
                has_place: false,
            });
        }
        begin_anew(&mut event.record);
        set_status(&mut event.record, Status::Pending);
        let Some(room) = self.room_of(event.tx, &event.record).await? else {
            return Ok(Course {
                before: Some(Before::NOTHING),
                room: None,
                has_place: false,
            });
        };
        let before = self.ask(event, &room).await?;
        Ok(Course {
            before: Some(before),
            room: Some(room),
            has_place: true,
        })
    }

    async fn room_of(&self, tx: &mut Tx, row: &Record) -> Result<Option<Record>, Error> {
        match roster::find_room(self.engine(), tx, row.text(ROOM)).await {
            Err(Error::NoRoom) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Makes a new record what asking makes of it: an active row, a pending one, or the row of before begun anew.
    async fn ask(&self, event: &mut RecordEvent<'_>, room: &Record) -> Result<Before, Error> {
        let user = event.record.text(USER).to_owned();
        let former = self.former(event.tx, room.id(), &user).await?;
        if !room.flag(room::IS_ACTIVE) {
            return Err(Error::Inactive);
        }
        let mut before = Before::NOTHING;
        if let Some(row) = former {
            before = Before::of(&row, event.engine.now());
            event.record = row;
            event.op = Op::Update;
            begin_anew(&mut event.record);
            event.record.on_update(event.engine.now());
        }
        self.check_place(event.tx, &event.record, room).await?;
        self.grant(event.tx, &mut event.record, room).await?;
        Ok(before)
    }

    /// The row of before, if there is one that may ask again.
    async fn former(&self, tx: &mut Tx, room: &str, user: &str) -> Result<Option<Record>, Error> {
        let engine = self.engine();
        let Some(mut row) = roster::find_member(engine, tx, room, user).await? else {
            return Ok(None);
        };
        if is_due(&row, engine.now()) {
            set_status(&mut row, Status::Expired);
            row = engine.save(tx, row).await?;
        }
        match Status::stored(&row) {
            Some(Status::Active) => Err(Error::Already),
            Some(Status::Pending) => Err(Error::AlreadyAsked),
            Some(Status::Banned) => Err(Error::Banned),
            Some(Status::Rejected | Status::Expired) | None => Ok(Some(row)),
        }
    }

    async fn check_place(&self, tx: &mut Tx, row: &Record, room: &Record) -> Result<(), Error> {
        let taken = roster::places_taken(self.engine(), tx, room.id(), row.id()).await?;
        if taken as f64 >= number(room, room::MAX_PARTICIPANTS) {
            return Err(Error::Full);
        }
        Ok(())
    }

    /// Gives a row the state that the room's terms lead to, and charges what they cost.
    async fn grant(&self, tx: &mut Tx, row: &mut Record, room: &Record) -> Result<(), Error> {
        let kind = JoinType::of(room);
        match kind {
            JoinType::Free => {
                set_status(row, Status::Active);
                return Ok(());
            }
            JoinType::RequireApproval => {
                set_status(row, Status::Pending);
                return Ok(());
            }
            JoinType::PaidPeriod | JoinType::PaidLifetime => {}
        }
        let price = price_of(room);
        let bill = Bill {
            user: row.text(USER),
            owner: room.text(room::OWNER),
            name: room.text(room::NAME),
            price,
            member: row.id(),
        };
        let charged = self.0.till().charge(tx, &bill).await?;
        row.set(PAID_AMOUNT, Value::Number(price.to_number()));
        if kind == JoinType::PaidPeriod {
            row.set(PERIOD_DAYS, Value::Number(number(room, room::PERIOD_DAYS)));
        }
        let now = self.engine().now();
        if charged.paid {
            begin_paid(row, now);
        } else {
            row.set(CHARGE, charged.cashout.into());
            set_status(row, Status::Pending);
            let hold_s = self.engine().own_settings().payments.hold_minutes * MINUTE_S;
            row.set(EXPIRES_AT, now.add_seconds(hold_s).to_string().into());
        }
        Ok(())
    }

    /// What must hold of a row before it is written.
    async fn check(
        &self,
        event: &mut RecordEvent<'_>,
        room: &Record,
        (before, has_place): (Before, bool),
    ) -> Result<(), Error> {
        let now = event.engine.now();
        let row = &mut event.record;
        let status = Status::stored(row);
        let owner = room.text(room::OWNER);
        if !owner.is_empty() && owner == row.text(USER) {
            if status != Some(Status::Active) || Role::of(row) != Role::Owner {
                return Err(Error::State("the owner of a room is an active member"));
            }
            row.set(EXPIRES_AT, "".into());
        } else if Role::of(row) == Role::Owner {
            return Err(Error::State("a room has one owner"));
        }
        if status != Some(Status::Active) {
            return Ok(());
        }
        let is_new = before.status.is_none();
        let keeps_date = is_new || before.status == Some(Status::Active);
        if !keeps_date || row.text(JOINED_AT).is_empty() {
            row.set(JOINED_AT, now.to_string().into());
        }
        if !has_place && !has_run_out(row, now) {
            self.check_place(event.tx, &event.record, room).await?;
        }
        Ok(())
    }

    /// What follows from a write that is done.
    async fn settle(&self, event: &mut RecordEvent<'_>, course: Course) -> Result<(), Error> {
        let before = course.before.unwrap_or(Before::NOTHING);
        if event.op == Op::Delete {
            return self.settle_delete(event, before).await;
        }
        let Some(room) = course.room else {
            return Ok(());
        };
        if !event.record.text(EXPIRES_AT).is_empty() {
            let expiry = self.0.expiry().clone();
            event.tx.on_commit(Box::new(move || expiry.nudge()));
        }
        self.settle_session(event.tx, &event.record, before)?;
        if course.before.is_some() {
            self.tell(event.tx, &event.record, &room, before).await?;
        }
        Ok(())
    }

    async fn settle_delete(
        &self,
        event: &mut RecordEvent<'_>,
        before: Before,
    ) -> Result<(), Error> {
        let row = &event.record;
        if before.is_unpaid {
            self.0.till().cancel(event.tx, row.text(CHARGE)).await?;
        }
        // A room that is deleted ends its session itself.
        let Some(room) = self.room_of(event.tx, row).await? else {
            return Ok(());
        };
        if before.status == Some(Status::Active) {
            self.left(event.tx, row, "left")?;
        }
        if room.text(room::OWNER) == row.text(USER) {
            self.bequeath(event.tx, room).await?;
        }
        Ok(())
    }

    /// Gives a room whose owner is gone to its oldest admin; without one it closes.
    async fn bequeath(&self, tx: &mut Tx, mut room: Record) -> Result<(), Error> {
        match roster::heir(self.engine(), tx, room.id()).await? {
            Some(heir) => room.set(room::OWNER, heir.into()),
            None => {
                room.set(room::OWNER, "".into());
                room.set(room::IS_ACTIVE, Value::Bool(false));
            }
        }
        room.on_update(self.engine().now());
        self.engine().save_with(tx, room, false).await?;
        Ok(())
    }

    /// Keeps the live session in step with a row.
    fn settle_session(&self, tx: &mut Tx, row: &Record, before: Before) -> Result<(), Error> {
        let was_active = before.status == Some(Status::Active);
        let status = Status::stored(row);
        let (room, user) = (row.text(ROOM), row.text(USER));
        if status != Some(Status::Active) {
            let why = match status {
                Some(Status::Banned) => "banned",
                Some(Status::Expired) => "expired",
                Some(Status::Rejected) => "rejected",
                _ => "left",
            };
            if was_active {
                self.left(tx, row, why)?;
            }
            return Ok(());
        }
        if !was_active {
            return Ok(notices::publish(
                self.0.live(),
                tx,
                "member_joined",
                room,
                user,
            )?);
        }
        let (role, permissions) = (Role::of(row), Permissions::of(row));
        if role != before.role || permissions != before.permissions {
            let (sessions, room, user) =
                (self.0.sessions().clone(), room.to_owned(), user.to_owned());
            tx.after_commit(Box::pin(async move {
                sessions
                    .set_permissions(&room, &user, role, permissions)
                    .await;
            }));
        }
        Ok(())
    }

    /// Takes somebody who is no active member any more out of the live session.
    fn left(&self, tx: &mut Tx, row: &Record, why: &'static str) -> Result<(), Error> {
        let (room, user) = (row.text(ROOM), row.text(USER));
        notices::publish(self.0.live(), tx, "member_left", room, user)?;
        let (sessions, room, user) = (self.0.sessions().clone(), room.to_owned(), user.to_owned());
        tx.after_commit(Box::pin(async move {
            sessions.evict_user(&room, &user, why).await;
        }));
        Ok(())
    }

    /// Tells those whom a change concerns.
    async fn tell(
        &self,
        tx: &mut Tx,
        row: &Record,
        room: &Record,
        before: Before,
    ) -> Result<(), Error> {
        use Status::{Active, Banned, Expired, Pending, Rejected};
        let (live, user) = (self.0.live(), row.text(USER));
        let kind = match (before.status, Status::stored(row)) {
            (None | Some(Rejected | Expired), Some(Pending)) if !is_unpaid(row) => {
                let data = json!({"user_id": user, "room_id": room.id(), "member_id": row.id()});
                for host in roster::hosts(self.engine(), tx, room.id()).await? {
                    notices::notify(live, tx, &host, "join_request", room, &data).await?;
                }
                return Ok(());
            }
            (Some(Pending), Some(Active)) if !before.is_unpaid => "room_join_approved",
            (Some(Pending), Some(Rejected)) if !before.is_unpaid => "room_join_rejected",
            (Some(Active), Some(Expired)) => "room_membership_expired",
            (Some(before), Some(Banned)) if before != Banned => "room_banned",
            (Some(Active), Some(Active)) => match (before.role, Role::of(row)) {
                (Role::Participant, Role::Admin) => "promoted_to_room_admin",
                (Role::Admin, Role::Participant) => "demoted_from_room_admin",
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        Ok(notices::notify_of_room(live, tx, user, kind, room).await?)
    }
}

impl RecordHook for MemberWrites {
    fn priority(&self) -> i32 {
        AHEAD_OF_SCRIPTS
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.name == MEMBERS
    }

    fn completes(&self, _: &Collection) -> bool {
        true
    }

    fn is_settable(&self, _: &Collection, field: &str) -> bool {
        SETTABLE.contains(&field)
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
            let course = self.begin(event).await?;
            if let Some(room) = &course.room {
                let before = course.before.unwrap_or(Before::NOTHING);
                self.check(event, room, (before, course.has_place)).await?;
            }
            next.run(event).await?;
            self.settle(event, course).await?;
            Ok(())
        })
    }

    fn presents(&self, collection: &Collection) -> bool {
        collection.name == MEMBERS
    }

    fn present(&self, engine: &Engine, request: &RequestInfo, row: &mut Record) {
        if request.context != context::REALTIME && owner_of(request) == Some(row.text(USER)) {
            row.unhide(CONFIDENTIAL);
        }
        if is_due(row, engine.now()) {
            set_status(row, Status::Expired);
            self.0.expiry().nudge();
        }
    }
}

/// Begins what is paid: for the period that was agreed on, or for ever.
pub(in crate::modules::rooms) fn begin_paid(row: &mut Record, now: DateTime) {
    set_status(row, Status::Active);
    row.set(PAID_AT, now.to_string().into());
    row.set(CHARGE, "".into());
    let days = number(row, PERIOD_DAYS) as i64;
    let until = match days {
        1.. => now.add_seconds(days.saturating_mul(DAY_S)).to_string(),
        _ => String::new(),
    };
    row.set(EXPIRES_AT, until.into());
}
