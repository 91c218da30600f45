//! The plain text of HTML, read in one pass over its tags.
//!
//! It follows which elements are open (WHATWG HTML, section 13.2.6), as far as that decides what text is seen and where words end, and
//! builds no tree.

use std::borrow::Cow;

use super::elements::{
    ends_foreign, ends_in_scope, ends_paragraph, has_implied_end, is_excluded, is_formatting,
    is_heading, is_inline, is_integration_point, is_scope_marker, is_special, is_void,
};
use super::entities;
use super::html::{Piece, Pieces};
use super::text::Text;

/// How many elements may be open inside each other (as many as PocketBase's HTML parser allows). What is deeper, and all after it, is
/// not looked at.
const DEPTH_MAX: usize = 512;

/// How many tags and texts are looked at. A tag may be compared to all open elements.
const PIECES_MAX: usize = 100_000;

/// An open element.
struct Element<'a> {
    name: Cow<'a, str>,
    space: Namespace,
    /// See [`is_scope_marker`], [`is_special`]: known once, asked often.
    scope_marker: bool,
    special: bool,
    /// Its text is not seen.
    hidden: bool,
    /// A word ends where it ends.
    spaced: bool,
}

/// The language an element belongs to.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Namespace {
    Html,
    Svg,
    MathMl,
}

impl Element<'_> {
    fn is_html(&self) -> bool {
        self.space == Namespace::Html
    }

    /// In it, tags mean SVG or MathML.
    fn is_foreign(&self) -> bool {
        !self.is_html() && !is_integration_point(self.space, &self.name)
    }
}

/// Where the search for an open element ends.
#[derive(Clone, Copy, PartialEq)]
enum Scope {
    Default,
    Button,
    ListItem,
    Table,
}

/// Reads HTML and keeps its text.
pub(super) struct Outline<'a> {
    pieces: Pieces<'a>,
    text: Text,
    /// The open elements below `body`.
    open: Vec<Element<'a>>,
    /// Nothing of the body has been seen.
    head: bool,
    head_closed: bool,
    form: bool,
    too_deep: bool,
}

impl<'a> Outline<'a> {
    pub(super) fn new(html: &'a str, chars_max: usize) -> Self {
        Outline {
            pieces: Pieces::new(html),
            text: Text::new(chars_max),
            open: Vec::new(),
            head: true,
            head_closed: false,
            form: false,
            too_deep: false,
        }
    }

    /// The text up to where more of it cannot change an excerpt. It may have white space around it.
    pub(super) fn into_text(mut self) -> String {
        let mut pieces = 0;
        while !self.text.is_enough() && !self.too_deep && pieces < PIECES_MAX {
            pieces += 1;
            let foreign = self.open.last().is_some_and(|top| !top.is_html());
            match self.pieces.next(foreign) {
                None => break,
                Some(Piece::Text(text)) => self.see(text, true),
                Some(Piece::RawText(text)) => self.see(text, false),
                Some(Piece::Open { name, self_closing }) => self.start_tag(name, self_closing),
                Some(Piece::Close(name)) => self.end_tag(name),
            }
        }
        self.text.into_string()
    }

    fn hidden(&self) -> bool {
        self.open.last().is_some_and(|top| top.hidden)
    }

    fn see(&mut self, text: &str, references: bool) {
        if self.in_head() && !text.trim_ascii().is_empty() {
            self.head = false;
        }
        if self.hidden() {
            return;
        }
        if references {
            entities::decode(text, |c| self.text.push(c));
        } else {
            text.chars().all(|c| self.text.push(c));
        }
    }

    /// Elements of the head may be open, or none.
    fn in_head(&self) -> bool {
        self.head && self.open.is_empty()
    }

    fn push(&mut self, name: Cow<'a, str>, space: Namespace) {
        if self.open.len() >= DEPTH_MAX {
            self.too_deep = true;
            return;
        }
        let seen = !self.hidden() && !is_excluded(&name);
        let spaced = seen && !is_inline(&name);
        if spaced {
            self.text.end_word();
        }
        self.open.push(Element {
            scope_marker: is_scope_marker(&name),
            special: is_special(&name),
            hidden: !seen || self.text.is_long(),
            name,
            space,
            spaced,
        });
    }

    /// An element that has no content.
    fn void(&mut self, name: &str) {
        if !self.hidden() && !is_excluded(name) && !is_inline(name) {
            self.text.end_word();
        }
    }

    /// Closes elements until `length` are open.
    fn close_to(&mut self, length: usize) {
        for element in self.open.drain(length.min(self.open.len())..).rev() {
            if element.spaced {
                self.text.end_word();
            }
        }
    }

    fn position(&self, scope: Scope, wanted: impl Fn(&str) -> bool) -> Option<usize> {
        for (at, element) in self.open.iter().enumerate().rev() {
            let name = &*element.name;
            if element.is_html() && wanted(name) {
                return Some(at);
            }
            let stops = match scope {
                _ if !element.is_html() => is_integration_point(element.space, name),
                Scope::Table => matches!(name, "table" | "template"),
                Scope::Button if name == "button" => true,
                Scope::ListItem if matches!(name, "ol" | "ul") => true,
                _ => element.scope_marker,
            };
            if stops {
                return None;
            }
        }
        None
    }

    /// Closes the innermost element of this kind with all inside it, if it is in scope.
    fn close(&mut self, scope: Scope, wanted: impl Fn(&str) -> bool) -> bool {
        let found = self.position(scope, wanted);
        if let Some(at) = found {
            self.close_to(at);
        }
        found.is_some()
    }

    fn close_paragraph(&mut self) {
        self.close(Scope::Button, |name| name == "p");
    }

    /// Closes the innermost element if it is of this kind.
    fn close_top(&mut self, wanted: impl Fn(&str) -> bool) {
        if self.open.last().is_some_and(|top| wanted(&top.name)) {
            self.close_to(self.open.len() - 1);
        }
    }

    fn start_tag(&mut self, name: Cow<'a, str>, self_closing: bool) {
        let Some(name) = self
            .start_foreign(name, self_closing)
            .and_then(|name| self.start_in_head(name))
            .and_then(|name| self.start_table_part(name))
        else {
            return;
        };
        match &*name {
            "html" | "body" | "head" | "frame" | "frameset" => return,
            "image" => return self.void("img"),
            "hr" | "input" => {
                self.before(&name);
                return self.void(&name);
            }
            name if is_void(name) => return self.void(name),
            "svg" => return self.push_foreign(name, Namespace::Svg, self_closing),
            "math" => return self.push_foreign(name, Namespace::MathMl, self_closing),
            "select" if self.close(Scope::Default, |other| other == "select") => return,
            "form" => {
                if std::mem::replace(&mut self.form, true) || self.between_cells() {
                    return;
                }
                self.close_paragraph();
            }
            name => self.before(name),
        }
        self.push(name, Namespace::Html);
    }

    /// Closes what cannot be open around the element that starts.
    fn before(&mut self, name: &str) {
        match name {
            "hr" => self.close_paragraph(),
            name if ends_paragraph(name) => self.close_paragraph(),
            name if is_heading(name) => {
                self.close_paragraph();
                self.close_top(is_heading);
            }
            "li" => self.start_item(|other| other == "li"),
            "dd" | "dt" => self.start_item(|other| matches!(other, "dd" | "dt")),
            "button" => {
                self.close(Scope::Default, |other| other == "button");
            }
            "input" => {
                self.close(Scope::Default, |other| other == "select");
            }
            "option" | "optgroup" => self.close_top(|other| other == "option"),
            "a" => self.end_formatting("a"),
            _ => {}
        }
    }

    /// An item closes the one before it, but not through another list.
    fn start_item(&mut self, is_item: impl Fn(&str) -> bool) {
        let before = self.open.iter().rposition(|element| {
            let name = &*element.name;
            is_item(name) || (element.special && !matches!(name, "address" | "div" | "p"))
        });
        if let Some(at) = before
            && self
                .open
                .get(at)
                .is_some_and(|element| is_item(&element.name))
        {
            self.close_to(at);
        }
        self.close_paragraph();
    }

    /// Takes a tag inside SVG or MathML; gives it back if it is none of theirs. Some HTML tags end these.
    fn start_foreign(&mut self, name: Cow<'a, str>, self_closing: bool) -> Option<Cow<'a, str>> {
        let space = match self.open.last() {
            Some(top) if top.is_foreign() => top.space,
            _ => return Some(name),
        };
        if ends_foreign(&name) {
            let kept = self.open.iter().rposition(|element| !element.is_foreign());
            self.close_to(kept.map_or(0, |at| at + 1));
            return Some(name);
        }
        self.pieces.expect_no_raw_text();
        self.push_foreign(name, space, self_closing);
        None
    }

    fn push_foreign(&mut self, name: Cow<'a, str>, space: Namespace, self_closing: bool) {
        if self_closing {
            self.void(&name);
        } else {
            self.push(name, space);
        }
    }

    /// Takes a tag that belongs to the head; any other one starts the body.
    fn start_in_head(&mut self, name: Cow<'a, str>) -> Option<Cow<'a, str>> {
        if !self.in_head() {
            return Some(name);
        }
        match &*name {
            "html" | "head" | "base" | "basefont" | "bgsound" | "link" | "meta" => return None,
            "noscript" if self.head_closed => {}
            "title" | "noframes" | "style" | "script" | "noscript" | "template" => {
                self.push(name, Namespace::Html);
                if let Some(top) = self.open.last_mut() {
                    top.hidden = true;
                    top.spaced = false;
                }
                return None;
            }
            _ => {}
        }
        self.head = false;
        Some(name)
    }

    /// Whether a table is open, but none of its cells and no caption.
    fn between_cells(&self) -> bool {
        let part = |name: &str| matches!(name, "table" | "td" | "th" | "caption" | "template");
        let inner = self.open.iter().rfind(|element| part(&element.name));
        inner.is_some_and(|element| element.name == "table")
    }

    /// Takes a tag for a part of a table. It closes the ones before it and opens those between it and the table; without a table it counts
    /// for nothing.
    fn start_table_part(&mut self, name: Cow<'a, str>) -> Option<Cow<'a, str>> {
        let parents: &[&str] = match &*name {
            "caption" | "colgroup" | "tbody" | "thead" | "tfoot" => &[],
            "col" => &["colgroup"],
            "tr" => &["tbody", "thead", "tfoot"],
            "td" | "th" => &["tr", "tbody", "thead", "tfoot"],
            "table" => {
                if self.between_cells() {
                    self.close(Scope::Table, |name| name == "table");
                }
                return Some(name);
            }
            _ => return Some(name),
        };
        let table = self.position(Scope::Table, |name| name == "table")?;
        let is_parent =
            |element: &Element<'_>| element.is_html() && parents.contains(&&*element.name);
        let parent = self.open.iter().skip(table).rposition(is_parent);
        let parent = parent.map_or(table, |at| table + at);
        self.close_to(parent + 1);

        let under_row = self.open.last().is_some_and(|top| top.name == "tr");
        let implied: &[&str] = match &*name {
            "col" if parent == table => &["colgroup"],
            "tr" if parent == table => &["tbody"],
            "td" | "th" if parent == table => &["tbody", "tr"],
            "td" | "th" if !under_row => &["tr"],
            _ => &[],
        };
        for part in implied {
            self.push(Cow::Borrowed(*part), Namespace::Html);
        }
        if name == "col" {
            self.void("col");
        } else {
            self.push(name, Namespace::Html);
        }
        None
    }

    fn end_tag(&mut self, name: Cow<'a, str>) {
        if self.end_foreign(&name) {
            return;
        }
        if self.in_head() {
            match &*name {
                "head" => self.head_closed = true,
                "body" | "html" | "br" => self.head = false,
                _ => {}
            }
            return;
        }
        let same = |other: &str| other == name;
        match &*name {
            "body" | "html" | "br" => {}
            "p" => {
                if !self.close(Scope::Button, same) {
                    self.start_tag(name, false);
                    self.close(Scope::Button, |other| other == "p");
                }
            }
            "li" => {
                self.close(Scope::ListItem, same);
            }
            "table" | "caption" | "colgroup" | "tbody" | "thead" | "tfoot" | "tr" | "td" | "th" => {
                self.close(Scope::Table, same);
            }
            "template" => {
                if let Some(at) = self
                    .open
                    .iter()
                    .rposition(|element| element.name == "template")
                {
                    self.close_to(at);
                }
            }
            "form" => self.end_form(),
            name if is_heading(name) => {
                self.close(Scope::Default, is_heading);
            }
            name if is_formatting(name) => self.end_formatting(name),
            name if ends_in_scope(name) => {
                self.close(Scope::Default, same);
            }
            name => self.end_other(name),
        }
    }

    fn end_foreign(&mut self, name: &str) -> bool {
        for at in (0..self.open.len()).rev() {
            match self.open.get(at) {
                Some(element) if element.is_html() => return false,
                Some(element) if element.name == name => {
                    self.close_to(at);
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    /// Elements that are open inside the form stay open, and hidden.
    fn end_form(&mut self) {
        if !std::mem::take(&mut self.form) {
            return;
        }
        if let Some(at) = self.position(Scope::Default, |name| name == "form") {
            let implied = |element: &Element<'_>| has_implied_end(&element.name);
            let rest = self.open.iter().rposition(|element| !implied(element));
            self.close_to(rest.map_or(0, |rest| rest + 1));
            self.open.remove(at);
        }
    }

    /// An element such as `b` ends, but the blocks that were opened in it go on.
    fn end_formatting(&mut self, name: &str) {
        let Some(at) = self.position(Scope::Default, |other| other == name) else {
            return;
        };
        if self.open.iter().skip(at).any(|element| element.special) {
            self.open.remove(at);
        } else {
            self.close_to(at);
        }
    }

    fn end_other(&mut self, name: &str) {
        let at = self
            .open
            .iter()
            .rposition(|element| element.special || element.name == name);
        if let Some(at) = at
            && self
                .open
                .get(at)
                .is_some_and(|element| element.name == name)
        {
            self.close_to(at);
        }
    }
}
