//! `Date` with the date format of records, `2024-01-02 03:04:05.678Z`, which the interpreter does not read.

use boa_engine::object::FunctionObjectBuilder;
use boa_engine::property::{PropertyDescriptor, PropertyKey};
use boa_engine::{
    Context, JsArgs, JsObject, JsResult, JsString, JsValue, NativeFunction, js_string,
};

use crate::js::value;

/// Puts a constructor in the place of `Date` that is the same in everything else: `instanceof`, subclasses, its
/// properties, and calls without `new`.
///
/// # Errors
/// A built-in property that cannot be redefined.
pub(super) fn install(context: &mut Context) -> JsResult<()> {
    let date = context.intrinsics().constructors().date();
    let (original, prototype) = (date.constructor(), date.prototype());
    let construct = NativeFunction::from_copy_closure_with_captures(
        // For constructors, `this` is what `new` was called on, if it was.
        |new_target, args, original: &JsObject, context| match new_target.as_object() {
            Some(new_target) => {
                let made = match readable(args) {
                    Some(text) => original.construct(&[text], Some(&new_target), context)?,
                    None => original.construct(args, Some(&new_target), context)?,
                };
                Ok(made.into())
            }
            None => original.call(&JsValue::undefined(), args, context),
        },
        original.clone(),
    );
    let constructor: JsObject = FunctionObjectBuilder::new(context.realm(), construct)
        .name(js_string!("Date"))
        .length(7)
        .constructor(true)
        .build()
        .into();
    for key in ["now", "UTC", "parse", "prototype"] {
        let key = PropertyKey::from(JsString::from(key));
        if let Some(property) = value::own_property(&original, &key) {
            constructor.define_property_or_throw(key, property, context)?;
        }
    }
    let parse = value::own_data(&original, &js_string!("parse").into());
    if let Some(parse) = parse.and_then(|parse| parse.as_object()) {
        let parse = NativeFunction::from_copy_closure_with_captures(
            |this, args, parse: &JsObject, context| match readable(args) {
                Some(text) => parse.call(this, &[text], context),
                None => parse.call(this, args, context),
            },
            parse,
        );
        let parse = FunctionObjectBuilder::new(context.realm(), parse)
            .name(js_string!("parse"))
            .length(1)
            .build();
        constructor.define_property_or_throw(js_string!("parse"), hidden(parse), context)?;
    }
    prototype.define_property_or_throw(
        js_string!("constructor"),
        hidden(constructor.clone()),
        context,
    )?;
    context.global_object().define_property_or_throw(
        js_string!("Date"),
        hidden(constructor),
        context,
    )?;
    Ok(())
}

fn hidden(value: impl Into<JsValue>) -> PropertyDescriptor {
    PropertyDescriptor::builder()
        .value(value)
        .writable(true)
        .enumerable(false)
        .configurable(true)
        .build()
}

/// The only argument, if it is a text in the format of records, in the format of ECMAScript.
fn readable(args: &[JsValue]) -> Option<JsValue> {
    if args.len() != 1 {
        return None;
    }
    let text = args.get_or_undefined(0).as_string()?;
    // The shortest is `2024-01-02 03:04`, and nothing follows the zone.
    if !(16..40).contains(&text.len()) || text.code_unit_at(10) != Some(u16::from(b' ')) {
        return None;
    }
    let mut bytes = text.to_std_string_lossy().into_bytes();
    let mut date = bytes.get(..10)?.iter().enumerate();
    let is_date = |(index, byte): (usize, &u8)| match index {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    if !date.all(is_date) || !bytes.get(11)?.is_ascii_digit() {
        return None;
    }
    *bytes.get_mut(10)? = b'T';
    let text = String::from_utf8(bytes).ok()?;
    Some(JsString::from(text).into())
}
