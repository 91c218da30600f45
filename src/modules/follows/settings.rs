//! On which terms people can be followed: the collection `followSettings`.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::state::number;
use super::{Error, SETTINGS};
use crate::base::Cents;
use crate::base::code::BODY_INVALID;
use crate::engine::{self, Next, Op, RecordEvent, RecordHook, Stage};
use crate::model::{Collection, FieldError, FieldErrors, Record, Value};
use crate::modules::{AHEAD_OF_SCRIPTS, owner_of};
use crate::store::{Conn, records};

pub(super) const USER: &str = "user";
pub(super) const FOLLOW_TYPE: &str = "followType";
pub(super) const PRICE: &str = "price";
pub(super) const PERIOD_DAYS: &str = "periodDays";
pub(super) const DESCRIPTION: &str = "description";
pub(super) const ACCEPTING: &str = "isAcceptingFollowers";
/// The longest period, in days.
pub(super) const PERIOD_DAYS_MAX: i64 = 36_500;
pub(super) const DESCRIPTION_CHARS_MAX: usize = 2_000;

/// What following takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FollowType {
    #[default]
    Free,
    RequireApproval,
    /// Paid for some days.
    PaidPeriod,
    /// Paid once.
    PaidLifetime,
}

impl FollowType {
    const ALL: [Self; 4] = [
        Self::Free,
        Self::RequireApproval,
        Self::PaidPeriod,
        Self::PaidLifetime,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::RequireApproval => "require_approval",
            Self::PaidPeriod => "paid_period",
            Self::PaidLifetime => "paid_lifetime",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    fn is_paid(self) -> bool {
        matches!(self, Self::PaidPeriod | Self::PaidLifetime)
    }
}

/// The terms of one user; by default free and open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub kind: FollowType,
    pub price: Cents,
    pub period_days: i64,
    pub is_accepting: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            kind: FollowType::Free,
            price: Cents::ZERO,
            period_days: 0,
            is_accepting: true,
        }
    }
}

impl Terms {
    pub(super) fn of(row: &Record) -> Self {
        Self {
            kind: FollowType::parse(row.text(FOLLOW_TYPE)).unwrap_or_default(),
            // Its writes have checked that it is an amount.
            price: Cents::nearest(number(row, PRICE)).unwrap_or_default(),
            // A whole number within the bounds of the field.
            period_days: number(row, PERIOD_DAYS) as i64,
            is_accepting: row.flag(ACCEPTING),
        }
    }
}

/// The settings of a user, if any are stored.
pub(super) async fn find(
    conn: &mut Conn,
    settings: &Arc<Collection>,
    user: &str,
) -> Result<Option<Record>, Error> {
    let user = Value::from(user);
    Ok(records::find_by_field(conn, settings, USER, &user).await?)
}

/// Writes of settings.
pub(super) struct Settings {
    pub(super) has_market: bool,
}

impl Settings {
    fn check(&self, row: &Record) -> Result<(), engine::Error> {
        let mut errors = FieldErrors::new();
        let mut refuse = |field: &str, message: &str| {
            errors.add(field, FieldError::new("validation_invalid_value", message));
        };
        let price = number(row, PRICE);
        if let Err(error) = Cents::from_number(price) {
            refuse(PRICE, &error.to_string());
        }
        let kind = FollowType::parse(row.text(FOLLOW_TYPE)).unwrap_or_default();
        if kind.is_paid() {
            if !self.has_market {
                refuse(FOLLOW_TYPE, "Paid follows are not available here.");
            }
            if price <= 0.0 {
                refuse(PRICE, "Must be more than 0.");
            }
        }
        if kind == FollowType::PaidPeriod && number(row, PERIOD_DAYS) < 1.0 {
            refuse(PERIOD_DAYS, "Must be 1 or more.");
        }
        errors
            .into_result()
            .map_err(|fields| engine::Error::validation(BODY_INVALID, fields))
    }
}

impl RecordHook for Settings {
    fn priority(&self) -> i32 {
        AHEAD_OF_SCRIPTS
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.name == SETTINGS
    }

    fn completes(&self, _: &Collection) -> bool {
        true
    }

    fn is_settable(&self, _: &Collection, field: &str) -> bool {
        field != USER
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), engine::Error>> {
        if stage != Stage::Write || event.op == Op::Delete {
            return next.run(event);
        }
        Box::pin(async move {
            let request = event.request.as_ref();
            if let Some(client) = request.filter(|info| !info.is_superuser()) {
                let owner = match event.op {
                    Op::Create => Some(owner_of(client).ok_or(Error::NotAUser)?.into()),
                    Op::Update | Op::Delete => event.record.original(USER).cloned(),
                };
                if let Some(owner) = owner {
                    event.record.set(USER, owner);
                }
            }
            let is_silent = event
                .request
                .as_ref()
                .is_some_and(|info| !info.body.contains_key(ACCEPTING));
            if event.op == Op::Create && is_silent {
                event.record.set(ACCEPTING, Value::Bool(true));
            }
            if event.validate {
                self.check(&event.record)?;
            }
            next.run(event).await
        })
    }
}
