//! The request that a handler's event belongs to.

use std::sync::Arc;

use boa_engine::object::builtins::JsArray;
use boa_engine::{
    Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue, js_string,
};
use serde_json::{Map, Value as Json};

use super::Natives;
use super::registration::{list, text};
use super::{bytes, filesystem};
use crate::engine::events::RequestParts;
use crate::hooks::event::with_event;
use crate::hooks::failure;
use crate::hooks::keep::Keep;
use crate::hooks::operate::{OPERATION_MAX, wait_for};
use crate::hooks::record::RecordObject;
use crate::hooks::world::world;
use crate::http::body::{self, FormData};
use crate::js::thread::{Thread, Wait};

pub(super) const NATIVES: Natives = &[
    ("info", 0, info),
    ("setHeaders", 1, set_headers),
    ("setPathValue", 2, set_path_value),
    ("body", 0, body_bytes),
    ("fields", 0, fields),
    ("form", 0, form),
    ("auth", 0, auth),
    ("setAuth", 1, set_auth),
    ("isSuperuser", 0, is_superuser),
    ("kept", 0, kept),
];

/// Works on the request of the event `this`.
///
/// # Errors
/// A type error for events without a request.
fn request<R>(this: &JsValue, work: impl FnOnce(&mut RequestParts) -> R) -> JsResult<R> {
    with_event(this, |event| event.request.as_mut().map(work))?
        .flatten()
        .ok_or_else(|| {
            JsNativeError::typ()
                .with_message("the event has no request")
                .into()
        })
}

/// `info()`: what does not change: texts by name, and lists of name and value.
fn info(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let parts = request(this, |parts| RequestParts {
        body: ::bytes::Bytes::new(),
        ..parts.clone()
    })?;
    let length = request(this, |parts| parts.body.len())?;
    let object = JsObject::with_object_proto(context.intrinsics());
    for (name, value) in [
        ("method", &*parts.info.method),
        ("url", &parts.url),
        ("remoteIP", &parts.remote_ip),
        ("realIP", &parts.real_ip),
        ("pattern", &parts.pattern),
        ("context", parts.info.context),
    ] {
        object.set(JsString::from(name), JsString::from(value), true, context)?;
    }
    let query = JsValue::from_json(&Json::Object((*parts.info.query).clone()), context)?;
    object.set(js_string!("query"), query, true, context)?;
    let headers = pairs(parts.headers.iter(), context);
    object.set(js_string!("headers"), headers, true, context)?;
    let values = pairs(parts.path_values.iter(), context);
    object.set(js_string!("pathValues"), values, true, context)?;
    #[expect(clippy::cast_precision_loss, reason = "bodies are shorter than 2^53")]
    object.set(js_string!("length"), length as f64, true, context)?;
    Ok(object.into())
}

/// A list of `[name, value]`.
pub(super) fn pairs<'a>(
    pairs: impl Iterator<Item = &'a (String, String)>,
    context: &mut Context,
) -> JsValue {
    let items: Vec<JsValue> = pairs
        .map(|(name, value)| {
            let pair = [name, value].map(|text| JsString::from(text.as_str()).into());
            JsArray::from_iter(pair, context).into()
        })
        .collect();
    JsArray::from_iter(items, context).into()
}

/// What [`pairs`] makes, read back.
pub(super) fn pairs_of(value: &JsValue, context: &mut Context) -> JsResult<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for pair in list(value, context)? {
        let pair = list(&pair, context)?;
        pairs.push((
            text(pair.get_or_undefined(0), context)?,
            text(pair.get_or_undefined(1), context)?,
        ));
    }
    Ok(pairs)
}

/// `setHeaders(pairs)`: the request's headers as what follows shall see them.
fn set_headers(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let mut headers = pairs_of(args.get_or_undefined(0), context)?;
    for (name, _) in &mut headers {
        name.make_ascii_lowercase();
    }
    request(this, |parts| parts.headers = headers.into())?;
    Ok(JsValue::undefined())
}

/// `setPathValue(name, value)`
fn set_path_value(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args.get_or_undefined(0), context)?;
    let value = text(args.get_or_undefined(1), context)?;
    request(this, |parts| {
        let known = parts.path_values.iter_mut();
        match known.into_iter().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => parts.path_values.push((name, value)),
        }
    })?;
    Ok(JsValue::undefined())
}

/// `body()`: the body as sent.
fn body_bytes(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let body = request(this, |parts| parts.body.clone())?;
    bytes::to_js(&body, context)
}

/// `fields()`: the body's fields, whatever its encoding.
fn fields(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let known = request(this, |parts| {
        (!parts.info.body.is_empty()).then(|| Arc::clone(&parts.info.body))
    })?;
    let fields = match known {
        Some(fields) => fields,
        None => {
            let (content_type, body) =
                request(this, |parts| (content_type(parts), parts.body.clone()))?;
            let read = waiting(context, async move {
                body::read_bytes(&content_type, body).await
            })?;
            let read = read.map_err(|error| failure::to_js(&error.into(), context))?;
            let read = Arc::new(read.fields);
            request(this, |parts| parts.info.body = Arc::clone(&read))?;
            read
        }
    };
    JsValue::from_json(&Json::Object(Map::clone(&fields)), context)
}

/// `form()`: `[texts, files]` of a form: lists of name and text, and of name and file.
fn form(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (content_type, body) = request(this, |parts| (content_type(parts), parts.body.clone()))?;
    let read = waiting(context, async move {
        body::read_form(&content_type, body).await
    })?;
    let FormData { texts, files } = read.map_err(|error| failure::to_js(&error.into(), context))?;
    let texts = pairs(texts.iter(), context);
    let mut list = Vec::new();
    for (name, file) in files {
        let file = filesystem::uploaded(file)?;
        list.push(JsArray::from_iter([JsString::from(name).into(), file.into()], context).into());
    }
    let files = JsArray::from_iter(list, context);
    Ok(JsArray::from_iter([texts, files.into()], context).into())
}

fn content_type(parts: &RequestParts) -> String {
    let header = parts.headers.iter();
    let header = header.into_iter().find(|(name, _)| name == "content-type");
    header.map(|(_, value)| value.clone()).unwrap_or_default()
}

/// Waits for something that is not the engine.
fn waiting<F: Future>(context: &mut Context, future: F) -> JsResult<F::Output> {
    let thread = Thread::of_native()?;
    let chain = thread.chain();
    let wait = Wait {
        limit: OPERATION_MAX,
        serves_others: false,
    };
    wait_for(&thread, context, &chain, &wait, future)
}

/// `auth()`: who calls, or null.
fn auth(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let auth = request(this, |parts| parts.info.auth.clone())?;
    match auth {
        Some(record) => Ok(RecordObject::create((*record).clone())?.into()),
        None => Ok(JsValue::null()),
    }
}

/// `setAuth(record)`: who counts as the caller from now on.
fn set_auth(this: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let auth = RecordObject::record(args.get_or_undefined(0)).map(Arc::new);
    request(this, |parts| parts.info.auth = auth)?;
    Ok(JsValue::undefined())
}

/// `isSuperuser()`
fn is_superuser(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    Ok(request(this, |parts| parts.info.is_superuser())?.into())
}

/// `kept()`: the object that handlers of the request share.
fn kept(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let thread = Thread::of_native()?;
    let kept = request(this, |parts| {
        let kept = parts
            .kept
            .get_or_insert_with(|| Arc::new(Keep::new(thread.host())));
        Arc::clone(kept)
    })?;
    match kept.downcast_ref::<Keep>() {
        Some(kept) => Ok(kept.object(&world()?, context).into()),
        None => Ok(JsObject::with_object_proto(context.intrinsics()).into()),
    }
}
