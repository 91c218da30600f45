//! Scheduled jobs: the built-in ones, and those that modules and scripts add.

mod jobs;
mod schedule;

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

pub use schedule::{Schedule, ScheduleError};

use super::{Engine, Error};

/// The work of a job.
pub type Work = Arc<dyn Fn(Engine) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// Something that is done on a schedule, in UTC.
#[derive(Clone)]
pub struct Job {
    /// Unique; a later job replaces an earlier one of the same id. Ids of built-in jobs begin with `__pb`.
    pub id: String,
    /// The cron expression as given.
    pub expression: String,
    schedule: Schedule,
    work: Work,
}

impl Job {
    /// # Errors
    /// When the expression is not valid.
    pub fn new(id: &str, expression: &str, work: Work) -> Result<Self, ScheduleError> {
        Ok(Self {
            id: id.to_owned(),
            expression: expression.to_owned(),
            schedule: Schedule::parse(expression)?,
            work,
        })
    }

    fn is_builtin(&self) -> bool {
        self.id.starts_with("__pb")
    }
}

/// The jobs of a server. A cheap handle.
#[derive(Clone)]
pub struct Crons {
    engine: Engine,
    jobs: Arc<ArcSwap<Vec<Job>>>,
}

impl Crons {
    /// The built-in jobs of an engine. Nothing runs by itself before [`Crons::run_until`].
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            jobs: Arc::new(ArcSwap::from_pointee(jobs::builtin())),
        }
    }

    /// Adds a job, or replaces the one of the same id.
    pub fn add(&self, job: Job) {
        self.jobs.rcu(|jobs| {
            let others = jobs.iter().filter(|other| other.id != job.id);
            others.cloned().chain([job.clone()]).collect::<Vec<_>>()
        });
    }

    /// Removes a job, if it is there.
    pub fn remove(&self, id: &str) {
        self.jobs.rcu(|jobs| {
            let others = jobs.iter().filter(|other| other.id != id);
            others.cloned().collect::<Vec<_>>()
        });
    }

    /// All jobs: the application's by id, then the built-in ones.
    #[must_use]
    pub fn list(&self) -> Vec<Job> {
        let mut jobs = Vec::clone(&self.jobs.load());
        jobs.sort_by(|a, b| match (a.is_builtin(), b.is_builtin()) {
            (false, false) => a.id.cmp(&b.id),
            (a, b) => a.cmp(&b),
        });
        jobs
    }

    /// Starts a job in the background; `NotFound` when there is none of that id.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn start(&self, id: &str) -> Result<(), Error> {
        let jobs = self.jobs.load();
        let job = jobs
            .iter()
            .find(|job| job.id == id)
            .ok_or_else(|| Error::NotFound("Missing or invalid cron job.".to_owned()))?;
        self.spawn(job);
        Ok(())
    }

    /// Starts what is due at each full minute, until cancelled. Jobs that run are not waited for.
    pub async fn run_until(self, stop: CancellationToken) {
        loop {
            let past_minute_ms = self.engine.now().unix_ms().rem_euclid(60_000);
            let wait = std::time::Duration::from_millis(60_000_u64 - past_minute_ms.unsigned_abs());
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            // Timers may fire a little early.
            let minute = self.engine.now().add_ms(500);
            for job in self.jobs.load().iter() {
                if job.schedule.is_due(minute) {
                    self.spawn(job);
                }
            }
        }
    }

    fn spawn(&self, job: &Job) {
        let id = job.id.clone();
        let work = (job.work)(self.engine.clone());
        tokio::spawn(async move {
            if let Err(cause) = work.await {
                tracing::error!(cron.id = id, error = ?cause, "a scheduled job failed");
            }
        });
    }
}
