//! Scheduled jobs: the built-in ones, and those that modules and scripts add.

mod jobs;
mod schedule;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use schedule::{Schedule, ScheduleError};

use super::{Engine, Error};
use crate::base::date::DateTime;

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;

/// The work of a job.
pub type Work = Arc<dyn Fn(Engine) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// The seconds that a time zone is ahead of UTC at a moment.
pub type Offset = Arc<dyn Fn(DateTime) -> i64 + Send + Sync>;

/// When the schedules are looked at.
struct Clockwork {
    stopped: AtomicBool,
    interval_ms: AtomicI64,
    /// Whose time the schedules are in; UTC without one.
    offset: Mutex<Option<Offset>>,
    /// Something of it has changed.
    changed: Notify,
}

/// Something that is done on a schedule.
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

/// The jobs of an engine. A cheap handle.
#[derive(Clone)]
pub struct Crons {
    jobs: Arc<ArcSwap<Vec<Job>>>,
    clockwork: Arc<Clockwork>,
}

impl Default for Crons {
    /// The built-in jobs. Nothing runs by itself before [`Crons::run_until`].
    fn default() -> Self {
        Self {
            jobs: Arc::new(ArcSwap::from_pointee(jobs::builtin())),
            clockwork: Arc::new(Clockwork {
                stopped: AtomicBool::new(false),
                interval_ms: AtomicI64::new(MINUTE_MS),
                offset: Mutex::default(),
                changed: Notify::new(),
            }),
        }
    }
}

impl Crons {
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

    /// Removes all jobs, the built-in ones too.
    pub fn remove_all(&self) {
        self.jobs.store(Arc::default());
    }

    /// Stops to start what is due, or goes on with it.
    pub fn set_stopped(&self, stopped: bool) {
        self.clockwork.stopped.store(stopped, Ordering::Relaxed);
        self.clockwork.changed.notify_one();
    }

    /// Whether jobs are started when they are due.
    #[must_use]
    pub fn has_started(&self) -> bool {
        !self.clockwork.stopped.load(Ordering::Relaxed)
    }

    /// Looks at the schedules every so many milliseconds (at least a second) instead of each minute. What is due in a minute
    /// runs as often as that minute is looked at.
    pub fn set_interval_ms(&self, interval_ms: i64) {
        let interval_ms = interval_ms.max(1_000);
        let known = &self.clockwork.interval_ms;
        known.store(interval_ms, Ordering::Relaxed);
        self.clockwork.changed.notify_one();
    }

    /// Reads the schedules in the time of a zone; in UTC without one.
    pub fn set_offset(&self, offset: Option<Offset>) {
        *self.offset() = offset;
    }

    fn offset(&self) -> std::sync::MutexGuard<'_, Option<Offset>> {
        let offset = self.clockwork.offset.lock();
        offset.unwrap_or_else(PoisonError::into_inner)
    }

    /// The moment as the schedules read it.
    fn local(&self, moment: DateTime) -> DateTime {
        let offset = self.offset().clone();
        offset.map_or(moment, |offset| moment.add_seconds(offset(moment)))
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

    /// Starts a job in the background.
    ///
    /// # Errors
    /// `NotFound` when there is none of that id.
    pub fn start(&self, engine: &Engine, id: &str) -> Result<(), Error> {
        let jobs = self.jobs.load();
        let job = jobs
            .iter()
            .find(|job| job.id == id)
            .ok_or_else(|| Error::NotFound("Missing or invalid cron job.".to_owned()))?;
        spawn(engine, job);
        Ok(())
    }

    /// Starts what is due at each full minute, until cancelled. Jobs that run are not waited for.
    pub async fn run_until(self, engine: Engine, stop: CancellationToken) {
        loop {
            let interval_ms = self.clockwork.interval_ms.load(Ordering::Relaxed);
            let past_ms = engine.now().unix_ms().rem_euclid(interval_ms);
            let wait = Duration::from_millis((interval_ms - past_ms).unsigned_abs());
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clockwork.changed.notified() => continue,
                () = tokio::time::sleep(wait) => {}
            }
            if !self.has_started() {
                continue;
            }
            // Timers may fire a little early.
            let minute = self.local(engine.now().add_ms(interval_ms / 120));
            for job in self.jobs.load().iter() {
                if job.schedule.is_due(minute) {
                    spawn(&engine, job);
                }
            }
        }
    }
}

fn spawn(engine: &Engine, job: &Job) {
    let id = job.id.clone();
    let work = (job.work)(engine.clone());
    tokio::spawn(async move {
        if let Err(error) = work.await {
            tracing::error!(cron.id = id, error = ?error, "a scheduled job failed");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: &str) -> Job {
        let work: Work = Arc::new(|_| Box::pin(async { Ok(()) }));
        Job::new(id, "* * * * *", work).unwrap()
    }

    #[test]
    fn schedules_are_read_in_the_time_of_the_zone() {
        let crons = Crons::default();
        let noon = DateTime::parse("2024-05-06 12:00:00.000Z").unwrap();
        assert_eq!(crons.local(noon), noon);
        crons.set_offset(Some(Arc::new(|_| 7_200)));
        assert_eq!(crons.local(noon).to_string(), "2024-05-06 14:00:00.000Z");
        crons.set_offset(None);
        assert_eq!(crons.local(noon), noon);
    }

    #[test]
    fn own_jobs_come_first_and_replace_those_of_their_id() {
        let crons = Crons::default();
        let builtin = crons.list().len();
        for id in ["b", "a", "b"] {
            crons.add(job(id));
        }
        let ids: Vec<String> = crons.list().into_iter().map(|job| job.id).collect();
        assert_eq!(ids.len(), builtin + 2);
        assert_eq!(ids[..3], ["a", "b", "__pbDBOptimize__"]);
        crons.remove("a");
        assert_eq!(crons.list().len(), builtin + 1);
    }
}
