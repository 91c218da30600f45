//! `/api/health`: whether the server answers.

use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::encode;
use crate::engine::Engine;
use crate::engine::settings::Settings;
use crate::http::{ApiError, Caller};

pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(
        web::resource("/health")
            .route(web::get().to(health))
            .route(web::head().to(health)),
    );
}

/// Headers by which proxies usually name the client's address.
const PROXY_HEADERS: [&str; 3] = ["CF-Connecting-IP", "Fly-Client-IP", "X-Forwarded-For"];

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    message: &'static str,
    code: u16,
    data: HealthData,
}

/// Empty but for superusers.
#[derive(Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HealthData {
    /// Whether a backup could start now.
    #[serde(skip_serializing_if = "Option::is_none")]
    can_backup: Option<bool>,
    /// The name of a header that hints at a reverse proxy, or empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    possible_proxy_header: Option<String>,
    /// The client's address as the server sees it.
    #[serde(rename = "realIP", skip_serializing_if = "Option::is_none")]
    real_ip: Option<String>,
}

/// Says that the server answers; to superusers also how it sees them.
#[utoipa::path(get, path = "/api/health", tag = "health",
    params(("fields" = Option<String>, Query, description = "Members to return")),
    responses((status = 200, description = "The server answers", body = Health)))]
pub(super) async fn health(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let data = if caller.is_superuser() {
        HealthData {
            can_backup: Some(!engine.backup_is_active()),
            possible_proxy_header: Some(proxy_header(&engine.settings(), &request)),
            real_ip: Some(caller.ip.clone()),
        }
    } else {
        HealthData::default()
    };
    let health = Health {
        message: "API is healthy.",
        code: 200,
        data,
    };
    encode::picked(&health, caller.info.query("fields"))
}

fn proxy_header(settings: &Settings, request: &HttpRequest) -> String {
    let trusted = settings.trusted_proxy.headers.iter().map(String::as_str);
    trusted
        .chain(PROXY_HEADERS)
        .find(|name| {
            let value = request.headers().get(*name);
            value.is_some_and(|value| !value.is_empty())
        })
        .unwrap_or_default()
        .to_owned()
}
