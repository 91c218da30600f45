//! What the global scope of a script has beside the language itself.
//!
//! Everything here is native, and made anew for each context: a context is made per script and per reload.

pub(super) mod console;
mod hooks;

use boa_engine::{Context, JsResult};

pub use console::format_values;
pub use hooks::{Hooks, Rejections};

/// Installs it all into a fresh context.
///
/// # Errors
/// A name that is taken already.
pub fn install(context: &mut Context) -> JsResult<()> {
    boa_runtime::url::Url::register(None, context)?;
    boa_runtime::text::register(None, context)?;
    boa_runtime::base64::register(None, context)?;
    boa_runtime::clone::register(None, context)?;
    boa_runtime::microtask::register(None, context)?;
    Ok(())
}
