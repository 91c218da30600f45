//! The edge kit: errors, middleware, bodies, query strings, SSE framing, ranges. Knows HTTP, not the application.

pub mod error;
pub mod json;

pub use error::ApiError;
