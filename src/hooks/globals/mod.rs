//! What scripts can use: natives in Rust, and the classes above them in JavaScript (`prelude/`).
//!
//! Both are made once, in a scope of their own, and every script and module gets them by reference. Each file of this
//! folder adds natives to the object `host` that the prelude's files are called with: `(function (host, api) { ... })`.
//! What they put into `api` are the globals. All of it is frozen, so that scripts cannot change it for each other.

mod apis;
mod app;
mod auth;
pub(super) mod bytes;
pub(super) mod cron;
mod data;
mod dates;
mod db;
mod files;
pub(super) mod filesystem;
mod http;
mod info;
mod log;
pub(super) mod mail;
mod models;
pub(super) mod modules;
mod os;
mod plain;
mod pubsub;
mod realtime;
mod registration;
mod request;
mod response;
mod security;
pub(super) mod storage;
mod template;
mod upkeep;
mod utils;

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use boa_engine::object::ObjectInitializer;
use boa_engine::object::builtins::JsFunction;
use boa_engine::property::{Attribute, PropertyKey};
use boa_engine::{
    Context, JsNativeError, JsObject, JsResult, JsString, JsValue, NativeFunction, js_string,
};

use super::world::{World, world};
use super::{collection, event, failure, record};
use crate::js::error::ScriptError;
use crate::js::scope::Scope;
use crate::js::thread::{Current, Turn};

/// A native as the prelude calls it.
pub(super) type NativeCall = fn(&JsValue, &[JsValue], &mut Context) -> JsResult<JsValue>;

/// Natives of one area: name, number of parameters, function.
pub(super) type Natives = &'static [(&'static str, usize, NativeCall)];

/// The script time of building the API, which is no script's work.
const BUILD_BUDGET: Duration = Duration::from_secs(60);

/// The files of the prelude in their order: name and text.
const PRELUDE: &[(&str, &str)] = &[
    ("internal:errors.js", include_str!("../prelude/errors.js")),
    ("internal:models.js", include_str!("../prelude/models.js")),
    (
        "internal:datetime.js",
        include_str!("../prelude/datetime.js"),
    ),
    ("internal:record.js", include_str!("../prelude/record.js")),
    (
        "internal:collection.js",
        include_str!("../prelude/collection.js"),
    ),
    ("internal:dbx.js", include_str!("../prelude/dbx.js")),
    ("internal:app.js", include_str!("../prelude/app.js")),
    ("internal:readers.js", include_str!("../prelude/readers.js")),
    ("internal:values.js", include_str!("../prelude/values.js")),
    ("internal:buffer.js", include_str!("../prelude/buffer.js")),
    (
        "internal:realtime.js",
        include_str!("../prelude/realtime.js"),
    ),
    ("internal:event.js", include_str!("../prelude/event.js")),
    ("internal:router.js", include_str!("../prelude/router.js")),
    ("internal:files.js", include_str!("../prelude/files.js")),
    (
        "internal:security.js",
        include_str!("../prelude/security.js"),
    ),
    ("internal:http.js", include_str!("../prelude/http.js")),
    ("internal:os.js", include_str!("../prelude/os.js")),
    ("internal:mail.js", include_str!("../prelude/mail.js")),
    ("internal:storage.js", include_str!("../prelude/storage.js")),
    ("internal:upkeep.js", include_str!("../prelude/upkeep.js")),
    (
        "internal:template.js",
        include_str!("../prelude/template.js"),
    ),
    (
        "internal:register.js",
        include_str!("../prelude/register.js"),
    ),
    ("internal:log.js", include_str!("../prelude/log.js")),
    ("internal:data.js", include_str!("../prelude/data.js")),
    (
        "internal:services.js",
        include_str!("../prelude/services.js"),
    ),
    // The last one.
    ("internal:freeze.js", include_str!("../prelude/freeze.js")),
];

/// The natives by the name of the object that holds them: `host.<area>.<name>`.
const AREAS: &[(&str, Natives)] = &[
    ("event", EVENT),
    ("record", record::NATIVES),
    ("collection", collection::NATIVES),
    ("models", models::NATIVES),
    ("db", db::NATIVES),
    ("dates", dates::NATIVES),
    ("info", info::NATIVES),
    ("failure", failure::NATIVES),
    ("register", registration::NATIVES),
    ("log", log::NATIVES),
    ("app", app::NATIVES),
    ("request", request::NATIVES),
    ("response", response::NATIVES),
    ("file", filesystem::NATIVES),
    ("security", security::NATIVES),
    ("http", http::NATIVES),
    ("apis", apis::NATIVES),
    ("os", os::NATIVES),
    ("mail", mail::NATIVES),
    ("files", files::NATIVES),
    ("template", template::NATIVES),
    ("data", data::NATIVES),
    ("pubsub", pubsub::NATIVES),
    ("realtime", realtime::NATIVES),
    ("modules", modules::NATIVES),
    ("storage", storage::NATIVES),
    ("cron", cron::NATIVES),
    ("auth", auth::NATIVES),
    ("utils", utils::NATIVES),
    ("upkeep", upkeep::NATIVES),
];

const EVENT: Natives = &[
    ("get", 1, event::get),
    ("slot", 2, event::slot),
    ("next", 0, event::next),
    ("kind", 0, event::kind),
    ("tags", 0, event::tags),
    ("hasRequest", 0, event::has_request),
];

/// The API that all scopes of the thread share.
pub(super) struct Shared {
    /// Keeps the functions' own scope alive.
    _scope: Rc<Scope>,
    globals: Vec<(PropertyKey, JsValue)>,
    pub(super) event_prototype: JsObject,
    pub(super) record_prototype: JsObject,
    pub(super) collection_prototype: JsObject,
    /// `(ms)` -> a date.
    pub(super) make_date: JsFunction,
    /// `(text)` -> the value of a JSON field.
    pub(super) make_raw: JsFunction,
    /// Of the engine's error inside an error that scripts catch.
    pub(super) go_value_prototype: JsObject,
    pub(super) file_prototype: JsObject,
    /// A script's message -> its parts, and back.
    pub(super) mail_parts: JsFunction,
    pub(super) make_mail: JsFunction,
    /// `(status, message, data)` -> an error object of the API.
    pub(super) make_error: JsFunction,
}

impl Shared {
    /// Builds the API.
    ///
    /// # Errors
    /// When the prelude is broken.
    pub(super) fn build(turn: &mut Turn<'_>, world: &Rc<World>) -> Result<Self, ScriptError> {
        let scope = world
            .bare_scope(&turn.thread, "api")
            .map_err(|error| ScriptError::new(error.to_string()))?;
        let owner = Rc::clone(&scope);
        let current = Current {
            scope: Some(Rc::clone(&scope)),
            ..Current::default()
        };
        turn.enter_as(&scope, current, Some(BUILD_BUDGET), |context| {
            let api = JsObject::with_object_proto(context.intrinsics());
            let host = natives(context).map_err(|error| owner.describe(&error, context))?;
            for (name, text) in PRELUDE {
                let file = owner.evaluate(Path::new(name), text, context)?;
                let file = file
                    .as_function()
                    .ok_or_else(|| ScriptError::new(format!("{name} is no function")))?;
                let arguments = [host.clone().into(), api.clone().into()];
                file.call(&JsValue::undefined(), &arguments, context)
                    .map_err(|error| owner.describe(&error, context))?;
            }
            Self::collect(Rc::clone(&owner), &host, &api, context)
                .map_err(|error| owner.describe(&error, context))
        })
    }

    fn collect(
        scope: Rc<Scope>,
        host: &JsObject,
        api: &JsObject,
        context: &mut Context,
    ) -> JsResult<Self> {
        let mut globals = Vec::new();
        for key in api.own_property_keys(context)? {
            globals.push((key.clone(), api.get(key, context)?));
        }
        let object = |name: &str, context: &mut Context| -> JsResult<JsObject> {
            let value = host.get(JsString::from(name), context)?;
            value.as_object().ok_or_else(|| {
                JsNativeError::typ()
                    .with_message(format!("the prelude gives no {name}"))
                    .into()
            })
        };
        let callable = |name: &str, context: &mut Context| -> JsResult<JsFunction> {
            JsFunction::from_object(object(name, context)?).ok_or_else(|| {
                JsNativeError::typ()
                    .with_message(format!("the prelude's {name} is no function"))
                    .into()
            })
        };
        Ok(Self {
            _scope: scope,
            globals,
            event_prototype: object("eventPrototype", context)?,
            record_prototype: object("recordPrototype", context)?,
            file_prototype: object("filePrototype", context)?,
            go_value_prototype: object("goValuePrototype", context)?,
            collection_prototype: object("collectionPrototype", context)?,
            make_date: callable("makeDate", context)?,
            make_raw: callable("makeRaw", context)?,
            mail_parts: callable("mailParts", context)?,
            make_mail: callable("makeMail", context)?,
            make_error: callable("makeError", context)?,
        })
    }

    /// Gives a scope the API as globals.
    ///
    /// # Errors
    /// When the global object refuses one.
    pub(super) fn install(&self, context: &mut Context) -> JsResult<()> {
        for (key, value) in &self.globals {
            context.register_global_property(
                key.clone(),
                value.clone(),
                Attribute::WRITABLE | Attribute::CONFIGURABLE,
            )?;
        }
        let global = context.global_object();
        let hooks = world()?.options.hooks.hooks_dir.clone();
        let hooks = JsString::from(hooks.to_string_lossy().as_ref());
        for (name, value) in [
            ("self", JsValue::from(global.clone())),
            ("global", global.into()),
            ("__hooks", hooks.into()),
        ] {
            context.register_global_property(
                JsString::from(name),
                value,
                Attribute::WRITABLE | Attribute::CONFIGURABLE,
            )?;
        }
        Ok(())
    }
}

/// The object `host` of the prelude.
fn natives(context: &mut Context) -> JsResult<JsObject> {
    let host = JsObject::with_object_proto(context.intrinsics());
    for (area, functions) in AREAS {
        let mut object = ObjectInitializer::new(context);
        for (name, length, function) in *functions {
            object.function(
                NativeFunction::from_fn_ptr(*function),
                JsString::from(*name),
                *length,
            );
        }
        let object = object.build();
        host.set(JsString::from(*area), object, true, context)?;
    }
    let events = boa_engine::object::builtins::JsArray::from_iter(
        super::names::EVENTS
            .iter()
            .map(|(name, _)| JsString::from(*name).into()),
        context,
    );
    host.set(js_string!("events"), events, true, context)?;
    Ok(host)
}
