//! The edge kit: errors, middleware, bodies, query strings, SSE framing, ranges. Knows HTTP, not the application.

pub mod body;
pub mod caller;
pub mod dispatch;
pub mod download;
pub mod error;
pub mod exchange;
mod form;
pub mod gzip;
pub mod json;
pub mod limit;
pub mod middleware;
pub mod proxy;
pub mod query;
pub mod range;
pub mod rate;
pub mod sse;

pub use body::{BodyData, UploadedFile};
pub use caller::{Caller, StreamCaller};
pub use error::{ApiError, ModuleRoute};
pub use limit::BodyLimit;
pub use query::{Paging, Query};
