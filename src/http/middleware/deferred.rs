//! `?respond_to=sse`: the caller gets 202 at once, and the answer on a channel of its own.
//!
//! The request runs on as it would have, on the worker that took it. Refused are guests, and routes whose answers are
//! streams, files or tokens.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::{MessageBody, to_bytes_limited};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture, Ready, ready};

use super::edge::{panicked, reshape, shaped};
use super::request_id::{RequestId, X_REQUEST_ID};
use crate::base::json::write_str;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::limit::{BodyLimit, read_all};
use crate::http::query::Query;
use crate::model::Record;

/// Most bytes of the body of such a request: it is read before the 202 goes out.
const REQUEST_BYTES_MAX: u64 = 4 << 20;
/// Most bytes of such an answer: it stays in a log for a while.
const RESPONSE_BYTES_MAX: usize = 1 << 20;

/// An answer that comes late.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The request's id, as the client gave it or as the 202 told it.
    pub request_id: String,
    /// What it answers, as a path and method.
    pub method: Method,
    /// The request's path.
    pub path: String,
    /// The status the answer would have had.
    pub status: StatusCode,
    /// JSON text; empty where the answer has no body.
    pub body: Bytes,
}

/// Where late answers go.
pub trait Replies: Send + Sync {
    /// Takes a place for a request of this record that will be answered late.
    ///
    /// # Errors
    /// 429 when the record has too many of them already.
    fn begin(&self, to: &Arc<Record>) -> Result<(), ApiError>;

    /// Takes the answer, and gives the place free.
    fn deliver(&self, to: &Arc<Record>, reply: Reply);
}

/// The middleware, to be wrapped around the scope of the API.
#[derive(Clone)]
pub struct Deferred(Arc<dyn Replies>);

impl Deferred {
    /// Sends late answers to `replies`.
    pub fn new(replies: Arc<dyn Replies>) -> Self {
        Self(replies)
    }
}

impl<S, B> Transform<S, ServiceRequest> for Deferred
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = DeferredService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(DeferredService {
            service: Rc::new(service),
            replies: Arc::clone(&self.0),
        }))
    }
}

/// [`Deferred`] around a service.
pub struct DeferredService<S> {
    service: Rc<S>,
    replies: Arc<dyn Replies>,
}

impl<S, B> Service<ServiceRequest> for DeferredService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = Either<S::Future, LocalBoxFuture<'static, Result<Self::Response, Error>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        if !request.query_string().contains("respond_to") || !is_asked_for(&request) {
            return Either::Left(self.service.call(request));
        }
        let (service, replies) = (Rc::clone(&self.service), Arc::clone(&self.replies));
        Either::Right(Box::pin(async move {
            Err(match defer(service, replies, request).await {
                Ok(accepted) => accepted.into(),
                Err(refusal) => refusal.into(),
            })
        }))
    }
}

fn is_asked_for(request: &ServiceRequest) -> bool {
    Query::parse(request.query_string()).get("respond_to") == Some("sse")
}

/// The 202, on its way as an error: the request itself stays with those who handle it.
#[derive(Debug, thiserror::Error)]
#[error("accepted")]
pub(super) struct Accepted {
    /// Told to clients that gave none.
    request_id: Option<String>,
}

impl ResponseError for Accepted {
    fn status_code(&self) -> StatusCode {
        StatusCode::ACCEPTED
    }

    fn error_response(&self) -> HttpResponse {
        let mut out = b"{\"status\":\"response_sent_via_sse\"".to_vec();
        if let Some(id) = &self.request_id {
            out.extend_from_slice(b",\"request_id\":");
            write_str(&mut out, id);
        }
        out.push(b'}');
        json::response(StatusCode::ACCEPTED, out)
    }
}

async fn defer<S, B>(
    service: Rc<S>,
    replies: Arc<dyn Replies>,
    mut request: ServiceRequest,
) -> Result<Accepted, ApiError>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    if !may_be_deferred(request.method(), request.path()) {
        return Err(ApiError::bad_request(
            "This route does not answer by respond_to=sse.",
        ));
    }
    let caller = request.extract::<Caller>().await?;
    let to = Arc::clone(caller.require_auth()?);
    let mut payload = request.take_payload();
    let limit = BodyLimit(REQUEST_BYTES_MAX);
    let body = read_all(request.request(), &mut payload, limit).await?;
    request.set_payload(Payload::from(body));
    // The answer is read here.
    request.headers_mut().remove(ACCEPT_ENCODING);
    let given = request.headers().get(X_REQUEST_ID).cloned();
    let id = RequestId::of(request.request()).map_or_else(String::new, |id| id.to_string());
    let was_given = given.is_some_and(|given| given.as_bytes() == id.as_bytes());
    let accepted = Accepted {
        request_id: (!was_given).then(|| id.clone()),
    };
    replies.begin(&to)?;
    let (method, path) = (request.method().clone(), request.path().to_owned());
    actix_web::rt::spawn(async move {
        let (status, body) = answer(&*service, request, &path).await;
        let reply = Reply {
            request_id: id,
            method,
            path,
            status,
            body,
        };
        replies.deliver(&to, reply);
    });
    Ok(accepted)
}

/// Whether a route answers with JSON that may stay in a log: no streams, no files, no tokens.
fn may_be_deferred(method: &Method, path: &str) -> bool {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let mut parts = decoded.trim_start_matches("/api/").split('/');
    match parts.next().unwrap_or_default() {
        "files" | "realtime" | "backups" => false,
        // Publishing, not reading.
        "events" => *method == Method::POST,
        "user" => parts.next() != Some("sse"),
        "settings" => parts.next() != Some("apple"),
        "collections" => parts.nth(1).is_none_or(|what| {
            let signs_in = ["auth-", "request-", "confirm-", "impersonate"];
            !signs_in.iter().any(|prefix| what.starts_with(prefix))
        }),
        _ => true,
    }
}

/// What the request would have been answered.
async fn answer<S, B>(service: &S, request: ServiceRequest, path: &str) -> (StatusCode, Bytes)
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let outcome = AssertUnwindSafe(async { service.call(request).await })
        .catch_unwind()
        .await;
    let error = match outcome {
        Ok(Ok(response)) => match reshape(&response) {
            Some(error) => error,
            None => match body_of(response).await {
                Ok(answer) => return answer,
                Err(error) => error,
            },
        },
        Ok(Err(error)) => shaped(&error),
        Err(panic) => panicked(panic.as_ref()),
    };
    if error.status_code().is_server_error() {
        tracing::error!(
            path,
            error = error.cause_chain(),
            "A deferred request failed."
        );
    }
    (error.status_code(), Bytes::from(error.to_body()))
}

async fn body_of<B: MessageBody>(
    response: ServiceResponse<B>,
) -> Result<(StatusCode, Bytes), ApiError> {
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE);
    let is_json =
        content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    let body = response.into_body();
    if body.size().is_eof() {
        return Ok((status, Bytes::new()));
    }
    if !is_json {
        return Err(ApiError::bad_request(
            "The answer is no JSON: ask without respond_to=sse.",
        ));
    }
    match to_bytes_limited(body, RESPONSE_BYTES_MAX).await {
        Ok(Ok(bytes)) => Ok((status, bytes)),
        Ok(Err(_)) => Err(ApiError::internal("the response body broke off")),
        Err(_) => Err(ApiError::new(
            crate::base::code::Code::TooLarge,
            "The answer is too long for the channel: ask for less, or without respond_to=sse.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_files_and_tokens_are_never_deferred() {
        for path in [
            "/api/files/token",
            "/api/files/posts/x/a.png",
            "/api/events/a",
            "/api/user/sse",
            "/api/collections/users/auth-refresh",
            "/api/collections/users/auth%2Dwith-password",
            "/api/collections/users/impersonate/x",
            "/api/settings/apple/generate-client-secret",
        ] {
            assert!(!may_be_deferred(&Method::GET, path), "{path}");
        }
        for path in [
            "/api/collections",
            "/api/collections/posts",
            "/api/collections/posts/records",
            "/api/collections/posts/records/x",
            "/api/batch",
            "/api/rooms",
            "/api/user/notifications",
        ] {
            assert!(may_be_deferred(&Method::GET, path), "{path}");
        }
        assert!(may_be_deferred(&Method::POST, "/api/events/news"));
    }
}
