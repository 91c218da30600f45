//! What live operations can answer instead of their result.

use crate::bus::{SubscribeError, TopicError};
use crate::engine;
use crate::http::ApiError;
use crate::model::{FieldError, FieldErrors};

/// A refused or failed operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is no topic's.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The name is the server's own.
    #[error("topic names that begin with @ are reserved")]
    Reserved,
    /// The payload is over its bound.
    #[error("the payload of an event has at most {max} bytes")]
    PayloadTooLong {
        /// The bound.
        max: usize,
    },
    /// The bus has no room for another topic, or the stream none for another subscription.
    #[error("there are too many topics")]
    TooManyTopics,
    /// The subscriber ended while it was being set up.
    #[error("the stream has ended")]
    Ended,
    /// What the engine refuses or fails at.
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

impl From<SubscribeError> for Error {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Ended => Self::Ended,
            SubscribeError::TooManyTopics => Self::TooManyTopics,
        }
    }
}

/// Inside the writes of modules and scripts nobody sent what live events refuse: it is a fault of theirs.
impl From<Error> for engine::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Engine(error) => error,
            other => Self::Internal(other.to_string(), None),
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        use crate::base::code::Code;
        match error {
            Error::Topic(_) | Error::Reserved => {
                let field = FieldError::new("validation_invalid_topic", sentence(&error));
                Self::validation("Invalid topic name.", &FieldErrors::one("topic", field))
            }
            Error::PayloadTooLong { .. } => Self::new(Code::TooLarge, error.to_string()),
            Error::TooManyTopics => Self::new(Code::Unavailable, error.to_string()),
            Error::Ended => Self::unauthorized(""),
            Error::Engine(error) => error.into(),
        }
    }
}

fn sentence(error: &Error) -> String {
    crate::base::text::sentenize(&error.to_string())
}
