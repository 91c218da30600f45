//! The plain text of an HTML body, for mail programs that show no HTML.

/// Elements whose content is no text to read.
const SKIPPED: [&str; 14] = [
    "applet", "button", "form", "head", "iframe", "object", "option", "script", "select", "style",
    "svg", "template", "textarea", "title",
];
/// Of those, the ones in which `<` starts no element but the end of their own.
const RAW: [&str; 4] = ["script", "style", "textarea", "title"];
/// Elements that do not start a line of their own.
const INLINE: [&str; 12] = [
    "a", "b", "code", "em", "i", "img", "small", "span", "strong", "sub", "sup", "u",
];
/// The character references that templates use; numbers come on top.
const REFERENCES: [(&str, char); 17] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("copy", '©'),
    ("reg", '®'),
    ("hellip", '…'),
    ("mdash", '—'),
    ("ndash", '–'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("euro", '€'),
    ("middot", '·'),
];

/// Longer names are no character references.
const REFERENCE_BYTES_MAX: usize = 10;

/// What of an HTML document can be read without its marks: blocks become lines, list items start with `- `, links read
/// `[text](address)`. Takes any text; time and size are linear in it.
#[must_use]
pub fn plain_text(html: &str) -> String {
    let mut out = Writer::default();
    let mut rest = html;
    while let Some((text, markup)) = rest.split_once('<') {
        out.text(text);
        rest = read_markup(&mut out, markup);
    }
    out.text(rest);
    out.end_link();
    out.text.trim().to_owned()
}

/// Reads what follows a `<` and returns what follows the mark.
fn read_markup<'h>(out: &mut Writer, markup: &'h str) -> &'h str {
    if let Some(comment) = markup.strip_prefix("!--") {
        return comment.split_once("-->").map_or("", |(_, rest)| rest);
    }
    if markup.starts_with(['!', '?']) {
        return markup.split_once('>').map_or("", |(_, rest)| rest);
    }
    let first = markup.trim_start_matches('/').chars().next();
    if !first.is_some_and(|first| first.is_ascii_alphabetic()) {
        out.text("<");
        return markup;
    }
    let (tag, rest) = Tag::read(markup);
    if tag.is_one_of(&SKIPPED) {
        return if tag.closing {
            rest
        } else {
            skip_element(&tag, rest)
        };
    }
    out.element(&tag);
    rest
}

/// What follows the end of an element whose start was read.
fn skip_element<'h>(tag: &Tag<'_>, content: &'h str) -> &'h str {
    let raw = tag.is_one_of(&RAW);
    let mut open = 1usize;
    let mut rest = content;
    while let Some((_, markup)) = rest.split_once('<') {
        rest = markup;
        let name = markup.strip_prefix('/').unwrap_or(markup);
        let same = name
            .get(..tag.name.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(tag.name));
        if !same || (raw && !markup.starts_with('/')) {
            continue;
        }
        let (found, behind) = Tag::read(markup);
        if !found.name.eq_ignore_ascii_case(tag.name) {
            continue;
        }
        rest = behind;
        open = if found.closing { open - 1 } else { open + 1 };
        if open == 0 {
            return rest;
        }
    }
    ""
}

struct Tag<'h> {
    name: &'h str,
    closing: bool,
    /// As it was written, character references included.
    href: Option<&'h str>,
}

impl<'h> Tag<'h> {
    /// Reads a tag behind its `<`; one that does not end takes the rest of the text.
    fn read(markup: &'h str) -> (Self, &'h str) {
        let body = markup.trim_start_matches('/');
        let closing = body.len() < markup.len();
        let (name, mut rest) = split_at_any(body, |char| is_space(char) || "/>".contains(char));
        let mut tag = Self {
            name,
            closing,
            href: None,
        };
        loop {
            rest = rest.trim_start_matches(|char| is_space(char) || char == '/');
            if let Some(behind) = rest.strip_prefix('>') {
                return (tag, behind);
            }
            if rest.is_empty() {
                return (tag, "");
            }
            let (key, behind) = split_at_any(rest, |char| is_space(char) || "=/>".contains(char));
            let Some(value) = behind.trim_start_matches(is_space).strip_prefix('=') else {
                rest = behind;
                continue;
            };
            let (value, behind) = attribute_value(value.trim_start_matches(is_space));
            if key.eq_ignore_ascii_case("href") && tag.href.is_none() {
                tag.href = Some(value);
            }
            rest = behind;
        }
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        names
            .iter()
            .any(|name| self.name.eq_ignore_ascii_case(name))
    }
}

fn attribute_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    split_at_any(text, |char| is_space(char) || char == '>')
}

fn split_at_any(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    let at = text.find(stop).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// HTML's white space; a no-break space is none.
fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

#[derive(Default)]
struct Writer {
    text: String,
    /// The link that is open: its address, and where its label starts in `text`.
    link: Option<(String, usize)>,
}

impl Writer {
    /// Adds text, with runs of white space as one space and none at the start of a line.
    fn text(&mut self, raw: &str) {
        let mut spaced = false;
        for word in raw.split(is_space) {
            if spaced && !self.at_line_start() && !self.text.ends_with(' ') {
                self.text.push(' ');
            }
            spaced = true;
            push_decoded(&mut self.text, word);
        }
    }

    fn element(&mut self, tag: &Tag<'_>) {
        if tag.name.eq_ignore_ascii_case("a") {
            self.end_link();
            if !tag.closing {
                let mut href = String::new();
                push_decoded(&mut href, tag.href.unwrap_or("").trim());
                self.text.push('[');
                self.link = Some((href, self.text.len()));
            }
        } else if tag.name.eq_ignore_ascii_case("br") {
            self.break_line();
        } else if !tag.is_one_of(&INLINE) {
            if !self.at_line_start() {
                self.break_line();
            }
            if !tag.closing && tag.name.eq_ignore_ascii_case("li") {
                self.text.push_str("- ");
            }
        }
    }

    fn end_link(&mut self) {
        let Some((href, start)) = self.link.take() else {
            return;
        };
        let end = self.text.trim_end().len().max(start);
        self.text.truncate(end);
        if self.text.len() == start {
            self.text.push_str("LINK");
        }
        self.text.push(']');
        if !href.is_empty() {
            self.text.push('(');
            self.text.push_str(&href);
            self.text.push(')');
        }
    }

    fn break_line(&mut self) {
        let end = self.text.trim_end_matches(' ').len();
        self.text.truncate(end);
        self.text.push('\n');
    }

    fn at_line_start(&self) -> bool {
        self.text.is_empty()
            || self.text.ends_with('\n')
            || self
                .link
                .as_ref()
                .is_some_and(|(_, start)| *start == self.text.len())
    }
}

fn push_decoded(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let found =
            split_reference(after).and_then(|(name, behind)| Some((character(name)?, behind)));
        match found {
            Some((char, behind)) => {
                out.push(char);
                rest = behind;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
}

/// The name before a `;` that is near enough to end a character reference.
fn split_reference(text: &str) -> Option<(&str, &str)> {
    let end = text
        .bytes()
        .take(REFERENCE_BYTES_MAX + 1)
        .position(|byte| byte == b';')?;
    let (name, behind) = text.split_at_checked(end)?;
    Some((name, behind.strip_prefix(';')?))
}

fn character(reference: &str) -> Option<char> {
    let number = match reference.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => digits.parse().ok()?,
        },
        None => {
            return REFERENCES
                .iter()
                .find(|(name, _)| *name == reference)
                .map(|(_, char)| *char);
        }
    };
    char::from_u32(number).filter(|char| !char.is_control())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blocks_become_lines_and_links_keep_their_address() {
        let html = "<!-- a > comment --><p>Hello <b>Ann</b>,\n   welcome.</p>\n\n<p><a class='btn' \
                    href=\"https://x.test/?a=1&amp;b=2\" target=_blank> Go\n on </a></p><ul><li>one</li><li>two</li></ul>a<br/>b";
        assert_eq!(
            plain_text(html),
            "Hello Ann, welcome.\n[Go on](https://x.test/?a=1&b=2)\n- one\n- two\na\nb"
        );
    }

    #[test]
    fn what_is_not_to_be_read_is_left_out() {
        for (html, expected) in [
            ("<head><title>t</title><style>a > b {}</style></head>x", "x"),
            ("a<script>if (a</b) {'</p>'}</SCRIPT >b", "ab"),
            ("a<svg><g><svg></svg>c</g></svg>b", "ab"),
            ("a<button>no</button>b", "ab"),
            ("a<style>never ends", "a"),
            ("a<img src='x>y'>b", "ab"),
            ("<buttons>x", "x"),
        ] {
            assert_eq!(plain_text(html), expected, "{html}");
        }
    }

    #[test]
    fn references_are_decoded_and_lone_signs_stay() {
        for (html, expected) in [
            ("a &lt; b &amp;&amp; c&#39;s &#x41;", "a < b && c's A"),
            ("1 < 2 & 3 &unknown; &#0; &", "1 < 2 & 3 &unknown; &#0; &"),
            ("a&nbsp;&nbsp;b", "a  b"),
            ("<", "<"),
            ("<a", "[LINK]"),
            ("<a href=x", "[LINK](x)"),
            ("<a>label", "[label]"),
            ("</p", ""),
        ] {
            assert_eq!(plain_text(html), expected, "{html}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(html in "(<|>|/|!--|-->|a|style|svg| href=|'|\"|&amp;|&#39;|=| |\n|ü|li|br){0,40}") {
            let _ = plain_text(&html);
        }

        #[test]
        fn text_without_marks_keeps_its_words(words in prop::collection::vec("[a-zü.;]{1,8}", 0..8)) {
            prop_assert_eq!(plain_text(&words.join(" \n")), words.join(" "));
        }
    }
}
