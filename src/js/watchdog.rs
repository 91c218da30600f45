//! Stops scripts that run too long or take too much memory.
//!
//! The interpreter has no interrupt. It does compare its counters of loops, calls and stack with its limits at every
//! turn of a loop and at every call, and the error of a passed limit cannot be caught by the script. So one thread
//! watches all script threads, and writes limits of zero into the context that is past its deadline; when the call
//! returns, the limits are as before and the context is usable. Work inside one native function (a regular expression
//! that backtracks for ever) is beyond this: it is reported as stuck, for the owner to abandon the thread.
//!
//! # Safety
//! This is the one place that reaches into a context from another thread.
//! - The pointer is to the limits of the context that [`ThreadWatch::run`] borrows mutably for as long as the pointer
//!   is known to the watching thread: it is registered after the borrow begins and, whether the closure returns or
//!   unwinds, withdrawn before it ends. Both, and each write, happen under the thread's lock. So it never dangles.
//! - `RuntimeLimits` is four plain integers, `Copy` and without invariants; any mixture of old and new ones is a valid
//!   value, and either makes the interpreter go on or stop.
//! - The write is volatile and each word of it aligned. The interpreter reads the words without synchronisation: in the
//!   language's own terms a data race, in those of the machine code a plain load of either the old or the new word, at
//!   the latest at the next opcode, since opcodes are calls through a table that the compiler cannot look through.
//!   No value that the race decides is used for anything but a comparison.
//!   It is likewise an alias of memory that the closure borrows mutably; the interpreter itself writes these fields only
//!   through `set_runtime_limits` and `runtime_limits_mut`, which nothing but `run` calls while a call is registered.
//! - A closure that puts another context in the place of its own (`std::mem::swap`) makes the wrong one stop, and no more.
//!
//! Nothing else may be done through this pointer.
#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use boa_engine::Context;
use boa_engine::vm::RuntimeLimits;

use super::os_thread::Guard;
use crate::base::meter::Meter;

/// How often running scripts are looked at.
const TICK: Duration = Duration::from_millis(10);
/// After this many ticks without a script the watching thread sleeps until the next one.
const IDLE_TICKS_MAX: u32 = 100;
/// How long past its deadline a script counts as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(2);

/// How deep script calls nest. A level that goes through native code takes up to 20 kB of the thread's stack.
const RECURSION_MAX: usize = 10_000;
/// How many values the interpreter's own stack has.
const STACK_VALUES_MAX: usize = 1_000_000;

/// The stack that script threads need for [`base_limits`] to be reached before it overflows. It is address space:
/// what is not used takes no memory.
pub const THREAD_STACK_BYTES: usize = 256 << 20;

/// The limits of every context while it runs within its deadline.
pub fn base_limits() -> RuntimeLimits {
    let mut limits = RuntimeLimits::default();
    limits.set_recursion_limit(RECURSION_MAX);
    limits.set_stack_size_limit(STACK_VALUES_MAX);
    limits.set_backtrace_limit(20);
    limits
}

/// Why a script was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fired {
    TimeLimit,
    MemoryLimit,
}

impl fmt::Display for Fired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimeLimit => "stopped at its time limit",
            Self::MemoryLimit => "stopped at its memory limit",
        })
    }
}

/// What came of a call under a deadline.
#[derive(Debug)]
pub struct Ran<R> {
    pub value: R,
    /// The limit that the call was stopped at. The value may be good nevertheless, when it ended by itself meanwhile.
    pub fired: Option<Fired>,
    /// Whether the thread was reported as stuck during the call; it has been replaced by now.
    pub stuck: bool,
}

/// A thread that has not come back although its script was stopped.
#[derive(Debug, Clone)]
pub struct Stuck {
    /// The number given to [`Watchdog::watch`].
    pub thread: u64,
    pub fired: Fired,
    /// The file whose code was called, where [`ThreadWatch::run_file`] was told.
    pub file: Option<Arc<Path>>,
}

/// The watching thread, for any number of script threads. It ends when this is dropped.
pub struct Watchdog {
    shared: Arc<Shared>,
    thread: Thread,
}

struct Shared {
    threads: Mutex<Vec<Weak<Watched>>>,
    /// Bytes that one call may take; 0 for no limit.
    growth_bytes_max: u64,
    stopped: AtomicBool,
    /// Whether the watching thread sleeps until it is woken.
    asleep: AtomicBool,
}

impl Watchdog {
    /// Starts the watching thread. `growth_bytes_max` is how many bytes a call may take and not give back (0: no limit);
    /// what other threads take does not count, nor what nested calls do. `on_stuck` is called on the watching thread, once for each stuck call, and must not block.
    ///
    /// # Errors
    /// No thread to be had.
    pub fn start(
        growth_bytes_max: u64,
        on_stuck: impl Fn(Stuck) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            threads: Mutex::default(),
            growth_bytes_max,
            stopped: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
        });
        let watching = Arc::clone(&shared);
        let handle = thread::Builder::new()
            .name("script-watchdog".to_owned())
            .spawn(move || watch(&watching, &on_stuck))?;
        Ok(Self {
            shared,
            thread: handle.thread().clone(),
        })
    }

    /// Registers the calling thread, under a number of the caller's own that reports of being stuck name.
    pub fn watch(&self, thread: u64) -> ThreadWatch {
        let watched = Arc::new(Watched {
            number: thread,
            meter: Meter::of_this_thread(),
            guard: Guard::this_thread(),
            calls: Mutex::default(),
        });
        lock(&self.shared.threads).push(Arc::downgrade(&watched));
        ThreadWatch {
            watched,
            shared: Arc::clone(&self.shared),
            watching: self.thread.clone(),
            not_send: PhantomData,
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// A script thread as the watchdog sees it.
struct Watched {
    number: u64,
    meter: &'static Meter,
    guard: &'static Guard,
    calls: Mutex<Vec<Call>>,
}

/// A call under a deadline. Only the innermost one of a thread runs; those around it wait for it.
struct Call {
    limits: LimitsPointer,
    /// What is left of its time as of `since`.
    left: Duration,
    /// Since when it runs; `None` while the host or a nested call works.
    since: Option<Instant>,
    pauses: u32,
    /// What its thread had in use before, with what nested calls have added since.
    bytes_before: i64,
    fired: Option<Fired>,
    stuck: bool,
    file: Option<Arc<Path>>,
}

#[derive(Clone, Copy)]
struct LimitsPointer(*mut RuntimeLimits);

// SAFETY: see the module's text. The pointer is only used under the lock and while the context is borrowed.
unsafe impl Send for LimitsPointer {}

impl Call {
    fn hold(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(now.duration_since(since));
        }
    }

    fn go_on(&mut self, now: Instant) {
        if self.pauses == 0 && self.since.is_none() {
            self.since = Some(now);
        }
    }

    /// Makes the interpreter stop at the next turn of a loop and at the next call.
    fn fire(&mut self, fired: Fired) {
        self.fired = Some(fired);
        let mut limits = base_limits();
        limits.set_loop_iteration_limit(0);
        limits.set_recursion_limit(0);
        limits.set_stack_size_limit(0);
        // SAFETY: the call is registered and the lock held, so the context is borrowed by `run`, which waits for it.
        unsafe { std::ptr::write_volatile(self.limits.0, limits) }
    }
}

/// A script thread's own end of the watchdog.
pub struct ThreadWatch {
    watched: Arc<Watched>,
    shared: Arc<Shared>,
    watching: Thread,
    /// Calls nest as they do on the thread's stack, so it stays on its thread.
    not_send: PhantomData<*const ()>,
}

impl ThreadWatch {
    /// Calls `work` with a deadline, counted in the time that it itself runs: neither in [`Self::pause`] nor in nested
    /// calls of this function, on this context or another, which have deadlines of their own.
    ///
    /// The context has [`base_limits`] during the call and the limits it had before afterwards.
    pub fn run<R>(
        &self,
        context: &mut Context,
        budget: Duration,
        work: impl FnOnce(&mut Context) -> R,
    ) -> Ran<R> {
        self.run_file(context, None, budget, work)
    }

    /// [`Self::run`] for code of a file, which is named should the thread get stuck in it.
    pub fn run_file<R>(
        &self,
        context: &mut Context,
        file: Option<Arc<Path>>,
        budget: Duration,
        work: impl FnOnce(&mut Context) -> R,
    ) -> Ran<R> {
        let before = context.runtime_limits();
        context.set_runtime_limits(base_limits());
        let pointer = LimitsPointer(std::ptr::from_mut(context.runtime_limits_mut()));
        let mut registered = Registered::new(self, pointer, file, budget);
        let outer = self.watched.guard.enter();
        let value = work(context);
        self.watched.guard.leave(outer);
        let (fired, stuck) = registered.withdraw();
        context.set_runtime_limits(before);
        Ran {
            value,
            fired,
            stuck,
        }
    }

    /// Stops the clock of the innermost call until the guard is dropped: the host works for it.
    pub fn pause(&self) -> Pause<'_> {
        let mut calls = lock(&self.watched.calls);
        let depth = calls.len();
        if let Some(call) = calls.last_mut() {
            call.hold(Instant::now());
            call.pauses += 1;
        }
        Pause {
            watch: self,
            depth,
            guard: self.watched.guard.wait(),
        }
    }

    /// What is left of the innermost call's time; nothing where no call runs.
    pub fn left(&self) -> Option<Duration> {
        let calls = lock(&self.watched.calls);
        let call = calls.last()?;
        let running = call.since.map_or(Duration::ZERO, |since| since.elapsed());
        Some(call.left.saturating_sub(running))
    }

    /// Takes from the innermost call's time: work of the host that is to count.
    pub fn charge(&self, took: Duration) {
        if let Some(call) = lock(&self.watched.calls).last_mut() {
            call.left = call.left.saturating_sub(took);
        }
    }

    /// Whether the innermost call was stopped. Scripts do not go on then, and hosts should not go on for them.
    pub fn fired(&self) -> Option<Fired> {
        lock(&self.watched.calls).last().and_then(|call| call.fired)
    }
}

/// See [`ThreadWatch::pause`].
#[must_use]
pub struct Pause<'a> {
    watch: &'a ThreadWatch,
    /// How many calls there were, so that a guard that outlives its call does nothing.
    depth: usize,
    guard: usize,
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.watch.watched.guard.leave(self.guard);
        let mut calls = lock(&self.watch.watched.calls);
        let innermost = calls.len() == self.depth;
        let Some(call) = self
            .depth
            .checked_sub(1)
            .and_then(|index| calls.get_mut(index))
        else {
            return;
        };
        call.pauses = call.pauses.saturating_sub(1);
        if innermost {
            call.go_on(Instant::now());
        }
    }
}

/// A call known to the watching thread, which forgets it when this is dropped.
struct Registered<'a> {
    watch: &'a ThreadWatch,
    withdrawn: bool,
}

impl<'a> Registered<'a> {
    fn new(
        watch: &'a ThreadWatch,
        limits: LimitsPointer,
        file: Option<Arc<Path>>,
        budget: Duration,
    ) -> Self {
        let now = Instant::now();
        let mut calls = lock(&watch.watched.calls);
        if let Some(outer) = calls.last_mut() {
            outer.hold(now);
        }
        calls.push(Call {
            limits,
            left: budget,
            since: Some(now),
            pauses: 0,
            bytes_before: watch.watched.meter.bytes(),
            fired: None,
            stuck: false,
            file,
        });
        drop(calls);
        if watch.shared.asleep.load(Ordering::SeqCst) {
            watch.watching.unpark();
        }
        Self {
            watch,
            withdrawn: false,
        }
    }

    fn withdraw(&mut self) -> (Option<Fired>, bool) {
        self.withdrawn = true;
        let mut calls = lock(&self.watch.watched.calls);
        let call = calls.pop();
        if let Some(outer) = calls.last_mut() {
            outer.go_on(Instant::now());
            if let Some(call) = &call {
                outer.bytes_before += self.watch.watched.meter.bytes() - call.bytes_before;
            }
        }
        call.map_or((None, false), |call| (call.fired, call.stuck))
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        if !self.withdrawn {
            self.withdraw();
        }
    }
}

/// The watching thread.
fn watch(shared: &Shared, on_stuck: &dyn Fn(Stuck)) {
    // Nothing runs before the first script, whose call wakes this thread.
    let mut idle_ticks = IDLE_TICKS_MAX;
    while !shared.stopped.load(Ordering::SeqCst) {
        if look(shared, on_stuck) {
            idle_ticks = 0;
        } else {
            idle_ticks += 1;
        }
        if idle_ticks < IDLE_TICKS_MAX {
            thread::park_timeout(TICK);
            continue;
        }
        // Who registers a call either sees that this sleeps, or is seen by the last look.
        shared.asleep.store(true, Ordering::SeqCst);
        if !look(shared, on_stuck) && !shared.stopped.load(Ordering::SeqCst) {
            thread::park();
        }
        shared.asleep.store(false, Ordering::SeqCst);
        idle_ticks = 0;
    }
}

/// Looks at all threads once; returns whether one of them has a call.
fn look(shared: &Shared, on_stuck: &dyn Fn(Stuck)) -> bool {
    let mut threads = lock(&shared.threads);
    threads.retain(|thread| thread.strong_count() > 0);
    let threads: Vec<_> = threads.iter().filter_map(Weak::upgrade).collect();
    let mut busy = false;
    for watched in threads {
        let stuck = {
            let mut calls = lock(&watched.calls);
            busy |= !calls.is_empty();
            let Some(call) = calls.last_mut() else {
                continue;
            };
            let Some(since) = call.since else { continue };
            let taken = watched.meter.bytes().saturating_sub(call.bytes_before);
            let too_much = shared.growth_bytes_max > 0
                && u64::try_from(taken).is_ok_and(|taken| taken > shared.growth_bytes_max);
            let stuck = if watched.guard.is_hit() && !call.stuck {
                call.stuck = true;
                Some(Fired::MemoryLimit)
            } else {
                judge(call, since.elapsed(), too_much)
            };
            stuck.map(|fired| Stuck {
                thread: watched.number,
                fired,
                file: call.file.clone(),
            })
        };
        if let Some(stuck) = stuck {
            watched.guard.demote();
            on_stuck(stuck);
        }
    }
    busy
}

/// Stops a call that is past a limit; returns why it was stopped if it is stuck since.
fn judge(call: &mut Call, running: Duration, too_much: bool) -> Option<Fired> {
    if let Some(fired) = call.fired {
        let stuck = !call.stuck && running >= call.left.saturating_add(STUCK_AFTER);
        call.stuck |= stuck;
        return stuck.then_some(fired);
    }
    if running >= call.left {
        call.fire(Fired::TimeLimit);
    } else if too_much {
        // From here on it has as long to end as one that is out of time.
        call.left = running;
        call.fire(Fired::MemoryLimit);
    }
    None
}

/// Locked data is plain and whole after each statement, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
