//! Records: reading under rules, writing through the pipeline.
//!
//! | file | holds |
//! | --- | --- |
//! | `read` | list and view |
//! | `write` | create, update and delete as a request asks for them, with rules |
//! | `save` | the pipeline inside the transaction: hooks, checks against the database, statements |
//! | `cascade` | what a delete does to records that refer to the deleted one |

mod cascade;
mod read;
pub(super) mod save;
mod write;

pub use read::{ListParams, Page};
pub use write::Input;
