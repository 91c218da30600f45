//! The id that joins a request to its log lines.

use std::fmt;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};

use crate::base::id::random_id;

/// The header it comes in and goes out by.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id taken from a client.
const LENGTH_MAX: usize = 128;

/// The id of a request: the client's `X-Request-ID` if it is 1 to 128 visible ASCII characters, else a random one.
/// Cloning is one reference count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the client's id or makes one.
    pub(super) fn take_or_make(headers: &HeaderMap) -> Self {
        match headers.get(X_REQUEST_ID).filter(|value| is_sane(value)) {
            Some(value) => Self(value.clone()),
            None => Self::make(),
        }
    }

    fn make() -> Self {
        // An id is ASCII, so that this cannot fail.
        let value = HeaderValue::try_from(random_id());
        Self(value.unwrap_or_else(|_| HeaderValue::from_static("-")))
    }

    /// The id of a request that passed the middleware.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(super) fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// Visible ASCII only, so that an id cannot forge a log line.
fn is_sane(value: &HeaderValue) -> bool {
    (1..=LENGTH_MAX).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
}

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(header: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(
                X_REQUEST_ID,
                HeaderValue::from_bytes(header.as_bytes()).unwrap(),
            );
        }
        RequestId::take_or_make(&headers).to_string()
    }

    #[test]
    fn sane_ids_are_kept_and_others_replaced() {
        assert_eq!(id(Some("abc-1:2")), "abc-1:2");
        let long = "x".repeat(LENGTH_MAX + 1);
        for bad in [
            None,
            Some(""),
            Some("a b"),
            Some("a\tb"),
            Some("é"),
            Some(long.as_str()),
        ] {
            let made = id(bad);
            assert_eq!(made.len(), 15, "{bad:?}");
            assert_ne!(made, id(bad));
        }
    }
}
