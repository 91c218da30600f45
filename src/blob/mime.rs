//! What a file is, judged by its content, never by its name.
//!
//! The names are those PocketBase gives (its documentation of the file field's `mimeTypes` refers to them), since they are
//! stored beside files and compared with the lists in collections.

mod binary;
mod charset;
mod formats;
mod text;

use std::borrow::Cow;

/// Bytes at the start of a file that decide. More are never looked at.
pub const HEAD_BYTES: usize = 3072;

/// A file format: its media type, other names for it, and its usual extension.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    essence: &'static str,
    aliases: &'static [&'static str],
    /// With its dot; empty when there is none.
    extension: &'static str,
}

/// What [`detect`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    kind: &'static Kind,
    charset: Option<Cow<'static, str>>,
}

impl Detected {
    /// The media type without parameters, such as `text/plain`.
    pub fn essence(&self) -> &'static str {
        self.kind.essence
    }

    /// The media type, with a charset for plain text, HTML and XML: `text/plain; charset=utf-8`.
    pub fn content_type(&self) -> Cow<'static, str> {
        match &self.charset {
            Some(charset) => format!("{}; charset={charset}", self.kind.essence).into(),
            None => self.kind.essence.into(),
        }
    }

    /// The usual extension with its dot, such as `.png`; empty when the format has none.
    pub fn extension(&self) -> &'static str {
        self.kind.extension
    }

    /// Whether the file is of the given media type: that, or an other name of it. Parameters, case and surrounding
    /// space do not count.
    pub fn is(&self, media_type: &str) -> bool {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        let mut names = std::iter::once(&self.kind.essence).chain(self.kind.aliases);
        names.any(|name| name.eq_ignore_ascii_case(essence))
    }

    /// Whether the file is of one of the given media types; false when none is given.
    pub fn is_any<S: AsRef<str>>(&self, media_types: &[S]) -> bool {
        media_types.iter().any(|wanted| self.is(wanted.as_ref()))
    }
}

/// Judges a file by its first bytes. Pass the whole file or at least its first [`HEAD_BYTES`].
pub fn detect(content: &[u8]) -> Detected {
    let head = content.get(..HEAD_BYTES).unwrap_or(content);
    let kind = formats::find(head);
    let charset = match kind.essence {
        "text/plain" => charset::of_plain(head),
        "text/html" => charset::of_html(head),
        "text/xml" => charset::of_xml(head),
        _ => None,
    };
    Detected { kind, charset }
}

/// The usual extension of a media type, with its dot; nothing when the type is unknown or has none.
pub fn extension_of(media_type: &str) -> Option<&'static str> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    formats::lookup(essence)
        .map(|kind| kind.extension)
        .filter(|extension| !extension.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zip(names: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for name in names {
            out.extend_from_slice(b"PK\x03\x04");
            out.extend_from_slice(&[0; 22]);
            out.extend_from_slice(&(name.len() as u16).to_le_bytes());
            out.extend_from_slice(&[0; 2]);
            out.extend_from_slice(name.as_bytes());
        }
        out
    }

    #[test]
    fn binary_formats_are_told_by_their_signatures() {
        let samples: [(&[u8], &str, &str); 21] = [
            (b"\x89PNG\r\n\x1a\n....", "image/png", ".png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg", ".jpg"),
            (b"GIF89a...", "image/gif", ".gif"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp", ".webp"),
            (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav", ".wav"),
            (b"%PDF-1.7", "application/pdf", ".pdf"),
            (b"  %PDF-1.7", "application/pdf", ".pdf"),
            (b"\x1f\x8b\x08", "application/gzip", ".gz"),
            (b"\0\0\0\x18ftypavif....", "image/avif", ".avif"),
            (b"\0\0\0\x18ftypheic....", "image/heic", ".heic"),
            (b"\0\0\0\x18ftypisom....", "video/mp4", ".mp4"),
            (b"\0\0\0\x14ftypqt  ....", "video/quicktime", ".mov"),
            (b"ID3\x04", "audio/mpeg", ".mp3"),
            (b"\xff\xfb\x90", "audio/mpeg", ".mp3"),
            (
                b"OggS\0.......................\x01vorbis..",
                "audio/ogg",
                ".oga",
            ),
            (b"\x1aE\xdf\xa3....\x42\x82\x84webm", "video/webm", ".webm"),
            (b"wOF2", "font/woff2", ".woff2"),
            (b"SQLite format 3\0", "application/vnd.sqlite3", ".sqlite"),
            (b"\x7fELF............\x02\0", "application/x-executable", ""),
            (b"\0asm\x01", "application/wasm", ".wasm"),
            (b"\0\x01\x02", "application/octet-stream", ""),
        ];
        for (content, essence, extension) in samples {
            let found = detect(content);
            assert_eq!((found.essence(), found.extension()), (essence, extension));
            assert_eq!(found.content_type(), essence);
        }
    }

    #[test]
    fn documents_are_told_by_the_names_in_their_archive() {
        let word = zip(&["[Content_Types].xml", "_rels/.rels", "word/document.xml"]);
        assert_eq!(detect(&word).extension(), ".docx");
        let excel = zip(&["[Content_Types].xml", "xl/workbook.xml"]);
        assert_eq!(detect(&excel).extension(), ".xlsx");
        let other = zip(&["a.txt", "word/document.xml"]);
        assert_eq!(detect(&other).essence(), "application/zip");
        assert!(detect(&other).is("application/x-zip-compressed"));
        let book = zip(&["mimetypeapplication/epub+zip"]);
        assert_eq!(detect(&book).essence(), "application/epub+zip");
        assert_eq!(detect(&zip(&["META-INF/MANIFEST.MF"])).extension(), ".jar");
    }

    #[test]
    fn texts_are_told_by_their_start_and_have_a_charset() {
        let samples: [(&[u8], &str); 25] = [
            (b"hello", "text/plain; charset=utf-8"),
            (b"", "text/plain"),
            ("h\u{e9}llo".as_bytes(), "text/plain; charset=utf-8"),
            (b"h\xe9llo", "text/plain; charset=iso-8859-1"),
            (b"\x93quote\x94", "text/plain"),
            (b"\xff\xfeh\0i\0", "text/plain; charset=utf-16le"),
            (b"<!doctype html><p>", "text/html; charset=utf-8"),
            (b" <html><meta charset=latin1>", "text/html; charset=latin1"),
            (b"<?xml version='1.0'?><a/>", "text/xml; charset=utf-8"),
            (
                b"<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>",
                "text/xml; charset=UTF-16",
            ),
            (b"<?xml version='1.0'?><rss>", "application/rss+xml"),
            (
                b"<!-- x --><svg xmlns=\"http://www.w3.org/2000/svg\">",
                "image/svg+xml",
            ),
            (
                b"<?xml version=\"1.0\"?>\n<svg width=\"1\">",
                "image/svg+xml",
            ),
            (b"{\"a\": [1, true]}", "application/json"),
            (b"{\"a\": [1, tru", "application/json"),
            (b"{\"type\": \"Point\"}", "application/geo+json"),
            (b"{\"a\":1}\n{\"a\":2}\n", "application/x-ndjson"),
            (b"a,b\n1,2\n", "text/csv"),
            (b"a,b\n1\n", "text/plain; charset=utf-8"),
            (b"a\tb\n\"1\n\"\t2\n", "text/tab-separated-values"),
            (b"#!/usr/bin/env  node\n", "text/javascript"),
            (b"#!/usr/bin/python3.11\n", "text/x-python"),
            (b"#! /bin/sh -e\n", "text/x-shellscript"),
            (b"{\\rtf1", "text/rtf"),
            (b"BEGIN:VCARD\r\nVERSION:4.0", "text/vcard"),
        ];
        for (content, expected) in samples {
            assert_eq!(detect(content).content_type(), expected);
        }
    }

    #[test]
    fn only_the_head_decides() {
        let mut long = br#"{"a": ""#.to_vec();
        long.resize(HEAD_BYTES * 2, b'x');
        assert_eq!(detect(&long).essence(), "application/json");
        let mut text = vec![b'a'; HEAD_BYTES];
        text.push(0);
        assert_eq!(detect(&text).content_type(), "text/plain; charset=utf-8");
    }

    #[test]
    fn media_types_compare_by_name_without_parameters() {
        let found = detect(b"hello");
        assert!(found.is("text/plain"));
        assert!(found.is(" Text/PLAIN ; charset=x"));
        assert!(!found.is("text/html"));
        assert!(found.is_any(&["image/png", "text/plain"]));
        assert!(!found.is_any::<&str>(&[]));
        assert_eq!(extension_of("image/jpeg"), Some(".jpg"));
        assert_eq!(extension_of("application/x-gzip"), Some(".gz"));
        assert_eq!(extension_of("application/octet-stream"), None);
    }

    proptest! {
        #[test]
        fn any_content_is_judged_without_a_panic(content: Vec<u8>) {
            let _ = detect(&content);
        }

        #[test]
        fn nearly_valid_content_is_judged_without_a_panic(
            start in prop::sample::select(vec![
                &b"PK\x03\x04"[..], b"RIFF", b"\0\0\0\x18ftyp", b"\x1aE\xdf\xa3", b"OggS\0", b"\x7fELF",
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"<?xml ", b"<svg ", b"<html><meta ", b"{\"type\":", b"BM", b"Cr24",
            ]),
            rest in prop::collection::vec(any::<u8>(), 0..700),
        ) {
            let _ = detect(&[start, &rest].concat());
        }
    }
}
