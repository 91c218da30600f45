//! What the API does with records, for routes of scripts: enrichment and the answer to a sign-in.

use std::sync::Arc;

use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsValue};
use serde_json::{Map, Value as Json};

use super::Natives;
use super::registration::text;
use crate::base::json;
use crate::engine::auth::Origin;
use crate::engine::events::{
    Answer, Event, EventKind, Outcome, RequestParts, Slot, Slots, Tapped, tapped,
};
use crate::engine::{Engine, Enriched, Error};
use crate::hooks::event::with_event;
use crate::hooks::failure;
use crate::hooks::operate::spawn_and_wait;
use crate::hooks::record::RecordObject;
use crate::hooks::values;
use crate::hooks::world::world;
use crate::model::Record;
use crate::store::Tx;

pub(super) const NATIVES: Natives = &[("enrich", 2, enrich), ("signIn", 3, sign_in)];

/// The request of the event `this`.
fn request(this: &JsValue) -> JsResult<RequestParts> {
    with_event(this, |event| event.request.clone())?
        .flatten()
        .ok_or_else(|| {
            JsNativeError::typ()
                .with_message("the event has no request")
                .into()
        })
}

/// Waits for work whose own events may call scripts.
fn engine_work<F, T>(context: &mut Context, work: impl FnOnce(Engine) -> F) -> JsResult<T>
where
    F: Future<Output = Result<T, Error>> + Send + 'static,
    T: Send + 'static,
{
    let engine = world()?.engine.clone();
    spawn_and_wait(context, work(engine))?.map_err(|error| failure::to_js(&error, context))
}

fn record_of(value: &JsValue) -> JsResult<Record> {
    RecordObject::record(value).ok_or_else(|| {
        JsNativeError::typ()
            .with_message("a record is expected")
            .into()
    })
}

/// `enrich(record, expand)`: the record shows what the caller may see; gives what is expanded, or null.
fn enrich(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let parts = request(this)?;
    let target = args.get_or_undefined(0);
    let record = record_of(target)?;
    let mut expand = text(args.get_or_undefined(1), context)?;
    let asked = parts.info.query("expand");
    if !asked.is_empty() {
        expand.push(',');
        expand.push_str(asked);
    }
    let shown = engine_work(context, async move |engine: Engine| {
        engine.show(record, &parts.info, &expand).await
    })?;
    let expanded = expanded(&shown);
    let mut record = Record::clone(&shown.record);
    if shown.show_hidden {
        let collection = Arc::clone(record.collection());
        let fields = collection.fields().iter();
        record.unhide(fields.map(|field| field.name.as_str()));
    }
    if shown.show_email {
        record.ignore_email_visibility(true);
    }
    RecordObject::replace(target, record);
    JsValue::from_json(&expanded, context)
}

fn expanded(shown: &Enriched) -> Json {
    if shown.expand.is_none() {
        return Json::Null;
    }
    let mut text = Vec::new();
    shown.write_json(&mut text);
    let whole: Map<String, Json> = serde_json::from_slice(&text).unwrap_or_default();
    whole.get("expand").cloned().unwrap_or_default()
}

/// A sign-in on its way through those who listen.
struct SigningIn {
    record: Option<Record>,
    token: String,
    method: String,
    meta: Json,
}

impl Slots for SigningIn {
    fn put(&mut self, event: &mut Event) {
        if let Some(record) = &self.record {
            event.set("record", Slot::Record(Box::new(record.clone())));
        }
        event.set("token", Slot::Json(self.token.as_str().into()));
        event.set("auth_method", Slot::Json(self.method.as_str().into()));
        event.set("meta", Slot::Json(self.meta.clone()));
    }

    fn take(&mut self, event: &mut Event) {
        if let Some(record) = event.take_record() {
            self.record = Some(record);
        }
        let text = |slot| match slot {
            Some(Slot::Json(Json::String(text))) => Some(text),
            _ => None,
        };
        if let Some(token) = text(event.take("token")) {
            self.token = token;
        }
        if let Some(method) = text(event.take("auth_method")) {
            self.method = method;
        }
        if let Some(Slot::Json(meta)) = event.take("meta") {
            self.meta = meta;
        }
    }
}

/// `signIn(record, method, meta)`: answers as the API does when somebody has signed in.
fn sign_in(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let parts = request(this)?;
    let record = record_of(args.get_or_undefined(0))?;
    let method = text(args.get_or_undefined(1), context)?;
    let meta = values::json(args.get_or_undefined(2), context)?;
    let tapped = engine_work(context, async move |engine: Engine| {
        let settings = engine.settings();
        let superuser = record.collection().is_superusers();
        if superuser && !settings.superuser_ip_allowed(&parts.real_ip) {
            return Err(Error::forbidden(""));
        }
        if !engine.may_sign_in(&record, &parts.info).await? {
            return Err(Error::forbidden(
                "The request doesn't satisfy the collection requirements to authenticate.",
            ));
        }
        let collection = Arc::clone(record.collection());
        let kind = EventKind::RecordAuthRequest;
        let handlers = engine.interceptors().handlers(kind, Some(&collection));
        let mut state = SigningIn {
            token: engine.sign_auth_token(&record)?,
            record: Some(record),
            method,
            meta,
        };
        let event = || Event::new(kind, Some(collection)).in_request(parts.clone());
        let default =
            async |state: &mut SigningIn, _: Option<&mut Tx>| finish(&engine, &parts, state).await;
        Ok(tapped(&handlers, event, None, &mut state, default).await)
    })?;
    let Tapped { headers, result } = tapped;
    let outcome = result.map_err(|error| failure::to_js(&error, context))?;
    with_event(this, |event| {
        event.response_headers.extend(headers);
        if event.answer.is_none() {
            match outcome {
                Outcome::Done(answer) | Outcome::Answered(answer) => event.answer = Some(answer),
                Outcome::Silent => {}
            }
        }
    })?;
    Ok(JsValue::undefined())
}

/// The answer: token and record, or the second factor that is still missing.
async fn finish(
    engine: &Engine,
    parts: &RequestParts,
    state: &mut SigningIn,
) -> Result<Answer, Error> {
    let record = state
        .record
        .clone()
        .ok_or_else(|| failure::plain("a sign-in lost its record"))?;
    let answer = |status, body: Vec<u8>| Answer {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.into(),
    };
    let info = &parts.info;
    let mut out = Vec::with_capacity(1_024);
    if !state.method.is_empty() {
        let mfa_id = match info.query("mfaId") {
            "" => info.body.get("mfaId").and_then(Json::as_str).unwrap_or(""),
            id => id,
        };
        let pending = engine.second_factor(&record, info, &state.method, mfa_id);
        if let Some(pending) = pending.await? {
            out.extend_from_slice(b"{\"mfaId\":");
            json::write_str(&mut out, &pending);
            out.push(b'}');
            return Ok(answer(401, out));
        }
    }
    let mut seen = info.clone();
    seen.auth = Some(Arc::new(record.clone()));
    let mut shown = engine.show(record, &seen, info.query("expand")).await?;
    shown.show_email = true;
    if !state.method.is_empty() {
        let agent = parts.headers.iter().find(|(name, _)| name == "user-agent");
        let origin = Origin {
            ip: &parts.real_ip,
            user_agent: agent.map_or("", |(_, value)| value),
        };
        engine.note_sign_in(&shown.record, origin).await;
    }
    out.push(b'{');
    if !state.meta.is_null() {
        out.extend_from_slice(b"\"meta\":");
        json::write_value(&mut out, &state.meta);
        out.push(b',');
    }
    out.extend_from_slice(b"\"record\":");
    shown.write_json(&mut out);
    out.extend_from_slice(b",\"token\":");
    json::write_str(&mut out, &state.token);
    out.push(b'}');
    Ok(answer(200, out))
}
