//! Values as text for a log.

use boa_engine::{Context, JsValue};

/// The arguments of a `console` function as one line.
pub fn format_values(values: &[JsValue], context: &mut Context) -> String {
    let texts: Vec<_> = values
        .iter()
        .map(|value| match value.as_string() {
            Some(text) => text.to_std_string_lossy(),
            None => inspect(value, context),
        })
        .collect();
    texts.join(" ")
}

/// A value as one would write it in a script.
pub fn inspect(value: &JsValue, _context: &mut Context) -> String {
    value.display().to_string()
}
