//! What modules of the server give scripts: global objects such as `social` and `marketplace`.
//!
//! A module implements [`ScriptApi`]; the script room offers what it is handed at the start and knows nothing of modules.
//! Functions take and give plain JSON.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value as Json;

use super::{Engine, Error};
use crate::store::Tx;

/// A call of a module's function by a script.
pub struct ApiCall<'a> {
    pub engine: &'a Engine,
    /// The transaction that the script runs in: everything must use it then. It holds the writer, so waiting for
    /// another transaction would never end.
    pub tx: Option<&'a mut Tx>,
    /// The arguments; missing ones are missing or `null`.
    pub arguments: Vec<Json>,
}

/// A function that scripts call. What it fails with reaches the script as `{"error": message}`.
pub type ApiFunction =
    Arc<dyn for<'a> Fn(ApiCall<'a>) -> BoxFuture<'a, Result<Json, Error>> + Send + Sync>;

/// What a module gives scripts: a global object of functions.
pub trait ScriptApi: Send + Sync {
    /// The object's name, such as `social`. Several may share one; a later function replaces an earlier one.
    fn name(&self) -> &'static str;

    /// The functions by name.
    fn functions(&self) -> Vec<(&'static str, ApiFunction)>;
}
