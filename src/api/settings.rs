//! `/api/settings`: reading and changing the settings, trying them out; for superusers.

use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value as Json, json};

use super::tap::{Carried, Tap};
use super::{body, encode};
use crate::base::code::BODY_UNREADABLE;
use crate::engine::Engine;
use crate::engine::events::EventKind;
use crate::engine::settings::{AppleClientSecret, MailProbe, Settings, StorageProbe};
use crate::http::json as response;
use crate::http::{ApiError, Caller};

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/settings")
                .route(web::get().to(view_settings))
                .route(web::head().to(view_settings))
                .route(web::patch().to(update_settings)),
        )
        .route("/settings/test/s3", web::post().to(try_storage))
        .route("/settings/test/email", web::post().to(try_mail))
        .route(
            "/settings/apple/generate-client-secret",
            web::post().to(sign_apple_client_secret),
        );
}

/// The settings without passwords and secrets.
#[utoipa::path(get, path = "/api/settings", tag = "settings",
    params(("fields" = Option<String>, Query, description = "Members to return")),
    responses((status = 200, description = "The settings"), (status = 401, description = "Not signed in"),
        (status = 403, description = "For superusers only")))]
pub(super) async fn view_settings(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let tap = Tap::new(
        &engine,
        &request,
        &caller,
        EventKind::SettingsListRequest,
        None,
    );
    let mut state = Carried::default();
    if tap.is_on() {
        state = state.with("settings", whole(&engine.settings())?);
    }
    tap.run(&mut state, async |state: &mut Carried| {
        let shown = match state.value("settings") {
            Json::Null => engine.settings().as_json(),
            changed => read(changed)?.as_json(),
        };
        encode::picked(&shown, caller.info.query("fields"))
    })
    .await
}

/// Settings as handlers see them, with passwords and secrets.
fn whole(settings: &Settings) -> Result<Json, ApiError> {
    serde_json::to_value(settings).map_err(ApiError::internal)
}

fn read(settings: Json) -> Result<Settings, ApiError> {
    serde_json::from_value(settings)
        .map_err(|cause| ApiError::bad_request(BODY_UNREADABLE).with_cause(cause))
}

/// Changes the members that are sent; the change applies at once.
#[utoipa::path(patch, path = "/api/settings", tag = "settings",
    params(("fields" = Option<String>, Query, description = "Members to return")),
    responses((status = 200, description = "The settings after the change"), (status = 400, description = "Refused members"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn update_settings(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let patch = body::fields(&request, payload, BODY_UNREADABLE).await?;
    let tap = Tap::new(
        &engine,
        &request,
        &caller,
        EventKind::SettingsUpdateRequest,
        None,
    );
    let mut state = Carried::default();
    if tap.is_on() {
        let patched = engine.patched_settings(&Json::Object(patch.clone()))?;
        state = state
            .with("old_settings", whole(&engine.settings())?)
            .with("new_settings", whole(&patched)?);
    }
    tap.run(&mut state, async |state: &mut Carried| {
        let settings = match state.value("new_settings") {
            Json::Null => engine.update_settings(patch).await?,
            changed => engine.replace_settings(read(changed)?).await?,
        };
        encode::picked(&settings.as_json(), caller.info.query("fields"))
    })
    .await
}

/// Tries to store and remove a file.
#[utoipa::path(post, path = "/api/settings/test/s3", tag = "settings",
    responses((status = 204, description = "It works"), (status = 400, description = "It does not, or the storage is not S3"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn try_storage(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let probe: StorageProbe = body::form(&request, payload).await?;
    probe.run(&engine).await?;
    Ok(response::no_content())
}

/// Sends one of the mails of an auth collection to an address.
#[utoipa::path(post, path = "/api/settings/test/email", tag = "settings",
    responses((status = 204, description = "Sent"), (status = 400, description = "Refused members, or the mail server refused"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn try_mail(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let probe: MailProbe = body::form(&request, payload).await?;
    probe.run(&engine).await?;
    Ok(response::no_content())
}

/// Signs a client secret for "Sign in with Apple".
#[utoipa::path(post, path = "/api/settings/apple/generate-client-secret", tag = "settings",
    responses((status = 200, description = "The secret"), (status = 400, description = "Refused members, or no valid key"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn sign_apple_client_secret(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let form: AppleClientSecret = body::form(&request, payload).await?;
    let secret = form.sign(engine.now())?;
    encode::picked(&json!({ "secret": secret }), caller.info.query("fields"))
}
