//! What the rows of `rooms` and `roomMembers` say.

use serde_json::{Map, Value as Json};

use crate::base::{Cents, DateTime};
use crate::model::{Record, Value};

/// Fields of `rooms`.
pub(super) mod room {
    pub(in crate::modules::rooms) const ROOM_TYPE: &str = "roomType";
    pub(in crate::modules::rooms) const NAME: &str = "name";
    pub(in crate::modules::rooms) const DESCRIPTION: &str = "description";
    pub(in crate::modules::rooms) const CREATOR: &str = "creator";
    pub(in crate::modules::rooms) const OWNER: &str = "owner";
    pub(in crate::modules::rooms) const IS_PUBLIC: &str = "isPublic";
    pub(in crate::modules::rooms) const MAX_PARTICIPANTS: &str = "maxParticipants";
    pub(in crate::modules::rooms) const JOIN_TYPE: &str = "joinType";
    pub(in crate::modules::rooms) const PRICE: &str = "price";
    pub(in crate::modules::rooms) const PERIOD_DAYS: &str = "periodDays";
    pub(in crate::modules::rooms) const IS_ACTIVE: &str = "isActive";
    pub(in crate::modules::rooms) const ACCESS_TYPE: &str = "accessType";
    pub(in crate::modules::rooms) const PUBLIC_ID: &str = "publicId";
    pub(in crate::modules::rooms) const LOCKED: &str = "locked";
}

pub(super) const ROOM: &str = "room";
pub(super) const USER: &str = "user";
pub(super) const ROLE: &str = "role";
pub(super) const STATUS: &str = "status";
/// The end of what was paid; of a row that waits for its payment, how long its place is kept.
pub(super) const EXPIRES_AT: &str = "expiresAt";
pub(super) const PAID_AMOUNT: &str = "paidAmount";
pub(super) const PAID_AT: &str = "paidAt";
pub(super) const JOINED_AT: &str = "joinedAt";
pub(super) const APPROVED_BY: &str = "approvedBy";
pub(super) const PERMISSIONS: &str = "permissions";
/// The period that was agreed on when the charge was made: the room's may change before it is paid.
pub(super) const PERIOD_DAYS: &str = "periodDays";
/// The charge that a pending row waits for.
pub(super) const CHARGE: &str = "charge";
/// What the member itself and the room's hosts see, and nobody else: hidden fields.
pub(super) const CONFIDENTIAL: [&str; 5] =
    [EXPIRES_AT, PAID_AMOUNT, PAID_AT, APPROVED_BY, PERMISSIONS];

/// Participants of a room that does not say how many it takes.
pub(super) const MAX_PARTICIPANTS_DEFAULT: i64 = 50;

/// What a room carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoomType {
    Audio,
    Video,
    Data,
}

impl RoomType {
    const ALL: [Self; 3] = [Self::Audio, Self::Video, Self::Data];

    /// The name on the wire.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Data => "data",
        }
    }

    /// Reads a name.
    #[must_use]
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What becoming a member takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum JoinType {
    #[default]
    Free,
    RequireApproval,
    /// Paid for some days.
    PaidPeriod,
    /// Paid once.
    PaidLifetime,
}

impl JoinType {
    const ALL: [Self; 4] = [
        Self::Free,
        Self::RequireApproval,
        Self::PaidPeriod,
        Self::PaidLifetime,
    ];

    /// The name on the wire.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::RequireApproval => "require_approval",
            Self::PaidPeriod => "paid_period",
            Self::PaidLifetime => "paid_lifetime",
        }
    }

    /// Reads a name.
    #[must_use]
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// What a room says.
    pub(super) fn of(room: &Record) -> Self {
        Self::parse(room.text(room::JOIN_TYPE)).unwrap_or_default()
    }

    pub(super) fn is_paid(self) -> bool {
        matches!(self, Self::PaidPeriod | Self::PaidLifetime)
    }
}

/// For whom a room is there at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessType {
    /// Every user may see it.
    Public,
    /// Its members alone.
    Private,
    Invitation,
    CrossWorkspace,
    Event,
}

impl AccessType {
    const ALL: [Self; 5] = [
        Self::Public,
        Self::Private,
        Self::Invitation,
        Self::CrossWorkspace,
        Self::Event,
    ];

    /// The name on the wire.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Invitation => "invitation",
            Self::CrossWorkspace => "cross_workspace",
            Self::Event => "event",
        }
    }

    /// Reads a name.
    #[must_use]
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// What a room says; one that says nothing is closed.
    pub(super) fn of(room: &Record) -> Self {
        Self::parse(room.text(room::ACCESS_TYPE)).unwrap_or(Self::Private)
    }
}

/// The state of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Waits for an answer, or for its payment.
    Pending,
    Active,
    Rejected,
    Expired,
    /// Cannot ask again.
    Banned,
}

impl Status {
    const ALL: [Self; 5] = [
        Self::Pending,
        Self::Active,
        Self::Rejected,
        Self::Expired,
        Self::Banned,
    ];

    /// The name on the wire.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
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
    pub(crate) fn parse(name: &str) -> Option<Self> {
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

/// What a member may decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Owner,
    /// Answers requests, bans, and has the tools of a host.
    Admin,
    Participant,
}

impl Role {
    const ALL: [Self; 3] = [Self::Owner, Self::Admin, Self::Participant];

    /// The name on the wire.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Participant => "participant",
        }
    }

    /// What a row of `roomMembers` says.
    pub(super) fn of(row: &Record) -> Self {
        let name = row.text(ROLE);
        let known = Self::ALL.into_iter().find(|role| role.as_str() == name);
        known.unwrap_or(Self::Participant)
    }

    /// Whether it is the owner's or an admin's.
    #[must_use]
    pub(crate) fn is_host(self) -> bool {
        self != Self::Participant
    }
}

/// What a member may do in the live session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permissions {
    pub speak: bool,
    pub video: bool,
    pub screen: bool,
    pub chat: bool,
    pub invite: bool,
}

impl Default for Permissions {
    /// Everything.
    fn default() -> Self {
        Self {
            speak: true,
            video: true,
            screen: true,
            chat: true,
            invite: true,
        }
    }
}

impl Permissions {
    /// The names on the wire.
    pub(super) const NAMES: [&'static str; 5] = ["speak", "video", "screen", "chat", "invite"];

    /// All of them, by name.
    pub(super) fn to_json(self) -> Json {
        let all = [self.speak, self.video, self.screen, self.chat, self.invite];
        let pairs = Self::NAMES.into_iter().zip(all);
        Json::Object(
            pairs
                .map(|(name, may)| (name.to_owned(), may.into()))
                .collect(),
        )
    }

    /// What a row of `roomMembers` says; what is absent is allowed.
    pub(super) fn of(row: &Record) -> Self {
        let stored: Map<String, Json> =
            serde_json::from_str(row.text(PERMISSIONS)).unwrap_or_default();
        let may = |name: &str| stored.get(name) != Some(&Json::Bool(false));
        Self {
            speak: may("speak"),
            video: may("video"),
            screen: may("screen"),
            chat: may("chat"),
            invite: may("invite"),
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

/// Whether something was charged that nobody has paid.
pub(super) fn owes(row: &Record) -> bool {
    number(row, PAID_AMOUNT) > 0.0 && row.text(PAID_AT).is_empty()
}

/// Whether a row waits for its payment, not for an answer.
pub(super) fn is_unpaid(row: &Record) -> bool {
    Status::stored(row) == Some(Status::Pending) && owes(row)
}

pub(super) fn number(row: &Record, field: &str) -> f64 {
    match row.get(field) {
        Some(Value::Number(number)) => *number,
        _ => 0.0,
    }
}

/// The price of a room; its writes have checked that it is an amount.
pub(super) fn price_of(room: &Record) -> Cents {
    Cents::nearest(number(room, room::PRICE)).unwrap_or_default()
}

pub(super) fn set_status(row: &mut Record, status: Status) {
    row.set(STATUS, status.as_str().into());
}

pub(super) fn set_role(row: &mut Record, role: Role) {
    row.set(ROLE, role.as_str().into());
}

/// Makes a row that of somebody who asks for the first time. What a host has forbidden stays so.
pub(super) fn begin_anew(row: &mut Record) {
    set_role(row, Role::Participant);
    for field in [EXPIRES_AT, PAID_AT, APPROVED_BY, JOINED_AT, CHARGE] {
        row.set(field, "".into());
    }
    for field in [PAID_AMOUNT, PERIOD_DAYS] {
        row.set(field, Value::Number(0.0));
    }
}
