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
//! | `world` | what the script thread knows: scripts, modules, functions; loading and replacing them |
//! | `registry` | what scripts have registered, as the rest of the server sees it |
//! | `call`, `session`, `event` | calls of script functions and what they ask for meanwhile |
//! | `operate` | how script functions use the engine |
//! | `writes` | scripts in the write chains of records and collections |
//! | `router` | routes of scripts |
//! | `topics`, `crons` | subscriptions and scheduled jobs |
//! | `gate`, `serve`, `router`, `keep` | requests: middlewares and routes of scripts, and what they keep about one |
//! | `globals`, `prelude/` | what scripts can use: natives in Rust, and the classes above them in JavaScript |
//!
//! Invariants: a failing script harms only itself; an event is handled by one version of a script; a script waits for the
//! engine, never the engine for a script beyond its limit.

mod call;
mod crons;
mod encode;
mod event;
mod failure;
mod files;
mod gate;
mod globals;
mod keep;
mod names;
mod operate;
mod record;
mod registry;
mod router;
mod serve;
mod session;
mod topics;
mod world;
mod writes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::call::ScriptHandler;
use self::files::ScriptFile;
pub use self::gate::Gate;
use self::registry::{Published, Script};
use self::topics::Topics;
use self::world::World;
use crate::engine::Engine;
use crate::engine::events::{EventKind, Handler, Interceptor};
use crate::js::error::ScriptError;
use crate::js::host::{Host, HostOptions};
use crate::js::lane::Route;
use crate::js::thread::Turn;
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
    /// By how much the process may grow during one call, in bytes.
    pub growth_bytes_max: u64,
    /// Scripts may use files, the environment and commands.
    pub allow_os: bool,
    /// Sends the requests of scripts.
    pub outbound: outbound::Client,
    /// Start only what PocketBase starts: `*.pb.js` and `*.pb.ts` of the hooks folder itself.
    pub top_level_only: bool,
}

/// What the script thread needs beside the engine.
#[derive(Clone)]
struct Options {
    hooks: HookOptions,
    topics: Topics,
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
    /// All scripts there are, running or failed, by id.
    scripts: Mutex<BTreeMap<String, Arc<Script>>>,
    /// One change of scripts at a time.
    changing: tokio::sync::Mutex<()>,
}

impl Scripts {
    /// Loads all scripts and takes part in the engine's events. Scripts that fail to load are logged.
    ///
    /// # Errors
    /// When the system has no thread for scripts.
    pub async fn start(
        engine: &Engine,
        options: HookOptions,
        stop: CancellationToken,
    ) -> std::io::Result<Self> {
        let published = Published::default();
        let (topics, subscriber) = Topics::new(engine.bus());
        tokio::spawn(topics::deliver(
            topics.clone(),
            subscriber,
            published.clone(),
            stop,
        ));
        let setup = {
            let (engine, published) = (engine.clone(), published.clone());
            let options = Options {
                hooks: options.clone(),
                topics,
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
        let scripts = Self {
            inner: Arc::new(Inner {
                engine: engine.clone(),
                host,
                options,
                published: published.clone(),
                scripts: Mutex::default(),
                changing: tokio::sync::Mutex::default(),
            }),
        };
        scripts.load_all().await;
        engine
            .interceptors()
            .set(Arc::new(Interception(scripts.clone())));
        engine.register_hook(Arc::new(writes::RecordWrites::new(
            engine.clone(),
            published.clone(),
        )));
        Ok(scripts)
    }

    /// Ends the script thread.
    pub async fn stop(&self) {
        self.inner.published.publish(registry::Registry::default());
        self.inner.host.stop();
        let host = self.inner.host.clone();
        let _ = tokio::task::spawn_blocking(move || host.join()).await;
    }

    /// Loads every script of the hooks folder anew; those whose files are gone end.
    pub async fn load_all(&self) -> BTreeMap<String, ScriptError> {
        let options = &self.inner.options;
        let files = files::scan(&options.hooks_dir, options.top_level_only);
        let (scripts, gone) = self.known(files);
        self.update(scripts, gone, Vec::new()).await
    }

    /// The scripts of these files, new ones among them, and the ids of those without a file.
    fn known(&self, files: Vec<ScriptFile>) -> (Vec<Arc<Script>>, Vec<String>) {
        let mut known = self
            .inner
            .scripts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut kept = BTreeMap::new();
        for file in files {
            let script = match known.remove(&file.id) {
                Some(script) if script.path == file.path => script,
                _ => Arc::new(file.into_script()),
            };
            kept.insert(script.id.clone(), script);
        }
        let gone = known.keys().cloned().collect();
        *known = kept;
        (known.values().cloned().collect(), gone)
    }

    /// Replaces scripts and changed modules on the script thread.
    async fn update(
        &self,
        scripts: Vec<Arc<Script>>,
        gone: Vec<String>,
        changed: Vec<PathBuf>,
    ) -> BTreeMap<String, ScriptError> {
        let _changing = self.inner.changing.lock().await;
        self.on_thread(move |turn| match World::of(turn) {
            Some(world) => world.update(turn, &scripts, &gone, &changed),
            None => BTreeMap::new(),
        })
        .await
        .unwrap_or_default()
    }

    /// Does something on the script thread. Nothing when the thread is overloaded, got stuck or has ended.
    async fn on_thread<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Turn<'_>) -> R + Send + 'static,
    ) -> Option<R> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |turn: &mut Turn<'_>| {
            let _ = answer.send(work(turn));
        });
        self.inner.host.submit(&Route::General, job).ok()?;
        tokio::select! {
            result = answered => result.ok(),
            () = self.inner.host.given_up() => None,
        }
    }
}

/// Scripts as handlers of the engine's events.
struct Interception(Scripts);

impl Interceptor for Interception {
    fn handlers(&self, kind: EventKind, collection: Option<&Collection>) -> Vec<Arc<dyn Handler>> {
        handlers(
            &self.0.inner.engine,
            &self.0.inner.published,
            kind,
            collection,
        )
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
