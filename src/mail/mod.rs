//! Mails: filling in templates, building messages, handing them to an SMTP server or, without one, to a folder.
//!
//! Knows nothing of records and settings. Must never log a mail's content: it carries tokens.
//!
//! | file | holds |
//! | --- | --- |
//! | `template` | placeholders, and the page around a template's body |
//! | `plain` | the plain text that stands beside an HTML body |
//! | `message` | `Mail`, and how it becomes a message of RFC 5322 |
//! | `smtp` | the server to send through |
//! | `folder` | files instead of a server |
//! | `mailer` | `Mailer`: how many at once, for how long, and work that nobody waits for |

mod error;
mod folder;
mod mailer;
mod message;
mod plain;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub(crate) mod sink;
mod smtp;
pub mod template;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

pub use error::Error;
pub use mailer::{Mailer, Route, SEND_TIMEOUT};
pub use message::{Address, Attachment, Mail};
pub use plain::plain_text;
pub use smtp::{AuthMethod, Smtp};
