//! The media plane over the wire: real sessions on loopback, real clients.

mod channels;
mod joining;
mod leaving;
mod media;
mod negotiation;
mod support;
