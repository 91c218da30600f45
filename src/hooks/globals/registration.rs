//! Functions that scripts register: handlers of events, routes, subscriptions, jobs.

use boa_engine::object::builtins::{JsArray, JsFunction};
use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsValue};

use super::Natives;
use crate::engine::crons::Schedule;
use crate::hooks::names;
use crate::hooks::router::Route;
use crate::hooks::world::{Registration, world};

pub(super) const NATIVES: Natives = &[
    ("event", 3, event),
    ("route", 3, route),
    ("cron", 3, cron),
    ("uncron", 1, uncron),
    ("topic", 2, topic),
    ("untopic", 1, untopic),
];

pub(super) fn function(value: &JsValue) -> JsResult<JsFunction> {
    value.as_function().ok_or_else(|| {
        JsNativeError::typ()
            .with_message("a function is expected")
            .into()
    })
}

pub(super) fn text(value: &JsValue, context: &mut Context) -> JsResult<String> {
    Ok(value.to_string(context)?.to_std_string_escaped())
}

/// The members of a list.
pub(super) fn list(value: &JsValue, context: &mut Context) -> JsResult<Vec<JsValue>> {
    let Some(object) = value.as_object().filter(|object| object.is_array()) else {
        return Ok(Vec::new());
    };
    let array = JsArray::from_object(object)?;
    let length = array.length(context)?;
    (0..length).map(|index| array.get(index, context)).collect()
}

/// `event(name, function, tags)`: a handler of PocketBase's event `on<name>`.
fn event(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args.get_or_undefined(0), context)?;
    let Some((_, kinds)) = names::EVENTS.iter().find(|(known, _)| *known == name) else {
        return Err(JsNativeError::typ()
            .with_message(format!("there is no event {name}"))
            .into());
    };
    let callable = function(args.get_or_undefined(1))?;
    let tags = list(args.get_or_undefined(2), context)?
        .iter()
        .map(|tag| text(tag, context))
        .collect::<JsResult<Vec<_>>>()?;
    let world = world()?;
    let function = world.keep(callable)?;
    world.register(|_| {
        Ok(Registration::Event {
            kinds: kinds.to_vec(),
            tags,
            function,
        })
    })?;
    Ok(JsValue::undefined())
}

/// `route(method, path, functions)`: the middlewares and the handler of a route.
fn route(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let method = text(args.get_or_undefined(0), context)?;
    let path = text(args.get_or_undefined(1), context)?;
    let callables = list(args.get_or_undefined(2), context)?
        .iter()
        .map(function)
        .collect::<JsResult<Vec<_>>>()?;
    let world = world()?;
    let functions = callables
        .into_iter()
        .map(|callable| world.keep(callable))
        .collect::<JsResult<Vec<_>>>()?;
    let route = Route::new(&method, &path, functions)
        .map_err(|error| JsNativeError::error().with_message(error.to_string()))?;
    world.register(|_| Ok(Registration::Route(route)))?;
    Ok(JsValue::undefined())
}

/// `cron(id, expression, function)`: a job; one of the same id is replaced.
fn cron(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = text(args.get_or_undefined(0), context)?;
    let expression = text(args.get_or_undefined(1), context)?;
    Schedule::parse(&expression)
        .map_err(|error| JsNativeError::error().with_message(error.to_string()))?;
    let callable = function(args.get_or_undefined(2))?;
    let world = world()?;
    let function = world.keep(callable)?;
    world.unregister(
        |_, known| matches!(known, Registration::Cron { id: known, .. } if *known == id),
    )?;
    world.register(|_| {
        Ok(Registration::Cron {
            id,
            expression,
            function,
        })
    })?;
    Ok(JsValue::undefined())
}

/// `uncron(id)`: ends a job of this script.
fn uncron(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = text(args.get_or_undefined(0), context)?;
    world()?.unregister(
        |_, known| matches!(known, Registration::Cron { id: known, .. } if *known == id),
    )?;
    Ok(JsValue::undefined())
}

/// `topic(name, function)`: subscribes to a topic; gives the number to end it with.
fn topic(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args.get_or_undefined(0), context)?;
    crate::bus::Topic::new(&name)
        .map_err(|error| JsNativeError::typ().with_message(error.to_string()))?;
    let callable = function(args.get_or_undefined(1))?;
    let world = world()?;
    let function = world.keep(callable)?;
    let id = world.register(|_| Ok(Registration::Topic { name, function }))?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "numbers of registrations stay small"
    )]
    Ok(JsValue::from(id as f64))
}

/// `untopic(number)`: ends a subscription of this script.
fn untopic(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = args.get_or_undefined(0).to_length(context)?;
    world()?.unregister(|known, _| known == id)?;
    Ok(JsValue::undefined())
}
