//! `GET /api/metrics`: what the server counts, for Prometheus.

use std::sync::Arc;

use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::base::digest;
use crate::base::metric::{Metric, exposition};
use crate::engine::Engine;
use crate::http::caller::bare_token;
use crate::http::{ApiError, Caller};

/// The media type of the text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Gives the metrics of the parts that have some.
#[derive(Clone)]
pub struct Metrics(pub Arc<dyn Fn() -> Vec<Metric> + Send + Sync>);

pub(super) fn configure(config: &mut ServiceConfig) {
    config.route("/metrics", web::get().to(metrics));
}

/// What the server counts, as Prometheus reads it: for superusers, and for whoever sends the token of the setting
/// `metrics.token`.
#[utoipa::path(get, path = "/api/metrics", tag = "health",
    responses((status = 200, description = "Prometheus' text format", content_type = "text/plain"),
        (status = 401, description = "A superuser's token or the token of the setting metrics.token is needed"), (status = 403, description = "Not for the caller")))]
pub(super) async fn metrics(
    engine: Data<Engine>,
    metrics: Data<Metrics>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    if !has_token(&engine, &request) {
        caller.require_superuser()?;
    }
    let text = exposition(&(metrics.0)());
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}

fn has_token(engine: &Engine, request: &HttpRequest) -> bool {
    let settings = engine.own_settings();
    let header = request.headers().get(AUTHORIZATION);
    let sent = header.and_then(|value| value.to_str().ok());
    match (&settings.metrics_token, sent) {
        (Some(token), Some(sent)) => digest::equal(bare_token(sent), token),
        _ => false,
    }
}
