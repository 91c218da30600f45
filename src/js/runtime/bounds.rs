//! Bounds on built-in functions that do unbounded work in one step.
//!
//! A script is stopped between the interpreter's steps, never within one: `new Array(2**32 - 1).fill(0)` would keep
//! its thread for minutes, and `"a".repeat(2**30)` ends the process when memory runs out. Such functions get a check in
//! front of them which throws a RangeError instead. They keep their name, length and attributes.

use std::cell::RefCell;

use boa_engine::builtins::typed_array::TypedArray;
use boa_engine::object::FunctionObjectBuilder;
use boa_engine::object::builtins::{JsRegExp, JsTypedArray};
use boa_engine::property::{PropertyDescriptor, PropertyKey};
use boa_engine::{
    Context, JsArgs, JsError, JsNativeError, JsObject, JsResult, JsString, JsSymbol, JsValue,
    NativeFunction, js_string,
};

use crate::js::value;

/// How long arrays may be that a built-in function walks.
const ARRAY_LENGTH_MAX: u64 = 5_000_000;
/// How long typed arrays may be that are sorted or made a text: that is more work per element.
const SORTED_LENGTH_MAX: usize = 1_000_000;
/// How many elements or characters are listed as members.
const MEMBERS_MAX: usize = 1_000_000;
/// How many arguments a function may be applied to.
const ARGUMENTS_MAX: u64 = 200_000;
/// How long texts may be that a built-in function makes of shorter ones, in UTF-16 units.
const TEXT_LENGTH_MAX: usize = 32 << 20;
/// The same for replacements, whose length is only estimated: most of what they could be is never used.
const REPLACED_LENGTH_MAX: usize = 8 * TEXT_LENGTH_MAX;
/// How deep values may nest that a built-in function recurses into.
const DEPTH_MAX: usize = 500;
/// How many values such a function may visit.
const VALUES_MAX: usize = 500_000;

type Check = fn(&JsValue, &[JsValue], &mut Context) -> JsResult<()>;

/// Those of `Array.prototype` that visit each index, be there an element or not.
const WALKS: [&str; 30] = [
    "concat",
    "copyWithin",
    "every",
    "fill",
    "filter",
    "find",
    "findIndex",
    "findLast",
    "findLastIndex",
    "flat",
    "flatMap",
    "forEach",
    "includes",
    "indexOf",
    "lastIndexOf",
    "map",
    "reduce",
    "reduceRight",
    "reverse",
    "shift",
    "slice",
    "some",
    "sort",
    "splice",
    "toReversed",
    "toSorted",
    "toSpliced",
    "unshift",
    "with",
    "toLocaleString",
];

/// Those of `Object` that go through all members of what they are given.
const LISTS: [&str; 10] = [
    "assign",
    "entries",
    "freeze",
    "getOwnPropertyDescriptors",
    "getOwnPropertyNames",
    "isFrozen",
    "isSealed",
    "keys",
    "seal",
    "values",
];

/// Puts the checks in front of the built-in functions.
///
/// # Errors
/// None, unless a built-in function is missing its name.
pub(super) fn install(context: &mut Context) -> JsResult<()> {
    let constructors = context.intrinsics().constructors();
    let array = constructors.array().prototype();
    let array_constructor = constructors.array().constructor();
    let string = constructors.string().prototype();
    let string_constructor = constructors.string().constructor();
    let function = constructors.function().prototype();
    let typed = constructors.typed_array().prototype();
    let object_constructor = constructors.object().constructor();
    for name in WALKS {
        guard(&array, name, walks_array, context)?;
    }
    replace(&array, "join", join, context)?;
    guard(&array_constructor, "from", copies_array_like, context)?;
    replace(&string, "repeat", repeat, context)?;
    guard(&string, "padStart", pads, context)?;
    guard(&string, "padEnd", pads, context)?;
    guard(&string, "replaceAll", replaces_all, context)?;
    guard(&string, "replace", replaces, context)?;
    guard(&string_constructor, "raw", makes_raw, context)?;
    guard(&function, "apply", applies_to_second, context)?;
    for name in ["sort", "toSorted", "join", "toLocaleString"] {
        guard(&typed, name, walks_typed_array, context)?;
    }
    for name in LISTS {
        guard(&object_constructor, name, lists_members, context)?;
    }
    let global = context.global_object();
    guard_of(&global, "Reflect", "ownKeys", lists_members, context)?;
    guard_of(&global, "Reflect", "apply", applies_to_third, context)?;
    guard_of(&global, "Reflect", "construct", applies_to_second, context)?;
    guard_of(&global, "JSON", "stringify", makes_json, context)?;
    guard(&global, "structuredClone", clones, context)?;
    // It would make the thread sleep.
    let atomics = value::own_data(&global, &js_string!("Atomics").into());
    if let Some(atomics) = atomics.and_then(|atomics| atomics.as_object()) {
        atomics.delete_property_or_throw(js_string!("wait"), context)?;
    }
    Ok(())
}

fn guard_of(
    global: &JsObject,
    object: &str,
    name: &str,
    check: Check,
    context: &mut Context,
) -> JsResult<()> {
    let object = value::own_data(global, &JsString::from(object).into());
    match object.and_then(|object| object.as_object()) {
        Some(object) => guard(&object, name, check, context),
        None => Ok(()),
    }
}

/// Puts a check in front of a method.
fn guard(object: &JsObject, name: &str, check: Check, context: &mut Context) -> JsResult<()> {
    let Some(original) = method(object, name) else {
        return Ok(());
    };
    let checked = NativeFunction::from_copy_closure_with_captures(
        move |this, args, original: &JsObject, context| {
            check(this, args, context)?;
            original.call(this, args, context)
        },
        original.clone(),
    );
    put(object, name, &original, checked, context)
}

/// Puts another implementation in the place of a method.
fn replace(
    object: &JsObject,
    name: &str,
    implementation: fn(&JsValue, &[JsValue], &mut Context) -> JsResult<JsValue>,
    context: &mut Context,
) -> JsResult<()> {
    let Some(original) = method(object, name) else {
        return Ok(());
    };
    let function = NativeFunction::from_fn_ptr(implementation);
    put(object, name, &original, function, context)
}

pub(super) fn method(object: &JsObject, name: &str) -> Option<JsObject> {
    value::own_data(object, &JsString::from(name).into())?.as_object()
}

pub(super) fn put(
    object: &JsObject,
    name: &str,
    original: &JsObject,
    function: NativeFunction,
    context: &mut Context,
) -> JsResult<()> {
    let length = value::array_length(original);
    let name = JsString::from(name);
    let function = FunctionObjectBuilder::new(context.realm(), function)
        .name(name.clone())
        .length(usize::try_from(length).unwrap_or_default())
        .build();
    let key = PropertyKey::from(name);
    let enumerable = value::own_property(object, &key).is_some_and(|old| old.expect_enumerable());
    let property = PropertyDescriptor::builder()
        .value(function)
        .writable(true)
        .enumerable(enumerable)
        .configurable(true);
    object.define_property_or_throw(key, property, context)?;
    Ok(())
}

fn too_much(what: &'static str) -> JsError {
    JsNativeError::range().with_message(what).into()
}

fn too_long() -> JsError {
    too_much("the array is too long for this")
}

fn text_too_long() -> JsError {
    too_much("the text would be too long")
}

/// The length of an array, or of what is used like one.
fn length_of(value: &JsValue, context: &mut Context) -> JsResult<u64> {
    let Some(object) = value.as_object() else {
        return Ok(0);
    };
    if object.is_array() {
        return Ok(value::array_length(&object));
    }
    let length = object.get(js_string!("length"), context)?;
    length.to_length(context)
}

fn walks_array(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<()> {
    let mut length = length_of(this, context)?;
    // What `concat` adds, and cheap for the others.
    for array in args.iter().filter_map(JsValue::as_object) {
        if array.is_array() {
            length = length.saturating_add(value::array_length(&array));
        }
    }
    if length > ARRAY_LENGTH_MAX {
        return Err(too_long());
    }
    Ok(())
}

fn walks_typed_array(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<()> {
    let array = this
        .as_object()
        .and_then(|object| JsTypedArray::from_object(object).ok());
    match array {
        Some(array) if array.length(context)? > SORTED_LENGTH_MAX => Err(too_long()),
        _ => Ok(()),
    }
}

/// The elements of typed arrays and the characters of texts are members, each of which is made a text.
fn lists_members(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<()> {
    for value in args {
        let characters = value.as_string().map(|text| text.len());
        let elements = match value.as_object() {
            Some(object) if object.is::<TypedArray>() => {
                Some(JsTypedArray::from_object(object)?.length(context)?)
            }
            Some(object) => object.downcast_ref::<JsString>().map(|text| text.len()),
            None => None,
        };
        if characters.or(elements).unwrap_or_default() > MEMBERS_MAX {
            return Err(too_much("the object has too many members"));
        }
    }
    Ok(())
}

/// What is iterated calls the interpreter for each element; what only has a length does not.
fn copies_array_like(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<()> {
    let Some(items) = args.get_or_undefined(0).as_object() else {
        return Ok(());
    };
    if !items.is_array()
        && !items
            .get(JsSymbol::iterator(), context)?
            .is_null_or_undefined()
    {
        return Ok(());
    }
    if length_of(&items.into(), context)? > ARRAY_LENGTH_MAX {
        return Err(too_long());
    }
    Ok(())
}

fn applies_to_second(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<()> {
    bounded_arguments(args.get_or_undefined(1), context)
}

fn applies_to_third(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<()> {
    bounded_arguments(args.get_or_undefined(2), context)
}

fn bounded_arguments(list: &JsValue, context: &mut Context) -> JsResult<()> {
    if length_of(list, context)? > ARGUMENTS_MAX {
        return Err(too_much("too many arguments"));
    }
    Ok(())
}

fn makes_raw(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<()> {
    let Some(template) = args.get_or_undefined(0).as_object() else {
        return Ok(());
    };
    let raw = template.get(js_string!("raw"), context)?;
    if length_of(&raw, context)? > ARRAY_LENGTH_MAX {
        return Err(too_long());
    }
    Ok(())
}

fn pads(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<()> {
    if args.get_or_undefined(0).to_length(context)? > TEXT_LENGTH_MAX as u64 {
        return Err(text_too_long());
    }
    Ok(())
}

/// `String.prototype.repeat` (ECMA-262 section 22.1.3.18). The interpreter's own takes 24 bytes per repetition besides.
fn repeat(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = this.require_object_coercible()?.to_string(context)?;
    let count = args.get_or_undefined(0).to_integer_or_infinity(context)?;
    let count = match count.as_integer() {
        Some(count) if count >= 0 => count.unsigned_abs(),
        _ => return Err(too_much("the count of repetitions is negative or infinite")),
    };
    if text.is_empty() || count == 0 {
        return Ok(js_string!().into());
    }
    let length = (text.len() as u64).saturating_mul(count);
    if length > TEXT_LENGTH_MAX as u64 {
        return Err(text_too_long());
    }
    let count = usize::try_from(count).unwrap_or_default();
    let units = text.to_vec();
    let ascii: Option<Vec<u8>> = units
        .iter()
        .map(|unit| u8::try_from(*unit).ok().filter(u8::is_ascii))
        .collect();
    // Texts of one byte per character are stored as such.
    let repeated = match ascii.as_deref().map(std::str::from_utf8) {
        Some(Ok(ascii)) => JsString::from(ascii.repeat(count)),
        _ => JsString::from(units.repeat(count).as_slice()),
    };
    Ok(repeated.into())
}

/// The longest that a replacement can get for one match: `` $` `` and `$'` stand for what is around the match.
fn longest_replacement(text: &JsString, replacement: &JsString) -> usize {
    let dollars = replacement
        .iter()
        .filter(|unit| *unit == u16::from(b'$'))
        .count();
    replacement
        .len()
        .saturating_add(dollars.saturating_mul(text.len()))
}

fn replaces(this: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<()> {
    let (Some(text), Some(replacement)) = (this.as_string(), args.get_or_undefined(1).as_string())
    else {
        return Ok(());
    };
    let pattern = args.get_or_undefined(0).as_object();
    let matches = if pattern.is_some_and(|pattern| JsRegExp::from_object(pattern).is_ok()) {
        // It may be a global one, and match anywhere.
        most_matches(&text, &replacement)
    } else {
        1
    };
    bounded_replacement(&text, matches, longest_replacement(&text, &replacement))
}

/// How often a pattern of unknown kind is reckoned with: texts below a megabyte whose replacement is short are not worth
/// looking at, and no page has so many marks to replace by long ones.
fn most_matches(text: &JsString, replacement: &JsString) -> usize {
    const LONG: usize = 64;
    if replacement.len() < LONG {
        text.len() + 1
    } else {
        text.len() / LONG + 1
    }
}

fn replaces_all(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<()> {
    let (Some(text), Some(replacement)) = (this.as_string(), args.get_or_undefined(1).as_string())
    else {
        return Ok(());
    };
    let Some(pattern) = args.get_or_undefined(0).as_string() else {
        return replaces(this, args, context);
    };
    let longest = longest_replacement(&text, &replacement);
    bounded_replacement(&text, occurrences(&text, &pattern, longest), longest)
}

/// How often a pattern occurs, at most: counted only where that matters.
fn occurrences(text: &JsString, pattern: &JsString, longest: usize) -> usize {
    let most = text.len() / pattern.len().max(1) + 1;
    if pattern.is_empty() || most.saturating_mul(longest) <= REPLACED_LENGTH_MAX {
        return most;
    }
    let (text, pattern) = (text.to_vec(), pattern.to_vec());
    let (mut rest, mut count) = (text.as_slice(), 0);
    while let Some((_, after)) = rest.split_first() {
        rest = match rest.strip_prefix(pattern.as_slice()) {
            Some(after) => {
                count += 1;
                after
            }
            None => after,
        };
    }
    count
}

fn bounded_replacement(text: &JsString, matches: usize, longest: usize) -> JsResult<()> {
    let length = matches.saturating_mul(longest).saturating_add(text.len());
    if length > REPLACED_LENGTH_MAX {
        return Err(text_too_long());
    }
    Ok(())
}

thread_local! {
    /// The arrays that are being joined, each within the one before: arrays in arrays become texts by it.
    static JOINED: RefCell<Vec<JsObject>> = const { RefCell::new(Vec::new()) };
}

/// `Array.prototype.join` (ECMA-262 section 23.1.3.18), with an end to its result's length and its recursion.
fn join(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    struct Within;
    impl Drop for Within {
        fn drop(&mut self) {
            JOINED.with_borrow_mut(Vec::pop);
        }
    }
    let array = this.to_object(context)?;
    let length = length_of(&array.clone().into(), context)?;
    let separator = match args.get_or_undefined(0) {
        separator if separator.is_undefined() => js_string!(","),
        separator => separator.to_string(context)?,
    };
    let separators = length
        .saturating_sub(1)
        .saturating_mul(separator.len() as u64);
    if length > ARRAY_LENGTH_MAX || separators > TEXT_LENGTH_MAX as u64 {
        return Err(too_long());
    }
    let (depth, cyclic) = JOINED.with_borrow(|joined| {
        let within = |above: &JsObject| JsObject::equals(above, &array);
        (joined.len(), joined.iter().any(within))
    });
    if cyclic {
        return Ok(js_string!().into());
    }
    if depth >= DEPTH_MAX {
        return Err(too_much("arrays nest too deeply"));
    }
    JOINED.with_borrow_mut(|joined| joined.push(array.clone()));
    let _within = Within;
    let mut parts = Vec::new();
    let mut total = 0usize;
    for index in 0..length {
        if index > 0 && !separator.is_empty() {
            parts.push(separator.clone());
        }
        let item = array.get(index, context)?;
        if item.is_null_or_undefined() {
            continue;
        }
        let text = item.to_string(context)?;
        total = total.saturating_add(text.len() + separator.len());
        if total > TEXT_LENGTH_MAX {
            return Err(text_too_long());
        }
        parts.push(text);
    }
    let parts: Vec<_> = parts.iter().map(JsString::as_str).collect();
    Ok(JsString::concat_array(&parts).into())
}

fn makes_json(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<()> {
    Visit::new(false).value(args.get_or_undefined(0), context)
}

fn clones(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<()> {
    Visit::new(true).value(args.get_or_undefined(0), context)
}

/// Walks plain data for its depth and size. What is cyclic is the function's own to tell.
struct Visit {
    above: Vec<JsObject>,
    left: usize,
    /// How much text may come yet.
    characters: usize,
    /// Whether typed arrays are taken as a whole.
    whole_typed_arrays: bool,
}

impl Visit {
    fn new(whole_typed_arrays: bool) -> Self {
        Self {
            above: Vec::new(),
            left: VALUES_MAX,
            characters: TEXT_LENGTH_MAX,
            whole_typed_arrays,
        }
    }

    fn value(&mut self, value: &JsValue, context: &mut Context) -> JsResult<()> {
        if let Some(text) = value.as_string() {
            // A clone shares it.
            let added = if self.whole_typed_arrays {
                0
            } else {
                text.len()
            };
            let left = self.characters.checked_sub(added);
            self.characters = left.ok_or_else(text_too_long)?;
            return Ok(());
        }
        match value.as_object() {
            Some(object) => self.object(&object, context),
            None => Ok(()),
        }
    }

    fn object(&mut self, object: &JsObject, context: &mut Context) -> JsResult<()> {
        let within = |above: &JsObject| JsObject::equals(above, object);
        if self.above.iter().any(within) {
            return Ok(());
        }
        if self.above.len() >= DEPTH_MAX {
            return Err(too_much("the value nests too deeply"));
        }
        self.spend(1)?;
        if let Ok(array) = JsTypedArray::from_object(object.clone()) {
            let length = array.length(context)?;
            return if self.whole_typed_arrays {
                Ok(())
            } else {
                self.spend(length)
            };
        }
        self.above.push(object.clone());
        if object.is_array() {
            let length = value::array_length(object);
            self.spend(usize::try_from(length).unwrap_or(usize::MAX))?;
            for index in 0..u32::try_from(length).unwrap_or_default() {
                if let Some(child) = value::own_data(object, &index.into()) {
                    self.value(&child, context)?;
                }
            }
        } else {
            let keys = value::own_keys(object, context);
            self.spend(keys.len())?;
            for key in keys {
                if let Some(child) = value::own_data(object, &key) {
                    self.value(&child, context)?;
                }
            }
        }
        self.above.pop();
        Ok(())
    }

    fn spend(&mut self, values: usize) -> JsResult<()> {
        let left = self.left.checked_sub(values);
        self.left = left.ok_or_else(|| too_much("the value is too large"))?;
        Ok(())
    }
}
