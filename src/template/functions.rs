//! The functions that every template has.

use super::Error;
use super::escape::{html_text, script_text};
use super::print;
use super::value::Value;

/// Whether there is such a function. `and` and `or` decide what is evaluated and are not here.
pub(super) fn is_known(name: &str) -> bool {
    matches!(
        name,
        "not"
            | "len"
            | "index"
            | "slice"
            | "print"
            | "printf"
            | "println"
            | "html"
            | "js"
            | "urlquery"
            | "eq"
            | "ne"
            | "lt"
            | "le"
            | "gt"
            | "ge"
            | "raw"
    )
}

/// Calls a function.
///
/// # Errors
/// Wrong arguments.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let first = arguments.first();
    let missing = || Error::new(format!("wrong number of args for {name}"));
    Ok(match name {
        "not" => Value::Bool(!first.ok_or_else(missing)?.is_true()),
        "len" => length(first.ok_or_else(missing)?)?,
        "index" => {
            let mut value = first.ok_or_else(missing)?.clone();
            for at in arguments.iter().skip(1) {
                value = indexed(&value, at)?;
            }
            value
        }
        "slice" => sliced(arguments)?,
        "print" => Value::Text(printed(arguments, false)),
        "println" => Value::Text(printed(arguments, true) + "\n"),
        "printf" => match first {
            Some(Value::Text(format) | Value::Html(format)) => Value::Text(print::formatted(
                format,
                arguments.get(1..).unwrap_or_default(),
            )),
            _ => return Err(missing()),
        },
        "html" => {
            let mut out = String::new();
            html_text(&printed(arguments, false), false, &mut out);
            Value::Html(out)
        }
        "js" => Value::Text(script_text(&printed(arguments, false))),
        "urlquery" => {
            let text = printed(arguments, false);
            Value::Text(url::form_urlencoded::byte_serialize(text.as_bytes()).collect())
        }
        "raw" => match first.ok_or_else(missing)? {
            Value::Text(text) | Value::Html(text) => Value::Html(text.clone()),
            other => {
                let mut text = String::new();
                print::plain(other, &mut text);
                Value::Html(text)
            }
        },
        "eq" => {
            let one = first.ok_or_else(missing)?;
            let others = arguments.get(1..).filter(|others| !others.is_empty());
            let mut found = false;
            for other in others.ok_or_else(missing)? {
                found |= equal(one, other)?;
            }
            Value::Bool(found)
        }
        "ne" => Value::Bool(!equal(
            first.ok_or_else(missing)?,
            arguments.get(1).ok_or_else(missing)?,
        )?),
        "lt" | "le" | "gt" | "ge" => {
            let order = order(
                first.ok_or_else(missing)?,
                arguments.get(1).ok_or_else(missing)?,
            )?;
            Value::Bool(match name {
                "lt" => order.is_lt(),
                "le" => order.is_le(),
                "gt" => order.is_gt(),
                _ => order.is_ge(),
            })
        }
        _ => return Err(Error::new(format!("function {name:?} not defined"))),
    })
}

fn length(value: &Value) -> Result<Value, Error> {
    let length = match value {
        Value::Text(text) | Value::Html(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        other => return Err(Error::new(format!("len of type {}", other.kind()))),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn indexed(value: &Value, at: &Value) -> Result<Value, Error> {
    match (value, at) {
        (Value::Map(map), Value::Text(name)) => Ok(map.get(name).cloned().unwrap_or_default()),
        (Value::List(list), Value::Int(index)) => {
            let item = usize::try_from(*index)
                .ok()
                .and_then(|index| list.get(index));
            item.cloned()
                .ok_or_else(|| Error::new(format!("index out of range: {index}")))
        }
        (Value::Text(text), Value::Int(index)) => {
            let byte = usize::try_from(*index)
                .ok()
                .and_then(|index| text.as_bytes().get(index));
            byte.map(|byte| Value::Int((*byte).into()))
                .ok_or_else(|| Error::new(format!("index out of range: {index}")))
        }
        (Value::Nil, _) => Err(Error::new("index of untyped nil")),
        (value, at) => Err(Error::new(format!(
            "cannot index {} with {}",
            value.kind(),
            at.kind()
        ))),
    }
}

fn sliced(arguments: &[Value]) -> Result<Value, Error> {
    let bound = |at: usize, default: usize| match arguments.get(at) {
        None => Ok(default),
        Some(Value::Int(index)) => {
            usize::try_from(*index).map_err(|_| Error::new("index out of range"))
        }
        Some(other) => Err(Error::new(format!("cannot index with {}", other.kind()))),
    };
    let beyond = || Error::new("index out of range");
    match arguments.first() {
        Some(Value::Text(text)) => {
            let part = text.get(bound(1, 0)?..bound(2, text.len())?);
            Ok(Value::Text(part.ok_or_else(beyond)?.to_owned()))
        }
        Some(Value::List(list)) => {
            let part = list.get(bound(1, 0)?..bound(2, list.len())?);
            Ok(Value::List(part.ok_or_else(beyond)?.to_vec()))
        }
        _ => Err(Error::new("only texts and lists have slices")),
    }
}

/// Values one after the other; with spaces between all, or only where neither is a text.
fn printed(values: &[Value], spaced: bool) -> String {
    let mut out = String::new();
    let is_text = |value: &Value| matches!(value, Value::Text(_) | Value::Html(_));
    for (index, value) in values.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| values.get(before));
        if let Some(before) = before
            && (spaced || (!is_text(before) && !is_text(value)))
        {
            out.push(' ');
        }
        if matches!(value, Value::Nil) {
            out.push_str("<nil>");
        }
        print::plain(value, &mut out);
    }
    out
}

fn equal(one: &Value, other: &Value) -> Result<bool, Error> {
    Ok(match (one, other) {
        (Value::Nil, other) | (other, Value::Nil) => matches!(other, Value::Nil),
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Text(one) | Value::Html(one), Value::Text(other) | Value::Html(other)) => {
            one == other
        }
        (one, other) => match (one.number(), other.number()) {
            #[expect(clippy::float_cmp, reason = "that is what the template asks")]
            (Some(one), Some(other)) => one == other,
            _ => return Err(Error::new("incompatible types for comparison")),
        },
    })
}

fn order(one: &Value, other: &Value) -> Result<std::cmp::Ordering, Error> {
    let order = match (one, other) {
        (Value::Text(one) | Value::Html(one), Value::Text(other) | Value::Html(other)) => {
            Some(one.cmp(other))
        }
        (one, other) => match (one.number(), other.number()) {
            (Some(one), Some(other)) => one.partial_cmp(&other),
            _ => None,
        },
    };
    order.ok_or_else(|| Error::new("incompatible types for comparison"))
}
