//! Where in a page a value stands, and how it is written there.
//!
//! The tracker reads the literal text that is written. It knows as much of HTML as decides on escaping (WHATWG HTML,
//! "Tokenization"): tags, attributes, comments, scripts and styles.

use std::fmt::Write as _;

use super::print;
use super::value::Value;

/// What stands in place of a value that cannot be made harmless, as in Go.
const UNSAFE: &str = "ZgotmplZ";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// Behind `<`, in the tag's name.
    TagName,
    /// Inside a tag, between attributes.
    Tag,
    AttributeName,
    AfterName,
    BeforeValue,
    /// In a value: the quote that ends it, or a space for none.
    Value(char),
    Comment,
    /// In an element whose text is no markup.
    Raw(Element),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Script,
    Style,
    /// `title` and `textarea`: text without tags.
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Plain,
    Url,
    Script,
    Style,
    Srcset,
}

/// The place that the output has come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    state: State,
    /// Name of the tag or attribute that is read.
    name: String,
    element: Option<Element>,
    content: Option<Content>,
    /// The quote of the script's text or the style's that the place is in.
    quote: Option<char>,
    /// Within a URL: something was written; its query or fragment has begun.
    url: (bool, bool),
    /// The last characters, to find ends.
    tail: String,
}

impl Place {
    /// Writes literal text, without comments.
    pub(super) fn literal(&mut self, text: &str, out: &mut String) {
        for (at, c) in text.char_indices() {
            let rest = text.get(at..).unwrap_or_default();
            if self.state == State::Text && rest.starts_with("<!--") {
                self.state = State::Comment;
            }
            if self.state == State::Comment {
                self.tail.push(c);
                if self.tail.ends_with("-->") && self.tail.len() >= 7 {
                    self.tail.clear();
                    self.state = State::Text;
                }
                continue;
            }
            out.push(c);
            self.step(c, rest);
        }
    }

    fn step(&mut self, c: char, rest: &str) {
        match self.state {
            State::Text if c == '<' => {
                let next = rest.chars().nth(1);
                if next.is_some_and(|next| next.is_ascii_alphabetic() || next == '/') {
                    self.state = State::TagName;
                    self.name.clear();
                }
            }
            State::Text | State::Comment => {}
            State::TagName => match c {
                '>' | '/' if c == '>' || !self.name.is_empty() => self.tag_named(c),
                c if c.is_whitespace() => self.tag_named(c),
                c => self.name.push(c.to_ascii_lowercase()),
            },
            State::Tag | State::AfterName if c == '>' => self.tag_ends(),
            State::AfterName if c == '=' => self.state = State::BeforeValue,
            State::Tag | State::AfterName => {
                if !c.is_whitespace() && c != '/' {
                    self.name.clear();
                    self.name.push(c.to_ascii_lowercase());
                    self.state = State::AttributeName;
                }
            }
            State::AttributeName => match c {
                '=' => self.state = State::BeforeValue,
                '>' => self.tag_ends(),
                c if c.is_whitespace() => self.state = State::AfterName,
                c => self.name.push(c.to_ascii_lowercase()),
            },
            State::BeforeValue => match c {
                '"' | '\'' => self.value_begins(c),
                '>' => self.tag_ends(),
                c if c.is_whitespace() => {}
                c => {
                    self.value_begins(' ');
                    self.within_value(c);
                }
            },
            State::Value(quote) => {
                let ends = c == quote || (quote == ' ' && c.is_whitespace());
                if ends {
                    self.content = None;
                    self.state = State::Tag;
                } else if quote == ' ' && c == '>' {
                    self.content = None;
                    self.tag_ends();
                } else {
                    self.within_value(c);
                }
            }
            State::Raw(element) => self.within_raw(element, c),
        }
    }

    fn tag_named(&mut self, c: char) {
        self.element = match self.name.as_str() {
            "script" => Some(Element::Script),
            "style" => Some(Element::Style),
            "title" | "textarea" => Some(Element::Plain),
            _ => None,
        };
        if c == '>' {
            self.tag_ends();
        } else {
            self.state = State::Tag;
        }
    }

    fn tag_ends(&mut self) {
        self.quote = None;
        self.tail.clear();
        self.state = match self.element.take() {
            Some(element) => State::Raw(element),
            None => State::Text,
        };
    }

    fn value_begins(&mut self, quote: char) {
        let name = self.name.as_str();
        let bare = name.rsplit(':').next().unwrap_or(name);
        let bare = bare.strip_prefix("data-").unwrap_or(bare);
        self.content = Some(match bare {
            "style" => Content::Style,
            "srcset" | "imagesrcset" => Content::Srcset,
            "action" | "archive" | "background" | "cite" | "classid" | "codebase" | "data"
            | "formaction" | "href" | "icon" | "longdesc" | "manifest" | "ping" | "poster"
            | "profile" | "src" | "usemap" | "xmlns" => Content::Url,
            bare if bare.starts_with("on") => Content::Script,
            bare if bare.contains("src") || bare.contains("uri") || bare.contains("url") => {
                Content::Url
            }
            _ => Content::Plain,
        });
        self.quote = None;
        self.url = (false, false);
        self.tail.clear();
        self.state = State::Value(quote);
    }

    fn within_value(&mut self, c: char) {
        match self.content {
            Some(Content::Url) => {
                self.url.0 |= !c.is_whitespace();
                self.url.1 |= matches!(c, '?' | '#');
            }
            Some(Content::Script | Content::Style) => self.within_code(c),
            _ => {}
        }
    }

    /// Follows the texts in scripts and styles.
    fn within_code(&mut self, c: char) {
        if self.tail.ends_with('\\') && self.quote.is_some() {
            self.tail.clear();
            return;
        }
        match self.quote {
            Some(quote) if quote == c => self.quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => self.quote = Some(c),
            None => {}
        }
        self.tail.push(c);
        if self.tail.len() > 32 {
            self.tail.clear();
        }
    }

    fn within_raw(&mut self, element: Element, c: char) {
        let end = match element {
            Element::Script => "</script",
            Element::Style => "</style",
            Element::Plain if self.tail.starts_with("</te") => "</textarea",
            Element::Plain => "</title",
        };
        if element != Element::Plain {
            let escaped = self.tail.ends_with('\\');
            match self.quote {
                Some(quote) if quote == c && !escaped => self.quote = None,
                None if matches!(c, '"' | '\'' | '`') => self.quote = Some(c),
                _ => {}
            }
        }
        if c == '<' {
            self.tail.clear();
        }
        self.tail.push(c.to_ascii_lowercase());
        let starts =
            end.starts_with(self.tail.as_str()) || "</textarea".starts_with(self.tail.as_str());
        if self.tail == end || (element == Element::Plain && self.tail == "</textarea") {
            self.element = None;
            self.quote = None;
            self.tail.clear();
            self.state = State::Tag;
        } else if !starts && c != '\\' {
            self.tail.clear();
        }
    }

    /// Writes a value so that it cannot leave its place.
    pub(super) fn value(&mut self, value: &Value, text: &str, out: &mut String) {
        let html = matches!(value, Value::Html(_));
        match self.state {
            State::Text if html => out.push_str(text),
            State::Text | State::Raw(Element::Plain) => html_text(text, false, out),
            State::Comment => {}
            State::Tag | State::TagName | State::AttributeName | State::AfterName => {
                let harmless = !text.is_empty()
                    && text.chars().all(char::is_alphanumeric)
                    && !text.to_ascii_lowercase().starts_with("on")
                    && !matches!(text.to_ascii_lowercase().as_str(), "style" | "src" | "href");
                if self.state == State::Tag {
                    self.name.clear();
                    self.state = State::AttributeName;
                }
                out.push_str(if harmless { text } else { UNSAFE });
            }
            State::BeforeValue => {
                self.value_begins(' ');
                self.attribute(value, text, true, out);
            }
            State::Value(quote) => self.attribute(value, text, quote == ' ', out),
            State::Raw(Element::Script) => out.push_str(&self.script(value, text)),
            State::Raw(Element::Style) => out.push_str(&self.style(text)),
        }
    }

    fn attribute(&mut self, value: &Value, text: &str, bare: bool, out: &mut String) {
        let escaped = match self.content {
            Some(Content::Url | Content::Srcset) => {
                let begun = std::mem::replace(&mut self.url.0, true);
                let written = if begun || is_safe_url(text) {
                    url_part(text, self.url.1)
                } else {
                    format!("#{UNSAFE}")
                };
                self.url.1 |= text.contains(['?', '#']);
                written
            }
            Some(Content::Script) => self.script(value, text),
            Some(Content::Style) => self.style(text),
            _ if matches!(value, Value::Html(_)) => without_tags(text),
            _ => text.to_owned(),
        };
        html_text(&escaped, bare, out);
    }

    fn script(&self, value: &Value, text: &str) -> String {
        if self.quote.is_some() {
            return script_text(text);
        }
        match value {
            Value::Nil => " null ".to_owned(),
            Value::Bool(_) | Value::Int(_) => format!(" {text} "),
            Value::Float(number) if number.is_finite() => format!(" {text} "),
            Value::Text(text) | Value::Html(text) => format!("\"{}\"", script_text(text)),
            other => {
                let mut json = String::new();
                script_json(other, &mut json);
                json
            }
        }
    }

    fn style(&self, text: &str) -> String {
        let harmless = text.chars().all(|c| {
            c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '%' | '#' | '!' | ',')
        });
        if self.quote.is_none() {
            let lower = text.to_ascii_lowercase();
            let known = lower.contains("expression") || lower.contains("mozbinding");
            return if harmless && !known {
                text.to_owned()
            } else {
                UNSAFE.to_owned()
            };
        }
        let mut out = String::new();
        for c in text.chars() {
            if c.is_alphanumeric() || c == ' ' {
                out.push(c);
            } else {
                let _ = write!(out, "\\{:x} ", u32::from(c));
            }
        }
        out
    }
}

/// `&`, `<`, quotes and their likes as entities; with `bare`, also all that would end a value without quotes.
pub(super) fn html_text(text: &str, bare: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '+' => out.push_str("&#43;"),
            '\0' => out.push('\u{fffd}'),
            '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ' | '=' | '`' if bare => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// HTML for an attribute: its tags go, its entities are read.
fn without_tags(html: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    for (entity, text) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        out = out.replace(entity, text);
    }
    out
}

/// Whether a URL has no scheme, or one that runs no code.
fn is_safe_url(url: &str) -> bool {
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => {
            matches!(
                scheme.to_ascii_lowercase().as_str(),
                "http" | "https" | "mailto"
            )
        }
        _ => true,
    }
}

/// A part of a URL: with `whole_value` as one value of the query, otherwise with its own structure.
fn url_part(text: &str, whole_value: bool) -> String {
    let mut out = String::new();
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let kept = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => true,
            b'!' | b'#' | b'$' | b'&' | b'*' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?'
            | b'@' | b'[' | b']' => !whole_value,
            b'%' => {
                !whole_value
                    && bytes
                        .get(at + 1..at + 3)
                        .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            }
            _ => false,
        };
        if kept {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out
}

/// Text inside quotes of a script.
pub(super) fn script_text(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' | '\'' | '`' | '<' | '>' | '&' | '+' | '=' | '$' | '{' | '}' | '\u{2028}'
            | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

fn script_json(value: &Value, out: &mut String) {
    match value {
        Value::Nil | Value::Handle(_) => out.push_str("null"),
        Value::Text(text) | Value::Html(text) => {
            out.push('"');
            out.push_str(&script_text(text));
            out.push('"');
        }
        Value::Float(number) if !number.is_finite() => out.push_str("null"),
        Value::List(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                script_json(item, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (name, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                let _ = write!(out, "\"{}\":", script_text(name));
                script_json(item, out);
            }
            out.push('}');
        }
        other => print::plain(other, out),
    }
}
