//! The character set of a text.

use std::borrow::Cow;

use super::binary::find;
use super::text::is_space;

/// Bytes that are searched for a declaration.
const SEARCHED_BYTES: usize = 1024;
/// A declared name is no longer.
const NAME_BYTES_MAX: usize = 40;

type Name = Option<Cow<'static, str>>;

/// The name a byte order mark tells.
pub(super) fn of_mark(head: &[u8]) -> Option<&'static str> {
    let marks: [(&[u8], &str); 5] = [
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\0\0\xfe\xff", "utf-32be"),
        (b"\xff\xfe\0\0", "utf-32le"),
        (b"\xfe\xff", "utf-16be"),
        (b"\xff\xfe", "utf-16le"),
    ];
    marks
        .iter()
        .find(|(mark, _)| head.starts_with(mark))
        .map(|(_, name)| *name)
}

pub(super) fn of_plain(head: &[u8]) -> Name {
    let head = head.get(..SEARCHED_BYTES).unwrap_or(head);
    if head.is_empty() {
        return None;
    }
    if let Some(name) = of_mark(head) {
        return Some(name.into());
    }
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The last character may be cut off.
        Err(error) => error.error_len().is_none() && head.len() == SEARCHED_BYTES,
    };
    let is_text = |byte: &u8| matches!(byte, 0x07..=0x0d | 0x1b | 0x20..=0x7e | 0xa0..);
    let name = match (is_utf8, head.is_ascii(), head.iter().all(is_text)) {
        (true, false, _) | (true, true, true) => "utf-8",
        (false, _, true) => "iso-8859-1",
        _ => return None,
    };
    Some(name.into())
}

pub(super) fn of_xml(head: &[u8]) -> Name {
    let searched = head.get(..SEARCHED_BYTES).unwrap_or(head);
    let declaration = searched
        .split(|byte| *byte == b'>')
        .next()
        .unwrap_or_default();
    declared(declaration, b"encoding").or_else(|| of_plain(head))
}

/// As the HTML standard's prescan: the first `meta` tag with a charset, before the body.
pub(super) fn of_html(head: &[u8]) -> Name {
    if let Some(name) = of_mark(head) {
        return Some(name.into());
    }
    let searched = head.get(..SEARCHED_BYTES).unwrap_or(head);
    let lower = searched.to_ascii_lowercase();
    let end = find(&lower, b"<body").unwrap_or(lower.len());
    let (lower, searched) = (lower.get(..end)?, searched.get(..end)?);
    let mut from = 0;
    while let Some(at) = find(lower.get(from..)?, b"<meta") {
        let start = from + at;
        let length = lower.get(start..)?.iter().position(|byte| *byte == b'>');
        let stop = length.map_or(end, |length| start + length);
        let name_at = find(lower.get(start..stop)?, b"charset");
        if let Some(name_at) = name_at {
            let name = declared_at(searched.get(start + name_at + b"charset".len()..stop)?);
            if name.is_some() {
                return name;
            }
        }
        from = start + 1;
    }
    of_plain(head)
}

fn declared(text: &[u8], attribute: &[u8]) -> Name {
    let at = find(text, attribute)?;
    declared_at(text.get(at + attribute.len()..)?)
}

/// A value after `=`, in quotes or not.
fn declared_at(text: &[u8]) -> Name {
    let mut bytes = text.iter().copied().skip_while(|byte| is_space(*byte));
    if bytes.next() != Some(b'=') {
        return None;
    }
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+".contains(byte);
    let value: Vec<u8> = bytes
        .skip_while(|byte| is_space(*byte) || matches!(byte, b'"' | b'\''))
        .take_while(is_part)
        .take(NAME_BYTES_MAX)
        .collect();
    let name = String::from_utf8(value).ok()?;
    (!name.is_empty()).then(|| name.into())
}
