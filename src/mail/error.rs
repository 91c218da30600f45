//! Why a mail was not sent.

use crate::base::code::Code;

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address, a header or the whole cannot be written as a message.
    #[error("the mail cannot be written: {0}")]
    Invalid(String),
    /// The server cannot be reached, is not trusted, or did not take the mail.
    #[error("the mail server did not take the mail")]
    Smtp(#[source] lettre::transport::smtp::Error),
    /// The file could not be written.
    #[error("the mail could not be written to a file")]
    Folder(#[source] std::io::Error),
    /// It took longer than [`SEND_TIMEOUT`](super::SEND_TIMEOUT).
    #[error("the mail server took too long")]
    Timeout,
    /// Somebody who takes part in sending refused it.
    #[error("the mail was refused: {0}")]
    Refused(String),
    /// Too many mails wait already.
    #[error("too many mails wait to be sent")]
    Busy,
}

impl Error {
    /// The code a client is told.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid(_) | Self::Smtp(_) | Self::Refused(_) | Self::Timeout => Code::BadRequest,
            Self::Folder(_) => Code::Internal,
            Self::Busy => Code::Unavailable,
        }
    }

    /// The text with what the mail server said, for the log and for superusers. Credentials and content are not in it.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            // The library's text has its causes in it already.
            Self::Smtp(cause) => format!("{self}: {cause}"),
            Self::Folder(cause) => format!("{self}: {}", cause.kind()),
            other => other.to_string(),
        }
    }
}
