//! The media plane over the wire: real sessions on loopback, real clients.

mod channels;
mod hostile;
mod joining;
mod leaving;
mod media;
mod negotiation;
mod soak;
mod support;
