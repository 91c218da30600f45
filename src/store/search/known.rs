//! Values that are known before the query runs: literals, what the request carries, moments.

use std::cmp::Ordering;

use crate::base::json;
use crate::model::Value;

/// A value with the storage class that SQLite gives it when bound.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Known {
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Text(String),
}

/// What the SQL text may depend on. Two values of one class share the text; only what is bound differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Class {
    Null,
    EmptyText,
    /// Letters, digits, `_` and `-` only, as ids: such a text stands in JSON as it is.
    Word,
    Text,
    /// A truth value or a real number; SQLite compares both as numbers.
    Number,
    Integer,
}

impl Known {
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Null => Class::Null,
            Self::Text(text) if text.is_empty() => Class::EmptyText,
            Self::Text(text) if text.bytes().all(is_word_byte) => Class::Word,
            Self::Text(_) => Class::Text,
            Self::Bool(_) | Self::Real(_) => Class::Number,
            Self::Integer(_) => Class::Integer,
        }
    }

    /// What is bound. Integers are bound as reals and turned back by the SQL text.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Integer(number) => Value::Number(*number as f64),
            Self::Real(number) => Value::Number(*number),
            Self::Text(text) => Value::Text(text.clone()),
        }
    }

    /// As a text, in the way that patterns and `:lower` read it.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(flag) => flag.to_string(),
            Self::Integer(number) => number.to_string(),
            // Plain decimal notation, never an exponent.
            Self::Real(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    /// The pattern that `~` matches: as it stands if it has a `%` of its own, else anything that contains the text.
    pub(super) fn to_pattern(&self) -> String {
        let text = self.to_text();
        if has_wildcard(&text) {
            text
        } else {
            format!("%{}%", escape(&text))
        }
    }

    /// A JSON value of the request; arrays and objects as JSON text.
    pub(super) fn from_json(value: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match value {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Bool(*flag),
            Json::Number(number) => Self::Real(number.as_f64().unwrap_or_default()),
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(_) | Json::Object(_) => Self::Text(json_text(value)),
        }
    }

    /// How SQLite orders two values that have no column's affinity: numbers before texts. Nothing with NULL.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self.number(), other.number()) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            (Some(_), None) => other.is_text().then_some(Ordering::Less),
            (None, Some(_)) => self.is_text().then_some(Ordering::Greater),
            (None, None) => match (self, other) {
                (Self::Text(left), Self::Text(right)) => {
                    Some(left.as_bytes().cmp(right.as_bytes()))
                }
                _ => None,
            },
        }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Self::Integer(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            Self::Null | Self::Text(_) => None,
        }
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// JSON text with sorted member names.
pub(super) fn json_text(value: &serde_json::Value) -> String {
    let mut out = Vec::new();
    json::write_value_sorted(&mut out, value);
    String::from_utf8(out).unwrap_or_default()
}

/// Whether the text has a `%` without a backslash before it.
fn has_wildcard(text: &str) -> bool {
    let mut escaped = false;
    for byte in text.bytes() {
        match byte {
            b'%' if !escaped => return true,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    false
}

/// Puts a backslash before each backslash, `%` and `_` that has none. Read from the end, as PocketBase does, so that an escaped
/// backslash counts once.
fn escape(text: &str) -> String {
    let mut reversed = String::with_capacity(text.len() + 4);
    let mut pending = false;
    for character in text.chars().rev() {
        if pending {
            if character != '\\' {
                reversed.push('\\');
            }
            pending = false;
        } else {
            pending = matches!(character, '\\' | '%' | '_');
        }
        reversed.push(character);
    }
    if pending {
        reversed.push('\\');
    }
    reversed.chars().rev().collect()
}

/// SQLite's `LIKE ... ESCAPE '\'`: `%` any run, `_` any character, ASCII letters without regard to case.
pub(super) fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern = tokens(pattern);
    // The usual two-pointer match: on failure, go back to the last run and let it take one character more.
    let (mut at, mut token) = (0, 0);
    let mut run: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(token) {
            Some(Token::Run) => {
                run = Some((token, at));
                token += 1;
            }
            Some(Token::One) => {
                at += 1;
                token += 1;
            }
            Some(Token::Exact(wanted))
                if text.get(at).is_some_and(|c| c.eq_ignore_ascii_case(wanted)) =>
            {
                at += 1;
                token += 1;
            }
            _ => match run {
                Some((start, taken)) => {
                    run = Some((start, taken + 1));
                    at = taken + 1;
                    token = start + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(token..)
        .unwrap_or_default()
        .iter()
        .all(|token| matches!(token, Token::Run))
}

enum Token {
    Run,
    One,
    Exact(char),
    /// A backslash at the end, which matches nothing.
    Broken,
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '%' => Token::Run,
            '_' => Token::One,
            '\\' => characters.next().map_or(Token::Broken, Token::Exact),
            other => Token::Exact(other),
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_wrapped_unless_they_have_a_wildcard() {
        for (text, pattern) in [
            ("abc", "%abc%"),
            ("a%", "a%"),
            (r"a\%", r"%a\%%"),
            ("a_b", r"%a\_b%"),
            (r"a\b", r"%a\\b%"),
            ("", "%%"),
            ("%", "%"),
            (r"\\%", r"\\%"),
        ] {
            assert_eq!(Known::Text(text.into()).to_pattern(), pattern, "{text}");
        }
        assert_eq!(Known::Real(5.0).to_pattern(), "%5%");
        assert_eq!(Known::Bool(true).to_pattern(), "%true%");
    }

    #[test]
    fn like_follows_sqlite() {
        for (text, pattern, matches) in [
            ("Hello", "%ell%", true),
            ("HELLO", "hello", true),
            ("É", "é", false),
            ("abc", "a_c", true),
            ("a%c", r"a\%c", true),
            ("abc", r"a\%c", false),
            ("", "%%", true),
            ("", "_", false),
            ("aXbXc", "a%x%c", true),
            ("abc", r"abc\", false),
            ("mississippi", "m%iss%ip%i", true),
        ] {
            assert_eq!(like(text, pattern), matches, "{text} {pattern}");
        }
    }

    #[test]
    fn numbers_come_before_texts() {
        let text = |text: &str| Known::Text(text.into());
        assert_eq!(Known::Real(9.0).compare(&text("1")), Some(Ordering::Less));
        assert_eq!(
            text("").compare(&Known::Bool(true)),
            Some(Ordering::Greater)
        );
        assert_eq!(Known::Null.compare(&text("")), None);
        assert_eq!(
            Known::Bool(true).compare(&Known::Real(1.0)),
            Some(Ordering::Equal)
        );
    }
}
