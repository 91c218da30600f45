//! Cuts HTML into tags and texts (WHATWG HTML, section 13.2.5). Comments and declarations are passed over.

use std::borrow::Cow;

/// A piece of HTML.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<'a> {
    /// Text with character references.
    Text(&'a str),
    /// Text in which `&` is just a character.
    RawText(&'a str),
    /// A start tag; the name is in lower case.
    Open {
        name: Cow<'a, str>,
        self_closing: bool,
    },
    /// An end tag; the name is in lower case.
    Close(Cow<'a, str>),
}

/// Reads pieces one after the other.
pub(super) struct Pieces<'a> {
    rest: &'a str,
    /// Set after the start tag of an element whose content is text up to its end tag.
    raw: Option<Cow<'a, str>>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(html: &'a str) -> Self {
        Pieces {
            rest: html,
            raw: None,
        }
    }

    /// To be called after a start tag in SVG or MathML, where no element has raw text.
    pub(super) fn expect_no_raw_text(&mut self) {
        self.raw = None;
    }

    /// The next piece. `cdata`: the place is one where CDATA sections count, that is SVG or MathML.
    pub(super) fn next(&mut self, cdata: bool) -> Option<Piece<'a>> {
        if let Some(name) = self.raw.take()
            && let Some(text) = self.raw_text(&name)
        {
            return Some(text);
        }
        loop {
            let markup = self.markup_start().unwrap_or(self.rest.len());
            if markup > 0 {
                return Some(Piece::Text(self.take(markup)));
            }
            let after = self.rest.get(1..)?;
            if let Some(name) = after.strip_prefix('/') {
                if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    return self.end_tag();
                }
                self.skip_past(">");
            } else if let Some(declaration) = after.strip_prefix('!') {
                if cdata && let Some(text) = declaration.strip_prefix("[CDATA[") {
                    self.rest = text;
                    let end = text.find("]]>").unwrap_or(text.len());
                    let text = self.take(end);
                    self.skip_past("]]>");
                    return Some(Piece::Text(text));
                }
                match declaration.strip_prefix("--") {
                    Some(comment) => self.rest = after_comment(comment),
                    None => self.skip_past(">"),
                }
            } else if after.starts_with('?') {
                self.skip_past(">");
            } else {
                return self.start_tag();
            }
        }
    }

    /// Where the next tag, comment or declaration starts. Any other `<` is text, as is one at the end.
    fn markup_start(&self) -> Option<usize> {
        let mut starts = self.rest.match_indices('<').map(|(at, _)| at);
        starts.find(|at| {
            let mut next = self.rest.bytes().skip(at + 1);
            match next.next() {
                Some(b'/') => next.next().is_some(),
                Some(b) => b.is_ascii_alphabetic() || matches!(b, b'!' | b'?'),
                None => false,
            }
        })
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn skip_past(&mut self, end: &str) {
        self.rest = self.rest.split_once(end).map_or("", |(_, rest)| rest);
    }

    /// The text up to the end tag `name`, or to the end. None if there is none.
    fn raw_text(&mut self, name: &str) -> Option<Piece<'a>> {
        let ends = |at: &usize| {
            let after = self.rest.get(at + 2..).unwrap_or_default();
            let matches = after
                .get(..name.len())
                .is_some_and(|tag| tag.eq_ignore_ascii_case(name));
            matches
                && after
                    .as_bytes()
                    .get(name.len())
                    .copied()
                    .is_some_and(ends_name)
        };
        let end = match name {
            "plaintext" => None,
            _ => self.rest.match_indices("</").map(|(at, _)| at).find(ends),
        };
        match self.take(end.unwrap_or(self.rest.len())) {
            "" => None,
            text if matches!(name, "title" | "textarea") => Some(Piece::Text(text)),
            text => Some(Piece::RawText(text)),
        }
    }

    fn end_tag(&mut self) -> Option<Piece<'a>> {
        self.take(2);
        let name = self.tag_name();
        self.attributes()?;
        Some(Piece::Close(name))
    }

    fn start_tag(&mut self) -> Option<Piece<'a>> {
        self.take(1);
        let name = self.tag_name();
        let self_closing = self.attributes()?;
        if has_raw_text(&name) {
            self.raw = Some(name.clone());
        }
        Some(Piece::Open { name, self_closing })
    }

    fn tag_name(&mut self) -> Cow<'a, str> {
        let name = self.take_until(ends_name);
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        }
    }

    fn take_until(&mut self, ends: impl Fn(u8) -> bool) -> &'a str {
        let length = self.rest.bytes().position(ends);
        self.take(length.unwrap_or(self.rest.len()))
    }

    fn skip_space(&mut self) {
        self.take_until(|b| !is_space(b));
    }

    /// Passes the attributes and the `>`, and says whether a `/` stands before that. None if the tag never ends: then it counts for nothing.
    fn attributes(&mut self) -> Option<bool> {
        let mut slash = false;
        loop {
            self.skip_space();
            match self.rest.bytes().next()? {
                b'>' => {
                    self.take(1);
                    return Some(slash);
                }
                b'/' => {
                    self.take(1);
                    slash = self.rest.starts_with('>');
                }
                _ => {
                    slash = false;
                    self.attribute();
                }
            }
        }
    }

    fn attribute(&mut self) {
        // A name may start with `=`.
        if self.rest.starts_with('=') {
            self.take(1);
        }
        self.take_until(|b| b == b'=' || ends_name(b));
        self.skip_space();
        if !self.rest.starts_with('=') {
            return;
        }
        self.take(1);
        self.skip_space();
        match self.rest.bytes().next() {
            Some(quote @ (b'"' | b'\'')) => {
                self.take(1);
                self.take_until(|b| b == quote);
                self.take(1);
            }
            _ => {
                self.take_until(|b| b == b'>' || is_space(b));
            }
        }
    }
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

fn ends_name(b: u8) -> bool {
    is_space(b) || matches!(b, b'/' | b'>')
}

fn has_raw_text(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "iframe",
        "noembed",
        "noframes",
        "noscript",
        "plaintext",
        "script",
        "style",
        "textarea",
        "title",
        "xmp",
    ];
    NAMES.contains(&name)
}

/// What follows the comment whose `<!--` has been passed. `<!-->` and `<!--->` are comments, too; `--!>` ends one like `-->`.
fn after_comment(comment: &str) -> &str {
    let mut dashes = 0;
    let mut bang = false;
    for (at, byte) in comment.bytes().enumerate() {
        match byte {
            b'>' if bang || dashes >= 2 || dashes == at => {
                return comment.get(at + 1..).unwrap_or_default();
            }
            b'-' => {
                dashes += 1;
                bang = false;
            }
            _ => {
                bang = byte == b'!' && dashes >= 2;
                dashes = 0;
            }
        }
    }
    ""
}
