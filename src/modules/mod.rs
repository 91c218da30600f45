//! Application modules: collections, record hooks, routes and script functions that stand on the engine's public
//! interface and on live events. Each has a folder and can be switched off; what is off leaves no trace.
//!
//! A module is: its collections (`migrations/modules/NAME.json`), a folder here, and one line of [`ALL`]. In its folder
//! `mod.rs` is the [`Module`], `hooks.rs` what happens inside record writes (so that the records API, batches, scripts and
//! module routes have the same effect), `service.rs` the operations, `routes.rs` the handlers, `error.rs` the refusals.
//!
//! | file | holds |
//! | --- | --- |
//! | `registry` | which modules there are, which are on, and starting them |
//! | `collections` | making a module's collections, unless other ones have their names |
//! | `dormant` | guarding the collections of modules that are off |
//! | `expiry` | rows that end at a time |
//! | `input` | bodies of module routes: typed, with both spellings of a key |
//! | `page` | paged answers |
//! | `writes` | what the writes of all share |

mod collections;
mod dormant;
mod expiry;
pub mod follows;
mod input;
pub mod market;
mod page;
mod registry;
pub mod rooms;
pub mod social;
mod writes;

use std::sync::Arc;

use actix_web::web::ServiceConfig;
use serde_json::Value as Json;

pub use self::input::{Fields, refused, refused_with};
pub use self::page::Page;
pub use self::registry::{Modules, Selection, descriptions};
use self::writes::{AHEAD_OF_SCRIPTS, keep, owner_of, within};
use crate::base::metric::Metric;
use crate::engine::{Engine, ScriptApi};
use crate::live::Live;
use crate::sfu::Sfu;

/// What modules are built on. Cheap to clone.
#[derive(Clone)]
pub struct Ground {
    pub engine: Engine,
    pub live: Live,
    /// The media plane; none where nothing is served, as in commands beside `serve`.
    pub sfu: Option<Sfu>,
    /// The modules that run.
    pub on: Arc<[&'static str]>,
    /// Who hears of charges that waited.
    pub charges: market::ChargeListeners,
}

impl Ground {
    /// Whether a module runs.
    #[must_use]
    pub fn has(&self, module: &str) -> bool {
        self.on.contains(&module)
    }
}

/// A running module.
pub trait Module: Send + Sync {
    /// Mounts the routes below `/api`; once per worker.
    fn configure(&self, config: &mut ServiceConfig);

    /// What is counted.
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }

    /// What scripts can call.
    fn script_apis(&self) -> Vec<Arc<dyn ScriptApi>> {
        Vec::new()
    }
}

/// A module that can run.
struct Registration {
    /// As `--modules` names it.
    name: &'static str,
    /// Modules that must run too.
    needs: &'static [&'static str],
    /// A JSON array of collections; see [`collections`].
    collections: &'static str,
    /// The routes as an OpenAPI document.
    description: fn() -> Json,
    /// Registers hooks and crons and gives the module. Called once, when the collections are there.
    start: fn(&Ground) -> Arc<dyn Module>,
}

/// All modules, each behind those it needs.
const ALL: &[Registration] = &[
    Registration {
        name: "social",
        needs: &[],
        collections: include_str!("../../migrations/modules/social.json"),
        description: social::description,
        start: social::start,
    },
    Registration {
        name: "market",
        needs: &[],
        collections: include_str!("../../migrations/modules/market.json"),
        description: market::description,
        start: market::start,
    },
    Registration {
        name: "follows",
        needs: &[],
        collections: include_str!("../../migrations/modules/follows.json"),
        description: follows::description,
        start: follows::start,
    },
    Registration {
        name: "rooms",
        needs: &[],
        collections: include_str!("../../migrations/modules/rooms.json"),
        description: rooms::description,
        start: rooms::start,
    },
];
