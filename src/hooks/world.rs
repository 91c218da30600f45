//! What the script thread knows: the scripts that run, the modules they share, and the functions the host may call.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use boa_engine::object::builtins::JsFunction;
use boa_engine::property::Attribute;
use boa_engine::{Context, JsNativeError, JsObject, JsResult, JsString, JsValue, js_string};
use regex::Regex;

use super::files::ScriptFile;
use super::globals::Shared;
use super::migrations::Functions;
use super::registry::{EventHandler, Function, Published, Registry, Script};
use super::router::{Middleware, Route};
use super::session::Session;
use super::{Options, crons};
use crate::engine::Engine;
use crate::engine::events::EventKind;
use crate::js::SCRIPT_TARGET;
use crate::js::error::ScriptError;
use crate::js::modules::{self, ModuleOptions, ModuleSet};
use crate::js::scope::{LineMaps, Scope};
use crate::js::thread::{Thread, Turn};

/// Registrations that one script or module may have.
const REGISTRATIONS_MAX: usize = 10_000;

/// What a script or module has registered.
pub(super) enum Registration {
    Event {
        kinds: Vec<EventKind>,
        tags: Vec<String>,
        function: Arc<Function>,
    },
    Topic {
        name: String,
        function: Arc<Function>,
    },
    Route(Route),
    Middlewares(Vec<Middleware>),
    Cron {
        id: String,
        expression: String,
        function: Arc<Function>,
    },
}

/// A loaded script or module: the data of its scope.
pub(super) struct Unit {
    pub(super) script: Arc<Script>,
    pub(super) registrations: RefCell<Vec<(u64, Registration)>>,
    /// Whether what it registers counts at once; while it loads it does not.
    live: Cell<bool>,
}

struct Loaded {
    scope: Rc<Scope>,
    unit: Rc<Unit>,
    modules: Rc<ModuleSet>,
}

/// The data of the script thread.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) options: Options,
    pub(super) published: Published,
    pub(super) shared: RefCell<Option<Rc<Shared>>>,
    maps: LineMaps,
    modules: RefCell<Rc<ModuleSet>>,
    loaded: RefCell<BTreeMap<String, Loaded>>,
    functions: RefCell<HashMap<u64, (JsFunction, Rc<Scope>)>>,
    last_id: Cell<u64>,
    /// What scripts keep about requests, by the number of the request's [`super::keep::Keep`].
    pub(super) kept: RefCell<HashMap<u64, JsObject>>,
    /// The ids of the scripts' scheduled jobs.
    crons: RefCell<Vec<String>>,
    /// What the migration that runs has given to `migrate`.
    pub(super) migration: RefCell<Functions>,
}

/// The world of the thread at hand.
pub(super) fn world() -> JsResult<Rc<World>> {
    let data = Thread::of_native()?.data();
    data.and_then(|data| data.downcast::<World>().ok())
        .ok_or_else(|| {
            JsNativeError::typ()
                .with_message("no scripts are set up")
                .into()
        })
}

/// The session of the call at hand.
pub(super) fn session() -> JsResult<Rc<Session>> {
    let session = Thread::of_native()?.on_behalf().session;
    Ok(session
        .and_then(|session| session.downcast::<Session>().ok())
        .unwrap_or_else(|| Rc::new(Session::plain())))
}

/// The unit that script code runs for.
pub(super) fn unit() -> JsResult<(Rc<Scope>, Rc<Unit>)> {
    let scope = Thread::of_native()?.on_behalf().scope;
    let unit = scope.as_ref().and_then(|scope| scope.data());
    scope
        .zip(unit.and_then(|unit| unit.downcast::<Unit>().ok()))
        .ok_or_else(|| {
            JsNativeError::typ()
                .with_message("only scripts and modules can register functions")
                .into()
        })
}

/// Forgets a function that nobody will call again; a retired script goes with its last one.
pub(super) fn forget_function(turn: &mut Turn<'_>, id: u64) {
    let Some(world) = World::of(turn) else {
        return;
    };
    let forgotten = world.functions.borrow_mut().remove(&id);
    let Some((function, scope)) = forgotten else {
        return;
    };
    drop(function);
    if scope.is_retired() {
        world.bury(&turn.thread, &scope);
    }
}

impl World {
    /// Makes the world of a new script thread and loads everything into it.
    pub(super) fn set_up(
        turn: &mut Turn<'_>,
        engine: Engine,
        options: Options,
        published: Published,
    ) {
        let maps = LineMaps::default();
        let modules = ModuleSet::new(ModuleOptions {
            roots: vec![
                options.hooks.modules_dir.clone(),
                options.hooks.hooks_dir.clone(),
            ],
            allowed: vec![options.hooks.migrations_dir.clone()],
            furnish: Rc::new(furnish_module),
            reporter: Rc::new(report),
            maps: maps.clone(),
        });
        let world = Rc::new(Self {
            engine,
            options,
            published,
            shared: RefCell::default(),
            maps,
            modules: RefCell::new(modules),
            loaded: RefCell::default(),
            functions: RefCell::default(),
            last_id: Cell::new(0),
            kept: RefCell::default(),
            crons: RefCell::default(),
            migration: RefCell::default(),
        });
        turn.thread.set_data(Rc::clone(&world) as Rc<dyn Any>);
        match Shared::build(turn, &world) {
            Ok(shared) => *world.shared.borrow_mut() = Some(Rc::new(shared)),
            Err(error) => tracing::error!("the script API cannot be set up: {error}"),
        }
    }

    /// The world of the thread that a job runs on.
    pub(super) fn of(turn: &Turn<'_>) -> Option<Rc<Self>> {
        turn.thread.data()?.downcast().ok()
    }

    /// A scope that belongs to nobody's file: the shared API, code from the console.
    pub(super) fn bare_scope(&self, thread: &Rc<Thread>, name: &str) -> JsResult<Rc<Scope>> {
        Scope::new(thread, name, Path::new(name), &self.maps, Rc::new(report))
    }

    /// Loads a script into a fresh scope beside the version that runs, if one does.
    fn load(
        self: &Rc<Self>,
        turn: &mut Turn<'_>,
        script: &Arc<Script>,
        modules: &Rc<ModuleSet>,
    ) -> Result<Loaded, ScriptError> {
        let source = fs::read_to_string(&script.path)
            .map_err(|error| ScriptError::new(format!("{}: {error}", script.name)))?;
        let scope = Scope::new(
            &turn.thread,
            &script.id,
            &script.path,
            &self.maps,
            Rc::new(report),
        )
        .map_err(|error| ScriptError::new(error.to_string()))?;
        let unit = Rc::new(Unit {
            script: Arc::clone(script),
            registrations: RefCell::default(),
            live: Cell::new(false),
        });
        scope.set_data(Rc::clone(&unit) as Rc<dyn Any>);
        let result = turn.enter(&scope, None, false, |context| {
            self.furnish(context)
                .and_then(|()| modules::add_require(modules, &script.path, context))
                .map_err(|error| scope.describe(&error, context))?;
            scope.evaluate(&script.path, &source, context)?;
            if calls_main(&source) {
                return Ok(());
            }
            call_main(context).map_err(|error| scope.describe(&error, context))
        });
        if let Err(error) = stopped(turn, &scope, result) {
            scope.kill();
            turn.thread.sweep_timers();
            return Err(error);
        }
        Ok(Loaded {
            scope,
            unit,
            modules: Rc::clone(modules),
        })
    }

    /// Loads these scripts and puts those that load in place of their former versions, all at once; `gone` end. With
    /// `changed` modules, these and what requires them are loaded anew first. Gives the error of each that failed.
    pub(super) fn update(
        self: &Rc<Self>,
        turn: &mut Turn<'_>,
        scripts: &[Arc<Script>],
        gone: &[String],
        changed: &[PathBuf],
    ) -> BTreeMap<String, ScriptError> {
        let modules = if changed.is_empty() {
            Rc::clone(&self.modules.borrow())
        } else {
            self.modules.borrow().without(changed)
        };
        let mut errors = BTreeMap::new();
        let mut fresh = Vec::new();
        for script in scripts {
            match self.load(turn, script, &modules) {
                Ok(loaded) => fresh.push(loaded),
                Err(error) => {
                    script.failed("a script cannot be loaded", &error.to_string());
                    errors.insert(script.id.clone(), error);
                }
            }
        }
        let mut old: Vec<Loaded> = Vec::new();
        {
            let mut loaded = self.loaded.borrow_mut();
            old.extend(gone.iter().filter_map(|id| loaded.remove(id)));
            for one in fresh {
                let script = &one.unit.script;
                let now = self.engine.now();
                script.state(|state| {
                    state.running = true;
                    state.loaded_at = Some(now);
                    state.last_error = None;
                });
                one.unit.live.set(true);
                old.extend(loaded.insert(script.id.clone(), one));
            }
        }
        let before = self.modules.replace(Rc::clone(&modules));
        for scope in modules.scopes() {
            if let Some(unit) = scope.data().and_then(|unit| unit.downcast::<Unit>().ok()) {
                unit.live.set(true);
            }
        }
        self.publish();
        for one in old {
            let script = &one.unit.script;
            if !self.loaded.borrow().contains_key(&script.id) {
                script.state(|state| state.running = false);
            }
            one.scope.retire();
            one.unit.registrations.borrow_mut().clear();
            self.bury(&turn.thread, &one.scope);
        }
        // Modules that only former versions use end with them; those of scripts that failed to load go on.
        if !Rc::ptr_eq(&before, &modules)
            && !self
                .loaded
                .borrow()
                .values()
                .any(|loaded| Rc::ptr_eq(&loaded.modules, &before))
        {
            before.kill_unless_in(&modules);
        }
        turn.thread.sweep_timers();
        errors
    }

    /// Ends a retired scope that no call can reach any more.
    fn bury(&self, thread: &Rc<Thread>, scope: &Rc<Scope>) {
        let reachable = self
            .functions
            .borrow()
            .values()
            .any(|(_, owner)| Rc::ptr_eq(owner, scope));
        if !reachable {
            scope.kill();
            thread.sweep_timers();
        }
    }

    /// Makes what is registered now count, all at once.
    fn publish(&self) {
        let mut registry = Registry::default();
        let mut jobs = Vec::new();
        for unit in self.units() {
            let mut counts = [0; 4];
            for (_, registration) in unit.registrations.borrow().iter() {
                match registration {
                    Registration::Event {
                        kinds,
                        tags,
                        function,
                    } => {
                        counts[0] += 1;
                        for kind in kinds {
                            registry
                                .events
                                .entry(*kind)
                                .or_default()
                                .push(EventHandler {
                                    function: Arc::clone(function),
                                    tags: tags.clone(),
                                });
                        }
                    }
                    Registration::Topic { name, function } => {
                        counts[1] += 1;
                        let functions = registry.topics.entry(name.clone()).or_default();
                        functions.push(Arc::clone(function));
                    }
                    Registration::Route(route) => {
                        counts[2] += 1;
                        registry.routes.add(route.clone());
                    }
                    Registration::Middlewares(list) => {
                        counts[0] += list.len();
                        registry.middlewares.extend(list.iter().cloned());
                    }
                    Registration::Cron {
                        id,
                        expression,
                        function,
                    } => {
                        counts[3] += 1;
                        jobs.push((id.clone(), expression.clone(), Arc::clone(function)));
                    }
                }
            }
            unit.script.state(|state| {
                [
                    state.handlers,
                    state.subscriptions,
                    state.routes,
                    state.crons,
                ] = counts;
            });
        }
        registry.routes.seal();
        crons::replace(&self.engine, &mut self.crons.borrow_mut(), jobs);
        self.options.topics.follow(registry.topics.keys());
        self.published.publish(registry);
    }

    /// Modules first, then scripts by name: the order in which handlers run.
    fn units(&self) -> Vec<Rc<Unit>> {
        let modules = self.modules.borrow().scopes();
        let of_modules = modules
            .iter()
            .filter_map(|scope| scope.data()?.downcast::<Unit>().ok());
        let loaded = self.loaded.borrow();
        of_modules
            .chain(loaded.values().map(|loaded| Rc::clone(&loaded.unit)))
            .collect()
    }

    /// Registers something for the script or module that runs. Gives its number.
    pub(super) fn register(
        &self,
        make: impl FnOnce(&Arc<Script>) -> JsResult<Registration>,
    ) -> JsResult<u64> {
        let (_, unit) = unit()?;
        if unit.registrations.borrow().len() >= REGISTRATIONS_MAX {
            return Err(JsNativeError::range()
                .with_message("the script registers too much")
                .into());
        }
        let registration = make(&unit.script)?;
        let id = self.next_id();
        unit.registrations.borrow_mut().push((id, registration));
        self.announce(&unit);
        Ok(id)
    }

    /// Takes back what the script or module that runs has registered, where `gone` says so.
    pub(super) fn unregister(&self, gone: impl Fn(u64, &Registration) -> bool) -> JsResult<()> {
        let (_, unit) = unit()?;
        unit.registrations
            .borrow_mut()
            .retain(|(id, registration)| !gone(*id, registration));
        self.announce(&unit);
        Ok(())
    }

    /// Publishes a change of a unit that runs already.
    fn announce(&self, unit: &Unit) {
        if unit.live.get() {
            self.publish();
        }
    }

    /// Lets the host call a function, for as long as what this gives lives.
    pub(super) fn keep(&self, function: JsFunction) -> JsResult<Arc<Function>> {
        let (scope, unit) = unit()?;
        let id = self.next_id();
        self.functions.borrow_mut().insert(id, (function, scope));
        Ok(Function::new(
            id,
            Arc::clone(&unit.script),
            Thread::of_native()?.host(),
        ))
    }

    /// A function that [`World::keep`] keeps, and the scope it runs for.
    pub(super) fn function(&self, id: u64) -> Option<(JsFunction, Rc<Scope>)> {
        self.functions.borrow().get(&id).cloned()
    }

    /// The scope of a running script.
    pub(super) fn scope_of(&self, id: &str) -> Option<Rc<Scope>> {
        self.loaded
            .borrow()
            .get(id)
            .map(|loaded| Rc::clone(&loaded.scope))
    }

    /// The files that are loaded as modules.
    pub(super) fn module_paths(&self) -> Vec<PathBuf> {
        self.modules.borrow().paths()
    }

    fn next_id(&self) -> u64 {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        id
    }

    /// Gives a scope the application's globals.
    pub(super) fn furnish(&self, context: &mut Context) -> JsResult<()> {
        match self.shared.borrow().as_ref() {
            Some(shared) => shared.install(context)?,
            None => return Ok(()),
        }
        let folder = self.options.hooks.hooks_dir.to_string_lossy();
        context.register_global_property(
            js_string!("__hooks"),
            JsString::from(&*folder),
            Attribute::WRITABLE | Attribute::CONFIGURABLE,
        )
    }

    /// The modules that new code shares with the scripts.
    pub(super) fn modules(&self) -> Rc<ModuleSet> {
        Rc::clone(&self.modules.borrow())
    }
}

fn furnish_module(_: &Rc<Thread>, scope: &Rc<Scope>, context: &mut Context) -> JsResult<()> {
    let world = world()?;
    let file = ScriptFile::module(scope.path());
    scope.set_data(Rc::new(Unit {
        script: Arc::new(file.into_script()),
        registrations: RefCell::default(),
        live: Cell::new(false),
    }));
    world.furnish(context)
}

/// Whether a script calls its function `main` itself.
fn calls_main(source: &str) -> bool {
    static CALL: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?m)^(?:await\s+|void\s+)?main\s*\(").ok());
    CALL.as_ref().is_some_and(|call| call.is_match(source))
}

/// Calls the function `main` of a script, if it defines one that has not run.
fn call_main(context: &mut Context) -> JsResult<()> {
    let main = context.global_object().get(js_string!("main"), context)?;
    if let Some(main) = main.as_function() {
        main.call(&JsValue::undefined(), &[], context)?;
    }
    Ok(())
}

/// A result of a call that was stopped at a limit is that error, whatever the script made of it.
pub(super) fn stopped<T>(
    turn: &Turn<'_>,
    scope: &Scope,
    result: Result<T, ScriptError>,
) -> Result<T, ScriptError> {
    match turn.thread.take_fired() {
        Some(fired) => Err(result
            .err()
            .unwrap_or_else(|| ScriptError::new(scope.name()))
            .stopped(Some(fired))),
        None => result,
    }
}

/// Logs an error that no caller waits for, and shows it in the status.
fn report(scope: &Scope, error: &ScriptError) {
    let text = error.to_string();
    match scope.data().and_then(|unit| unit.downcast::<Unit>().ok()) {
        Some(unit) => unit.script.failed("an error in a script", &text),
        None => {
            tracing::error!(target: SCRIPT_TARGET, { script.id = scope.name() }, "an error in a script: {text}")
        }
    }
}
