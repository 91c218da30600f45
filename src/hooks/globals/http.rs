//! Requests that scripts send.

use std::time::Duration;

use ::bytes::{BufMut, Bytes, BytesMut};
use boa_engine::object::builtins::JsArray;
use boa_engine::{
    Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue, js_string,
};

use super::registration::{list, text};
use super::request::{pairs, pairs_of};
use super::{Natives, bytes};
use crate::base::id::random_string;
use crate::hooks::operate::wait_for;
use crate::hooks::world::world;
use crate::js::promise::Settle;
use crate::js::thread::{Thread, Wait};
use crate::outbound::{Answer, Error, Request};

pub(super) const NATIVES: Natives = &[
    ("send", 5, send),
    ("fetch", 6, fetch),
    ("multipart", 1, multipart),
];

/// What the client itself may take beyond a request's time.
const GRACE: Duration = Duration::from_secs(5);
/// The longest time that a request may be given.
const TIMEOUT_MAX_S: f64 = 600.0;

/// `(method, url, headers, body, timeout in seconds)` as a request.
fn request(args: &[JsValue], context: &mut Context) -> JsResult<Request> {
    let timeout = args.get_or_undefined(4).to_number(context)?;
    let timeout = if timeout > 0.0 {
        timeout.min(TIMEOUT_MAX_S)
    } else {
        120.0
    };
    Ok(Request {
        method: text(args.get_or_undefined(0), context)?.to_ascii_uppercase(),
        url: text(args.get_or_undefined(1), context)?,
        headers: pairs_of(args.get_or_undefined(2), context)?,
        body: bytes::expect(args.get_or_undefined(3), context)?,
        timeout: Duration::from_secs_f64(timeout),
        keeps_redirects: args.get_or_undefined(5).to_boolean(),
    })
}

/// `send(method, url, headers, body, timeout)`: waits for the answer `{status, url, headers, body}`.
fn send(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let request = request(args, context)?;
    let client = world()?.options.hooks.outbound.clone();
    let thread = Thread::of_native()?;
    let chain = thread.chain();
    let wait = Wait {
        limit: request.timeout + GRACE,
        serves_others: !thread.on_behalf().in_writer,
    };
    let answer = wait_for(&thread, context, &chain, &wait, async move {
        client.send(request).await
    })?;
    match answer {
        Ok(answer) => to_js(&answer, context),
        Err(error) => Err(failed(&error)),
    }
}

/// `fetch(method, url, headers, body, timeout, keepsRedirects)`: a promise of the same.
fn fetch(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let request = request(args, context)?;
    let client = world()?.options.hooks.outbound.clone();
    let thread = Thread::of_native()?;
    Ok(thread.promise(context, async move {
        let answer = client.send(request).await;
        let settle: Settle = Box::new(move |context| match answer {
            Ok(answer) => to_js(&answer, context),
            Err(error) => Err(failed(&error)),
        });
        settle
    }))
}

fn failed(error: &Error) -> boa_engine::JsError {
    JsNativeError::error()
        .with_message(error.to_string())
        .into()
}

fn to_js(answer: &Answer, context: &mut Context) -> JsResult<JsValue> {
    let object = JsObject::with_object_proto(context.intrinsics());
    object.set(js_string!("status"), answer.status, true, context)?;
    let url = JsString::from(answer.url.as_str());
    object.set(js_string!("url"), url, true, context)?;
    let headers = pairs(answer.headers.iter(), context);
    object.set(js_string!("headers"), headers, true, context)?;
    let body = bytes::to_js(&answer.body, context)?;
    object.set(js_string!("body"), body, true, context)?;
    Ok(object.into())
}

/// `multipart(parts)`: content type and body of a form; parts are `[name, content, file name or null, media type]`.
fn multipart(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let boundary = format!("rotunda{}", random_string(40));
    let mut body = BytesMut::new();
    for part in list(args.get_or_undefined(0), context)? {
        let part = list(&part, context)?;
        let name = text(part.get_or_undefined(0), context)?;
        let content: Bytes = bytes::expect(part.get_or_undefined(1), context)?;
        let mut head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
            quoted(&name)
        );
        let file_name = part.get_or_undefined(2);
        if !file_name.is_null_or_undefined() {
            let file_name = text(file_name, context)?;
            let media_type = text(part.get_or_undefined(3), context)?;
            head.push_str(&format!(
                "; filename=\"{}\"\r\nContent-Type: {}",
                quoted(&file_name),
                one_line(&media_type)
            ));
        }
        body.put_slice(head.as_bytes());
        body.put_slice(b"\r\n\r\n");
        body.put_slice(&content);
        body.put_slice(b"\r\n");
    }
    body.put_slice(format!("--{boundary}--\r\n").as_bytes());
    let content_type = JsString::from(format!("multipart/form-data; boundary={boundary}"));
    let body = bytes::to_js(&body, context)?;
    Ok(JsArray::from_iter([content_type.into(), body], context).into())
}

/// A name inside quotes of a header (RFC 7578, section 2, as browsers escape it).
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace(['\r', '\n'], " ")
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], "")
}
