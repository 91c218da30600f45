//! Mails that scripts send, and those that they see in events.

use boa_engine::object::builtins::JsArray;
use boa_engine::{
    Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue, js_string,
};

use super::registration::{list, text};
use super::request::{pairs, pairs_of};
use super::{Natives, bytes};
use crate::blob::mime;
use crate::engine::RecordMail;
use crate::hooks::operate::spawn_and_wait;
use crate::hooks::record::RecordObject;
use crate::hooks::world::world;
use crate::mail::{Address, Attachment, Error, Mail};

pub(super) const NATIVES: Natives = &[("send", 1, send), ("sendRecord", 4, send_record)];

/// How much of an attachment is looked at to find its type.
const HEAD_BYTES: usize = 3_072;

/// Waits for a mail to be sent. Not an operation of a transaction: the handlers of its events run on this very thread.
fn sending<F>(context: &mut Context, future: F) -> JsResult<JsValue>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    spawn_and_wait(context, future)?
        .map(|()| JsValue::undefined())
        .map_err(|error| JsNativeError::error().with_message(error.reason()).into())
}

/// `send(message)`
fn send(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let mail = of_js(args.get_or_undefined(0), context)?;
    let engine = world()?.engine.clone();
    sending(context, async move { engine.send_mail(&mail).await })
}

/// `sendRecord(kind, record, ...values)`
fn send_record(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let kind = text(args.get_or_undefined(0), context)?;
    let record = RecordObject::record(args.get_or_undefined(1))
        .ok_or_else(|| JsNativeError::typ().with_message("a record is expected"))?;
    let first = text(args.get_or_undefined(2), context)?;
    let second = text(args.get_or_undefined(3), context)?;
    let mail = match kind.as_str() {
        "passwordReset" => RecordMail::PasswordReset,
        "verification" => RecordMail::Verification,
        "emailChange" => RecordMail::EmailChange { new_email: first },
        "otp" => RecordMail::Otp {
            id: first,
            password: second,
        },
        _ => RecordMail::AuthAlert { info: first },
    };
    let engine = world()?.engine.clone();
    sending(
        context,
        async move { engine.mail_record(&record, &mail).await },
    )
}

/// A script's message as a mail.
pub(crate) fn of_js(value: &JsValue, context: &mut Context) -> JsResult<Mail> {
    let shared = world()?.shared.borrow().clone();
    let shared = shared.ok_or_else(|| JsNativeError::typ().with_message("no message"))?;
    if !value.is_object() {
        return Err(JsNativeError::typ()
            .with_message("a message is expected")
            .into());
    }
    let parts =
        shared
            .mail_parts
            .call(&JsValue::undefined(), std::slice::from_ref(value), context)?;
    let parts = parts
        .as_object()
        .ok_or_else(|| JsNativeError::typ().with_message("a message is expected"))?;
    let member = |name: &str, context: &mut Context| parts.get(JsString::from(name), context);
    let addresses = |name: &str, context: &mut Context| -> JsResult<Vec<Address>> {
        let value = parts.get(JsString::from(name), context)?;
        list(&value, context)?
            .iter()
            .map(|one| address(one, context))
            .collect()
    };
    let mut mail = Mail {
        from: address(&member("from", context)?, context)?,
        to: addresses("to", context)?,
        cc: addresses("cc", context)?,
        bcc: addresses("bcc", context)?,
        subject: text(&member("subject", context)?, context)?,
        html: text(&member("html", context)?, context)?,
        text: text(&member("text", context)?, context)?,
        headers: pairs_of(&member("headers", context)?, context)?,
        attachments: Vec::new(),
    };
    let attachments = member("attachments", context)?;
    for file in list(&attachments, context)? {
        let file = list(&file, context)?;
        let content = bytes::expect(file.get_or_undefined(1), context)?;
        let head = content.get(..HEAD_BYTES).unwrap_or(&content);
        mail.attachments.push(Attachment {
            name: text(file.get_or_undefined(0), context)?,
            content_type: mime::detect(head).content_type().into_owned(),
            content,
        });
    }
    Ok(mail)
}

fn address(value: &JsValue, context: &mut Context) -> JsResult<Address> {
    let Some(object) = value.as_object() else {
        return Ok(Address::default());
    };
    let name = object.get(js_string!("name"), context)?;
    let address = object.get(js_string!("address"), context)?;
    Ok(Address {
        name: text(&name, context)?,
        address: text(&address, context)?,
    })
}

/// A mail as a script's message.
pub(crate) fn to_js(mail: &Mail, context: &mut Context) -> JsResult<JsValue> {
    let shared = world()?.shared.borrow().clone();
    let shared = shared.ok_or_else(|| JsNativeError::typ().with_message("no message"))?;
    let parts = JsObject::with_object_proto(context.intrinsics());
    let one = |address: &Address, context: &mut Context| -> JsResult<JsValue> {
        let object = JsObject::with_object_proto(context.intrinsics());
        let name = JsString::from(address.name.as_str());
        object.set(js_string!("name"), name, true, context)?;
        let text = JsString::from(address.address.as_str());
        object.set(js_string!("address"), text, true, context)?;
        Ok(object.into())
    };
    let from = one(&mail.from, context)?;
    parts.set(js_string!("from"), from, true, context)?;
    for (name, addresses) in [("to", &mail.to), ("cc", &mail.cc), ("bcc", &mail.bcc)] {
        let mut objects = Vec::new();
        for address in addresses {
            objects.push(one(address, context)?);
        }
        let objects = JsArray::from_iter(objects, context);
        parts.set(JsString::from(name), objects, true, context)?;
    }
    for (name, text) in [
        ("subject", &mail.subject),
        ("html", &mail.html),
        ("text", &mail.text),
    ] {
        let text = JsString::from(text.as_str());
        parts.set(JsString::from(name), text, true, context)?;
    }
    let headers = pairs(mail.headers.iter(), context);
    parts.set(js_string!("headers"), headers, true, context)?;
    let mut files: Vec<JsValue> = Vec::new();
    for file in &mail.attachments {
        let name = JsString::from(file.name.as_str()).into();
        let content = bytes::to_js(&file.content, context)?;
        files.push(JsArray::from_iter([name, content], context).into());
    }
    let files = JsArray::from_iter(files, context);
    parts.set(js_string!("attachments"), files, true, context)?;
    shared
        .make_mail
        .call(&JsValue::undefined(), &[parts.into()], context)
}
