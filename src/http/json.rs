//! JSON responses from bytes that are encoded already.

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use bytes::Bytes;
use serde_json::Value;

use crate::base::json::write_value;

/// `application/json` without a charset, as PocketBase sends it.
pub const CONTENT_TYPE_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A response with a body of JSON text.
pub fn response(status: StatusCode, body: impl Into<Bytes>) -> HttpResponse {
    let body: Bytes = body.into();
    let mut response = HttpResponse::with_body(status, BoxBody::new(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, CONTENT_TYPE_JSON);
    response
}

/// 200 with a body of JSON text.
pub fn ok(body: impl Into<Bytes>) -> HttpResponse {
    response(StatusCode::OK, body)
}

/// 200 with a value; members in their given order.
pub fn ok_value(value: &Value) -> HttpResponse {
    let mut out = Vec::with_capacity(256);
    write_value(&mut out, value);
    ok(out)
}

/// 204: no body and no content type.
pub fn no_content() -> HttpResponse {
    HttpResponse::new(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_web::test]
    async fn json_has_no_charset_and_204_no_content_type() {
        let value = serde_json::json!({"b": "<", "a": 1});
        let response = ok_value(&value);
        assert_eq!(
            response.headers().get(CONTENT_TYPE),
            Some(&CONTENT_TYPE_JSON)
        );
        assert_eq!(
            to_bytes(response.into_body()).await.unwrap(),
            r#"{"b":"\u003c","a":1}"#
        );
        let response = no_content();
        assert_eq!(response.status(), 204);
        assert!(response.headers().is_empty());
    }
}
