//! The handle to the script thread.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::SCRIPT_TARGET;
use super::bell::{Bell, Patience};
use super::lane::{Job, Lane, Overloaded, Route};
use super::thread::Thread;
use super::watchdog::{THREAD_STACK_BYTES, Watchdog};

/// The bounds of scripts.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// The script time of one call; waiting for the host does not count.
    pub budget: Duration,
    /// How many bytes one call may take and not give back.
    pub growth_bytes_max: u64,
    /// Calls that wait for the thread; more are refused.
    pub queue_max: usize,
    /// The thread's stack, of virtual memory.
    pub stack_bytes: usize,
    /// Threads left behind that may be at work at once before a new one has to wait.
    pub abandoned_max: i32,
    /// How long it waits then.
    pub recovery: Duration,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(5),
            growth_bytes_max: 512 << 20,
            queue_max: 10_000,
            stack_bytes: THREAD_STACK_BYTES,
            abandoned_max: 16,
            recovery: Duration::from_secs(60),
        }
    }
}

/// Called on each new script thread before its first job: at the start, and when a stuck thread was replaced.
pub type Setup = Arc<dyn Fn(&mut super::thread::Turn<'_>) + Send + Sync>;

/// A handle to the thread that runs all scripts.
#[derive(Clone)]
pub struct Host {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) bell: Arc<Bell>,
    pub(super) general: Lane,
    pub(super) writer: Lane,
    patience: Patience,
    pub(super) options: HostOptions,
    pub(super) runtime: Handle,
    pub(super) watchdog: std::io::Result<Watchdog>,
    setup: Setup,
    /// Counts the threads; a thread that finds another number has been replaced.
    epoch: watch::Sender<u64>,
    /// Threads left behind that have not ended.
    abandoned: AtomicI32,
    /// No thread runs, and the next one is not due yet.
    recovering: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Host {
    /// Starts the script thread. Host futures run on the calling runtime.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(options: HostOptions, setup: Setup) -> std::io::Result<Self> {
        let inner = Arc::<Inner>::new_cyclic(|inner| {
            let inner = inner.clone();
            let watchdog = Watchdog::start(options.growth_bytes_max, move |stuck| {
                if let Some(inner) = inner.upgrade() {
                    Self { inner }.replace(stuck.thread, Replaced::Stuck, stuck.file.as_deref());
                }
            });
            let bell = Arc::new(Bell::default());
            Inner {
                general: Lane::new(Arc::clone(&bell), options.queue_max),
                writer: Lane::new(Arc::clone(&bell), usize::MAX),
                bell,
                runtime: Handle::current(),
                watchdog,
                patience: Patience::default(),
                options,
                setup,
                epoch: watch::Sender::new(0),
                abandoned: AtomicI32::new(0),
                recovering: AtomicBool::new(false),
                thread: Mutex::default(),
            }
        });
        let host = Self { inner };
        if let Err(error) = &host.inner.watchdog {
            return Err(error.kind().into());
        }
        host.spawn(0)?;
        Ok(host)
    }

    /// Queues a job.
    ///
    /// # Errors
    /// When too many wait already.
    pub fn submit(&self, route: &Route, job: Job) -> Result<(), Overloaded> {
        if self.inner.recovering.load(Ordering::Relaxed) {
            return Err(Overloaded);
        }
        match route {
            Route::General => self.inner.general.push(job),
            Route::Writer => self.inner.writer.push(job),
            Route::Chain(chain) => chain.0.push(job),
        }
    }

    /// Queues what continues an accepted call.
    pub fn continue_with(&self, route: &Route, job: Job) {
        match route {
            Route::General => self.inner.general.push_unbounded(job),
            Route::Writer => self.inner.writer.push_unbounded(job),
            Route::Chain(chain) => chain.0.push_unbounded(job),
        }
    }

    /// The runtime that host futures run on.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    /// Looks for what a script sends: once, or, while calls follow each other closely, for a moment. For threads that have
    /// nothing else to do, as that of the writer.
    pub fn look_for<T>(&self, look: impl FnMut() -> Option<T>) -> Option<T> {
        self.inner.patience.look_for(&self.inner.bell.pace, look)
    }

    /// The bounds of scripts.
    #[must_use]
    pub fn options(&self) -> &HostOptions {
        &self.inner.options
    }

    /// Ends the thread after the job at hand. Later jobs are dropped unheard.
    pub fn stop(&self) {
        self.inner.epoch.send_replace(u64::MAX);
        self.inner.bell.ring();
    }

    /// Waits for the end of a stopped thread, unless it is the caller's own.
    pub fn join(&self) {
        let handle = self
            .inner
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(handle) = handle
            && handle.thread().id() != std::thread::current().id()
        {
            let _ = handle.join();
        }
    }

    /// The number of the thread that runs.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        *self.inner.epoch.borrow()
    }

    /// Waits until the thread of this epoch is no more the one that runs.
    pub async fn left(&self, epoch: u64) {
        let mut changes = self.inner.epoch.subscribe();
        let _ = changes.wait_for(|current| *current != epoch).await;
    }

    /// Waits until the thread that a call has begun on is no more the one that runs; before it has begun, until none runs
    /// and none will.
    pub async fn lost(&self, begun: &Begun) {
        let mut changes = self.inner.epoch.subscribe();
        let is_lost = |current: &u64| {
            *current == u64::MAX || begun.epoch().is_some_and(|epoch| epoch != *current)
        };
        let _ = changes.wait_for(is_lost).await;
    }

    /// Waits until no thread runs and none will.
    pub async fn given_up(&self) {
        let mut changes = self.inner.epoch.subscribe();
        let _ = changes.wait_for(|current| *current == u64::MAX).await;
    }

    pub(super) fn is_current(&self, epoch: u64) -> bool {
        *self.inner.epoch.borrow() == epoch
    }

    fn spawn(&self, epoch: u64) -> std::io::Result<()> {
        let host = self.clone();
        let handle = std::thread::Builder::new()
            .name("scripts".to_owned())
            .stack_size(self.inner.options.stack_bytes)
            .spawn(move || {
                let setup = Arc::clone(&host.inner.setup);
                Thread::run(host, epoch, &setup);
            })?;
        self.put_thread(Some(handle));
        Ok(())
    }

    /// Notes the thread that runs. The one before it may sleep, should it have come back meanwhile: it is to see that it
    /// was replaced.
    fn put_thread(&self, thread: Option<JoinHandle<()>>) {
        let current = self.inner.thread.lock();
        let mut current = current.unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = std::mem::replace(&mut *current, thread) {
            former.thread().unpark();
        }
    }

    /// Gives up the thread of this epoch and starts another; what waits in the lanes is for the new one. One that got stuck
    /// is left to itself. When too many of those are still at work, the new one has to wait, and scripts with it.
    /// Gives whether it was the one that runs.
    pub(super) fn replace(&self, epoch: u64, why: Replaced, file: Option<&Path>) -> bool {
        let replaced = self.inner.epoch.send_if_modified(|current| {
            let is_current = *current == epoch;
            if is_current {
                *current = epoch + 1;
            }
            is_current
        });
        if !replaced {
            return false;
        }
        // Nobody is to wait for the thread that was left behind.
        self.put_thread(None);
        let what = match why {
            Replaced::Stuck => "a script does not end",
            Replaced::Panicked => "the interpreter broke down over a script",
        };
        let name = file.map(|file| file.display().to_string());
        tracing::error!(
            target: SCRIPT_TARGET,
            { script.path = name },
            "{what}; the script thread starts anew, the state of modules is lost"
        );
        let at_work = match why {
            Replaced::Stuck => self.inner.abandoned.fetch_add(1, Ordering::Relaxed) + 1,
            Replaced::Panicked => self.inner.abandoned.load(Ordering::Relaxed),
        };
        if at_work > self.inner.options.abandoned_max {
            tracing::error!(target: SCRIPT_TARGET, "too many script threads are stuck; scripts are off for a while");
            self.recover(epoch + 1);
        } else if let Err(error) = self.spawn(epoch + 1) {
            tracing::error!(%error, "the script thread cannot be started");
            self.recover(epoch + 1);
        }
        true
    }

    /// Starts the thread of this epoch after a while. Until then calls are refused, and those that wait are lost.
    fn recover(&self, epoch: u64) {
        self.inner.recovering.store(true, Ordering::Relaxed);
        self.inner.general.clear();
        self.inner.writer.clear();
        let host = self.clone();
        self.inner.runtime.spawn(async move {
            tokio::time::sleep(host.inner.options.recovery).await;
            if !host.is_current(epoch) {
                return;
            }
            match host.spawn(epoch) {
                Ok(()) => host.inner.recovering.store(false, Ordering::Relaxed),
                Err(error) => {
                    tracing::error!(%error, "the script thread cannot be started");
                    host.recover(epoch);
                }
            }
        });
    }

    /// A thread that was left behind has come to its end.
    pub(super) fn left_behind_ended(&self) {
        self.inner.abandoned.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The thread that a call has begun on, once it has. Shared by the call and the one that waits for it.
#[derive(Debug)]
pub struct Begun(AtomicU64);

impl Begun {
    /// What has not begun.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(u64::MAX)))
    }

    /// Notes the calling thread. Not where that has been left behind meanwhile: nobody would learn of the loss.
    #[must_use]
    pub fn note(&self, thread: &Thread) -> bool {
        self.0.store(thread.epoch(), Ordering::SeqCst);
        !thread.is_abandoned()
    }

    fn epoch(&self) -> Option<u64> {
        let epoch = self.0.load(Ordering::SeqCst);
        (epoch != u64::MAX).then_some(epoch)
    }
}

/// Why a script thread is left to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    /// Native code does not end.
    Stuck,
    /// A panic inside the interpreter.
    Panicked,
}

#[cfg(test)]
mod tests;
