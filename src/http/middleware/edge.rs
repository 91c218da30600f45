//! Request id, CORS, security headers, the shape of errors, panics and logs.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::error::InternalError;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Ready, ready};
use tracing::Instrument;

use super::activity::{Activity, ActivityLog};
use super::cors::Cors;
use super::deferred::Accepted;
use super::redact::redact_query;
use super::request_id::{RequestId, X_REQUEST_ID};
use crate::http::error::{ApiError, ModuleRoute};

/// The target of access log lines, to be filtered by.
pub const ACCESS_TARGET: &str = "rotunda::access";

const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");

/// What the middleware is told once, at start.
#[derive(Clone, Default)]
pub struct EdgeOptions {
    /// Who may call from a browser.
    pub cors: Cors,
    /// The log of requests, if one is kept.
    pub activity: Option<Arc<dyn ActivityLog>>,
}

/// The outermost middleware: `App::new().wrap(Edge::new(options))`.
#[derive(Clone)]
pub struct Edge(Arc<EdgeOptions>);

impl Edge {
    /// Shares `options` among all workers.
    pub fn new(options: EdgeOptions) -> Self {
        Self(Arc::new(options))
    }
}

/// Put into a response's extensions by a handler whose content other sites may frame, such as files.
#[derive(Clone, Copy, Debug)]
pub struct Framable;

/// The method as sent, where handlers see GET for HEAD.
#[derive(Clone, Copy, Debug)]
struct WasHead;

/// The method as sent. HEAD is routed and handled as GET, and its body dropped.
pub fn method_of(request: &HttpRequest) -> Method {
    if request.extensions().contains::<WasHead>() {
        Method::HEAD
    } else {
        request.method().clone()
    }
}

/// The handler for unknown paths: `App::default_service(web::to(not_found))`.
///
/// # Errors
/// Always: 404.
pub async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::not_found(""))
}

impl<S, B> Transform<S, ServiceRequest> for Edge
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = EdgeService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(EdgeService {
            service: Rc::new(service),
            options: self.0.clone(),
        }))
    }
}

/// [`Edge`] around an application.
pub struct EdgeService<S> {
    service: Rc<S>,
    options: Arc<EdgeOptions>,
}

impl<S, B> Service<ServiceRequest> for EdgeService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let passage = Passage::begin(&self.options, &request);
        if passage.method == Method::OPTIONS {
            let mut response = self.options.cors.preflight(request.headers());
            response
                .headers_mut()
                .insert(X_REQUEST_ID, passage.id.header_value());
            return Box::pin(ready(Ok(request
                .into_response(response)
                .map_into_right_body())));
        }
        request.extensions_mut().insert(passage.id.clone());
        if passage.method == Method::HEAD {
            request.head_mut().method = Method::GET;
            request.extensions_mut().insert(WasHead);
        }
        let service = self.service.clone();
        let span = tracing::info_span!("request", request.id = passage.id.as_str());
        let handled = async move { service.call(request).await };
        Box::pin(async move {
            // A handler that panics leaves nothing behind that another request could see in a broken state: locks of
            // this program guard plain data and are taken over when poisoned.
            let handled = AssertUnwindSafe(handled).catch_unwind();
            let outcome = if span.is_disabled() {
                handled.await
            } else {
                handled.instrument(span).await
            };
            match outcome {
                Ok(Ok(response)) => Ok(passage.finish(response)),
                Ok(Err(error)) if error.as_error::<Accepted>().is_some() => {
                    Err(passage.finish_accepted(&error))
                }
                Ok(Err(error)) => Err(passage.finish_without_request(shaped(&error))),
                Err(panic) => Err(passage.finish_without_request(panicked(panic.as_ref()))),
            }
        })
    }
}

/// What is remembered of a request while it is handled. Not the request itself: the router needs it for itself alone.
struct Passage {
    options: Arc<EdgeOptions>,
    started: Instant,
    id: RequestId,
    method: Method,
    uri: Uri,
    allow_origin: Option<HeaderValue>,
}

impl Passage {
    fn begin(options: &Arc<EdgeOptions>, request: &ServiceRequest) -> Self {
        Self {
            options: options.clone(),
            started: Instant::now(),
            id: RequestId::take_or_make(request.headers()),
            method: request.method().clone(),
            uri: request.uri().clone(),
            allow_origin: options.cors.allowed(request.headers()),
        }
    }

    /// Completes a response.
    fn finish<B: MessageBody>(
        self,
        response: ServiceResponse<B>,
    ) -> ServiceResponse<EitherBody<B>> {
        let replaced = reshape(&response);
        let error = replaced.as_ref().or_else(|| api_error(response.response()));
        let status = replaced
            .as_ref()
            .map_or(response.status(), ApiError::status_code);
        self.log(Some(response.request()), status, error);
        let mut response = match replaced {
            Some(error) => {
                let shaped = error.error_response();
                response.into_response(shaped).map_into_right_body()
            }
            None => response.map_into_left_body(),
        };
        let framable = response.response().extensions().contains::<Framable>();
        self.add_headers(response.headers_mut(), framable);
        response
    }

    /// Makes a complete response where the request is lost: after a panic, or an error of another middleware.
    fn finish_without_request(self, error: ApiError) -> Error {
        self.log(None, error.status_code(), Some(&error));
        let mut response = error.error_response();
        self.add_headers(response.headers_mut(), false);
        InternalError::from_response(error, response).into()
    }

    /// The answer to a request that is still being handled, and keeps what belongs to it.
    fn finish_accepted(self, accepted: &Error) -> Error {
        let mut response = accepted.error_response();
        self.log(None, response.status(), None);
        self.add_headers(response.headers_mut(), false);
        InternalError::from_response("accepted", response).into()
    }

    fn add_headers(&self, headers: &mut HeaderMap, framable: bool) {
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = &self.allow_origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
        headers.insert(X_REQUEST_ID, self.id.header_value());
        let mut add = |name: HeaderName, value: &'static str| {
            if !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        };
        add(X_CONTENT_TYPE_OPTIONS, "nosniff");
        add(X_XSS_PROTECTION, "1; mode=block");
        add(CROSS_ORIGIN_OPENER_POLICY, "same-origin");
        if !framable {
            add(X_FRAME_OPTIONS, "SAMEORIGIN");
        }
    }

    fn log(&self, request: Option<&HttpRequest>, status: StatusCode, error: Option<&ApiError>) {
        let duration = self.started.elapsed();
        if status.is_server_error() {
            self.log_failure(status, error);
        }
        if tracing::enabled!(target: ACCESS_TARGET, tracing::Level::INFO) {
            tracing::event!(
                target: ACCESS_TARGET,
                tracing::Level::INFO,
                request.id = self.id.as_str(),
                method = self.method.as_str(),
                path = self.uri.path(),
                query = self.uri.query().map(redact_query).as_deref(),
                status = status.as_u16(),
                duration_ms = duration.as_secs_f64() * 1_000.0,
                "Request answered."
            );
        }
        let Some(log) = self.options.activity.as_ref().filter(|log| log.is_on()) else {
            return;
        };
        let activity = Activity {
            method: &self.method,
            uri: &self.uri,
            status,
            duration,
            request_id: &self.id,
            request,
            error,
        };
        if !activity.is_skipped() {
            log.record(&activity);
        }
    }

    fn log_failure(&self, status: StatusCode, error: Option<&ApiError>) {
        let (id, method, path) = (self.id.as_str(), self.method.as_str(), self.uri.path());
        let chain = error.map(ApiError::cause_chain).unwrap_or_default();
        // A full or stopping server is no fault that somebody must look into.
        if status == StatusCode::SERVICE_UNAVAILABLE {
            tracing::warn!(
                request.id = id,
                method,
                path,
                error = chain,
                "A request was turned away."
            );
        } else {
            let status = status.as_u16();
            tracing::error!(
                request.id = id,
                method,
                path,
                status,
                error = chain,
                "A request failed."
            );
        }
    }
}

fn api_error<B>(response: &HttpResponse<B>) -> Option<&ApiError> {
    response.error()?.as_error::<ApiError>()
}

/// The error to answer with instead, where the framework has answered in its own way (a refused extractor, an unknown
/// path, a method the path has not), or where the route has a shape of its own for errors.
pub(super) fn reshape<B>(response: &ServiceResponse<B>) -> Option<ApiError> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    if response.request().app_data::<ModuleRoute>().is_none() {
        return untold(response);
    }
    let own = || response.response().error().map(shaped);
    untold(response).or_else(own).map(ApiError::for_module)
}

fn untold<B>(response: &ServiceResponse<B>) -> Option<ApiError> {
    let response = response.response();
    match response.error() {
        Some(error) => error
            .as_error::<ApiError>()
            .is_none()
            .then(|| shaped(error)),
        None => {
            let untold = matches!(
                response.status(),
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
            ) && !response.headers().contains_key(CONTENT_TYPE);
            untold.then(|| ApiError::not_found(""))
        }
    }
}

/// An error of any kind in our shape.
pub(super) fn shaped(error: &Error) -> ApiError {
    let of = error.as_response_error();
    match error.as_error::<ApiError>() {
        Some(ours) => {
            let copy =
                ApiError::new(ours.code(), ours.message().to_owned()).with_status(of.status_code());
            let chain = ours.cause_chain();
            let copy = copy.with_data(ours.data().clone());
            if chain.is_empty() {
                copy
            } else {
                copy.with_cause(chain)
            }
        }
        None => ApiError::of_status(of.status_code()).with_cause(error.to_string()),
    }
}

/// A panic as an error; its text goes to the log.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> ApiError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ApiError::internal(format!(
        "the handler panicked: {}",
        text.unwrap_or("no message")
    ))
}
