//! What an engine operation can answer instead of its result.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::base::code::Code;
use crate::model::FieldErrors;
use crate::store;

/// A refused or failed operation. The message of every variant but `Internal` is meant for the client.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The input is refused as a whole; an empty text stands for the default text.
    #[error("{0}")]
    BadRequest(String),
    /// The input is refused field by field.
    #[error("{message}")]
    Validation {
        message: String,
        fields: FieldErrors,
    },
    /// Sign-in is needed.
    #[error("{0}")]
    Unauthorized(String),
    /// Known to exist and not allowed.
    #[error("{0}")]
    Forbidden(String),
    /// Absent, or hidden from the caller.
    #[error("{0}")]
    NotFound(String),
    /// A bounded queue is full.
    #[error("{0}")]
    Busy(String),
    /// An answer that a script or module chose: status (400 to 599), text and the members of `data`.
    #[error("{message}")]
    Custom {
        status: u16,
        message: String,
        data: Map<String, Json>,
        #[source]
        cause: Option<Cause>,
    },
    /// Something broke; the text is for the log.
    #[error("{0}")]
    Internal(String, #[source] Option<Cause>),
}

/// What lies behind an error, for the log. Shared, so that whoever is told of the error can be told all of it.
#[derive(Clone, Debug)]
pub struct Cause(Arc<dyn std::error::Error + Send + Sync>);

impl Cause {
    #[must_use]
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into().into())
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl Error {
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::BadRequest(message.into())
    }

    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::Forbidden(message.into())
    }

    /// Not found, with the default text.
    #[must_use]
    pub fn not_found() -> Self {
        Self::NotFound(String::new())
    }

    #[must_use]
    pub fn internal(
        message: impl Into<String>,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Internal(message.into(), Some(Cause::new(cause)))
    }

    /// Field errors under a message such as "Failed to create record".
    #[must_use]
    pub fn validation(message: impl Into<String>, fields: FieldErrors) -> Self {
        Self::Validation {
            message: message.into(),
            fields,
        }
    }

    /// The code that gives status and default text.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::BadRequest(_) | Self::Validation { .. } => Code::BadRequest,
            Self::Unauthorized(_) => Code::Unauthorized,
            Self::Forbidden(_) => Code::Forbidden,
            Self::NotFound(_) => Code::NotFound,
            Self::Busy(_) => Code::Unavailable,
            Self::Custom { status, .. } => Code::of_status(*status),
            Self::Internal(..) => Code::Internal,
        }
    }

    /// Replaces the text of a refusal without one, so that each operation speaks in its own words.
    #[must_use]
    pub fn or_message(self, text: &str) -> Self {
        match self {
            Self::BadRequest(message) if message.is_empty() => Self::BadRequest(text.to_owned()),
            Self::Validation { message, fields } if message.is_empty() => Self::Validation {
                message: text.to_owned(),
                fields,
            },
            Self::Custom {
                status,
                message,
                data,
                cause,
            } if message.is_empty() => Self::Custom {
                status,
                message: text.to_owned(),
                data,
                cause,
            },
            other => other,
        }
    }
}

impl From<FieldErrors> for Error {
    fn from(fields: FieldErrors) -> Self {
        Self::validation("", fields)
    }
}

/// Store failures that the input caused are refusals, the rest is internal. Unique constraints are mapped where the
/// collection is known (see `records::save`).
impl From<store::Error> for Error {
    fn from(cause: store::Error) -> Self {
        match cause {
            store::Error::Filter(text) => Self::BadRequest(text),
            store::Error::Statement(text) => Self::BadRequest(text),
            store::Error::Timeout => {
                Self::BadRequest("The query took too long and was stopped.".to_owned())
            }
            store::Error::Followed(failure) => match failure.downcast_ref::<Self>() {
                Some(error) => error.clone(),
                None => Self::internal("what followed a commit failed", failure),
            },
            store::Error::Busy | store::Error::Closed => {
                Self::Busy("The database is busy, try again.".to_owned())
            }
            other => Self::internal("database failure", other),
        }
    }
}
