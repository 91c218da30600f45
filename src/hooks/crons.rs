//! Scheduled jobs of scripts, and their commands of the command line.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use boa_engine::object::builtins::JsArray;
use boa_engine::{Context, JsString, JsValue};

use super::registry::Function;
use super::{Scripts, failure};
use crate::engine::crons::{Job, Work};
use crate::engine::{Engine, Error};

/// The script time of one run.
pub(super) const BUDGET: Duration = Duration::from_secs(30);
/// The script time of a command.
const COMMAND_BUDGET: Duration = Duration::from_secs(3_600);

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

impl Scripts {
    /// Runs a command that a script has added to the command line. Gives whether there is one of that name.
    ///
    /// # Errors
    /// What the command threw.
    pub async fn run_command(&self, name: &str, arguments: &[String]) -> Result<bool, Error> {
        let function = self.inner.published.load().commands.get(name).cloned();
        let Some(function) = function else {
            return Ok(false);
        };
        let arguments: Vec<String> = arguments.to_vec();
        let list = Box::new(move |context: &mut Context| {
            let list = arguments.iter().map(|text| JsString::from(text.as_str()));
            let list = JsArray::from_iter(list.map(JsValue::from), context);
            Ok(vec![list.into()])
        });
        let outcome = function.call(list, COMMAND_BUDGET).await;
        outcome
            .map(|_| true)
            .map_err(|error| failure::plain(&error.to_string()))
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
