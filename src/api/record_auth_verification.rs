//! Confirming the e-mail address of an auth record: request-verification, confirm-verification.

use std::sync::Arc;

use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};

use super::body::Texts;
use super::record_auth::{BODY_BYTES_MAX, auth_collection};
use super::records::limit;
use super::tap::{Carried, Tap};
use crate::engine::Engine;
use crate::engine::events::EventKind;
use crate::http::json as response;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller};
use crate::model::Collection;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .route(
            "/request-verification",
            web::post().to(request_verification),
        )
        .route(
            "/confirm-verification",
            web::post().to(confirm_verification),
        );
}

fn refuse_superusers(collection: &Collection) -> Result<(), ApiError> {
    if collection.is_superusers() {
        return Err(ApiError::bad_request(
            "All superusers are verified by default.",
        ));
    }
    Ok(())
}

/// Sends a mail to confirm the address with. The answer does not tell whether anybody has it.
#[utoipa::path(post, path = "/api/collections/{collection}/request-verification", tag = "auth",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 204, description = "Sent, if there is somebody to send it to"), (status = 400, description = "No e-mail address"),
        (status = 404, description = "No such auth collection")))]
pub(super) async fn request_verification(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let collection = auth_collection(&engine, &path)?;
    let tags = ["requestVerification"];
    limit(&engine, &limits, &caller, &request, &collection, &tags)?;
    refuse_superusers(&collection)?;
    let body = Texts::read(&request, payload, BodyLimit(BODY_BYTES_MAX)).await?;
    let receiver = engine
        .verification_receiver(&collection, &body.text("email")?)
        .await?;
    let Some(record) = receiver else {
        return Ok(response::no_content());
    };
    let kind = EventKind::RecordRequestVerificationRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    tap.run(
        &mut Carried::new(Some(record)),
        async |state: &mut Carried| {
            engine.send_verification(state.take_record()?);
            Ok(response::no_content())
        },
    )
    .await
}

/// Marks the record of a mail's token as verified.
#[utoipa::path(post, path = "/api/collections/{collection}/confirm-verification", tag = "auth",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 204, description = "Verified"), (status = 400, description = "Invalid or expired token"),
        (status = 404, description = "No such auth collection")))]
pub(super) async fn confirm_verification(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let collection = auth_collection(&engine, &path)?;
    let tags = ["confirmVerification"];
    limit(&engine, &limits, &caller, &request, &collection, &tags)?;
    refuse_superusers(&collection)?;
    let body = Texts::read(&request, payload, BodyLimit(BODY_BYTES_MAX)).await?;
    let token = body.text("token")?;
    let record = engine.check_verification(&collection, &token).await?;
    let kind = EventKind::RecordConfirmVerificationRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    tap.run(
        &mut Carried::new(Some(record)),
        async |state: &mut Carried| {
            let record = state.take_record()?;
            let record = engine.finish_verification(&token, record).await?;
            state.after = Some(Arc::new(record));
            Ok(response::no_content())
        },
    )
    .await
}
