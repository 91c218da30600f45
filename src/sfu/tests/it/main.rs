//! The media plane over the wire: real sessions on loopback, real clients.
#![allow(clippy::unwrap_used, clippy::panic, clippy::string_slice)] // Helpers of tests are not marked as such.

mod channels;
mod hostile;
mod joining;
mod leaving;
mod media;
mod negotiation;
mod soak;
mod support;
