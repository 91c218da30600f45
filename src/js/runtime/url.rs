//! `URLSearchParams` and `URL.prototype.searchParams` (WHATWG URL Standard, sections 5 and 6), which the interpreter's
//! library does not have.

use boa_engine::class::{Class, ClassBuilder};
use boa_engine::object::builtins::{JsArray, JsFunction};
use boa_engine::property::{Attribute, PropertyDescriptor};
use boa_engine::{
    Context, Finalize, JsArgs, JsData, JsError, JsNativeError, JsObject, JsResult, JsString,
    JsSymbol, JsValue, NativeFunction, Trace, js_string,
};
use boa_runtime::url::Url;
use url::form_urlencoded;

use crate::js::value;

/// How many parameters there may be.
const PAIRS_MAX: usize = 100_000;

/// Registers `URL` and `URLSearchParams`.
///
/// # Errors
/// Names that are taken.
pub(super) fn install(context: &mut Context) -> JsResult<()> {
    Url::register(None, context)?;
    context.register_global_class::<SearchParams>()?;
    // Both are enumerable as classes of the library; those of the platform are not.
    let Some(url) = context.get_global_class::<Url>() else {
        return Ok(());
    };
    let getter = NativeFunction::from_fn_ptr(|this, _, context| {
        let url = this.as_object().filter(|url| url.is::<Url>());
        let url = url.ok_or_else(|| type_error("this is no URL"))?;
        let params = SearchParams {
            of: Some(url),
            pairs: Vec::new(),
        };
        Ok(SearchParams::from_data(params, context)?.into())
    });
    let getter = getter.to_js_function(context.realm());
    let property = PropertyDescriptor::builder()
        .get(getter)
        .enumerable(true)
        .configurable(true);
    url.prototype()
        .define_property_or_throw(js_string!("searchParams"), property, context)?;
    Ok(())
}

/// A list of names and values: its own, or that of a URL, which then changes with it.
#[derive(Debug, Trace, Finalize, JsData)]
struct SearchParams {
    of: Option<JsObject>,
    pairs: Vec<(String, String)>,
}

impl SearchParams {
    fn pairs(&self) -> Vec<(String, String)> {
        match self.url() {
            Some(url) => url.query_pairs().into_owned().collect(),
            None => self.pairs.clone(),
        }
    }

    fn url(&self) -> Option<url::Url> {
        let url = self.of.as_ref()?.downcast_ref::<Url>()?.clone();
        Some(url.into())
    }

    fn set(&mut self, pairs: Vec<(String, String)>) -> JsResult<()> {
        if pairs.len() > PAIRS_MAX {
            let error = JsNativeError::range().with_message("too many parameters");
            return Err(error.into());
        }
        let Some(mut url) = self.url() else {
            self.pairs = pairs;
            return Ok(());
        };
        let query = serialized(&pairs);
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
        if let Some(of) = &self.of
            && let Some(mut of) = of.downcast_mut::<Url>()
        {
            *of = url.into();
        }
        Ok(())
    }
}

fn serialized(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

impl Class for SearchParams {
    const NAME: &'static str = "URLSearchParams";
    const ATTRIBUTES: Attribute = Attribute::WRITABLE.union(Attribute::CONFIGURABLE);

    fn data_constructor(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<Self> {
        let mut params = Self {
            of: None,
            pairs: Vec::new(),
        };
        params.set(initial(args.get_or_undefined(0), context)?)?;
        Ok(params)
    }

    fn init(class: &mut ClassBuilder<'_>) -> JsResult<()> {
        let methods: [(&str, usize, Method); 11] = [
            ("append", 2, append),
            ("delete", 1, delete),
            ("get", 1, get),
            ("getAll", 1, get_all),
            ("has", 1, has),
            ("set", 2, set),
            ("sort", 0, sort),
            ("toString", 0, to_string),
            ("forEach", 1, for_each),
            ("keys", 0, keys),
            ("values", 0, values),
        ];
        for (name, length, method) in methods {
            class.method(
                JsString::from(name),
                length,
                NativeFunction::from_fn_ptr(method),
            );
        }
        let realm = class.context().realm().clone();
        let entries = boa_engine::object::FunctionObjectBuilder::new(
            &realm,
            NativeFunction::from_fn_ptr(entries),
        )
        .name(js_string!("entries"))
        .build();
        let size = NativeFunction::from_fn_ptr(|this, _, _| Ok(JsValue::from(read(this)?.len())))
            .to_js_function(&realm);
        let attributes = Attribute::WRITABLE | Attribute::CONFIGURABLE;
        class
            .property(js_string!("entries"), entries.clone(), attributes)
            .property(JsSymbol::iterator(), entries, attributes)
            .property(
                JsSymbol::to_string_tag(),
                js_string!("URLSearchParams"),
                Attribute::CONFIGURABLE,
            )
            .accessor(
                js_string!("size"),
                Some(size),
                None,
                Attribute::CONFIGURABLE,
            );
        Ok(())
    }
}

type Method = fn(&JsValue, &[JsValue], &mut Context) -> JsResult<JsValue>;

/// From a query, from pairs, or from an object's properties.
fn initial(init: &JsValue, context: &mut Context) -> JsResult<Vec<(String, String)>> {
    let Some(object) = init.as_object() else {
        if init.is_undefined() {
            return Ok(Vec::new());
        }
        let query = text(init, context)?;
        let query = query.strip_prefix('?').unwrap_or(&query);
        let pairs = form_urlencoded::parse(query.as_bytes());
        return Ok(pairs.into_owned().collect());
    };
    if let Some(params) = object.downcast_ref::<SearchParams>() {
        return Ok(params.pairs());
    }
    let iterable = !object
        .get(JsSymbol::iterator(), context)?
        .is_null_or_undefined();
    let mut pairs = Vec::new();
    if iterable {
        let from = context.intrinsics().constructors().array().constructor();
        let from = from.get(js_string!("from"), context)?;
        let from = from
            .as_callable()
            .ok_or_else(|| type_error("Array.from is gone"))?;
        let list = from.call(&JsValue::undefined(), std::slice::from_ref(init), context)?;
        let list = list.as_object().ok_or_else(not_pairs)?;
        let length = value::array_length(&list).min(PAIRS_MAX as u64 + 1);
        for index in 0..length {
            let pair = list
                .get(index, context)?
                .as_object()
                .ok_or_else(not_pairs)?;
            let (name, content) = (pair.get(0, context)?, pair.get(1, context)?);
            pairs.push((text(&name, context)?, text(&content, context)?));
        }
        return Ok(pairs);
    }
    for key in object
        .own_property_keys(context)?
        .into_iter()
        .take(PAIRS_MAX + 1)
    {
        let property = value::own_property(&object, &key);
        if matches!(key, boa_engine::property::PropertyKey::Symbol(_))
            || property.is_some_and(|property| !property.expect_enumerable())
        {
            continue;
        }
        let content = object.get(key.clone(), context)?;
        pairs.push((key.to_string(), text(&content, context)?));
    }
    Ok(pairs)
}

fn append(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let mut pairs = read(this)?;
    pairs.push((argument(args, 0, context)?, argument(args, 1, context)?));
    write(this, pairs)
}

fn delete(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = argument(args, 0, context)?;
    let content = optional(args, 1, context)?;
    let mut pairs = read(this)?;
    pairs.retain(|pair| !matches(pair, &name, content.as_deref()));
    write(this, pairs)
}

fn get(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = argument(args, 0, context)?;
    let found = read(this)?.into_iter().find(|pair| pair.0 == name);
    Ok(found.map_or_else(JsValue::null, |pair| JsString::from(pair.1).into()))
}

fn get_all(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = argument(args, 0, context)?;
    let found = read(this)?.into_iter().filter(|pair| pair.0 == name);
    let found: Vec<JsValue> = found.map(|pair| JsString::from(pair.1).into()).collect();
    Ok(JsArray::from_iter(found, context).into())
}

fn has(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = argument(args, 0, context)?;
    let content = optional(args, 1, context)?;
    let found = read(this)?
        .iter()
        .any(|pair| matches(pair, &name, content.as_deref()));
    Ok(found.into())
}

/// The first one of the name gets the value, the others go.
fn set(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (name, content) = (argument(args, 0, context)?, argument(args, 1, context)?);
    let mut pairs = read(this)?;
    let first = pairs.iter().position(|pair| pair.0 == name);
    let mut index = 0;
    pairs.retain(|pair| {
        index += 1;
        pair.0 != name || Some(index - 1) == first
    });
    match first.and_then(|first| pairs.get_mut(first)) {
        Some(pair) => pair.1 = content,
        None => pairs.push((name, content)),
    }
    write(this, pairs)
}

/// By the names' UTF-16 units; values of one name keep their order.
fn sort(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let mut pairs = read(this)?;
    pairs.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
    write(this, pairs)
}

fn to_string(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    Ok(JsString::from(serialized(&read(this)?)).into())
}

fn for_each(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let function = args.get_or_undefined(0).as_object();
    let function = function
        .and_then(JsFunction::from_object)
        .ok_or_else(|| type_error("the argument is no function"))?;
    for (name, content) in read(this)? {
        let arguments = [
            JsString::from(content).into(),
            JsString::from(name).into(),
            this.clone(),
        ];
        function.call(args.get_or_undefined(1), &arguments, context)?;
    }
    Ok(JsValue::undefined())
}

fn keys(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let names = read(this)?.into_iter();
    let names: Vec<JsValue> = names.map(|pair| JsString::from(pair.0).into()).collect();
    iterator(names, context)
}

fn values(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let contents = read(this)?.into_iter();
    let contents: Vec<JsValue> = contents.map(|pair| JsString::from(pair.1).into()).collect();
    iterator(contents, context)
}

fn entries(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let mut entries: Vec<JsValue> = Vec::new();
    for (name, content) in read(this)? {
        let pair = [JsString::from(name).into(), JsString::from(content).into()];
        entries.push(JsArray::from_iter(pair, context).into());
    }
    iterator(entries, context)
}

fn iterator(items: Vec<JsValue>, context: &mut Context) -> JsResult<JsValue> {
    let items = JsArray::from_iter(items, context);
    let values = context.intrinsics().objects().array_prototype_values();
    values.call(&items.into(), &[], context)
}

fn read(this: &JsValue) -> JsResult<Vec<(String, String)>> {
    let object = this.as_object().ok_or_else(not_params)?;
    let params = object
        .downcast_ref::<SearchParams>()
        .ok_or_else(not_params)?;
    Ok(params.pairs())
}

fn write(this: &JsValue, pairs: Vec<(String, String)>) -> JsResult<JsValue> {
    let object = this.as_object().ok_or_else(not_params)?;
    let mut params = object
        .downcast_mut::<SearchParams>()
        .ok_or_else(not_params)?;
    params.set(pairs)?;
    Ok(JsValue::undefined())
}

fn matches(pair: &(String, String), name: &str, content: Option<&str>) -> bool {
    pair.0 == name && content.is_none_or(|content| pair.1 == content)
}

fn argument(args: &[JsValue], index: usize, context: &mut Context) -> JsResult<String> {
    match args.get(index) {
        Some(value) => text(value, context),
        None => Err(type_error("an argument is missing")),
    }
}

fn optional(args: &[JsValue], index: usize, context: &mut Context) -> JsResult<Option<String>> {
    let value = args.get_or_undefined(index);
    if value.is_undefined() {
        return Ok(None);
    }
    text(value, context).map(Some)
}

fn text(value: &JsValue, context: &mut Context) -> JsResult<String> {
    Ok(value.to_string(context)?.to_std_string_lossy())
}

fn not_params() -> JsError {
    type_error("this is no URLSearchParams")
}

fn not_pairs() -> JsError {
    type_error("the argument is no list of pairs")
}

fn type_error(message: &'static str) -> JsError {
    JsNativeError::typ().with_message(message).into()
}
