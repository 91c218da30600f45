//! What operations on live rooms refuse.

use crate::base::Code;
use crate::http::ApiError;
use crate::model::{FieldError, FieldErrors};
use crate::modules::rooms;
use crate::{engine, sfu};

/// A refused or failed operation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// As many are in as the room has places.
    #[error("room is full")]
    Full,
    #[error("you are in this room too many times")]
    TooManyTabs,
    #[error("this room is locked")]
    Locked,
    /// A host has refused the caller a moment ago.
    #[error("you were not let into this room")]
    Denied,
    /// There is no such participant.
    #[error("no such participant")]
    NoParticipant,
    /// Nobody of this id waits.
    #[error("nobody of this id is waiting")]
    NotWaiting,
    /// The participant is somebody else's connection.
    #[error("this is another participant's connection")]
    NotYours,
    #[error("you are not allowed to do this")]
    NotAllowed,
    /// The session ended while the caller came in, or the caller was thrown out.
    #[error("the session has ended")]
    Ended,
    /// Too many ask at once.
    #[error("too many are joining, try again")]
    Busy,
    /// The server runs without a media plane.
    #[error("rooms are not available here")]
    NoMedia,
    #[error(transparent)]
    Media(#[from] sfu::Error),
    #[error(transparent)]
    Room(#[from] rooms::Error),
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Full
            | Error::TooManyTabs
            | Error::Locked
            | Error::Denied
            | Error::NotYours
            | Error::NotAllowed => Self::forbidden(text),
            Error::NoParticipant | Error::NotWaiting => Self::not_found(text),
            Error::Ended => Self::new(Code::Conflict, text),
            Error::Busy | Error::NoMedia => Self::new(Code::Unavailable, text),
            Error::Media(error) => of_media(error),
            Error::Room(error) => error.into(),
            Error::Engine(error) => error.into(),
        }
    }
}

fn of_media(error: sfu::Error) -> ApiError {
    let text = error.to_string();
    match error {
        sfu::Error::Closed => ApiError::new(Code::Unavailable, text),
        sfu::Error::UnknownPeer => ApiError::from(Error::NoParticipant),
        sfu::Error::Full => ApiError::from(Error::Full),
        // Glare has an answer of its own; see `routes`.
        sfu::Error::WrongState | sfu::Error::Glare => ApiError::new(Code::Conflict, text),
        sfu::Error::BadDescription(_) => of_field("sdp", text),
        sfu::Error::BadCandidate => of_field("candidate", text),
        sfu::Error::PeerExists | sfu::Error::Internal(_) => ApiError::internal(error),
    }
}

fn of_field(name: &str, text: String) -> ApiError {
    let error = FieldError::new("validation_invalid_value", text);
    ApiError::validation(
        crate::base::code::BODY_INVALID,
        &FieldErrors::one(name, error),
    )
}
