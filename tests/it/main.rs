//! Everything that is seen over the wire, and the house rules, in one executable.
//!
//! `ROTUNDA_SERVER` names a binary to test in place of this library: a PocketBase passes what is not marked as ours.

mod api;
mod cli;
mod layers;
mod store;
mod support;
