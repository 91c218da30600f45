//! What the script thread knows: the scripts that run, the modules they share, and the functions the host may call.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use boa_engine::object::builtins::JsFunction;
use boa_engine::property::Attribute;
use boa_engine::{Context, JsNativeError, JsObject, JsResult, JsString, JsValue, js_string};
use tokio::sync::mpsc;

use super::catalog::{Plan, Resumed, Source};
use super::files::Text;
use super::globals::Shared;
use super::globals::cron::Ticker;
use super::migrations::Functions;
use super::registry::{EventHandler, Function, Published, Registry, Script, ScriptState};
use super::router::{Middleware, Route};
use super::session::{Session, ToHost};
use super::{HookOptions, Options, crons};
use crate::engine::Engine;
use crate::engine::events::EventKind;
use crate::js::SCRIPT_TARGET;
use crate::js::error::ScriptError;
use crate::js::modules::{self, ModuleOptions, ModuleSet};
use crate::js::scope::{LineMap, LineMaps, Scope};
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
    Command {
        name: String,
        function: Arc<Function>,
    },
    Every(#[expect(dead_code, reason = "held to be ended on drop")] Ticker),
}

/// A loaded script or module: the data of its scope.
pub(super) struct Unit {
    pub(super) script: Arc<Script>,
    pub(super) registrations: RefCell<Vec<(u64, Registration)>>,
    /// Whether what it registers counts at once; while it loads it does not.
    live: Arc<AtomicBool>,
    /// Functions handed over while it was loaded.
    places: Cell<u32>,
}

impl Unit {
    fn new(script: Arc<Script>, live: bool) -> Rc<Self> {
        Rc::new(Self {
            script,
            registrations: RefCell::default(),
            live: Arc::new(AtomicBool::new(live)),
            places: Cell::new(0),
        })
    }

    /// Whether what it registers counts: shared with what runs elsewhere on its behalf.
    pub(super) fn live(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.live)
    }

    fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed)
    }

    fn set_live(&self, live: bool) {
        self.live.store(live, Ordering::Relaxed);
    }
}

/// The modules after some of them changed.
struct Reloaded {
    modules: Rc<ModuleSet>,
    /// Some were loaded anew.
    any: bool,
    /// What could not be, and why.
    errors: Vec<(PathBuf, String)>,
}

/// What came of an update.
#[derive(Default)]
pub(super) struct Updated {
    /// Why scripts could not be loaded, by id.
    pub(super) errors: BTreeMap<String, ScriptError>,
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
    /// What scripts keep about requests, by the number of the request's [`super::keep::Keep`].
    pub(super) kept: RefCell<HashMap<u64, JsObject>>,
    /// Functions by the file and the place they were handed over at while it was loaded.
    places: RefCell<HashMap<(PathBuf, u32), u64>>,
    last_registration: Cell<u64>,
    /// Sets of modules that were replaced while a script that could not be loaded anew still runs with them.
    former: RefCell<Vec<Rc<ModuleSet>>>,
    /// Scripts are being loaded: what modules register counts when that is done.
    updating: Cell<bool>,
    /// Scopes of code from the console, by number.
    consoles: RefCell<HashMap<u64, Rc<Scope>>>,
    /// What the migration that runs has given to `migrate`.
    pub(super) migration: RefCell<Functions>,
    /// Where statements for auxiliary.db go while a script has a transaction there.
    pub(super) auxiliary: RefCell<Option<mpsc::UnboundedSender<ToHost>>>,
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
    world.places.borrow_mut().retain(|_, place| *place != id);
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
            attempted: Rc::new(attempted),
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
            kept: RefCell::default(),
            places: RefCell::default(),
            last_registration: Cell::new(0),
            former: RefCell::default(),
            updating: Cell::new(false),
            consoles: RefCell::default(),
            migration: RefCell::default(),
            auxiliary: RefCell::default(),
        });
        turn.thread.set_data(Rc::clone(&world) as Rc<dyn Any>);
        // After the loss of a thread: what ran on it.
        let Resumed { load, out } = world.options.catalog.resume();
        if let Some(script) = &out {
            script.state(|state| *state = ScriptState::default());
        }
        if !load.is_empty() || out.is_some() {
            let plan = Plan {
                load,
                ..Plan::default()
            };
            world.update(turn, &plan);
        }
        if let Some(script) = out {
            script.failed("a script cannot be loaded", "it did not end");
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
        text: &Text,
        modules: &Rc<ModuleSet>,
    ) -> Result<Loaded, ScriptError> {
        let source = text
            .as_ref()
            .map_err(|error| ScriptError::new(format!("{}: {error}", script.name)))?;
        let scope = Scope::new(
            &turn.thread,
            &script.id,
            &script.path,
            &self.maps,
            Rc::new(report),
        )
        .map_err(|error| ScriptError::new(error.to_string()))?;
        let unit = Unit::new(Arc::clone(script), false);
        scope.set_data(Rc::clone(&unit) as Rc<dyn Any>);
        let map = self.map_of(&script.path);
        let result = turn.enter(&scope, None, false, |context| {
            self.furnish(context)
                .and_then(|()| modules::add_require(modules, &script.path, context))
                .map_err(|error| scope.describe(&error, context))?;
            scope.evaluate_noting_main(&script.path, source, context)?;
            call_main(&scope, context).map_err(|error| scope.describe(&error, context))
        });
        if let Err(error) = stopped(turn, &scope, result) {
            unit.registrations.borrow_mut().clear();
            scope.retire();
            scope.kill();
            turn.thread.sweep_timers();
            self.put_map(&script.path, map);
            return Err(error);
        }
        Ok(Loaded {
            scope,
            unit,
            modules: Rc::clone(modules),
        })
    }

    /// Loads scripts and puts those that load in place of their former versions, all at once; those that are gone end.
    /// With changed modules, these and what requires them are loaded anew first, and every script; a module that cannot
    /// be keeps its instance.
    pub(super) fn update(self: &Rc<Self>, turn: &mut Turn<'_>, plan: &Plan) -> Updated {
        self.updating.set(true);
        let Reloaded {
            modules,
            any,
            errors: module_errors,
        } = self.reload_modules(turn, &plan.changed);
        let others = if any { &plan.with_modules[..] } else { &[] };
        let mut scripts: Vec<&Source> = plan.load.iter().chain(others).collect();
        scripts.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        let gone = &plan.gone;
        let mut errors = BTreeMap::new();
        let mut fresh = Vec::new();
        let catalog = self.options.catalog.clone();
        for (script, text) in scripts {
            catalog.begin_load(&script.id, text);
            let result = self.load(turn, script, text, &modules);
            // A thread that was left behind must not touch what the new one works with.
            if turn.thread.is_abandoned() {
                return Updated::default();
            }
            catalog.end_load();
            match result {
                Ok(loaded) => fresh.push((loaded, text)),
                Err(error) => {
                    script.failed("a script cannot be loaded", &self.plain(&error));
                    errors.insert(script.id.clone(), error);
                }
            }
        }
        self.updating.set(false);
        let mut old: Vec<Loaded> = Vec::new();
        {
            let mut loaded = self.loaded.borrow_mut();
            old.extend(gone.iter().filter_map(|id| loaded.remove(id)));
            for (one, text) in fresh {
                let script = &one.unit.script;
                let now = self.engine.now();
                script.state(|state| {
                    state.running = true;
                    state.loaded_at = Some(now);
                    state.last_error = None;
                });
                catalog.runs(&script.id, text);
                one.unit.set_live(true);
                old.extend(loaded.insert(script.id.clone(), one));
            }
        }
        let before = self.modules.replace(Rc::clone(&modules));
        for unit in modules.scopes().iter().filter_map(unit_of) {
            unit.set_live(true);
        }
        self.publish();
        for one in old {
            let script = &one.unit.script;
            if !self.loaded.borrow().contains_key(&script.id) {
                script.state(|state| *state = ScriptState::default());
            }
            self.end(&turn.thread, &one.scope);
        }
        if !Rc::ptr_eq(&before, &modules) {
            self.former.borrow_mut().push(before);
        }
        self.end_modules(&turn.thread);
        catalog.modules_run(&modules.paths());
        turn.thread.sweep_timers();
        for (path, error) in module_errors {
            self.blame_users_of(&path, &error);
        }
        Updated { errors }
    }

    /// The modules with these files and what requires them loaded anew. Files that cannot be loaded any more keep the
    /// instance that works, and the log says so.
    fn reload_modules(self: &Rc<Self>, turn: &mut Turn<'_>, changed: &[PathBuf]) -> Reloaded {
        let before = Rc::clone(&self.modules.borrow());
        let mut changed: Vec<PathBuf> = changed.to_vec();
        let mut errors = Vec::new();
        // At the second attempt without what failed at the first.
        for _ in 0..2 {
            if changed.is_empty() {
                break;
            }
            let modules = before.without(&changed);
            let mut failed = Vec::new();
            for path in before.paths_not_in(&modules) {
                if let Err(error) = self.load_module(turn, &modules, &path) {
                    failed.push((path, self.plain(&error)));
                }
            }
            // A module that fails because of another one comes right with that.
            failed.retain(|(path, _)| changed.contains(path));
            if failed.is_empty() {
                return Reloaded {
                    modules,
                    any: true,
                    errors,
                };
            }
            modules.kill_unless_in(&before);
            changed.retain(|path| !failed.iter().any(|(one, _)| one == path));
            for (path, error) in failed {
                tracing::warn!(
                    target: SCRIPT_TARGET,
                    { module.path = %path.display() },
                    "the version of the module before this one stays"
                );
                errors.push((path, error));
            }
        }
        Reloaded {
            modules: before,
            any: false,
            errors,
        }
    }

    fn load_module(
        self: &Rc<Self>,
        turn: &mut Turn<'_>,
        set: &Rc<ModuleSet>,
        path: &Path,
    ) -> Result<(), ScriptError> {
        let scope = self
            .bare_scope(&turn.thread, "modules")
            .map_err(|error| ScriptError::new(error.to_string()))?;
        let map = self.map_of(path);
        let result = turn.enter(&scope, None, false, |context| {
            set.require(path, &path.to_string_lossy(), context)
                .map(|_| ())
                .map_err(|error| scope.describe(&error, context))
        });
        let result = stopped(turn, &scope, result);
        scope.kill();
        if result.is_err() {
            self.put_map(path, map);
        }
        result
    }

    /// Shows the error of a module in the status of the scripts that use it.
    fn blame_users_of(&self, path: &Path, error: &str) {
        for loaded in self.loaded.borrow().values() {
            if loaded.modules.needs(&loaded.unit.script.path, path) {
                loaded
                    .unit
                    .script
                    .state(|state| state.last_error = Some(error.to_owned()));
            }
        }
    }

    /// Lets nothing more begin in a scope, and ends it once no call can reach it.
    fn end(&self, thread: &Rc<Thread>, scope: &Rc<Scope>) {
        scope.retire();
        if let Some(unit) = unit_of(scope) {
            unit.set_live(false);
            // Dropped only when the borrow is over: what they drop may look at the unit.
            let gone = std::mem::take(&mut *unit.registrations.borrow_mut());
            drop(gone);
        }
        self.bury(thread, scope);
    }

    /// Ends the instances of modules that were replaced. Those that a script still runs with, because it could not be
    /// loaded anew, keep their state, but nothing begins in them any more.
    fn end_modules(&self, thread: &Rc<Thread>) {
        let current = Rc::clone(&self.modules.borrow());
        let used: Vec<Rc<ModuleSet>> = self
            .loaded
            .borrow()
            .values()
            .map(|loaded| Rc::clone(&loaded.modules))
            .collect();
        let former = std::mem::take(&mut *self.former.borrow_mut());
        let holds = |set: &Rc<ModuleSet>, scope: &Rc<Scope>| set.holds(scope);
        for scope in former.iter().flat_map(|set| set.scopes()) {
            if holds(&current, &scope) {
                continue;
            }
            if used.iter().any(|set| holds(set, &scope)) {
                scope.retire();
                if let Some(unit) = unit_of(&scope) {
                    unit.set_live(false);
                    let gone = std::mem::take(&mut *unit.registrations.borrow_mut());
                    drop(gone);
                }
            } else {
                self.end(thread, &scope);
            }
        }
        let still = former
            .into_iter()
            .filter(|set| used.iter().any(|one| Rc::ptr_eq(one, set)));
        self.former.borrow_mut().extend(still);
    }

    fn map_of(&self, path: &Path) -> Option<LineMap> {
        self.maps
            .borrow_mut()
            .remove(path.to_string_lossy().as_ref())
    }

    /// Puts the positions of the version that runs back in place.
    fn put_map(&self, path: &Path, map: Option<LineMap>) {
        let mut maps = self.maps.borrow_mut();
        match map {
            Some(map) => maps.insert(path.to_string_lossy().into_owned(), map),
            None => maps.remove(path.to_string_lossy().as_ref()),
        };
    }

    /// An error as people read it: with paths below the folders.
    pub(super) fn plain(&self, error: &ScriptError) -> String {
        relative(&self.options.hooks, error).to_string()
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
                    Registration::Command { name, function } => {
                        let commands = &mut registry.commands;
                        commands.insert(name.clone(), Arc::clone(function));
                    }
                    Registration::Every(_) => counts[3] += 1,
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
        crons::replace(&self.engine, &self.options.crons, jobs);
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
        let mut scripts: Vec<&Loaded> = loaded.values().collect();
        scripts.sort_by(|a, b| a.unit.script.name.cmp(&b.unit.script.name));
        of_modules
            .chain(scripts.into_iter().map(|loaded| Rc::clone(&loaded.unit)))
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
        let id = self.last_registration.get() + 1;
        self.last_registration.set(id);
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

    /// Takes back a registration by its number, whoever made it. Gives whether there was one.
    pub(super) fn end_registration(&self, number: u64) -> bool {
        let has = |unit: &Rc<Unit>| {
            unit.registrations
                .borrow()
                .iter()
                .any(|(id, _)| *id == number)
        };
        // A script that is being loaded is not among the units yet.
        let own = unit().ok().map(|(_, unit)| unit);
        let Some(unit) = own.into_iter().chain(self.units()).find(|unit| has(unit)) else {
            return false;
        };
        unit.registrations
            .borrow_mut()
            .retain(|(id, _)| *id != number);
        self.announce(&unit);
        true
    }

    /// Takes back all jobs.
    pub(super) fn remove_crons(&self) {
        let own = unit().ok().map(|(_, unit)| unit);
        for unit in own.into_iter().chain(self.units()) {
            let mut registrations = unit.registrations.borrow_mut();
            registrations.retain(|(_, known)| !matches!(known, Registration::Cron { .. }));
        }
        self.publish();
    }

    /// Publishes a change of a unit that runs already.
    fn announce(&self, unit: &Unit) {
        if unit.is_live() {
            self.publish();
        }
    }

    /// Lets the host call a function, for as long as what this gives lives.
    pub(super) fn keep(&self, function: JsFunction) -> JsResult<Arc<Function>> {
        let (scope, unit) = unit()?;
        let place = (!unit.is_live()).then(|| unit.places.get());
        let host = Thread::of_native()?.host().clone();
        let kept = Function::new(Arc::clone(&unit.script), place, &host);
        if let Some(place) = place {
            unit.places.set(place + 1);
            let key = (unit.script.path.clone(), place);
            self.places.borrow_mut().insert(key, kept.id);
        }
        self.functions
            .borrow_mut()
            .insert(kept.id, (function, scope));
        Ok(kept)
    }

    /// A function that [`World::keep`] keeps, and the scope it runs for; for one of a former script thread, what the
    /// same script handed over at the same place.
    pub(super) fn function(&self, function: &Function) -> Option<(JsFunction, Rc<Scope>)> {
        let functions = self.functions.borrow();
        if let Some(callee) = functions.get(&function.id) {
            return Some(callee.clone());
        }
        let key = (function.script.path.clone(), function.place?);
        functions.get(self.places.borrow().get(&key)?).cloned()
    }

    /// The scope of a running script.
    pub(super) fn scope_of(&self, id: &str) -> Option<Rc<Scope>> {
        self.loaded
            .borrow()
            .get(id)
            .map(|loaded| Rc::clone(&loaded.scope))
    }

    /// Holds the scope of code from the console until [`World::end_console`].
    pub(super) fn keep_console(&self, number: u64, scope: &Rc<Scope>) {
        self.consoles.borrow_mut().insert(number, Rc::clone(scope));
    }

    /// Ends the scope of code from the console: its timers, and what it waits for.
    pub(super) fn end_console(&self, thread: &Rc<Thread>, number: u64) {
        let scope = self.consoles.borrow_mut().remove(&number);
        if let Some(scope) = scope {
            scope.retire();
            scope.kill();
            thread.sweep_timers();
        }
    }

    /// Gives a scope the application's globals.
    pub(super) fn furnish(&self, context: &mut Context) -> JsResult<()> {
        self.api()?.install(context)?;
        let folder = self.options.hooks.hooks_dir.to_string_lossy();
        context.register_global_property(
            js_string!("__hooks"),
            JsString::from(&*folder),
            Attribute::WRITABLE | Attribute::CONFIGURABLE,
        )
    }

    /// The API, built when the first script needs it: a server without scripts does without.
    fn api(&self) -> JsResult<Rc<Shared>> {
        let known = self.shared.borrow().clone();
        if let Some(shared) = known {
            return Ok(shared);
        }
        let mut turn = Turn {
            thread: Thread::of_native()?,
            outer: None,
        };
        let shared = Shared::build(&mut turn, &world()?).map(Rc::new);
        let shared = shared.map_err(|error| {
            JsNativeError::error().with_message(format!("the script API cannot be set up: {error}"))
        })?;
        *self.shared.borrow_mut() = Some(Rc::clone(&shared));
        Ok(shared)
    }

    /// Whether scripts are being loaded. Nothing else is to run until that is done.
    pub(super) fn is_updating(&self) -> bool {
        self.updating.get()
    }

    /// The modules that new code shares with the scripts.
    pub(super) fn modules(&self) -> Rc<ModuleSet> {
        Rc::clone(&self.modules.borrow())
    }
}

fn furnish_module(_: &Rc<Thread>, scope: &Rc<Scope>, context: &mut Context) -> JsResult<()> {
    let world = world()?;
    let path = scope.path();
    world.options.catalog.loaded_module(path);
    let module = world.options.catalog.module(path);
    scope.set_data(Unit::new(module, !world.updating.get()));
    world.furnish(context)
}

/// Shows in the status what came of loading a module.
fn attempted(path: &Path, result: Result<(), ScriptError>) {
    let Ok(world) = world() else { return };
    let module = world.options.catalog.module(path);
    match result {
        Ok(()) => {
            let now = world.engine.now();
            module.state(|state| {
                state.running = true;
                state.loaded_at = Some(now);
                state.last_error = None;
            });
        }
        Err(error) => module.failed("a module cannot be loaded", &world.plain(&error)),
    }
}

/// What a scope runs for: its script or module.
fn unit_of(scope: &Rc<Scope>) -> Option<Rc<Unit>> {
    scope.data()?.downcast().ok()
}

/// Calls the function `main` of a script, if it defines one and has not called it itself.
fn call_main(scope: &Rc<Scope>, context: &mut Context) -> JsResult<()> {
    if scope.ran_main() {
        return Ok(());
    }
    if let Some(main) = scope.variable("main", context)?.as_function() {
        main.call(&JsValue::undefined(), &[], context)?;
    }
    Ok(())
}

/// The same error with its paths below the folder that they are in.
pub(super) fn relative(options: &HookOptions, error: &ScriptError) -> ScriptError {
    let mut error = error.clone();
    let folders = [&options.hooks_dir, &options.modules_dir];
    let cut = |text: &str| {
        folders.iter().fold(text.to_owned(), |text, folder| {
            let mut prefix = folder.to_string_lossy().into_owned();
            prefix.push('/');
            text.replace(&prefix, "")
        })
    };
    error.message = cut(&error.message);
    error.file = error.file.as_deref().map(cut);
    for frame in &mut error.stack {
        frame.file = cut(&frame.file);
    }
    error
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
    let text = world().map_or_else(|_| error.to_string(), |world| world.plain(error));
    match scope.data().and_then(|unit| unit.downcast::<Unit>().ok()) {
        Some(unit) => unit.script.failed("an error in a script", &text),
        None => {
            tracing::error!(target: SCRIPT_TARGET, { script.id = scope.name() }, "an error in a script: {text}")
        }
    }
}
