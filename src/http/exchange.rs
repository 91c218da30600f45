//! Requests and answers as those see them who take part in a request: scripts and modules.

use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use serde_json::{Map, Value as Json};

use super::Caller;
use crate::engine::events::{Answer, RequestParts, Within};

/// Put into a request's extensions by whoever has led it through handlers already: what those keep about it.
#[derive(Clone)]
pub struct Kept(pub Within);

/// A handler's own answer.
#[must_use]
pub fn respond(answer: Answer) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(answer.status).unwrap_or_default();
    let mut response = HttpResponse::build(status).body(answer.body);
    set_headers(response.headers_mut(), &answer.headers);
    response
}

/// The first of a name takes the place of a default header, later ones are added to it.
pub fn set_headers(target: &mut HeaderMap, headers: &[(String, String)]) {
    for (index, (name, value)) in headers.iter().enumerate() {
        let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) else {
            tracing::debug!(header = %name, "a handler's header is no header");
            continue;
        };
        let seen = headers
            .iter()
            .take(index)
            .any(|(before, _)| before.eq_ignore_ascii_case(name.as_str()));
        if seen {
            target.append(name, value);
        } else {
            target.insert(name, value);
        }
    }
}

/// The request as those who take part in it see it.
#[must_use]
pub fn parts(request: &HttpRequest, caller: &Caller) -> RequestParts {
    let mut info = caller.info.clone();
    let headers = headers(request);
    if info.headers.is_empty() {
        let mut map = Map::new();
        for (name, value) in &headers {
            map.entry(name.replace('-', "_"))
                .or_insert_with(|| Json::String(value.clone()));
        }
        info.headers = Arc::new(map);
    }
    let path_values = request.match_info().iter();
    RequestParts {
        info,
        url: request.uri().to_string(),
        headers: headers.into(),
        remote_ip: request
            .peer_addr()
            .map(|addr| addr.ip().to_string())
            .unwrap_or_default(),
        real_ip: caller.ip.clone(),
        path_values: path_values
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        pattern: String::new(),
        body: bytes::Bytes::new(),
        kept: request
            .extensions()
            .get::<Kept>()
            .map(|kept| kept.0.clone()),
    }
}

/// The headers of a request as texts, names in lower case.
#[must_use]
pub fn headers(request: &HttpRequest) -> Vec<(String, String)> {
    let headers = request.headers().iter();
    headers
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), text)
        })
        .collect()
}
