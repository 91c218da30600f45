//! What the server sends on the channel: answers, whole or in parts, and pushes.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};

use super::request::{Asked, Encoding};
use super::{MESSAGE_BYTES_MAX, msgpack};
use crate::base::code::Code;
use crate::base::json as text;
use crate::http::ApiError;
use crate::http::dispatch::{Answered, DispatchError};
use crate::sfu::Payload;

/// Most bytes of an answer that comes in parts.
const PARTED_BYTES_MAX: usize = 4 << 20;
/// Bytes of a part's content: with what is around it, the part is no longer than a message may be.
const PART_BYTES: usize = 250_000;
/// The same of a part that is JSON text, where each character may need an escape.
const PART_TEXT_BYTES: usize = 120_000;

/// An answer: `{"request_id","status_code","data","error","timestamp"}`.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    data: Data,
    error: Option<String>,
}

#[derive(Debug, PartialEq)]
enum Data {
    None,
    /// Valid JSON text.
    Json(Bytes),
    Text(Bytes),
    /// Anything else, with its media type.
    Binary(String, Bytes),
}

/// Most bytes of an answer's body that are of use to the client.
pub(super) fn body_bytes_max(asked: &Asked) -> usize {
    if asked.accepts_parts {
        PARTED_BYTES_MAX
    } else {
        // JSON text of an answer that fits as MessagePack may be longer.
        2 * MESSAGE_BYTES_MAX
    }
}

impl Reply {
    /// The answer of a route.
    pub(super) fn of(answered: Result<Answered, DispatchError>) -> Self {
        match answered {
            Ok(answered) => Self::answer(answered),
            Err(DispatchError::TooLong { .. }) => Self::refusal(&too_long()),
            Err(error) => Self::refusal(&error.into()),
        }
    }

    /// An error that no route has answered.
    pub(super) fn refusal(error: &ApiError) -> Self {
        Self {
            status: actix_web::ResponseError::status_code(error),
            data: Data::Json(error.to_body().into()),
            error: Some(error.message().to_owned()),
        }
    }

    fn answer(answered: Answered) -> Self {
        let content_type = answered.headers.get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default();
        let data = Data::of(content_type, answered.body);
        let status = answered.status;
        let is_error = status.is_client_error() || status.is_server_error();
        let error = is_error.then(|| {
            let told = data.message();
            told.unwrap_or_else(|| status.canonical_reason().unwrap_or("Error").to_owned())
        });
        Self {
            status,
            data,
            error,
        }
    }

    /// What a short form makes of it: 200 for all that went well, and its shape.
    pub(super) fn reshaped(mut self, shape: fn(&mut Map<String, Json>)) -> Self {
        if !self.status.is_success() {
            return self;
        }
        self.status = StatusCode::OK;
        if let Data::Json(json) = &self.data
            && let Ok(Json::Object(mut members)) = serde_json::from_slice(json)
        {
            shape(&mut members);
            self.data = Data::Json(Json::Object(members).to_string().into());
        }
        self
    }

    /// The messages that bring it to who asked.
    pub(super) fn messages(self, asked: &Asked, now_s: i64) -> Vec<Payload> {
        let message = self.encode(asked, now_s);
        if message.len() <= MESSAGE_BYTES_MAX {
            return vec![payload(asked.encoding, message)];
        }
        if asked.accepts_parts && message.len() <= 2 * PARTED_BYTES_MAX {
            return parts(asked, &message);
        }
        let refusal = Self::refusal(&too_long());
        vec![payload(asked.encoding, refusal.encode(asked, now_s))]
    }

    fn encode(&self, asked: &Asked, now_s: i64) -> Vec<u8> {
        if let (Encoding::MessagePack, Data::Binary(media_type, bytes)) =
            (asked.encoding, &self.data)
        {
            return self.encode_binary(asked, media_type, bytes, now_s);
        }
        let mut out = Vec::with_capacity(self.data.len() + asked.id.len() + 100);
        out.extend_from_slice(b"{\"request_id\":");
        out.extend_from_slice(asked.id.as_bytes());
        out.extend_from_slice(b",\"status_code\":");
        text::write_u64(&mut out, u64::from(self.status.as_u16()));
        out.extend_from_slice(b",\"data\":");
        match &self.data {
            Data::None => out.extend_from_slice(b"null"),
            Data::Json(json) => out.extend_from_slice(json),
            Data::Text(bytes) => text::write_str(&mut out, &String::from_utf8_lossy(bytes)),
            Data::Binary(media_type, bytes) => {
                text::write_str(&mut out, &STANDARD.encode(bytes));
                out.extend_from_slice(b",\"content_type\":");
                text::write_str(&mut out, media_type);
            }
        }
        out.extend_from_slice(b",\"error\":");
        match &self.error {
            None => out.extend_from_slice(b"null"),
            Some(error) => text::write_str(&mut out, error),
        }
        out.extend_from_slice(b",\"timestamp\":");
        text::write_i64(&mut out, now_s);
        out.push(b'}');
        in_encoding(asked.encoding, out)
    }

    /// MessagePack has binary data of its own.
    fn encode_binary(&self, asked: &Asked, media_type: &str, bytes: &[u8], now_s: i64) -> Vec<u8> {
        #[derive(Serialize)]
        struct Message<'a> {
            request_id: Json,
            status_code: u16,
            data: Binary<'a>,
            content_type: &'a str,
            error: Option<&'a str>,
            timestamp: i64,
        }
        let message = Message {
            request_id: serde_json::from_str(&asked.id).unwrap_or_default(),
            status_code: self.status.as_u16(),
            data: Binary(bytes),
            content_type: media_type,
            error: self.error.as_deref(),
            timestamp: now_s,
        };
        written(&message)
    }
}

impl Data {
    fn of(content_type: &str, body: Bytes) -> Self {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let is_json = media_type == "application/json" || media_type.ends_with("+json");
        // What scripts call JSON may be none, and would break the message.
        if body.is_empty() {
            Self::None
        } else if is_json && serde_json::from_slice::<&RawValue>(&body).is_ok() {
            Self::Json(body)
        } else if media_type.is_empty() || is_json || media_type.starts_with("text/") {
            Self::Text(body)
        } else {
            Self::Binary(content_type.to_owned(), body)
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::None => 4,
            Self::Json(body) | Self::Text(body) => body.len(),
            Self::Binary(_, body) => body.len() * 4 / 3,
        }
    }

    /// What an error body says.
    fn message(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Told<'a> {
            #[serde(borrow, default)]
            message: Option<Cow<'a, str>>,
        }
        match self {
            Self::Json(json) => {
                let told: Told<'_> = serde_json::from_slice(json).ok()?;
                told.message.map(Cow::into_owned)
            }
            _ => None,
        }
    }
}

/// Bytes that MessagePack writes as such.
struct Binary<'a>(&'a [u8]);

impl Serialize for Binary<'_> {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_bytes(self.0)
    }
}

fn too_long() -> ApiError {
    ApiError::new(
        Code::TooLarge,
        format!(
            "The answer is longer than {MESSAGE_BYTES_MAX} bytes: ask for less by page, perPage and fields, or send accept_parts."
        ),
    )
}

/// `{"request_id","part":i,"parts":n,"chunk"}`, `part` from 0: the chunks one after the other are the message, bytes in
/// MessagePack, text in JSON.
fn parts(asked: &Asked, message: &[u8]) -> Vec<Payload> {
    #[derive(Serialize)]
    struct Part<'a, C> {
        request_id: &'a Json,
        part: usize,
        parts: usize,
        chunk: C,
    }
    let request_id: Json = serde_json::from_str(&asked.id).unwrap_or_default();
    match asked.encoding {
        Encoding::MessagePack => {
            let chunks = message.chunks(PART_BYTES);
            let parts = chunks.len();
            let encoded = chunks.enumerate().map(|(part, chunk)| {
                let chunk = Binary(chunk);
                let request_id = &request_id;
                written(&Part {
                    request_id,
                    part,
                    parts,
                    chunk,
                })
            });
            encoded.map(|part| payload(asked.encoding, part)).collect()
        }
        Encoding::Json => {
            let chunks = pieces(message);
            let parts = chunks.len();
            let encoded = chunks.into_iter().enumerate().map(|(part, chunk)| {
                let request_id = &request_id;
                let part = Part {
                    request_id,
                    part,
                    parts,
                    chunk,
                };
                serde_json::to_vec(&part).unwrap_or_default()
            });
            encoded.map(|part| payload(asked.encoding, part)).collect()
        }
    }
}

/// A text in pieces, none of which cuts a character.
fn pieces(text: &[u8]) -> Vec<Cow<'_, str>> {
    let mut rest = text;
    let mut pieces = Vec::with_capacity(text.len() / PART_TEXT_BYTES + 1);
    while !rest.is_empty() {
        let mut end = PART_TEXT_BYTES.min(rest.len());
        let is_inside = |end: usize| rest.get(end).is_some_and(|byte| byte & 0xC0 == 0x80);
        while is_inside(end) {
            end -= 1;
        }
        let (piece, after) = rest.split_at(end);
        pieces.push(String::from_utf8_lossy(piece));
        rest = after;
    }
    pieces
}

/// MessagePack of a struct, with the names of its members.
fn written(message: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(message).unwrap_or_default()
}

/// Valid JSON text in the encoding.
fn in_encoding(encoding: Encoding, json: Vec<u8>) -> Vec<u8> {
    match encoding {
        Encoding::Json => json,
        Encoding::MessagePack => msgpack::from_json(&json).unwrap_or_else(|error| {
            debug_assert!(false, "no JSON: {error}");
            Vec::new()
        }),
    }
}

fn payload(encoding: Encoding, message: Vec<u8>) -> Payload {
    match encoding {
        // Written by serde_json and our own writers, which make no other text.
        Encoding::Json => Payload::Text(String::from_utf8(message).unwrap_or_default().into()),
        Encoding::MessagePack => Payload::Binary(message.into()),
    }
}

/// A push: the envelope of an event stream, as it was published there. `None` where it is too long for a message.
pub(super) fn push(encoding: Encoding, envelope: &[u8]) -> Option<Payload> {
    let message = in_encoding(encoding, envelope.to_vec());
    if message.len() > MESSAGE_BYTES_MAX {
        tracing::warn!(
            bytes = message.len(),
            "a push is too long for the room of a user"
        );
        return None;
    }
    Some(payload(encoding, message))
}

/// The second form of a notification's envelope, which older clients listen to: `{"type":"notification","data":{...D,"type":T}}`.
pub(super) fn notification(envelope: &[u8]) -> Option<Vec<u8>> {
    let Ok(Json::Object(mut members)) = serde_json::from_slice(envelope) else {
        return None;
    };
    let kind = members.insert("type".to_owned(), "notification".into())?;
    let mut data = match members.remove("data") {
        Some(Json::Object(data)) => data,
        _ => Map::new(),
    };
    data.insert("type".to_owned(), kind);
    members.insert("data".to_owned(), data.into());
    Some(Json::Object(members).to_string().into_bytes())
}

/// A message of the room itself: `{"type","data","timestamp"}`.
pub(super) fn own(kind: &str, data: &Json, now_s: i64) -> Vec<u8> {
    let envelope = json!({"type": kind, "data": data, "timestamp": now_s});
    envelope.to_string().into_bytes()
}
