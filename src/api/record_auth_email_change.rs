//! Another e-mail address for a signed-in record: request-email-change, confirm-email-change.

use std::sync::Arc;

use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};

use super::body::Texts;
use super::record_auth::{BODY_BYTES_MAX, auth_collection};
use super::records::limit;
use super::tap::{Carried, Tap};
use crate::engine::Engine;
use crate::engine::auth::EmailChange;
use crate::engine::events::EventKind;
use crate::http::json as response;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller};
use crate::model::{Collection, Record};

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .route(
            "/request-email-change",
            web::post().to(request_email_change),
        )
        .route(
            "/confirm-email-change",
            web::post().to(confirm_email_change),
        );
}

fn refuse_superusers(collection: &Collection) -> Result<(), ApiError> {
    if collection.is_superusers() {
        return Err(ApiError::bad_request(
            "All superusers can change their emails directly.",
        ));
    }
    Ok(())
}

/// Sends a mail to the new address, to confirm it with.
#[utoipa::path(post, path = "/api/collections/{collection}/request-email-change", tag = "auth",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 204, description = "Sent"), (status = 400, description = "Refused address, or the mail could not be sent"),
        (status = 401, description = "Not signed in"), (status = 403, description = "Signed in elsewhere")))]
pub(super) async fn request_email_change(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let record = caller.require_auth()?;
    let collection = engine
        .collection(&path)
        .ok()
        .filter(|found| found.id == record.collection().id)
        .ok_or_else(|| {
            ApiError::forbidden(format!(
                "The request requires auth record from {} collection.",
                record.collection().name
            ))
        })?;
    let tags = ["requestEmailChange"];
    limit(&engine, &limits, &caller, &request, &collection, &tags)?;
    refuse_superusers(&collection)?;
    let body = Texts::read(&request, payload, BodyLimit(BODY_BYTES_MAX)).await?;
    let new_email = body.text("newEmail")?;
    engine.check_new_email(record, &new_email).await?;
    let kind = EventKind::RecordRequestEmailChangeRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    let mut state = Carried::new(Some(Record::clone(record))).with("new_email", new_email);
    tap.run(&mut state, async |state: &mut Carried| {
        let record = state.take_record()?;
        engine
            .send_email_change(&record, &state.text("new_email"))
            .await?;
        Ok(response::no_content())
    })
    .await
}

/// Sets the address that a mail's token names; the password is needed too. All tokens of the record end.
#[utoipa::path(post, path = "/api/collections/{collection}/confirm-email-change", tag = "auth",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 204, description = "Changed"), (status = 400, description = "Invalid or expired token, or a wrong password"),
        (status = 404, description = "No such auth collection")))]
pub(super) async fn confirm_email_change(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let collection = auth_collection(&engine, &path)?;
    let tags = ["confirmEmailChange"];
    limit(&engine, &limits, &caller, &request, &collection, &tags)?;
    refuse_superusers(&collection)?;
    let body = Texts::read(&request, payload, BodyLimit(BODY_BYTES_MAX)).await?;
    let form = EmailChange {
        token: body.text("token")?,
        password: body.text("password")?,
    };
    let (record, new_email) = engine.check_email_change(&collection, &form).await?;
    let kind = EventKind::RecordConfirmEmailChangeRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    let mut state = Carried::new(Some(record)).with("new_email", new_email);
    tap.run(&mut state, async |state: &mut Carried| {
        let record = state.take_record()?;
        let record = engine
            .finish_email_change(&form, record, state.text("new_email"))
            .await?;
        state.after = Some(Arc::new(record));
        Ok(response::no_content())
    })
    .await
}
