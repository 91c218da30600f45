//! Rotunda: a backend in one binary. See ARCHITECTURE.md for the map.

pub mod api;
pub mod base;
pub mod blob;
pub mod bus;
pub mod cli;
pub mod config;
pub mod engine;
pub mod filter;
pub mod hooks;
pub mod http;
pub mod js;
pub mod live;
pub mod mail;
pub mod model;
pub mod modules;
pub mod outbound;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod template;

/// The media plane: a package of its own where it stands (`src/sfu`).
pub use rotunda_sfu as sfu;
