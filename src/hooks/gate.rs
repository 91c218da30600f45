//! The middleware that leads requests through scripts before the server's own routes see them.
//!
//! A request that no script wants costs one atomic load.

use std::cell::Cell;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{
    Payload, Service, ServiceRequest, ServiceResponse, Transform, fn_service, forward_ready,
};
use actix_web::error::PayloadError;
use actix_web::http::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderName, HeaderValue, VARY};
use actix_web::middleware::Compress;
use actix_web::web::Data;
use actix_web::{Error as ActixError, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream;

use super::Scripts;
use super::keep::Keep;
use super::serve::Plan;
use crate::engine;
use crate::engine::events::{Event, EventKind, run};
use crate::http::caller::{KnownAuth, SignedIn};
use crate::http::exchange::{Kept, headers, parts, respond, set_headers};
use crate::http::gzip::accepts_gzip;
use crate::http::limit::{content_length, read_all};
use crate::http::middleware::{SkipActivityLog, method_of};
use crate::http::proxy::real_ip;
use crate::http::query::Query;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller};
use crate::store::Tx;

/// A body of a request to the API that middlewares can read; longer ones go by them unseen.
const SEEN_BODY_BYTES_MAX: u64 = 4 << 20;

/// See the module's documentation.
#[derive(Clone)]
pub struct Gate(Scripts);

impl Gate {
    /// The gate to the routes and middlewares of these scripts.
    #[must_use]
    pub fn new(scripts: Scripts) -> Self {
        Self(scripts)
    }
}

impl<S, B> Transform<S, ServiceRequest> for Gate
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = ActixError> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = ActixError;
    type Transform = GateService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(GateService {
            service: Rc::new(service),
            scripts: self.0.clone(),
        }))
    }
}

/// [`Gate`] before an application.
pub struct GateService<S> {
    service: Rc<S>,
    scripts: Scripts,
}

impl<S, B> Service<ServiceRequest> for GateService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = ActixError> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = ActixError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, ActixError>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let plan = {
            let registry = self.scripts.inner.published.load();
            registry
                .wants_requests()
                .then(|| {
                    let method = method_of(request.request());
                    Plan::of(
                        &registry,
                        &self.scripts.inner.server_routes,
                        method.as_str(),
                        request.path(),
                    )
                })
                .flatten()
        };
        let Some(plan) = plan else {
            let handled = self.service.call(request);
            return Box::pin(async move { Ok(handled.await?.map_into_left_body()) });
        };
        let scripts = self.scripts.clone();
        Box::pin(lead(scripts, plan, request, Rc::clone(&self.service)))
    }
}

/// Leads a request through its plan.
async fn lead<S, B>(
    scripts: Scripts,
    plan: Plan,
    request: ServiceRequest,
    service: Rc<S>,
) -> Result<ServiceResponse<EitherBody<B>>, ActixError>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = ActixError> + 'static,
    B: MessageBody + 'static,
{
    let (http, mut payload) = request.into_parts();
    let event = match begin(&scripts, &plan, &http, &mut payload).await {
        Ok(event) => event,
        Err(error) => {
            let response = error.error_response().map_into_right_body();
            return Ok(ServiceResponse::new(http, response));
        }
    };
    let limits = http.app_data::<Data<RateLimits>>();
    let limits = limits.map(|limits| (***limits).clone()).unwrap_or_default();
    if plan.skips_activity_log() {
        http.extensions_mut().insert(SkipActivityLog);
    }
    let handlers = plan.handlers(&scripts.inner.engine, &limits);
    let is_route = plan.route.is_some();
    let mut waiting = Some(ServiceRequest::from_parts(http, payload));
    let mut served: Option<ServiceResponse<B>> = None;
    let mut lost = None;
    let default = async |event: &mut Event, _: Option<&mut Tx>| -> Result<(), engine::Error> {
        if is_route {
            return Ok(());
        }
        let Some(mut request) = waiting.take() else {
            return Ok(());
        };
        hand_over(event, &mut request);
        match service.call(request).await {
            Ok(response) => {
                let refused = refusal(&response);
                if refused.is_none() {
                    event.written = Some(response.status().as_u16());
                }
                served = Some(response);
                refused.map_or(Ok(()), |error| Err(error.into()))
            }
            Err(error) => {
                let told = engine::Error::bad_request(error.to_string());
                lost = Some(error);
                Err(told)
            }
        }
    };
    let (event, result) = run(&handlers, event, None, default).await;
    if let Some(error) = lost {
        return Err(error);
    }
    let written = event.written.is_some();
    let response = answer(&event, result);
    let auth = event
        .request
        .as_ref()
        .and_then(|request| request.info.auth.clone());
    match (served, waiting) {
        (Some(mut served), _) if written => {
            set_headers(served.headers_mut(), &event.response_headers);
            Ok(served.map_into_left_body())
        }
        (Some(served), _) => Ok(served.into_response(response.map_into_right_body())),
        (None, Some(request)) => {
            if let Some(record) = auth {
                request.extensions_mut().insert(SignedIn(record));
            }
            if plan.compresses() {
                return compressed(request, response).await;
            }
            Ok(request.into_response(response.map_into_right_body()))
        }
        (None, None) => Err(ApiError::internal("a request was lost among handlers").into()),
    }
}

/// The event of a request, with its body read.
async fn begin(
    scripts: &Scripts,
    plan: &Plan,
    http: &HttpRequest,
    payload: &mut Payload,
) -> Result<Event, ApiError> {
    let settings = scripts.inner.engine.settings();
    let ip = real_ip(&settings.trusted_proxy, http.headers(), http.peer_addr());
    let body = match &plan.route {
        Some(_) => read_all(http, payload, plan.body_limit()).await?,
        None if content_length(http).is_some_and(|length| length <= SEEN_BODY_BYTES_MAX) => {
            let body = read_all(http, payload, BodyLimit(SEEN_BODY_BYTES_MAX)).await?;
            let again = body.clone();
            let pieces = stream::once(async move { Ok::<Bytes, PayloadError>(again) });
            *payload = Payload::Stream {
                payload: Box::pin(pieces),
            };
            body
        }
        None => Bytes::new(),
    };
    let keep: engine::events::Within = Arc::new(Keep::new(&scripts.inner.host));
    http.extensions_mut().insert(Kept(keep));
    let mut query = serde_json::Map::new();
    for (name, value) in Query::of(http).first_values() {
        query.entry(name.to_owned()).or_insert_with(|| value.into());
    }
    let caller = Caller {
        info: engine::RequestInfo {
            method: Arc::from(method_of(http).as_str()),
            query: Arc::new(query),
            ..engine::RequestInfo::default()
        },
        token: None,
        ip: ip.map(|ip| ip.to_string()).unwrap_or_default(),
    };
    let mut parts = parts(http, &caller);
    parts.body = body;
    if let Some(found) = &plan.route {
        parts.path_values.clone_from(&found.path_values);
        parts.pattern.clone_from(&found.pattern);
    }
    Ok(Event::new(EventKind::Route, None).in_request(parts))
}

/// Lets the API see what middlewares made of the request.
fn hand_over(event: &Event, request: &mut ServiceRequest) {
    let Some(parts) = &event.request else { return };
    // Who sent no header is not known yet to be a guest: streams also take a token of the query.
    if parts.info.auth.is_some() || request.headers().contains_key(AUTHORIZATION) {
        request
            .extensions_mut()
            .insert(KnownAuth(parts.info.auth.clone()));
    }
    if headers(request.request())[..] == parts.headers[..] {
        return;
    }
    let map = request.headers_mut();
    map.clear();
    for (name, value) in parts.headers.iter() {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            map.append(name, value);
        }
    }
}

/// The error that a response of the server's own stands for.
fn refusal<B>(response: &ServiceResponse<B>) -> Option<ApiError> {
    let error = response.response().error()?.as_error::<ApiError>()?;
    let copy = ApiError::new(error.code(), error.message().to_owned())
        .with_status(error.status_code())
        .with_data(error.data().clone());
    let chain = error.cause_chain();
    Some(if chain.is_empty() {
        copy
    } else {
        copy.with_cause(chain)
    })
}

/// What scripts have answered, or what they failed with. An answer once given stands.
fn answer(event: &Event, result: Result<(), engine::Error>) -> HttpResponse {
    let mut response = match (&event.answer, result) {
        (Some(answer), _) => respond(answer.clone()),
        (None, Err(error)) => HttpResponse::from_error(ApiError::from(error)),
        (None, Ok(())) => HttpResponse::Ok().finish(),
    };
    set_headers(response.headers_mut(), &event.response_headers);
    response
}

/// A response compressed with gzip, if the client takes that.
async fn compressed<B>(
    mut request: ServiceRequest,
    mut response: HttpResponse,
) -> Result<ServiceResponse<EitherBody<B>>, ActixError> {
    response
        .headers_mut()
        .append(VARY, HeaderValue::from_static("Accept-Encoding"));
    let accepts = request.headers().get(ACCEPT_ENCODING);
    if !accepts.is_some_and(accepts_gzip) {
        return Ok(request.into_response(response.map_into_right_body()));
    }
    request
        .headers_mut()
        .insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let response = Rc::new(Cell::new(Some(response)));
    let answer = fn_service(move |request: ServiceRequest| {
        let response = response
            .take()
            .unwrap_or_else(|| HttpResponse::Ok().finish());
        ready(Ok::<_, ActixError>(request.into_response(response)))
    });
    let compress = Compress::default().new_transform(answer).await;
    let compress = compress.map_err(|()| ApiError::internal("the compressor cannot be made"))?;
    let response: ServiceResponse<BoxBody> = compress.call(request).await?.map_into_boxed_body();
    Ok(response.map_into_right_body())
}
