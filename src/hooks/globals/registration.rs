//! Functions that scripts register: handlers of events, routes, subscriptions, jobs.

use boa_engine::object::builtins::{JsArray, JsFunction};
use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsValue, js_string};

use super::Natives;
use crate::engine::crons::Schedule;
use crate::hooks::allowance::Allowance;
use crate::hooks::names;
use crate::hooks::router::{Action, Middleware, Route};
use crate::hooks::world::{Registration, World, world};

pub(super) const NATIVES: Natives = &[
    ("event", 3, event),
    ("route", 4, route),
    ("use", 1, use_all),
    ("cron", 3, cron),
    ("uncron", 1, uncron),
    ("command", 2, command),
    ("topic", 2, topic),
    ("untopic", 1, untopic),
    ("migrate", 2, crate::hooks::migrations::migrate),
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
    let length = Allowance::default().length(array.length(context)?)?;
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
    let (kinds, of_collections): (Vec<_>, Vec<_>) = kinds
        .iter()
        .partition(|kind| !(name.starts_with("Model") && names::is_of_collections(**kind)));
    // The tags of model events are names of tables, and that of collections is one for all.
    if !of_collections.is_empty()
        && (tags.is_empty() || tags.iter().any(|tag| tag == "_collections"))
    {
        let function = std::sync::Arc::clone(&function);
        world.register(|_| {
            Ok(Registration::Event {
                kinds: of_collections,
                tags: Vec::new(),
                function,
            })
        })?;
    }
    world.register(|_| {
        Ok(Registration::Event {
            kinds,
            tags,
            function,
        })
    })?;
    Ok(JsValue::undefined())
}

/// `route(method, path, handler, middlewares)`; a middleware is `{priority, kind, value}`.
fn route(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let method = text(args.get_or_undefined(0), context)?;
    let path = text(args.get_or_undefined(1), context)?;
    let handler = function(args.get_or_undefined(2))?;
    let mut route = Route::new(&method, &path)
        .map_err(|error| JsNativeError::error().with_message(error.to_string()))?;
    let world = world()?;
    route.middlewares = middlewares(&world, args.get_or_undefined(3), context)?;
    route.handler = Some(world.keep(handler)?);
    world.register(|_| Ok(Registration::Route(route)))?;
    Ok(JsValue::undefined())
}

/// `use(middlewares)`: middlewares around all requests.
fn use_all(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let world = world()?;
    let list = middlewares(&world, args.get_or_undefined(0), context)?;
    world.register(|_| Ok(Registration::Middlewares(list)))?;
    Ok(JsValue::undefined())
}

fn middlewares(world: &World, value: &JsValue, context: &mut Context) -> JsResult<Vec<Middleware>> {
    let mut middlewares = Vec::new();
    for one in list(value, context)? {
        let object = one
            .as_object()
            .ok_or_else(|| JsNativeError::typ().with_message("a middleware is expected"))?;
        let priority = object.get(js_string!("priority"), context)?;
        #[expect(clippy::cast_possible_truncation, reason = "priorities are small")]
        let priority = priority.to_number(context).unwrap_or_default() as i64;
        let kind = object.get(js_string!("kind"), context)?;
        let value = object.get(js_string!("value"), context)?;
        let action = match text(&kind, context)?.as_str() {
            "requireAuth" => Action::RequireAuth(
                list(&value, context)?
                    .iter()
                    .map(|name| text(name, context))
                    .collect::<JsResult<_>>()?,
            ),
            "requireGuest" => Action::RequireGuest,
            "requireOwner" => Action::RequireOwner(text(&value, context)?),
            "bodyLimit" => Action::BodyLimit(value.to_length(context)?),
            "skipActivityLog" => Action::SkipActivityLog,
            "gzip" => Action::Gzip,
            _ => Action::Script(world.keep(function(&value)?)?),
        };
        middlewares.push(Middleware { priority, action });
    }
    Ok(middlewares)
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

/// `command(name, function)`: a command of the command line; its function gets the list of arguments.
fn command(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args.get_or_undefined(0), context)?;
    let callable = function(args.get_or_undefined(1))?;
    let world = world()?;
    let function = world.keep(callable)?;
    world.register(|_| Ok(Registration::Command { name, function }))?;
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
