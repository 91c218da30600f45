//! Writing migrations: empty ones, snapshots of all collections, and one for each change over the API.
//!
//! The files run in PocketBase too.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value as Json};

use super::Scripts;
use crate::engine::events::{Event, EventKind, Handler, Slot, Step, Visit};
use crate::engine::{Engine, Error};
use crate::model::Collection;
use crate::store::Tx;

const HEAD: &str = "/// <reference path=\"../pb_data/types.d.ts\" />\n";

impl Scripts {
    /// Writes an empty migration; gives its path.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write_blank_migration(&self, name: &str) -> std::io::Result<PathBuf> {
        let text = format!(
            "{HEAD}migrate((app) => {{\n  // what changes\n}}, (app) => {{\n  // how it is taken back\n}})\n"
        );
        self.write_migration(name, &text).map(|(path, _)| path)
    }

    /// Writes a migration with all collections as they are, and records it as applied; gives its path.
    ///
    /// # Errors
    /// Those of the file system and the database.
    pub async fn write_snapshot(&self) -> Result<Option<PathBuf>, Error> {
        let schema = self.inner.engine.schema();
        let mut collections: Vec<_> = schema.iter().collect();
        if collections.is_empty() {
            return Ok(None);
        }
        collections.sort_by(|a, b| a.created.cmp(&b.created).then(a.name.cmp(&b.name)));
        let list: Vec<Json> = collections
            .iter()
            .map(|collection| Json::Object(definition(collection)))
            .collect();
        let text = format!(
            "{HEAD}migrate((app) => {{\n  const snapshot = {};\n\n  return app.importCollections(snapshot, false);\n}}, (app) => {{\n  return null;\n}})\n",
            pretty(&Json::Array(list), 2)
        );
        let (path, name) = self
            .write_migration("collections_snapshot", &text)
            .map_err(|error| Error::internal("the migration cannot be written", error))?;
        super::migrations::record_applied(&self.inner.engine, name).await?;
        Ok(Some(path))
    }

    fn write_migration(&self, name: &str, text: &str) -> std::io::Result<(PathBuf, String)> {
        let folder = &self.inner.options.migrations_dir;
        std::fs::create_dir_all(folder)?;
        let words = snake(name);
        let mut time = self.inner.engine.now().unix();
        loop {
            let file = format!("{time}_{words}.js");
            let path = folder.join(&file);
            // Two changes in one second keep their order.
            match std::fs::File::create_new(&path) {
                Ok(mut fresh) => {
                    std::io::Write::write_all(&mut fresh, text.as_bytes())?;
                    return Ok((path, file));
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => time += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// The handler that writes a migration once a change of a collection has been made over the API.
pub(super) fn handler(scripts: &Scripts, kind: EventKind) -> Option<Arc<dyn Handler>> {
    let wanted = matches!(
        kind,
        EventKind::CollectionCreateRequest
            | EventKind::CollectionUpdateRequest
            | EventKind::CollectionDeleteRequest
    );
    (wanted && scripts.inner.options.automigrate)
        .then(|| Arc::new(Writer(scripts.clone())) as Arc<dyn Handler>)
}

struct Writer(Scripts);

impl Handler for Writer {
    fn begin(&self, event: Event) -> Box<dyn Visit> {
        let before = collection_of(&event)
            .and_then(|collection| self.0.inner.engine.schema().by_id(&collection.id).cloned());
        Box::new(Watch {
            scripts: self.0.clone(),
            before,
            state: State::New(event),
        })
    }
}

struct Watch {
    scripts: Scripts,
    /// The collection before the change; nothing for a new one.
    before: Option<Arc<Collection>>,
    state: State,
}

enum State {
    New(Event),
    Back(Event, Result<(), Error>),
    Over,
}

impl Visit for Watch {
    fn step<'a>(&'a mut self, _: Option<&'a mut Tx>) -> BoxFuture<'a, Step> {
        Box::pin(async move {
            match std::mem::replace(&mut self.state, State::Over) {
                State::New(event) => Step::Next(event),
                State::Back(event, result) => {
                    if result.is_ok() {
                        self.write(&event).await;
                    }
                    Step::Done(event, result)
                }
                State::Over => {
                    let event = Event::new(EventKind::CollectionUpdateRequest, None);
                    Step::Done(event, Ok(()))
                }
            }
        })
    }

    fn resume(&mut self, event: Event, result: Result<(), Error>) {
        self.state = State::Back(event, result);
    }
}

impl Watch {
    /// The change has been made: a file that cannot be written is for the log.
    async fn write(&self, event: &Event) {
        let engine = &self.scripts.inner.engine;
        let id = self
            .before
            .as_ref()
            .or(collection_of(event))
            .map(|collection| collection.id.clone());
        let after = id.and_then(|id| engine.schema().by_id(&id).cloned());
        let Some((name, text)) = migration(self.before.as_deref(), after.as_deref()) else {
            return;
        };
        if let Err(error) = self.save(engine, &name, &text).await {
            tracing::warn!(%error, "no migration was written for a change of a collection");
        }
    }

    async fn save(&self, engine: &Engine, name: &str, text: &str) -> Result<(), Error> {
        let (_, file) = self
            .scripts
            .write_migration(name, text)
            .map_err(|error| Error::internal("the file cannot be written", error))?;
        super::migrations::record_applied(engine, file).await?;
        Ok(())
    }
}

fn collection_of(event: &Event) -> Option<&Arc<Collection>> {
    match event.get("collection") {
        Some(Slot::Collection(collection)) => Some(collection),
        _ => event.collection.as_ref(),
    }
}

/// The name and text of the migration from one state of a collection to another.
fn migration(before: Option<&Collection>, after: Option<&Collection>) -> Option<(String, String)> {
    let (name, up, down) = match (before, after) {
        (None, Some(new)) => (format!("created_{}", new.name), create(new), delete(new)),
        (Some(old), None) => (format!("deleted_{}", old.name), delete(old), create(old)),
        (Some(old), Some(new)) => {
            let (was, is) = (definition(old), definition(new));
            if was == is {
                return None;
            }
            let name = format!("updated_{}", old.name);
            (name, update(&old.id, &was, &is), update(&old.id, &is, &was))
        }
        (None, None) => return None,
    };
    Some((
        name,
        format!("{HEAD}migrate((app) => {{\n{up}}}, (app) => {{\n{down}}})\n"),
    ))
}

fn create(collection: &Collection) -> String {
    format!(
        "  const collection = new Collection({});\n\n  return app.save(collection);\n",
        pretty(&Json::Object(definition(collection)), 2)
    )
}

fn delete(collection: &Collection) -> String {
    format!(
        "  const collection = app.findCollectionByNameOrId({});\n\n  return app.delete(collection);\n",
        Json::from(collection.id.as_str())
    )
}

/// Sets what differs between two definitions.
fn update(id: &str, was: &Map<String, Json>, is: &Map<String, Json>) -> String {
    let changed: Map<String, Json> = is
        .iter()
        .filter(|(key, value)| was.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    format!(
        "  const collection = app.findCollectionByNameOrId({});\n\n  unmarshal({}, collection);\n\n  return app.save(collection);\n",
        Json::from(id),
        pretty(&Json::Object(changed), 2)
    )
}

/// A collection as a migration states it: without its dates and the secrets of sign-in providers.
fn definition(collection: &Collection) -> Map<String, Json> {
    let mut definition = collection.to_json();
    definition.remove("created");
    definition.remove("updated");
    if let Some(Json::Object(oauth2)) = definition.get_mut("oauth2") {
        oauth2.remove("providers");
    }
    definition
}

/// JSON over several lines, those after the first indented.
fn pretty(json: &Json, indent: usize) -> String {
    let text = serde_json::to_string_pretty(json).unwrap_or_default();
    text.replace('\n', &format!("\n{}", " ".repeat(indent)))
}

/// A name as part of a file's: lower case, words joined by `_`.
fn snake(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_alphanumeric() {
            if c.is_uppercase() && words.ends_with(|last: char| last.is_lowercase()) {
                words.push('_');
            }
            words.extend(c.to_lowercase());
        } else if !words.ends_with('_') {
            words.push('_');
        }
    }
    words.trim_matches('_').to_owned()
}
