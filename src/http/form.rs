//! Multipart forms, and the fields that form text stands for.

use std::io;
use std::sync::Arc;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::HeaderMap;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Map, Number, Value};
use tokio::io::AsyncWriteExt;

use super::body::{BodyData, FormData, UploadedFile, parse_object};
use super::error::ApiError;
use super::limit::BodyLimit;
use crate::model::{TempFile, UploadSource};

/// The field whose text is JSON, merged over the other fields without inference.
const JSON_PAYLOAD: &str = "@jsonPayload";
/// Most parts of a form.
const PARTS_MAX: usize = 1_000;
/// Most bytes of all text fields together.
const TEXT_BYTES_MAX: usize = 26 << 20;
/// A file longer than this waits in a temporary file.
const FILE_IN_MEMORY_BYTES_MAX: usize = 1 << 20;
/// All files of a form that wait in memory together are at most this long.
const FILES_IN_MEMORY_BYTES_MAX: usize = 16 << 20;

/// Reads a multipart form as it streams in.
pub(super) async fn read_multipart(
    request: &HttpRequest,
    payload: &mut Payload,
    limit: BodyLimit,
) -> Result<BodyData, ApiError> {
    let FormData { texts, files } = read_parts(request.headers(), payload, limit).await?;
    Ok(BodyData {
        fields: fields_of(texts)?,
        files,
    })
}

/// Reads the parts of a multipart form as they are.
pub(super) async fn read_parts(
    headers: &HeaderMap,
    payload: &mut Payload,
    limit: BodyLimit,
) -> Result<FormData, ApiError> {
    let mut read_bytes = 0u64;
    let limited = payload.take().map(move |piece| {
        let piece = piece?;
        read_bytes += piece.len() as u64;
        if limit.is_below(read_bytes) {
            return Err(PayloadError::Overflow);
        }
        Ok(piece)
    });
    let mut parts = Multipart::new(headers, limited);
    let mut texts = Vec::new();
    let mut files = Vec::new();
    let mut room = Room {
        text_bytes: TEXT_BYTES_MAX,
        file_bytes: FILES_IN_MEMORY_BYTES_MAX,
    };
    let mut count = 0;
    while let Some(part) = parts.try_next().await.map_err(refused)? {
        count += 1;
        if count > PARTS_MAX {
            return Err(ApiError::bad_request("").with_cause("too many parts in a multipart form"));
        }
        let Some(name) = part.name().map(str::to_owned) else {
            continue;
        };
        match file_name(&part) {
            Some(file_name) => files.push((name, read_file(part, file_name, &mut room).await?)),
            None => texts.push((name, read_text(part, &mut room).await?)),
        }
    }
    Ok(FormData { texts, files })
}

/// What the rest of a form may still take up in memory.
struct Room {
    text_bytes: usize,
    file_bytes: usize,
}

/// The last component of the client's file name; a part without one is a text field.
fn file_name(part: &Field) -> Option<String> {
    let name = part.content_disposition()?.get_filename()?;
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    (!name.is_empty()).then(|| name.to_owned())
}

async fn read_text(mut part: Field, room: &mut Room) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(piece) = part.try_next().await.map_err(refused)? {
        if piece.len() > room.text_bytes {
            return Err(ApiError::too_large());
        }
        room.text_bytes -= piece.len();
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|error| ApiError::bad_request("").with_cause(error))
}

async fn read_file(
    mut part: Field,
    name: String,
    room: &mut Room,
) -> Result<UploadedFile, ApiError> {
    let content_type = part.content_type().map(ToString::to_string);
    let in_memory_max = room.file_bytes.min(FILE_IN_MEMORY_BYTES_MAX);
    let mut start = BytesMut::new();
    while let Some(piece) = part.try_next().await.map_err(refused)? {
        if start.len() + piece.len() > in_memory_max {
            let (source, size_bytes) = spill(part, &start, piece).await?;
            return Ok(UploadedFile {
                name,
                content_type,
                size_bytes,
                source,
            });
        }
        start.extend_from_slice(&piece);
    }
    room.file_bytes -= start.len();
    Ok(UploadedFile {
        name,
        content_type,
        size_bytes: start.len() as u64,
        source: UploadSource::Memory(start.freeze()),
    })
}

/// Writes a file that is too long for memory to a temporary one. Returns it with its length.
async fn spill(
    mut part: Field,
    start: &[u8],
    mut piece: Bytes,
) -> Result<(UploadSource, u64), ApiError> {
    let (file, temporary) = tokio::task::spawn_blocking(create_temporary)
        .await
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut size_bytes = start.len() as u64;
    file.write_all(start).await.map_err(ApiError::internal)?;
    loop {
        size_bytes += piece.len() as u64;
        file.write_all(&piece).await.map_err(ApiError::internal)?;
        match part.try_next().await.map_err(refused)? {
            Some(next) => piece = next,
            None => break,
        }
    }
    file.flush().await.map_err(ApiError::internal)?;
    Ok((UploadSource::File(Arc::new(temporary)), size_bytes))
}

/// A new file that only this user may read, and the handle that removes it.
fn create_temporary() -> io::Result<(std::fs::File, TempFile)> {
    let (file, path) = tempfile::Builder::new()
        .prefix("rotunda-upload-")
        .tempfile()?
        .into_parts();
    let path = path.keep().map_err(|error| error.error)?;
    Ok((file, TempFile { path }))
}

fn refused(error: MultipartError) -> ApiError {
    match error {
        MultipartError::Payload(PayloadError::Overflow) => ApiError::too_large(),
        other => ApiError::bad_request("").with_cause(other.to_string()),
    }
}

/// The fields that named texts stand for: repeated names become arrays, and `@jsonPayload` is merged last.
pub(super) fn fields_of(texts: Vec<(String, String)>) -> Result<Map<String, Value>, ApiError> {
    let mut fields = Map::new();
    let mut payloads = Vec::new();
    for (name, text) in texts {
        if name == JSON_PAYLOAD {
            payloads.push(text);
            continue;
        }
        let value = infer(text);
        match fields.get_mut(&name) {
            None => {
                fields.insert(name, value);
            }
            // Inference makes no arrays: this is one of an earlier repetition.
            Some(Value::Array(items)) => items.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    for payload in payloads {
        fields.extend(parse_object(payload.as_bytes())?);
    }
    Ok(fields)
}

/// What form text stands for in JSON, by PocketBase's rules: `true`, `false`, and numbers which are written in the
/// shortest way, without an exponent. `01`, `1.0`, `1e5` and `null` stay text.
fn infer(text: String) -> Value {
    match text.as_str() {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    infer_number(&text).map_or(Value::String(text), Value::Number)
}

fn infer_number(text: &str) -> Option<Number> {
    let starts = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let allowed = |byte: u8| matches!(byte, b'-' | b'.' | b'0'..=b'9');
    // No number of interest is longer: the largest float has 309 digits.
    if !starts || text.len() > 320 || !text.bytes().all(allowed) {
        return None;
    }
    let float: f64 = text.parse().ok()?;
    if !float.is_finite() || float.to_string() != text {
        return None;
    }
    match text.parse::<i64>() {
        Ok(integer) if text != "-0" => Some(integer.into()),
        _ => Number::from_f64(float),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::http::header::CONTENT_TYPE;
    use actix_web::test::TestRequest;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn inferred(text: &str) -> Value {
        infer(text.to_owned())
    }

    #[test]
    fn text_is_inferred_as_pocketbase_does() {
        for (text, expected) in [
            ("", json!("")),
            ("true", json!(true)),
            ("false", json!(false)),
            ("True", json!("True")),
            ("1", json!(1)),
            ("-3.4", json!(-3.4)),
            ("0.0001", json!(0.0001)),
            ("123456789012345", json!(123456789012345u64)),
        ] {
            assert_eq!(inferred(text), expected, "{text}");
        }
        assert_eq!(inferred("-0").to_string(), "-0.0");
        for text in [
            "0.0",
            "-0.0",
            "000.1",
            "000001",
            "-000001",
            "1.6E-35",
            "10e100",
            "1_000_000",
            "1.000.000",
            " 123 ",
            "0b1",
            "0xFF",
            "1234A",
            "Infinity",
            "-Infinity",
            "NaN",
            "undefined",
            "null",
            "-",
            "1-",
            "--1",
            ".5",
            "5.",
            "9007199254740993",
            "12345678901234567890",
            "{\"a\":1}",
        ] {
            assert_eq!(inferred(text), json!(text));
        }
    }

    #[test]
    fn repeated_names_become_arrays_and_the_payload_goes_over_all() {
        let texts = [
            ("a", "1"),
            ("b", "x"),
            ("a", "2"),
            ("@jsonPayload", r#"{"b":"0001","c":[1]}"#),
            ("a", "z"),
            ("@jsonPayload", r#"{"d":{"e":null}}"#),
        ];
        let texts = texts.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let fields = fields_of(texts.to_vec()).unwrap();
        let expected = json!({"a": [1, 2, "z"], "b": "0001", "c": [1], "d": {"e": null}});
        assert_eq!(Value::Object(fields), expected);
        let bad = vec![("@jsonPayload".to_owned(), "[1]".to_owned())];
        assert_eq!(fields_of(bad).unwrap_err().status_code(), 400);
    }

    proptest! {
        #[test]
        fn inferred_numbers_print_as_they_were_written(text in "-?[0-9.]{1,20}") {
            if let Value::Number(number) = inferred(&text) {
                prop_assert_eq!(number.as_f64().unwrap().to_string(), text);
            }
        }
    }

    /// One part of a form: name, file name, content.
    type Part<'a> = (&'a str, Option<&'a str>, &'a [u8]);

    fn encode(parts: &[Part<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, file, content) in parts {
            out.extend_from_slice(
                format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"").as_bytes(),
            );
            if let Some(file) = file {
                out.extend_from_slice(
                    format!("; filename=\"{file}\"\r\nContent-Type: image/png").as_bytes(),
                );
            }
            out.extend_from_slice(b"\r\n\r\n");
            out.extend_from_slice(content);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"--X--\r\n");
        out
    }

    async fn read(body: Vec<u8>, limit: u64) -> Result<BodyData, u16> {
        let (request, mut payload) = TestRequest::post()
            .insert_header((CONTENT_TYPE, "multipart/form-data; boundary=X"))
            .set_payload(body)
            .to_http_parts();
        let read = super::super::body::read(&request, &mut payload, BodyLimit(limit)).await;
        read.map_err(|error| error.status_code().as_u16())
    }

    fn content(file: &UploadedFile) -> Vec<u8> {
        match &file.source {
            UploadSource::Memory(bytes) => bytes.to_vec(),
            UploadSource::File(file) => std::fs::read(&file.path).unwrap(),
        }
    }

    #[actix_web::test]
    async fn fields_and_files_are_told_apart_by_the_file_name() {
        let parts: [Part<'_>; 5] = [
            ("title", None, b"hello"),
            ("n", None, b"12"),
            ("doc", Some("../a/b.png"), b"png"),
            ("empty", Some(""), b"text"),
            ("doc", Some("/c.txt"), b""),
        ];
        let body = read(encode(&parts), 0).await.unwrap();
        assert_eq!(
            Value::Object(body.fields),
            json!({"title": "hello", "n": 12, "empty": "text"})
        );
        let files: Vec<_> = body
            .files
            .iter()
            .map(|(field, file)| (field.as_str(), file.name.as_str(), content(file)))
            .collect();
        assert_eq!(
            files,
            [
                ("doc", "b.png", b"png".to_vec()),
                ("doc", "c.txt", Vec::new())
            ]
        );
        assert_eq!(body.files[0].1.content_type.as_deref(), Some("image/png"));
    }

    #[actix_web::test]
    async fn large_files_wait_on_disk_and_leave_with_their_handle() {
        let large: Vec<u8> = (0..FILE_IN_MEMORY_BYTES_MAX + 10)
            .map(|n| n as u8)
            .collect();
        let small = vec![b'x'; 100];
        let body = read(
            encode(&[("a", Some("large"), &large), ("b", Some("small"), &small)]),
            0,
        )
        .await
        .unwrap();
        let (_, file) = &body.files[0];
        assert_eq!(file.size_bytes, large.len() as u64);
        assert_eq!(content(file), large);
        assert!(matches!(body.files[1].1.source, UploadSource::Memory(_)));
        let UploadSource::File(temporary) = &file.source else {
            panic!("in memory")
        };
        let path = temporary.path.clone();
        assert!(path.exists());
        drop(body);
        assert!(!path.exists());
    }

    #[actix_web::test]
    async fn many_files_do_not_pile_up_in_memory() {
        let file = vec![b'x'; FILE_IN_MEMORY_BYTES_MAX - 10];
        let parts: Vec<Part<'_>> = (0..20)
            .map(|_| ("f", Some("f.bin"), file.as_slice()))
            .collect();
        let body = read(encode(&parts), 0).await.unwrap();
        let in_memory = body
            .files
            .iter()
            .filter(|(_, file)| matches!(file.source, UploadSource::Memory(_)))
            .count();
        assert_eq!(in_memory, FILES_IN_MEMORY_BYTES_MAX / file.len());
        assert!(
            body.files
                .iter()
                .all(|(_, f)| f.size_bytes == file.len() as u64)
        );
    }

    #[actix_web::test]
    async fn malformed_and_oversized_forms_are_refused() {
        let whole = encode(&[("a", None, b"text"), ("b", None, b"more text")]);
        let cut = whole[..whole.len() - 20].to_vec();
        assert_eq!(read(cut, 0).await.unwrap_err(), 400);
        assert_eq!(read(whole, 50).await.unwrap_err(), 413);
        assert_eq!(
            read(encode(&[("a", None, b"\xff")]), 0).await.unwrap_err(),
            400
        );
        assert_eq!(read(b"no form at all".to_vec(), 0).await.unwrap_err(), 400);
        let many: Vec<Part<'_>> = (0..=PARTS_MAX)
            .map(|_| ("a", None, b"".as_slice()))
            .collect();
        assert_eq!(read(encode(&many), 0).await.unwrap_err(), 400);
    }
}
