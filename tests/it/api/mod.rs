//! PocketBase's HTTP API, a file per subject.

mod auth;
mod backups;
mod bad_input;
mod batch;
mod collections;
mod concurrency;
mod events;
mod files;
mod fuzz;
mod mails;
mod modifiers;
mod permissions;
mod queries;
mod realtime;
mod records;
mod rules;
mod settings_own;
mod sql;
mod uploads;
