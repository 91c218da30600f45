//! Tests for text formats.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::binary::find;
use super::{HEAD_BYTES, charset};

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_space(*byte));
    text.get(start.unwrap_or(text.len())..).unwrap_or_default()
}

fn starts_with_any_case(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len())
        .is_some_and(|found| found.eq_ignore_ascii_case(start))
}

/// A byte order mark, or no byte that the WHATWG's MIME sniffing calls binary.
pub(super) fn is_text(head: &[u8]) -> bool {
    let is_binary = |byte: &u8| matches!(byte, 0..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    charset::of_mark(head).is_some() || !head.iter().any(is_binary)
}

/// The start of a tag whose name ends there.
fn has_tag(head: &[u8], tags: &[&str]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let head = trim_start(head);
    tags.iter().any(|tag| {
        let after = head.get(tag.len()).copied();
        starts_with_any_case(head, tag.as_bytes())
            && after.is_some_and(|byte| is_space(byte) || byte == b'>')
    })
}

pub(super) fn is_html(head: &[u8]) -> bool {
    const TAGS: [&str; 17] = [
        "<!doctype html",
        "<html",
        "<head",
        "<script",
        "<iframe",
        "<h1",
        "<div",
        "<font",
        "<table",
        "<a",
        "<style",
        "<title",
        "<b",
        "<body",
        "<br",
        "<p",
        "<!--",
    ];
    has_tag(head, &TAGS)
}

pub(super) fn is_xml(head: &[u8]) -> bool {
    has_tag(head, &["<?xml"])
}

pub(super) fn is_xhtml(head: &[u8]) -> bool {
    let head = head.get(..1024).unwrap_or(head).to_ascii_lowercase();
    // Runs of white space count as one.
    let words: Vec<&[u8]> = head
        .split(|byte| is_space(*byte))
        .filter(|word| !word.is_empty())
        .collect();
    let text = words.join(&b' ');
    find(&text, b"<!doctype html").is_some() || find(&text, b"<html xmlns=").is_some()
}

/// A start tag near the beginning, and its namespace after it.
pub(super) fn has_root(head: &[u8], tag: &[u8], namespace: &[u8]) -> bool {
    let head = trim_start(head);
    let head = head.get(..512).unwrap_or(head);
    match find(head, tag) {
        Some(at) if namespace.is_empty() => at > 0,
        Some(at) => find(head, namespace).is_some_and(|after| at < after),
        None => false,
    }
}

/// With an XML declaration any `<svg` after it will do; without, the first tag must be it and name its namespace.
pub(super) fn is_svg(head: &[u8]) -> bool {
    let head = trim_start(head);
    if head.starts_with(b"<?xml") {
        let declaration = head.split(|byte| *byte == b'>').next().unwrap_or_default();
        return find(declaration, b"version").is_some() && find(head, b"<svg").is_some();
    }
    let mut rest = head;
    while rest.starts_with(b"<!--") {
        // `<!-->` is a whole comment.
        let after = rest.get(2..).unwrap_or_default();
        let Some(end) = find(after, b"-->") else {
            return false;
        };
        rest = after.get(end + 3..).unwrap_or_default();
    }
    let tag = rest.split(|byte| *byte == b'>').next().unwrap_or_default();
    let namespace = b"http://www.w3.org/2000/svg";
    tag.starts_with(b"<svg") && find(tag, b"xmlns").is_some() && find(tag, namespace).is_some()
}

pub(super) fn is_php(head: &[u8]) -> bool {
    head.len() > 5 && starts_with_any_case(head, b"<?php")
        || [&b"<?\n"[..], b"<?\r", b"<? "]
            .iter()
            .any(|start| head.starts_with(start))
        || has_interpreter_like(head, &["php"])
}

/// A first line such as `#!/usr/bin/env node` with a program of one of these names.
pub(super) fn has_interpreter(head: &[u8], names: &[&str]) -> bool {
    interpreter(head).is_some_and(|program| names.iter().any(|name| name.as_bytes() == program))
}

/// As [`has_interpreter`], but the name may go on: `python3.11`.
pub(super) fn has_interpreter_like(head: &[u8], names: &[&str]) -> bool {
    interpreter(head).is_some_and(|program| {
        names
            .iter()
            .any(|name| program.starts_with(name.as_bytes()))
    })
}

fn interpreter(head: &[u8]) -> Option<&[u8]> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let command = line.strip_prefix(b"#!")?;
    let mut words = command
        .split(|byte| is_space(*byte))
        .filter(|word| !word.is_empty());
    match words.next()? {
        b"/usr/bin/env" => words.find(|word| *word != b"-S"),
        path => [&b"/usr/bin/"[..], b"/bin/", b"/usr/local/bin/"]
            .iter()
            .find_map(|folder| path.strip_prefix(*folder)),
    }
}

/// An object or array; the end may be missing, as where the head ends.
pub(super) fn is_json(head: &[u8]) -> bool {
    matches!(trim_start(head).first(), Some(b'{' | b'['))
        && serde_json::from_slice::<IgnoredAny>(head).map_or_else(|error| error.is_eof(), |_| true)
}

/// Notes the member `type` of an object, also when the text breaks off later.
struct TypeOf<'a>(&'a RefCell<Option<String>>);

impl<'de> Visitor<'de> for TypeOf<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if name == "type" {
                *self.0.borrow_mut() = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for TypeOf<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// RFC 7946: an object with one of its types.
pub(super) fn is_geo_json(head: &[u8]) -> bool {
    const TYPES: [&str; 9] = [
        "Feature",
        "FeatureCollection",
        "Point",
        "LineString",
        "Polygon",
        "MultiPoint",
        "MultiLineString",
        "MultiPolygon",
        "GeometryCollection",
    ];
    let found = RefCell::new(None);
    // An error past the member does not matter: that the text is JSON was found before.
    let _ = TypeOf(&found).deserialize(&mut serde_json::Deserializer::from_slice(head));
    let found = found.into_inner();
    found.is_some_and(|name| TYPES.contains(&name.as_str()))
}

/// At least two lines, all JSON, one of them an object or array.
pub(super) fn is_nd_json(head: &[u8]) -> bool {
    let (mut lines, mut containers) = (0, 0);
    let text = head.strip_suffix(b"\n").unwrap_or(head);
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match serde_json::from_slice::<IgnoredAny>(line) {
            Err(error) if !error.is_eof() => return false,
            _ => lines += 1,
        }
        containers += usize::from(matches!(trim_start(line).first(), Some(b'{' | b'[')));
    }
    lines > 1 && containers > 0
}

/// Records of the same number of values, at least two of each.
pub(super) fn is_separated(head: &[u8], separator: u8) -> bool {
    const RECORDS_ENOUGH: usize = 10;
    let text = match head.iter().rposition(|byte| *byte == b'\n') {
        // The last line may be cut off.
        Some(end) if head.len() >= HEAD_BYTES => head.get(..end).unwrap_or(head),
        _ => head,
    };
    let (mut rest, mut records, mut expected) = (text, 0, 0);
    while let Some(count) = next_record(&mut rest, separator) {
        if records == 0 {
            expected = count;
        }
        if count != expected || expected < 2 {
            return false;
        }
        records += 1;
        if records >= RECORDS_ENOUGH {
            return true;
        }
    }
    records >= 2
}

/// Takes a record off the text and counts its values (RFC 4180). Empty lines and those with `#` first are passed over.
fn next_record(rest: &mut &[u8], separator: u8) -> Option<usize> {
    while let [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] = *rest {
        *rest = after;
    }
    if rest.first() == Some(&b'#') {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        *rest = rest.get(end + 1..)?;
        return next_record(rest, separator);
    }
    if rest.is_empty() {
        return None;
    }
    let mut values = 1;
    let mut at = 0;
    while let Some(byte) = rest.get(at) {
        if *byte == b'"' {
            at += quoted_bytes(rest.get(at..)?, separator);
        }
        let value = rest.get(at..)?;
        let end = value
            .iter()
            .position(|byte| *byte == separator || *byte == b'\n');
        let Some(end) = end else {
            at = rest.len();
            break;
        };
        at += end + 1;
        if value.get(end) == Some(&b'\n') {
            break;
        }
        values += 1;
    }
    *rest = rest.get(at..).unwrap_or_default();
    Some(values)
}

/// The length of a value in quotes. It ends at a quote before a separator or a line's end; all other quotes belong to it.
fn quoted_bytes(text: &[u8], separator: u8) -> usize {
    let mut at = 1;
    while let Some(quote) = text
        .get(at..)
        .and_then(|rest| rest.iter().position(|byte| *byte == b'"'))
    {
        at += quote + 1;
        match text.get(at..).unwrap_or_default() {
            [] | [b'\n', ..] | [b'\r', b'\n', ..] => return at,
            [b'"', ..] => at += 1,
            [byte, ..] if *byte == separator => return at,
            _ => {}
        }
    }
    text.len()
}

/// A first line, in any case, that a line break ends.
pub(super) fn has_first_line(head: &[u8], line: &[u8]) -> bool {
    let after = head.get(line.len()..).unwrap_or_default();
    starts_with_any_case(head, line) && (after.starts_with(b"\n") || after.starts_with(b"\r\n"))
}

/// `1`, a line of two times, and a text.
pub(super) fn is_subrip(head: &[u8]) -> bool {
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut line = || {
        lines
            .next()
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    };
    let (Some(b"1"), Some(times), Some(text)) = (line(), line(), line()) else {
        return false;
    };
    let shape = b"00:00:00,000 --> 00:00:00,000";
    let fits = |(found, wanted): (&u8, &u8)| match wanted {
        b'0' => found.is_ascii_digit(),
        wanted => found == wanted,
    };
    let in_order = times.get(..12) <= times.get(17..);
    times.len() == shape.len() && times.iter().zip(shape).all(fits) && in_order && !text.is_empty()
}

pub(super) fn is_web_vtt(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    head.strip_prefix(b"WEBVTT")
        .is_some_and(|after| matches!(after.first(), None | Some(b'\n' | b'\r' | b' ' | b'\t')))
}

/// Two of a mail's usual header fields within the first lines, the first line being one.
pub(super) fn is_mail(head: &[u8]) -> bool {
    const EXACT: [&str; 12] = [
        "From: ",
        "To: ",
        "Date: ",
        "Subject: ",
        "Received: ",
        "Relay-Version: ",
        "#! rnews",
        "N#! rnews",
        "Forward to",
        "Pipe to",
        "Content-Type: ",
        "Content-Transfer-Encoding: ",
    ];
    const ANY_CASE: [&str; 3] = ["cc: ", "delivered-to: ", "return-path: "];
    let is_field = |line: &[u8]| {
        EXACT.iter().any(|field| line.starts_with(field.as_bytes()))
            || ANY_CASE
                .iter()
                .any(|field| starts_with_any_case(line, field.as_bytes()))
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    lines.next().is_some_and(is_field) && lines.take(20).any(is_field)
}
