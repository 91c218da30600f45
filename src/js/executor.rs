//! The jobs of promises: one queue for all contexts of the thread, emptied at the end of each turn.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use boa_engine::job::{Job, JobExecutor};
use boa_engine::{Context, JsResult, JsValue};

use super::thread::{Current, MICRO_JOBS_MAX, Thread};

/// A job of a promise.
pub(super) type MicroJob = Box<dyn FnOnce(&mut Context) -> JsResult<JsValue>>;

/// The queue of the turn at hand. Each job remembers on whose behalf it was queued.
#[derive(Default)]
pub(super) struct Executor {
    jobs: RefCell<VecDeque<(MicroJob, Current)>>,
    /// Jobs were refused.
    full: Cell<bool>,
}

impl Executor {
    pub(super) fn pop(&self) -> Option<(MicroJob, Current)> {
        self.jobs.borrow_mut().pop_front()
    }

    /// Puts another turn's queue in place.
    pub(super) fn replace(
        &self,
        jobs: VecDeque<(MicroJob, Current)>,
    ) -> VecDeque<(MicroJob, Current)> {
        self.full.set(false);
        self.jobs.replace(jobs)
    }

    /// Whether the turn has queued more jobs than it may; what comes beyond is dropped.
    pub(super) fn is_full(&self) -> bool {
        self.full.get()
    }

    pub(super) fn clear(&self) {
        let jobs = self.jobs.take();
        drop(jobs);
    }
}

impl JobExecutor for Executor {
    fn enqueue_job(self: Rc<Self>, job: Job, _: &mut Context) {
        let Some(thread) = Thread::current() else {
            return;
        };
        let job: MicroJob = match job {
            Job::PromiseJob(job) => Box::new(move |context| job.call(context)),
            Job::GenericJob(job) => Box::new(move |context| job.call(context)),
            // Timers and host futures have ways of their own.
            _ => return,
        };
        let mut jobs = self.jobs.borrow_mut();
        if jobs.len() < MICRO_JOBS_MAX {
            jobs.push_back((job, thread.on_behalf()));
        } else {
            drop(jobs);
            self.full.set(true);
        }
    }

    /// Does nothing: a turn empties the queue at its end, so that jobs never run inside of other script code.
    fn run_jobs(self: Rc<Self>, _: &mut Context) -> JsResult<()> {
        Ok(())
    }
}
