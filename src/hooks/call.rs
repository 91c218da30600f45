//! Calls of script functions by the rest of the server: as handlers of events, and plainly.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use boa_engine::object::builtins::JsFunction;
use boa_engine::{Context, JsError, JsNativeError, JsResult, JsValue};
use futures_util::future::BoxFuture;
use serde_json::Value as Json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::event::EventObject;
use super::failure;
use super::registry::Function;
use super::session::{App, Session, ToHost};
use super::values;
use super::world::World;
use crate::engine::events::{Event, Handler, Step, Visit, WITHIN, Within};
use crate::engine::{Engine, Error};
use crate::js::error::ScriptError;
use crate::js::host::{Begun, Host};
use crate::js::lane::{Chain, Route};
use crate::js::promise::{Done, when_done};
use crate::js::scope::Scope;
use crate::js::thread::{Current, Thread, Turn};
use crate::store::Tx;

/// What a call may take beyond its script time for what it waits for, before it counts as lost.
const ANSWER_GRACE: Duration = Duration::from_secs(120);

/// What a stop at the time limit may take until the caller hears of it.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// A script's function as a handler of events.
pub(super) struct ScriptHandler {
    pub(super) engine: Engine,
    pub(super) function: Arc<Function>,
}

impl Handler for ScriptHandler {
    fn begin(&self, event: Event) -> Box<dyn Visit> {
        Box::new(ScriptVisit {
            engine: self.engine.clone(),
            function: Arc::clone(&self.function),
            state: State::New(Box::new(event)),
            waiting: None,
        })
    }
}

enum State {
    New(Box<Event>),
    Running {
        inbox: mpsc::UnboundedReceiver<ToHost>,
        begun: Arc<Begun>,
        /// When the handler's promise must be settled.
        deadline: Option<Instant>,
    },
    Over,
}

/// Brings an event back from the rest of its chain.
type Back = oneshot::Sender<(Event, Result<(), Error>)>;

/// A script's function at work on an event.
struct ScriptVisit {
    engine: Engine,
    function: Arc<Function>,
    state: State,
    /// The script waits in `e.next()`.
    waiting: Option<(Chain, Back)>,
}

impl Visit for ScriptVisit {
    fn step<'a>(&'a mut self, tx: Option<&'a mut Tx>) -> BoxFuture<'a, Step> {
        Box::pin(self.go_on(tx))
    }

    fn resume(&mut self, event: Event, result: Result<(), Error>) {
        if let Some((_, answer)) = self.waiting.take() {
            let _ = answer.send((event, result));
        }
    }

    fn within(&self) -> Option<Within> {
        let (chain, _) = self.waiting.as_ref()?;
        Some(Arc::new(chain.clone()))
    }
}

impl ScriptVisit {
    async fn go_on(&mut self, mut tx: Option<&mut Tx>) -> Step {
        if let State::New(_) = self.state
            && let State::New(event) = std::mem::replace(&mut self.state, State::Over)
            && let Err(event) = self.start(*event, tx.is_some())
        {
            return Step::Done(*event, Err(failure::overloaded()));
        }
        let host = self.function.host().clone();
        loop {
            let State::Running {
                inbox,
                begun,
                deadline,
            } = &mut self.state
            else {
                return lost("the handler is through already");
            };
            let message = match at_once(inbox, tx.is_some().then_some(&host)) {
                Some(message) => Some(message),
                None => tokio::select! {
                    biased;
                    message = inbox.recv() => message,
                    () = host.lost(begun) => None,
                    () = passed(*deadline) => {
                        self.state = State::Over;
                        return lost("the handler's promise was not settled in time");
                    }
                },
            };
            let budget = host.options().budget + STOP_GRACE;
            if deadline.is_some() {
                *deadline = Some(Instant::now() + budget);
            }
            match message {
                Some(ToHost::Promised) => *deadline = Some(Instant::now() + budget),
                Some(ToHost::Operate(operation)) => {
                    operation(App {
                        engine: &self.engine,
                        tx: tx.as_deref_mut(),
                    })
                    .await;
                }
                Some(ToHost::End(_)) => {}
                Some(ToHost::Next(event, chain, answer)) => {
                    self.waiting = Some((chain, answer));
                    return Step::Next(*event);
                }
                Some(ToHost::Done(event, result)) => {
                    self.state = State::Over;
                    return Step::Done(*event, result);
                }
                None => {
                    self.state = State::Over;
                    let why = "the script ended before its handler did";
                    self.function.script.failed("a handler was lost", why);
                    return lost(why);
                }
            }
        }
    }

    /// Sends the event to the script thread.
    fn start(&mut self, event: Event, in_writer: bool) -> Result<(), Box<Event>> {
        let (to_host, inbox) = mpsc::unbounded_channel();
        let begun = Begun::new();
        let call = EventCall {
            function: Arc::clone(&self.function),
            event,
            to_host,
            begun: Arc::clone(&begun),
            in_writer,
        };
        // The event comes back if the call is not taken on.
        let parcel = Arc::new(std::sync::Mutex::new(Some(call)));
        let sent = Arc::clone(&parcel);
        let job = Box::new(move |turn: &mut Turn<'_>| {
            let call = take(&sent);
            if let Some(call) = call {
                call.run(turn);
            }
        });
        match self.function.host().submit(&route(in_writer), job) {
            Ok(()) => {
                self.state = State::Running {
                    inbox,
                    begun,
                    deadline: None,
                };
                Ok(())
            }
            Err(_) => match take(&parcel) {
                Some(call) => Err(Box::new(call.event)),
                None => Ok(()),
            },
        }
    }
}

fn take<T>(parcel: &std::sync::Mutex<Option<T>>) -> Option<T> {
    parcel
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .take()
}

/// The event is on the thread that got stuck; nothing of it comes back.
fn lost(why: &str) -> Step {
    let event = Event::new(crate::engine::events::EventKind::Terminate, None);
    Step::Done(event, Err(failure::plain(why)))
}

/// The lane for a call made here and now.
pub(super) fn route(in_writer: bool) -> Route {
    if in_writer {
        return Route::Writer;
    }
    WITHIN
        .try_with(|within| {
            let within = within.as_ref()?;
            within.downcast_ref::<Chain>().cloned().map(Route::Chain)
        })
        .ok()
        .flatten()
        .unwrap_or(Route::General)
}

/// What the script has sent already. The writer's thread, which has nothing else to do, gives it a moment; other tasks
/// share theirs.
fn at_once(inbox: &mut mpsc::UnboundedReceiver<ToHost>, writers: Option<&Host>) -> Option<ToHost> {
    let mut look = || inbox.try_recv().ok();
    match writers {
        Some(host) => host.look_for(look),
        None => look(),
    }
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A handler's call on its way to the script thread.
struct EventCall {
    function: Arc<Function>,
    event: Event,
    to_host: mpsc::UnboundedSender<ToHost>,
    begun: Arc<Begun>,
    in_writer: bool,
}

impl EventCall {
    fn run(self, turn: &mut Turn<'_>) {
        let Self {
            function,
            event,
            to_host,
            begun,
            in_writer,
        } = self;
        if !begun.note(&turn.thread) {
            return;
        }
        let Some((world, (callable, scope))) = callee(turn, &function) else {
            let error = failure::plain("the script is gone");
            let _ = to_host.send(ToHost::Done(Box::new(event), Err(error)));
            return;
        };
        if let Err(error) = turn.thread.check_depth() {
            // The scripts' own doing; the depth at which it shows says nothing to a client.
            function
                .script
                .failed("a handler was not called", &error.to_string());
            let error = Error::BadRequest(String::new());
            let _ = to_host.send(ToHost::Done(Box::new(event), Err(error)));
            return;
        }
        function.script.calls.fetch_add(1, Ordering::Relaxed);
        let session = Rc::new(Session {
            transaction: in_writer.then(|| to_host.clone()),
            request: event.request.clone().map(Arc::new),
        });
        turn.enter(&scope, Some(session), in_writer, |context| {
            let object = EventObject::create(&world, event, to_host.clone(), context);
            let script = Arc::clone(&function.script);
            let owner = Rc::clone(&scope);
            let finish: Done = {
                let object = object.clone();
                Box::new(move |context, outcome| {
                    let result = outcome.and_then(failure::unless_error).map_err(|error| {
                        let described = describe(&owner, &error, context);
                        failure::to_engine(&error, &described, &script, context)
                    });
                    EventObject::finish(&object, result, context);
                    // The function lives until its last call is through.
                    drop(function);
                })
            };
            let result = callable.call(&JsValue::undefined(), &[object.into()], context);
            complete(context, result, finish, || {
                let _ = to_host.send(ToHost::Promised);
            });
        });
    }
}

/// What was thrown, and where; the limit, if the call was stopped at one.
fn describe(scope: &Scope, error: &JsError, context: &mut Context) -> ScriptError {
    let fired = Thread::current().and_then(|thread| thread.watch_fired());
    let described = scope.describe(error, context);
    match fired {
        Some(fired) => described.stopped(Some(fired)),
        None => described,
    }
}

/// Hands the outcome of a call to `done`: at once, or when its promise is settled, which `promised` is told of.
fn complete(context: &mut Context, result: JsResult<JsValue>, done: Done, promised: impl FnOnce()) {
    let stopped = Thread::current().and_then(|thread| thread.watch_fired());
    match (stopped, result) {
        (None, Ok(value)) => {
            if value.is_promise() {
                promised();
            }
            when_done(value, context, done);
        }
        // An asynchronous function swallows the error of its limit.
        (Some(fired), Ok(_)) => {
            let error = JsNativeError::error().with_message(fired.to_string());
            done(context, Err(error.into()));
        }
        (_, Err(error)) => done(context, Err(error)),
    }
}

type Callee = (Rc<World>, (JsFunction, Rc<Scope>));

fn callee(turn: &Turn<'_>, function: &Function) -> Option<Callee> {
    let world = World::of(turn)?;
    let callee = world.function(function)?;
    Some((world, callee))
}

/// What a plain call gives: its value, or what was thrown and where.
pub(super) type Outcome = Result<Json, ScriptError>;

/// Makes the arguments of a plain call.
pub(super) type Arguments = Box<dyn FnOnce(&mut Context) -> JsResult<Vec<JsValue>> + Send>;

impl Function {
    /// Queues a call outside of any event, at once; the future waits for what it gives, also through a promise.
    ///
    /// # Errors
    /// What it threw; also when it was stopped at its limit, or its promise was not settled within `budget`.
    pub(super) fn call(
        self: &Arc<Self>,
        arguments: Arguments,
        budget: Duration,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        let (started, begun) = oneshot::channel();
        let function = Arc::clone(self);
        let job = Box::new(move |turn: &mut Turn<'_>| {
            let _ = started.send(turn.thread.epoch());
            match callee(turn, &function) {
                Some((_, (callable, scope))) => {
                    function.script.calls.fetch_add(1, Ordering::Relaxed);
                    let answer = move |outcome| {
                        let _ = answer.send(outcome);
                        // The function lives until its last call is through.
                        drop(function);
                    };
                    plain_call(turn, &scope, &callable, arguments, Some(budget), answer);
                }
                None => {
                    let _ = answer.send(Err(ScriptError::new("the script is gone")));
                }
            }
        });
        let host = self.host().clone();
        let script = Arc::clone(&self.script);
        let submitted = host.submit(&route(false), job);
        async move {
            let outcome = match submitted {
                Ok(()) => await_answer(&host, begun, answered, budget).await,
                Err(error) => Err(ScriptError::new(error.to_string())),
            };
            if let Err(error) = &outcome {
                script.failed("a function of a script failed", &error.to_string());
            }
            outcome
        }
    }
}

/// Waits for the answer of a call, unless its thread gets stuck. Waiting in the queue has no limit of its own.
pub(super) async fn await_answer(
    host: &Host,
    begun: oneshot::Receiver<u64>,
    answered: oneshot::Receiver<Outcome>,
    budget: Duration,
) -> Outcome {
    let gone = || ScriptError::new("the script ended before its function did");
    let epoch = tokio::select! {
        epoch = begun => epoch.map_err(|_| gone())?,
        () = host.given_up() => return Err(gone()),
    };
    tokio::select! {
        biased;
        outcome = answered => outcome.unwrap_or_else(|_| Err(gone())),
        () = host.left(epoch) => Err(gone()),
        () = tokio::time::sleep(budget + ANSWER_GRACE) => {
            Err(ScriptError::new("the function did not end in time"))
        }
    }
}

/// Calls a function of a scope and hands on what it gives.
pub(super) fn plain_call(
    turn: &mut Turn<'_>,
    scope: &Rc<Scope>,
    callable: &JsFunction,
    arguments: Arguments,
    budget: Option<Duration>,
    answer: impl FnOnce(Outcome) + 'static,
) {
    let current = Current {
        scope: Some(Rc::clone(scope)),
        // Timers of a call with a session are waited for, also when the script is loaded anew meanwhile.
        session: Some(Rc::new(Session::plain())),
        call: Some(Rc::default()),
        ..Current::default()
    };
    let owner = Rc::clone(scope);
    turn.enter_as(scope, current, budget, |context| {
        let done: Done = Box::new(move |context, outcome| {
            let outcome = outcome
                .and_then(|value| values::json(&value, context))
                .map_err(|error| describe(&owner, &error, context));
            answer(outcome);
        });
        let result = arguments(context)
            .and_then(|arguments| callable.call(&JsValue::undefined(), &arguments, context));
        complete(context, result, done, || ());
    });
}
