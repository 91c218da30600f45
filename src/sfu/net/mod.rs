//! The one UDP port that all peers share: who sent this, and which session is to have it.
//!
//! It must never know what a datagram means, except the one kind that says who its sender is.
//!
//! # Finding the peer
//! One task receives. It owns its tables: registrations reach it over a channel, so that sessions share no lock. A datagram is
//! looked up by its source address. An address is bound to a peer by a STUN binding request that names the peer's ufrag and proves
//! its password (RFC 8445 section 7.3, RFC 8489 section 9.1); by another such request it goes over to another peer. All else from
//! strangers is counted and dropped. What ICE then makes of the request is the work of the peer's connection, behind the inbox:
//! it checks again, answers, and finds the peer-reflexive candidate.
//!
//! # What an attacker can make it do
//! - Noise from unknown addresses costs its receipt and one look-up; a binding request, a walk over at most 1,024 bytes and a
//!   second look-up. Neither allocates.
//! - To make it compute an HMAC one must know a ufrag that is in use, thus be that client or see its packets. Then a request with a
//!   right fingerprint costs an HMAC over at most 1,024 bytes, about what its receipt costs; and at most 128 a second for each
//!   ufrag, however many come. While such a flood lasts that one client can hardly bind new addresses; those it has stay bound.
//! - Who replays a captured request from elsewhere binds that address too, as in ICE itself: without the password nobody gets
//!   through DTLS. A peer has at most 16 addresses; the one silent longest goes, so replays do not push out a client that is there.
//! - A client that can forge another's source address can take that address over with its own password, until the other's next
//!   binding request takes it back; clients send one every few seconds (RFC 7675).
//! - Who forges a bound source address reaches the inbox of that session, where SRTP, DTLS and ICE refuse it. An inbox is bounded:
//!   a flood takes datagrams from its own session only.
//!
//! # Batches
//! On Linux up to 64 datagrams are read and written with one system call; the datagrams of a batch are sorted by inbox, each of
//! which is locked and woken once. Nothing waits for a socket or a session: what they do not take is dropped and counted.
//!
//! | file | holds |
//! | --- | --- |
//! | `port` | the handle, registrations, the receive task |
//! | `demux` | the tables: from datagram to inbox |
//! | `stun` | the reader of binding requests |
//! | `inbox`, `outgoing` | a session's queue in, its batches out |
//! | `socket`, `interfaces` | the system: opening, batches, addresses |
//! | `counters` | what is counted |
#![warn(clippy::indexing_slicing)]

mod counters;
mod demux;
mod inbox;
mod interfaces;
mod outgoing;
mod port;
#[cfg(test)]
mod requests;
mod socket;
mod stun;
#[cfg(test)]
mod tests;

pub(crate) use self::counters::Counters;
pub(crate) use self::inbox::{Datagram, Inbox};
pub(crate) use self::outgoing::Outgoing;
pub(crate) use self::port::{Port, Registration};
