//! `/api/settings/rotunda`: reading and changing Rotunda's own settings; for superusers.

use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};

use super::{body, encode};
use crate::base::code::BODY_UNREADABLE;
use crate::engine::Engine;
use crate::http::{ApiError, Caller, ModuleRoute};

pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(
        web::resource("/settings/rotunda")
            .app_data(ModuleRoute)
            .route(web::get().to(view_own_settings))
            .route(web::patch().to(update_own_settings)),
    );
}

/// Rotunda's own settings, nested by name, as they count now; secrets are masked.
#[utoipa::path(get, path = "/api/settings/rotunda", tag = "settings",
    params(("fields" = Option<String>, Query, description = "Members to return")),
    responses((status = 200, description = "The settings"), (status = 401, description = "Not signed in"),
        (status = 403, description = "For superusers only")))]
pub(super) async fn view_own_settings(
    engine: Data<Engine>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    encode::picked(&engine.own_settings_shown(), caller.info.query("fields"))
}

/// Changes the members that are sent, at once; `null` brings a default back, and a mask keeps its secret.
#[utoipa::path(patch, path = "/api/settings/rotunda", tag = "settings",
    params(("fields" = Option<String>, Query, description = "Members to return")),
    request_body(content = serde_json::Value, description = "Such as `{\"payments\":{\"holdMinutes\":10}}`"),
    responses((status = 200, description = "The settings after the change"),
        (status = 400, description = "Unknown names, wrong types, values out of bounds or fixed by a flag or variable"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn update_own_settings(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let patch = body::fields(&request, payload, BODY_UNREADABLE).await?;
    let shown = engine.update_own_settings(patch).await?;
    encode::picked(&shown, caller.info.query("fields"))
}
