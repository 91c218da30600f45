//! Which modules there are, which are on, and starting them.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::web::ServiceConfig;
use serde_json::Value as Json;

use super::collections::{self, Wanted};
use super::dormant::Dormant;
use super::market::ChargeListeners;
use super::{ALL, Ground, Module, Registration};
use crate::base::metric::Metric;
use crate::engine::{Engine, Error, ScriptApi};
use crate::live::{Live, ensure_presence};
use crate::store::migrations;

/// The modules that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection(Vec<&'static str>);

impl Selection {
    /// All modules.
    #[must_use]
    pub fn all() -> Self {
        Self(ALL.iter().map(|module| module.name).collect())
    }

    /// Reads `all`, `none` or a comma-separated list of names.
    ///
    /// # Errors
    /// A message for people that names the unknown module, or the need that is not on the list.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "all" => return Ok(Self::all()),
            "none" | "" => return Ok(Self::default()),
            _ => {}
        }
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        for name in &names {
            if !ALL.iter().any(|module| module.name == *name) {
                let known: Vec<&str> = ALL.iter().map(|module| module.name).collect();
                return Err(format!(
                    "there is no module {name:?}; there are: {}",
                    known.join(", ")
                ));
            }
        }
        let chosen = || ALL.iter().filter(|module| names.contains(&module.name));
        for module in chosen() {
            if let Some(need) = module.needs.iter().find(|need| !names.contains(*need)) {
                return Err(format!(
                    "the module {} needs the module {need}",
                    module.name
                ));
            }
        }
        Ok(Self(chosen().map(|module| module.name).collect()))
    }

    fn registrations(&self) -> impl Iterator<Item = &'static Registration> {
        ALL.iter().filter(|module| self.0.contains(&module.name))
    }
}

/// The running modules of a server; cheap to clone.
#[derive(Clone)]
pub struct Modules {
    running: Arc<[(&'static Registration, Arc<dyn Module>)]>,
}

impl Modules {
    /// Makes the collections that are missing and starts the modules. One whose collection's name is taken by a
    /// collection of another shape is left off with a warning, and so are those that need it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn start(engine: &Engine, live: &Live, selection: &Selection) -> Result<Self, Error> {
        let chosen: Vec<&'static Registration> = selection.registrations().collect();
        if chosen.is_empty() {
            guard_dormant(engine, &[]).await?;
            return Ok(Self {
                running: Arc::new([]),
            });
        }
        live.ensure_topics().await?;
        ensure_presence(engine).await?;
        let wanted = chosen
            .iter()
            .map(|module| Wanted::parse(module.name, module.collections))
            .collect::<Result<Vec<_>, _>>()?;
        let clashes = collections::ensure(engine, wanted).await?;
        let mut left_off: Vec<&str> = Vec::new();
        let mut started = Vec::new();
        for module in chosen {
            if let Some(clash) = clashes.iter().find(|clash| clash.module == module.name) {
                tracing::warn!(
                    module = module.name,
                    clash = clash.what,
                    "a module is left off: its collection's name is taken by a collection of another shape"
                );
                left_off.push(module.name);
            } else if let Some(need) = module.needs.iter().find(|need| left_off.contains(*need)) {
                tracing::warn!(
                    module = module.name,
                    need,
                    "a module is left off with the module it needs"
                );
                left_off.push(module.name);
            } else {
                started.push(module);
            }
        }
        let ground = Ground {
            engine: engine.clone(),
            live: live.clone(),
            sfu: live.sfu().cloned(),
            on: started.iter().map(|module| module.name).collect(),
            charges: ChargeListeners::default(),
        };
        guard_dormant(engine, &ground.on).await?;
        let running = started
            .into_iter()
            .map(|module| (module, (module.start)(&ground)));
        Ok(Self {
            running: running.collect(),
        })
    }

    /// The names of those that run.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.running.iter().map(|(module, _)| module.name)
    }

    /// Mounts the routes below `/api`.
    pub fn configure(&self, config: &mut ServiceConfig) {
        for (_, module) in self.running.iter() {
            module.configure(config);
        }
    }

    /// The routes as OpenAPI documents.
    #[must_use]
    pub fn descriptions(&self) -> Vec<Json> {
        let running = self.running.iter();
        running.map(|(module, _)| (module.description)()).collect()
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let running = self.running.iter();
        running.flat_map(|(_, module)| module.metrics()).collect()
    }

    /// What scripts can call.
    #[must_use]
    pub fn script_apis(&self) -> Vec<Arc<dyn ScriptApi>> {
        let running = self.running.iter();
        running
            .flat_map(|(_, module)| module.script_apis())
            .collect()
    }
}

/// Guards the collections of modules that ran here at some time and do not run now.
async fn guard_dormant(engine: &Engine, running: &[&str]) -> Result<(), Error> {
    let mut collections = BTreeSet::new();
    for module in ALL.iter().filter(|module| !running.contains(&module.name)) {
        let mut conn = engine.read().await?;
        if migrations::has_module(&mut conn, module.name).await? {
            let wanted = Wanted::parse(module.name, module.collections)?;
            collections.extend(wanted.names().map(str::to_owned));
        }
    }
    if !collections.is_empty() {
        engine.register_hook(Arc::new(Dormant { collections }));
    }
    Ok(())
}

/// The routes of all modules as OpenAPI documents.
#[must_use]
pub fn descriptions() -> Vec<Json> {
    ALL.iter().map(|module| (module.description)()).collect()
}
