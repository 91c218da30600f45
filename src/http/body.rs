//! Request bodies as fields and files, whatever their encoding.

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use actix_web::{FromRequest, HttpRequest};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;

use super::error::ApiError;
use super::form;
use super::limit::{BodyLimit, content_length, read_all};
use super::query::Query;
use crate::blob::{mime, name};
use crate::model::{Upload, UploadSource};

/// A submitted body: the fields, and the files of a multipart form in their order.
///
/// As an extractor it takes JSON objects, multipart and urlencoded forms, within the route's [`BodyLimit`]; a request
/// without a body has no fields. It answers 400 to anything else, 413 past the limit.
#[derive(Debug, Default)]
pub struct BodyData {
    /// The fields. Those of forms are text, from which truth values and numbers have been inferred; repeated ones are
    /// arrays.
    pub fields: Map<String, Value>,
    /// Field name and file.
    pub files: Vec<(String, UploadedFile)>,
}

/// A file of a multipart form.
#[derive(Clone, Debug)]
pub struct UploadedFile {
    /// The name the client gave, without folders; never empty.
    pub name: String,
    /// The media type the client gave; not to be believed.
    pub content_type: Option<String>,
    /// How long it is.
    pub size_bytes: u64,
    /// Where it waits: small files in memory, others in a temporary file.
    pub source: UploadSource,
}

/// How much of a file is looked at to find its type.
const HEAD_BYTES: usize = 3072;

impl UploadedFile {
    /// The file as an upload of a record's field: with the name it is stored under, and the type that its first bytes
    /// tell.
    ///
    /// # Errors
    /// 500 when the temporary file cannot be read.
    pub async fn into_upload(self, field: String) -> Result<Upload, ApiError> {
        let head = match &self.source {
            UploadSource::Memory(bytes) => bytes.slice(..bytes.len().min(HEAD_BYTES)),
            UploadSource::File(temporary) => {
                let mut head = Vec::new();
                let file = tokio::fs::File::open(&temporary.path)
                    .await
                    .map_err(ApiError::internal)?;
                file.take(HEAD_BYTES as u64)
                    .read_to_end(&mut head)
                    .await
                    .map_err(ApiError::internal)?;
                head.into()
            }
        };
        Ok(Upload {
            field,
            name: name::normalize(&self.name, &head),
            original_name: self.name,
            size: self.size_bytes,
            content_type: mime::detect(&head).content_type().into_owned(),
            source: self.source,
        })
    }
}

impl FromRequest for BodyData {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move { read(&request, &mut payload, BodyLimit::of(&request)).await })
    }
}

/// Reads a body by its content type, up to `limit`.
///
/// # Errors
/// 400 for a body that is malformed or of an unknown type, 413 past the limit.
pub async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    limit: BodyLimit,
) -> Result<BodyData, ApiError> {
    limit.check_length(request)?;
    if content_length(request) == Some(0) {
        return Ok(BodyData::default());
    }
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default();
    if is_type(content_type, "multipart/form-data") {
        return form::read_multipart(request, payload, limit).await;
    }
    let bytes = read_all(request, payload, limit).await?;
    if bytes.is_empty() {
        return Ok(BodyData::default());
    }
    let fields = if is_type(content_type, "application/json") {
        parse_object(&bytes)?
    } else if is_type(content_type, "application/x-www-form-urlencoded") {
        parse_urlencoded(&bytes)?
    } else {
        return Err(ApiError::bad_request("Unsupported Content-Type."));
    };
    Ok(BodyData {
        fields,
        files: Vec::new(),
    })
}

/// The parts of a form as they were sent.
#[derive(Debug, Default)]
pub struct FormData {
    /// Field name and text.
    pub texts: Vec<(String, String)>,
    /// Field name and file.
    pub files: Vec<(String, UploadedFile)>,
}

/// Reads a body that is there already by its content type.
///
/// # Errors
/// 400 for a body that is malformed or of an unknown type.
pub async fn read_bytes(content_type: &str, body: Bytes) -> Result<BodyData, ApiError> {
    if body.is_empty() {
        return Ok(BodyData::default());
    }
    if is_type(content_type, "application/json") {
        return Ok(BodyData {
            fields: parse_object(&body)?,
            files: Vec::new(),
        });
    }
    let is_form = is_type(content_type, "multipart/form-data")
        || is_type(content_type, "application/x-www-form-urlencoded");
    if !is_form {
        return Err(ApiError::bad_request("Unsupported Content-Type."));
    }
    let FormData { texts, files } = read_form(content_type, body).await?;
    Ok(BodyData {
        fields: form::fields_of(texts)?,
        files,
    })
}

/// Reads a body that is there already as a form; one of another type has no parts.
///
/// # Errors
/// 400 for a malformed form.
pub async fn read_form(content_type: &str, body: Bytes) -> Result<FormData, ApiError> {
    if is_type(content_type, "application/x-www-form-urlencoded") {
        return Ok(FormData {
            texts: urlencoded(&body)?,
            files: Vec::new(),
        });
    }
    if !is_type(content_type, "multipart/form-data") {
        return Ok(FormData::default());
    }
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
    let pieces = stream::once(async move { Ok::<Bytes, PayloadError>(body) });
    let mut payload: Payload = Payload::Stream {
        payload: Box::pin(pieces),
    };
    form::read_parts(&headers, &mut payload, BodyLimit(0)).await
}

fn is_type(content_type: &str, wanted: &str) -> bool {
    let start = content_type.as_bytes().get(..wanted.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// Reads one JSON object; `null` is an empty one. What follows it is ignored, as PocketBase does.
///
/// # Errors
/// 400 for other values, malformed text, bytes that are no UTF-8, and nesting beyond 127 levels.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let object = Option::<Map<String, Value>>::deserialize(&mut deserializer);
    object
        .map(Option::unwrap_or_default)
        .map_err(|error| ApiError::bad_request("").with_cause(error))
}

fn parse_urlencoded(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    form::fields_of(urlencoded(bytes)?)
}

fn urlencoded(bytes: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| ApiError::bad_request("").with_cause(error))?;
    let query = Query::parse(text);
    if query.is_malformed() {
        return Err(ApiError::bad_request("").with_cause("malformed urlencoded body"));
    }
    let pairs = query
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(pairs.collect())
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::test::TestRequest;
    use serde_json::json;

    use super::*;

    async fn read_body(
        content_type: &str,
        body: impl Into<bytes::Bytes>,
    ) -> Result<Value, (u16, String)> {
        let (request, mut payload) = TestRequest::post()
            .insert_header((CONTENT_TYPE, content_type))
            .set_payload(body)
            .to_http_parts();
        match read(&request, &mut payload, BodyLimit(200_000)).await {
            Ok(body) => Ok(Value::Object(body.fields)),
            Err(error) => Err((error.status_code().as_u16(), error.message().to_owned())),
        }
    }

    const GENERIC: &str = "Something went wrong while processing your request.";

    #[actix_web::test]
    async fn json_objects_are_read() {
        let read = read_body(
            "application/json; charset=utf-8",
            r#"{"b":1,"a":[true,null],"b":2.5}"#,
        )
        .await;
        assert_eq!(read, Ok(json!({"b": 2.5, "a": [true, null]})));
        assert_eq!(read_body("Application/JSON", "null").await, Ok(json!({})));
        assert_eq!(read_body("application/json", "").await, Ok(json!({})));
        assert_eq!(
            read_body("application/json", r#" {"a":1},rest"#).await,
            Ok(json!({"a": 1}))
        );
    }

    #[actix_web::test]
    async fn malformed_json_is_a_400() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
        let invalid_utf8 = b"{\"a\":\"\xff\"}".to_vec();
        let bodies: Vec<Vec<u8>> = vec![
            b"{bad".to_vec(),
            b"[1]".to_vec(),
            b"\"a\"".to_vec(),
            b"{\"a\":1e999}".to_vec(),
            deep.into_bytes(),
            invalid_utf8,
        ];
        for body in bodies {
            assert_eq!(
                read_body("application/json", body).await,
                Err((400, GENERIC.to_owned()))
            );
        }
    }

    #[actix_web::test]
    async fn bodies_past_the_limit_are_a_413() {
        let body = vec![b' '; 200_001];
        let refused = Err((413, "Request entity too large.".to_owned()));
        assert_eq!(read_body("application/json", body).await, refused);
    }

    #[actix_web::test]
    async fn urlencoded_fields_are_inferred() {
        let read = read_body(
            "application/x-www-form-urlencoded",
            "a=1&b=true&c=x+y&a=01&d=",
        )
        .await;
        assert_eq!(
            read,
            Ok(json!({"a": [1, "01"], "b": true, "c": "x y", "d": ""}))
        );
        let refused = Err((400, GENERIC.to_owned()));
        assert_eq!(
            read_body("application/x-www-form-urlencoded", "a=%").await,
            refused
        );
    }

    #[actix_web::test]
    async fn other_types_are_refused_unless_the_body_is_empty() {
        let refused = Err((400, "Unsupported Content-Type.".to_owned()));
        assert_eq!(read_body("text/plain", "a").await, refused);
        assert_eq!(read_body("", "a").await, refused);
        assert_eq!(read_body("text/plain", "").await, Ok(json!({})));
    }
}
