//! Who asks for what: the part of a request that rules can see.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::model::Record;

/// The way a request came in, as `@request.context` names it.
pub mod context {
    pub const DEFAULT: &str = "default";
    pub const EXPAND: &str = "expand";
    pub const REALTIME: &str = "realtime";
    pub const PROTECTED_FILE: &str = "protectedFile";
    pub const BATCH: &str = "batch";
    pub const OTP: &str = "otp";
    pub const PASSWORD_AUTH: &str = "password";
}

/// What rules read as `@request.*`. Cheap to clone: the maps are shared.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// One of [`context`].
    pub context: &'static str,
    /// Upper case.
    pub method: Arc<str>,
    /// The first value of each query parameter, as text.
    pub query: Arc<Map<String, Json>>,
    /// Names in lower case with `_` for `-`.
    pub headers: Arc<Map<String, Json>>,
    /// The submitted fields; on record writes with modifiers resolved.
    pub body: Arc<Map<String, Json>>,
    /// The signed-in record.
    pub auth: Option<Arc<Record>>,
}

impl Default for RequestInfo {
    fn default() -> Self {
        Self {
            context: context::DEFAULT,
            method: "GET".into(),
            query: Arc::default(),
            headers: Arc::default(),
            body: Arc::default(),
            auth: None,
        }
    }
}

impl RequestInfo {
    /// Whether the caller is a superuser, for whom rules do not count.
    #[must_use]
    pub fn is_superuser(&self) -> bool {
        self.auth
            .as_ref()
            .is_some_and(|record| record.collection().is_superusers())
    }

    /// A query parameter's text; empty when absent.
    #[must_use]
    pub fn query(&self, name: &str) -> &str {
        self.query.get(name).and_then(Json::as_str).unwrap_or("")
    }

    /// The same request seen from another context.
    #[must_use]
    pub fn in_context(&self, context: &'static str) -> Self {
        Self {
            context,
            ..self.clone()
        }
    }

    /// The same request with another body.
    #[must_use]
    pub fn with_body(&self, body: Map<String, Json>) -> Self {
        Self {
            body: Arc::new(body),
            ..self.clone()
        }
    }
}
