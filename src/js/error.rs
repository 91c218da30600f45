//! What went wrong in a script, and where: errors of the interpreter with positions in the source as it was written.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use boa_engine::builtins::object::OrdinaryObject;
use boa_engine::error::{EngineError, RuntimeLimitError};
use boa_engine::{Context, JsError, JsObject, JsString, JsValue, JsVariant};
use serde_json::Value;

use super::runtime::console;
use super::strip::{LineMap, SyntaxError};
use super::value;
use super::watchdog::Fired;

/// How many characters of a message are kept.
const MESSAGE_CHARS_MAX: usize = 2_000;
/// How much of the interpreter's own rendering of an error is read for its frames.
const RENDERED_BYTES_MAX: usize = 64 * 1024;
/// How deep and how wide a thrown object may be for that.
const RENDERED_DEPTH_MAX: usize = 4;
const RENDERED_ITEMS_MAX: usize = 30;
/// How many frames are kept.
const FRAMES_MAX: usize = 20;

/// The maps of the sources that positions may be in.
pub trait Positions {
    /// The map of a source, by the path that it was given to the interpreter with. `None` if its positions are right.
    fn map_of(&self, path: &str) -> Option<&LineMap>;
}

impl Positions for HashMap<String, LineMap> {
    fn map_of(&self, path: &str) -> Option<&LineMap> {
        self.get(path)
    }
}

/// Where no source has a map.
impl Positions for () {
    fn map_of(&self, _path: &str) -> Option<&LineMap> {
        None
    }
}

/// One call on the stack, innermost first. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The function's name; `<main>` outside of functions.
    pub function: String,
    pub file: String,
    pub line: Option<u32>,
    pub column: Option<u32>,
}

/// Names of sources that no script's author has written begin with this; errors point to who called them.
pub const INTERNAL: &str = "internal:";

impl Frame {
    fn is_internal(&self) -> bool {
        self.file.starts_with(INTERNAL)
    }
}

/// Why a script failed. It holds nothing of the script's heap, so it may go anywhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScriptError {
    /// As `ReferenceError: x is not defined`.
    pub message: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub stack: Vec<Frame>,
    /// What was thrown, as JSON, if it is an object with enumerable properties, as an API error is.
    pub thrown: Option<Box<Value>>,
    /// The limit that the script was stopped at.
    pub fired: Option<Fired>,
}

/// `message (file:line:column)`, as much of it as is known.
impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let Some(file) = &self.file else {
            return match (self.line, self.column) {
                (Some(line), Some(column)) => write!(f, " ({line}:{column})"),
                _ => Ok(()),
            };
        };
        write!(f, " ({file}")?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        f.write_char(')')
    }
}

impl std::error::Error for ScriptError {}

impl ScriptError {
    /// An error without a position, as of the host.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// Of a source that is no script.
    pub fn from_syntax(error: SyntaxError, path: &str) -> Self {
        Self {
            message: format!("SyntaxError: {}", error.message),
            file: Some(path.to_owned()),
            line: Some(error.line),
            column: Some(error.column),
            ..Self::default()
        }
    }

    /// Of what a call threw. None of the script's code runs for it.
    pub fn from_js(error: &JsError, context: &mut Context, positions: &dyn Positions) -> Self {
        let stack = frames(error, context, positions);
        // Endless loops outside of functions have no line; what called them is the next best.
        let written = || stack.iter().filter(|frame| !frame.is_internal());
        let first = written().find(|frame| frame.line.is_some());
        let first = first.or(written().next()).or(stack.first());
        Self {
            message: shortened(message(error, context)),
            file: first.map(|frame| frame.file.clone()),
            line: first.and_then(|frame| frame.line),
            column: first.and_then(|frame| frame.column),
            thrown: error
                .as_opaque()
                .and_then(|value| thrown_json(value, context))
                .map(Box::new),
            fired: None,
            stack,
        }
    }

    /// Of what parsing a script gave: the interpreter tells the position in the text and no file.
    pub fn from_parse(
        error: &JsError,
        context: &mut Context,
        path: &str,
        positions: &dyn Positions,
    ) -> Self {
        let mut parsed = Self::from_js(error, context, positions);
        parsed.stack.clear();
        parsed.file = Some(path.to_owned());
        (parsed.line, parsed.column) = (None, None);
        if let Some((length, line, column)) = position_in(&parsed.message) {
            parsed.message.truncate(length);
            let map = positions.map_of(path);
            let (line, column) = map.map_or((line, column), |map| map.original(line, column));
            (parsed.line, parsed.column) = (Some(line), Some(column));
        }
        parsed
    }

    /// Says which limit the script was stopped at, where it was one of the watchdog's.
    pub fn stopped(mut self, fired: Option<Fired>) -> Self {
        if let Some(fired) = fired {
            self.message = format!("the script was {fired}");
            self.fired = Some(fired);
        }
        self
    }
}

/// The position at the end of the parser's messages: the length of the text before it, line and column.
fn position_in(message: &str) -> Option<(usize, u32, u32)> {
    let (text, position) = message.rsplit_once(" at line ")?;
    let (line, column) = position.split_once(", col ")?;
    // A message that is a SyntaxError of the host's kind has its place after the position.
    let digits = column.bytes().take_while(u8::is_ascii_digit).count();
    let column = column.get(..digits)?;
    Some((text.len(), line.parse().ok()?, column.parse().ok()?))
}

fn message(error: &JsError, context: &mut Context) -> String {
    if let Some(native) = error.as_native() {
        let (kind, text) = (native.kind(), native.message().trim());
        return if text.is_empty() {
            kind.to_string()
        } else {
            format!("{kind}: {text}")
        };
    }
    match error.as_engine() {
        Some(EngineError::RuntimeLimit(RuntimeLimitError::LoopIteration)) => {
            return "the script was stopped".to_owned();
        }
        Some(EngineError::RuntimeLimit(_)) => return "RangeError: too much recursion".to_owned(),
        Some(other) => return format!("InternalError: {other}"),
        None => {}
    }
    match error.as_opaque().map(JsValue::variant) {
        Some(JsVariant::Object(object)) => object_message(&object, context),
        Some(_) => {
            let thrown = error.as_opaque().cloned().unwrap_or_default();
            format!("Uncaught {}", console::inspect(&thrown, context))
        }
        None => "Error".to_owned(),
    }
}

fn object_message(object: &JsObject, context: &mut Context) -> String {
    let text = value::text(object, "message");
    if text.is_none() && !value::is_error(object) {
        let inspected = console::inspect(&object.clone().into(), context);
        return format!("Uncaught {inspected}");
    }
    let text = text.unwrap_or_default();
    let name = value::text(object, "name")
        .filter(|name| !name.is_empty() && name != "Error")
        .or_else(|| value::class_name(object).filter(|name| name != "Object"))
        .unwrap_or_else(|| "Error".to_owned());
    if text.is_empty() {
        return name;
    }
    format!("{name}: {text}")
}

fn thrown_json(thrown: &JsValue, context: &mut Context) -> Option<Value> {
    let object = thrown.as_object()?;
    let json = value::to_json(&object.into(), context);
    let empty = match &json {
        Value::Object(members) => members.is_empty(),
        Value::Null => true,
        _ => false,
    };
    (!empty).then_some(json)
}

fn shortened(mut message: String) -> String {
    if let Some((at, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
        message.truncate(at);
        message.push('…');
    }
    message
}

/// The interpreter shows the stack of an error only as text, after the error itself.
fn frames(error: &JsError, context: &mut Context, positions: &dyn Positions) -> Vec<Frame> {
    let thrown = error.as_opaque();
    if thrown.is_some_and(|thrown| !is_renderable(thrown, RENDERED_DEPTH_MAX, context)) {
        return Vec::new();
    }
    let mut rendered = Bounded::default();
    // It fails when the text would be too long: there are no frames then.
    if write!(rendered, "{error}").is_err() {
        return Vec::new();
    }
    let mut frames: Vec<_> = rendered
        .0
        .rsplit('\n')
        .map_while(|line| line.strip_prefix("    at "))
        .collect();
    frames.reverse();
    let frames = frames
        .into_iter()
        .filter_map(|frame| parse_frame(frame, positions));
    frames.take(FRAMES_MAX).collect()
}

/// Whether the interpreter's rendering of a thrown value comes to an end soon: it has no bounds of its own.
fn is_renderable(thrown: &JsValue, depth: usize, context: &mut Context) -> bool {
    let Some(object) = thrown.as_object() else {
        return true;
    };
    if object.is_callable() || value::is_proxy(&object) {
        return true;
    }
    if value::is_error(&object) {
        let plain = |name: &str| {
            let value = value::data(&object, &JsString::from(name).into());
            value.is_none_or(|value| !value.is_object())
        };
        return plain("name") && plain("message");
    }
    let collection = object.is::<OrdinaryObject>() || object.is_array();
    if depth == 0 || !collection || value::array_length(&object) > RENDERED_ITEMS_MAX as u64 {
        return false;
    }
    let keys = value::own_keys(&object, context);
    keys.len() <= RENDERED_ITEMS_MAX
        && keys.iter().all(|key| {
            let item = value::own_data(&object, key);
            item.is_none_or(|item| is_renderable(&item, depth - 1, context))
        })
}

/// `function (path:line:column)`; `None` for native code.
fn parse_frame(text: &str, positions: &dyn Positions) -> Option<Frame> {
    let (function, place) = text.split_once(" (")?;
    let place = place.strip_suffix(')')?;
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    if place.starts_with("native at ") {
        return None;
    }
    let mut position = line.parse().ok().zip(column.parse().ok());
    if let Some(map) = positions.map_of(file) {
        position = position.map(|(line, column)| map.original(line, column));
    }
    Some(Frame {
        function: function.to_owned(),
        file: file.to_owned(),
        line: position.map(|(line, _)| line),
        column: position.map(|(_, column)| column),
    })
}

/// A text that refuses to grow beyond its bound.
#[derive(Default)]
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > RENDERED_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
