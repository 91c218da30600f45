//! Conversions from loosely typed input to the types that fields keep. They never fail: what cannot be converted becomes
//! the empty value, as PocketBase does.

use serde_json::Value as Json;

/// Text of a scalar; empty for null, arrays and objects. Numbers print in plain decimal notation, never with an exponent.
pub(crate) fn to_text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => number
            .as_f64()
            .map_or_else(String::new, |value| value.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => String::new(),
    }
}

/// Number of a scalar; 0 for texts that are no number, null, arrays and objects. A text may name an infinity or NaN,
/// which validation refuses.
pub(crate) fn to_number(value: &Json) -> f64 {
    match value {
        Json::Number(number) => number.as_f64().unwrap_or_default(),
        Json::Bool(flag) => f64::from(u8::from(*flag)),
        Json::String(text) => parse_number(text),
        Json::Null | Json::Array(_) | Json::Object(_) => 0.0,
    }
}

fn parse_number(text: &str) -> f64 {
    if text.contains('_') {
        return parse_grouped(text);
    }
    match text.parse::<f64>() {
        // "1e999" is out of range, hence no number; "inf" is an infinity on purpose.
        Ok(number) if number.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit()) => 0.0,
        Ok(number) => number,
        Err(_) => 0.0,
    }
}

/// Digits may be grouped with single underscores, as in Go.
fn parse_grouped(text: &str) -> f64 {
    let bytes = text.as_bytes();
    let between_digits = bytes
        .windows(3)
        .filter(|window| window.get(1) == Some(&b'_'))
        .all(|window| {
            window.first().is_some_and(u8::is_ascii_digit)
                && window.last().is_some_and(u8::is_ascii_digit)
        });
    if !between_digits || text.starts_with('_') || text.ends_with('_') {
        return 0.0;
    }
    parse_number(&text.replace('_', ""))
}

/// Truth of a scalar: `true`, a number other than 0, or one of the texts `1 t T true TRUE True`.
pub(crate) fn to_flag(value: &Json) -> bool {
    match value {
        Json::Bool(flag) => *flag,
        Json::Number(number) => number.as_f64().is_some_and(|value| value != 0.0),
        Json::String(text) => matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"),
        Json::Null | Json::Array(_) | Json::Object(_) => false,
    }
}

/// Distinct, non-empty texts, in the order of their first appearance. A text may hold a JSON array of texts. An array
/// with an array or object inside yields nothing.
pub(crate) fn to_list(value: &Json) -> Vec<String> {
    let list = match value {
        Json::Null | Json::Object(_) => Vec::new(),
        Json::String(text) => text_to_list(text),
        Json::Bool(_) | Json::Number(_) => vec![to_text(value)],
        Json::Array(items) => {
            if items.iter().any(|item| item.is_array() || item.is_object()) {
                return Vec::new();
            }
            items.iter().map(to_text).collect()
        }
    };
    unique(list)
}

fn text_to_list(text: &str) -> Vec<String> {
    if text.contains('[')
        && let Ok(items) = serde_json::from_str::<Vec<Option<String>>>(text)
    {
        return items.into_iter().map(Option::unwrap_or_default).collect();
    }
    vec![text.to_owned()]
}

/// Drops empty and repeated texts. Lists are short (ids, names), so a scan beats a hash set.
pub(crate) fn unique(mut list: Vec<String>) -> Vec<String> {
    const SCAN_MAX: usize = 32;
    if list.len() > SCAN_MAX {
        let mut seen = std::collections::HashSet::with_capacity(list.len());
        list.retain(|item| !item.is_empty() && seen.insert(item.clone()));
        return list;
    }
    let mut kept = Vec::with_capacity(list.len());
    for item in list {
        if !item.is_empty() && !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_convert_as_loosely_as_pocketbase() {
        for (input, text, number, flag) in [
            (json!("a"), "a", 0.0, false),
            (json!("12.5"), "12.5", 12.5, false),
            (json!("1e3"), "1e3", 1000.0, false),
            (json!("1_000"), "1_000", 1000.0, false),
            (json!("1__0"), "1__0", 0.0, false),
            (json!("_1"), "_1", 0.0, false),
            (json!("1e999"), "1e999", 0.0, false),
            (json!("t"), "t", 0.0, true),
            (json!(true), "true", 1.0, true),
            (json!(1e21), "1000000000000000000000", 1e21, true),
            (json!(5.0), "5", 5.0, true),
            (json!(null), "", 0.0, false),
            (json!([1]), "", 0.0, false),
            (json!({"a": 1}), "", 0.0, false),
        ] {
            assert_eq!(to_text(&input), text, "{input}");
            assert_eq!(to_number(&input), number, "{input}");
            assert_eq!(to_flag(&input), flag, "{input}");
        }
    }

    #[test]
    fn lists_are_distinct_and_without_blanks() {
        for (input, list) in [
            (json!(["a", "", "b", "a"]), vec!["a", "b"]),
            (json!("a"), vec!["a"]),
            (json!(""), vec![]),
            (json!("[\"a\",null,\"b\"]"), vec!["a", "b"]),
            (json!("[1,2]"), vec!["[1,2]"]),
            (json!([1, true]), vec!["1", "true"]),
            (json!(["a", {}]), vec![]),
            (json!(3), vec!["3"]),
            (json!(null), vec![]),
        ] {
            assert_eq!(to_list(&input), list, "{input}");
        }
    }
}
