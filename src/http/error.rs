//! The one place where an error becomes status and body, in PocketBase's shape:
//! `{"data":{},"message":"...","status":400}` (PocketBase documentation, "Web APIs reference").

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value};

use super::json;
use crate::base::code::Code;
use crate::base::json as write;
use crate::base::text::sentenize;
use crate::engine;
use crate::model::FieldErrors;

/// What a cause must be, to be kept for the log.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// An error on its way to the client: code, message and field errors are public, the cause is for the log alone.
pub struct ApiError(Box<Parts>);

struct Parts {
    code: Code,
    status: StatusCode,
    message: Cow<'static, str>,
    data: Map<String, Value>,
    cause: Option<Cause>,
    /// Of an application module's route; see [`ModuleRoute`].
    of_module: bool,
}

/// Marks routes that are no part of PocketBase's API: `web::resource(..).app_data(ModuleRoute)`. Their errors carry
/// `"error"` (the message) and `"success": false` besides, which the clients of such routes read.
#[derive(Clone, Copy, Debug)]
pub struct ModuleRoute;

impl ApiError {
    /// An error of a code. An empty message stands for the code's own; any other becomes a sentence.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        let message = if message.is_empty() {
            Cow::Borrowed(code.message())
        } else {
            as_sentence(message)
        };
        Self(Box::new(Parts {
            code,
            status: StatusCode::from_u16(code.status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            message,
            data: Map::new(),
            cause: None,
            of_module: false,
        }))
    }

    /// 400; the input is not understood or refused.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// 400 with field errors.
    pub fn validation(message: impl Into<Cow<'static, str>>, fields: &FieldErrors) -> Self {
        Self::bad_request(message).with_data(fields.to_json())
    }

    /// 401; signing in is needed.
    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unauthorized, message)
    }

    /// 403; the caller may not.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Forbidden, message)
    }

    /// 404; there is no such thing, or the caller may not know of it.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// 413; the body is over its limit.
    pub fn too_large() -> Self {
        Self::new(Code::TooLarge, "")
    }

    /// 429; the caller is over a rate limit.
    pub fn too_many() -> Self {
        Self::new(Code::TooManyRequests, "")
    }

    /// 500; the cause goes to the log.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::new(Code::Internal, "").with_cause(cause)
    }

    /// The error that fits a bare status, with the status's own text where no code has it.
    pub fn of_status(status: StatusCode) -> Self {
        let code = Code::of_status(status.as_u16());
        if matches!(status.as_u16(), 402..500) && code == Code::BadRequest {
            let text = status.canonical_reason().unwrap_or_default();
            return Self::bad_request(text).with_status(status);
        }
        Self::new(code, "")
    }

    /// Adds field errors, shown as `data`. Their order does not matter: members are sorted when written.
    #[must_use]
    pub fn with_data(mut self, data: Map<String, Value>) -> Self {
        self.0.data = data;
        self
    }

    /// Adds what lies behind; it is never shown.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same error in the shape of a [`ModuleRoute`].
    #[must_use]
    pub fn for_module(mut self) -> Self {
        self.0.of_module = true;
        self
    }

    /// Answers with another status than the code's.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The sentence the client reads.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The field errors.
    pub fn data(&self) -> &Map<String, Value> {
        &self.0.data
    }

    /// What lies behind, for logs.
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }

    /// The whole chain of causes, outermost first, joined with `: `; for logs.
    pub fn cause_chain(&self) -> String {
        let mut out = String::new();
        let mut next = self.cause().map(|cause| cause as &dyn StdError);
        while let Some(cause) = next {
            let text = cause.to_string();
            // Some libraries print their source too.
            if !out.ends_with(&text) {
                if !out.is_empty() {
                    out.push_str(": ");
                }
                out.push_str(&text);
            }
            next = cause.source();
        }
        out
    }

    /// The body: `{"data":{..},"message":"..","status":400}`; of module routes with `error` and `success` in their places.
    pub fn to_body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.0.message.len());
        out.extend_from_slice(b"{\"data\":");
        write::write_map_sorted(&mut out, &self.0.data);
        if self.0.of_module {
            out.extend_from_slice(b",\"error\":");
            write::write_str(&mut out, &self.0.message);
        }
        out.extend_from_slice(b",\"message\":");
        write::write_str(&mut out, &self.0.message);
        out.extend_from_slice(b",\"status\":");
        write::write_u64(&mut out, u64::from(self.0.status.as_u16()));
        if self.0.of_module {
            out.extend_from_slice(b",\"success\":false");
        }
        out.push(b'}');
        out
    }
}

/// The message as a sentence, copied only if it is none yet.
fn as_sentence(message: Cow<'static, str>) -> Cow<'static, str> {
    let is_sentence = message.ends_with(['.', '?', '!'])
        && message.starts_with(|first: char| {
            first.is_ascii() && !first.is_ascii_lowercase() && !first.is_whitespace()
        });
    if is_sentence {
        message
    } else {
        Cow::Owned(sentenize(&message))
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        json::response(self.0.status, self.to_body())
    }
}

/// What the engine refuses or fails at.
impl From<engine::Error> for ApiError {
    fn from(error: engine::Error) -> Self {
        let code = error.code();
        match error {
            engine::Error::Validation { message, fields } => Self::validation(message, &fields),
            engine::Error::BadRequest(message)
            | engine::Error::Unauthorized(message)
            | engine::Error::Forbidden(message)
            | engine::Error::NotFound(message)
            | engine::Error::Busy(message) => Self::new(code, message),
            engine::Error::Custom {
                status,
                message,
                data,
                cause,
            } => {
                let mut error = Self::new(code, message).with_data(data);
                if let Ok(status) = StatusCode::from_u16(status) {
                    error = error.with_status(status);
                }
                match cause {
                    Some(cause) => error.with_cause(cause),
                    None => error,
                }
            }
            other => Self::internal(other),
        }
    }
}

/// For those who take part in a request and see what it ended with; it becomes the same answer again.
impl From<ApiError> for engine::Error {
    fn from(error: ApiError) -> Self {
        let parts = *error.0;
        Self::Custom {
            status: parts.status.as_u16(),
            message: parts.message.into_owned(),
            data: parts.data,
            cause: parts.cause.map(engine::Cause::new),
        }
    }
}

impl From<FieldErrors> for ApiError {
    fn from(errors: FieldErrors) -> Self {
        Self::bad_request("").with_data(errors.to_json())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.message)
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ApiError")
            .field("status", &self.0.status.as_u16())
            .field("message", &self.0.message)
            .field("data", &self.0.data)
            .field("cause", &self.0.cause)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(error: &ApiError) -> String {
        String::from_utf8(error.to_body()).unwrap()
    }

    #[test]
    fn bodies_have_pocketbases_order_with_sorted_data() {
        let data = json!({"b": {"message": "<no>", "code": "x"}, "a": {"code": "y"}});
        let error =
            ApiError::bad_request("failed to load").with_data(data.as_object().unwrap().clone());
        assert_eq!(
            body(&error),
            r#"{"data":{"a":{"code":"y"},"b":{"code":"x","message":"\u003cno\u003e"}},"message":"Failed to load.","status":400}"#
        );
    }

    #[test]
    fn errors_of_module_routes_say_so_twice_more() {
        assert_eq!(
            body(&ApiError::not_found("no such topic").for_module()),
            r#"{"data":{},"error":"No such topic.","message":"No such topic.","status":404,"success":false}"#
        );
    }

    #[test]
    fn empty_messages_stand_for_the_codes_own() {
        for (error, expected) in [
            (
                ApiError::bad_request(""),
                r#"{"data":{},"message":"Something went wrong while processing your request.","status":400}"#,
            ),
            (
                ApiError::not_found(""),
                r#"{"data":{},"message":"The requested resource wasn't found.","status":404}"#,
            ),
            (
                ApiError::forbidden(""),
                r#"{"data":{},"message":"You are not allowed to perform this request.","status":403}"#,
            ),
            (
                ApiError::unauthorized(""),
                r#"{"data":{},"message":"Missing or invalid authentication.","status":401}"#,
            ),
            (
                ApiError::too_large(),
                r#"{"data":{},"message":"Request entity too large.","status":413}"#,
            ),
            (
                ApiError::too_many(),
                r#"{"data":{},"message":"Too Many Requests.","status":429}"#,
            ),
        ] {
            assert_eq!(body(&error), expected);
        }
    }

    #[test]
    fn messages_become_sentences() {
        for (message, expected) in [
            ("File not found", "File not found."),
            ("file not found.", "File not found."),
            (" Really? ", "Really?"),
            ("écrit", "Écrit."),
            ("Done.", "Done."),
        ] {
            assert_eq!(ApiError::bad_request(message).message(), expected);
        }
    }

    #[test]
    fn the_cause_is_kept_for_the_log_and_never_shown() {
        let source = std::io::Error::other("disk full at /secret/path");
        let error = ApiError::internal(source);
        assert!(!body(&error).contains("secret"));
        assert!(!error.to_string().contains("secret"));
        assert_eq!(error.cause_chain(), "disk full at /secret/path");
    }

    #[test]
    fn bare_statuses_get_a_fitting_text() {
        let of = |status| ApiError::of_status(StatusCode::from_u16(status).unwrap());
        assert_eq!(body(&of(405)), body(&ApiError::not_found("")));
        assert_eq!(of(418).status_code().as_u16(), 418);
        assert_eq!(of(418).message(), "I'm a teapot.");
        assert_eq!(of(502).status_code().as_u16(), 500);
    }
}
