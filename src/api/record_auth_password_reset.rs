//! A new password by mail: request-password-reset, confirm-password-reset.

use std::sync::Arc;

use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};

use super::body::Texts;
use super::record_auth::{BODY_BYTES_MAX, auth_collection, auth_options};
use super::records::limit;
use super::tap::{Carried, Tap};
use crate::engine::Engine;
use crate::engine::auth::PasswordReset;
use crate::engine::events::EventKind;
use crate::http::json as response;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller};

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .route(
            "/request-password-reset",
            web::post().to(request_password_reset),
        )
        .route(
            "/confirm-password-reset",
            web::post().to(confirm_password_reset),
        );
}

/// Sends a mail to set a new password with. The answer does not tell whether anybody has the address.
#[utoipa::path(post, path = "/api/collections/{collection}/request-password-reset", tag = "auth",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 204, description = "Sent, if there is somebody to send it to"),
        (status = 400, description = "No e-mail address, or no passwords in this collection"), (status = 404, description = "No such auth collection")))]
pub(super) async fn request_password_reset(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let collection = auth_collection(&engine, &path)?;
    let tags = ["requestPasswordReset"];
    limit(&engine, &limits, &caller, &request, &collection, &tags)?;
    if !auth_options(&collection)?.password_auth.enabled {
        return Err(ApiError::bad_request(
            "The collection is not configured to allow password authentication.",
        ));
    }
    let body = Texts::read(&request, payload, BodyLimit(BODY_BYTES_MAX)).await?;
    let receiver = engine
        .password_reset_receiver(&collection, &body.text("email")?)
        .await?;
    let Some(record) = receiver else {
        return Ok(response::no_content());
    };
    let kind = EventKind::RecordRequestPasswordResetRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    tap.run(
        &mut Carried::new(Some(record)),
        async |state: &mut Carried| {
            engine.send_password_reset(state.take_record()?);
            Ok(response::no_content())
        },
    )
    .await
}

/// Sets the new password for the record of a mail's token, whose tokens all end.
#[utoipa::path(post, path = "/api/collections/{collection}/confirm-password-reset", tag = "auth",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 204, description = "Set"), (status = 400, description = "Invalid or expired token, or a refused password"),
        (status = 404, description = "No such auth collection")))]
pub(super) async fn confirm_password_reset(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let collection = auth_collection(&engine, &path)?;
    let tags = ["confirmPasswordReset"];
    limit(&engine, &limits, &caller, &request, &collection, &tags)?;
    let body = Texts::read(&request, payload, BodyLimit(BODY_BYTES_MAX)).await?;
    let form = PasswordReset {
        token: body.text("token")?,
        password: body.text("password")?,
        password_confirm: body.text("passwordConfirm")?,
    };
    let record = engine.check_password_reset(&collection, &form).await?;
    let kind = EventKind::RecordConfirmPasswordResetRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    tap.run(
        &mut Carried::new(Some(record)),
        async |state: &mut Carried| {
            let record = state.take_record()?;
            let record = engine.finish_password_reset(&form, record).await?;
            state.after = Some(Arc::new(record));
            Ok(response::no_content())
        },
    )
    .await
}
