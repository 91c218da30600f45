//! What a request brings along.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json};

use crate::model::Record;

/// What filters read as `@request.*`, and the moment they call now.
#[derive(Clone, Copy, Debug)]
pub struct RequestValues<'a> {
    pub context: &'a str,
    pub method: &'a str,
    pub query: &'a Map<String, Json>,
    /// Names in lower case with `_` for `-`.
    pub headers: &'a Map<String, Json>,
    pub body: &'a Map<String, Json>,
    /// The signed-in record.
    pub auth: Option<&'a Record>,
    pub now: DateTime<Utc>,
}
