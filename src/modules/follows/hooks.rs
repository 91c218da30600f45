//! What happens inside the writes of follows: asking, paying, and who is told.

use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};

use super::settings::{self, FollowType, Terms};
use super::state::{
    CHARGE, EXPIRES_AT, FOLLOWER, FOLLOWING, PAID_AMOUNT, PAID_AT, PERIOD_DAYS, ROLE, Role, STATUS,
    Status, WAS_ACTIVE, begin_anew, has_run_out, is_due, is_unpaid, number, set_role, set_status,
};
use super::till::{Bill, Till};
use super::{Error, FOLLOWS, SETTINGS, USERS, find_pair};
use crate::base::DateTime;
use crate::engine::{self, Engine, Next, Op, RecordEvent, RecordHook, RequestInfo, Stage};
use crate::live::{Live, Notification};
use crate::model::{Collection, Record, Value};
use crate::modules::expiry::Expiry;
use crate::modules::{AHEAD_OF_SCRIPTS, keep, owner_of};
use crate::store::search::Condition;
use crate::store::{Tx, records};

const DAY_S: i64 = 86_400;
/// What clients may name: whom they follow.
const SETTABLE: [&str; 2] = ["id", FOLLOWING];

/// Writes of follows. A new one asks, whoever writes it; what an update changes is told to those it concerns.
pub(super) struct Follows {
    pub(super) live: Live,
    pub(super) till: Till,
    pub(super) expiry: Expiry,
}

/// What a row was before a write.
struct Before {
    status: Option<Status>,
    role: Role,
    is_unpaid: bool,
}

impl Before {
    fn of(row: &Record) -> Self {
        Self {
            status: Status::stored(row),
            role: Role::of(row),
            is_unpaid: is_unpaid(row),
        }
    }
}

impl Follows {
    /// Makes a new record what asking makes of it: an active row, a pending one, or the row of before begun anew.
    async fn ask(&self, event: &mut RecordEvent<'_>) -> Result<Option<Before>, Error> {
        let client = event.request.as_ref().filter(|info| !info.is_superuser());
        if let Some(client) = client {
            let follower = owner_of(client).ok_or(Error::NotAUser)?.to_owned();
            event.record.set(FOLLOWER, follower.into());
        } else if !event.record.text(STATUS).is_empty() {
            // Superusers and scripts that name a status write a row as it is, as when rows are brought from elsewhere.
            if event.record.text(ROLE).is_empty() {
                set_role(&mut event.record, Role::Follower);
            }
            return Ok(None);
        }
        let follower = event.record.text(FOLLOWER).to_owned();
        let following = event.record.text(FOLLOWING).to_owned();
        if !follower.is_empty() && follower == following {
            return Err(Error::Oneself);
        }
        begin_anew(&mut event.record);
        set_status(&mut event.record, Status::Pending);
        let Some(name) = name_of_followed(event.tx, &follower, &following).await? else {
            // The validation says who is missing.
            return Ok(None);
        };
        let engine = event.engine.clone();
        let former = former(&engine, event.tx, &follower, &following).await?;
        let terms = terms(event.tx, &following).await?;
        if !terms.is_accepting {
            return Err(Error::NotAccepting);
        }
        if let Some(row) = former {
            event.record = row;
            event.op = Op::Update;
            begin_anew(&mut event.record);
            event.record.on_update(engine.now());
        }
        let before = match event.op {
            Op::Update => event.record.to_original().map(|row| Before::of(&row)),
            Op::Create | Op::Delete => None,
        };
        let row = &mut event.record;
        self.grant(event.tx, row, &terms, &name, engine.now())
            .await?;
        Ok(Some(before.unwrap_or(Before {
            status: None,
            role: Role::Follower,
            is_unpaid: false,
        })))
    }

    /// Gives a row the state that the terms lead to, and charges what they cost.
    async fn grant(
        &self,
        tx: &mut Tx,
        row: &mut Record,
        terms: &Terms,
        name: &str,
        now: DateTime,
    ) -> Result<(), Error> {
        match terms.kind {
            FollowType::Free => {
                set_status(row, Status::Active);
                return Ok(());
            }
            FollowType::RequireApproval => {
                set_status(row, Status::Pending);
                return Ok(());
            }
            FollowType::PaidPeriod | FollowType::PaidLifetime => {}
        }
        let charged = self
            .till
            .charge(
                tx,
                &Bill {
                    follower: row.text(FOLLOWER),
                    following: row.text(FOLLOWING),
                    name,
                    price: terms.price,
                    follow: row.id(),
                },
            )
            .await?;
        row.set(PAID_AMOUNT, Value::Number(terms.price.to_number()));
        if terms.kind == FollowType::PaidPeriod {
            row.set(PERIOD_DAYS, Value::Number(terms.period_days as f64));
        }
        if charged.paid {
            begin_paid(row, now);
        } else {
            row.set(CHARGE, charged.cashout.into());
            set_status(row, Status::Pending);
        }
        Ok(())
    }

    /// Tells those whom a change concerns.
    async fn tell(&self, tx: &mut Tx, row: &Record, before: &Before) -> Result<(), engine::Error> {
        use Status::{Active, Expired, Pending, Rejected};
        let (follower, following) = (row.text(FOLLOWER), row.text(FOLLOWING));
        let of_follower = json!({"follower_id": follower, "follow_id": row.id()});
        let of_following = json!({"following_id": following});
        let after = Status::stored(row);
        let told = match (before.status, after) {
            (None | Some(Rejected | Expired), Some(Active)) => {
                Some((following, "new_follower", &of_follower))
            }
            (Some(Pending), Some(Active)) if before.is_unpaid => {
                Some((following, "new_follower", &of_follower))
            }
            (None | Some(Rejected | Expired), Some(Pending)) if !is_unpaid(row) => {
                Some((following, "follow_request", &of_follower))
            }
            (Some(Pending), Some(Active)) => Some((follower, "follow_approved", &of_following)),
            (Some(Pending), Some(Rejected)) if !before.is_unpaid => {
                Some((follower, "follow_rejected", &of_following))
            }
            (Some(Active), Some(Expired)) => Some((follower, "follow_expired", &of_following)),
            _ => None,
        };
        if let Some((user, kind, data)) = told {
            notify(&self.live, tx, user, kind, data).await?;
        }
        let is_promoted = before.role == Role::Follower && Role::of(row) == Role::Admin;
        if is_promoted && before.status.is_some() && after == Some(Active) {
            notify(&self.live, tx, follower, "promoted_to_admin", &of_following).await?;
        }
        Ok(())
    }
}

impl RecordHook for Follows {
    fn priority(&self) -> i32 {
        AHEAD_OF_SCRIPTS
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.name == FOLLOWS
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
            let before = match event.op {
                Op::Create => self.ask(event).await?,
                Op::Update => {
                    let request = event.request.as_ref();
                    if request.is_some_and(|info| !info.is_superuser()) {
                        keep(&mut event.record, &[FOLLOWER, FOLLOWING]);
                    }
                    let before = event.record.to_original();
                    if let Some(before) = &before {
                        note_ban(&mut event.record, before, event.engine.now());
                    }
                    before.map(|row| Before::of(&row))
                }
                Op::Delete => None,
            };
            let charge = match event.op {
                Op::Delete if is_unpaid(&event.record) => event.record.text(CHARGE).to_owned(),
                _ => String::new(),
            };
            next.run(event).await?;
            if !charge.is_empty() {
                self.till.cancel(event.tx, &charge).await?;
            }
            if !event.record.text(EXPIRES_AT).is_empty() && event.op != Op::Delete {
                let expiry = self.expiry.clone();
                event.tx.on_commit(Box::new(move || expiry.nudge()));
            }
            if let Some(before) = before {
                self.tell(event.tx, &event.record, &before).await?;
            }
            Ok(())
        })
    }

    fn presents(&self, collection: &Collection) -> bool {
        collection.name == FOLLOWS
    }

    fn present(&self, engine: &Engine, _: &RequestInfo, row: &mut Record) {
        if is_due(row, engine.now()) {
            set_status(row, Status::Expired);
            self.expiry.nudge();
        }
    }
}

/// The row of before, if there is one that may ask again.
async fn former(
    engine: &Engine,
    tx: &mut Tx,
    follower: &str,
    following: &str,
) -> Result<Option<Record>, Error> {
    let Some(mut row) = find_pair(tx, follower, following).await? else {
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

async fn terms(tx: &mut Tx, following: &str) -> Result<Terms, Error> {
    let Some(collection) = tx.schema().find(SETTINGS).cloned() else {
        return Ok(Terms::default());
    };
    let found = settings::find(tx, &collection, following).await?;
    Ok(found.as_ref().map(Terms::of).unwrap_or_default())
}

/// How the followed user is called, if both are there.
async fn name_of_followed(
    tx: &mut Tx,
    follower: &str,
    following: &str,
) -> Result<Option<String>, Error> {
    let Some(users) = tx.schema().find(USERS).cloned() else {
        return Ok(None);
    };
    let ids = [follower, following];
    let found = records::find_many(tx, &users, &ids, &Condition::Always).await?;
    let followed = match found.as_slice() {
        [_, followed] => followed,
        _ => return Ok(None),
    };
    let name = [followed.text("name"), followed.id()];
    let name = name.into_iter().find(|name| !name.is_empty());
    Ok(name.map(str::to_owned))
}

/// Begins what is paid: for the period that was agreed on, or for ever.
pub(super) fn begin_paid(row: &mut Record, now: DateTime) {
    set_status(row, Status::Active);
    row.set(PAID_AT, now.to_string().into());
    row.set(CHARGE, "".into());
    let days = number(row, PERIOD_DAYS) as i64;
    if days > 0 {
        let until = now.add_seconds(days.saturating_mul(DAY_S));
        row.set(EXPIRES_AT, until.to_string().into());
    }
    debug_assert!(!has_run_out(row, now));
}

/// Keeps what a row was when it gets banned, whoever bans.
fn note_ban(row: &mut Record, before: &Record, now: DateTime) {
    let is_banned = Status::stored(row) == Some(Status::Banned);
    if is_banned && Status::stored(before) != Some(Status::Banned) {
        let was_active = Status::at(before, now) == Some(Status::Active);
        row.set(WAS_ACTIVE, Value::Bool(was_active));
    }
}

/// Tells a user, once the transaction is committed.
pub(super) async fn notify(
    live: &Live,
    tx: &mut Tx,
    user: &str,
    kind: &str,
    data: &Json,
) -> Result<(), engine::Error> {
    let (title, message) = match kind {
        "follow_request" => ("New request", "Someone asks to follow you."),
        "new_follower" => ("New follower", "Someone follows you."),
        "follow_approved" => ("Request approved", "Your request to follow was approved."),
        "follow_rejected" => ("Request rejected", "Your request to follow was rejected."),
        "follow_expired" => ("Follow expired", "You do not follow someone any more."),
        "promoted_to_admin" => ("You are an admin", "You may manage someone's followers."),
        "post_created" => ("New post", "Someone you follow has written a post."),
        _ => ("", ""),
    };
    let notification = Notification {
        user,
        kind,
        title,
        message,
        data,
    };
    live.notify(tx, notification).await?;
    Ok(())
}
