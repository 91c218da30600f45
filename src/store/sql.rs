//! A statement and its bound parameters.

use std::sync::Arc;

use crate::model::Value;

/// SQL text with `?` placeholders and the values to bind, in order.
///
/// The text is made by this layer only; values from outside always go into `args`. Name the columns of a SELECT: a
/// prepared `SELECT *` keeps its old columns when another connection changes the table.
#[derive(Clone, Debug)]
pub struct Sql {
    pub(in crate::store) text: Arc<str>,
    pub(in crate::store) args: Vec<Value>,
    /// Whether the statement stays prepared after its first use.
    pub(in crate::store) cached: bool,
}

impl Sql {
    pub(in crate::store) fn new(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            args: Vec::new(),
            cached: true,
        }
    }

    /// Appends one bound value.
    #[must_use]
    pub(in crate::store) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.args.push(value.into());
        self
    }

    /// For texts that hardly come again, such as those with a table definition in them.
    #[must_use]
    pub(in crate::store) fn uncached(mut self) -> Self {
        self.cached = false;
        self
    }
}
