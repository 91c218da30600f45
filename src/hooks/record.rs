//! `Record` as scripts see it: the engine's record inside, fields converted when they are read.

use std::cell::RefCell;
use std::sync::Arc;

use boa_engine::object::builtins::JsArray;
use boa_engine::{
    Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue, js_string,
};
use boa_gc::GcRefCell;
use serde_json::{Map, Value as Json};

use super::allowance::Allowance;
use super::collection::CollectionObject;
use super::globals::filesystem::FileObject;
use super::globals::{Natives, Shared};
use super::values;
use super::world::world;
use crate::base::{DateTime, id, password};
use crate::js::native::NativeWith;
use crate::model::{Collection, ExportView, FieldKind, Record, TokenKind, UploadMode, Value, cast};

pub(super) const NATIVES: Natives = &[
    ("make", 1, make),
    ("get", 1, get),
    ("set", 2, set),
    ("setRaw", 2, set_raw),
    ("getString", 1, get_string),
    ("getInt", 1, get_int),
    ("getFloat", 1, get_float),
    ("getBool", 1, get_bool),
    ("getDateTime", 1, get_date),
    ("getStringSlice", 1, get_list),
    ("getGeoPoint", 1, get_point),
    ("load", 1, load),
    ("isNew", 0, is_new),
    ("markAsNew", 0, mark_as_new),
    ("markAsNotNew", 0, mark_as_not_new),
    ("original", 0, original),
    ("fresh", 0, fresh),
    ("clone", 0, duplicate),
    ("collection", 0, collection),
    ("expandMap", 0, expand_map),
    ("setExpandMap", 1, set_expand_map),
    ("toJSON", 0, to_json),
    ("customData", 0, custom_data),
    ("withCustomData", 1, with_custom_data),
    ("hide", 1, hide),
    ("unhide", 1, unhide),
    ("ignoreEmailVisibility", 1, ignore_email_visibility),
    ("unsavedFiles", 1, unsaved_files),
    ("refreshTokenKey", 0, refresh_token_key),
    ("validatePassword", 1, validate_password),
    ("token", 3, token),
    ("assign", 2, assign),
    ("random", 1, random),
];

/// The host's part of a `Record` object. The script's part is the expanded relations.
pub(super) struct RecordObject(RefCell<State>);

struct State {
    record: Record,
    /// What it was before the script saved it, which `original()` goes on to tell.
    before: Option<Box<Record>>,
}

type Cell = NativeWith<RecordObject>;

/// The name under which an object keeps its expanded relations.
const EXPAND: &str = "expand";

impl RecordObject {
    /// The object of a record.
    pub(super) fn create(record: Record) -> JsResult<JsObject> {
        let prototype = shared(|shared| shared.record_prototype.clone())?;
        let state = State {
            record,
            before: None,
        };
        Ok(NativeWith::object(
            Some(prototype),
            Self(RefCell::new(state)),
        ))
    }

    /// The objects of records, as a list.
    pub(super) fn list(records: Vec<Record>, context: &mut Context) -> JsResult<JsValue> {
        let objects = records
            .into_iter()
            .map(|record| Self::create(record).map(JsValue::from))
            .collect::<JsResult<Vec<_>>>()?;
        Ok(JsArray::from_iter(objects, context).into())
    }

    /// The record of a script value, if it is one.
    pub(super) fn record(value: &JsValue) -> Option<Record> {
        Self::on(value, |state| state.record.clone())
    }

    /// Puts another state of the record into an object that scripts hold. Gives whether it was a record.
    pub(super) fn replace(value: &JsValue, record: Record) -> bool {
        Self::on(value, |state| state.record = record).is_some()
    }

    /// As [`RecordObject::replace`], for what has been saved.
    pub(super) fn saved(value: &JsValue, record: Record) {
        Self::on(value, |state| {
            let before = std::mem::replace(&mut state.record, record);
            if state.before.is_none() {
                state.before = Some(Box::new(before.to_former()));
            }
        });
    }

    /// Works on the record of `this`. The work must not run script code.
    pub(super) fn with<R>(this: &JsValue, work: impl FnOnce(&mut Record) -> R) -> JsResult<R> {
        Self::on(this, |state| work(&mut state.record)).ok_or_else(no_record)
    }

    fn on<R>(value: &JsValue, work: impl FnOnce(&mut State) -> R) -> Option<R> {
        let object = value.as_object()?;
        let cell = object.downcast_ref::<Cell>()?;
        let mut state = cell.host.0.borrow_mut();
        Some(work(&mut state))
    }
}

fn no_record() -> boa_engine::JsError {
    JsNativeError::typ().with_message("not a record").into()
}

/// Takes something of the shared API.
pub(super) fn shared<R>(take: impl FnOnce(&Shared) -> R) -> JsResult<R> {
    let world = world()?;
    let shared = world.shared.borrow();
    shared.as_deref().map(take).ok_or_else(|| {
        JsNativeError::error()
            .with_message("the script API is not set up")
            .into()
    })
}

fn name_of(args: &[JsValue], context: &mut Context) -> JsResult<String> {
    let name = args.get_or_undefined(0).to_string(context)?;
    Ok(name.to_std_string_lossy())
}

/// A date as scripts see it.
pub(super) fn date_object(date: DateTime, context: &mut Context) -> JsResult<JsValue> {
    let make = shared(|shared| shared.make_date.clone())?;
    #[expect(clippy::cast_precision_loss, reason = "dates end with the year 9999")]
    let ms = JsValue::from(date.unix_ms() as f64);
    make.call(&JsValue::undefined(), &[ms], context)
}

/// `make(collection)`: a new record.
fn make(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let collection = CollectionObject::collection(args.get_or_undefined(0), context)?;
    let collection = collection.unwrap_or_else(blank_collection);
    Ok(RecordObject::create(Record::new(collection))?.into())
}

/// What `new Record()` belongs to until a query fills it.
fn blank_collection() -> Arc<Collection> {
    Arc::new(Collection::with_id(
        crate::model::CollectionKind::Base,
        "",
        "",
    ))
}

/// `assign(target, source)`: the target becomes what the source is.
fn assign(_: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let source = RecordObject::record(args.get_or_undefined(1)).ok_or_else(no_record)?;
    RecordObject::replace(args.get_or_undefined(0), source);
    Ok(JsValue::undefined())
}

enum Read {
    Text(String),
    Flag(bool),
    Number(f64),
    Date(DateTime),
    /// JSON text of a field of that type.
    Raw(String),
    Json(Json),
    Files(String),
    Absent,
}

fn read(record: &Record, name: &str) -> Read {
    let Some(index) = record.collection().field_index(name) else {
        return read_other(record, name);
    };
    let kind = record.collection().fields().get(index);
    let kind = kind.map(|field| &field.kind);
    match (record.values().get(index), kind) {
        (Some(Value::Text(text)), Some(FieldKind::Date(_) | FieldKind::Autodate(_))) => {
            Read::Date(DateTime::parse(text).unwrap_or_default())
        }
        (_, Some(FieldKind::Password(_))) => Read::Text(record.plain_password(name).to_owned()),
        (Some(Value::Text(text)), _) => Read::Text(text.clone()),
        (Some(Value::Bool(flag)), _) => Read::Flag(*flag),
        (Some(Value::Number(number)), _) => Read::Number(*number),
        (Some(Value::Json(text)), _) => Read::Raw(text.clone()),
        (Some(value), _) => Read::Json(value.to_json()),
        (None, _) => Read::Absent,
    }
}

/// What is no field: a custom member, a password's hash, files that wait to be stored.
fn read_other(record: &Record, name: &str) -> Read {
    if let Some(field) = name.strip_suffix(":hash") {
        let field = record.collection().field(field);
        if let Some(field) = field.filter(|field| matches!(field.kind, FieldKind::Password(_))) {
            return Read::Text(record.text(&field.name).to_owned());
        }
    }
    for suffix in [":unsaved", ":uploaded"] {
        if let Some(field) = name.strip_suffix(suffix) {
            return Read::Files(field.to_owned());
        }
    }
    record
        .custom(name)
        .cloned()
        .map_or(Read::Absent, Read::Json)
}

/// `get(name)`: a field's value, or that of a custom member.
fn get(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = name_of(args, context)?;
    if name == EXPAND {
        return expand_map(this, &[], context);
    }
    let read = RecordObject::with(this, |record| read(record, &name))?;
    Ok(match read {
        Read::Text(text) => JsString::from(text.as_str()).into(),
        Read::Flag(flag) => flag.into(),
        Read::Number(number) => number.into(),
        Read::Date(date) => date_object(date, context)?,
        Read::Raw(text) => {
            let make = shared(|shared| shared.make_raw.clone())?;
            let text = JsValue::from(JsString::from(text.as_str()));
            make.call(&JsValue::undefined(), &[text], context)?
        }
        Read::Json(json) => JsValue::from_json(&json, context)?,
        Read::Files(field) => files_of(this, &field, context)?,
        Read::Absent => JsValue::null(),
    })
}

/// `set(name, value)`: sets a field, with the modifiers `name+`, `+name` and `name-`, or a custom member.
fn set(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = name_of(args, context)?;
    put(this, &name, args.get_or_undefined(1), context)?;
    Ok(JsValue::undefined())
}

fn put(this: &JsValue, name: &str, value: &JsValue, context: &mut Context) -> JsResult<()> {
    if name == EXPAND {
        return set_expand(this, value);
    }
    if put_files(this, name, value, context)? {
        return Ok(());
    }
    if let Some(text) = value.as_string() {
        // The commonest case without a detour.
        let text = Json::String(text.to_std_string_lossy());
        return RecordObject::with(this, |record| put_json(record, name, text));
    }
    let value = values::json(value, context)?;
    RecordObject::with(this, |record| put_json(record, name, value))
}

fn put_json(record: &mut Record, name: &str, value: Json) {
    let autodate = record
        .collection()
        .field(name)
        .is_some_and(|field| matches!(field.kind, FieldKind::Autodate(_)));
    if autodate {
        // Clients may not, scripts may.
        let field = record.collection().field(name);
        if let Some(value) = field.map(|field| field.cast(&value)) {
            record.set(name, value);
        }
    } else if !record.apply_key(name, &value) {
        record.set_custom(name, value);
    }
}

/// Sets a file field to a value with files in it. Gives whether there were any.
fn put_files(this: &JsValue, name: &str, value: &JsValue, context: &mut Context) -> JsResult<bool> {
    let Some(object) = value.as_object() else {
        return Ok(false);
    };
    let mut items = vec![value.clone()];
    if object.is_array() {
        let array = JsArray::from_object(object)?;
        items.clear();
        let length = Allowance::default().length(array.length(context)?)?;
        for index in 0..length {
            items.push(array.get(index, context)?);
        }
    }
    if !items.iter().any(|item| FileObject::file(item).is_some()) {
        return Ok(false);
    }
    let is_file = RecordObject::with(this, |record| {
        let field = record.collection().field_of_key(name);
        field
            .filter(|field| field.as_file().is_some())
            .map(|field| field.name.clone())
    })?;
    let Some(field) = is_file else {
        return Ok(false);
    };
    let (mut mode, plain) = match crate::model::Modifier::split(name).1 {
        crate::model::Modifier::Append => (UploadMode::Append, false),
        crate::model::Modifier::Prepend => (UploadMode::Prepend, false),
        _ => (UploadMode::Replace, true),
    };
    for item in items {
        match FileObject::file(&item) {
            Some(upload) => RecordObject::with(this, |record| {
                record.add_upload(&field, upload, mode);
            })?,
            None => {
                let kept = Json::String(item.to_string(context)?.to_std_string_lossy());
                let key = match mode {
                    UploadMode::Replace => field.clone(),
                    UploadMode::Append => format!("{field}+"),
                    UploadMode::Prepend => format!("+{field}"),
                };
                RecordObject::with(this, |record| record.apply_key(&key, &kept))?;
            }
        }
        if plain {
            mode = UploadMode::Append;
        }
    }
    Ok(true)
}

/// `setRaw(name, value)`: as `set`, without modifiers.
fn set_raw(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = name_of(args, context)?;
    let value = values::json(args.get_or_undefined(1), context)?;
    RecordObject::with(this, |record| {
        let cast = record
            .collection()
            .field(&name)
            .map(|field| field.cast(&value));
        match cast {
            Some(cast) => record.set(&name, cast),
            None => record.set_custom(&name, value),
        }
    })?;
    Ok(JsValue::undefined())
}

/// What `get` gives, as JSON; a JSON field's text stays a text.
fn plain(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<Json> {
    let name = name_of(args, context)?;
    RecordObject::with(this, |record| match read(record, &name) {
        Read::Text(text) | Read::Raw(text) => Json::String(text),
        Read::Flag(flag) => Json::Bool(flag),
        Read::Number(number) => values::number(number),
        Read::Date(date) => Json::String(date.to_string()),
        Read::Json(json) => json,
        Read::Files(_) | Read::Absent => Json::Null,
    })
}

fn get_string(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = match plain(this, args, context)? {
        list @ (Json::Array(_) | Json::Object(_)) => list.to_string(),
        other => cast::to_text(&other),
    };
    Ok(JsString::from(text.as_str()).into())
}

fn get_int(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let number = cast::to_number(&plain(this, args, context)?);
    Ok(number.trunc().into())
}

fn get_float(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    Ok(cast::to_number(&plain(this, args, context)?).into())
}

fn get_bool(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    Ok(cast::to_flag(&plain(this, args, context)?).into())
}

fn get_date(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let date = match plain(this, args, context)? {
        Json::String(text) => DateTime::parse(&text).unwrap_or_default(),
        Json::Number(number) => number
            .as_i64()
            .and_then(DateTime::from_unix)
            .unwrap_or_default(),
        _ => DateTime::default(),
    };
    date_object(date, context)
}

fn get_list(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let list = cast::to_list(&plain(this, args, context)?);
    let list = list
        .iter()
        .map(|item| JsValue::from(JsString::from(item.as_str())));
    Ok(JsArray::from_iter(list, context).into())
}

fn get_point(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let mut value = plain(this, args, context)?;
    if let Json::String(text) = &value {
        value = serde_json::from_str(text).unwrap_or_default();
    }
    let part = |name: &str| value.get(name).map_or(0.0, cast::to_number);
    let (lon, lat) = (part("lon"), part("lat"));
    let point = JsObject::with_object_proto(context.intrinsics());
    point.set(js_string!("lon"), lon, true, context)?;
    point.set(js_string!("lat"), lat, true, context)?;
    Ok(point.into())
}

/// `load(members)`: sets all of them, in their order.
fn load(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let Some(object) = args.get_or_undefined(0).as_object() else {
        return Ok(JsValue::undefined());
    };
    for key in Allowance::default().keys(&object, context)? {
        let name = JsValue::from(&key);
        if name.is_symbol() {
            continue;
        }
        let name = name.to_string(context)?.to_std_string_lossy();
        let value = object.get(key, context)?;
        put(this, &name, &value, context)?;
    }
    Ok(JsValue::undefined())
}

fn is_new(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    RecordObject::with(this, |record| record.is_new()).map(JsValue::from)
}

fn mark_as_new(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    RecordObject::with(this, |record| record.mark_stored(false))?;
    Ok(JsValue::undefined())
}

fn mark_as_not_new(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    RecordObject::with(this, |record| record.mark_stored(true))?;
    Ok(JsValue::undefined())
}

/// `original()`: the record as it was loaded; a blank one of those that were not.
fn original(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let before = RecordObject::on(this, |state| match &state.before {
        Some(before) => Record::clone(before),
        None => state.record.to_former(),
    });
    Ok(RecordObject::create(before.ok_or_else(no_record)?)?.into())
}

/// `fresh()`: the present values without anything else.
fn fresh(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let copy = RecordObject::with(this, |record| {
        let mut copy = record.clone();
        copy.forget_extras();
        copy
    })?;
    Ok(RecordObject::create(copy)?.into())
}

/// `clone()`: a copy with everything.
fn duplicate(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let record = RecordObject::record(this).ok_or_else(no_record)?;
    let copy = RecordObject::create(record)?;
    if let Some(expand) = expand_of(this) {
        let shallow = JsObject::with_object_proto(context.intrinsics());
        if let Some(expand) = expand.as_object() {
            for key in expand.own_property_keys(context)? {
                let value = expand.get(key.clone(), context)?;
                shallow.set(key, value, true, context)?;
            }
        }
        set_expand(&copy.clone().into(), &shallow.into())?;
    }
    Ok(copy.into())
}

/// `collection()`.
fn collection(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let collection = RecordObject::with(this, |record| Arc::clone(record.collection()))?;
    Ok(CollectionObject::create(collection)?.into())
}

fn values_of<R>(
    this: &JsValue,
    work: impl FnOnce(&GcRefCell<Vec<(JsString, JsValue)>>) -> R,
) -> Option<R> {
    let object = this.as_object()?;
    let cell = object.downcast_ref::<Cell>()?;
    Some(work(&cell.values))
}

fn expand_of(this: &JsValue) -> Option<JsValue> {
    values_of(this, |values| {
        values.borrow().first().map(|(_, value)| value.clone())
    })?
}

fn set_expand(this: &JsValue, expand: &JsValue) -> JsResult<()> {
    values_of(this, |values| {
        let mut values = values.borrow_mut();
        values.clear();
        if expand.is_object() {
            values.push((js_string!("expand"), expand.clone()));
        }
    })
    .ok_or_else(no_record)
}

/// `expandMap()`: the expanded relations; null when there never were any.
fn expand_map(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    Ok(expand_of(this).unwrap_or_else(JsValue::null))
}

fn set_expand_map(this: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    set_expand(this, args.get_or_undefined(0))?;
    Ok(JsValue::undefined())
}

/// The public export of a value that is a record.
pub(super) fn export(
    value: &JsValue,
    context: &mut Context,
) -> JsResult<Option<Map<String, Json>>> {
    let exported = RecordObject::on(value, |state| {
        let view = ExportView::default();
        (state.record.to_json(&view), state.record.shows("expand"))
    });
    let Some((mut members, shows_expand)) = exported else {
        return Ok(None);
    };
    if shows_expand && let Some(expand) = expand_of(value) {
        members.insert(EXPAND.to_owned(), values::json(&expand, context)?);
        members.sort_keys();
    }
    Ok(Some(members))
}

/// `toJSON()`, which is `publicExport()`.
fn to_json(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let members = export(this, context)?.ok_or_else(no_record)?;
    JsValue::from_json(&Json::Object(members), context)
}

fn custom_data(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let members = RecordObject::with(this, |record| record.custom_members().clone())?;
    JsValue::from_json(&Json::Object(members), context)
}

fn with_custom_data(this: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let on = args.get_or_undefined(0).to_boolean();
    RecordObject::with(this, |record| record.export_custom(on))?;
    Ok(this.clone())
}

fn names(args: &[JsValue], context: &mut Context) -> JsResult<Vec<String>> {
    args.iter()
        .map(|name| Ok(name.to_string(context)?.to_std_string_lossy()))
        .collect()
}

fn hide(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let names = names(args, context)?;
    RecordObject::with(this, |record| record.hide(names.iter().map(String::as_str)))?;
    Ok(this.clone())
}

fn unhide(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let names = names(args, context)?;
    RecordObject::with(this, |record| {
        record.unhide(names.iter().map(String::as_str));
    })?;
    Ok(this.clone())
}

fn ignore_email_visibility(this: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let on = args.get_or_undefined(0).to_boolean();
    RecordObject::with(this, |record| record.ignore_email_visibility(on))?;
    Ok(this.clone())
}

/// `unsavedFiles(field)`.
fn unsaved_files(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let field = name_of(args, context)?;
    files_of(this, &field, context)
}

fn files_of(this: &JsValue, field: &str, context: &mut Context) -> JsResult<JsValue> {
    let uploads = RecordObject::with(this, |record| {
        let uploads = record.uploads.iter();
        let of_field = uploads.filter(|upload| upload.field == field);
        of_field.cloned().collect::<Vec<_>>()
    })?;
    let files = uploads
        .into_iter()
        .map(|upload| FileObject::create(upload).map(JsValue::from))
        .collect::<JsResult<Vec<_>>>()?;
    Ok(JsArray::from_iter(files, context).into())
}

fn refresh_token_key(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    RecordObject::with(this, Record::refresh_token_key)?;
    Ok(JsValue::undefined())
}

/// `validatePassword(plain)`. Slow on purpose, as hashes of passwords are.
fn validate_password(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let given = name_of(args, context)?;
    let (plain, hash) = RecordObject::with(this, |record| {
        (
            record.plain_password("password").to_owned(),
            record.text("password").to_owned(),
        )
    })?;
    if !plain.is_empty() {
        return Ok((plain == given).into());
    }
    Ok(password::verify(&hash, &given).into())
}

/// `token(kind, seconds, claims)`: a signed token; 0 seconds stand for the collection's lifetime.
fn token(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let kind = args.get_or_undefined(0).to_string(context)?;
    let kind = kind.to_std_string_lossy();
    let seconds = args.get_or_undefined(1).to_number(context)?;
    let claims = values::members(args.get_or_undefined(2), context)?;
    let kinds = [
        TokenKind::Auth,
        TokenKind::File,
        TokenKind::Verification,
        TokenKind::PasswordReset,
        TokenKind::EmailChange,
    ];
    let kind = kinds.into_iter().find(|known| known.claim() == kind);
    let kind = kind.ok_or_else(|| JsNativeError::typ().with_message("unknown kind of token"))?;
    let lifetime = (seconds > 0.0).then_some(seconds as i64);
    let engine = world()?.engine.clone();
    let signed = RecordObject::with(this, |record| {
        engine.sign_token(record, kind, lifetime, claims)
    })?;
    match signed {
        Ok(token) => Ok(JsString::from(token.as_str()).into()),
        Err(error) => Err(super::failure::to_js(&error, context)),
    }
}

/// `random(length)`: a random text of letters and digits.
fn random(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let length = args.get_or_undefined(0).to_length(context)?;
    let length = usize::try_from(length.min(1000)).unwrap_or_default();
    Ok(JsString::from(id::random_string(length).as_str()).into())
}
