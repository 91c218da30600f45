//! Who calls: the extractor that every handler reaches data through.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use serde_json::{Map, Value as Json};

use super::error::ApiError;
use super::proxy::real_ip;
use super::query::Query;
use crate::base::code::{AUTH_NOT_ALLOWED, AUTH_REQUIRED};
use crate::engine::{Engine, RequestInfo, context};
use crate::model::Record;

/// The signed-in record, if any, and what rules may read of the request.
///
/// An invalid or expired token makes the caller a guest, as in PocketBase.
#[derive(Clone)]
pub struct Caller {
    /// The request as rules see it; its body is filled in by handlers that read one.
    pub info: RequestInfo,
    /// The token that was sent, if it is valid.
    pub token: Option<Arc<str>>,
    /// The client's address, from trusted proxy headers where the settings name some.
    pub ip: String,
}

/// Put into a request's extensions for the request log: who signed it.
#[derive(Clone, Debug)]
pub struct SignedIn(pub Arc<Record>);

/// Put into a request's extensions by whoever has found out before the handler who calls, or decided it.
#[derive(Clone, Debug)]
pub struct KnownAuth(pub Option<Arc<Record>>);

impl Caller {
    #[must_use]
    pub fn auth(&self) -> Option<&Arc<Record>> {
        self.info.auth.as_ref()
    }

    #[must_use]
    pub fn is_superuser(&self) -> bool {
        self.info.is_superuser()
    }

    /// The signed-in record.
    ///
    /// # Errors
    /// 401 for guests.
    pub fn require_auth(&self) -> Result<&Arc<Record>, ApiError> {
        self.auth()
            .ok_or_else(|| ApiError::unauthorized(AUTH_REQUIRED))
    }

    /// # Errors
    /// 401 for guests, 403 for everyone but superusers.
    pub fn require_superuser(&self) -> Result<(), ApiError> {
        self.require_auth()?;
        if self.is_superuser() {
            Ok(())
        } else {
            Err(ApiError::forbidden(AUTH_NOT_ALLOWED))
        }
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { identify(&request, sent_token(&request)).await })
    }
}

/// A caller that may also sign in by `?token=`: for what a browser opens without headers, such as event streams.
pub struct StreamCaller(pub Caller);

impl FromRequest for StreamCaller {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let query = Query::of(&request);
            let token = match sent_token(&request) {
                "" => query.text("token"),
                token => token,
            };
            identify(&request, token).await.map(Self)
        })
    }
}

async fn identify(request: &HttpRequest, token: &str) -> Result<Caller, ApiError> {
    let engine = request
        .app_data::<Data<Engine>>()
        .ok_or_else(|| ApiError::internal("the engine is not registered"))?;
    let known = request.extensions().get::<KnownAuth>().cloned();
    let auth = match (known, token) {
        (Some(KnownAuth(auth)), _) => auth,
        (None, "") => None,
        (None, token) => engine.authenticate(token).await?,
    };
    let settings = engine.settings();
    let ip = real_ip(
        &settings.trusted_proxy,
        request.headers(),
        request.peer_addr(),
    )
    .map(|ip| ip.to_string())
    .unwrap_or_default();
    if auth
        .as_ref()
        .is_some_and(|record| record.collection().is_superusers())
        && !settings.superuser_ip_allowed(&ip)
    {
        return Err(ApiError::forbidden(""));
    }
    if let Some(record) = &auth {
        request
            .extensions_mut()
            .insert(SignedIn(Arc::clone(record)));
    }
    let token = auth.as_ref().map(|_| Arc::from(token));
    // Superusers may name headers in filters of their own.
    let reads_headers = engine.schema().reads_headers || request.query_string().contains("headers");
    Ok(Caller {
        info: RequestInfo {
            context: context::DEFAULT,
            method: Arc::from(request.method().as_str()),
            query: Arc::new(query_map(request)),
            headers: if reads_headers {
                Arc::new(header_map(request))
            } else {
                Arc::default()
            },
            body: Arc::default(),
            auth,
        },
        token,
        ip,
    })
}

/// The token of the `Authorization` header, with or without `Bearer`.
fn sent_token(request: &HttpRequest) -> &str {
    let text = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    bare_token(text)
}

/// The token in the text of an `Authorization` header, with or without `Bearer`.
#[must_use]
pub fn bare_token(text: &str) -> &str {
    match text.split_at_checked(7) {
        Some((prefix, token)) if prefix.eq_ignore_ascii_case("bearer ") => token,
        _ => text,
    }
}

fn query_map(request: &HttpRequest) -> Map<String, Json> {
    let mut map = Map::new();
    for (name, value) in Query::of(request).first_values() {
        map.entry(name.to_owned())
            .or_insert_with(|| Json::String(value.to_owned()));
    }
    map
}

fn header_map(request: &HttpRequest) -> Map<String, Json> {
    let mut map = Map::new();
    for (name, value) in request.headers() {
        if let Ok(text) = value.to_str() {
            map.entry(name.as_str().replace('-', "_"))
                .or_insert_with(|| Json::String(text.to_owned()));
        }
    }
    map
}
