//! What scripts have registered, as the rest of the server sees it: an immutable snapshot that each publication replaces.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::router::{Middleware, Routes};
use crate::base::date::DateTime;
use crate::engine::events::EventKind;
use crate::js::SCRIPT_TARGET;
use crate::js::host::Host;
use crate::model::Collection;

/// A script as the status shows it. It lives across reloads.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) id: String,
    /// The file's path below the hooks folder.
    pub(super) name: String,
    pub(super) path: std::path::PathBuf,
    pub(super) calls: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) state: Mutex<ScriptState>,
}

/// What changes with a load or an error.
#[derive(Clone, Debug, Default)]
pub(super) struct ScriptState {
    pub(super) running: bool,
    pub(super) loaded_at: Option<DateTime>,
    pub(super) last_error: Option<String>,
    pub(super) subscriptions: usize,
    pub(super) crons: usize,
    pub(super) routes: usize,
    pub(super) handlers: usize,
}

impl Script {
    /// Reads or changes the state.
    pub(super) fn state<R>(&self, work: impl FnOnce(&mut ScriptState) -> R) -> R {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes an error for the status, and logs it.
    pub(super) fn failed(&self, what: &str, error: &str) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.state(|state| state.last_error = Some(error.to_owned()));
        tracing::error!(target: SCRIPT_TARGET, { script.id = self.id }, "{what}: {error}");
    }
}

/// A function of a script that the host may call. While this lives, the function does, also after the script was
/// reloaded: what was handed to the old version is done by it.
#[derive(Debug)]
pub(super) struct Function {
    /// Unique in the process.
    pub(super) id: u64,
    pub(super) script: Arc<Script>,
    /// The how-many-eth function that the script handed over while it was loaded. On a new script thread it finds the
    /// function's successor.
    pub(super) place: Option<u32>,
    host: WeakHost,
}

/// A host that functions do not keep alive.
struct WeakHost(Host);

impl std::fmt::Debug for WeakHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host")
    }
}

impl Function {
    pub(super) fn new(script: Arc<Script>, place: Option<u32>, host: &Host) -> Arc<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            id: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            script,
            place,
            host: WeakHost(host.clone()),
        })
    }

    pub(super) fn host(&self) -> &Host {
        &self.host.0
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let id = self.id;
        self.host.0.continue_with(
            &crate::js::lane::Route::General,
            Box::new(move |turn| super::world::forget_function(turn, id)),
        );
    }
}

/// A handler of an event.
#[derive(Clone, Debug)]
pub(super) struct EventHandler {
    pub(super) function: Arc<Function>,
    /// Ids or names of collections; none for all.
    pub(super) tags: Vec<String>,
}

impl EventHandler {
    fn wants(&self, collection: Option<&Collection>) -> bool {
        self.tags.is_empty()
            || collection.is_some_and(|collection| {
                self.tags
                    .iter()
                    .any(|tag| *tag == collection.name || *tag == collection.id)
            })
    }
}

/// Everything that scripts have registered.
#[derive(Default)]
pub(super) struct Registry {
    pub(super) events: HashMap<EventKind, Vec<EventHandler>>,
    pub(super) topics: HashMap<String, Vec<Arc<Function>>>,
    /// Commands of the command line.
    pub(super) commands: HashMap<String, Arc<Function>>,
    pub(super) routes: Routes,
    /// Around all requests.
    pub(super) middlewares: Vec<Middleware>,
}

impl Registry {
    /// Whether requests may concern scripts before the API knows them.
    pub(super) fn wants_requests(&self) -> bool {
        !self.routes.is_empty() || !self.middlewares.is_empty()
    }

    /// The handlers that want an event, in the order they were registered. Nothing is allocated when there are none.
    pub(super) fn handlers(
        &self,
        kind: EventKind,
        collection: Option<&Collection>,
    ) -> Vec<Arc<Function>> {
        match self.events.get(&kind) {
            Some(handlers) => handlers
                .iter()
                .filter(|handler| handler.wants(collection))
                .map(|handler| Arc::clone(&handler.function))
                .collect(),
            None => Vec::new(),
        }
    }

    /// Whether a handler of one of these kinds wants the collection.
    pub(super) fn wants_any(&self, kinds: &[EventKind], collection: &Collection) -> bool {
        !self.events.is_empty()
            && kinds.iter().any(|kind| {
                self.events
                    .get(kind)
                    .is_some_and(|handlers| handlers.iter().any(|one| one.wants(Some(collection))))
            })
    }
}

/// The registry in force.
#[derive(Clone, Default)]
pub(super) struct Published(Arc<ArcSwap<Registry>>);

impl Published {
    pub(super) fn load(&self) -> arc_swap::Guard<Arc<Registry>> {
        self.0.load()
    }

    pub(super) fn publish(&self, registry: Registry) {
        self.0.store(Arc::new(registry));
    }
}
