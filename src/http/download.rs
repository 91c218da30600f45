//! Sending stored files: headers, conditions, ranges, HEAD.

use std::ops::Range;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, LAST_MODIFIED,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::error::ApiError;
use super::middleware::Framable;
use super::query::Query;
use super::range::{self, Answer, FileState};
use crate::base::id::random_string;
use crate::blob::serve::{ServeHeaders, serve_headers};
use crate::blob::{BlobError, Storage};

/// Answers a GET or HEAD with a stored file, or the ranges of it that the request asks for.
///
/// # Errors
/// 404 when there is no such file.
pub async fn serve(
    request: &HttpRequest,
    storage: &Storage,
    key: &str,
    name: &str,
) -> Result<HttpResponse, ApiError> {
    let blob = storage.open(key).await.map_err(refused)?;
    let meta = blob.metadata().clone();
    let query = Query::of(request);
    let wants_download = matches!(query.text("download"), "1" | "t" | "true");
    let headers = serve_headers(name, &meta.content_type, wants_download);
    let state = FileState {
        size_bytes: meta.size,
        modified: Some(meta.modified),
        etag: None,
    };
    let mut response = match range::answer(request.method(), request.headers(), state) {
        Answer::NotModified => {
            let mut response = HttpResponse::build(StatusCode::NOT_MODIFIED);
            common(&mut response, &headers, &meta);
            response.finish()
        }
        Answer::PreconditionFailed => HttpResponse::build(StatusCode::PRECONDITION_FAILED).finish(),
        Answer::Unsatisfiable(reason) => HttpResponse::build(StatusCode::RANGE_NOT_SATISFIABLE)
            .insert_header((CONTENT_RANGE, range::content_range_unsatisfied(meta.size)))
            .content_type("text/plain; charset=utf-8")
            .body(reason.to_string()),
        Answer::Whole => {
            let mut response = HttpResponse::Ok();
            common(&mut response, &headers, &meta);
            response.insert_header((CONTENT_TYPE, headers.content_type.as_ref()));
            response.body(SizedStream::new(meta.size, blob.stream(0..meta.size)))
        }
        Answer::Partial(ranges) => {
            let mut response = HttpResponse::PartialContent();
            common(&mut response, &headers, &meta);
            match ranges.as_slice() {
                [one] => {
                    response
                        .insert_header((CONTENT_TYPE, headers.content_type.as_ref()))
                        .insert_header((CONTENT_RANGE, range::content_range(one, meta.size)));
                    let length = one.end - one.start;
                    response.body(SizedStream::new(length, blob.stream(one.clone())))
                }
                several => {
                    let (content_type, body) =
                        several_ranges(storage, key, several, meta.size, &headers.content_type);
                    response.insert_header((CONTENT_TYPE, content_type));
                    response.body(body)
                }
            }
        }
    };
    response.extensions_mut().insert(Framable);
    Ok(response)
}

fn refused(error: BlobError) -> ApiError {
    match error {
        BlobError::NotFound | BlobError::BadKey => ApiError::not_found(""),
        other => ApiError::internal(other),
    }
}

fn common(
    response: &mut HttpResponseBuilder,
    headers: &ServeHeaders<'_>,
    meta: &crate::blob::Metadata,
) {
    response
        .insert_header((CONTENT_DISPOSITION, headers.content_disposition.as_str()))
        .insert_header((CONTENT_SECURITY_POLICY, headers.content_security_policy))
        .insert_header((CACHE_CONTROL, headers.cache_control))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((LAST_MODIFIED, range::last_modified(meta.modified)));
}

/// A `multipart/byteranges` body; each part opens the file when its turn comes.
fn several_ranges(
    storage: &Storage,
    key: &str,
    ranges: &[Range<u64>],
    size: u64,
    content_type: &str,
) -> (
    String,
    SizedStream<BoxStream<'static, std::io::Result<Bytes>>>,
) {
    let boundary = random_string(40);
    let layout = range::multipart(ranges, size, content_type, &boundary);
    let parts = layout.heads.into_iter().zip(ranges.to_vec());
    let (storage, key) = (storage.clone(), key.to_owned());
    let parts = stream::iter(parts).then(move |(head, range)| {
        let (storage, key) = (storage.clone(), key.clone());
        async move {
            let head = stream::iter([Ok(Bytes::from(head))]);
            match storage.open(&key).await {
                Ok(blob) => head.chain(blob.stream(range)).boxed(),
                Err(error) => stream::iter([Err(std::io::Error::other(error))]).boxed(),
            }
        }
    });
    let body = parts
        .flatten()
        .chain(stream::iter([Ok(Bytes::from(layout.tail))]))
        .boxed();
    (
        format!("multipart/byteranges; boundary={boundary}"),
        SizedStream::new(layout.length_bytes, body),
    )
}
