//! The edge kit: errors, middleware, bodies, query strings, SSE framing, ranges. Knows HTTP, not the application.

pub mod error;
pub mod json;
pub mod proxy;
pub mod query;

pub use error::ApiError;
pub use query::{Paging, Query};
