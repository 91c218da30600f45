//! Templates of scripts.

use std::path::PathBuf;

use boa_engine::property::PropertyKey;
use boa_engine::{Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue};

use super::Natives;
use super::os::check_allowed;
use super::registration::{list, text};
use super::request::pairs_of;
use crate::hooks::allowance::Allowance;
use crate::hooks::encode;
use crate::hooks::world::world;
use crate::template::{Error, Host, Template, Value};

pub(super) const NATIVES: Natives = &[("load", 1, load), ("render", 3, render)];

/// How deep data nests.
const DEPTH_MAX: usize = 64;

/// `load(path)`: a template's text. Files outside of the folders of scripts need the operator's leave.
fn load(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let path = text(args.get_or_undefined(0), context)?;
    let failed = |error: std::io::Error| {
        JsNativeError::error().with_message(format!("open {path}: {error}"))
    };
    let real = std::fs::canonicalize(&path).map_err(failed)?;
    let world = world()?;
    let hooks = &world.options.hooks;
    let folders = [&hooks.hooks_dir, &hooks.modules_dir];
    let inside = folders
        .iter()
        .filter_map(|folder| std::fs::canonicalize::<&PathBuf>(folder).ok())
        .any(|folder| real.starts_with(folder));
    if !inside {
        check_allowed("reading templates outside of the folders of scripts")?;
    }
    let content = std::fs::read_to_string(&real).map_err(failed)?;
    Ok(JsString::from(content).into())
}

/// `render(texts, data, functions)`: texts are `[name, text]`, the first one is written out.
fn render(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let texts = pairs_of(args.get_or_undefined(0), context)?;
    let pairs = texts
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let failed = |error: Error| JsNativeError::error().with_message(error.to_string());
    let template = Template::parse(pairs).map_err(failed)?;
    let mut lender = Lender {
        values: Vec::new(),
        left: Allowance::default(),
        functions: args.get_or_undefined(2).as_object(),
        context,
    };
    let data = lender.lend(args.get_or_undefined(1), 0).map_err(failed)?;
    let page = template.render(&data, &mut lender).map_err(failed)?;
    Ok(JsString::from(page).into())
}

/// Lends a template the script's functions and objects.
struct Lender<'a> {
    values: Vec<JsValue>,
    left: Allowance,
    functions: Option<JsObject>,
    context: &'a mut Context,
}

fn told(error: &boa_engine::JsError) -> Error {
    Error::new(error.to_string())
}

impl Lender<'_> {
    /// A script's value for the template: plain ones are copied, objects of classes stay where they are.
    fn lend(&mut self, value: &JsValue, depth: usize) -> Result<Value, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::new("the data nests too deeply"));
        }
        self.left.value().map_err(|error| told(&error))?;
        let Some(object) = value.as_object() else {
            let json = encode::to_json(value, self.context).map_err(|error| told(&error))?;
            return Ok(json.into());
        };
        if object.is_array() {
            let items = list(value, self.context).map_err(|error| told(&error))?;
            let items = items.iter().map(|item| self.lend(item, depth + 1));
            return Ok(Value::List(items.collect::<Result<_, _>>()?));
        }
        if !is_plain(&object) {
            self.values.push(value.clone());
            return Ok(Value::Handle(self.values.len() - 1));
        }
        let keys = object
            .own_property_keys(self.context)
            .map_err(|error| told(&error))?;
        let mut members = std::collections::BTreeMap::new();
        for key in keys {
            if matches!(key, PropertyKey::Symbol(_)) {
                continue;
            }
            let value = object
                .get(key.clone(), self.context)
                .map_err(|error| told(&error))?;
            members.insert(key.to_string(), self.lend(&value, depth + 1)?);
        }
        Ok(Value::Map(members))
    }

    fn take(&mut self, value: &Value) -> Result<JsValue, Error> {
        use boa_engine::object::builtins::JsArray;
        Ok(match value {
            Value::Nil => JsValue::null(),
            Value::Bool(flag) => (*flag).into(),
            #[expect(clippy::cast_precision_loss, reason = "as everywhere in scripts")]
            Value::Int(number) => (*number as f64).into(),
            Value::Float(number) => (*number).into(),
            Value::Text(text) | Value::Html(text) => JsString::from(text.as_str()).into(),
            Value::Handle(handle) => self.values.get(*handle).cloned().unwrap_or_default(),
            Value::List(items) => {
                let items = items.iter().map(|item| self.take(item));
                let items = items.collect::<Result<Vec<_>, _>>()?;
                JsArray::from_iter(items, self.context).into()
            }
            Value::Map(members) => {
                let object = JsObject::with_object_proto(self.context.intrinsics());
                for (name, member) in members {
                    let member = self.take(member)?;
                    object
                        .set(JsString::from(name.as_str()), member, true, self.context)
                        .map_err(|error| told(&error))?;
                }
                object.into()
            }
        })
    }

    fn apply(
        &mut self,
        function: &JsObject,
        this: &JsValue,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        let arguments = arguments
            .iter()
            .map(|argument| self.take(argument))
            .collect::<Result<Vec<_>, _>>()?;
        let value = function
            .call(this, &arguments, self.context)
            .map_err(|error| told(&error))?;
        self.lend(&value, 0)
    }
}

/// Whether an object is one of braces, of whichever script: its prototype is the last of its chain.
fn is_plain(object: &JsObject) -> bool {
    !object.is_callable()
        && object
            .prototype()
            .is_none_or(|prototype| prototype.prototype().is_none())
}

impl Host for Lender<'_> {
    fn has_function(&self, name: &str) -> bool {
        let key = PropertyKey::from(JsString::from(name));
        self.functions
            .as_ref()
            .is_some_and(|functions| functions.borrow().properties().contains_key(&key))
    }

    fn call(&mut self, name: &str, arguments: &[Value]) -> Result<Value, Error> {
        let unknown = || Error::new(format!("function {name:?} not defined"));
        let functions = self.functions.clone().ok_or_else(unknown)?;
        let function = functions
            .get(JsString::from(name), self.context)
            .map_err(|error| told(&error))?;
        let function = function.as_callable().ok_or_else(unknown)?;
        self.apply(&function, &JsValue::undefined(), arguments)
    }

    fn member(&mut self, handle: usize, name: &str, arguments: &[Value]) -> Result<Value, Error> {
        let value = self.values.get(handle).cloned().unwrap_or_default();
        let unknown = || Error::new(format!("can't evaluate field {name}"));
        let object = value.as_object().ok_or_else(unknown)?;
        for name in [name.to_owned(), script_name(name)] {
            let member = object
                .get(JsString::from(name), self.context)
                .map_err(|error| told(&error))?;
            if let Some(method) = member.as_callable() {
                return self.apply(&method, &value, arguments);
            }
            if !member.is_undefined() {
                return self.lend(&member, 0);
            }
        }
        Err(unknown())
    }

    fn text(&mut self, handle: usize) -> Result<String, Error> {
        let value = self.values.get(handle).cloned().unwrap_or_default();
        let text = value
            .to_string(self.context)
            .map_err(|error| told(&error))?;
        Ok(text.to_std_string_lossy())
    }
}

/// A Go name as scripts have it: `GetString` is `getString`, `Id` is `id`, `JSONField` is `jsonField`.
fn script_name(name: &str) -> String {
    let upper = name.chars().take_while(|c| c.is_uppercase()).count();
    let lowered = match (upper, name.chars().count()) {
        (upper, all) if upper == all => all,
        (0 | 1, _) => upper,
        (upper, _) => upper - 1,
    };
    let chars = name.chars().enumerate();
    chars
        .map(|(index, c)| {
            if index < lowered {
                c.to_ascii_lowercase()
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::script_name;

    #[test]
    fn go_names_become_those_of_scripts() {
        for (go, script) in [
            ("GetString", "getString"),
            ("Id", "id"),
            ("JSONField", "jsonField"),
            ("URL", "url"),
            ("x", "x"),
        ] {
            assert_eq!(script_name(go), script);
        }
    }
}
