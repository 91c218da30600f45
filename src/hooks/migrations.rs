//! Migrations written as scripts: files that call `migrate(up, down)`.
//!
//! All that are due run inside one exclusive transaction, as in PocketBase: when one fails, none has happened. What has run
//! is recorded in `_migrations` under the file's name.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use boa_engine::object::builtins::JsFunction;
use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsValue, js_string};
use tokio::sync::mpsc;

use super::session::{Session, ToHost, serve};
use super::world::{World, world};
use super::{Scripts, failure};
use crate::engine::{Engine, Error};
use crate::js::error::ScriptError;
use crate::js::lane::Route;
use crate::js::modules;
use crate::js::scope::Scope;
use crate::js::thread::{Current, Turn};
use crate::store::{Tx, migrations};

/// The script time of one migration.
const BUDGET: std::time::Duration = std::time::Duration::from_secs(300);
/// Files that are looked at.
const FILES_MAX: usize = 100_000;

/// Which of a migration's functions runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// The functions that a migration has given to `migrate`.
#[derive(Default)]
pub(super) struct Functions {
    up: Option<JsFunction>,
    down: Option<JsFunction>,
}

impl Scripts {
    /// Applies the migrations that have not run yet, oldest name first. Gives their names.
    ///
    /// # Errors
    /// The first that failed, with file and position; nothing has happened then.
    pub async fn migrate_up(&self) -> Result<Vec<String>, Error> {
        let files = self.migration_files();
        let applied = self.applied_migrations().await?;
        let due: Vec<String> = files
            .into_iter()
            .filter(|name| !applied.contains(name))
            .collect();
        self.run_migrations(due, Direction::Up).await
    }

    /// Takes back the last `count` migrations of the folder, newest first. Gives their names.
    ///
    /// # Errors
    /// The first that failed; nothing has happened then.
    pub async fn migrate_down(&self, count: usize) -> Result<Vec<String>, Error> {
        let files = self.migration_files();
        let mut applied = self.applied_migrations().await?;
        applied.retain(|name| files.contains(name));
        let due = applied.into_iter().rev().take(count).collect();
        self.run_migrations(due, Direction::Down).await
    }

    /// Forgets migrations whose files are gone, other than the built-in ones.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sync_migration_history(&self) -> Result<(), Error> {
        let files = self.migration_files();
        let applied = self.applied_migrations().await?;
        let gone: Vec<String> = applied
            .into_iter()
            .filter(|name| is_migration(Path::new(name)) && !files.contains(name))
            .collect();
        let store = self.inner.engine.store();
        store
            .write(move |tx| {
                Box::pin(async move {
                    for name in &gone {
                        migrations::forget(tx, name).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    async fn applied_migrations(&self) -> Result<Vec<String>, Error> {
        let mut conn = self.inner.engine.read().await?;
        Ok(migrations::applied(&mut conn).await?)
    }

    /// The names of the folder's migrations, sorted.
    fn migration_files(&self) -> Vec<String> {
        let folder = &self.inner.options.migrations_dir;
        let Ok(entries) = std::fs::read_dir(folder) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .take(FILES_MAX)
            .filter(|entry| is_migration(&entry.path()) && entry.path().is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    async fn run_migrations(
        &self,
        names: Vec<String>,
        direction: Direction,
    ) -> Result<Vec<String>, Error> {
        if names.is_empty() {
            return Ok(names);
        }
        let scripts = self.clone();
        let store = self.inner.engine.store().clone();
        store
            .write_exclusive(move |tx| {
                Box::pin(async move {
                    for name in &names {
                        scripts.run_migration(tx, name, direction).await?;
                    }
                    Ok(names)
                })
            })
            .await
    }

    async fn run_migration(
        &self,
        tx: &mut Tx,
        name: &str,
        direction: Direction,
    ) -> Result<(), Error> {
        let path = self.inner.options.migrations_dir.join(name);
        let (to_host, inbox) = mpsc::unbounded_channel();
        let job = Box::new(move |turn: &mut Turn<'_>| run(turn, &path, direction, to_host));
        self.inner
            .host
            .submit(&Route::Writer, job)
            .map_err(|_| failure::overloaded())?;
        let host = self.inner.host.clone();
        let epoch = host.epoch();
        serve(&self.inner.engine, tx, inbox, &host, epoch)
            .await
            .map_err(|error| {
                let what = match direction {
                    Direction::Up => "apply",
                    Direction::Down => "revert",
                };
                Error::BadRequest(format!("failed to {what} migration {name}: {error}"))
            })?;
        let now = self.inner.engine.now();
        match direction {
            Direction::Up => migrations::record(tx, name, now).await?,
            Direction::Down => migrations::forget(tx, name).await?,
        }
        Ok(())
    }
}

/// Records a migration as applied that describes what has happened already.
///
/// # Errors
/// Those of the database.
pub(super) async fn record_applied(engine: &Engine, name: String) -> Result<(), Error> {
    let now = engine.now();
    engine
        .store()
        .write(move |tx| {
            Box::pin(async move {
                migrations::record(tx, &name, now).await?;
                Ok(())
            })
        })
        .await
}

fn is_migration(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "js" || extension == "ts")
}

/// Runs one migration on the script thread and tells its end.
fn run(
    turn: &mut Turn<'_>,
    path: &PathBuf,
    direction: Direction,
    to_host: mpsc::UnboundedSender<ToHost>,
) {
    let result = try_run(turn, path, direction, &to_host)
        .map_err(|error| Error::BadRequest(error.to_string()));
    let _ = to_host.send(ToHost::End(result));
}

fn try_run(
    turn: &mut Turn<'_>,
    path: &PathBuf,
    direction: Direction,
    to_host: &mpsc::UnboundedSender<ToHost>,
) -> Result<(), ScriptError> {
    let text = |error: &dyn std::fmt::Display| ScriptError::new(error.to_string());
    let world = World::of(turn).ok_or_else(|| ScriptError::new("no scripts are set up"))?;
    let source = std::fs::read_to_string(path).map_err(|error| text(&error))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let scope = world
        .bare_scope(&turn.thread, &name)
        .map_err(|error| text(&error))?;
    let current = Current {
        scope: Some(Rc::clone(&scope)),
        session: Some(Rc::new(Session {
            transaction: Some(to_host.clone()),
            request: None,
        })),
        in_writer: true,
        call: None,
    };
    world.migration.take();
    let owner = Rc::clone(&scope);
    let result = turn.enter_as(&scope, current, Some(BUDGET), |context| {
        world
            .furnish(context)
            .and_then(|()| modules::add_require(&world.modules(), path, context))
            .map_err(|error| owner.describe(&error, context))?;
        owner.evaluate(path, &source, context)?;
        let functions = world.migration.take();
        let function = match direction {
            Direction::Up => functions.up,
            Direction::Down => functions.down,
        };
        match function {
            Some(function) => {
                call(&function, context).map_err(|error| described(&owner, &error, context))
            }
            None => Ok(()),
        }
    });
    let result = super::world::stopped(turn, &scope, result);
    scope.kill();
    turn.thread.sweep_timers();
    result
}

fn call(function: &JsFunction, context: &mut Context) -> JsResult<()> {
    let app = context.global_object().get(js_string!("$app"), context)?;
    let value = function.call(&JsValue::undefined(), &[app], context)?;
    if value.is_promise() {
        return Err(JsNativeError::typ()
            .with_message("a migration is a synchronous function")
            .into());
    }
    Ok(())
}

/// What was thrown, with the fields of a validation that failed.
fn described(scope: &Scope, error: &boa_engine::JsError, context: &mut Context) -> ScriptError {
    let mut described = scope.describe(error, context);
    let data = described
        .thrown
        .as_ref()
        .and_then(|thrown| thrown.get("data"))
        .filter(|data| data.as_object().is_some_and(|data| !data.is_empty()))
        .map(ToString::to_string);
    if let Some(data) = data {
        described.message = format!("{} {data}", described.message);
    }
    described
}

/// `migrate(up, down)`: what the file does and how it is taken back. Nothing in other scripts.
pub(super) fn migrate(_: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    world()?.migration.replace(Functions {
        up: args.get_or_undefined(0).as_function(),
        down: args.get_or_undefined(1).as_function(),
    });
    Ok(JsValue::undefined())
}
