//! From a filter's text to a condition, with a cache in between.

use std::sync::Arc;

use super::condition::{Condition, Sort};
use super::request::RequestValues;
use crate::filter::SortKey;
use crate::model::{Collection, Schema};
use crate::store::Error;

/// What a filter is compiled against.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub schema: &'a Schema,
    /// Whose rows are filtered.
    pub collection: &'a Arc<Collection>,
    /// Without a request, `@request.*` is null.
    pub request: Option<&'a RequestValues<'a>>,
    /// Whether hidden fields, hidden e-mail addresses and collections without a list rule may be read. Rules may, clients may not.
    pub allow_hidden: bool,
}

/// One of several texts that are compiled together.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub text: &'a str,
    /// As [`Scope::allow_hidden`], for this text.
    pub allow_hidden: bool,
}

/// Compiles filters and sorts; keeps what it compiled.
#[derive(Debug, Default)]
pub struct Compiler {}

impl Compiler {
    /// Compiles one filter.
    ///
    /// # Errors
    /// [`Error::Filter`] with the reason.
    pub fn compile(&self, text: &str, scope: &Scope<'_>) -> Result<Condition, Error> {
        let _ = (text, scope);
        Err(Error::Filter("filters are not available yet".to_owned()))
    }

    /// Compiles sort keys.
    ///
    /// # Errors
    /// [`Error::Filter`] with the reason.
    pub fn compile_sort(&self, keys: &[SortKey], scope: &Scope<'_>) -> Result<Sort, Error> {
        let _ = (keys, scope);
        Err(Error::Filter("sorts are not available yet".to_owned()))
    }

    /// Compiles the filters and the sort of a list together: as in PocketBase, they share the related rows they speak of.
    ///
    /// # Errors
    /// [`Error::Filter`] with the reason.
    pub fn compile_list(
        &self,
        parts: &[Part<'_>],
        sort: &[SortKey],
        scope: &Scope<'_>,
    ) -> Result<(Condition, Sort), Error> {
        let _ = (parts, sort, scope);
        Err(Error::Filter("filters are not available yet".to_owned()))
    }
}
