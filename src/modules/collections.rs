//! Making a module's collections, unless other ones have their names.
//!
//! A definition is a collection as the API takes it, with three differences: `id`, `created` and `updated` are added;
//! `collectionId` of a relation is a collection's name; and a relation with `"optional": true` is left out, with the
//! indexes over it, while the collection it leads to is missing, and added when that has come (`posts.article` without
//! the market).
//!
//! Existing collections are never altered to fit. One that has a definition's name and not its fields is a clash.
//!
//! Beside definitions stand amendments, `{"amends": "comments", "with": "follows", "rule": "deleteRule", "from": .., "to": ..}`:
//! a rule of another module's or earlier collection that changes when one of the two collections is made, unless somebody has
//! changed it already.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use crate::engine::{Engine, Error};
use crate::model::{Collection, CollectionKind, Field, FieldKind, Schema};
use crate::store::{Tx, migrations};

/// The collection whose records are the people.
const USERS: &str = "users";
/// The rule of `users` in a new directory, and the one that lets people see each other in relations.
const OWN: &str = "id = @request.auth.id";
const SIGNED_IN: &str = "@request.auth.id != \"\"";

/// The collections of a module.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) module: &'static str,
    definitions: Vec<Definition>,
    amendments: Vec<Amendment>,
}

/// Why a module cannot run.
pub(super) struct Clash {
    pub(super) module: &'static str,
    /// The collection, and the field if it is one.
    pub(super) what: String,
}

#[derive(Clone)]
struct Definition {
    name: String,
    body: Map<String, Json>,
    fields: Vec<Map<String, Json>>,
}

/// A rule of a collection that changes when the collection and the module's own come together.
#[derive(Clone, serde::Deserialize)]
struct Amendment {
    #[serde(rename = "amends")]
    collection: String,
    /// The collection of the module's own that the new rule reads.
    with: String,
    rule: AmendedRule,
    from: String,
    to: String,
}

#[derive(Clone, Copy, serde::Deserialize)]
enum AmendedRule {
    #[serde(rename = "listRule")]
    List,
    #[serde(rename = "viewRule")]
    View,
    #[serde(rename = "deleteRule")]
    Delete,
}

impl AmendedRule {
    fn of(self, collection: &mut Collection) -> &mut Option<String> {
        match self {
            Self::List => &mut collection.list_rule,
            Self::View => &mut collection.view_rule,
            Self::Delete => &mut collection.delete_rule,
        }
    }
}

impl Wanted {
    /// Reads a JSON array of definitions.
    ///
    /// # Errors
    /// When the text is broken, which a test excludes.
    pub(super) fn parse(module: &'static str, text: &str) -> Result<Self, Error> {
        let bodies: Vec<Map<String, Json>> =
            serde_json::from_str(text).map_err(|error| Error::internal("a definition", error))?;
        let (amendments, bodies): (Vec<_>, Vec<_>) = bodies
            .into_iter()
            .partition(|body| body.contains_key("amends"));
        let amendments = amendments.into_iter().map(|body| {
            serde_json::from_value(Json::Object(body))
                .map_err(|error| Error::internal("an amendment", error))
        });
        let amendments = amendments.collect::<Result<_, _>>()?;
        let definitions = bodies.into_iter().map(|mut body| {
            let fields = match body.remove("fields") {
                Some(Json::Array(fields)) => fields,
                _ => Vec::new(),
            };
            let fields = fields.into_iter().filter_map(|field| match field {
                Json::Object(field) => Some(field),
                _ => None,
            });
            Definition {
                name: name_of(&body).to_owned(),
                fields: fields.collect(),
                body,
            }
        });
        Ok(Self {
            module,
            definitions: definitions.collect(),
            amendments,
        })
    }

    /// The names of the collections.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.definitions.iter().map(|made| made.name.as_str())
    }

    /// The first thing that keeps the module from running. `made` are the names that modules before it bring.
    fn clash(&self, schema: &Schema, made: &[&str]) -> Option<Clash> {
        let own = |name: &str| self.definitions.iter().any(|other| other.name == name);
        let what = self.definitions.iter().find_map(|definition| {
            let missing = definition.fields.iter().filter(|field| !is_optional(field));
            let missing = missing.filter_map(target_of).find(|target| {
                schema.find(target).is_none() && !own(target) && !made.contains(target)
            });
            if let Some(target) = missing {
                return Some(format!("there is no collection {target}"));
            }
            definition.misfit(schema)
        })?;
        Some(Clash {
            module: self.module,
            what,
        })
    }
}

impl Definition {
    /// What a collection of this name lacks, if there is one.
    fn misfit(&self, schema: &Schema) -> Option<String> {
        let found = schema.find(&self.name)?;
        if found.kind != CollectionKind::Base {
            return Some(format!("{} is no base collection", self.name));
        }
        let wrong = self.fields.iter().find(|wanted| {
            let field = found.field(name_of(wanted));
            match field {
                None => !is_optional(wanted),
                Some(field) => !fits(field, wanted, schema),
            }
        })?;
        Some(format!("{}.{}", self.name, name_of(wrong)))
    }

    /// The fields that a collection lacks and that can be made now: relations whose target has come.
    fn additions<'a>(
        &'a self,
        schema: &'a Schema,
        found: &'a Collection,
    ) -> impl Iterator<Item = &'a Map<String, Json>> {
        self.fields
            .iter()
            .filter(|field| found.field(name_of(field)).is_none())
            .filter(|field| target_of(field).is_some_and(|target| schema.find(target).is_some()))
    }

    /// The indexes whose columns are all there.
    fn indexes_over(&self, fields: &[Field]) -> Vec<String> {
        let indexes = self.body.get("indexes").and_then(Json::as_array);
        let texts = indexes.into_iter().flatten().filter_map(Json::as_str);
        let lacks = |index: &str, field: &Map<String, Json>| {
            let name = name_of(field);
            index.contains(&format!("`{name}`")) && !fields.iter().any(|other| other.name == name)
        };
        texts
            .filter(|index| !self.fields.iter().any(|field| lacks(index, field)))
            .map(str::to_owned)
            .collect()
    }

    fn draft(&self, schema: &Schema) -> Result<Collection, Error> {
        let mut fields = vec![
            json!({"id": "text3208210256", "name": "id", "type": "text", "primaryKey": true,
            "system": true, "required": true, "min": 15, "max": 15, "pattern": "^[a-z0-9]+$",
            "autogeneratePattern": "[a-z0-9]{15}"}),
        ];
        for field in &self.fields {
            let target = match target_of(field).map(|target| schema.find(target)) {
                // To be added when the other collection is there, or this one itself.
                Some(None) => continue,
                Some(Some(target)) => Some(target.id.clone()),
                None => None,
            };
            fields.push(Json::Object(resolved(field, target)));
        }
        fields.push(json!({"name": "created", "type": "autodate", "onCreate": true}));
        fields.push(
            json!({"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true}),
        );
        let mut body = self.body.clone();
        body.insert("type".to_owned(), "base".into());
        body.insert("fields".to_owned(), Json::Array(fields));
        let mut draft = Collection::from_body(&body).map_err(broken)?;
        draft.indexes = self.indexes_over(draft.fields());
        Ok(draft)
    }
}

/// Makes what is missing of the modules that do not clash, in one transaction. Writes nothing when all is there.
///
/// # Errors
/// Those of the database.
pub(super) async fn ensure(engine: &Engine, wanted: Vec<Wanted>) -> Result<Vec<Clash>, Error> {
    let schema = engine.schema();
    let mut made: Vec<&str> = Vec::new();
    let mut clashes = Vec::new();
    for module in &wanted {
        match module.clash(&schema, &made) {
            Some(clash) => clashes.push(clash),
            None => made.extend(module.definitions.iter().map(|found| found.name.as_str())),
        }
    }
    let (mut running, mut amendments) = (Vec::new(), Vec::new());
    let mut names = Vec::new();
    for module in wanted {
        if !clashes.iter().any(|clash| clash.module == module.module) {
            let lacks = |made: &Definition| schema.find(&made.name).is_none();
            if module.definitions.iter().any(lacks) {
                names.push(module.module);
            }
            running.extend(module.definitions);
            amendments.extend(module.amendments);
        }
    }
    if is_complete(&running, &schema) {
        return Ok(clashes);
    }
    let maker = engine.clone();
    engine
        .store()
        .write_exclusive(move |tx| {
            Box::pin(async move {
                for name in names {
                    migrations::record_module(tx, name).await?;
                }
                make(&maker, tx, &running, &amendments).await
            })
        })
        .await?;
    Ok(clashes)
}

fn is_complete(definitions: &[Definition], schema: &Schema) -> bool {
    definitions.iter().all(|definition| {
        schema
            .find(&definition.name)
            .is_some_and(|found| definition.additions(schema, found).next().is_none())
    })
}

async fn make(
    engine: &Engine,
    tx: &mut Tx,
    definitions: &[Definition],
    amendments: &[Amendment],
) -> Result<(), Error> {
    let mut made: Vec<&str> = Vec::new();
    for definition in definitions {
        if tx.schema().find(&definition.name).is_none() {
            let draft = definition.draft(tx.schema())?;
            engine
                .save_collection_in(tx, draft, None, true)
                .await
                .map_err(|error| refused(&definition.name, error))?;
            made.push(&definition.name);
        }
    }
    for definition in definitions {
        let schema = Arc::clone(tx.schema());
        let Some(found) = schema.find(&definition.name) else {
            continue;
        };
        let mut draft = Collection::clone(found);
        let additions = definition.additions(&schema, found).map(|field| {
            let target = target_of(field).and_then(|target| schema.find(target));
            let target = target.map(|target| target.id.clone());
            Field::from_json(&resolved(field, target)).map_err(broken)
        });
        let added = additions.collect::<Result<Vec<_>, _>>()?;
        if added.is_empty() {
            continue;
        }
        for field in added {
            draft.add_field(field);
        }
        for index in definition.indexes_over(draft.fields()) {
            if !draft.indexes.contains(&index) {
                draft.indexes.push(index);
            }
        }
        engine
            .save_collection_in(tx, draft, Some(Arc::clone(found)), true)
            .await
            .map_err(|error| refused(&definition.name, error))?;
    }
    if made.is_empty() {
        return Ok(());
    }
    for amendment in amendments {
        let names = [amendment.collection.as_str(), amendment.with.as_str()];
        if names.iter().any(|name| made.contains(name)) {
            amend(engine, tx, amendment).await?;
        }
    }
    if migrations::was_made_by_pocketbase(tx).await? {
        return Ok(());
    }
    open_users(engine, tx).await
}

async fn amend(engine: &Engine, tx: &mut Tx, amendment: &Amendment) -> Result<(), Error> {
    let Some(found) = tx.schema().find(&amendment.collection).cloned() else {
        return Ok(());
    };
    let mut draft = Collection::clone(&found);
    let rule = amendment.rule.of(&mut draft);
    if rule.as_ref() != Some(&amendment.from) {
        return Ok(());
    }
    *rule = Some(amendment.to.clone());
    engine
        .save_collection_in(tx, draft, Some(found), true)
        .await
        .map_err(|error| refused(&amendment.collection, error))?;
    Ok(())
}

/// Lets people who are signed in see each other, as lists with `expand=user` need it, where `users` has still the rules of
/// a new directory.
async fn open_users(engine: &Engine, tx: &mut Tx) -> Result<(), Error> {
    let Some(users) = tx.schema().find(USERS).cloned() else {
        return Ok(());
    };
    let is_untouched =
        users.list_rule.as_deref() == Some(OWN) && users.view_rule.as_deref() == Some(OWN);
    if !is_untouched {
        return Ok(());
    }
    let mut draft = Collection::clone(&users);
    draft.list_rule = Some(SIGNED_IN.to_owned());
    draft.view_rule = Some(SIGNED_IN.to_owned());
    engine
        .save_collection_in(tx, draft, Some(users), true)
        .await?;
    Ok(())
}

fn name_of(body: &Map<String, Json>) -> &str {
    body.get("name").and_then(Json::as_str).unwrap_or_default()
}

fn is_optional(field: &Map<String, Json>) -> bool {
    field.get("optional").and_then(Json::as_bool) == Some(true)
}

/// The name of the collection that a relation leads to.
fn target_of(field: &Map<String, Json>) -> Option<&str> {
    field.get("collectionId").and_then(Json::as_str)
}

/// The field as the API takes it, with the id of the collection that it leads to.
fn resolved(field: &Map<String, Json>, target: Option<String>) -> Map<String, Json> {
    let mut field = field.clone();
    field.remove("optional");
    if let Some(target) = target {
        field.insert("collectionId".to_owned(), target.into());
    }
    field
}

fn fits(field: &Field, wanted: &Map<String, Json>, schema: &Schema) -> bool {
    let kind = wanted.get("type").and_then(Json::as_str);
    if kind != Some(field.kind.type_name()) {
        return false;
    }
    match (&field.kind, target_of(wanted)) {
        (FieldKind::Relation(options), Some(target)) => schema
            .find(target)
            .is_some_and(|target| target.id == options.collection_id),
        _ => true,
    }
}

/// A refused definition, with what is wrong in it: nobody submitted it, so that its field errors are for the log.
fn refused(name: &str, error: Error) -> Error {
    let reason = match &error {
        Error::Validation { fields, .. } => Json::Object(fields.to_json()).to_string(),
        other => other.to_string(),
    };
    Error::Internal(format!("the collection {name} is refused: {reason}"), None)
}

fn broken(cause: String) -> Error {
    Error::Internal(format!("a built-in definition is broken: {cause}"), None)
}
