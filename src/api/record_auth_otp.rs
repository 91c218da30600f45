//! Sign-in with a one-time password: request-otp, auth-with-otp.

use std::sync::Arc;

use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::body::Texts;
use super::encode;
use super::record_auth::{BODY_BYTES_MAX, auth_collection, auth_options};
use super::record_auth_response::auth_response;
use super::records::limit;
use super::tap::{Carried, Tap};
use crate::base::Code;
use crate::engine::auth::{OtpAttempt, OtpSignIn, new_otp};
use crate::engine::events::{EventKind, Slot};
use crate::engine::{Engine, context};
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller};
use crate::model::Collection;

/// Tries per record and client, with whatever one-time password, in the time below. Holds even where rate limits are off.
const TRIES_MAX: i64 = 5;
const TRIES_S: i64 = 180;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .route("/request-otp", web::post().to(request_otp))
        .route("/auth-with-otp", web::post().to(auth_with_otp));
}

fn require_otps(collection: &Collection) -> Result<(), ApiError> {
    if auth_options(collection)?.otp.enabled {
        return Ok(());
    }
    Err(ApiError::forbidden(
        "The collection is not configured to allow OTP authentication.",
    ))
}

/// Under which id a one-time password waits.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OtpRequested {
    otp_id: String,
}

/// Sends a one-time password by mail. The answer does not tell whether anybody has the address.
#[utoipa::path(post, path = "/api/collections/{collection}/request-otp", tag = "auth",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The id to sign in with", body = OtpRequested), (status = 400, description = "No e-mail address"),
        (status = 403, description = "One-time passwords are off"), (status = 404, description = "No such auth collection")))]
pub(super) async fn request_otp(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let collection = auth_collection(&engine, &path)?;
    let tags = ["requestOTP"];
    limit(&engine, &limits, &caller, &request, &collection, &tags)?;
    require_otps(&collection)?;
    let body = Texts::read(&request, payload, BodyLimit(BODY_BYTES_MAX)).await?;
    let kind = EventKind::RecordRequestOtpRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    let receiver = engine
        .otp_receiver(&collection, &body.text("email")?)
        .await?;
    let mut state = Carried::new(receiver).with("password", new_otp(&collection));
    tap.run(&mut state, async |state: &mut Carried| {
        let receiver = state.record.clone();
        let otp_id = engine.issue_otp(receiver, state.text("password")).await?;
        encode::picked(&OtpRequested { otp_id }, caller.info.query("fields"))
    })
    .await
}

/// Signs in with a one-time password, which is used up by it.
#[utoipa::path(post, path = "/api/collections/{collection}/auth-with-otp", tag = "auth",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 200, description = "Token and record"), (status = 400, description = "Invalid or expired one-time password"),
        (status = 401, description = "A second factor is needed: `mfaId`"),
        (status = 403, description = "One-time passwords are off, or the auth rule is not met"), (status = 429, description = "Too many tries")))]
pub(super) async fn auth_with_otp(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    mut caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let collection = auth_collection(&engine, &path)?;
    let tags = ["authWithOTP", "auth"];
    limit(&engine, &limits, &caller, &request, &collection, &tags)?;
    require_otps(&collection)?;
    let body = Texts::read(&request, payload, BodyLimit(BODY_BYTES_MAX)).await?;
    let form = OtpSignIn {
        otp_id: body.text("otpId")?,
        password: body.text("password")?,
    };
    caller.info = caller.info.in_context(context::OTP).with_body(body.fields);
    let attempt = engine.find_otp(&collection, &form).await?;
    let scope = format!("@otp {}", attempt.record.id());
    let now_s = engine.now().unix();
    limits
        .consume(scope, &caller.ip, TRIES_MAX, TRIES_S, now_s)
        .map_err(|_| {
            ApiError::new(
                Code::TooManyRequests,
                "Too many attempts, please try again later with a new OTP.",
            )
        })?;
    engine.check_otp(&attempt, &form.password).await?;
    let kind = EventKind::RecordAuthWithOtpRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    let OtpAttempt { otp, record } = attempt;
    let mut state = Carried::new(Some(record)).with_slot("otp", Slot::Record(Box::new(otp)));
    tap.run(&mut state, async |state: &mut Carried| {
        let record = state.take_record()?;
        let Some(Slot::Record(otp)) = state.slot("otp").cloned() else {
            return Err(ApiError::internal("an event lost its one-time password"));
        };
        let attempt = OtpAttempt { otp: *otp, record };
        let record = engine.use_otp(attempt).await?;
        state.after = tap.is_on().then(|| Arc::new(record.clone()));
        auth_response(&engine, &request, &caller, record, Some("otp"), None).await
    })
    .await
}
