//! Everything that is seen over the wire, and the house rules, in one executable.
//!
//! `ROTUNDA_SERVER` names a binary to test in place of this library: a PocketBase passes what is not marked as ours.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking, and its texts are known"
)]

mod api;
mod cli;
mod engine;
mod hooks;
mod layers;
mod live;
mod modules;
mod store;
mod support;
