//! What the operations refuse.

use serde_json::Map;

use crate::base::Code;
use crate::engine;
use crate::modules::market;

/// A refused or failed operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such user.
    #[error("no such user")]
    NoUser,
    /// There is no such follow, or it is none of the caller's business.
    #[error("no such follow")]
    NoFollow,
    /// The caller does not follow the user.
    #[error("you do not follow this user")]
    NotFollowing,
    #[error("you cannot follow yourself")]
    Oneself,
    #[error("you follow this user already")]
    Already,
    /// A request is waiting for its answer, or for its payment.
    #[error("you have asked this user already")]
    AlreadyAsked,
    #[error("this user accepts no followers")]
    NotAccepting,
    #[error("this user has banned you")]
    Banned,
    /// The follow is known to the caller, who may not do this to it.
    #[error("you are not allowed to do this")]
    NotAllowed,
    /// The follow is in a state that excludes the operation.
    #[error("{0}")]
    State(&'static str),
    /// Paid follows need the module `market`.
    #[error("paid follows are not available here")]
    NoMarket,
    /// The caller is a record of another collection than `users`.
    #[error("only users can follow")]
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
            Error::NoUser | Error::NoFollow | Error::NotFollowing => Self::NotFound(text),
            Error::Oneself | Error::Already | Error::AlreadyAsked | Error::NoMarket => {
                Self::BadRequest(text)
            }
            Error::NotAccepting | Error::Banned | Error::NotAllowed | Error::NotAUser => {
                Self::Forbidden(text)
            }
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
