//! The grammar of `fields=` and what it does to an answer: `*,author.name,expand.tags.id,body:excerpt(200,true)`.
//!
//! Fields stand between commas; dots lead into objects and lists of objects; `*` stands for all fields of its level that are not named.
//! `:excerpt(max,withEllipsis?)` makes a short plain text of HTML. PocketBase applies a picker to successful JSON answers only, and to
//! the `items` of a list, not to the list around them.

mod elements;
mod entities;
mod excerpt;
mod html;
mod outline;
mod split;
mod text;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use excerpt::Excerpt;

/// How many parts a field's path may have.
pub const FIELD_DEPTH_MAX: usize = 100;

/// A text is no `fields=` expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldsError {
    /// A `(` or a quote is never closed.
    #[error("unbalanced parenthesis or quote")]
    Unbalanced,
    /// Nothing follows a `:`.
    #[error("empty modifier")]
    EmptyModifier,
    /// Only `excerpt` is known.
    #[error("unknown modifier")]
    UnknownModifier,
    /// `excerpt` takes a length above 0 and, optionally, whether to add an ellipsis.
    #[error("invalid arguments, expected excerpt(max, withEllipsis?)")]
    InvalidArguments,
    /// A path has more than [`FIELD_DEPTH_MAX`] parts.
    #[error("field nested too deep")]
    TooDeep,
}

/// The fields to keep at one level, as a tree.
///
/// A picker without any field (`fields=` empty or only commas) keeps everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldPicker {
    /// Set when a path ends here: the field is kept whole.
    end: Option<Keep>,
    /// By path segment.
    children: BTreeMap<Box<str>, FieldPicker>,
}

/// How a field is kept.
#[derive(Debug, Clone, PartialEq)]
enum Keep {
    AsIs,
    Excerpt(Excerpt),
}

/// What a picker does with one field of an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Selection<'p> {
    /// The field is left out.
    Drop,
    /// The field is kept as it is.
    Keep,
    /// The field is kept; if it is a text, as its excerpt.
    Excerpt(&'p Excerpt),
    /// The field is kept; if it is an object or a list of objects, then with what this picker keeps of each of them.
    Within(&'p FieldPicker),
}

impl FieldPicker {
    /// Reads a `fields=` expression.
    ///
    /// # Errors
    ///
    /// When parentheses or quotes do not match, or a modifier is unknown or has wrong arguments.
    pub fn parse(text: &str) -> Result<FieldPicker, FieldsError> {
        let mut root = FieldPicker::default();
        for field in split::fields(text)? {
            let (path, keep) = match field.split_once(':') {
                Some((path, modifier)) => (path, Keep::Excerpt(Excerpt::parse(modifier)?)),
                None => (field, Keep::AsIs),
            };
            root.insert(path, keep)?;
        }
        Ok(root)
    }

    /// A field that is named twice is kept as the last one says.
    fn insert(&mut self, path: &str, keep: Keep) -> Result<(), FieldsError> {
        let mut node = self;
        for (depth, segment) in path.split('.').enumerate() {
            if depth >= FIELD_DEPTH_MAX {
                return Err(FieldsError::TooDeep);
            }
            node = node.children.entry(segment.into()).or_default();
        }
        node.end = Some(keep);
        Ok(())
    }

    /// Whether it keeps everything because it names nothing.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// What happens to the field `key` of an object at this picker's level. A key with dots takes a part of the path per dot.
    pub fn select(&self, key: &str) -> Selection<'_> {
        if self.is_empty() {
            return Selection::Keep;
        }
        let named = key
            .split('.')
            .try_fold(self, |node, segment| node.children.get(segment));
        if let Some(node) = named {
            return match node.whole() {
                Some(keep) => keep.into(),
                None => Selection::Within(node),
            };
        }
        let all = self.children.get("*").and_then(|node| node.end.as_ref());
        all.map_or(Selection::Drop, Selection::from)
    }

    /// `a.` means `a`.
    fn whole(&self) -> Option<&Keep> {
        self.end
            .as_ref()
            .or_else(|| self.children.get("")?.end.as_ref())
    }

    /// What the picker keeps of `value`: an object, a list of objects, or anything else, which stays as it is.
    ///
    /// Keys come out in alphabetical order on every level, also inside of what is kept whole, as PocketBase writes them. Numbers stay exact.
    pub fn pick(&self, mut value: Value) -> Value {
        self.pick_in(&mut value);
        sort_keys(&mut value);
        value
    }

    fn pick_in(&self, value: &mut Value) {
        match value {
            Value::Object(object) => self.pick_object(object),
            // As in PocketBase the first item decides. (A later one that is no object makes PocketBase panic; here it stays.)
            Value::Array(items) if items.first().is_some_and(Value::is_object) => {
                for item in items {
                    if let Value::Object(object) = item {
                        self.pick_object(object);
                    }
                }
            }
            _ => {}
        }
    }

    fn pick_object(&self, object: &mut Map<String, Value>) {
        object.retain(|key, value| match self.select(key) {
            Selection::Drop => false,
            Selection::Keep => true,
            Selection::Excerpt(excerpt) => {
                if let Value::String(html) = value {
                    *html = excerpt.of(html);
                }
                true
            }
            Selection::Within(picker) => {
                picker.pick_in(value);
                true
            }
        });
    }
}

impl<'p> From<&'p Keep> for Selection<'p> {
    fn from(keep: &'p Keep) -> Self {
        match keep {
            Keep::AsIs => Selection::Keep,
            Keep::Excerpt(excerpt) => Selection::Excerpt(excerpt),
        }
    }
}

fn sort_keys(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if !object.keys().is_sorted() {
                object.sort_keys();
            }
            object.values_mut().for_each(sort_keys);
        }
        Value::Array(items) => items.iter_mut().for_each(sort_keys),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
