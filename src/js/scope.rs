//! A script's or module's own global scope.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use boa_engine::context::ContextBuilder;
use boa_engine::property::Attribute;
use boa_engine::realm::Realm;
use boa_engine::{
    Context, JsError, JsNativeError, JsObject, JsResult, JsString, JsValue, NativeFunction, Script,
    Source,
};

use super::entry;
use super::error::ScriptError;
use super::native::Native;
use super::runtime;
use super::strip;
use super::thread::Thread;

pub use super::strip::LineMap;

/// Maps of the texts that were not written in JavaScript, by path.
pub type LineMaps = Rc<RefCell<HashMap<String, LineMap>>>;

/// Told of errors that no caller waits for.
pub type Reporter = Rc<dyn Fn(&Scope, &ScriptError)>;

/// A context of its own, with its own globals. Scopes of one thread exchange objects by reference; the functions of one
/// always see the globals of their own.
pub struct Scope {
    /// What logs and errors call it.
    name: String,
    path: Arc<Path>,
    context: RefCell<Context>,
    realm: Realm,
    retired: Cell<bool>,
    dead: Cell<bool>,
    /// The function `main` was called.
    ran_main: Rc<Cell<bool>>,
    maps: LineMaps,
    reporter: Reporter,
    /// What the layer above keeps for the script.
    data: RefCell<Option<Rc<dyn Any>>>,
}

impl Scope {
    /// A new scope with the runtime library and nothing of the application.
    ///
    /// # Errors
    /// When the context cannot be made.
    pub fn new(
        thread: &Rc<Thread>,
        name: &str,
        path: &Path,
        maps: &LineMaps,
        reporter: Reporter,
    ) -> JsResult<Rc<Self>> {
        let mut context = ContextBuilder::new()
            .job_executor(Rc::clone(&thread.executor))
            .host_hooks(runtime::Hooks::new(
                Rc::clone(&thread.rejections) as Rc<dyn runtime::Rejections>
            ))
            .build()?;
        runtime::install(&mut context)?;
        super::timers::install(&mut context)?;
        super::json::install(&mut context)?;
        let realm = context.realm().clone();
        Ok(Rc::new(Self {
            name: name.to_owned(),
            path: Arc::from(path),
            context: RefCell::new(context),
            realm,
            retired: Cell::new(false),
            dead: Cell::new(false),
            ran_main: Rc::default(),
            maps: maps.clone(),
            reporter,
            data: RefCell::default(),
        }))
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the layer above keeps for the script.
    #[must_use]
    pub fn data(&self) -> Option<Rc<dyn Any>> {
        self.data.borrow().clone()
    }

    /// Sets what [`Scope::data`] gives.
    pub fn set_data(&self, data: Rc<dyn Any>) {
        *self.data.borrow_mut() = Some(data);
    }

    /// Lets calls that are on their way end, and nothing begin: intervals stop, and timers that no call waits for.
    pub fn retire(&self) {
        self.retired.set(true);
    }

    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.get()
    }

    /// The prototype of the scope's own `Error`.
    #[must_use]
    pub fn error_prototype(&self) -> JsObject {
        let constructors = self.realm.intrinsics().constructors();
        constructors.error().prototype()
    }

    /// Lets nothing of this scope run any more: promise jobs, timers, answers of the host.
    pub fn kill(&self) {
        self.dead.set(true);
    }

    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead.get()
    }

    /// Runs work in this scope: in its own context if that is free, else in `outer`, within the time limit.
    pub(super) fn enter<R>(
        &self,
        thread: &Rc<Thread>,
        outer: Option<&mut Context>,
        budget: Option<Duration>,
        work: impl FnOnce(&mut Context) -> R,
    ) -> R {
        let budget = budget.unwrap_or(thread.host().options().budget);
        let file = Some(Arc::clone(&self.path));
        let ran = match (self.context.try_borrow_mut(), outer) {
            (Ok(mut context), _) => thread.watch.run_file(&mut context, file, budget, work),
            (Err(_), Some(context)) => {
                let realm = context.enter_realm(self.realm.clone());
                let ran = thread.watch.run_file(context, file, budget, work);
                context.enter_realm(realm);
                ran
            }
            // A context is borrowed only by a call on the stack, and such a call hands its context on.
            (Err(_), None) => unreachable!("a scope is on the stack, and no context was handed on"),
        };
        thread.fired.set(ran.fired);
        ran.value
    }

    /// Evaluates a source text in the global scope.
    ///
    /// # Errors
    /// What does not parse, or what was thrown.
    pub fn evaluate(
        &self,
        path: &Path,
        source: &str,
        context: &mut Context,
    ) -> Result<JsValue, ScriptError> {
        self.parse(path, source, false, context)?
            .evaluate(context)
            .map_err(|error| self.describe(&error, context))
    }

    /// [`Scope::evaluate`] for code that others call: what it throws, they catch.
    ///
    /// # Errors
    /// A syntax error, or what was thrown.
    pub(super) fn evaluate_for_caller(
        &self,
        path: &Path,
        source: &str,
        context: &mut Context,
    ) -> JsResult<JsValue> {
        let script = self.parse(path, source, false, context).map_err(|error| {
            let text = error.to_string();
            let text = text.strip_prefix("SyntaxError: ").unwrap_or(&text);
            JsNativeError::syntax().with_message(text.to_owned())
        })?;
        script.evaluate(context)
    }

    /// [`Scope::evaluate`]; afterwards [`Scope::ran_main`] tells whether the text's function `main` was called.
    ///
    /// # Errors
    /// As [`Scope::evaluate`].
    pub fn evaluate_noting_main(
        &self,
        path: &Path,
        source: &str,
        context: &mut Context,
    ) -> Result<JsValue, ScriptError> {
        self.parse(path, source, true, context)?
            .evaluate(context)
            .map_err(|error| self.describe(&error, context))
    }

    /// Whether the function `main` was called.
    #[must_use]
    pub fn ran_main(&self) -> bool {
        self.ran_main.get()
    }

    /// A variable of the global scope, however it was declared; `undefined` when there is none. The name must be an
    /// identifier.
    ///
    /// # Errors
    /// When it cannot be read yet.
    pub fn variable(&self, name: &str, context: &mut Context) -> JsResult<JsValue> {
        let text = format!("typeof {name} === \"undefined\" ? undefined : {name}");
        Script::parse(Source::from_bytes(text.as_bytes()), None, context)?.evaluate(context)
    }

    /// Runs work that makes objects, so that they belong to this scope: they have its prototypes.
    pub fn in_realm<R>(&self, context: &mut Context, work: impl FnOnce(&mut Context) -> R) -> R {
        let realm = context.enter_realm(self.realm.clone());
        let result = work(context);
        context.enter_realm(realm);
        result
    }

    fn parse(
        &self,
        path: &Path,
        source: &str,
        note_main: bool,
        context: &mut Context,
    ) -> Result<Script, ScriptError> {
        let name = path.to_string_lossy();
        let code = strip::to_javascript(&name, source)
            .map_err(|error| ScriptError::from_syntax(error, &name))?;
        match code.map {
            Some(map) => self.maps.borrow_mut().insert(name.to_string(), map),
            None => self.maps.borrow_mut().remove(name.as_ref()),
        };
        let marked = if note_main {
            entry::with_mark(&code.text)
        } else {
            None
        };
        if marked.is_some() {
            self.add_mark(context)
                .map_err(|error| self.describe(&error, context))?;
        }
        let text = marked.unwrap_or(code.text);
        let source = Source::from_bytes(text.as_bytes()).with_path(path);
        Script::parse(source, None, context)
            .map_err(|error| ScriptError::from_parse(&error, context, &name, &*self.maps.borrow()))
    }

    /// The function that a marked `main` calls.
    fn add_mark(&self, context: &mut Context) -> JsResult<()> {
        let mark = NativeFunction::from_copy_closure_with_captures(
            |_, _, ran: &Native<Rc<Cell<bool>>>, _| {
                ran.0.set(true);
                Ok(JsValue::undefined())
            },
            Native(Rc::clone(&self.ran_main)),
        )
        .to_js_function(context.realm());
        context.register_global_property(
            JsString::from(entry::MARK),
            JsObject::from(mark),
            Attribute::empty(),
        )
    }

    /// What was thrown, and where.
    pub fn describe(&self, error: &JsError, context: &mut Context) -> ScriptError {
        ScriptError::from_js(error, context, &*self.maps.borrow())
    }

    /// Tells of an error that no caller waits for.
    pub fn failed(&self, error: &ScriptError) {
        (self.reporter)(self, error);
    }
}
