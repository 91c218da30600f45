//! Hook scripts: JavaScript and TypeScript that takes part in what the server does.
//!
//! `js` runs scripts and knows nothing of the application; this room gives them the application. Data flows so:
//!
//! ```text
//! a write, a request, a mail -> engine asks the registry (none: one look-up) -> ScriptHandler
//!    -> the script thread calls the function with `e` -> e.next(): back to the engine -> the rest -> back to the script
//!    -> what the script needs meanwhile: operations, which run inside the event's transaction
//! ```
//!
//! | file | holds |
//! | --- | --- |
//! | `files` | which files are scripts |
//! | `catalog` | which scripts there are, which version of each runs, what a look at the folders changes |
//! | `watch` | looks again when files change |
//! | `control` | running and calling scripts from outside; `routes` are its routes, and the status |
//! | `world` | what the script thread knows: scripts, modules, functions; loading and replacing them |
//! | `registry` | what scripts have registered, as the rest of the server sees it |
//! | `call`, `session`, `event` | calls of script functions and what they ask for meanwhile |
//! | `operate` | how script functions use the engine |
//! | `allowance`, `values`, `encode` | values of scripts as the host's, up to a size |
//! | `writes` | scripts in the write chains of records and collections |
//! | `router` | routes of scripts |
//! | `migrations`, `automigrate` | scripts that change the database once; writing them |
//! | `topics`, `crons` | subscriptions and scheduled jobs |
//! | `gate`, `serve`, `router`, `keep` | requests: middlewares and routes of scripts, and what they keep about one |
//! | `globals`, `prelude/` | what scripts can use: natives in Rust, and the classes above them in JavaScript |
//!
//! Invariants: a failing script harms only itself; an event is handled by one version of a script; a script waits for the
//! engine, never the engine for a script beyond its limit.

mod allowance;
mod automigrate;
mod call;
mod catalog;
mod collection;
mod control;
mod crons;
mod encode;
mod event;
mod failure;
mod files;
mod gate;
mod globals;
mod keep;
mod migrations;
mod names;
mod operate;
mod record;
mod registry;
mod router;
mod routes;
mod serve;
mod session;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
mod topics;
mod types;
mod values;
mod watch;
mod world;
mod writes;
mod zone;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::call::ScriptHandler;
use self::catalog::{Catalog, Wanted};
use self::files::Folders;
pub use self::gate::Gate;
use self::globals::modules::Apis;
use self::globals::storage::Storage;
use self::registry::Published;
use self::router::Routes;
use self::serve::server_routes;
use self::topics::Topics;
use self::world::{Updated, World};
use crate::api::realtime::Clients;
use crate::engine::events::{EventKind, Handler, Interceptor};
use crate::engine::{Engine, ScriptApi};
use crate::js::host::{Host, HostOptions};
use crate::js::lane::Route;
use crate::js::thread::Turn;
use crate::live::Live;
use crate::model::Collection;
use crate::outbound;

/// How scripts are found and bounded.
#[derive(Clone)]
pub struct HookOptions {
    pub hooks_dir: PathBuf,
    pub modules_dir: PathBuf,
    pub migrations_dir: PathBuf,
    /// The script time of one handler call.
    pub budget: Duration,
    /// How many bytes one call may take and not give back.
    pub growth_bytes_max: u64,
    /// Scripts may use files, the environment and commands.
    pub allow_os: bool,
    /// Sends the requests of scripts.
    pub outbound: outbound::Client,
    /// Write a migration when a collection is changed over the API.
    pub automigrate: bool,
    /// Start only what PocketBase starts: `*.pb.js` and `*.pb.ts` of the hooks folder itself.
    pub top_level_only: bool,
    /// Look again when files change.
    pub watch: bool,
    /// `$app.isDev()`.
    pub dev: bool,
    /// `$app.encryptionEnv()`: the name of a variable; empty for none.
    pub encryption_env: String,
}

/// The parts of the server that scripts use.
#[derive(Clone)]
pub struct HookParts {
    pub engine: Engine,
    pub live: Live,
    /// The clients of `/api/realtime`.
    pub clients: Clients,
    /// What modules give scripts.
    pub apis: Vec<Arc<dyn ScriptApi>>,
    /// Methods and paths of the server's own routes: a script's route comes first only where its pattern says more.
    pub operations: Vec<(String, String)>,
}

pub use routes::{configure, description};

/// What the script thread needs beside the engine.
#[derive(Clone)]
struct Options {
    hooks: HookOptions,
    topics: Topics,
    catalog: Catalog,
    live: Live,
    clients: Clients,
    apis: Apis,
    storage: Storage,
    crons: crons::Known,
    /// The scripts themselves, for what they do to themselves.
    scripts: Arc<OnceLock<Weak<Inner>>>,
}

/// A handle to the scripts of a server.
#[derive(Clone)]
pub struct Scripts {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    host: Host,
    options: HookOptions,
    published: Published,
    catalog: Catalog,
    server_routes: Routes,
    stop: CancellationToken,
    /// One change of scripts at a time.
    changing: tokio::sync::Mutex<()>,
}

impl Scripts {
    /// Starts the script thread. No script runs before [`Scripts::load`].
    ///
    /// # Errors
    /// When the system has no thread for scripts.
    pub fn open(
        parts: HookParts,
        options: HookOptions,
        stop: CancellationToken,
    ) -> std::io::Result<Self> {
        let engine = &parts.engine;
        let (published, catalog) = (Published::default(), Catalog::default());
        let (topics, subscriber) = Topics::new(engine.bus());
        tokio::spawn(topics::deliver(
            topics.clone(),
            subscriber,
            published.clone(),
            stop.clone(),
        ));
        let own = Arc::new(OnceLock::new());
        let setup = {
            let (engine, published) = (engine.clone(), published.clone());
            let options = Options {
                hooks: options.clone(),
                topics,
                catalog: catalog.clone(),
                live: parts.live.clone(),
                clients: parts.clients.clone(),
                apis: Apis::new(&parts.apis),
                storage: Storage::default(),
                crons: crons::Known::default(),
                scripts: Arc::clone(&own),
            };
            Arc::new(move |turn: &mut Turn<'_>| {
                World::set_up(turn, engine.clone(), options.clone(), published.clone());
            })
        };
        let host = Host::start(
            HostOptions {
                budget: options.budget,
                growth_bytes_max: options.growth_bytes_max,
                ..HostOptions::default()
            },
            setup,
        )?;
        let inner = Arc::new(Inner {
            engine: engine.clone(),
            host,
            options,
            published,
            catalog,
            server_routes: server_routes(parts.operations),
            stop,
            changing: tokio::sync::Mutex::default(),
        });
        let _ = own.set(Arc::downgrade(&inner));
        Ok(Self { inner })
    }

    /// Loads all scripts and takes part in the engine's events. Scripts that fail to load are logged.
    pub async fn load(&self) {
        types::write(self.inner.engine.store().dir());
        self.refresh(Wanted::Changed).await;
        let (engine, published) = (&self.inner.engine, &self.inner.published);
        engine
            .interceptors()
            .set(Arc::new(Interception(self.clone())));
        engine.register_hook(Arc::new(writes::RecordWrites::new(
            engine.clone(),
            published.clone(),
        )));
        engine.register_collection_hook(Arc::new(writes::CollectionWrites::new(
            engine.clone(),
            published.clone(),
        )));
        if self.inner.options.watch {
            watch::start(self.clone(), self.inner.stop.clone());
        }
    }

    /// Ends the script thread.
    pub async fn stop(&self) {
        self.inner.published.publish(registry::Registry::default());
        self.inner.host.stop();
        let host = self.inner.host.clone();
        let _ = tokio::task::spawn_blocking(move || host.join()).await;
    }

    /// Looks at the folders and brings what runs in line with them: changed scripts are loaded anew, with changed
    /// modules all of them are; scripts without a file end.
    async fn refresh(&self, wanted: Wanted<'_>) -> Refreshed {
        let _changing = self.inner.changing.lock().await;
        let options = &self.inner.options;
        let folders = Folders {
            hooks: options.hooks_dir.clone(),
            modules: options.modules_dir.clone(),
            top_level_only: options.top_level_only,
        };
        let loaded = self.inner.catalog.loaded_modules();
        let look = tokio::task::spawn_blocking(move || files::scan(&folders, &loaded));
        let Ok(found) = look.await else {
            return Refreshed::default();
        };
        let plan = self.inner.catalog.plan(found, wanted);
        if plan.is_empty() {
            return Refreshed {
                again: plan.postponed,
                ..Refreshed::default()
            };
        }
        let scripts = [&plan.load[..], &plan.with_modules].concat();
        let postponed = plan.postponed;
        let updated = self
            .on_thread(move |turn| match World::of(turn) {
                Some(world) => world.update(turn, &plan),
                None => Updated::default(),
            })
            .await;
        let lost = updated.is_none();
        if lost {
            self.inner.catalog.forget_seen(&scripts);
        }
        Refreshed {
            again: postponed || lost,
            lost,
            updated: updated.unwrap_or_default(),
        }
    }

    /// Does something on the script thread, after what waits already. Nothing when the thread got stuck or has ended.
    async fn on_thread<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Turn<'_>) -> R + Send + 'static,
    ) -> Option<R> {
        let (answer, answered) = oneshot::channel();
        let (started, begun) = oneshot::channel();
        let job = Box::new(move |turn: &mut Turn<'_>| {
            let _ = started.send(turn.thread.epoch());
            let _ = answer.send(work(turn));
        });
        let host = &self.inner.host;
        host.continue_with(&Route::General, job);
        let epoch = tokio::select! {
            epoch = begun => epoch.ok()?,
            () = host.given_up() => return None,
        };
        // A thread that is stuck in the work never drops it.
        tokio::select! {
            biased;
            result = answered => result.ok(),
            () = host.left(epoch) => None,
        }
    }
}

/// What came of a look at the folders.
#[derive(Default)]
struct Refreshed {
    updated: Updated,
    /// Not all could be done: look again soon.
    again: bool,
    /// The script thread was lost meanwhile.
    lost: bool,
}

/// Scripts as handlers of the engine's events.
struct Interception(Scripts);

impl Interceptor for Interception {
    fn handlers(&self, kind: EventKind, collection: Option<&Collection>) -> Vec<Arc<dyn Handler>> {
        let mut handlers = handlers(
            &self.0.inner.engine,
            &self.0.inner.published,
            kind,
            collection,
        );
        handlers.extend(automigrate::handler(&self.0, kind));
        handlers
    }
}

/// The handlers of an event; nothing is allocated when there are none.
fn handlers(
    engine: &Engine,
    published: &Published,
    kind: EventKind,
    collection: Option<&Collection>,
) -> Vec<Arc<dyn Handler>> {
    published
        .load()
        .handlers(kind, collection)
        .into_iter()
        .map(|function| {
            Arc::new(ScriptHandler {
                engine: engine.clone(),
                function,
            }) as Arc<dyn Handler>
        })
        .collect()
}
