//! What every request passes through: one wrap, since each layer of actix-web costs an allocation and a dispatch.

mod activity;
mod cors;
mod deferred;
mod edge;
mod redact;
mod request_id;

#[cfg(test)]
mod tests;

pub use activity::{Activity, ActivityLog, SkipActivityLog};
pub use cors::Cors;
pub use deferred::{Deferred, DeferredService, Replies, Reply};
pub use edge::{ACCESS_TARGET, Edge, EdgeOptions, EdgeService, Framable, method_of, not_found};
pub use redact::redact_query;
pub use request_id::RequestId;
