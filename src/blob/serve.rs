//! How a stored file is sent: headers and byte ranges. Pure decisions.

use std::borrow::Cow;
use std::ops::Range;

/// Media types that browsers may show in place; all others are offered for saving, lest an upload runs as a page of ours.
const INLINE: [&str; 25] = [
    "image/png",
    "image/jpg",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/x-icon",
    "image/bmp",
    "video/webm",
    "video/mp4",
    "video/3gpp",
    "video/quicktime",
    "video/x-ms-wmv",
    "audio/basic",
    "audio/aiff",
    "audio/mpeg",
    "audio/midi",
    "audio/mp3",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-mpeg",
    "audio/x-m4a",
    "audio/aac",
    "application/pdf",
    "application/x-pdf",
];

/// Extensions that tell more than the content does.
const BY_EXTENSION: [(&str, &str); 7] = [
    ("svg", "image/svg+xml"),
    ("css", "text/css"),
    ("js", "text/javascript"),
    ("mjs", "text/javascript"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
];

/// `Content-Security-Policy` of files: a file that is a page may load and run nothing.
const SECURITY_POLICY: &str =
    "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox";
/// `Cache-Control` of files: 30 days, and one more while the file is asked for anew. Files never change under their name.
const CACHE_CONTROL: &str = "max-age=2592000, stale-while-revalidate=86400";

/// The headers of a file's response, each unless a hook has set it before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeHeaders<'a> {
    /// `Content-Disposition`.
    pub content_disposition: String,
    /// `Content-Type`.
    pub content_type: Cow<'a, str>,
    /// `Content-Security-Policy`.
    pub content_security_policy: &'static str,
    /// `Cache-Control`.
    pub cache_control: &'static str,
}

/// The headers for a file with the given name and stored media type. `download` offers any file for saving.
///
/// The same as PocketBase's. Besides, a response with a file must not have `X-Frame-Options`.
pub fn serve_headers<'a>(name: &str, content_type: &'a str, download: bool) -> ServeHeaders<'a> {
    let disposition = match !download && INLINE.contains(&content_type) {
        true => "inline",
        false => "attachment",
    };
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let known = BY_EXTENSION.iter().find(|(known, _)| *known == extension);
    ServeHeaders {
        content_disposition: format!("{disposition}; filename={}", header_name(name)),
        content_type: Cow::Borrowed(known.map_or(content_type, |(_, media_type)| media_type)),
        content_security_policy: SECURITY_POLICY,
        cache_control: CACHE_CONTROL,
    }
}

/// A name as it may stand in a header: stored names need no quotes; in others what would need escapes becomes `_`.
fn header_name(name: &str) -> Cow<'_, str> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char);
    if !name.is_empty() && name.chars().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let is_quotable = |char: char| matches!(char, ' '..='~') && !matches!(char, '"' | '\\');
    let quoted = name
        .chars()
        .map(|char| if is_quotable(char) { char } else { '_' });
    Cow::Owned(format!("\"{}\"", quoted.collect::<String>()))
}

/// The answer to a `Range` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeAnswer {
    /// Send all (200): there is no range, or one that may be passed over.
    Whole,
    /// Send these bytes (206 with [`content_range`]).
    Part(Range<u64>),
    /// No byte asked for is in the file (416 with `Content-Range: bytes */<size>`).
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `size` bytes (RFC 9110 section 14.2).
///
/// Several ranges count as none, which the RFC allows; clients that ask for a file ask for one. A malformed header is
/// answered as unsatisfiable, as PocketBase does.
pub fn parse_range(header: Option<&str>, size: u64) -> RangeAnswer {
    // Some clients add a range to every request; of an empty file they get all.
    let Some(header) = header.filter(|header| !header.is_empty() && size > 0) else {
        return RangeAnswer::Whole;
    };
    let Some(ranges) = header.strip_prefix("bytes=") else {
        return RangeAnswer::Unsatisfiable;
    };
    let mut ranges = ranges
        .split(',')
        .map(str::trim)
        .filter(|range| !range.is_empty());
    match (ranges.next(), ranges.next()) {
        (None, _) => RangeAnswer::Whole,
        (Some(range), None) => one_range(range, size),
        (Some(_), Some(_)) => RangeAnswer::Whole,
    }
}

fn one_range(range: &str, size: u64) -> RangeAnswer {
    let Some((first, last)) = range.split_once('-') else {
        return RangeAnswer::Unsatisfiable;
    };
    let (first, last) = (first.trim(), last.trim());
    let range = match (number(first), number(last)) {
        // The last so many bytes.
        (None, Some(count)) if first.is_empty() => size.saturating_sub(count)..size,
        (Some(first), None) if last.is_empty() => first..size,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        _ => return RangeAnswer::Unsatisfiable,
    };
    match range.start < range.end {
        true => RangeAnswer::Part(range),
        false => RangeAnswer::Unsatisfiable,
    }
}

/// Digits only: no sign, which Rust's own parser takes. A number too large for 64 bits is the largest.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The `Content-Range` header of a part.
pub fn content_range(range: &Range<u64>, size: u64) -> String {
    format!(
        "bytes {}-{}/{size}",
        range.start,
        range.end.saturating_sub(1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn images_are_shown_and_other_files_saved() {
        let shown = serve_headers("a_x.png", "image/png", false);
        assert_eq!(shown.content_disposition, "inline; filename=a_x.png");
        assert_eq!(shown.content_type, "image/png");
        let saved = serve_headers("a_x.png", "image/png", true);
        assert_eq!(saved.content_disposition, "attachment; filename=a_x.png");
        for (name, media_type) in [
            ("a.html", "text/html; charset=utf-8"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "text/html"),
            ("a.svg", "text/plain; charset=utf-8"),
        ] {
            let headers = serve_headers(name, media_type, false);
            assert!(
                headers.content_disposition.starts_with("attachment"),
                "{name}"
            );
            assert!(headers.content_security_policy.ends_with("sandbox"));
        }
    }

    #[test]
    fn some_extensions_decide_the_media_type() {
        for (name, stored, sent) in [
            ("a.svg", "text/plain", "image/svg+xml"),
            ("a.min.js", "text/plain", "text/javascript"),
            ("a.JS", "text/plain", "text/plain"),
            ("js", "text/plain", "text/plain"),
            ("a.xlsx", "application/zip", BY_EXTENSION[4].1),
        ] {
            assert_eq!(serve_headers(name, stored, false).content_type, sent);
        }
    }

    #[test]
    fn names_cannot_break_out_of_the_header() {
        let headers = serve_headers("a\"b\r\nc; é", "x/y", false);
        assert_eq!(
            headers.content_disposition,
            "attachment; filename=\"a_b__c; _\""
        );
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        use RangeAnswer::{Part, Unsatisfiable, Whole};
        for (header, answer) in [
            ("", Whole),
            ("bytes=0-0", Part(0..1)),
            ("bytes=2-", Part(2..10)),
            ("bytes=-3", Part(7..10)),
            ("bytes=-30", Part(0..10)),
            ("bytes=2-99", Part(2..10)),
            ("bytes= 2 - 3 ", Part(2..4)),
            ("bytes=9-99999999999999999999999", Part(9..10)),
            ("bytes=0-1,3-4", Whole),
            ("bytes=", Whole),
            ("bytes=10-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=5-4", Unsatisfiable),
            ("bytes=-", Unsatisfiable),
            ("bytes=+1-2", Unsatisfiable),
            ("bytes=a-b", Unsatisfiable),
            ("items=0-1", Unsatisfiable),
        ] {
            assert_eq!(parse_range(Some(header), 10), answer, "{header}");
        }
        assert_eq!(parse_range(None, 10), Whole);
        assert_eq!(parse_range(Some("bytes=0-"), 0), Whole);
        assert_eq!(content_range(&(2..10), 10), "bytes 2-9/10");
    }

    proptest! {
        #[test]
        fn parts_always_lie_in_the_file(header in "bytes=[0-9, -]{0,30}", size in 0u64..50) {
            if let RangeAnswer::Part(range) = parse_range(Some(&header), size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
