//! Compressed answers for the routes that are wrapped in it: pages and their scripts.
//!
//! PocketBase compresses its dashboard and nothing else: API answers are small, files are mostly compressed already, and
//! an event stream must not wait for a compressor's buffer.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ACCEPT_ENCODING, HeaderValue, VARY};
use actix_web::middleware::Next;

/// Reduces `Accept-Encoding` to gzip or nothing, for `actix_web::middleware::Compress` behind it, which would otherwise
/// answer 406 to clients that exclude what it has, and prefer deflate now and then. Put it outside:
/// `.wrap(Compress::default()).wrap(from_fn(gzip_only))`.
///
/// # Errors
/// Those of the wrapped service.
pub async fn gzip_only<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let accepts = request
        .headers()
        .get(ACCEPT_ENCODING)
        .is_some_and(accepts_gzip);
    request.headers_mut().remove(ACCEPT_ENCODING);
    if accepts {
        request
            .headers_mut()
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let mut response = next.call(request).await?;
    let vary = response.headers_mut();
    let told = vary
        .get_all(VARY)
        .any(|value| value.as_bytes().eq_ignore_ascii_case(b"accept-encoding"));
    if !told {
        vary.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    Ok(response)
}

/// Whether a header names gzip without excluding it by a weight of zero.
pub fn accepts_gzip(header: &HeaderValue) -> bool {
    let Ok(list) = header.to_str() else {
        return false;
    };
    list.split(',').any(|entry| {
        let (coding, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let refused = weight
            .trim()
            .strip_prefix("q=")
            .is_some_and(|q| q.parse() == Ok(0.0f32));
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::CONTENT_ENCODING;
    use actix_web::middleware::{Compress, from_fn};
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, web};

    use super::*;

    #[actix_web::test]
    async fn pages_are_compressed_for_those_who_accept_gzip() {
        let page = || async { "x".repeat(2_000) };
        let app = App::new()
            .wrap(Compress::default())
            .wrap(from_fn(gzip_only))
            .route("/", web::get().to(page));
        let app = init_service(app).await;
        for (accept, expected) in [
            (Some("deflate, gzip;q=0.5, br"), Some("gzip")),
            (Some("GZIP"), Some("gzip")),
            (Some("gzip;q=0"), None),
            (Some("identity;q=0, *;q=0"), None),
            (Some("deflate"), None),
            (None, None),
        ] {
            let mut request = TestRequest::get();
            if let Some(accept) = accept {
                request = request.insert_header((ACCEPT_ENCODING, accept));
            }
            let response = call_service(&app, request.to_request()).await;
            assert_eq!(response.status(), 200);
            let encoding = response
                .headers()
                .get(CONTENT_ENCODING)
                .map(|value| value.to_str().unwrap());
            assert_eq!(encoding, expected, "{accept:?}");
            assert_eq!(response.headers().get_all(VARY).count(), 1);
        }
    }
}
