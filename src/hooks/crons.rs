//! Scheduled jobs of scripts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::failure;
use super::registry::Function;
use crate::engine::Engine;
use crate::engine::crons::{Job, Work};

/// The script time of one run.
pub(super) const BUDGET: Duration = Duration::from_secs(30);

/// The ids of the scripts' jobs. They outlive the script thread, as the jobs do.
pub(super) type Known = Arc<Mutex<Vec<String>>>;

/// Puts the scripts' jobs in place of those that they had before.
pub(super) fn replace(engine: &Engine, known: &Known, jobs: Vec<(String, String, Arc<Function>)>) {
    let mut former = known.lock().unwrap_or_else(PoisonError::into_inner);
    let crons = engine.crons();
    former.retain(|id| {
        let stays = jobs.iter().any(|(kept, ..)| kept == id);
        if !stays {
            crons.remove(id);
        }
        stays
    });
    for (id, expression, function) in jobs {
        match Job::new(&id, &expression, work(function)) {
            Ok(job) => crons.add(job),
            // Checked when it was registered.
            Err(error) => tracing::error!(cron.id = id, %error, "a job cannot be scheduled"),
        }
        if !former.contains(&id) {
            former.push(id);
        }
    }
}

fn work(function: Arc<Function>) -> Work {
    Arc::new(move |_| {
        let function = Arc::clone(&function);
        Box::pin(async move {
            let outcome = function.call(Box::new(|_| Ok(Vec::new())), BUDGET).await;
            outcome
                .map(|_| ())
                .map_err(|error| failure::plain(&error.to_string()))
        })
    })
}
