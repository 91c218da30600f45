//! `cron`: work that is done again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsValue};
use tokio::task::AbortHandle;

use super::Natives;
use super::registration::function;
use crate::hooks::crons::BUDGET;
use crate::hooks::registry::Function;
use crate::hooks::world::{Registration, unit, world};
use crate::js::thread::Thread;

pub(super) const NATIVES: Natives = &[("every", 2, every)];

/// The shortest and the longest time between two calls.
const PERIOD_MIN_S: f64 = 0.05;
const PERIOD_MAX_S: f64 = 31_536_000.0;

/// Calls a function again and again for as long as it lives; a call begins only when the one before is through.
pub(in crate::hooks) struct Ticker(AbortHandle);

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Ticker {
    fn start(
        thread: &Thread,
        period: Duration,
        function: Arc<Function>,
        live: Arc<AtomicBool>,
    ) -> Self {
        let task = thread.host().runtime().spawn(async move {
            loop {
                tokio::time::sleep(period).await;
                // Not before the version of the script counts.
                if live.load(Ordering::Relaxed) {
                    let nothing = Box::new(|_: &mut Context| Ok(Vec::new()));
                    // Errors are counted and logged there.
                    let _ = function.call(nothing, BUDGET).await;
                }
            }
        });
        Self(task.abort_handle())
    }
}

/// `every(seconds, function)`: gives the number to end it with.
fn every(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let seconds = args.get_or_undefined(0).to_number(context)?;
    if !seconds.is_finite() || seconds <= 0.0 {
        return Err(JsNativeError::range()
            .with_message("a number of seconds above zero is expected")
            .into());
    }
    let period = Duration::from_secs_f64(seconds.clamp(PERIOD_MIN_S, PERIOD_MAX_S));
    let callable = function(args.get_or_undefined(1))?;
    let world = world()?;
    let kept = world.keep(callable)?;
    let (_, unit) = unit()?;
    let thread = Thread::of_native()?;
    let ticker = Ticker::start(&thread, period, kept, unit.live());
    let number = world.register(|_| Ok(Registration::Every(ticker)))?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "numbers of registrations stay small"
    )]
    Ok(JsValue::from(number as f64))
}
