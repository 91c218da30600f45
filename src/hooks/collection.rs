//! `Collection` as scripts see it. The engine's collection is inside; its members become script values when a script
//! first asks for one, and from then on they are what counts.

use std::cell::RefCell;
use std::sync::Arc;

use boa_engine::{
    Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue, js_string,
};
use serde_json::{Map, Value as Json};

use super::globals::Natives;
use super::record::shared;
use super::values;
use super::world::world;
use crate::js::native::NativeWith;
use crate::model::{Collection, CollectionKind, Field};

pub(super) const NATIVES: Natives = &[
    ("make", 1, make),
    ("basics", 1, basics),
    ("known", 0, known),
    ("members", 0, members),
    ("keep", 1, keep),
    ("isNew", 0, is_new),
    ("markAsNew", 0, mark_as_new),
    ("field", 1, field),
    ("fields", 1, fields),
    ("index", 2, index),
];

/// The host's part of a `Collection` object. The script's part is the members that it has read.
pub(super) struct CollectionObject(RefCell<State>);

struct State {
    collection: Arc<Collection>,
    stored: bool,
}

type Cell = NativeWith<CollectionObject>;

impl CollectionObject {
    /// The object of a stored collection.
    pub(super) fn create(collection: Arc<Collection>) -> JsResult<JsObject> {
        Self::object(collection, true)
    }

    /// The object of a collection that may be about to be made, as events have them.
    pub(super) fn of_event(collection: Arc<Collection>) -> JsResult<JsObject> {
        let stored = world()?.engine.schema().by_id(&collection.id).is_some();
        Self::object(collection, stored)
    }

    fn object(collection: Arc<Collection>, stored: bool) -> JsResult<JsObject> {
        let prototype = shared(|shared| shared.collection_prototype.clone())?;
        let state = RefCell::new(State { collection, stored });
        Ok(NativeWith::object(Some(prototype), Self(state)))
    }

    /// The collection that an object is now, with what a script changed. `None` for other values.
    ///
    /// # Errors
    /// When a script put something into it that a collection cannot hold.
    pub(super) fn collection(
        value: &JsValue,
        context: &mut Context,
    ) -> JsResult<Option<Arc<Collection>>> {
        let Some((base, members)) = on(value, |cell| {
            let base = Arc::clone(&cell.host.0.borrow().collection);
            let members = cell.values.borrow().first().map(|(_, value)| value.clone());
            (base, members)
        }) else {
            return Ok(None);
        };
        let Some(members) = members else {
            return Ok(Some(base));
        };
        let members = values::members(&members, context)?;
        let mut changed = Collection::clone(&base);
        changed.apply_json(&members).map_err(unreadable)?;
        Ok(Some(Arc::new(changed)))
    }

    /// The id under which a collection object is stored. `None` for new ones and other values.
    pub(super) fn stored_id(value: &JsValue) -> Option<String> {
        on(value, |cell| {
            let state = cell.host.0.borrow();
            state.stored.then(|| state.collection.id.clone())
        })?
    }

    pub(super) fn is(value: &JsValue) -> bool {
        on(value, |_| ()).is_some()
    }

    /// Puts what has become of a collection into an object that scripts hold.
    pub(super) fn replace(value: &JsValue, collection: Arc<Collection>, stored: bool) {
        on(value, |cell| {
            *cell.host.0.borrow_mut() = State { collection, stored };
            cell.values.borrow_mut().clear();
        });
    }
}

fn on<R>(value: &JsValue, work: impl FnOnce(&Cell) -> R) -> Option<R> {
    let object = value.as_object()?;
    let cell = object.downcast_ref::<Cell>()?;
    Some(work(&cell))
}

fn expect<R>(this: &JsValue, work: impl FnOnce(&Cell) -> R) -> JsResult<R> {
    on(this, work).ok_or_else(|| JsNativeError::typ().with_message("not a collection").into())
}

fn unreadable(cause: String) -> boa_engine::JsError {
    JsNativeError::typ().with_message(cause).into()
}

/// `make(members)`: a new collection.
fn make(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let mut body = values::members(args.get_or_undefined(0), context)?;
    // As in PocketBase, what cannot be read is left out.
    let collection = loop {
        match Collection::from_body(&body) {
            Ok(collection) => break collection,
            Err(cause) => {
                let name = cause.split([':', '.']).next().unwrap_or_default();
                if body.shift_remove(name).is_none() {
                    break Collection::new(CollectionKind::Base, "");
                }
            }
        }
    };
    Ok(CollectionObject::object(Arc::new(collection), false)?.into())
}

/// `basics(name)`: `id`, `name`, `type` or `system` of a collection that no script has looked into.
fn basics(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = args.get_or_undefined(0).to_string(context)?;
    let name = name.to_std_string_lossy();
    expect(this, |cell| {
        let collection = &cell.host.0.borrow().collection;
        let text = |text: &str| JsValue::from(JsString::from(text));
        match name.as_str() {
            "id" => text(&collection.id),
            "name" => text(&collection.name),
            "type" => text(collection.kind.name()),
            _ => collection.system.into(),
        }
    })
}

/// `known()`: the members, if a script has looked into the collection.
fn known(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    expect(this, |cell| {
        let values = cell.values.borrow();
        values
            .first()
            .map_or_else(JsValue::undefined, |(_, value)| value.clone())
    })
}

/// `members()`: all members with secrets, as plain values.
fn members(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let collection = expect(this, |cell| Arc::clone(&cell.host.0.borrow().collection))?;
    let mut members = collection.to_json();
    members.extend(collection.options_json());
    JsValue::from_json(&Json::Object(members), context)
}

/// `keep(members)`: from now on these count.
fn keep(this: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let members = args.get_or_undefined(0).clone();
    expect(this, |cell| {
        let mut values = cell.values.borrow_mut();
        values.clear();
        values.push((js_string!("members"), members));
    })?;
    Ok(JsValue::undefined())
}

fn is_new(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    expect(this, |cell| !cell.host.0.borrow().stored).map(JsValue::from)
}

/// `markAsNew(new)`.
fn mark_as_new(this: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let new = args.get_or_undefined(0).to_boolean();
    expect(this, |cell| cell.host.0.borrow_mut().stored = !new)?;
    Ok(JsValue::undefined())
}

/// A field of any kind; a member of a wrong type is left out.
fn read_field(mut body: Map<String, Json>) -> Option<Field> {
    loop {
        match Field::from_json(&body) {
            Ok(field) => return Some(field),
            Err(cause) => {
                let name = cause.split([':', '.']).next().unwrap_or_default();
                body.shift_remove(name)?;
            }
        }
    }
}

/// `field(members)`: a field with all members of its type; null when there is no such type.
fn field(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let body = values::members(args.get_or_undefined(0), context)?;
    match read_field(body) {
        Some(field) => JsValue::from_json(&Json::Object(field.to_json()), context),
        None => Ok(JsValue::null()),
    }
}

/// `fields(list)`: the list with the ids and places that its fields get.
fn fields(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let list = values::json(args.get_or_undefined(0), context)?;
    let mut collection = Collection::with_id(CollectionKind::Base, "", "");
    collection.set_fields(Vec::new());
    for item in list.as_array().into_iter().flatten() {
        let field = item.as_object().cloned().and_then(read_field);
        if let Some(field) = field {
            collection.add_field(field);
        }
    }
    JsValue::from_json(&collection.fields_json(), context)
}

/// `index(statement, "name"|"parsed")`: the name of an index by its statement.
fn index(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let statement = args.get_or_undefined(0).to_string(context)?;
    let index = crate::model::collection::index::Index::parse(&statement.to_std_string_lossy());
    Ok(JsString::from(index.name.as_str()).into())
}
