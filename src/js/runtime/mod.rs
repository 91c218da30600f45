//! What the global scope of a script has beside the language itself.
//!
//! Everything here is native, and made anew for each context: a context is made per script and per reload.

mod bounds;
pub(super) mod console;
mod crypto;
mod date;
mod generators;
mod hooks;
mod url;

use boa_engine::{Context, JsResult};

pub use console::format_values;
pub use hooks::{Hooks, Rejections};

/// Installs it all into a fresh context.
///
/// # Errors
/// A name that is taken already.
pub fn install(context: &mut Context) -> JsResult<()> {
    url::install(context)?;
    boa_runtime::text::register(None, context)?;
    boa_runtime::base64::register(None, context)?;
    boa_runtime::clone::register(None, context)?;
    boa_runtime::microtask::register(None, context)?;
    crypto::install(context)?;
    date::install(context)?;
    bounds::install(context)?;
    generators::install(context)?;
    Ok(())
}

#[cfg(test)]
mod tests;
