//! What every way of signing in ends with: the token and the record, unless a second factor is needed.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, USER_AGENT};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value as Json;

use super::encode;
use super::tap::{Carried, Tap};
use crate::base::json;
use crate::engine::Engine;
use crate::engine::auth::Origin;
use crate::engine::events::EventKind;
use crate::http::json as response;
use crate::http::{ApiError, Caller};
use crate::model::Record;

/// `{"record":..,"token":..}` for a record that may sign in; `method` is the way it did, for second factors and alerts.
/// Without `token` a new one is signed.
pub(super) async fn auth_response(
    engine: &Engine,
    request: &HttpRequest,
    caller: &Caller,
    record: Record,
    method: Option<&str>,
    token: Option<String>,
) -> Result<HttpResponse, ApiError> {
    let settings = engine.settings();
    if record.collection().is_superusers() && !settings.superuser_ip_allowed(&caller.ip) {
        return Err(ApiError::forbidden(""));
    }
    if !engine.may_sign_in(&record, &caller.info).await? {
        return Err(ApiError::forbidden(
            "The request doesn't satisfy the collection requirements to authenticate.",
        ));
    }
    let collection = Arc::clone(record.collection());
    let kind = EventKind::RecordAuthRequest;
    let tap = Tap::new(engine, request, caller, kind, Some(&collection));
    let mut state = Carried::default();
    if tap.is_on() {
        let token = match &token {
            Some(token) => token.clone(),
            None => engine.sign_auth_token(&record)?,
        };
        state = state
            .with("token", token)
            .with("meta", Json::Null)
            .with("auth_method", method.unwrap_or(""));
    }
    state.record = Some(record);
    tap.run(&mut state, async |state: &mut Carried| {
        let record = state.take_record()?;
        let mut signing_in = SigningIn {
            engine,
            request,
            caller,
            method: method.unwrap_or("").to_owned(),
            token,
            meta: Json::Null,
        };
        if tap.is_on() {
            signing_in.method = state.text("auth_method");
            signing_in.token = Some(state.text("token"));
            signing_in.meta = state.value("meta");
        }
        let (response, record) = signing_in.finish(record).await?;
        state.after = Some(record);
        Ok(response)
    })
    .await
}

/// A sign-in that has only its second factor before it.
struct SigningIn<'a> {
    engine: &'a Engine,
    request: &'a HttpRequest,
    caller: &'a Caller,
    /// Empty: no second factor is asked for, and nobody is told.
    method: String,
    token: Option<String>,
    /// Null: none.
    meta: Json,
}

impl SigningIn<'_> {
    async fn finish(self, record: Record) -> Result<(HttpResponse, Arc<Record>), ApiError> {
        if let Some(pending) = self.pending_factor(&record).await? {
            let mut out = b"{\"mfaId\":".to_vec();
            json::write_str(&mut out, &pending);
            out.push(b'}');
            let response = response::response(StatusCode::UNAUTHORIZED, out);
            return Ok((response, Arc::new(record)));
        }
        let token = match self.token {
            Some(token) => token,
            None => self.engine.sign_auth_token(&record)?,
        };
        let record = Arc::new(record);
        let mut info = self.caller.info.clone();
        info.auth = Some(Arc::clone(&record));
        let mut item = self
            .engine
            .show(Record::clone(&record), &info, info.query("expand"))
            .await?;
        item.show_email = true;
        if !self.method.is_empty() {
            let user_agent = self.request.headers().get(USER_AGENT);
            let origin = Origin {
                ip: &self.caller.ip,
                user_agent: &String::from_utf8_lossy(
                    user_agent.map_or(b"".as_slice(), HeaderValue::as_bytes),
                ),
            };
            self.engine.note_sign_in(&record, origin).await;
        }
        let mut out = Vec::with_capacity(1024);
        out.push(b'{');
        if !self.meta.is_null() {
            out.extend_from_slice(b"\"meta\":");
            json::write_value(&mut out, &self.meta);
            out.push(b',');
        }
        out.extend_from_slice(b"\"record\":");
        item.write_json(&mut out);
        out.extend_from_slice(b",\"token\":");
        json::write_str(&mut out, &token);
        out.push(b'}');
        Ok((picked(out, info.query("fields"))?, item.record))
    }

    async fn pending_factor(&self, record: &Record) -> Result<Option<String>, ApiError> {
        if self.method.is_empty() {
            return Ok(None);
        }
        let info = &self.caller.info;
        let mfa_id = match info.query("mfaId") {
            "" => info.body.get("mfaId").and_then(Json::as_str).unwrap_or(""),
            id => id,
        };
        Ok(self
            .engine
            .second_factor(record, info, &self.method, mfa_id)
            .await?)
    }
}

fn picked(whole: Vec<u8>, fields: &str) -> Result<HttpResponse, ApiError> {
    let Some(picker) = encode::picker(fields)? else {
        return Ok(response::ok(whole));
    };
    let value =
        serde_json::from_slice(&whole).map_err(|_| ApiError::internal("the answer is not JSON"))?;
    let mut picked = Vec::with_capacity(whole.len());
    json::write_value(&mut picked, &picker.pick(value));
    Ok(response::ok(picked))
}
