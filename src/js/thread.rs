//! The script thread: its loop, its turns, and how a script waits for the host.
//!
//! All scripts run here, one call at a time. A call that waits for the host ([`Thread::wait`]) keeps its place on the
//! stack; meanwhile the thread serves, on top of it, what must not queue behind it:
//!
//! | lane | holds | served while a script waits |
//! | --- | --- | --- |
//! | writer | hooks of the transaction that holds the writer | always: the wait may be for that very writer |
//! | chain | hooks that the awaited work itself calls | always |
//! | general | everything else | where the caller allows it, up to a depth |
//!
//! Jobs of promises that a nested call queues run before it ends; those of the call below wait for that call.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::{Duration, Instant};

use boa_engine::builtins::promise::ResolvingFunctions;
use boa_engine::{Context, JsError, JsResult};

use super::bell::Alarm;
use super::error::ScriptError;
use super::executor::Executor;
use super::host::{Host, Replaced, Setup};
use super::lane::{Chain, Job, Lane, Route};
use super::pending::Pending;
use super::promise::{Call, Done};
use super::rejections::Unhandled;
use super::scope::Scope;
use super::timers::Timers;
use super::watchdog::{Fired, ThreadWatch};

/// How many calls may stand on each other.
const DEPTH_MAX: usize = 48;
/// Up to which depth a wait also serves calls that it has nothing to do with.
const GENERAL_DEPTH_MAX: usize = 16;
/// Jobs of promises of one turn; a storm beyond it is an error.
pub(super) const MICRO_JOBS_MAX: usize = 1_000_000;

/// On whose behalf script code runs. Promises and timers carry it along.
#[derive(Clone, Default)]
pub struct Current {
    /// The script or module that was entered.
    pub scope: Option<Rc<Scope>>,
    /// What the layer above keeps for the call: its event and transaction.
    pub session: Option<Rc<dyn Any>>,
    /// The call belongs to the transaction that holds the writer.
    pub in_writer: bool,
    /// The call from outside that waits for what this leads to.
    pub call: Option<Rc<Call>>,
}

/// The state of the script thread.
pub struct Thread {
    host: Host,
    epoch: u64,
    /// The interpreter broke down, and the thread was replaced for it.
    panicked: Cell<bool>,
    depth: Cell<usize>,
    /// The job taken last came by the writer's lane.
    for_writer: Cell<bool>,
    /// For how long scripts have waited for the host, all in all.
    waited: Cell<Duration>,
    pub(super) watch: ThreadWatch,
    /// The limit that the last call was stopped at, if it was.
    pub(super) fired: Cell<Option<Fired>>,
    /// The limit that work was stopped at on behalf of the call that is told of it now.
    fired_later: Cell<Option<Fired>>,
    current: RefCell<Current>,
    pub(super) executor: Rc<Executor>,
    pub(super) rejections: Rc<Unhandled>,
    pub(super) timers: Timers,
    pub(super) pending: Pending<(ResolvingFunctions, Current)>,
    /// What the layer above keeps for the thread.
    data: RefCell<Option<Rc<dyn Any>>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Thread>>> = const { RefCell::new(None) };
}

/// One job on the script thread.
pub struct Turn<'a> {
    pub thread: Rc<Thread>,
    /// The context of the script that waits below, for calls into a script that is on the stack already.
    pub outer: Option<&'a mut Context>,
}

/// How a script waits for the host.
pub struct Wait {
    /// Longest time.
    pub limit: Duration,
    /// Serve calls that have nothing to do with this one meanwhile. Only where a script expects the world to change:
    /// between `e.next()` and what follows, or while another server is asked.
    pub serves_others: bool,
}

/// The host did not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host did not answer in time")]
pub struct Expired;

impl Thread {
    /// The script thread's state. Nothing elsewhere.
    #[must_use]
    pub fn current() -> Option<Rc<Self>> {
        CURRENT.with(|current| current.borrow().clone())
    }

    /// The same for native functions, which run nowhere else.
    ///
    /// # Errors
    /// A type error off the script thread.
    pub fn of_native() -> JsResult<Rc<Self>> {
        Self::current().ok_or_else(|| {
            boa_engine::JsNativeError::typ()
                .with_message("not on the script thread")
                .into()
        })
    }

    pub(super) fn run(host: Host, epoch: u64, setup: &Setup) {
        let runtime = host.runtime().clone();
        let Ok(watchdog) = &host.inner.watchdog else {
            return;
        };
        // What host futures find their timers and their input and output by.
        let _entered = runtime.enter();
        let bell = Arc::clone(&host.inner.bell);
        bell.listen();
        let thread = Rc::new(Self {
            watch: watchdog.watch(epoch),
            fired: Cell::new(None),
            fired_later: Cell::new(None),
            host: host.clone(),
            epoch,
            panicked: Cell::new(false),
            depth: Cell::new(0),
            for_writer: Cell::new(false),
            waited: Cell::default(),
            current: RefCell::default(),
            executor: Rc::new(Executor::default()),
            rejections: Rc::new(Unhandled::default()),
            timers: Timers::default(),
            pending: Pending::default(),
            data: RefCell::default(),
        });
        CURRENT.with(|current| *current.borrow_mut() = Some(Rc::clone(&thread)));
        let setup = Arc::clone(setup);
        thread.turn(None, Box::new(move |turn| setup(turn)));
        while host.is_current(epoch) {
            bell.hush();
            match thread.pop(None, true) {
                Some(job) => thread.turn(None, job),
                None => bell.wait(),
            }
        }
        let panicked = thread.panicked.get();
        // The collector's heap belongs to the thread: what scripts left must go before it.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            *thread.data.borrow_mut() = None;
            *thread.current.borrow_mut() = Current::default();
            thread.timers.clear();
            thread.executor.clear();
            thread.pending.clear();
            thread.rejections.clear();
            CURRENT.with(|current| *current.borrow_mut() = None);
            drop(thread);
            boa_gc::force_collect();
        }));
        if ended.is_err() {
            // After a panic in the interpreter its heap may be past clearing up. It is kept, then, with its thread.
            loop {
                std::thread::park();
            }
        }
        if !panicked && host.epoch() != u64::MAX {
            host.left_behind_ended();
        }
    }

    /// The handle that other threads use.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What the layer above keeps for the thread.
    #[must_use]
    pub fn data(&self) -> Option<Rc<dyn Any>> {
        self.data.borrow().clone()
    }

    /// Sets what [`Thread::data`] gives.
    pub fn set_data(&self, data: Rc<dyn Any>) {
        *self.data.borrow_mut() = Some(data);
    }

    /// On whose behalf script code runs now.
    #[must_use]
    pub fn on_behalf(&self) -> Current {
        self.current.borrow().clone()
    }

    /// Runs work on behalf of another call.
    pub fn behalf<R>(&self, current: Current, work: impl FnOnce() -> R) -> R {
        let before = self.current.replace(current);
        let result = work();
        *self.current.borrow_mut() = before;
        result
    }

    /// The lane of jobs that continue what runs now.
    #[must_use]
    pub fn continuation(&self) -> Route {
        if self.current.borrow().in_writer {
            Route::Writer
        } else {
            Route::General
        }
    }

    /// A private lane for one wait.
    #[must_use]
    pub fn chain(&self) -> Chain {
        Chain(Arc::new(Lane::new(
            Arc::clone(&self.host.inner.bell),
            usize::MAX,
        )))
    }

    /// Blocks script code until `future` is done, and serves nested calls meanwhile.
    ///
    /// The future runs on this thread, where the host's runtime is entered. What it calls into scripts must come by `chain` or
    /// by the writer's lane.
    ///
    /// # Errors
    /// [`Expired`] after the limit; the future is dropped then.
    pub fn wait<F: Future>(
        self: &Rc<Self>,
        context: &mut Context,
        chain: &Chain,
        wait: &Wait,
        future: F,
    ) -> Result<F::Output, Expired> {
        let general = wait.serves_others && self.depth.get() < GENERAL_DEPTH_MAX;
        let bell = &self.host.inner.bell;
        let _paused = self.watch.pause();
        let began = Instant::now();
        let mut future = pin!(future);
        let alarm = Alarm::new();
        let waker = Waker::from(Arc::clone(&alarm));
        let mut task = task::Context::from_waker(&waker);
        let result = loop {
            bell.hush();
            while let Some(job) = self.pop(Some(chain), general) {
                self.turn(Some(&mut *context), job);
            }
            if alarm.take()
                && let Poll::Ready(output) = future.as_mut().poll(&mut task)
            {
                break Ok(output);
            }
            match wait.limit.checked_sub(began.elapsed()) {
                Some(left) if !left.is_zero() => alarm.wait(bell, left),
                _ => break Err(Expired),
            }
        };
        self.waited.set(self.waited.get() + began.elapsed());
        result
    }

    fn pop(&self, chain: Option<&Chain>, general: bool) -> Option<Job> {
        let inner = &self.host.inner;
        let job = inner.writer.pop();
        self.for_writer.set(job.is_some());
        job.or_else(|| chain.and_then(|chain| chain.0.pop()))
            .or_else(|| general.then(|| inner.general.pop()).flatten())
    }

    /// Runs a job and the promise jobs that it leaves, on top of what waits below.
    fn turn(self: &Rc<Self>, outer: Option<&mut Context>, job: Job) {
        let for_writer = self.for_writer.take();
        let below = self.executor.replace(VecDeque::new());
        let current = self.current.replace(Current::default());
        self.depth.set(self.depth.get() + 1);
        let mut turn = Turn {
            thread: Rc::clone(self),
            outer,
        };
        // The interpreter has assertions that scripts can trip.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            job(&mut turn);
            turn.drain();
        }));
        let depth = self.depth.get() - 1;
        self.depth.set(depth);
        let panicked = self.current.replace(current);
        self.executor.replace(below);
        if for_writer {
            self.host.inner.bell.pace.end();
        }
        if let Err(panic) = ran {
            // Nobody knows what state the interpreter is in: no script runs on this thread any more, and another one
            // takes over. What waits below ends with it.
            let scope = panicked.scope.as_ref();
            let file = scope.map(|scope| scope.path());
            if self.host.replace(self.epoch, Replaced::Panicked, file) {
                self.panicked.set(true);
            }
            if depth > 0 {
                resume_unwind(panic);
            }
        }
    }

    /// Whether a thread with this stack of calls takes another.
    ///
    /// # Errors
    /// A range error that names the nesting.
    pub fn check_depth(&self) -> JsResult<()> {
        if self.depth.get() < DEPTH_MAX {
            return Ok(());
        }
        Err(boa_engine::JsNativeError::range()
            .with_message("hooks call hooks too deeply")
            .into())
    }

    /// Whether this thread was replaced.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        !self.host.is_current(self.epoch)
    }

    /// The limit that the call at hand was stopped at.
    #[must_use]
    pub fn watch_fired(&self) -> Option<Fired> {
        self.fired_later.get().or_else(|| self.watch.fired())
    }

    /// What is left of the time of the call at hand.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.watch.left()
    }

    /// Takes from the time of the call at hand: what it has waited for is its own doing.
    pub fn charge(&self, took: Duration) {
        self.watch.charge(took);
    }

    /// The number of this thread among those that replaced each other.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The limit that the last call into a scope was stopped at. An asynchronous function swallows the error of it.
    #[must_use]
    pub fn take_fired(&self) -> Option<Fired> {
        self.fired.take()
    }
}

impl Turn<'_> {
    /// Enters a script: in its own context, or, where that is on the stack already, in the innermost one. Script code
    /// inside runs on behalf of `session` and within the time limit.
    pub fn enter<R>(
        &mut self,
        scope: &Rc<Scope>,
        session: Option<Rc<dyn Any>>,
        in_writer: bool,
        work: impl FnOnce(&mut Context) -> R,
    ) -> R {
        let current = Current {
            scope: Some(Rc::clone(scope)),
            session,
            in_writer,
            call: Some(Rc::default()),
        };
        self.enter_as(scope, current, None, work)
    }

    /// [`Turn::enter`] with all that a call runs on behalf of, and a time limit of its own.
    pub fn enter_as<R>(
        &mut self,
        scope: &Rc<Scope>,
        current: Current,
        budget: Option<Duration>,
        work: impl FnOnce(&mut Context) -> R,
    ) -> R {
        let thread = Rc::clone(&self.thread);
        let outer = self.outer.as_deref_mut();
        thread.behalf(current, || scope.enter(&thread, outer, budget, work))
    }

    /// Runs the jobs of promises that are due. Jobs that go on making jobs are stopped together at the time limit, since
    /// each of them may be short.
    fn drain(&mut self) {
        let executor = Rc::clone(&self.thread.executor);
        let budget = self.thread.host.options().budget;
        let (began, waited) = (Instant::now(), self.thread.waited.get());
        while let Some((job, current)) = executor.pop() {
            let Some(scope) = current.scope.clone() else {
                continue;
            };
            let waited = self.thread.waited.get() - waited;
            let fired = if executor.is_full() {
                Some(Fired::MemoryLimit)
            } else if began.elapsed().saturating_sub(waited) > budget {
                Some(Fired::TimeLimit)
            } else {
                None
            };
            if let Some(fired) = fired {
                let error = ScriptError::new(format!("promises without end: {fired}"));
                scope.failed(&error);
                self.drop_job(current, fired);
                for (_, current) in executor.replace(VecDeque::new()) {
                    self.drop_job(current, fired);
                }
                break;
            }
            if !scope.is_dead() {
                self.enter_later(&scope, current, |context| job(context));
            }
        }
        self.tell_rejections();
    }

    /// Runs what a call has put off. When that is stopped at a limit, the call is over: an asynchronous function that is
    /// stopped leaves its promise pending for ever, and nothing else tells who waits for it.
    pub(super) fn enter_later<R>(
        &mut self,
        scope: &Rc<Scope>,
        current: Current,
        work: impl FnOnce(&mut Context) -> JsResult<R>,
    ) {
        let result = self.enter_as(scope, current.clone(), None, work);
        match (self.thread.take_fired(), result) {
            (None, Ok(_)) => {}
            (None, Err(error)) => self.report(scope, &error),
            (Some(fired), _) => {
                if !self.end_call(current, fired) {
                    scope.failed(&ScriptError::new(String::new()).stopped(Some(fired)));
                }
            }
        }
    }

    /// Answers a call that still waits with the limit that work on its behalf was stopped at. Gives whether it waited.
    fn end_call(&mut self, current: Current, fired: Fired) -> bool {
        let call = current.call.as_ref();
        let done = call.and_then(|call| call.take_unless_settled());
        let Some((done, scope)) = done.zip(current.scope.clone()) else {
            return false;
        };
        self.tell_stopped(&scope, current, done, fired);
        true
    }

    /// Answers the call of a job that is not run any more: with its outcome, if only the telling of it is left.
    fn drop_job(&mut self, current: Current, fired: Fired) {
        let waits = current.call.as_ref().and_then(|call| call.take());
        let Some(((done, outcome), scope)) = waits.zip(current.scope.clone()) else {
            return;
        };
        match outcome {
            Some(outcome) => {
                self.enter_as(&scope, current, None, |context| done(context, outcome));
            }
            None => self.tell_stopped(&scope, current, done, fired),
        }
    }

    fn tell_stopped(&mut self, scope: &Rc<Scope>, current: Current, done: Done, fired: Fired) {
        let error = boa_engine::JsNativeError::error().with_message(fired.to_string());
        let before = self.thread.fired_later.replace(Some(fired));
        self.enter_as(scope, current, None, |context| {
            done(context, Err(error.into()));
        });
        self.thread.fired_later.set(before);
    }

    /// Tells of an error that no caller waits for.
    pub fn report(&mut self, scope: &Rc<Scope>, error: &JsError) {
        let error = self.enter(scope, None, false, |context| scope.describe(error, context));
        scope.failed(&error);
    }
}
