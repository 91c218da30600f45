//! What happens now, for whoever is there: topics over SSE, a channel per user, notifications, presence.
//!
//! [`Live`] is the handle of modules and scripts: it publishes to topics, pushes to the channels of users, and notifies
//! them. Everything travels over the engine's bus; this room decides who may subscribe and publish, and who sees which
//! event.
//!
//! | file | holds |
//! | --- | --- |
//! | `handle` | [`Live`] |
//! | `publication` | what is published, and to whom |
//! | `collections` | `_topics`, `notifications` and the presence fields: made when somebody needs them |
//! | `ice` | the STUN and TURN servers that clients are told of |
//! | `rules` | the rules of topics, cached |
//! | `streams` | the open streams: their number, and when they must end |
//! | `topics`, `channel`, `notifications`, `presence` | the routes, with what is behind them |
//! | `room` | the user's room: requests and pushes over a data channel |
//! | `replies` | answers that go to a user's channel (`?respond_to=sse`) |
//!
//! A topic's name begins with anything but `@`: such names are the server's own, as those of the channels.

mod channel;
mod collections;
mod error;
mod handle;
mod ice;
mod notifications;
mod on_demand;
mod openapi;
pub mod presence;
mod publication;
mod replies;
mod room;
mod rules;
mod streams;
mod topics;

use actix_web::web::ServiceConfig;

pub use collections::{ensure_presence, ensure_topics};
pub use error::Error;
pub use handle::{Live, LiveOptions};
pub use ice::ice_servers;
pub use notifications::Notification;
pub use on_demand::OnDemand;
pub use openapi::description;
pub use presence::Presence;
pub use publication::Publication;
pub use streams::StreamLimits;

/// Mounts the routes below `/api`.
pub fn configure(config: &mut ServiceConfig) {
    topics::configure(config);
    channel::configure(config);
    notifications::configure(config);
    presence::configure(config);
    room::configure(config);
}
