//! JSON text: writing as Go's `encoding/json` does (PocketBase's wire format), and reading with a bound on depth.
//!
//! Writers append to a byte buffer, so that a response is built in one allocation.

use std::fmt;

use serde_json::{Map, Value};

/// Nesting that request bodies and JSON fields may have.
pub const DEPTH_MAX: usize = 100;

/// For each byte: 0 when it stands for itself in a string, else how it is escaped (`u` for `\u00XX`). 0xE2 starts the
/// two line separators U+2028 and U+2029 and is looked at closer.
static ESCAPES: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x0c] = b'f';
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\t' as usize] = b't';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'<' as usize] = b'u';
    table[b'>' as usize] = b'u';
    table[b'&' as usize] = b'u';
    table[0xE2] = 0xE2;
    table
};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes a string with its quotes. `<`, `>`, `&`, U+2028 and U+2029 are escaped besides what JSON demands.
pub fn write_str(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    write_escaped(out, text.as_bytes());
    out.push(b'"');
}

/// The inside of a string, in runs of bytes that need no escape.
fn write_escaped(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        let plain = rest
            .iter()
            .position(|byte| ESCAPES[usize::from(*byte)] != 0)
            .unwrap_or(rest.len());
        let (run, after) = rest.split_at(plain);
        out.extend_from_slice(run);
        let Some((byte, after)) = after.split_first() else {
            return;
        };
        rest = after;
        match ESCAPES[usize::from(*byte)] {
            b'u' => write_u00(out, *byte),
            0xE2 => match after {
                [0x80, last @ (0xA8 | 0xA9), after @ ..] => {
                    out.extend_from_slice(if *last == 0xA8 {
                        b"\\u2028"
                    } else {
                        b"\\u2029"
                    });
                    rest = after;
                }
                _ => out.push(*byte),
            },
            short => out.extend_from_slice(&[b'\\', short]),
        }
    }
}

fn write_u00(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(b"\\u00");
    out.push(HEX[usize::from(byte >> 4)]);
    out.push(HEX[usize::from(byte & 15)]);
}

/// Writes a number as ECMAScript and Go do: `1`, `1.5`, `1e+21`, `1e-7`; what JSON has no number for as `null`.
pub fn write_f64(out: &mut Vec<u8>, number: f64) {
    /// Above, integers no longer fit a float exactly.
    const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;
    if !number.is_finite() {
        out.extend_from_slice(b"null");
    } else if number == 0.0 {
        // Go, unlike ECMAScript, keeps the sign.
        out.extend_from_slice(if number.is_sign_negative() {
            b"-0"
        } else {
            b"0"
        });
    } else if number.trunc() == number && number.abs() < SAFE_INTEGER_MAX {
        write_i64(out, number as i64);
    } else {
        out.extend_from_slice(ryu_js::Buffer::new().format_finite(number).as_bytes());
    }
}

/// Writes an integer.
pub fn write_i64(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Writes an unsigned integer.
pub fn write_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Writes `true` or `false`.
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Writes JSON text without the white space between its tokens, escaping `<`, `>`, `&`, U+2028 and U+2029 as
/// [`write_str`] does. The order of members and the spelling of numbers stay. `raw_json` must be valid JSON.
pub fn write_compact_raw(out: &mut Vec<u8>, raw_json: &str) {
    let mut rest = raw_json.as_bytes();
    out.reserve(rest.len());
    let mut in_string = false;
    loop {
        // Bytes that go out as they are, in one piece.
        let is_plain = |byte: &u8| match byte {
            b' ' => in_string,
            byte => ESCAPES[usize::from(*byte)] == 0,
        };
        let plain = rest.iter().position(|byte| !is_plain(byte));
        let (run, after) = rest.split_at(plain.unwrap_or(rest.len()));
        out.extend_from_slice(run);
        let Some((byte, after)) = after.split_first() else {
            return;
        };
        rest = after;
        match (*byte, after) {
            (b'"', _) => {
                in_string = !in_string;
                out.push(b'"');
            }
            (b'\\', [escaped, after @ ..]) => {
                out.extend_from_slice(&[b'\\', *escaped]);
                rest = after;
            }
            (b'<' | b'>' | b'&', _) => write_u00(out, *byte),
            (0xE2, [0x80, last @ (0xA8 | 0xA9), after @ ..]) => {
                out.extend_from_slice(if *last == 0xA8 {
                    b"\\u2028"
                } else {
                    b"\\u2029"
                });
                rest = after;
            }
            (0xE2, _) => out.push(0xE2),
            // White space. Valid JSON has no other control characters, and none at all in strings.
            _ => {}
        }
    }
}

/// Writes a value; members in their given order.
pub fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => write_bool(out, *value),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_str(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(out, item);
            }
            out.push(b']');
        }
        Value::Object(members) => write_members(out, members.iter(), write_value),
    }
}

/// Writes a value with the members of all objects in the order of their names, as Go writes maps.
pub fn write_value_sorted(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value_sorted(out, item);
            }
            out.push(b']');
        }
        Value::Object(members) => write_map_sorted(out, members),
        value => write_value(out, value),
    }
}

/// Writes an object as [`write_value_sorted`] does.
pub fn write_map_sorted(out: &mut Vec<u8>, members: &Map<String, Value>) {
    let mut members: Vec<(&String, &Value)> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    write_members(out, members.into_iter(), write_value_sorted);
}

fn write_members<'a>(
    out: &mut Vec<u8>,
    members: impl Iterator<Item = (&'a String, &'a Value)>,
    write: fn(&mut Vec<u8>, &Value),
) {
    out.push(b'{');
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_str(out, name);
        out.push(b':');
        write(out, value);
    }
    out.push(b'}');
}

fn write_number(out: &mut Vec<u8>, number: &serde_json::Number) {
    if let Some(number) = number.as_i64() {
        write_i64(out, number);
    } else if let Some(number) = number.as_u64() {
        write_u64(out, number);
    } else {
        write_f64(out, number.as_f64().unwrap_or(f64::NAN));
    }
}

/// A value as text; members in their given order.
pub fn to_text(value: &Value) -> String {
    let mut out = Vec::new();
    write_value(&mut out, value);
    // The writers above emit nothing but UTF-8.
    String::from_utf8(out).unwrap_or_default()
}

/// Why a text is no JSON, or none that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// The text is not JSON.
    Syntax {
        /// What was found or missing.
        message: String,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1; 0 at the end of the previous line.
        column: usize,
    },
    /// Arrays and objects are nested deeper than allowed.
    TooDeep {
        /// The bound.
        depth_max: usize,
    },
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax {
                message,
                line,
                column,
            } => write!(f, "invalid JSON at line {line}, column {column}: {message}"),
            Self::TooDeep { depth_max } => {
                write!(f, "the JSON is nested deeper than {depth_max} levels")
            }
        }
    }
}

impl std::error::Error for JsonError {}

/// Reads one JSON value; nothing but white space may follow. A name that occurs twice keeps its last value.
///
/// `depth_max` counts arrays and objects around each other; it is [`DEPTH_MAX`] for request bodies. More than 127 levels
/// are refused in any case.
pub fn parse_value(bytes: &[u8], depth_max: usize) -> Result<Value, JsonError> {
    // serde_json recurses; its own limit is fixed at 127.
    let depth_max = depth_max.min(127);
    if depth(bytes, depth_max) > depth_max {
        return Err(JsonError::TooDeep { depth_max });
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let message = error.to_string();
        let place = format!(" at line {line} column {column}");
        let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
        JsonError::Syntax {
            message,
            line,
            column,
        }
    })
}

/// The deepest nesting in a text, counted up to one beyond `enough`. Needs no valid JSON: a text that is none fails later.
fn depth(bytes: &[u8], enough: usize) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
                if deepest > enough {
                    break;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        for (text, expected) in [
            ("plain", r#""plain""#),
            ("", r#""""#),
            ("a\"b\\c/", r#""a\"b\\c/""#),
            ("<b>&</b>", r#""\u003cb\u003e\u0026\u003c/b\u003e""#),
            (
                "\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}",
                "\"\\n\\r\\t\\b\\f\\u0001\\u001f\u{7f}\"",
            ),
            ("a\u{2028}b\u{2029}c", r#""a\u2028b\u2029c""#),
            ("é – €\u{2027}\u{202a} 😀", "\"é – €\u{2027}\u{202a} 😀\""),
        ] {
            assert_eq!(written(|out| write_str(out, text)), expected);
        }
    }

    #[test]
    fn numbers_look_as_in_ecmascript() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-12.5, "-12.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (0.000001, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e300, "1.5e+300"),
            (9007199254740993.0, "9007199254740992"),
            (f64::NAN, "null"),
            (f64::NEG_INFINITY, "null"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(written(|out| write_f64(out, number)), expected);
        }
    }

    #[test]
    fn compacting_drops_space_outside_strings_only_and_keeps_spelling() {
        let raw =
            " { \"b\" : [ 1.0 , 1e5 ], \"a <\\\" \" : \"x & \\\\\" ,\n\t\"l\":\"\u{2028}\" } ";
        assert_eq!(
            written(|out| write_compact_raw(out, raw)),
            r#"{"b":[1.0,1e5],"a \u003c\" ":"x \u0026 \\","l":"\u2028"}"#
        );
    }

    #[test]
    fn values_keep_their_order_or_are_sorted() {
        let value = json!({"b": [1, 2.5, null, true], "a": {"z": "<", "y": -3}});
        assert_eq!(
            to_text(&value),
            r#"{"b":[1,2.5,null,true],"a":{"z":"\u003c","y":-3}}"#
        );
        assert_eq!(
            written(|out| write_value_sorted(out, &value)),
            r#"{"a":{"y":-3,"z":"\u003c"},"b":[1,2.5,null,true]}"#
        );
    }

    #[test]
    fn nesting_beyond_the_bound_is_refused_and_brackets_in_strings_do_not_count() {
        assert!(parse_value(br#"[[1]]"#, 2).is_ok());
        assert_eq!(
            parse_value(br#"[[{}]]"#, 2),
            Err(JsonError::TooDeep { depth_max: 2 })
        );
        assert!(parse_value(br#"["\"[[[", "{{{"]"#, 1).is_ok());
        let deep = "[".repeat(100_000);
        assert!(matches!(
            parse_value(deep.as_bytes(), usize::MAX),
            Err(JsonError::TooDeep { depth_max: 127 })
        ));
        let just = format!("{}{}", "[".repeat(127), "]".repeat(127));
        assert!(parse_value(just.as_bytes(), usize::MAX).is_ok());
    }

    #[test]
    fn syntax_errors_tell_the_place() {
        let error = parse_value(b"{\n \"a\": x}", 9).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid JSON at line 2, column 7: expected value"
        );
        assert!(parse_value(b"1 2", 9).is_err());
        assert!(parse_value(b"", 9).is_err());
        assert!(parse_value(b"\"\xff\"", 9).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(text in "\\PC*", number in proptest::num::f64::NORMAL) {
            let value = json!({ text.as_str(): [text.as_str(), number] });
            let out = to_text(&value);
            let read = parse_value(out.as_bytes(), 9).unwrap();
            prop_assert_eq!(read[text.as_str()][0].as_str(), Some(text.as_str()));
            prop_assert_eq!(read[text.as_str()][1].as_f64(), Some(number));
            prop_assert_eq!(written(|compact| write_compact_raw(compact, &out)), out);
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>) {
            let _ = parse_value(&bytes, 5);
        }
    }
}
