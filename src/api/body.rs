//! Reading bodies once the caller is known to be allowed to send one.

use actix_web::web::Payload;
use actix_web::{HttpMessage, HttpRequest};
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

/// The fields of a sign-in form, which are all texts.
pub(super) struct Texts {
    pub(super) fields: Map<String, Json>,
    /// Forms know no types: what looks like a number was sent as text.
    typed: bool,
}

impl Texts {
    /// Reads a body of at most `limit`.
    ///
    /// # Errors
    /// 400 for a body that cannot be read, 413 beyond the limit.
    pub(super) async fn read(
        request: &HttpRequest,
        payload: Payload,
        limit: BodyLimit,
    ) -> Result<Self, ApiError> {
        let mut payload = payload.into_inner();
        let fields = match body::read(request, &mut payload, limit).await {
            Ok(data) => data.fields,
            Err(error) if error.code().status() == 400 => {
                return Err(unreadable(error.cause_chain()));
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            fields,
            typed: request
                .content_type()
                .eq_ignore_ascii_case("application/json"),
        })
    }

    /// A field's text; empty when it is absent or null.
    ///
    /// # Errors
    /// 400 when JSON has another type there.
    pub(super) fn text(&self, name: &str) -> Result<String, ApiError> {
        match self.fields.get(name) {
            None | Some(Json::Null) => Ok(String::new()),
            Some(Json::String(text)) => Ok(text.clone()),
            Some(Json::Array(values)) if !self.typed => {
                Ok(values.first().map(printed).unwrap_or_default())
            }
            Some(value @ (Json::Number(_) | Json::Bool(_))) if !self.typed => Ok(printed(value)),
            Some(_) => Err(unreadable(format!("{name} is no text"))),
        }
    }
}

fn printed(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn unreadable(cause: String) -> ApiError {
    ApiError::bad_request(BODY_UNREADABLE).with_cause(cause)
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    use super::*;

    async fn read(content_type: &str, body: &'static str) -> Texts {
        let (request, mut payload) = TestRequest::post()
            .insert_header(("Content-Type", content_type))
            .set_payload(body)
            .to_http_parts();
        let payload = Payload::from_request(&request, &mut payload).await.unwrap();
        let limit = BodyLimit(1_000);
        Texts::read(&request, payload, limit).await.ok().unwrap()
    }

    #[actix_web::test]
    async fn json_has_texts_where_texts_belong() {
        let body = read(
            "application/json; charset=utf-8",
            r#"{"a":"x","b":null,"c":1,"d":["x"]}"#,
        )
        .await;
        assert_eq!(body.text("a").unwrap(), "x");
        assert_eq!(body.text("b").unwrap(), "");
        assert_eq!(body.text("missing").unwrap(), "");
        assert!(body.text("c").is_err());
        assert!(body.text("d").is_err());
    }

    #[actix_web::test]
    async fn forms_give_what_was_sent() {
        let body = read(
            "application/x-www-form-urlencoded",
            "a=123456&b=true&c=1&c=2&d=012&e=-3.5",
        )
        .await;
        for (name, expected) in [
            ("a", "123456"),
            ("b", "true"),
            ("c", "1"),
            ("d", "012"),
            ("e", "-3.5"),
        ] {
            assert_eq!(body.text(name).unwrap(), expected);
        }
    }
}
