//! How scripts use the engine: an operation runs inside the transaction of the call at hand, or by itself.

use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use boa_engine::{Context, JsNativeError, JsResult};
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::failure;
use super::session::{App, Operation, ToHost};
use super::world::{session, world};
use crate::engine::Error;
use crate::engine::events::{WITHIN, Within};
use crate::js::lane::Chain;
use crate::js::thread::{Thread, Wait};

/// How long a script waits for one operation.
pub(super) const OPERATION_MAX: Duration = Duration::from_secs(60);

/// How long a look-up may take before other calls go on meanwhile. Most are through by then, and what a script does
/// between two of them stays in one piece.
const LOOK_UP_MOMENT: Duration = Duration::from_millis(20);

/// Runs an operation on the engine and waits for its result. Other scripts wait too: between two operations of one call
/// nothing else runs.
///
/// # Errors
/// The operation's error as the script catches it.
pub(super) fn operate<T, F>(context: &mut Context, operation: F) -> JsResult<T>
where
    T: Send + 'static,
    F: for<'a> FnOnce(App<'a>) -> BoxFuture<'a, Result<T, Error>> + Send + 'static,
{
    let session = session()?;
    operate_in(context, session.transaction.as_ref(), operation)
}

/// As [`operate`], for what only reads. Outside a transaction it is part of the call's own time, and ends with it: a
/// query is as long as the script has made it. One that takes more than a moment lets other calls go on meanwhile.
///
/// # Errors
/// As [`operate`].
pub(super) fn look_up<T, F>(context: &mut Context, operation: F) -> JsResult<T>
where
    T: Send + 'static,
    F: for<'a> FnOnce(App<'a>) -> BoxFuture<'a, Result<T, Error>> + Send + 'static,
{
    let session = session()?;
    match session.transaction.as_ref() {
        Some(transaction) => operate_in(context, Some(transaction), operation),
        None => look_up_alone(context, operation),
    }
}

/// As [`look_up`], for auxiliary.db.
///
/// # Errors
/// As [`operate`].
pub(super) fn look_up_auxiliary<T, F>(context: &mut Context, operation: F) -> JsResult<T>
where
    T: Send + 'static,
    F: for<'a> FnOnce(App<'a>) -> BoxFuture<'a, Result<T, Error>> + Send + 'static,
{
    let transaction = world()?.auxiliary.borrow().clone();
    match transaction.as_ref() {
        Some(transaction) => operate_in(context, Some(transaction), operation),
        None => look_up_alone(context, operation),
    }
}

fn look_up_alone<T, F>(context: &mut Context, operation: F) -> JsResult<T>
where
    T: Send + 'static,
    F: for<'a> FnOnce(App<'a>) -> BoxFuture<'a, Result<T, Error>> + Send + 'static,
{
    let thread = Thread::of_native()?;
    let chain = thread.chain();
    let world = world()?;
    let engine = world.engine.clone();
    let began = Instant::now();
    let work = async move {
        let app = App {
            engine: &engine,
            tx: None,
        };
        let result = operation(app).await;
        (result, began.elapsed())
    };
    let within: Within = std::sync::Arc::new(chain.clone());
    let mut work = Box::pin(WITHIN.scope(Some(within), work));
    let limit = thread
        .time_left()
        .map_or(OPERATION_MAX, |left| left.min(OPERATION_MAX));
    let moment = Wait {
        limit: limit.min(LOOK_UP_MOMENT),
        serves_others: false,
    };
    thread.check_depth()?;
    let (result, took) = match thread.wait(context, &chain, &moment, work.as_mut()) {
        Ok(done) => done,
        Err(_) => {
            // What it holds, such as a connection, must not wait for the calls that now run on top of this one.
            let mut tasks = JoinSet::new();
            tasks.spawn_on(work, thread.host().runtime());
            let rest = Wait {
                limit: limit.saturating_sub(LOOK_UP_MOMENT),
                serves_others: !thread.on_behalf().in_writer && !world.is_updating(),
            };
            match wait_for(&thread, context, &chain, &rest, tasks.join_next()) {
                Ok(Some(Ok(done))) => done,
                Ok(_) => return Err(lost_work().into()),
                // Dropping the task ends it.
                Err(error) => {
                    thread.charge(limit);
                    return Err(error);
                }
            }
        }
    };
    thread.charge(took);
    result.map_err(|error| failure::to_js(&error, context))
}

/// As [`operate`], for auxiliary.db: inside the transaction that a script has there, or by itself.
///
/// # Errors
/// As [`operate`].
pub(super) fn operate_auxiliary<T, F>(context: &mut Context, operation: F) -> JsResult<T>
where
    T: Send + 'static,
    F: for<'a> FnOnce(App<'a>) -> BoxFuture<'a, Result<T, Error>> + Send + 'static,
{
    let transaction = world()?.auxiliary.borrow().clone();
    operate_in(context, transaction.as_ref(), operation)
}

fn operate_in<T, F>(
    context: &mut Context,
    transaction: Option<&mpsc::UnboundedSender<ToHost>>,
    operation: F,
) -> JsResult<T>
where
    T: Send + 'static,
    F: for<'a> FnOnce(App<'a>) -> BoxFuture<'a, Result<T, Error>> + Send + 'static,
{
    let thread = Thread::of_native()?;
    let chain = thread.chain();
    let wait = Wait {
        limit: OPERATION_MAX,
        serves_others: false,
    };
    let result = match transaction {
        Some(transaction) => {
            let (answer, answered) = oneshot::channel();
            let work: Operation = Box::new(move |app| run_and_answer(app, operation, answer));
            transaction
                .send(ToHost::Operate(work))
                .map_err(|_| over())?;
            wait_for(&thread, context, &chain, &wait, answered)?.map_err(|_| over())?
        }
        None => {
            let engine = world()?.engine.clone();
            let future = async move {
                operation(App {
                    engine: &engine,
                    tx: None,
                })
                .await
            };
            wait_for(&thread, context, &chain, &wait, future)?
        }
    };
    result.map_err(|error| failure::to_js(&error, context))
}

fn run_and_answer<'a, T, F>(
    app: App<'a>,
    operation: F,
    answer: oneshot::Sender<Result<T, Error>>,
) -> BoxFuture<'a, ()>
where
    T: Send + 'static,
    F: for<'b> FnOnce(App<'b>) -> BoxFuture<'b, Result<T, Error>> + Send + 'static,
{
    let future = operation(app);
    Box::pin(async move {
        let _ = answer.send(future.await);
    })
}

fn over() -> JsNativeError {
    JsNativeError::error().with_message("the transaction is over")
}

/// Waits for a future on the script thread; calls that the future itself makes into scripts run meanwhile.
///
/// # Errors
/// When the host does not answer in time.
pub(super) fn wait_for<F: Future>(
    thread: &Rc<Thread>,
    context: &mut Context,
    chain: &Chain,
    wait: &Wait,
    future: F,
) -> JsResult<F::Output> {
    thread.check_depth()?;
    let within: Within = std::sync::Arc::new(chain.clone());
    thread
        .wait(context, chain, wait, WITHIN.scope(Some(within), future))
        .map_err(|error| {
            JsNativeError::error()
                .with_message(error.to_string())
                .into()
        })
}

/// Waits for work of the engine whose own events may call scripts. It runs on the host's runtime: here, a handler that it
/// calls would stand on top of it and wait for it in vain.
///
/// # Errors
/// When the host does not answer in time.
pub(super) fn spawn_and_wait<F>(context: &mut Context, future: F) -> JsResult<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let thread = Thread::of_native()?;
    let chain = thread.chain();
    let within: Within = std::sync::Arc::new(chain.clone());
    let task = thread
        .host()
        .runtime()
        .spawn(WITHIN.scope(Some(within), future));
    let wait = Wait {
        limit: OPERATION_MAX,
        serves_others: false,
    };
    wait_for(&thread, context, &chain, &wait, task)?.map_err(|_| lost_work().into())
}

fn lost_work() -> JsNativeError {
    JsNativeError::error().with_message("the work was lost")
}
