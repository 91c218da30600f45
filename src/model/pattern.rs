//! Regular expressions that users write: checked, compiled once and kept.
//!
//! Users' patterns follow Go's RE2 syntax, where `\w`, `\d` and `\s` are ASCII and `[`, `&`, `~` are plain inside a class.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};

/// Patterns longer than this are refused, in bytes.
const PATTERN_BYTES_MAX: usize = 10_000;
/// Memory one compiled pattern may take, in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Patterns kept compiled; beyond it the store is emptied and fills anew.
const CACHE_ENTRIES_MAX: usize = 1_000;

/// The pattern of default record ids.
pub(crate) const DEFAULT_ID_PATTERN: &str = "^[a-z0-9]+$";

static CACHE: LazyLock<Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);

/// Whether the pattern compiles.
///
/// # Errors
/// The reason why it does not, for people.
pub(crate) fn check(pattern: &str) -> Result<(), String> {
    compile(pattern).map(|_| ())
}

/// Whether `text` has a match of `pattern`; false when the pattern is invalid.
pub(crate) fn is_match(pattern: &str, text: &str) -> bool {
    if pattern == DEFAULT_ID_PATTERN {
        return !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    }
    cached(pattern).is_some_and(|regex| regex.is_match(text))
}

fn cached(pattern: &str) -> Option<Regex> {
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(entry) = cache.get(pattern) {
        return entry.clone();
    }
    let compiled = compile(pattern).ok();
    if cache.len() >= CACHE_ENTRIES_MAX {
        cache.clear();
    }
    cache.insert(pattern.to_owned(), compiled.clone());
    compiled
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let reason = |text: String| {
        let last = text.lines().last().unwrap_or_default();
        format!(
            "error parsing regexp: {}: `{pattern}`",
            last.trim_start_matches("error: ")
        )
    };
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err("error parsing regexp: expression is too long".to_owned());
    }
    RegexBuilder::new(&translate(pattern))
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| reason(error.to_string()))
}

/// Rewrites RE2 syntax where Rust's differs.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(letter) = chars.next() {
        match letter {
            '\\' => match chars.next() {
                Some(escaped) => push_escape(&mut out, escaped, in_class),
                None => out.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                // A bracket in first place is a member, not the end.
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            '[' if chars.peek() == Some(&':') => {
                // A named class such as [:alpha:] runs to the next bracket.
                out.push('[');
                for inner in chars.by_ref() {
                    out.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            '[' | '&' | '~' if in_class => {
                out.push('\\');
                out.push(letter);
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            _ => out.push(letter),
        }
    }
    out
}

fn push_escape(out: &mut String, escaped: char, in_class: bool) {
    let members = match escaped.to_ascii_lowercase() {
        'd' => r"0-9",
        'w' => r"0-9A-Za-z_",
        's' => r"\t\n\x0C\r ",
        _ => {
            if escaped == 'b' && !in_class {
                out.push_str(r"(?-u:\b)");
            } else {
                out.push('\\');
                out.push(escaped);
            }
            return;
        }
    };
    let negated = escaped.is_ascii_uppercase();
    if in_class && !negated {
        out.push_str(members);
        return;
    }
    out.push('[');
    if negated {
        out.push('^');
    }
    out.push_str(members);
    out.push(']');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ascii_and_brackets_plain() {
        assert!(is_match(r"^\w+$", "ab_1"));
        assert!(!is_match(r"^\w+$", "ä"));
        assert!(is_match(r"^[\w.\-]+$", "a.b-c"));
        assert!(is_match(r"^[[&~]+$", "[&~"));
        assert!(is_match(r"^[]a]+$", "]a"));
        assert!(is_match(r"^[^\W\d]+$", "ab"));
        assert!(is_match(r"^[[:alpha:]]+$", "ab"));
        assert!(check(r"\w*((abc+").is_err());
        assert!(!is_match(r"\w*((abc+", "abc"));
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_is_safe(pattern in ".{0,40}") {
            let _ = check(&pattern);
            let _ = is_match(&pattern, "text");
        }
    }
}
