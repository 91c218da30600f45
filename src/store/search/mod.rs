//! Filters and sorts to SQL.
//!
//! The meaning is PocketBase's (`tools/search` and `core/record_field_resolver*`); the SQL is not. What one row can have many of becomes
//! EXISTS instead of a join, so that rows never need to be told apart again; what does not depend on the row becomes a set that is worked
//! out once; what is known before the query runs is decided here. Values never become part of the text.

mod compile;
mod condition;
mod fold;
mod functions;
mod indexes;
mod known;
mod merge;
mod place;
mod request;
mod resolve;
mod tree;
mod write;

pub use compile::{Compiler, Part, Scope};
pub use condition::{Condition, Decay, Sort, Where};
pub(in crate::store) use condition::{Form, OrderKey, Pieces};
pub(in crate::store) use indexes::last_unique;
pub use request::RequestValues;

#[cfg(test)]
mod tests;
