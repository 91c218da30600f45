//! Bodies of module routes: typed, with both spellings of a key (`period_days` and `periodDays`).
//!
//! Unknown fields are ignored; a wrong type is a 400 that names the field (`spec`: conventions of module routes).

use actix_web::HttpRequest;
use actix_web::web::Payload;
use serde_json::{Map, Value as Json};

use crate::base::code::BODY_INVALID;
use crate::http::limit::{content_length, read_all};
use crate::http::{ApiError, BodyData, BodyLimit, body};
use crate::model::{FieldError, FieldErrors};

/// The fields of a body, read one by one.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    fields: Map<String, Json>,
    /// Forms have no types: all their values are texts.
    is_form: bool,
}

impl Fields {
    /// Reads a JSON body. Existing clients send no body with a JSON type, and bodies without a type: an empty body has no
    /// fields whatever its type, and one without a type is taken for JSON.
    ///
    /// # Errors
    /// 400 for a malformed body, 413 past the route's [`BodyLimit`].
    pub async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, ApiError> {
        let body = read_body(request, payload).await?;
        Ok(Self::of(body.fields, is_form(request)))
    }

    /// The fields of a body that was read. Of forms, what was inferred from texts is text again.
    #[must_use]
    pub fn of(mut fields: Map<String, Json>, is_form: bool) -> Self {
        if is_form {
            for value in fields.values_mut() {
                if matches!(value, Json::Number(_) | Json::Bool(_)) {
                    *value = value.to_string().into();
                }
            }
        }
        Self { fields, is_form }
    }

    /// A text of at most `chars_max` characters; absent, `null` and empty are `None`.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn text(&self, name: &str, chars_max: usize) -> Result<Option<&str>, ApiError> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) if text.is_empty() => Ok(None),
            Some(Json::String(text)) if text.chars().count() > chars_max => Err(refused(
                name,
                &format!("Must be no more than {chars_max} characters."),
            )),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(refused(name, "Must be a text.")),
        }
    }

    /// As [`Fields::text`], for a field that must be there.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn required_text(&self, name: &str, chars_max: usize) -> Result<&str, ApiError> {
        match self.text(name, chars_max)? {
            Some(text) => Ok(text),
            None => Err(refused_with(
                name,
                "validation_required",
                "Cannot be blank.",
            )),
        }
    }

    /// A truth value, also as a form sends it.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Bool(flag)) => Ok(Some(*flag)),
            Some(Json::String(text)) if self.is_form && text.is_empty() => Ok(None),
            Some(Json::String(text)) if self.is_form && text == "true" => Ok(Some(true)),
            Some(Json::String(text)) if self.is_form && text == "false" => Ok(Some(false)),
            Some(_) => Err(refused(name, "Must be true or false.")),
        }
    }

    /// A whole number from `min` to `max`; `2.0` is one.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn whole(&self, name: &str, min: i64, max: i64) -> Result<Option<i64>, ApiError> {
        let number = match self.get(name) {
            None | Some(Json::Null) => return Ok(None),
            Some(Json::Number(number)) => whole_of(number),
            Some(Json::String(text)) if self.is_form && text.is_empty() => return Ok(None),
            Some(Json::String(text)) if self.is_form => text.parse().ok(),
            Some(_) => None,
        };
        let Some(number) = number else {
            return Err(refused(name, "Must be a whole number."));
        };
        if number < min || number > max {
            return Err(refused(name, &format!("Must be from {min} to {max}.")));
        }
        Ok(Some(number))
    }

    /// A field as it was sent, under either spelling; `null` is there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        let fields = &self.fields;
        fields.get(name).or_else(|| fields.get(&camel_case(name)))
    }

    /// The fields as they were sent.
    #[must_use]
    pub fn into_map(self) -> Map<String, Json> {
        self.fields
    }
}

impl From<Map<String, Json>> for Fields {
    fn from(fields: Map<String, Json>) -> Self {
        Self::of(fields, false)
    }
}

/// Whether a request sends a form.
pub(super) fn is_form(request: &HttpRequest) -> bool {
    let kind = request.headers().get("content-type");
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.trim_start().to_ascii_lowercase();
    kind.starts_with("multipart/") || kind.starts_with("application/x-www-form-urlencoded")
}

/// Reads fields and files as [`Fields::read`] does.
///
/// # Errors
/// As [`Fields::read`].
pub(super) async fn read_body(
    request: &HttpRequest,
    payload: Payload,
) -> Result<BodyData, ApiError> {
    let mut payload = payload.into_inner();
    let limit = BodyLimit::of(request);
    let has_type = request.headers().contains_key("content-type");
    if has_type || content_length(request) == Some(0) {
        return body::read(request, &mut payload, limit).await;
    }
    limit.check_length(request)?;
    let bytes = read_all(request, &mut payload, limit).await?;
    body::read_bytes("application/json", bytes).await
}

/// A 400 that names a field.
#[must_use]
pub fn refused(field: &str, message: &str) -> ApiError {
    refused_with(field, "validation_invalid_value", message)
}

/// A 400 that names a field, with a code of PocketBase's validation errors.
#[must_use]
pub fn refused_with(field: &str, code: &str, message: &str) -> ApiError {
    let error = FieldError::new(code, message);
    ApiError::validation(BODY_INVALID, &FieldErrors::one(field, error))
}

fn whole_of(number: &serde_json::Number) -> Option<i64> {
    if let Some(whole) = number.as_i64() {
        return Some(whole);
    }
    // Every whole number below 2^53 has an exact double.
    let number = number.as_f64().filter(|number| number.fract() == 0.0)?;
    (number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
}

pub(super) fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            letter if upper => {
                out.extend(letter.to_uppercase());
                upper = false;
            }
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(body: Json) -> Fields {
        Fields::from(body.as_object().unwrap().clone())
    }

    #[test]
    fn both_spellings_are_read() {
        let body = fields(json!({"periodDays": 3, "is_on": true}));
        assert_eq!(body.whole("period_days", 1, 10).unwrap(), Some(3));
        assert_eq!(body.flag("is_on").unwrap(), Some(true));
        assert_eq!(body.flag("is_off").unwrap(), None);
    }

    #[test]
    fn forms_have_texts_alone() {
        let body = json!({"a": 12, "b": true, "c": "", "d": "x"});
        let body = Fields::of(body.as_object().unwrap().clone(), true);
        assert_eq!(body.text("a", 9).unwrap(), Some("12"));
        assert_eq!(body.text("b", 9).unwrap(), Some("true"));
        assert_eq!(body.whole("a", 0, 99).unwrap(), Some(12));
        assert_eq!(body.flag("b").unwrap(), Some(true));
        assert_eq!(
            (body.flag("c").unwrap(), body.whole("c", 0, 9).unwrap()),
            (None, None)
        );
        assert!(body.flag("d").is_err() && body.whole("d", 0, 9).is_err());
    }

    #[test]
    fn wrong_types_name_the_field() {
        let body = fields(json!({"a": 1.5, "b": "x", "c": [], "d": 1e300, "e": -1, "f": 7}));
        for (name, outcome) in [
            ("a", body.whole("a", 0, 9).err()),
            ("b", body.whole("b", 0, 9).err()),
            ("b", body.flag("b").err()),
            ("c", body.text("c", 9).err()),
            ("d", body.whole("d", 0, 9).err()),
            ("e", body.whole("e", 0, 9).err()),
            ("f", body.text("f", 9).err()),
            ("g", body.required_text("g", 9).err()),
            ("b", body.text("b", 0).err()),
        ] {
            let error = outcome.expect("a refusal");
            assert!(error.data().contains_key(name), "{name}: {error:?}");
        }
    }
}
