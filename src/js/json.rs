//! `JSON.parse` that makes values as it reads.
//!
//! The interpreter's own checks the text, turns it into a program, compiles and runs that, and keeps each text in it for
//! good. It is still what answers where a reviver is given.

use std::collections::HashMap;
use std::fmt;

use boa_engine::object::builtins::JsArray;
use boa_engine::property::{PropertyDescriptor, PropertyKey};
use boa_engine::{
    Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue, NativeFunction,
    js_string,
};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Keys that are remembered while a text is read, since most objects in a list have the same ones.
const KEYS_MAX: usize = 256;
/// The longest of them, in bytes.
const KEY_BYTES_MAX: usize = 64;

/// Puts the function in place of the global scope's own.
pub(super) fn install(context: &mut Context) -> JsResult<()> {
    let json = context.global_object().get(js_string!("JSON"), context)?;
    let Some(json) = json.as_object() else {
        return Ok(());
    };
    let Some(own) = json.get(js_string!("parse"), context)?.as_object() else {
        return Ok(());
    };
    let parse = NativeFunction::from_copy_closure_with_captures(parse, own);
    let parse = boa_engine::object::FunctionObjectBuilder::new(context.realm(), parse)
        .name(js_string!("parse"))
        .length(2)
        .build();
    let property = PropertyDescriptor::builder()
        .value(parse)
        .writable(true)
        .enumerable(false)
        .configurable(true);
    json.insert_property(js_string!("parse"), property);
    Ok(())
}

/// ECMAScript, section 25.5.1.
fn parse(
    this: &JsValue,
    args: &[JsValue],
    own: &JsObject,
    context: &mut Context,
) -> JsResult<JsValue> {
    if args.get_or_undefined(1).is_callable() {
        return own.call(this, args, context);
    }
    let text = args.get_or_undefined(0).to_string(context)?;
    let invalid = |error: String| JsNativeError::syntax().with_message(error);
    let text = text
        .to_std_string()
        .map_err(|error| invalid(error.to_string()))?;
    read(&text, context).map_err(|error| invalid(error.to_string()).into())
}

/// The value of a JSON text.
///
/// # Errors
/// Where the text is no JSON, and nests deeper than 128 levels.
pub fn read(text: &str, context: &mut Context) -> serde_json::Result<JsValue> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut making = Making {
        context,
        keys: HashMap::new(),
    };
    let value = making.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Makes values of what a text holds.
struct Making<'c> {
    context: &'c mut Context,
    keys: HashMap<Box<str>, PropertyKey>,
}

impl Making<'_> {
    fn key(&mut self, name: &str) -> PropertyKey {
        if let Some(key) = self.keys.get(name) {
            return key.clone();
        }
        let key = PropertyKey::from(JsString::from(name));
        if self.keys.len() < KEYS_MAX && name.len() <= KEY_BYTES_MAX {
            self.keys.insert(name.into(), key.clone());
        }
        key
    }
}

impl<'de> DeserializeSeed<'de> for &mut Making<'_> {
    type Value = JsValue;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<JsValue, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Making<'_> {
    type Value = JsValue;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<JsValue, E> {
        Ok(JsValue::null())
    }

    fn visit_bool<E>(self, value: bool) -> Result<JsValue, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<JsValue, E> {
        #[expect(clippy::cast_precision_loss, reason = "numbers of scripts are doubles")]
        Ok(i32::try_from(value).map_or_else(|_| JsValue::from(value as f64), JsValue::from))
    }

    fn visit_u64<E>(self, value: u64) -> Result<JsValue, E> {
        #[expect(clippy::cast_precision_loss, reason = "numbers of scripts are doubles")]
        Ok(i32::try_from(value).map_or_else(|_| JsValue::from(value as f64), JsValue::from))
    }

    fn visit_f64<E>(self, value: f64) -> Result<JsValue, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<JsValue, E> {
        Ok(JsString::from(value).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<JsValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(&mut *self)? {
            list.push(item);
        }
        Ok(JsArray::from_iter(list, self.context).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<JsValue, A::Error> {
        let object = JsObject::with_object_proto(self.context.intrinsics());
        while let Some(key) = members.next_key_seed(KeyOf(&mut *self))? {
            let value = members.next_value_seed(&mut *self)?;
            let property = PropertyDescriptor::builder()
                .value(value)
                .writable(true)
                .enumerable(true)
                .configurable(true);
            object.insert_property(key, property);
        }
        Ok(object.into())
    }
}

/// Reads a member's name.
struct KeyOf<'k, 'c>(&'k mut Making<'c>);

impl<'de> DeserializeSeed<'de> for KeyOf<'_, '_> {
    type Value = PropertyKey;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<PropertyKey, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOf<'_, '_> {
    type Value = PropertyKey;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<PropertyKey, E> {
        Ok(self.0.key(name))
    }
}

#[cfg(test)]
mod tests {
    use boa_engine::Source;

    use super::*;

    fn evaluate(code: &str, context: &mut Context) -> String {
        let value = context.eval(Source::from_bytes(code)).unwrap();
        value.to_string(context).unwrap().to_std_string_lossy()
    }

    /// Texts that are read, and how they are written again.
    #[test]
    fn values_are_those_of_the_interpreters_own() {
        let mut own = Context::default();
        let mut ours = Context::default();
        install(&mut ours).unwrap();
        for text in [
            r#"{"b":1,"a":[1,2.5,-0,1e300,12345678901234567890,2147483648,-2147483649],"c":{"b":null}}"#,
            r#"{"2":"two","1":"one","x":true,"x":false,"__proto__":{"y":1},"":""}"#,
            r#"["ä","\u00e4","\ud83d\ude00","\n\t\"\\/","",[],{}]"#,
            " [ 1 , \"a\" ]\n",
            "\"text\"",
            "-0",
            "null",
        ] {
            let literal = serde_json::to_string(text).unwrap();
            let code = format!(
                "const write = (v) => Object.is(v, -0) ? '-0' : Array.isArray(v) ? '[' + v.map(write) + ']' \
                 : v && typeof v === 'object' ? '{{' + Object.keys(v).map((k) => k + '=' + write(v[k])) + '}}' : typeof v + ':' + String(v); \
                 const v = JSON.parse({literal}); \
                 write(v) + (v instanceof Object ? Object.getPrototypeOf(v) === Object.prototype || v instanceof Array : '')"
            );
            let code = format!(
                "(() => {{ {} }})()",
                code.replace(" write(v) +", " return write(v) +")
            );
            assert_eq!(
                evaluate(&code, &mut ours),
                evaluate(&code, &mut own),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_json_is_a_syntax_error() {
        let mut context = Context::default();
        install(&mut context).unwrap();
        for text in [
            "",
            "{",
            "[1,]",
            "{a:1}",
            "'a'",
            "01",
            "1 2",
            "\\ud800",
            "undefined",
        ] {
            let literal = serde_json::to_string(text).unwrap();
            let code = format!(
                "try {{ JSON.parse({literal}); 'read' }} catch (e) {{ e instanceof SyntaxError }}"
            );
            assert_eq!(evaluate(&code, &mut context), "true", "{text}");
        }
        let deep = "[".repeat(100_000);
        let code = format!("try {{ JSON.parse('{deep}'); 'read' }} catch (e) {{ e.name }}");
        assert_eq!(evaluate(&code, &mut context), "SyntaxError");
    }

    #[test]
    fn revivers_see_the_values() {
        let mut context = Context::default();
        install(&mut context).unwrap();
        let code = "JSON.stringify(JSON.parse('{\"a\":[1,2]}', (k, v) => typeof v === 'number' ? v * 2 : v))";
        assert_eq!(evaluate(code, &mut context), r#"{"a":[2,4]}"#);
        assert_eq!(
            evaluate(
                "JSON.parse.name + JSON.parse.length + Object.keys(JSON).length",
                &mut context
            ),
            "parse20"
        );
    }
}
