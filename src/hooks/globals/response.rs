//! Answers that handlers give.

use std::path::{Path, PathBuf};

use ::bytes::{Bytes, BytesMut};
use actix_web::http::StatusCode;
use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsString, JsValue};

use super::Natives;
use super::bytes;
use super::registration::text;
use super::request::pairs;
use crate::base::json;
use crate::base::text::sentenize;
use crate::blob::mime;
use crate::engine::Error;
use crate::engine::events::{Answer, Event};
use crate::filter::fields::FieldPicker;
use crate::hooks::encode;
use crate::hooks::event::with_event;
use crate::hooks::failure;

pub(super) const NATIVES: Natives = &[
    ("headers", 0, headers),
    ("setHeader", 2, set_header),
    ("addHeader", 2, add_header),
    ("deleteHeader", 1, delete_header),
    ("json", 2, answer_json),
    ("send", 3, send),
    ("begin", 1, begin),
    ("write", 1, write),
    ("written", 0, written),
    ("status", 0, status),
    ("file", 3, file),
    ("sentence", 1, sentence),
    ("statusText", 1, status_text),
    ("text", 1, utf8_text),
    ("toBytes", 1, to_bytes),
    ("jsonText", 1, json_text),
];

/// Works on an event that the script holds at the moment.
fn event<R>(this: &JsValue, work: impl FnOnce(&mut Event) -> R) -> JsResult<R> {
    with_event(this, work)?.ok_or_else(|| {
        JsNativeError::error()
            .with_message("the event is over")
            .into()
    })
}

fn is_written(event: &Event) -> bool {
    event.answer.is_some() || event.written.is_some()
}

/// `headers()`: the answer's headers so far.
fn headers(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let headers = event(this, |event| event.response_headers.clone())?;
    Ok(pairs(headers.iter(), context))
}

/// Changes the headers, unless they are on their way already.
fn change(this: &JsValue, work: impl FnOnce(&mut Vec<(String, String)>)) -> JsResult<JsValue> {
    event(this, |event| {
        if !is_written(event) {
            work(&mut event.response_headers);
        }
    })?;
    Ok(JsValue::undefined())
}

/// `setHeader(name, value)`
fn set_header(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args.get_or_undefined(0), context)?;
    let value = text(args.get_or_undefined(1), context)?;
    change(this, |headers| {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        headers.push((name, value));
    })
}

/// `addHeader(name, value)`
fn add_header(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args.get_or_undefined(0), context)?;
    let value = text(args.get_or_undefined(1), context)?;
    change(this, |headers| headers.push((name, value)))
}

/// `deleteHeader(name)`
fn delete_header(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args.get_or_undefined(0), context)?;
    change(this, |headers| {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
    })
}

/// A status that may stand on the wire.
fn status_of(value: &JsValue, context: &mut Context) -> JsResult<u16> {
    let number = value.to_number(context)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in range"
    )]
    if (100.0..=999.0).contains(&number) {
        return Ok(number as u16);
    }
    Err(JsNativeError::range()
        .with_message(format!("invalid status code {number}"))
        .into())
}

/// Gives the answer. As in Go, what is sent after the first goes into its body.
fn give(event: &mut Event, status: u16, content_type: &str, body: Bytes) {
    if let Some(answer) = &mut event.answer {
        let mut all = BytesMut::from(&answer.body[..]);
        all.extend_from_slice(&body);
        answer.body = all.freeze();
        return;
    }
    if event.written.is_some() {
        return;
    }
    let typed = event
        .response_headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("content-type") && !value.is_empty());
    let mut headers = Vec::new();
    if !typed && !content_type.is_empty() {
        headers.push(("content-type".to_owned(), content_type.to_owned()));
    }
    event.answer = Some(Answer {
        status,
        headers,
        body,
    });
}

/// `json(status, value)`; the query's `fields` picks from successes.
fn answer_json(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let status = status_of(args.get_or_undefined(0), context)?;
    let mut body = Vec::new();
    encode::write(&mut body, args.get_or_undefined(1), context)?;
    let fields = event(this, |event| {
        let request = event.request.as_ref()?;
        let fields = request.info.query("fields");
        (!fields.is_empty()).then(|| fields.to_owned())
    })?;
    if let Some(fields) = fields.filter(|_| (200..300).contains(&status)) {
        let picker = FieldPicker::parse(&fields)
            .map_err(|error| failure::to_js(&Error::bad_request(error.to_string()), context))?;
        let value = serde_json::from_slice(&body).unwrap_or_default();
        body.clear();
        json::write_value_sorted(&mut body, &picker.pick(value));
    }
    event(this, |event| {
        give(event, status, "application/json", body.into());
    })?;
    Ok(JsValue::undefined())
}

/// `send(status, contentType, body)`: a content type that was set before stays.
fn send(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let status = status_of(args.get_or_undefined(0), context)?;
    let content_type = text(args.get_or_undefined(1), context)?;
    let body = bytes::expect(args.get_or_undefined(2), context)?;
    event(this, |event| give(event, status, &content_type, body))?;
    Ok(JsValue::undefined())
}

/// `begin(status)`: an answer whose body may follow.
fn begin(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let status = status_of(args.get_or_undefined(0), context)?;
    event(this, |event| {
        if !is_written(event) {
            give(event, status, "", Bytes::new());
        }
    })?;
    Ok(JsValue::undefined())
}

/// `write(body)`: more of the body; the status is 200 if none was given.
fn write(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let body = bytes::expect(args.get_or_undefined(0), context)?;
    #[expect(clippy::cast_precision_loss, reason = "bodies are shorter than 2^53")]
    let length = body.len() as f64;
    event(this, |event| give(event, 200, "", body))?;
    Ok(length.into())
}

/// `written()`: whether an answer was given.
fn written(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    Ok(event(this, |event| is_written(event))?.into())
}

/// `status()`: the answer's status; 0 before there is one.
fn status(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let status = event(this, |event| {
        let answer = event.answer.as_ref().map(|answer| answer.status);
        answer.or(event.written).unwrap_or_default()
    })?;
    Ok(status.into())
}

/// `sentence(text)`: with a capital at its start and a mark at its end.
fn sentence(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = text(args.get_or_undefined(0), context)?;
    Ok(JsString::from(sentenize(&text)).into())
}

/// `statusText(status)`: the usual text of a status; empty for unknown ones.
fn status_text(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let status = args.get_or_undefined(0).to_u32(context)?;
    let status = u16::try_from(status).ok();
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let text = status.and_then(|status| status.canonical_reason());
    Ok(JsString::from(text.unwrap_or_default()).into())
}

/// `text(bytes)`: bytes as UTF-8.
fn utf8_text(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let bytes = bytes::expect(args.get_or_undefined(0), context)?;
    Ok(JsString::from(&*String::from_utf8_lossy(&bytes)).into())
}

/// `toBytes(value)`: bytes of a text or list.
fn to_bytes(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let bytes = bytes::expect(args.get_or_undefined(0), context)?;
    bytes::to_js(&bytes, context)
}

/// `jsonText(value)`: as an answer would show it.
fn json_text(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let mut text = Vec::new();
    encode::write(&mut text, args.get_or_undefined(0), context)?;
    Ok(JsString::from(&*String::from_utf8_lossy(&text)).into())
}

/// The longest file that a route answers with.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// `file(folder, name, fallback)`: answers with a file below the folder; unknown ones are 404, or `index.html`.
fn file(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let folder = text(args.get_or_undefined(0), context)?;
    let name = text(args.get_or_undefined(1), context)?;
    let fallback = args.get_or_undefined(2).to_boolean();
    let folder = Path::new(&folder);
    let found = below(folder, &name)
        .and_then(|path| open(&path))
        .or_else(|| fallback.then(|| open(&folder.join("index.html"))).flatten());
    let Some((path, content)) = found else {
        let error = Error::NotFound("File not found.".to_owned());
        return Err(failure::to_js(&error, context));
    };
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let content_type = match media_type(&extension.to_ascii_lowercase()) {
        "" => mime::detect(content.get(..3_072).unwrap_or(&content))
            .content_type()
            .into_owned(),
        known => known.to_owned(),
    };
    event(this, |event| {
        give(event, 200, &content_type, content.into());
    })?;
    Ok(JsValue::undefined())
}

/// A path below a folder, without ways out of it.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in name
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        if part == ".." || part.contains(['\\', '\0', ':']) {
            return None;
        }
        path.push(part);
    }
    Some(path)
}

/// A file's own path and content; for a folder those of its `index.html`.
fn open(path: &Path) -> Option<(PathBuf, Vec<u8>)> {
    let path = if path.is_dir() {
        path.join("index.html")
    } else {
        path.to_owned()
    };
    let length = std::fs::metadata(&path).ok()?.len();
    if length > FILE_BYTES_MAX {
        return None;
    }
    Some((path.clone(), std::fs::read(&path).ok()?))
}

/// The media type of what pages are made of.
fn media_type(extension: &str) -> &'static str {
    match extension {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        "xml" => "text/xml; charset=utf-8",
        "svg" => "image/svg+xml",
        "wasm" => "application/wasm",
        "ico" => "image/x-icon",
        "webmanifest" => "application/manifest+json",
        _ => "",
    }
}
