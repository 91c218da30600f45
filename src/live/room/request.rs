//! What clients ask on the channel: `{"request_id","method","endpoint","body"?,"query"?,"headers"?,"accept_parts"?}`.

use std::borrow::Cow;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};
use url::form_urlencoded;

use super::{MESSAGE_BYTES_MAX, msgpack};
use crate::base::code::Code;
use crate::http::ApiError;
use crate::sfu::Payload;

/// Longest id of a request, as JSON text.
const ID_BYTES_MAX: usize = 256;
/// Longest path with its query.
const TARGET_BYTES_MAX: usize = 8 << 10;
/// Most headers of a request, and most bytes of them together.
const HEADERS_MAX: usize = 32;
const HEADERS_BYTES_MAX: usize = 8 << 10;
/// What a path may not hold as it is; what is encoded already stays.
const NOT_IN_PATHS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
/// Headers that are the connection's or the server's business: who calls, from where, and how the body travels.
const NOT_THE_CLIENTS: &[&str] = &[
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Text.
    Json,
    /// Binary.
    MessagePack,
}

/// A message of the client, as far as it can be read.
#[derive(Debug)]
pub(super) struct Asked {
    /// The request's id as JSON text: a string or number; `null` where there is none.
    pub(super) id: String,
    pub(super) encoding: Encoding,
    /// Whether an answer may come in parts.
    pub(super) accepts_parts: bool,
    /// What is asked for.
    pub(super) wanted: Result<Wanted, ApiError>,
}

/// A request as HTTP would send it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) method: Method,
    /// Without `/api`, encoded: `/posts`.
    pub(super) path: String,
    /// Whether the client wrote `/api` before it.
    pub(super) is_exact: bool,
    /// Encoded pairs without `?`.
    pub(super) query: String,
    /// As the client wants them; without those that are not its business.
    pub(super) headers: HeaderMap,
    /// JSON text; empty where there is none.
    pub(super) body: Bytes,
}

impl Wanted {
    /// The path and query of the route.
    ///
    /// # Errors
    /// 400 when it is no path.
    pub(super) fn uri(&self) -> Result<Uri, ApiError> {
        let question = if self.query.is_empty() { "" } else { "?" };
        let target = format!("/api{}{question}{}", self.path, self.query);
        if target.len() > TARGET_BYTES_MAX {
            return Err(ApiError::bad_request("The endpoint is too long."));
        }
        target
            .parse()
            .map_err(|_| ApiError::bad_request("The endpoint is no path."))
    }
}

/// The members of a request, none of them looked into.
#[derive(Default, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    request_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    endpoint: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    query: Option<&'a RawValue>,
    #[serde(borrow, default)]
    headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    accept_parts: Option<&'a RawValue>,
}

impl Asked {
    /// Reads a message.
    pub(super) fn read(payload: &Payload) -> Self {
        let (encoding, bytes) = match payload {
            Payload::Text(text) => (Encoding::Json, text.as_bytes()),
            Payload::Binary(bytes) => (Encoding::MessagePack, &**bytes),
        };
        let refused = |error: ApiError| Self {
            id: "null".to_owned(),
            encoding,
            accepts_parts: false,
            wanted: Err(error),
        };
        let is_too_long = bytes.len() > MESSAGE_BYTES_MAX;
        // Who asks too much may still be told which request it was.
        if bytes.len() > 4 * MESSAGE_BYTES_MAX {
            return refused(too_long());
        }
        let json = match encoding {
            Encoding::Json => Cow::Borrowed(bytes),
            Encoding::MessagePack => match msgpack::to_json(bytes) {
                Ok(json) => Cow::Owned(json),
                Err(why) => return refused(ApiError::bad_request(why)),
            },
        };
        // A list would be taken for the members in their order.
        let is_object = json.trim_ascii_start().starts_with(b"{");
        let envelope = serde_json::from_slice(&json).ok();
        let Some(envelope): Option<Envelope<'_>> = envelope.filter(|_| is_object) else {
            let text = "The message must be an object with request_id, method and endpoint.";
            return refused(ApiError::bad_request(text));
        };
        let (id, has_id) = id_of(envelope.request_id);
        let wanted = if is_too_long {
            Err(too_long())
        } else if has_id {
            envelope.wanted()
        } else {
            Err(ApiError::bad_request(
                "request_id must be a text of at most 250 characters, or a number.",
            ))
        };
        Self {
            id,
            encoding,
            accepts_parts: envelope
                .accept_parts
                .is_some_and(|value| value.get() == "true"),
            wanted,
        }
    }

    /// The id as a text, for a header.
    pub(super) fn id_text(&self) -> Cow<'_, str> {
        match serde_json::from_str::<String>(&self.id) {
            Ok(text) => Cow::Owned(text),
            Err(_) => Cow::Borrowed(&self.id),
        }
    }
}

/// The id as JSON text, and whether it is one.
fn id_of(raw: Option<&RawValue>) -> (String, bool) {
    let text = raw.map_or("null", RawValue::get);
    let is_id = text.len() <= ID_BYTES_MAX
        && text.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit());
    if is_id {
        (text.to_owned(), true)
    } else {
        ("null".to_owned(), text == "null")
    }
}

fn too_long() -> ApiError {
    let text = format!("A message has at most {MESSAGE_BYTES_MAX} bytes.");
    ApiError::new(Code::TooLarge, text)
}

impl Envelope<'_> {
    fn wanted(&self) -> Result<Wanted, ApiError> {
        let method = match self.method {
            None => Method::GET,
            Some(raw) => method(&text(raw, "method")?)?,
        };
        let endpoint = self
            .endpoint
            .ok_or_else(|| ApiError::bad_request("endpoint is missing."))?;
        let endpoint = text(endpoint, "endpoint")?;
        let (path, is_exact, mut query) = target(&endpoint)?;
        if let Some(raw) = self.query {
            add_query(&mut query, raw)?;
        }
        let headers = match self.headers {
            None => HeaderMap::new(),
            Some(raw) => headers(raw)?,
        };
        let body = self.body.map_or("", RawValue::get);
        Ok(Wanted {
            method,
            path,
            is_exact,
            query,
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }
}

fn text<'a>(raw: &'a RawValue, name: &str) -> Result<Cow<'a, str>, ApiError> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let text: Result<Text<'a>, _> = serde_json::from_str(raw.get());
    text.map(|text| text.0)
        .map_err(|_| ApiError::bad_request(format!("{name} must be a text.")))
}

fn method(text: &str) -> Result<Method, ApiError> {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
    ];
    let mut known = known.into_iter();
    known
        .find(|method| method.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| ApiError::bad_request("There is no such method."))
}

/// The path without `/api`, whether it had that, and the query.
fn target(endpoint: &str) -> Result<(String, bool, String), ApiError> {
    let endpoint = endpoint.trim();
    if endpoint.contains("://") && !endpoint.starts_with('/') {
        return Err(ApiError::bad_request(
            "endpoint must be a path of this server.",
        ));
    }
    let endpoint = endpoint.split('#').next().unwrap_or_default();
    let (path, query) = endpoint.split_once('?').unwrap_or((endpoint, ""));
    let path = path.trim_start_matches('/');
    let (path, is_exact) = match path.strip_prefix("api") {
        Some("") => ("", true),
        Some(rest) if rest.starts_with('/') => (rest.trim_start_matches('/'), true),
        _ => (path, false),
    };
    let encode = |text| utf8_percent_encode(text, NOT_IN_PATHS).to_string();
    Ok((format!("/{}", encode(path)), is_exact, encode(query)))
}

/// Adds pairs: values are texts, numbers or truth values, lists of them, or anything else as JSON text. `null` is none.
fn add_query(query: &mut String, raw: &RawValue) -> Result<(), ApiError> {
    let refused = || ApiError::bad_request("query must be an object.");
    let pairs: Json = serde_json::from_str(raw.get()).map_err(|_| refused())?;
    let pairs = match pairs {
        Json::Object(pairs) => pairs,
        Json::String(text) => {
            let text = text.trim_start_matches('?');
            let pairs = form_urlencoded::parse(text.as_bytes()).into_owned();
            pairs.map(|(name, value)| (name, value.into())).collect()
        }
        _ => return Err(refused()),
    };
    let mut out = form_urlencoded::Serializer::new(String::new());
    for (name, value) in &pairs {
        match value {
            Json::Array(items) => {
                for item in items {
                    add_pair(&mut out, name, item);
                }
            }
            value => add_pair(&mut out, name, value),
        }
    }
    let added = out.finish();
    if !query.is_empty() && !added.is_empty() {
        query.push('&');
    }
    query.push_str(&added);
    Ok(())
}

fn add_pair(out: &mut form_urlencoded::Serializer<'_, String>, name: &str, value: &Json) {
    match value {
        Json::Null => {}
        Json::String(text) => {
            out.append_pair(name, text);
        }
        other => {
            out.append_pair(name, &other.to_string());
        }
    }
}

fn headers(raw: &RawValue) -> Result<HeaderMap, ApiError> {
    let refused = || ApiError::bad_request("headers must be an object of texts.");
    if raw.get().len() > HEADERS_BYTES_MAX {
        return Err(ApiError::bad_request("The headers are too long."));
    }
    let given: Map<String, Json> = serde_json::from_str(raw.get()).map_err(|_| refused())?;
    if given.len() > HEADERS_MAX {
        return Err(ApiError::bad_request(format!(
            "A request has at most {HEADERS_MAX} headers."
        )));
    }
    let mut headers = HeaderMap::with_capacity(given.len() + 6);
    for (name, value) in given {
        let text = match value {
            Json::Null => continue,
            Json::String(text) => text,
            Json::Number(number) => number.to_string(),
            _ => return Err(refused()),
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let value = HeaderValue::from_str(&text).map_err(|_| refused())?;
        if !NOT_THE_CLIENTS.contains(&name.as_str()) {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError as _;
    use serde_json::json;

    use super::*;

    fn asked(message: &Json) -> Asked {
        Asked::read(&Payload::Text(message.to_string().into()))
    }

    fn wanted(message: &Json) -> Wanted {
        asked(message).wanted.unwrap()
    }

    fn uri(endpoint: &str, query: Json) -> String {
        let message = json!({"request_id": 1, "endpoint": endpoint, "query": query});
        wanted(&message).uri().unwrap().to_string()
    }

    #[test]
    fn endpoints_are_paths_with_or_without_api() {
        for (endpoint, path) in [
            ("/posts", "/api/posts"),
            ("posts", "/api/posts"),
            ("/api/posts", "/api/posts"),
            ("api/posts/", "/api/posts/"),
            ("/apis", "/api/apis"),
            ("/a b/é", "/api/a%20b/%C3%A9"),
            ("/a%2Fb#c", "/api/a%2Fb"),
            (" /a?b=1 ", "/api/a?b=1"),
        ] {
            assert_eq!(uri(endpoint, Json::Null), path, "{endpoint}");
        }
    }

    #[test]
    fn queries_are_encoded_and_added() {
        let query =
            json!({"filter": "a = 'b&c'", "page": 2, "deep": true, "none": null, "list": ["x", 1]});
        assert_eq!(
            uri("/a?b=1", query),
            "/api/a?b=1&filter=a+%3D+%27b%26c%27&page=2&deep=true&list=x&list=1"
        );
        assert_eq!(uri("/a", json!("?x=y z")), "/api/a?x=y+z");
    }

    #[test]
    fn who_calls_is_not_the_messages_business() {
        let headers = json!({"Authorization": "x", "COOKIE": "x", "Host": "x", "X-Mine": "y", "Content-Length": 1});
        let wanted = wanted(&json!({"request_id": "a", "endpoint": "/a", "headers": headers}));
        assert_eq!(wanted.headers.len(), 1);
        assert_eq!(wanted.headers.get("x-mine").unwrap(), "y");
    }

    #[test]
    fn too_long_a_message_is_refused_by_its_id() {
        let filled = |bytes: usize| {
            let mut message = json!({"request_id": "long", "endpoint": "/a", "body": ""});
            let fill = bytes - message.to_string().len();
            message["body"] = "x".repeat(fill).into();
            message
        };
        assert!(asked(&filled(MESSAGE_BYTES_MAX)).wanted.is_ok());
        let refused = asked(&filled(MESSAGE_BYTES_MAX + 1));
        assert_eq!(refused.id, "\"long\"");
        assert_eq!(refused.wanted.unwrap_err().status_code().as_u16(), 413);
        let far = asked(&filled(5 * MESSAGE_BYTES_MAX));
        assert_eq!(far.id, "null");
        assert_eq!(far.wanted.unwrap_err().status_code().as_u16(), 413);
    }

    #[test]
    fn ids_are_texts_or_numbers() {
        for id in [json!("a\"b"), json!(7), json!(-1.5), json!("")] {
            let message = json!({"request_id": id, "endpoint": "/a"});
            assert_eq!(asked(&message).id, id.to_string());
        }
        for id in [json!([]), json!({}), json!(true), json!("x".repeat(300))] {
            let asked = asked(&json!({"request_id": id, "endpoint": "/a"}));
            assert_eq!(asked.id, "null");
            assert!(asked.wanted.is_err(), "{id}");
        }
        // Who gives none gets an answer without one.
        assert!(asked(&json!({"endpoint": "/a"})).wanted.is_ok());
    }
}
