//! Running and calling scripts from outside: code of a console, functions of scripts, loading anew.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use boa_engine::JsValue;
use boa_engine::object::builtins::JsFunction;
use serde_json::Value as Json;
use tokio::sync::oneshot;

use super::call::{Arguments, Outcome, await_answer, plain_call};
use super::catalog::Wanted;
use super::world::{World, relative};
use super::{Scripts, registry};
use crate::js::error::ScriptError;
use crate::js::host::Host;
use crate::js::lane::Route;
use crate::js::modules;
use crate::js::scope::Scope;
use crate::js::thread::Turn;

/// What the console's code is called in errors.
const CONSOLE: &str = "console";
/// Around the console's code, so that it may `return` and `await`; the first line is the host's.
const CONSOLE_OPEN: &str = "(async () => {\n";
const CONSOLE_CLOSE: &str = "\n})";

/// Why something could not be done with scripts.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("There is no such script.")]
    NoScript,
    #[error("The hooks are busy, try again.")]
    Busy,
    #[error("{0}")]
    Failed(ScriptError),
}

impl Scripts {
    /// All scripts, by name.
    pub(super) fn list(&self) -> Vec<Arc<registry::Script>> {
        self.inner.catalog.list()
    }

    /// The modules that scripts have required, by path.
    pub(super) fn modules(&self) -> Vec<Arc<registry::Script>> {
        self.inner.catalog.required()
    }

    /// Loads a script anew, whether it has changed or not.
    ///
    /// # Errors
    /// When there is no such script, or it cannot be loaded; then the version before goes on.
    pub(super) async fn reload(&self, id: &str) -> Result<(), Refusal> {
        let mut refreshed = self.refresh(Wanted::One(id)).await;
        if let Some(error) = refreshed.updated.errors.remove(id) {
            return Err(Refusal::Failed(self.plain(error)));
        }
        if self.inner.catalog.find(id).is_none() {
            return Err(Refusal::NoScript);
        }
        if refreshed.lost {
            return Err(Refusal::Failed(ScriptError::new(
                "the script does not end while it is loaded",
            )));
        }
        Ok(())
    }

    /// Calls a function of a script's global scope.
    ///
    /// # Errors
    /// When there is no such script or function, or what it threw.
    pub(super) async fn call(
        &self,
        id: &str,
        name: &str,
        arguments: Vec<Json>,
    ) -> Result<Json, Refusal> {
        if self.inner.catalog.find(id).is_none() {
            return Err(Refusal::NoScript);
        }
        if !is_identifier(name) {
            return Err(no_function(name));
        }
        let (id, name) = (id.to_owned(), name.to_owned());
        let arguments: Arguments = Box::new(move |context| {
            let values = arguments.iter();
            values
                .map(|value| JsValue::from_json(value, context))
                .collect()
        });
        self.run(move |turn, answer| call_in(turn, &id, &name, arguments, answer))
            .await
    }

    /// Runs code in a scope of its own, with all globals; its `return` is what comes of it.
    ///
    /// # Errors
    /// What does not parse, or what it threw.
    pub(super) async fn execute(&self, code: String) -> Result<Json, Refusal> {
        let number = rand::random();
        // Whatever becomes of the code and of who waits for it, its scope ends.
        let _end = EndOfConsole {
            host: self.inner.host.clone(),
            number,
        };
        self.run(move |turn, answer| run_console(turn, number, &code, answer))
            .await
    }

    async fn run(
        &self,
        work: impl FnOnce(&mut Turn<'_>, oneshot::Sender<Outcome>) + Send + 'static,
    ) -> Result<Json, Refusal> {
        let (answer, answered) = oneshot::channel();
        let (started, begun) = oneshot::channel();
        let job = Box::new(move |turn: &mut Turn<'_>| {
            let _ = started.send(turn.thread.epoch());
            work(turn, answer);
        });
        let host = &self.inner.host;
        host.submit(&Route::General, job)
            .map_err(|_| Refusal::Busy)?;
        await_answer(host, begun, answered, host.options().budget)
            .await
            .map_err(|error| Refusal::Failed(self.plain(error)))
    }

    /// The error with paths as scripts are known by.
    fn plain(&self, error: ScriptError) -> ScriptError {
        relative(&self.inner.options, &error)
    }
}

fn call_in(
    turn: &mut Turn<'_>,
    id: &str,
    name: &str,
    arguments: Arguments,
    answer: oneshot::Sender<Outcome>,
) {
    let scope = World::of(turn).and_then(|world| Some((world.scope_of(id)?, world)));
    let Some((scope, world)) = scope else {
        let _ = answer.send(Err(ScriptError::new("the script does not run")));
        return;
    };
    let found = turn.enter(&scope, None, false, |context| {
        let value = scope
            .variable(name, context)
            .map_err(|error| scope.describe(&error, context))?;
        let callable = value
            .as_function()
            .ok_or_else(|| ScriptError::new(format!("the script has no function {name}")))?;
        // Kept, so that a script that is loaded anew meanwhile ends what it has begun.
        let kept = world
            .keep(callable.clone())
            .map_err(|error| scope.describe(&error, context))?;
        Ok((callable, kept))
    });
    match found {
        Ok((callable, kept)) => {
            let answer = move |outcome| {
                let _ = answer.send(outcome);
                drop(kept);
            };
            plain_call(turn, &scope, &callable, arguments, None, answer);
        }
        Err(error) => {
            let _ = answer.send(Err(error));
        }
    }
}

fn run_console(turn: &mut Turn<'_>, number: u64, code: &str, answer: oneshot::Sender<Outcome>) {
    let Some(world) = World::of(turn) else {
        return;
    };
    match open_console(turn, &world, number, code) {
        Ok((scope, callable)) => {
            let nothing: Arguments = Box::new(|_| Ok(Vec::new()));
            let answer = move |outcome: Outcome| {
                let _ = answer.send(outcome.map_err(without_first_line));
            };
            plain_call(turn, &scope, &callable, nothing, None, answer);
        }
        Err(error) => {
            let _ = answer.send(Err(without_first_line(error)));
        }
    }
}

fn open_console(
    turn: &mut Turn<'_>,
    world: &Rc<World>,
    number: u64,
    code: &str,
) -> Result<(Rc<Scope>, JsFunction), ScriptError> {
    let scope = world
        .bare_scope(&turn.thread, CONSOLE)
        .map_err(|error| ScriptError::new(error.to_string()))?;
    world.keep_console(number, &scope);
    let text = format!("{CONSOLE_OPEN}{code}{CONSOLE_CLOSE}");
    let modules = world.modules();
    let path = world.options.hooks.hooks_dir.join(CONSOLE);
    let callable = turn.enter(&scope, None, false, |context| {
        world
            .furnish(context)
            .and_then(|()| modules::add_require(&modules, &path, context))
            .map_err(|error| scope.describe(&error, context))?;
        let value = scope.evaluate(Path::new(CONSOLE), &text, context)?;
        value
            .as_function()
            .ok_or_else(|| ScriptError::new("the code ends before its end"))
    })?;
    Ok((scope, callable))
}

/// Positions as in the code that was sent.
fn without_first_line(mut error: ScriptError) -> ScriptError {
    let of_console = |file: &str| file == CONSOLE;
    if error.file.as_deref().is_none_or(of_console) {
        error.line = error.line.map(|line| line.saturating_sub(1).max(1));
    }
    for frame in &mut error.stack {
        if of_console(&frame.file) {
            frame.line = frame.line.map(|line| line.saturating_sub(1).max(1));
        }
    }
    error
}

/// Ends the scope of a console's code.
struct EndOfConsole {
    host: Host,
    number: u64,
}

impl Drop for EndOfConsole {
    fn drop(&mut self) {
        let number = self.number;
        let end = move |turn: &mut Turn<'_>| {
            if let Some(world) = World::of(turn) {
                world.end_console(&turn.thread, number);
            }
        };
        self.host.continue_with(&Route::General, Box::new(end));
    }
}

fn no_function(name: &str) -> Refusal {
    Refusal::Failed(ScriptError::new(format!(
        "the script has no function {name}"
    )))
}

fn is_identifier(name: &str) -> bool {
    let starts = name.starts_with(|first: char| first.is_alphabetic() || "_$".contains(first));
    starts
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "_$".contains(c))
}
