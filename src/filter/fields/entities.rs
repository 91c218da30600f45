//! Character references such as `&eacute;` and `&#233;` (WHATWG HTML, section 13.2.5.72).

use std::collections::HashMap;
use std::sync::LazyLock;

/// The standard's named references as `name=hex`, or `name=hex+hex` for two characters; a `!` after the name: its `;` may be missing.
const TABLE: &str = include_str!("entities.txt");

/// The longest name that works without `;`.
const BARE_NAME_BYTES_MAX: usize = 6;

struct Named {
    bare: bool,
    chars: [Option<char>; 2],
}

static NAMED: LazyLock<HashMap<&'static str, Named>> =
    LazyLock::new(|| TABLE.split_ascii_whitespace().filter_map(entry).collect());

fn entry(text: &'static str) -> Option<(&'static str, Named)> {
    let (name, codes) = text.split_once('=')?;
    let bare = name.ends_with('!');
    let mut codes = codes
        .split('+')
        .map(|code| u32::from_str_radix(code, 16).ok());
    let mut next = || char::from_u32(codes.next()??);
    let chars = [next(), next()];
    Some((name.trim_end_matches('!'), Named { bare, chars }))
}

/// Passes the characters of `text`, its references resolved, to `emit` until that returns false.
pub(super) fn decode(text: &str, mut emit: impl FnMut(char) -> bool) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (chars, length) = match c {
            '&' => reference(rest),
            _ => ([Some(c), None], c.len_utf8()),
        };
        if !chars.into_iter().flatten().all(&mut emit) {
            return;
        }
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// What the `&` at the start of `text` stands for, and how many bytes of the text that takes.
fn reference(text: &str) -> ([Option<char>; 2], usize) {
    let body = text.get(1..).unwrap_or_default();
    let found = match body.strip_prefix('#') {
        Some(number) => numeric(number).map(|(c, length)| ([Some(c), None], 2 + length)),
        None => named(body).map(|(named, length)| (named.chars, 1 + length)),
    };
    found.unwrap_or(([Some('&'), None], 1))
}

fn numeric(text: &str) -> Option<(char, usize)> {
    let (digits, radix, prefix) = match text.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16, 1),
        None => (text, 10, 0),
    };
    let length = digits
        .bytes()
        .take_while(|b| char::from(*b).is_digit(radix))
        .count();
    if length == 0 {
        return None;
    }
    let code = u32::from_str_radix(digits.get(..length)?, radix).unwrap_or(u32::MAX);
    let semicolon = usize::from(digits.get(length..)?.starts_with(';'));
    Some((character(code), prefix + length + semicolon))
}

/// Codes 0x80 to 0x9F are read as Windows-1252 has them; impossible ones become U+FFFD.
fn character(code: u32) -> char {
    const WINDOWS_1252: [char; 32] = [
        '\u{20AC}', '\u{81}', '\u{201A}', '\u{192}', '\u{201E}', '\u{2026}', '\u{2020}',
        '\u{2021}', '\u{2C6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8D}', '\u{17D}',
        '\u{8F}', '\u{90}', '\u{2018}', '\u{2019}', '\u{201C}', '\u{201D}', '\u{2022}', '\u{2013}',
        '\u{2014}', '\u{2DC}', '\u{2122}', '\u{161}', '\u{203A}', '\u{153}', '\u{9D}', '\u{17E}',
        '\u{178}',
    ];
    if code == 0 {
        return char::REPLACEMENT_CHARACTER;
    }
    let old = code
        .checked_sub(0x80)
        .and_then(|at| WINDOWS_1252.get(at as usize));
    old.copied()
        .or_else(|| char::from_u32(code))
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The whole name with its `;`, or else the longest start of it that needs none.
fn named(text: &str) -> Option<(&'static Named, usize)> {
    let length = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    if text.get(length..)?.starts_with(';')
        && let Some(named) = NAMED.get(text.get(..length)?)
    {
        return Some((named, length + 1));
    }
    (2..=length.min(BARE_NAME_BYTES_MAX))
        .rev()
        .find_map(|length| {
            let named = NAMED.get(text.get(..length)?)?;
            named.bare.then_some((named, length))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> String {
        let mut result = String::new();
        decode(text, |c| {
            result.push(c);
            true
        });
        result
    }

    #[test]
    fn the_table_is_whole() {
        assert_eq!(NAMED.len(), TABLE.split_ascii_whitespace().count());
        assert!(NAMED.values().all(|named| named.chars[0].is_some()));
    }

    #[test]
    fn references_become_characters() {
        for (text, expected) in [
            ("a &lt;b&gt; &amp;amp;", "a <b> &amp;"),
            ("&eacute;&eacute &copycat &notit;", "éé ©cat ¬it;"),
            ("&NotEqualTilde;", "\u{2242}\u{338}"),
            ("&#233;&#xE9;&#XE9 &#128;", "ééé €"),
            ("&#0;&#xD800;&#99999999999;", "\u{FFFD}\u{FFFD}\u{FFFD}"),
            (
                "& &; &# &#x; &#; &unknown; &é",
                "& &; &# &#x; &#; &unknown; &é",
            ),
            ("&hearts &hearts;", "&hearts ♥"),
        ] {
            assert_eq!(decoded(text), expected, "{text}");
        }
    }
}
