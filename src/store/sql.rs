//! A statement and its bound parameters.

use std::sync::Arc;

use crate::model::Value;

/// SQL text with `?` placeholders and the values to bind, in order.
///
/// The text is made by this layer only; values from outside always go into `args`.
#[derive(Clone, Debug)]
pub struct Sql {
    pub(in crate::store) text: Arc<str>,
    pub(in crate::store) args: Vec<Value>,
}

impl Sql {
    pub(in crate::store) fn new(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            args: Vec::new(),
        }
    }

    /// Appends one bound value.
    #[must_use]
    pub(in crate::store) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.args.push(value.into());
        self
    }
}
