//! The seam to the log of requests that superusers read (PocketBase's "Logs").

use std::borrow::Cow;
use std::time::Duration;

use actix_web::http::{Method, StatusCode, Uri};
use actix_web::{HttpMessage, HttpRequest};

use super::redact::redact_query;
use super::request_id::RequestId;
use crate::http::error::ApiError;

/// Where finished requests are written down. Called on the request's own thread: it must not block.
pub trait ActivityLog: Send + Sync {
    /// Whether requests are kept at all; asked before anything is gathered.
    fn is_on(&self) -> bool;

    /// Takes a finished request.
    fn record(&self, activity: &Activity<'_>);
}

/// Put into a request's extensions by a handler whose successes are too many to keep, such as files.
#[derive(Clone, Copy, Debug)]
pub struct SkipActivityLog;

/// A finished request. `duration` is until the response's head; a stream's body may follow much later.
pub struct Activity<'a> {
    /// As sent, also when HEAD was handled as GET.
    pub method: &'a Method,
    /// As sent; for logs use [`Activity::url`].
    pub uri: &'a Uri,
    /// Of the response.
    pub status: StatusCode,
    /// How long the handler took.
    pub duration: Duration,
    /// The request's id.
    pub request_id: &'a RequestId,
    /// Headers, address, and the extensions that handlers filled; `None` after a panic.
    pub request: Option<&'a HttpRequest>,
    /// Why it was refused or failed.
    pub error: Option<&'a ApiError>,
}

impl Activity<'_> {
    /// Path and query without secrets.
    pub fn url(&self) -> Cow<'_, str> {
        let path = self.uri.path();
        match self.uri.query() {
            None => Cow::Borrowed(path),
            Some(query) => Cow::Owned(format!("{path}?{}", redact_query(query))),
        }
    }

    /// A request header's text, empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        let value = self.request.and_then(|request| request.headers().get(name));
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    pub(super) fn is_skipped(&self) -> bool {
        let marked = |request: &HttpRequest| request.extensions().contains::<SkipActivityLog>();
        self.error.is_none() && self.request.is_some_and(marked)
    }
}
