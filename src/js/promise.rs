//! Promises between scripts and the host.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use boa_engine::builtins::promise::PromiseState;
use boa_engine::object::builtins::{JsFunction, JsPromise};
use boa_engine::{Context, JsArgs, JsError, JsResult, JsValue, NativeFunction};

use super::native::Native;
use super::thread::{Thread, Turn};

/// Takes what a host future gave to a script value.
pub type Settle = Box<dyn FnOnce(&mut Context) -> JsResult<JsValue> + Send>;

/// What is done with the outcome of a call.
pub type Done = Box<dyn FnOnce(&mut Context, JsResult<JsValue>)>;

/// A call from outside: what is to be done with its outcome, while it waits for a promise.
#[derive(Default)]
pub struct Call {
    done: Cell<Option<Done>>,
    /// The promise, where it was settled from the first and is only not told yet.
    settled: RefCell<Option<JsPromise>>,
}

impl Call {
    /// For a stop of work on behalf of the call. What is settled already no stop takes back.
    pub(super) fn take_unless_settled(&self) -> Option<Done> {
        let waits = self.settled.borrow().is_none();
        waits.then(|| self.done.take()).flatten()
    }

    /// For a call whose jobs are dropped: also the outcome, where there is one.
    pub(super) fn take(&self) -> Option<(Done, Option<JsResult<JsValue>>)> {
        let done = self.done.take()?;
        let promise = self.settled.take();
        let outcome = promise.and_then(|promise| match promise.state() {
            PromiseState::Pending => None,
            PromiseState::Fulfilled(value) => Some(Ok(value)),
            PromiseState::Rejected(reason) => Some(Err(JsError::from_opaque(reason))),
        });
        Some((done, outcome))
    }
}

impl Thread {
    /// A promise of what a future gives. The future runs on the host's runtime; other scripts go on meanwhile.
    pub fn promise(
        self: &Rc<Self>,
        context: &mut Context,
        future: impl Future<Output = Settle> + Send + 'static,
    ) -> JsValue {
        let (promise, resolvers) = JsPromise::new_pending(context);
        let current = self.on_behalf();
        let route = self.continuation();
        // Script values stay here; the runtime gets a number.
        let id = self.pending.park((resolvers, current));
        let host = self.host().clone();
        let runtime = host.runtime().clone();
        runtime.spawn(async move {
            let settle = future.await;
            host.continue_with(&route, Box::new(move |turn| turn.settle(id, settle)));
        });
        promise.into()
    }
}

impl Turn<'_> {
    fn settle(&mut self, id: u64, settle: Settle) {
        let Some((resolvers, current)) = self.thread.pending.take(id) else {
            return;
        };
        let Some(scope) = current.scope.clone().filter(|scope| !scope.is_dead()) else {
            return;
        };
        self.enter_later(&scope, current, |context| match settle(context) {
            Ok(value) => resolvers
                .resolve
                .call(&JsValue::undefined(), &[value], context),
            Err(error) => {
                let reason = error.into_opaque(context)?;
                resolvers
                    .reject
                    .call(&JsValue::undefined(), &[reason], context)
            }
        });
    }
}

/// Does something with the outcome of a call: at once, or, when the call gave a promise, once that is settled. A promise
/// that is never settled drops `done` with the script, unless work on behalf of the call is stopped at a limit: `done` gets that.
pub fn when_done(value: JsValue, context: &mut Context, done: Done) {
    let Some(promise) = value.as_promise() else {
        return done(context, Ok(value));
    };
    let call = Thread::current().and_then(|thread| thread.on_behalf().call);
    let call = call.unwrap_or_default();
    if !matches!(promise.state(), PromiseState::Pending) {
        *call.settled.borrow_mut() = Some(promise.clone());
    }
    call.done.set(Some(done));
    let on = |failed: bool, call: Rc<Call>, context: &Context| -> JsFunction {
        NativeFunction::from_copy_closure_with_captures(
            move |_, args, call: &Native<Rc<Call>>, context| {
                if let Some((done, _)) = call.take() {
                    let value = args.get_or_undefined(0).clone();
                    let outcome = if failed {
                        Err(JsError::from_opaque(value))
                    } else {
                        Ok(value)
                    };
                    done(context, outcome);
                }
                Ok(JsValue::undefined())
            },
            Native(call),
        )
        .to_js_function(context.realm())
    };
    let fulfilled = on(false, Rc::clone(&call), context);
    let rejected = on(true, Rc::clone(&call), context);
    let waits = promise.then(Some(fulfilled), Some(rejected), context);
    // The call may be stopped in this very moment.
    if let Err(error) = waits
        && let Some((done, _)) = call.take()
    {
        done(context, Err(error));
    }
}
