//! The collection engine: every read and write of records and collections passes here.
//!
//! A write goes: input applied to a record -> access rule -> validation -> password hashing and file storage, off the
//! writer -> one store job (the record read again, hooks, checks that need the database, statements, after-commit
//! callbacks) -> commit -> events -> answer. Nothing above this layer reaches tables in another way.

pub mod auth;
pub mod backups;
pub mod batch;
mod checks;
pub mod collections;
mod console;
mod core;
pub mod crons;
mod error;
pub mod events;
mod expand;
mod files;
pub mod hooks;
mod link;
mod listing;
pub mod logs;
mod mails;
pub mod records;
mod request;
mod rules;
mod script_api;
pub mod settings;

pub use core::{Engine, EngineOptions};
pub use error::{Cause, Error};
pub use expand::{Enriched, ExpandTree, Relation};
pub use hooks::{Committed, Failed, Hooks, Next, Op, RecordEvent, RecordHook, Stage};
pub use link::Link;
pub use mails::RecordMail;
pub use request::{RequestInfo, context};
pub use script_api::{ApiCall, ApiFunction, ScriptApi};
