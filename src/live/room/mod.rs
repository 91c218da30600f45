//! The user's room: requests, their answers and what an event stream would bring, both ways over one data channel.
//!
//! A client connects by HTTP, and from then on may send any request on the channel `api`: it goes through the same router as
//! HTTP's ([`crate::http::dispatch`]), as the caller who connected. The room ends as event streams do: when the token
//! expires or is revoked, and with the server. A user has one; who connects again takes the place of the connection before.
//!
//! | file | holds |
//! | --- | --- |
//! | `routes` | connecting and disconnecting |
//! | `rooms` | who has a room |
//! | `conversation` | the task of a room: messages in, answers and pushes out |
//! | `request`, `reply` | the messages, as JSON or MessagePack |
//! | `msgpack` | MessagePack from and to JSON |
//! | `short` | endpoints that stand for others |

mod conversation;
mod msgpack;
mod reply;
mod request;
mod rooms;
pub(super) mod routes;
mod short;

pub(super) use self::rooms::Rooms;
pub(super) use self::routes::configure;

/// The label of the channel.
const LABEL: &str = "api";
/// Longest message either way, in bytes.
const MESSAGE_BYTES_MAX: usize = 256 << 10;
