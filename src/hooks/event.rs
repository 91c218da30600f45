//! The object `e` that handlers get.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use boa_engine::object::builtins::JsArray;
use boa_engine::property::PropertyDescriptor;
use boa_engine::{
    Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue, NativeFunction,
    js_string,
};
use boa_gc::GcRefCell;
use serde_json::Value as Json;
use tokio::sync::{mpsc, oneshot};

use super::allowance::Allowance;
use super::collection::CollectionObject;
use super::failure;
use super::globals::mail;
use super::operate::wait_for;
use super::record::RecordObject;
use super::session::ToHost;
use super::values;
use super::world::World;
use crate::engine::Error;
use crate::engine::events::{Event, EventKind, Slot};
use crate::js::native::{Native, NativeWith};
use crate::js::thread::{Thread, Wait};

/// How long `e.next()` waits for the rest of the chain.
const NEXT_MAX: Duration = Duration::from_secs(150);

/// The host's part of `e`. The script's part is what it has read of the event: values that must stay the same objects.
pub(super) struct EventObject {
    kind: EventKind,
    has_request: bool,
    state: RefCell<State>,
}

struct State {
    /// Absent while the rest of the chain has it, and once the handler is through.
    event: Option<Box<Event>>,
    to_host: mpsc::UnboundedSender<ToHost>,
    over: bool,
}

/// Slots that the script has read: names and values.
type Read = GcRefCell<Vec<(JsString, JsValue)>>;

type Cell = NativeWith<EventObject>;

impl EventObject {
    /// The object of an event.
    pub(super) fn create(
        world: &World,
        event: Event,
        to_host: mpsc::UnboundedSender<ToHost>,
        context: &mut Context,
    ) -> JsObject {
        // Among the methods of all events there is one of this name, too.
        let error = event.json("error").and_then(Json::as_str).map(|text| {
            let error = JsNativeError::error().with_message(text.to_owned());
            error.into_opaque(context)
        });
        let prototype = world
            .shared
            .borrow()
            .as_ref()
            .map(|shared| shared.event_prototype.clone());
        let object = NativeWith::object(
            prototype,
            Self {
                kind: event.kind,
                has_request: event.request.is_some(),
                state: RefCell::new(State {
                    event: Some(Box::new(event)),
                    to_host,
                    over: false,
                }),
            },
        );
        if let Some(error) = error {
            let property = PropertyDescriptor::builder()
                .value(error)
                .writable(true)
                .enumerable(true)
                .configurable(true);
            object.insert_property(js_string!("error"), property);
        }
        object
    }

    /// Ends the handler's work: what it changed goes back to its caller with the result.
    pub(super) fn finish(object: &JsObject, result: Result<(), Error>, context: &mut Context) {
        let mut result = result;
        if let Err(error) = write_back(object, context) {
            result = result.and(Err(failure::plain(&error.to_string())));
        }
        let Some(cell) = object.downcast_ref::<Cell>() else {
            return;
        };
        let mut state = cell.host.state.borrow_mut();
        state.over = true;
        if let Some(event) = state.event.take() {
            let _ = state.to_host.send(ToHost::Done(event, result));
        }
    }
}

fn cell_of<R>(this: &JsValue, work: impl FnOnce(&EventObject, &Read) -> R) -> JsResult<R> {
    let object = this.as_object();
    let cell = object
        .as_ref()
        .and_then(|object| object.downcast_ref::<Cell>())
        .ok_or_else(|| JsNativeError::typ().with_message("not an event"))?;
    Ok(work(&cell.host, &cell.values))
}

/// Works on the event of `this`; nothing while the rest of the chain has it, and once the handler is through.
///
/// # Errors
/// A type error where `this` is no event.
pub(super) fn with_event<R>(
    this: &JsValue,
    work: impl FnOnce(&mut Event) -> R,
) -> JsResult<Option<R>> {
    cell_of(this, |cell, _| {
        let mut state = cell.state.borrow_mut();
        state.event.as_deref_mut().map(work)
    })
}

/// `get(name)`: a slot as a script value, always the same one.
pub(super) fn get(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = args.get_or_undefined(0).to_string(context)?;
    read_slot(this, &name, context)
}

fn read_slot(this: &JsValue, name: &JsString, context: &mut Context) -> JsResult<JsValue> {
    let known = cell_of(this, |_, read| {
        let read = read.borrow();
        let found = read.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    })?;
    if let Some(value) = known {
        return Ok(value);
    }
    let text = name.to_std_string_escaped();
    let slot = cell_of(this, |event, _| {
        let state = event.state.borrow();
        let event = state.event.as_ref()?;
        // Events about records name their collection, too.
        let own = || event.collection.clone().filter(|_| text == "collection");
        event
            .get(&text)
            .cloned()
            .or_else(|| own().map(Slot::Collection))
    })?;
    let Some(slot) = slot else {
        return Ok(JsValue::undefined());
    };
    let value = to_js(slot, context)?;
    cell_of(this, |_, read| {
        read.borrow_mut().push((name.clone(), value.clone()))
    })?;
    Ok(value)
}

/// A property of events that stands for a slot.
struct Property {
    name: JsString,
    /// The slot's name where it is another.
    slot: Option<JsString>,
    /// Without the slot it is null, not undefined.
    nullable: bool,
}

/// `slot(name, slot)`: the getter and the setter of a property, as a list. The slot is empty where it is called as the
/// property.
pub(super) fn slot(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = args.get_or_undefined(0).to_string(context)?;
    let slot = args.get_or_undefined(1).to_string(context)?;
    let property = Rc::new(Property {
        // Requests about nobody in particular have no record.
        nullable: name == js_string!("record"),
        slot: Some(slot).filter(|slot| !slot.is_empty()),
        name,
    });
    let getter = NativeFunction::from_copy_closure_with_captures(
        |this, _, property: &Native<Rc<Property>>, context| property.get(this, context),
        Native(Rc::clone(&property)),
    );
    let setter = NativeFunction::from_copy_closure_with_captures(
        |this, args, property: &Native<Rc<Property>>, _| {
            property.set(this, args.get_or_undefined(0).clone())
        },
        Native(property),
    );
    let functions = [getter, setter].map(|function| function.to_js_function(context.realm()));
    let functions = functions.map(JsValue::from);
    Ok(JsArray::from_iter(functions, context).into())
}

impl Property {
    fn get(&self, this: &JsValue, context: &mut Context) -> JsResult<JsValue> {
        if let Some(slot) = &self.slot {
            let value = read_slot(this, slot, context)?;
            if !value.is_undefined() {
                return Ok(value);
            }
        }
        let value = read_slot(this, &self.name, context)?;
        Ok(if self.nullable && value.is_undefined() {
            JsValue::null()
        } else {
            value
        })
    }

    fn set(&self, this: &JsValue, value: JsValue) -> JsResult<JsValue> {
        let name = match &self.slot {
            Some(slot) => {
                let text = slot.to_std_string_escaped();
                let has = with_event(this, |event| event.get(&text).is_some())?;
                if has == Some(true) { slot } else { &self.name }
            }
            None => &self.name,
        };
        put_slot(this, name.clone(), value)?;
        Ok(JsValue::undefined())
    }
}

/// `kind()`: the event's name as in PocketBase, without `on`.
pub(super) fn kind(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let kind = cell_of(this, |cell, _| cell.kind)?;
    Ok(JsString::from(format!("{kind:?}")).into())
}

/// `tags()`: name and id of the event's collection.
pub(super) fn tags(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let collection = with_event(this, |event| event.collection.clone())?.flatten();
    let tags = collection.map(|collection| {
        [&collection.name, &collection.id].map(|tag| JsString::from(tag.as_str()).into())
    });
    Ok(JsArray::from_iter(tags.into_iter().flatten(), context).into())
}

/// `hasRequest()`: whether the event belongs to a request.
pub(super) fn has_request(this: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    Ok(cell_of(this, |cell, _| cell.has_request)?.into())
}

fn put_slot(this: &JsValue, name: JsString, value: JsValue) -> JsResult<()> {
    cell_of(this, |_, read| {
        let mut read = read.borrow_mut();
        match read.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => read.push((name, value)),
        }
    })
}

/// `next()`: runs the rest of the chain and comes back with what it made of the event.
pub(super) fn next(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let object = this
        .as_object()
        .ok_or_else(|| JsNativeError::typ().with_message("not an event"))?;
    write_back(&object, context)?;
    let thread = Thread::of_native()?;
    let chain = thread.chain();
    let (answer, answered) = oneshot::channel();
    let in_writer = thread.on_behalf().in_writer;
    let sent = cell_of(this, |cell, _| {
        let mut state = cell.state.borrow_mut();
        let event = state.event.take()?;
        state
            .to_host
            .send(ToHost::Next(event, chain.clone(), answer))
            .ok()
    })?;
    if sent.is_none() {
        return Err(JsNativeError::error()
            .with_message("the event is over")
            .into());
    }
    let wait = Wait {
        limit: NEXT_MAX,
        serves_others: !in_writer,
    };
    let (event, result) = wait_for(&thread, context, &chain, &wait, answered)?
        .map_err(|_| JsNativeError::error().with_message("the event is over"))?;
    cell_of(this, |cell, _| {
        cell.state.borrow_mut().event = Some(Box::new(event));
    })?;
    refresh(this)?;
    result.map_err(|error| failure::to_js(&error, context))?;
    Ok(JsValue::undefined())
}

/// What the script read and may have changed goes into the slots.
fn write_back(object: &JsObject, context: &mut Context) -> JsResult<()> {
    let this = JsValue::from(object.clone());
    let read: Vec<(JsString, JsValue)> = cell_of(&this, |_, read| read.borrow().clone())?;
    for (name, value) in read {
        let name = name.to_std_string_escaped();
        if write_record(&this, &name, &value)? {
            continue;
        }
        let slot = cell_of(&this, |cell, _| {
            let state = cell.state.borrow();
            state
                .event
                .as_ref()
                .and_then(|event| event.get(&name).cloned())
        })?;
        // A slot that the event does not have is the script's own property.
        let Some(slot) = slot else { continue };
        let slot = from_js(slot, &value, context)?;
        cell_of(&this, |cell, _| {
            let mut state = cell.state.borrow_mut();
            if let Some(known) = state.event.as_mut().and_then(|event| event.get_mut(&name)) {
                *known = slot;
            }
        })?;
    }
    Ok(())
}

/// The commonest case of [`write_back`], without a copy to look at. Gives whether it was that.
fn write_record(this: &JsValue, name: &str, value: &JsValue) -> JsResult<bool> {
    cell_of(this, |cell, _| {
        let mut state = cell.state.borrow_mut();
        let slot = state.event.as_mut().and_then(|event| event.get_mut(name));
        let Some(Slot::Record(known)) = slot else {
            return false;
        };
        if let Some(record) = RecordObject::record(value) {
            **known = record;
        }
        true
    })
}

/// What came of the event goes into the objects that the script holds; what is no object is read anew.
fn refresh(this: &JsValue) -> JsResult<()> {
    cell_of(this, |cell, read| {
        let state = cell.state.borrow();
        let Some(event) = &state.event else { return };
        read.borrow_mut().retain(
            |(name, value)| match event.get(&name.to_std_string_escaped()) {
                Some(Slot::Record(record)) => RecordObject::replace(value, (**record).clone()),
                Some(Slot::Collection(collection)) if CollectionObject::is(value) => {
                    CollectionObject::replace(value, collection.clone(), true);
                    true
                }
                Some(_) => false,
                None => true,
            },
        );
    })
}

fn to_js(slot: Slot, context: &mut Context) -> JsResult<JsValue> {
    Ok(match slot {
        Slot::Record(record) => RecordObject::create(*record)?.into(),
        Slot::Records(records) => {
            let objects = records
                .into_iter()
                .map(|record| RecordObject::create(record).map(JsValue::from))
                .collect::<JsResult<Vec<_>>>()?;
            JsArray::from_iter(objects, context).into()
        }
        Slot::Json(json) => JsValue::from_json(&json, context)?,
        Slot::Collection(collection) => CollectionObject::of_event(collection)?.into(),
        Slot::Collections(collections) => {
            let objects = collections
                .into_iter()
                .map(|collection| CollectionObject::create(collection).map(JsValue::from))
                .collect::<JsResult<Vec<_>>>()?;
            JsArray::from_iter(objects, context).into()
        }
        Slot::Mail(mail) => mail::to_js(&mail, context)?,
    })
}

/// A script value as a slot of the kind that was there.
fn from_js(before: Slot, value: &JsValue, context: &mut Context) -> JsResult<Slot> {
    Ok(match before {
        Slot::Record(_) => match RecordObject::record(value) {
            Some(record) => Slot::Record(Box::new(record)),
            None => before,
        },
        Slot::Records(_) => match value.as_object() {
            Some(list) if list.is_array() => {
                let list = JsArray::from_object(list)?;
                let mut records = Vec::new();
                let length = Allowance::default().length(list.length(context)?)?;
                for index in 0..length {
                    let one = list.get(index, context)?;
                    records.extend(RecordObject::record(&one));
                }
                Slot::Records(records)
            }
            _ => before,
        },
        Slot::Collection(_) => match CollectionObject::collection(value, context)? {
            Some(collection) => Slot::Collection(collection),
            None => before,
        },
        Slot::Collections(_) => match value.as_object() {
            Some(list) if list.is_array() => {
                let list = JsArray::from_object(list)?;
                let mut collections = Vec::new();
                let length = Allowance::default().length(list.length(context)?)?;
                for index in 0..length {
                    let one = list.get(index, context)?;
                    collections.extend(CollectionObject::collection(&one, context)?);
                }
                Slot::Collections(collections)
            }
            _ => before,
        },
        Slot::Json(_) => Slot::Json(values::json(value, context)?),
        Slot::Mail(_) if value.is_object() => Slot::Mail(Box::new(mail::of_js(value, context)?)),
        other => other,
    })
}
