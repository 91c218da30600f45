//! Conditional and range requests on files, as pure functions (RFC 9110 sections 13 and 14).

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::Method;
use actix_web::http::header::{
    HeaderMap, HeaderName, HttpDate, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, RANGE,
};

/// Most ranges of one request that are answered; with more the whole file is sent, which RFC 9110 section 14.2 allows.
const RANGES_MAX: usize = 16;

/// What is known of the stored file.
#[derive(Clone, Copy, Debug)]
pub struct FileState<'a> {
    /// Its length.
    pub size_bytes: u64,
    /// When it was written; unknown when `None`.
    pub modified: Option<SystemTime>,
    /// Its entity tag with quotes, such as `"abc"` or `W/"abc"`.
    pub etag: Option<&'a str>,
}

/// How to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200 with everything.
    Whole,
    /// 206 with `Content-Range`: one range, or several as `multipart/byteranges`. None is empty.
    Partial(Vec<Range<u64>>),
    /// 304 without a body.
    NotModified,
    /// 412 without a body.
    PreconditionFailed,
    /// 416 with `Content-Range: bytes */<size>`.
    Unsatisfiable(Unsatisfiable),
}

/// Why no range can be sent; prints what PocketBase's body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsatisfiable {
    /// The header is malformed or has another unit than bytes.
    #[error("invalid range")]
    Malformed,
    /// All ranges begin after the end.
    #[error("invalid range: failed to overlap")]
    NoOverlap,
}

/// Decides from the request's method and headers.
pub fn answer(method: &Method, headers: &HeaderMap, file: FileState<'_>) -> Answer {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    // The order is that of RFC 9110 section 13.2.2.
    let goes_on = if let Some(tags) = text(headers, &IF_MATCH) {
        lists_tag(tags, file.etag, strong_match)
    } else {
        !date(headers, &IF_UNMODIFIED_SINCE).is_some_and(|since| modified_after(file, since))
    };
    if !goes_on {
        return Answer::PreconditionFailed;
    }
    if let Some(tags) = text(headers, &IF_NONE_MATCH) {
        if lists_tag(tags, file.etag, weak_match) {
            return if is_read {
                Answer::NotModified
            } else {
                Answer::PreconditionFailed
            };
        }
    } else if is_read
        && file.modified.is_some()
        && date(headers, &IF_MODIFIED_SINCE).is_some_and(|since| !modified_after(file, since))
    {
        return Answer::NotModified;
    }
    match text(headers, &RANGE) {
        Some(range) if is_read && range_applies(headers, file) => ranges(range, file.size_bytes),
        _ => Answer::Whole,
    }
}

/// `Content-Range` of a 206.
pub fn content_range(range: &Range<u64>, size_bytes: u64) -> String {
    format!(
        "bytes {}-{}/{size_bytes}",
        range.start,
        range.end.saturating_sub(1)
    )
}

/// `Content-Range` of a 416.
pub fn content_range_unsatisfied(size_bytes: u64) -> String {
    format!("bytes */{size_bytes}")
}

/// What stands around the pieces of a `multipart/byteranges` body: the text before each range, and the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multipart {
    /// For each range, what precedes its bytes.
    pub heads: Vec<String>,
    /// What follows the last.
    pub tail: String,
    /// The length of the whole body.
    pub length_bytes: u64,
}

/// Lays out a body of several ranges (RFC 9110 section 14.6). `boundary` must not occur in the file: make it random.
pub fn multipart(
    ranges: &[Range<u64>],
    size_bytes: u64,
    content_type: &str,
    boundary: &str,
) -> Multipart {
    let mut length_bytes = 0;
    let mut heads = Vec::with_capacity(ranges.len());
    for (index, range) in ranges.iter().enumerate() {
        let line_end = if index == 0 { "" } else { "\r\n" };
        let place = content_range(range, size_bytes);
        let head = format!(
            "{line_end}--{boundary}\r\nContent-Range: {place}\r\nContent-Type: {content_type}\r\n\r\n"
        );
        length_bytes += head.len() as u64 + (range.end - range.start);
        heads.push(head);
    }
    let tail = format!("\r\n--{boundary}--\r\n");
    length_bytes += tail.len() as u64;
    Multipart {
        heads,
        tail,
        length_bytes,
    }
}

/// Reads a `Range` header.
fn ranges(header: &str, size_bytes: u64) -> Answer {
    let Some(list) = header.strip_prefix("bytes=") else {
        return Answer::Unsatisfiable(Unsatisfiable::Malformed);
    };
    let mut found = Vec::new();
    let mut beyond_end = false;
    for spec in list
        .split(',')
        .map(str::trim)
        .filter(|spec| !spec.is_empty())
    {
        match one_range(spec, size_bytes) {
            Some(range) if range.is_empty() => beyond_end = true,
            Some(range) => found.push(range),
            None => return Answer::Unsatisfiable(Unsatisfiable::Malformed),
        }
    }
    let asked_bytes = found.iter().fold(0u64, |sum, range| {
        sum.saturating_add(range.end - range.start)
    });
    if found.is_empty() && beyond_end && size_bytes > 0 {
        return Answer::Unsatisfiable(Unsatisfiable::NoOverlap);
    }
    // More than the whole file is no sensible wish, and the way some attacks look. Some clients add a range to every
    // request, so that an empty file is sent as it is.
    if found.is_empty() || asked_bytes > size_bytes || found.len() > RANGES_MAX {
        return Answer::Whole;
    }
    Answer::Partial(found)
}

/// Reads `first-last`, `first-` or `-length`. Empty when it begins after the end; `None` when it is malformed.
fn one_range(spec: &str, size_bytes: u64) -> Option<Range<u64>> {
    let (first, last) = spec.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let length = number(last)?;
        return Some(size_bytes.saturating_sub(length)..size_bytes);
    }
    let first = number(first)?;
    let end = if last.is_empty() {
        size_bytes
    } else {
        let last = number(last)?;
        if last < first {
            return None;
        }
        last.saturating_add(1).min(size_bytes)
    };
    Some(if first >= size_bytes {
        0..0
    } else {
        first..end
    })
}

/// Digits only: the standard parser takes a sign as well.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Whether `If-Range` lets the range stand: the file is still the one the client has a part of.
fn range_applies(headers: &HeaderMap, file: FileState<'_>) -> bool {
    let Some(condition) = text(headers, &IF_RANGE) else {
        return true;
    };
    if condition.starts_with(['"', 'W']) {
        return lists_tag(condition, file.etag, strong_match);
    }
    match (parse_date(condition), file.modified) {
        (Some(since), Some(modified)) => whole_seconds(modified) == whole_seconds(since),
        _ => false,
    }
}

fn lists_tag(list: &str, etag: Option<&str>, matches: fn(&str, &str) -> bool) -> bool {
    if list.trim() == "*" {
        return true;
    }
    let Some(etag) = etag else {
        return false;
    };
    tags(list).any(|tag| matches(tag, etag))
}

/// The entity tags of a list; commas may stand inside the quotes. Ends at the first malformed one.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let open = if rest.starts_with("W/") { 2 } else { 0 };
        let inside = rest.get(open..)?.strip_prefix('"')?;
        let length = inside.find('"')?;
        let (tag, after) = rest.split_at_checked(open + 1 + length + 1)?;
        rest = after;
        Some(tag)
    })
}

fn strong_match(one: &str, other: &str) -> bool {
    one == other && one.starts_with('"')
}

fn weak_match(one: &str, other: &str) -> bool {
    one.trim_start_matches("W/") == other.trim_start_matches("W/")
}

fn modified_after(file: FileState<'_>, since: SystemTime) -> bool {
    file.modified
        .is_some_and(|modified| whole_seconds(modified) > whole_seconds(since))
}

/// HTTP dates have seconds; the part below is cut off.
fn whole_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers
        .get(name)?
        .to_str()
        .ok()
        .filter(|text| !text.is_empty())
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    parse_date(text(headers, name)?)
}

fn parse_date(text: &str) -> Option<SystemTime> {
    text.parse::<HttpDate>().ok().map(SystemTime::from)
}

/// The value of `Last-Modified`.
pub fn last_modified(modified: SystemTime) -> String {
    HttpDate::from(UNIX_EPOCH + Duration::from_secs(whole_seconds(modified))).to_string()
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const MODIFIED: &str = "Sat, 21 Nov 2026 12:21:09 GMT";
    const LATER: &str = "Sat, 21 Nov 2026 12:21:10 GMT";
    const EARLIER: &str = "Sat, 21 Nov 2026 12:21:08 GMT";

    fn of(method: Method, headers: &[(HeaderName, &str)], size_bytes: u64) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        // A file's time has a part below the second, which its header has not.
        let modified = parse_date(MODIFIED).unwrap() + Duration::from_millis(500);
        let file = FileState {
            size_bytes,
            modified: Some(modified),
            etag: Some("\"v1\""),
        };
        answer(&method, &map, file)
    }

    fn range(header: &str) -> Answer {
        of(Method::GET, &[(RANGE, header)], 100)
    }

    fn partial<const N: usize>(ranges: [Range<u64>; N]) -> Answer {
        Answer::Partial(ranges.to_vec())
    }

    #[test]
    fn ranges_are_read() {
        assert_eq!(range("bytes=0-9"), partial([0..10]));
        assert_eq!(range("bytes=90-"), partial([90..100]));
        assert_eq!(range("bytes=-10"), partial([90..100]));
        assert_eq!(range("bytes=-1000"), partial([0..100]));
        assert_eq!(range("bytes=50-1000"), partial([50..100]));
        assert_eq!(range("bytes= 0-9 ,, 20-29"), partial([0..10, 20..30]));
        assert_eq!(range("bytes=0-9,200-"), partial([0..10]));
    }

    #[test]
    fn ranges_that_cannot_be_are_told_apart() {
        let malformed = Answer::Unsatisfiable(Unsatisfiable::Malformed);
        for header in [
            "items=0-9",
            "bytes",
            "bytes=x",
            "bytes=9-0",
            "bytes=--1",
            "bytes=+1-2",
            "bytes=0-9,x",
            "bytes=-",
        ] {
            assert_eq!(range(header), malformed, "{header}");
        }
        let beyond = Answer::Unsatisfiable(Unsatisfiable::NoOverlap);
        assert_eq!(range("bytes=100-"), beyond);
        assert_eq!(range("bytes=-0"), beyond);
        assert_eq!(of(Method::GET, &[(RANGE, "bytes=0-9")], 0), Answer::Whole);
    }

    #[test]
    fn greedy_ranges_get_the_whole_file() {
        assert_eq!(range("bytes=0-,0-"), Answer::Whole);
        let many = format!(
            "bytes={}",
            (0..=RANGES_MAX)
                .map(|n| format!("{n}-{n}"))
                .collect::<Vec<_>>()
                .join(",")
        );
        assert_eq!(range(&many), Answer::Whole);
    }

    #[test]
    fn only_reading_takes_ranges() {
        assert_eq!(
            of(Method::HEAD, &[(RANGE, "bytes=0-9")], 100),
            partial([0..10])
        );
        assert_eq!(
            of(Method::POST, &[(RANGE, "bytes=0-9")], 100),
            Answer::Whole
        );
    }

    #[test]
    fn unchanged_files_are_not_sent_again() {
        let since = |value| of(Method::GET, &[(IF_MODIFIED_SINCE, value)], 100);
        assert_eq!(since(MODIFIED), Answer::NotModified);
        assert_eq!(since(LATER), Answer::NotModified);
        assert_eq!(since(EARLIER), Answer::Whole);
        assert_eq!(since("yesterday"), Answer::Whole);
        let none = |value| {
            of(
                Method::GET,
                &[(IF_NONE_MATCH, value), (IF_MODIFIED_SINCE, LATER)],
                100,
            )
        };
        assert_eq!(none("\"v0\", W/\"v1\""), Answer::NotModified);
        assert_eq!(none("*"), Answer::NotModified);
        // A tag that differs outweighs the date.
        assert_eq!(none("\"v0\""), Answer::Whole);
        assert_eq!(none("\"v0,\\\"v1\""), Answer::Whole);
        assert_eq!(
            of(Method::PUT, &[(IF_NONE_MATCH, "\"v1\"")], 100),
            Answer::PreconditionFailed
        );
    }

    #[test]
    fn preconditions_guard_the_file() {
        let of = |name, value| of(Method::GET, &[(name, value)], 100);
        assert_eq!(of(IF_MATCH, "\"v1\""), Answer::Whole);
        assert_eq!(of(IF_MATCH, "W/\"v1\""), Answer::PreconditionFailed);
        assert_eq!(of(IF_UNMODIFIED_SINCE, MODIFIED), Answer::Whole);
        assert_eq!(of(IF_UNMODIFIED_SINCE, EARLIER), Answer::PreconditionFailed);
    }

    #[test]
    fn a_range_of_another_version_gets_the_whole_file() {
        let with = |condition| {
            of(
                Method::GET,
                &[(RANGE, "bytes=0-9"), (IF_RANGE, condition)],
                100,
            )
        };
        assert_eq!(with("\"v1\""), partial([0..10]));
        assert_eq!(with(MODIFIED), partial([0..10]));
        for other in ["\"v0\"", "W/\"v1\"", EARLIER, LATER, "?"] {
            assert_eq!(with(other), Answer::Whole, "{other}");
        }
    }

    #[test]
    fn several_ranges_are_laid_out_as_parts() {
        let parts = multipart(&[0..1, 5..7], 10, "text/plain", "B");
        let body = format!("{}0{}56{}", parts.heads[0], parts.heads[1], parts.tail);
        assert_eq!(
            body,
            "--B\r\nContent-Range: bytes 0-0/10\r\nContent-Type: text/plain\r\n\r\n0\r\n\
             --B\r\nContent-Range: bytes 5-6/10\r\nContent-Type: text/plain\r\n\r\n56\r\n--B--\r\n"
        );
        assert_eq!(parts.length_bytes, body.len() as u64);
        assert_eq!(content_range_unsatisfied(10), "bytes */10");
        assert_eq!(last_modified(parse_date(MODIFIED).unwrap()), MODIFIED);
    }

    proptest! {
        #[test]
        fn any_header_gives_ranges_inside_the_file(header in "(bytes=)?[-0-9, a]{0,30}", size in 0u64..200) {
            if let Answer::Partial(ranges) = ranges(&header, size) {
                prop_assert!(!ranges.is_empty());
                prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= size));
            }
        }

        #[test]
        fn any_tag_list_is_read_without_a_panic(list in "[\"W/, é]{0,20}") {
            let _ = tags(&list).count();
        }
    }
}
