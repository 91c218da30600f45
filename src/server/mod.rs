//! Assembly: opens the parts in order, mounts routes, starts, drains and stops.

mod activity;
mod dispatch;
mod install;
mod media;
mod restore;
mod routes;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use anyhow::Context as _;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use self::activity::RequestLog;
use self::dispatch::Lanes;
use crate::api::metrics::Metrics;
use crate::api::openapi::Documents;
use crate::api::realtime::{Clients, Dispatcher};
use crate::blob::{Storage, Thumbs};
use crate::bus::{Bus, BusOptions, LogLimits, QueueLimits};
use crate::config::Config;
use crate::engine::events::EventKind;
use crate::engine::settings::own::Fixed;
use crate::engine::{Engine, EngineOptions};
use crate::hooks::{Gate, HookOptions, HookParts, Scripts};
use crate::http::middleware::{Cors, Edge, EdgeOptions};
use crate::http::rate::RateLimits;
use crate::live::{Live, LiveOptions, StreamLimits};
use crate::modules::{self, Modules, Selection};
use crate::outbound;
use crate::sfu::Sfu;
use crate::store::{Store, StoreOptions, migrations};

/// How long open requests get when the server stops.
const DRAIN_S: u64 = 1;
/// How long mails on their way get when the server stops.
const MAILS: Duration = Duration::from_secs(5);
/// Most threads of requests that come by rooms.
const LANES_MAX: usize = 2;
/// How often idle event logs are trimmed.
const SWEEP: Duration = Duration::from_secs(60);

/// A running server.
pub struct Running {
    pub addr: SocketAddr,
    pub engine: Engine,
    clients: Clients,
    pub live: Live,
    /// The media plane.
    pub sfu: Sfu,
    scripts: Scripts,
    stop: CancellationToken,
    log_task: tokio::task::JoinHandle<()>,
    lanes: Arc<Lanes>,
    handle: ServerHandle,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Stops accepting, lets open requests end for a moment, and closes the database.
    pub async fn stop(self) {
        self.end(false).await;
    }

    /// As [`Running::stop`], to be started again.
    pub(super) async fn pause(self) {
        self.end(true).await;
    }

    async fn end(self, is_restart: bool) {
        let slots = [("is_restart", is_restart.into())];
        if let Err(error) = self.engine.announce(EventKind::Terminate, &slots).await {
            tracing::warn!(%error, "a handler of the server's end failed");
        }
        self.clients.end();
        self.live.end();
        self.sfu.stop().await;
        self.handle.stop(true).await;
        let _ = self.task.await;
        self.lanes.stop().await;
        if !self.engine.mailer().drain(MAILS).await {
            tracing::warn!("mails that were still on their way are lost");
        }
        let clear = self.engine.announce(EventKind::BootstrapClear, &[]);
        if let Err(error) = clear.await {
            tracing::warn!(%error, "a handler of the server's end failed");
        }
        self.scripts.stop().await;
        self.stop.cancel();
        let _ = self.log_task.await;
        self.engine.store().close().await;
    }

    /// A handle to stop accepting with.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }
}

/// Opens a data directory as an engine, without serving it.
///
/// # Errors
/// When the directory cannot be used.
pub async fn open(config: &Config) -> anyhow::Result<Engine> {
    restore::resume(&config.dir)?;
    let store = Store::open(StoreOptions {
        query_timeout: config.query_timeout,
        ..StoreOptions::new(&config.dir)
    })
    .await
    .with_context(|| format!("cannot open the data directory {}", config.dir.display()))?;
    let rehash = {
        let mut conn = store.read().await?;
        !migrations::was_made_by_pocketbase(&mut conn).await?
    };
    let files = Storage::local(config.dir.join("storage"));
    let fixed = Fixed::read(&config.set, &config.variables, config.dev);
    let fixed = fixed.map_err(|why| anyhow::anyhow!(why))?;
    let engine = Engine::open(EngineOptions {
        store,
        files,
        bus: Bus::new(BusOptions {
            queue: QueueLimits {
                items_max: config.stream_queue,
                ..QueueLimits::default()
            },
            linger: config.topic_log_age,
            ..BusOptions::default()
        }),
        mails: config.dir.join("mails"),
        clock: config.clock.clone(),
        encryption_key: config.encryption_key.clone(),
        rehash,
    })
    .await
    .context("cannot load the collections and settings")?;
    engine.fix_own_settings(fixed);
    Ok(engine)
}

/// Serves a data directory on a bound listener. Must run inside an actix system.
///
/// # Errors
/// When the directory or the listener cannot be used.
pub async fn start(config: &Config, listener: TcpListener) -> anyhow::Result<Running> {
    let engine = open(config).await?;
    restore::clean(&config.dir);
    let addr = listener.local_addr()?;
    let clients = Clients::default();
    engine.register_hook(Arc::new(Dispatcher::start(engine.clone(), clients.clone())));
    let sfu = media::start(&config.rtc, addr.ip())?;
    let live = Live::start(
        &engine,
        LiveOptions {
            sfu: Some(sfu.clone()),
            ..live_options(config)
        },
    );
    let stop = CancellationToken::new();
    let modules = open_modules(config, &engine, &live).await?;
    let scripts = scripts_of(config, &engine, &live, &modules, &clients, stop.clone()).await?;
    scripts.migrate_up().await?;
    scripts.load().await;
    let shared = routes::Shared {
        engine: Data::new(engine.clone()),
        clients: Data::new(clients.clone()),
        live: Data::new(live.clone()),
        scripts: Data::new(scripts.clone()),
        documents: Data::new(documents(modules.descriptions())),
        modules: modules.clone(),
        metrics: Data::new(metrics_of(&modules)),
        limits: Data::new(RateLimits::default()),
        thumbs: Data::new(Thumbs::new(engine.files().clone())),
        public: routes::Public::of(config),
    };
    engine
        .announce(EventKind::Bootstrap, &[])
        .await
        .context("a handler keeps the server from starting")?;
    sweep(engine.bus().clone(), stop.clone());
    let (log, log_task) = RequestLog::start(engine.clone(), stop.clone());
    tokio::spawn(
        engine
            .crons()
            .clone()
            .run_until(engine.clone(), stop.clone()),
    );
    let edge = Edge::new(EdgeOptions {
        cors: Cors::new(&config.origins),
        activity: Some(Arc::new(log)),
    });
    let gate = Gate::new(scripts.clone());
    let app = move || {
        let shared = shared.clone();
        App::new()
            .wrap(gate.clone())
            .wrap(edge.clone())
            .configure(move |app| routes::mount(app, &shared))
    };
    let lanes = Arc::new(Lanes::new(app.clone(), config.workers.min(LANES_MAX)));
    live.set_dispatch(lanes.clone());
    let server = HttpServer::new(app)
        .workers(config.workers)
        .shutdown_timeout(DRAIN_S)
        .disable_signals()
        // A client that closes its side has left: event streams end at once.
        .h1_allow_half_closed(false)
        .keep_alive(Duration::from_secs(75))
        .listen(listener)?
        .run();
    let handle = server.handle();
    engine
        .announce(EventKind::Serve, &[])
        .await
        .context("a handler keeps the server from serving")?;
    Ok(Running {
        addr,
        engine,
        clients,
        live,
        sfu,
        scripts,
        stop,
        log_task,
        lanes,
        handle,
        task: tokio::spawn(server),
    })
}

fn live_options(config: &Config) -> LiveOptions {
    LiveOptions {
        log: LogLimits {
            events_max: config.topic_log_events,
            age_max: config.topic_log_age,
            ..LogLimits::default()
        },
        streams: StreamLimits {
            all_max: config.streams_max,
            per_client_max: config.streams_per_client_max,
        },
        sfu: None,
    }
}

/// Starts live events for an engine that is not served: without rooms.
#[must_use]
pub fn open_live(config: &Config, engine: &Engine) -> Live {
    Live::start(engine, live_options(config))
}

fn metrics_of(modules: &Modules) -> Metrics {
    let modules = modules.clone();
    Metrics(Arc::new(move || modules.metrics()))
}

/// The descriptions of the rooms beside the API, and those of modules.
fn documents(modules: Vec<Json>) -> Documents {
    let rooms = [crate::live::description(), crate::hooks::description()];
    Documents(rooms.into_iter().chain(modules).collect())
}

/// The descriptions of all that a server can offer.
#[must_use]
pub fn all_documents() -> Documents {
    documents(modules::descriptions())
}

/// Starts the application modules: those that are asked for, or all in a directory that was made here.
///
/// # Errors
/// When there is no such module, or one that it needs is not asked for.
pub async fn open_modules(
    config: &Config,
    engine: &Engine,
    live: &Live,
) -> anyhow::Result<Modules> {
    let selection = match &config.modules {
        Some(names) => {
            let selection = Selection::parse(names);
            selection.map_err(|why| anyhow::anyhow!("--modules: {why}"))?
        }
        None if migrations::was_made_by_pocketbase(&mut *engine.store().read().await?).await? => {
            tracing::info!(
                "this directory was made by PocketBase: the application modules are off; --modules=all turns them on"
            );
            Selection::default()
        }
        None => Selection::all(),
    };
    let started = Modules::start(engine, live, &selection).await;
    started.context("the modules cannot be started")
}

/// Starts the script thread of an engine; no script runs yet.
///
/// # Errors
/// When the system has no thread for scripts.
pub async fn open_scripts(
    config: &Config,
    engine: &Engine,
    live: &Live,
    modules: &Modules,
    stop: CancellationToken,
) -> anyhow::Result<Scripts> {
    scripts_of(config, engine, live, modules, &Clients::default(), stop).await
}

async fn scripts_of(
    config: &Config,
    engine: &Engine,
    live: &Live,
    modules: &Modules,
    clients: &Clients,
    stop: CancellationToken,
) -> anyhow::Result<Scripts> {
    let mut conn = engine.store().read().await?;
    let allowed = config.http_allow_private.iter().map(String::as_str);
    let allowed = outbound::Allowlist::parse(allowed).context("--httpAllowPrivate")?;
    let hooks = &config.hooks;
    let options = HookOptions {
        hooks_dir: absolute(&hooks.dir),
        modules_dir: absolute(&hooks.modules_dir),
        migrations_dir: absolute(&hooks.migrations_dir),
        budget: hooks.timeout,
        growth_bytes_max: hooks.growth_bytes_max,
        allow_os: hooks.allow_os,
        outbound: outbound::Client::new(allowed),
        automigrate: hooks.automigrate,
        watch: hooks.watch,
        top_level_only: migrations::was_made_by_pocketbase(&mut conn).await?,
        dev: config.dev,
        encryption_env: config.encryption_env.clone(),
    };
    let parts = HookParts {
        engine: engine.clone(),
        live: live.clone(),
        clients: clients.clone(),
        apis: modules.script_apis(),
        operations: documents(modules.descriptions()).operations(),
    };
    Scripts::open(parts, options, stop).context("no thread for hook scripts")
}

/// Scripts require files by absolute paths.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn sweep(bus: Bus, stop: CancellationToken) {
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        loop {
            tokio::time::sleep(SWEEP).await;
            bus.sweep(std::time::Instant::now());
        }
    }));
}

pub use install::install_link;
pub use restore::{restart, restore};
