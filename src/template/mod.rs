//! Templates in the language of Go's `html/template`, which scripts write pages and mails with.
//!
//! Actions, pipelines, variables, conditions, loops, named templates and the usual functions (package documentation of
//! `text/template`); values are escaped for the place where they stand: text, attribute, URL, script or style
//! (`html/template`). The escaper follows the text as it is written, so that a value can never change its own context.

mod escape;
mod functions;
mod lexer;
mod parser;
mod print;
mod run;
#[cfg(test)]
mod tests;
mod value;

pub use run::Host;
pub use value::Value;

use std::collections::BTreeMap;

use self::parser::Node;

/// Why a template cannot be read or written out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template: {0}")]
pub struct Error(String);

impl Error {
    /// An error of a function or value of the host.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Templates that know each other by name.
#[derive(Clone, Debug, Default)]
pub struct Template {
    named: BTreeMap<String, Vec<Node>>,
    root: String,
}

impl Template {
    /// Reads texts with their names; the first is what is written out.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Error> {
        let mut template = Self::default();
        for (name, text) in texts {
            if template.root.is_empty() {
                name.clone_into(&mut template.root);
            }
            let nodes = parser::parse(text, &mut template.named)?;
            // A file that only defines templates does not take the place of another of its name.
            if nodes.iter().any(Node::is_something) || !template.named.contains_key(name) {
                template.named.insert(name.to_owned(), nodes);
            }
        }
        Ok(template)
    }

    /// Writes the first text out with this data.
    ///
    /// # Errors
    /// What a function refuses, a name that is unknown, an output beyond the limit.
    pub fn render(&self, data: &Value, host: &mut dyn Host) -> Result<String, Error> {
        run::render(&self.named, &self.root, data, host)
    }
}
