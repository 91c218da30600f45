//! The state of a follow: which there are, and what a row says at a given moment.

use crate::base::DateTime;
use crate::model::{Record, Value};

pub(super) const FOLLOWER: &str = "follower";
pub(super) const FOLLOWING: &str = "following";
pub(super) const STATUS: &str = "status";
pub(super) const ROLE: &str = "role";
pub(super) const EXPIRES_AT: &str = "expiresAt";
pub(super) const PAID_AMOUNT: &str = "paidAmount";
pub(super) const PAID_AT: &str = "paidAt";
pub(super) const APPROVED_AT: &str = "approvedAt";
pub(super) const APPROVED_BY: &str = "approvedBy";
/// The period that was agreed on when the charge was made: settings may change before it is paid.
pub(super) const PERIOD_DAYS: &str = "periodDays";
/// The charge that a pending row waits for.
pub(super) const CHARGE: &str = "charge";
/// Whether a banned row was active before: the end of a ban gives back what there was, and no more.
pub(super) const WAS_ACTIVE: &str = "wasActive";

/// A follow's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Waits for an answer, or for its payment.
    Pending,
    Active,
    Rejected,
    Expired,
    /// Cannot ask again.
    Banned,
}

impl Status {
    /// All, in the order of the field's values.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Active,
        Self::Rejected,
        Self::Expired,
        Self::Banned,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Banned => "banned",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// What a row has stored, be it run out or not.
    pub(super) fn stored(row: &Record) -> Option<Self> {
        Self::parse(row.text(STATUS))
    }

    /// What a row says at a moment: an active one whose time has run out is expired.
    pub(super) fn at(row: &Record, now: DateTime) -> Option<Self> {
        if is_due(row, now) {
            return Some(Self::Expired);
        }
        Self::stored(row)
    }
}

/// What a follower may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Follower,
    /// Answers requests, bans and removes followers, and deletes comments on the followed user's posts.
    Admin,
}

impl Role {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Follower => "follower",
            Self::Admin => "admin",
        }
    }

    pub(super) fn of(row: &Record) -> Self {
        if row.text(ROLE) == Self::Admin.as_str() {
            Self::Admin
        } else {
            Self::Follower
        }
    }
}

/// Whether an active row's time has run out and nobody has noted it yet.
pub(super) fn is_due(row: &Record, now: DateTime) -> bool {
    Status::stored(row) == Some(Status::Active) && has_run_out(row, now)
}

/// Whether a row has an end, and it has come.
pub(super) fn has_run_out(row: &Record, now: DateTime) -> bool {
    let until = row.text(EXPIRES_AT);
    // Stored dates of the years up to 9999 are in the order of their texts.
    !until.is_empty() && until <= now.text().as_str()
}

/// Whether a row waits for its payment, not for an answer.
pub(super) fn is_unpaid(row: &Record) -> bool {
    Status::stored(row) == Some(Status::Pending)
        && number(row, PAID_AMOUNT) > 0.0
        && row.text(PAID_AT).is_empty()
}

pub(super) fn number(row: &Record, field: &str) -> f64 {
    match row.get(field) {
        Some(Value::Number(number)) => *number,
        _ => 0.0,
    }
}

pub(super) fn set_status(row: &mut Record, status: Status) {
    row.set(STATUS, status.as_str().into());
}

pub(super) fn set_role(row: &mut Record, role: Role) {
    row.set(ROLE, role.as_str().into());
}

/// Makes a row that of somebody who asks for the first time.
pub(super) fn begin_anew(row: &mut Record) {
    set_role(row, Role::Follower);
    for field in [EXPIRES_AT, PAID_AT, APPROVED_AT, APPROVED_BY, CHARGE] {
        row.set(field, "".into());
    }
    row.set(WAS_ACTIVE, Value::Bool(false));
    for field in [PAID_AMOUNT, PERIOD_DAYS] {
        row.set(field, Value::Number(0.0));
    }
}
