//! Kinds of HTML elements, by their names in lower case.

use super::outline::Namespace;

/// Elements whose content no excerpt shows (PocketBase's choice).
pub(super) fn is_excluded(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "applet", "button", "dialog", "embed", "form", "head", "iframe", "img", "input", "object",
        "option", "picture", "script", "select", "style", "svg", "template", "textarea",
    ];
    NAMES.contains(&name)
}

/// Elements that do not end a word (PocketBase's choice, with `br` and without `u`).
pub(super) fn is_inline(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "a", "abbr", "acronym", "b", "bdo", "big", "br", "button", "cite", "code", "em", "i",
        "label", "q", "small", "span", "strike", "strong", "sub", "sup", "time",
    ];
    NAMES.contains(&name)
}

/// Elements without content, but `hr` and `input`.
pub(super) fn is_void(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "area", "base", "basefont", "bgsound", "br", "embed", "image", "img", "keygen", "link",
        "meta", "param", "source", "track", "wbr",
    ];
    NAMES.contains(&name)
}

/// Elements whose start ends an open paragraph and that need no other care.
pub(super) fn ends_paragraph(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "address",
        "article",
        "aside",
        "blockquote",
        "center",
        "details",
        "dialog",
        "dir",
        "div",
        "dl",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "header",
        "hgroup",
        "listing",
        "main",
        "menu",
        "nav",
        "ol",
        "p",
        "plaintext",
        "pre",
        "search",
        "section",
        "summary",
        "ul",
        "xmp",
    ];
    NAMES.contains(&name)
}

/// Elements whose end tag closes them if they are in scope, with whatever is open inside.
pub(super) fn ends_in_scope(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "applet", "button", "dd", "dt", "marquee", "object", "select",
    ];
    NAMES.contains(&name) || ends_paragraph(name) && !matches!(name, "p" | "plaintext" | "xmp")
}

/// `h1` to `h6`.
pub(super) fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

/// Elements whose end tag may be left out.
pub(super) fn has_implied_end(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "dd", "dt", "li", "optgroup", "option", "p", "rb", "rp", "rt", "rtc",
    ];
    NAMES.contains(&name)
}

/// Elements that may end inside of blocks that were opened in them.
pub(super) fn is_formatting(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt",
        "u",
    ];
    NAMES.contains(&name)
}

/// Elements that keep tags inside from closing elements outside.
pub(super) fn is_scope_marker(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "applet", "caption", "html", "marquee", "object", "select", "table", "td", "template", "th",
    ];
    NAMES.contains(&name)
}

/// Elements that an end tag of unknown meaning does not close.
pub(super) fn is_special(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "button",
        "center",
        "colgroup",
        "dd",
        "details",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "frameset",
        "head",
        "header",
        "hgroup",
        "iframe",
        "li",
        "listing",
        "main",
        "menu",
        "nav",
        "noembed",
        "noframes",
        "noscript",
        "ol",
        "p",
        "plaintext",
        "pre",
        "script",
        "section",
        "style",
        "summary",
        "tbody",
        "textarea",
        "tfoot",
        "thead",
        "title",
        "tr",
        "ul",
        "xmp",
    ];
    is_scope_marker(name) || is_heading(name) || NAMES.contains(&name)
}

/// Elements of SVG and MathML that contain HTML.
pub(super) fn is_integration_point(space: Namespace, name: &str) -> bool {
    match space {
        Namespace::Html => false,
        Namespace::Svg => matches!(name, "desc" | "foreignobject" | "title"),
        Namespace::MathMl => matches!(name, "annotation-xml" | "mi" | "mn" | "mo" | "ms" | "mtext"),
    }
}

/// HTML tags that end SVG and MathML.
pub(super) fn ends_foreign(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "b",
        "big",
        "blockquote",
        "body",
        "br",
        "center",
        "code",
        "dd",
        "div",
        "dl",
        "dt",
        "em",
        "embed",
        "head",
        "hr",
        "i",
        "img",
        "li",
        "listing",
        "menu",
        "meta",
        "nobr",
        "ol",
        "p",
        "pre",
        "ruby",
        "s",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "table",
        "tt",
        "u",
        "ul",
        "var",
    ];
    is_heading(name) || NAMES.contains(&name)
}
