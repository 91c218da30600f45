//! Values as text for a log: like Node's `util.inspect`, on one line, and of bounded size. No code of the script runs for
//! it: accessors, proxies and own `toString`s are shown as what they are.

use std::fmt::Write as _;

use boa_engine::builtins::promise::PromiseState;
use boa_engine::object::builtins::{JsDate, JsMap, JsPromise, JsRegExp, JsSet, JsTypedArray};
use boa_engine::property::PropertyKey;
use boa_engine::{Context, JsError, JsObject, JsString, JsValue, JsVariant, js_string};

use crate::js::value;

/// How deep objects are shown in objects.
const DEPTH_MAX: usize = 4;
/// How many elements of one object are shown.
const ITEMS_MAX: usize = 100;
/// How many UTF-16 units of one text within an object are shown.
const TEXT_UNITS_MAX: usize = 2_000;
/// How long the whole text gets, nearly.
const OUTPUT_BYTES_MAX: usize = 32 * 1024;

/// The arguments of a `console` function as one text: texts as they are, other values as [`inspect`] shows them, and
/// the first one's `%s %d %i %f %j %o %O %c %%` replaced (WHATWG Console Standard, section 2.2).
pub fn format_values(values: &[JsValue], context: &mut Context) -> String {
    let mut inspector = Inspector::default();
    let mut rest = values;
    if let Some((first, others)) = values.split_first()
        && let Some(format) = first.as_string()
        && !others.is_empty()
    {
        let used = inspector.format(&shortened(&format, OUTPUT_BYTES_MAX), others, context);
        rest = others.get(used..).unwrap_or_default();
        if !rest.is_empty() {
            inspector.out.push(' ');
        }
    }
    for (index, value) in rest.iter().enumerate() {
        if index > 0 {
            inspector.out.push(' ');
        }
        inspector.plain(value, context);
    }
    inspector.out
}

/// A value as one would write it in a script, as far as that is possible.
pub(crate) fn inspect(value: &JsValue, context: &mut Context) -> String {
    let mut inspector = Inspector::default();
    inspector.value(value, context);
    inspector.out
}

#[derive(Default)]
struct Inspector {
    out: String,
    /// The objects around the one that is shown.
    above: Vec<JsObject>,
}

impl Inspector {
    fn full(&self) -> bool {
        self.out.len() >= OUTPUT_BYTES_MAX
    }

    /// Returns how many of the values were used.
    fn format(&mut self, format: &str, values: &[JsValue], context: &mut Context) -> usize {
        let mut used = 0;
        let mut rest = format;
        while let Some((before, after)) = rest.split_once('%') {
            self.out.push_str(before);
            let specifier = after.chars().next();
            let known = specifier.is_some_and(|specifier| "sdifjoOc".contains(specifier));
            if specifier == Some('%') {
                self.out.push('%');
            } else if let Some(value) = values.get(used).filter(|_| known) {
                self.specified(specifier.unwrap_or('s'), value, context);
                used += 1;
            } else {
                self.out.push('%');
                rest = after;
                continue;
            }
            rest = after.get(1..).unwrap_or_default();
        }
        self.out.push_str(rest);
        used
    }

    fn specified(&mut self, specifier: char, value: &JsValue, context: &mut Context) {
        match specifier {
            's' => self.plain(value, context),
            // Styles are for browsers.
            'c' => {}
            'd' | 'i' | 'f' => {
                let number = match value.variant() {
                    JsVariant::Integer32(number) => f64::from(number),
                    JsVariant::Float64(number) => number,
                    JsVariant::String(text) => text.to_number(),
                    _ => f64::NAN,
                };
                let number = if specifier == 'i' {
                    number.trunc()
                } else {
                    number
                };
                self.value(&number.into(), context);
            }
            'j' => {
                let json = value::to_json(value, context).to_string();
                self.out.push_str(cut(&json, OUTPUT_BYTES_MAX));
            }
            _ => self.value(value, context),
        }
    }

    fn plain(&mut self, value: &JsValue, context: &mut Context) {
        match value.as_string() {
            Some(text) => self.out.push_str(&shortened(&text, OUTPUT_BYTES_MAX)),
            None => self.value(value, context),
        }
    }

    fn value(&mut self, value: &JsValue, context: &mut Context) {
        match value.variant() {
            JsVariant::Object(object) => self.object(&object, context),
            JsVariant::String(text) => self.quoted(&shortened(&text, TEXT_UNITS_MAX)),
            JsVariant::BigInt(number) if number.to_f64().is_infinite() => {
                self.out.push_str("[BigInt]");
            }
            // Primitives: their rendering is the interpreter's own.
            _ => {
                let _ = write!(self.out, "{}", value.display());
            }
        }
    }

    fn quoted(&mut self, text: &str) {
        let quote = if text.contains('\'') { '"' } else { '\'' };
        self.out.push(quote);
        for c in text.chars() {
            match c {
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\\' => self.out.push_str("\\\\"),
                c if c == quote => {
                    self.out.push('\\');
                    self.out.push(c);
                }
                c if c.is_control() => self.out.extend(c.escape_default()),
                c => self.out.push(c),
            }
        }
        self.out.push(quote);
    }

    fn object(&mut self, object: &JsObject, context: &mut Context) {
        if self.full() {
            self.out.push('…');
        } else if value::is_proxy(object) {
            self.out.push_str("[Proxy]");
        } else if object.is_callable() {
            self.function(object);
        } else if self
            .above
            .iter()
            .any(|above| JsObject::equals(above, object))
        {
            self.out.push_str("[Circular]");
        } else if self.above.len() >= DEPTH_MAX {
            let class = value::class_name(object).unwrap_or_else(|| "Object".to_owned());
            let _ = write!(self.out, "[{}]", cut(&class, 100));
        } else {
            self.above.push(object.clone());
            self.contents(object, context);
            self.above.pop();
        }
    }

    fn function(&mut self, function: &JsObject) {
        // The interpreter tells classes from functions; it reads no accessors for it.
        let shown = JsValue::from(function.clone()).display().to_string();
        self.out.push_str(cut(&shown, TEXT_UNITS_MAX));
    }

    fn contents(&mut self, object: &JsObject, context: &mut Context) {
        if object.is_array() {
            self.array(object, context);
        } else if value::is_error(object) {
            self.error(object, context);
        } else if let Ok(date) = JsDate::from_object(object.clone()) {
            let iso = date.to_iso_string(context).ok();
            let iso = iso.and_then(|iso| iso.as_string());
            let iso = iso.map(|iso| iso.to_std_string_lossy());
            self.out.push_str(iso.as_deref().unwrap_or("Invalid Date"));
        } else if JsRegExp::from_object(object.clone()).is_ok() {
            let shown = JsValue::from(object.clone()).display().to_string();
            // The interpreter escapes slashes that are escaped already.
            let shown = shown.replace("\\\\/", "\\/");
            self.out.push_str(cut(&shown, TEXT_UNITS_MAX));
        } else if let Ok(array) = JsTypedArray::from_object(object.clone()) {
            self.typed_array(object, &array, context);
        } else if let Ok(map) = JsMap::from_object(object.clone()) {
            self.map(&map, context);
        } else if let Ok(set) = JsSet::from_object(object.clone()) {
            self.set(&set, context);
        } else if let Ok(promise) = JsPromise::from_object(object.clone()) {
            self.promise(&promise, context);
        } else if let Some(json) = value::host_json(object, context) {
            self.class(object);
            self.value(&json, context);
        } else {
            self.class(object);
            self.properties(object, "{", "}", context);
        }
    }

    fn class(&mut self, object: &JsObject) {
        let prefix = match value::class_name(object) {
            Some(name) if name == "Object" => return,
            Some(name) => name,
            None if object.prototype().is_none() => "[Object: null prototype]".to_owned(),
            None => return,
        };
        let _ = write!(self.out, "{} ", cut(&prefix, 100));
    }

    /// The message and then what the error carries besides.
    fn error(&mut self, error: &JsObject, context: &mut Context) {
        let name = value::text(error, "name").unwrap_or_else(|| "Error".to_owned());
        let message = value::text(error, "message").unwrap_or_default();
        self.out.push_str(cut(&name, 100));
        if !message.is_empty() {
            let _ = write!(self.out, ": {}", cut(&message, TEXT_UNITS_MAX));
        }
        if let Some(cause) = value::own_data(error, &js_string!("cause").into()) {
            self.out.push_str(" [cause]: ");
            self.value(&cause, context);
        }
        let keys = value::own_keys(error, context);
        let extra = keys.iter().any(|key| {
            value::own_property(error, key).is_some_and(|property| property.expect_enumerable())
        });
        if extra {
            self.properties(error, " {", "}", context);
        }
    }

    fn array(&mut self, array: &JsObject, context: &mut Context) {
        let length = value::array_length(array);
        let mut list = List::open("[", &mut self.out);
        let mut holes = 0u64;
        for index in 0..u32::try_from(length).unwrap_or(u32::MAX) {
            // Holes are counted at once, but no more than are worth it.
            if list.items >= ITEMS_MAX || self.full() || index > 10_000 {
                list.more(length - u64::from(index) + holes, &mut self.out);
                holes = 0;
                break;
            }
            let Some(property) = value::own_property(array, &index.into()) else {
                holes += 1;
                continue;
            };
            self.holes(&mut list, &mut holes);
            list.next(&mut self.out);
            match property.value() {
                Some(item) => self.value(item, context),
                None => self.out.push_str("[Getter]"),
            }
        }
        self.holes(&mut list, &mut holes);
        list.close("]", &mut self.out);
    }

    fn holes(&mut self, list: &mut List, holes: &mut u64) {
        if *holes > 0 {
            list.next(&mut self.out);
            let plural = if *holes == 1 { "" } else { "s" };
            let _ = write!(self.out, "<{holes} empty item{plural}>");
            *holes = 0;
        }
    }

    fn typed_array(&mut self, object: &JsObject, array: &JsTypedArray, context: &mut Context) {
        let length = array.length(context).unwrap_or_default();
        let class = value::class_name(object).unwrap_or_else(|| "TypedArray".to_owned());
        let _ = write!(self.out, "{}({length}) ", cut(&class, 100));
        let mut list = List::open("[", &mut self.out);
        for index in 0..length.min(ITEMS_MAX) {
            list.next(&mut self.out);
            let item = array.at(index as i64, context).unwrap_or_default();
            self.value(&item, context);
        }
        list.more(length.saturating_sub(ITEMS_MAX) as u64, &mut self.out);
        list.close("]", &mut self.out);
    }

    fn map(&mut self, map: &JsMap, context: &mut Context) {
        let size = map.get_size(context).ok().and_then(|size| size.as_number());
        let size = size.unwrap_or_default() as usize;
        let mut pairs = Vec::new();
        let _ = map.for_each_native(|key, content| {
            pairs.push((key, content));
            enough(pairs.len())
        });
        let _ = write!(self.out, "Map({size}) ");
        let mut list = List::open("{", &mut self.out);
        for (key, content) in pairs {
            list.next(&mut self.out);
            self.value(&key, context);
            self.out.push_str(" => ");
            self.value(&content, context);
        }
        list.more(size.saturating_sub(list.items) as u64, &mut self.out);
        list.close("}", &mut self.out);
    }

    fn set(&mut self, set: &JsSet, context: &mut Context) {
        let size = set.size();
        let mut items = Vec::new();
        let _ = set.for_each_native(|item| {
            items.push(item);
            enough(items.len())
        });
        let _ = write!(self.out, "Set({size}) ");
        let mut list = List::open("{", &mut self.out);
        for item in items {
            list.next(&mut self.out);
            self.value(&item, context);
        }
        list.more(size.saturating_sub(list.items) as u64, &mut self.out);
        list.close("}", &mut self.out);
    }

    fn promise(&mut self, promise: &JsPromise, context: &mut Context) {
        self.out.push_str("Promise { ");
        match promise.state() {
            PromiseState::Pending => self.out.push_str("<pending>"),
            PromiseState::Fulfilled(value) => self.value(&value, context),
            PromiseState::Rejected(reason) => {
                self.out.push_str("<rejected> ");
                self.value(&reason, context);
            }
        }
        self.out.push_str(" }");
    }

    fn properties(&mut self, object: &JsObject, open: &str, close: &str, context: &mut Context) {
        let keys = value::own_keys(object, context);
        let mut list = List::open(open, &mut self.out);
        for (index, key) in keys.iter().enumerate() {
            let Some(property) = value::own_property(object, key) else {
                continue;
            };
            if !property.expect_enumerable() {
                continue;
            }
            if list.items >= ITEMS_MAX || self.full() {
                list.more((keys.len() - index) as u64, &mut self.out);
                break;
            }
            list.next(&mut self.out);
            self.key(key);
            self.out.push_str(": ");
            match property.value() {
                Some(content) => self.value(content, context),
                None => {
                    let is = |half: Option<&JsValue>| half.is_some_and(|half| !half.is_undefined());
                    self.out
                        .push_str(match (is(property.get()), is(property.set())) {
                            (true, true) => "[Getter/Setter]",
                            (true, false) => "[Getter]",
                            _ => "[Setter]",
                        });
                }
            }
        }
        list.close(close, &mut self.out);
    }

    fn key(&mut self, key: &PropertyKey) {
        match key {
            PropertyKey::Symbol(symbol) => {
                let name = symbol.descriptive_string().to_std_string_lossy();
                let _ = write!(self.out, "[{}]", cut(&name, 100));
            }
            PropertyKey::Index(index) => {
                let _ = write!(self.out, "'{}'", index.get());
            }
            PropertyKey::String(name) => {
                let name = shortened(name, TEXT_UNITS_MAX);
                let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
                if name.chars().all(word) && !name.is_empty() {
                    self.out.push_str(&name);
                } else {
                    self.quoted(&name);
                }
            }
        }
    }
}

/// The commas and brackets of a list.
struct List {
    items: usize,
}

impl List {
    fn open(bracket: &str, out: &mut String) -> Self {
        out.push_str(bracket);
        Self { items: 0 }
    }

    fn next(&mut self, out: &mut String) {
        out.push_str(if self.items == 0 { " " } else { ", " });
        self.items += 1;
    }

    /// Says how many items were left out, if any.
    fn more(&mut self, items: u64, out: &mut String) {
        if items > 0 {
            self.next(out);
            let plural = if items == 1 { "" } else { "s" };
            let _ = write!(out, "... {items} more item{plural}");
        }
    }

    fn close(&mut self, bracket: &str, out: &mut String) {
        if self.items > 0 {
            out.push(' ');
        }
        out.push_str(bracket);
    }
}

/// Ends a native iteration when there are enough items; nobody sees the error.
fn enough(items: usize) -> Result<(), JsError> {
    if items < ITEMS_MAX {
        return Ok(());
    }
    Err(JsError::from_opaque(JsValue::undefined()))
}

/// The beginning of a text, with a sign that it is no more than that.
fn shortened(text: &JsString, units_max: usize) -> String {
    if text.len() <= units_max {
        return text.to_std_string_lossy();
    }
    let mut beginning = text.slice(0, units_max).to_std_string_lossy();
    let _ = write!(beginning, "… {} more characters", text.len() - units_max);
    beginning
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let end = text.floor_char_boundary(bytes_max);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests;
