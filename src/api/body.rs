//! Reading bodies once the caller is known to be allowed to send one.

use actix_web::HttpRequest;
use actix_web::web::Payload;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::base::code::BODY_UNREADABLE;
use crate::http::{ApiError, BodyLimit, body};

/// The fields of a body; `refusal` is the text for one that cannot be read.
///
/// # Errors
/// 400 with that text, 413 beyond the route's limit.
pub(super) async fn fields(
    request: &HttpRequest,
    payload: Payload,
    refusal: &'static str,
) -> Result<Map<String, Json>, ApiError> {
    let mut payload = payload.into_inner();
    match body::read(request, &mut payload, BodyLimit::of(request)).await {
        Ok(data) => Ok(data.fields),
        Err(error) if error.code().status() == 400 => {
            Err(ApiError::bad_request(refusal).with_cause(error.cause_chain()))
        }
        Err(error) => Err(error),
    }
}

/// A body read into a form; null members count as absent.
///
/// # Errors
/// 400 for a body that cannot be read or has members of another type, 413 beyond the route's limit.
pub(super) async fn form<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<T, ApiError> {
    let mut fields = fields(request, payload, BODY_UNREADABLE).await?;
    fields.retain(|_, value| !value.is_null());
    serde_json::from_value(Json::Object(fields))
        .map_err(|cause| ApiError::bad_request(BODY_UNREADABLE).with_cause(cause))
}
