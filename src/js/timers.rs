//! `setTimeout`, `setInterval` and their likes (HTML Standard, section 8.6).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use boa_engine::native_function::NativeFunctionPointer;
use boa_engine::object::builtins::JsFunction;
use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsValue, NativeFunction, js_string};
use tokio::task::AbortHandle;

use super::lane::Route;
use super::thread::{Current, Thread};

/// Timers that may run at once, of all scripts together.
const TIMERS_MAX: usize = 10_000;
/// The shortest interval, so that a script cannot keep the thread busy with nothing.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

struct Timer {
    function: JsFunction,
    arguments: Vec<JsValue>,
    current: Current,
    interval: Option<Duration>,
    sleep: AbortHandle,
}

/// The timers of all scripts.
#[derive(Default)]
pub(super) struct Timers {
    last: Cell<u32>,
    running: RefCell<HashMap<u32, Timer>>,
}

impl Timers {
    pub(super) fn clear(&self) {
        for (_, timer) in self.running.take() {
            timer.sleep.abort();
        }
    }

    fn cancel(&self, id: u32) {
        let timer = self.running.borrow_mut().remove(&id);
        if let Some(timer) = timer {
            timer.sleep.abort();
        }
    }

    /// Ends the timers of dead scopes, which would keep them in memory, and those of retired ones that no call waits
    /// for.
    pub(super) fn sweep(&self) {
        let dead: Vec<u32> = self
            .running
            .borrow()
            .iter()
            .filter(|(_, timer)| {
                let waited_for = timer.interval.is_none() && timer.current.session.is_some();
                let scope = timer.current.scope.as_ref();
                scope.is_none_or(|scope| scope.is_dead() || scope.is_retired() && !waited_for)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in dead {
            self.cancel(id);
        }
    }
}

impl Thread {
    /// Calls a function once after a while, or again and again. Gives the timer's id.
    ///
    /// # Errors
    /// A range error when too many timers run.
    pub fn set_timer(
        self: &Rc<Self>,
        function: JsFunction,
        arguments: Vec<JsValue>,
        delay: Duration,
        repeats: bool,
    ) -> JsResult<u32> {
        if self.timers.running.borrow().len() >= TIMERS_MAX {
            return Err(JsNativeError::range()
                .with_message("too many timers are running")
                .into());
        }
        let id = self.timers.last.get().wrapping_add(1);
        self.timers.last.set(id);
        let interval = repeats.then(|| delay.max(INTERVAL_MIN));
        let timer = Timer {
            function,
            arguments,
            current: self.on_behalf(),
            interval,
            sleep: self.sleep(id, interval.unwrap_or(delay), self.continuation()),
        };
        self.timers.running.borrow_mut().insert(id, timer);
        Ok(id)
    }

    /// Ends a timer, if it still runs.
    pub fn clear_timer(&self, id: u32) {
        self.timers.cancel(id);
    }

    /// Ends the timers of scripts that are no more.
    pub fn sweep_timers(&self) {
        self.timers.sweep();
    }

    fn sleep(&self, id: u32, delay: Duration, route: Route) -> AbortHandle {
        let host = self.host().clone();
        let runtime = host.runtime().clone();
        runtime
            .spawn(async move {
                tokio::time::sleep(delay).await;
                host.continue_with(&route, Box::new(move |turn| turn.fire(id)));
            })
            .abort_handle()
    }
}

impl super::thread::Turn<'_> {
    fn fire(&mut self, id: u32) {
        let thread = Rc::clone(&self.thread);
        let due = {
            let mut running = thread.timers.running.borrow_mut();
            match running.get(&id) {
                Some(timer) if timer.interval.is_some() => Some((
                    timer.function.clone(),
                    timer.arguments.clone(),
                    timer.current.clone(),
                )),
                Some(_) => running
                    .remove(&id)
                    .map(|timer| (timer.function, timer.arguments, timer.current)),
                None => None,
            }
        };
        let Some((function, arguments, current)) = due else {
            return;
        };
        let Some(scope) = current.scope.clone().filter(|scope| !scope.is_dead()) else {
            thread.timers.cancel(id);
            return;
        };
        self.enter_later(&scope, current, |context| {
            function.call(&JsValue::undefined(), &arguments, context)
        });
        // An interval starts anew after its call, so that a slow one never queues behind itself.
        let mut running = thread.timers.running.borrow_mut();
        if let Some(timer) = running.get_mut(&id)
            && let Some(interval) = timer.interval
        {
            timer.sleep = thread.sleep(id, interval, Route::General);
        }
    }
}

/// Adds the functions to a global scope.
pub(super) fn install(context: &mut Context) -> JsResult<()> {
    let functions: [(_, usize, NativeFunctionPointer); 4] = [
        (js_string!("setTimeout"), 1, set_timeout),
        (js_string!("setInterval"), 1, set_interval),
        (js_string!("clearTimeout"), 1, clear),
        (js_string!("clearInterval"), 1, clear),
    ];
    for (name, length, function) in functions {
        context.register_global_callable(name, length, NativeFunction::from_fn_ptr(function))?;
    }
    Ok(())
}

fn set_timeout(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    set(args, false, context)
}

fn set_interval(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    set(args, true, context)
}

fn set(args: &[JsValue], repeats: bool, context: &mut Context) -> JsResult<JsValue> {
    let function = args.get_or_undefined(0).as_function().ok_or_else(|| {
        JsNativeError::typ().with_message("the first argument must be a function")
    })?;
    let delay = delay(args.get_or_undefined(1), context)?;
    let arguments = args.get(2..).unwrap_or_default().to_vec();
    let id = Thread::of_native()?.set_timer(function, arguments, delay, repeats)?;
    Ok(id.into())
}

/// A delay in milliseconds; what is no number, or below zero, is none.
pub fn delay(value: &JsValue, context: &mut Context) -> JsResult<Duration> {
    let milliseconds = value.to_number(context)?;
    let milliseconds = if milliseconds.is_finite() && milliseconds > 0.0 {
        milliseconds.min(f64::from(i32::MAX))
    } else {
        0.0
    };
    Ok(Duration::from_secs_f64(milliseconds / 1000.0))
}

fn clear(_: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    if let Some(id) = args.get_or_undefined(0).as_number()
        && id >= 0.0
        && id <= f64::from(u32::MAX)
    {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above"
        )]
        Thread::of_native()?.clear_timer(id as u32);
    }
    Ok(JsValue::undefined())
}
