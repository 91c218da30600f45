//! Records: reading under rules, writing through the pipeline.
//!
//! | file | holds |
//! | --- | --- |
//! | `read` | list and view |
//! | `query` | looking records up without rules |
//! | `write` | create, update and delete as a request asks for them, with rules |
//! | `draft` | a record between the request and the write |
//! | `save` | the pipeline inside the transaction: hooks, checks against the database, statements |
//! | `cascade` | what a delete does to records that refer to the deleted one |

mod cascade;
mod draft;
mod query;
mod read;
pub(super) mod save;
mod write;

pub use draft::{Draft, Writing};
pub use query::{RecordQuery, RecordSum};
pub use read::{Found, ListParams, Viewing};
pub use write::Input;
