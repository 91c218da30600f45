//! What the operations refuse.

use serde_json::Map;

use crate::base::Code;
use crate::engine;
use crate::live;
use crate::modules::market;

/// A refused or failed operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such room, or it is none of the caller's business.
    #[error("no such room")]
    NoRoom,
    /// There is no such membership, or it is none of the caller's business.
    #[error("no such member")]
    NoMember,
    /// The caller may know of the room and is no active member of it.
    #[error("you are no member of this room")]
    NotAMember,
    #[error("you are a member of this room already")]
    Already,
    /// A request is waiting for its answer, or for its payment.
    #[error("you have asked to join this room already")]
    AlreadyAsked,
    #[error("this room is not active")]
    Inactive,
    #[error("you are banned from this room")]
    Banned,
    #[error("room is full")]
    Full,
    /// A room has as many places as members, or more.
    #[error("the room has more members")]
    TooSmall,
    /// The caller has as many rooms as the settings allow.
    #[error("you have too many rooms")]
    TooManyRooms,
    /// The room or membership is known to the caller, who may not do this.
    #[error("you are not allowed to do this")]
    NotAllowed,
    #[error("the owner cannot leave the room")]
    Owner,
    /// The membership is in a state that excludes the operation.
    #[error("{0}")]
    State(&'static str),
    /// The new owner is no active member.
    #[error("the new owner must be an active member")]
    NoHeir,
    /// Paid rooms need the module `market`.
    #[error("paid rooms are not available here")]
    NoMarket,
    /// The caller is a record of another collection than `users`.
    #[error("only users can have rooms and join them")]
    NotAUser,
    /// What a charge is refused with, such as a balance that is too small.
    #[error(transparent)]
    Market(#[from] market::Error),
    /// What the engine refuses or fails at.
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

impl From<Error> for engine::Error {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NoRoom | Error::NoMember => Self::NotFound(text),
            Error::Already
            | Error::AlreadyAsked
            | Error::TooSmall
            | Error::NoHeir
            | Error::NoMarket => Self::BadRequest(text),
            Error::NotAMember
            | Error::Inactive
            | Error::Banned
            | Error::Full
            | Error::TooManyRooms
            | Error::NotAllowed
            | Error::Owner
            | Error::NotAUser => Self::Forbidden(text),
            Error::State(_) => Self::Custom {
                status: Code::Conflict.status(),
                message: text,
                data: Map::new(),
                cause: None,
            },
            Error::Market(error) => error.into(),
            Error::Engine(error) => error,
        }
    }
}

impl From<Error> for crate::http::ApiError {
    fn from(error: Error) -> Self {
        engine::Error::from(error).into()
    }
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl From<live::Error> for Error {
    fn from(error: live::Error) -> Self {
        Self::Engine(error.into())
    }
}
