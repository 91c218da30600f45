//! Importing many collections at once.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::validate;
use crate::base::code::BODY_INVALID;
use crate::engine::checks::blank;
use crate::engine::{Engine, Error};
use crate::model::{Collection, CollectionKind, Field, FieldError, FieldErrors, Schema};
use crate::store::Tx;

/// The text of every refusal.
const FAILED: &str = "Failed to import collections.";

/// What to import.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Import {
    /// Collections as the API shows them; those that exist, by id or else by name, are changed.
    pub collections: Vec<Map<String, Json>>,
    /// Whether other collections that are not system ones go, and fields that are left out.
    pub delete_missing: bool,
}

impl Import {
    /// # Errors
    /// `Validation` when there is nothing to import.
    pub fn check(&self) -> Result<(), Error> {
        if self.collections.is_empty() {
            let errors = FieldErrors::one("collections", blank());
            return Err(Error::validation(BODY_INVALID, errors));
        }
        Ok(())
    }
}

impl Engine {
    /// Imports all collections or none. They are validated at the end, so that they may refer to each other.
    ///
    /// # Errors
    /// `Validation`, with all reasons below `collections` or, for a table that is refused, by member.
    pub async fn import_collections(&self, import: Import) -> Result<(), Error> {
        import.check()?;
        let engine = self.clone();
        self.store()
            .write_exclusive(move |tx| {
                Box::pin(async move { engine.import_in(tx, &import).await.map_err(in_words) })
            })
            .await
    }

    /// As [`Engine::import_collections`], inside a transaction.
    ///
    /// # Errors
    /// As [`Engine::import_collections`], in the words of who refused.
    pub async fn import_in(&self, tx: &mut Tx, import: &Import) -> Result<(), Error> {
        let before = Arc::clone(tx.schema());
        let mut drafts = Vec::with_capacity(import.collections.len());
        for body in &import.collections {
            drafts.push(draft(&before, body, import.delete_missing).map_err(Error::bad_request)?);
        }
        // Views come last: they may read what else is imported.
        drafts.sort_by(|a, b| {
            let key = |draft: &Collection| {
                (
                    draft.is_view(),
                    draft.created.clone(),
                    draft.updated.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
        if import.delete_missing {
            // Before the others are saved: a name may be used again.
            self.delete_others(tx, &before, &drafts).await?;
        }
        let mut saved = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let name = draft.name.clone();
            let original = before.by_id(&draft.id).cloned();
            let collection = self
                .save_collection_in(tx, draft, original.clone(), false)
                .await
                .map_err(|error| match error {
                    Error::BadRequest(reason) => {
                        Error::bad_request(format!("failed to save collection {name:?}: {reason}"))
                    }
                    other => other,
                })?;
            saved.push((collection, original));
        }
        for (collection, original) in saved {
            let original = original.unwrap_or_else(|| Arc::clone(&collection));
            validate::check(tx, &collection, Some(&original))
                .await
                .map_err(|error| invalid(&collection, error))?;
        }
        Ok(())
    }

    async fn delete_others(
        &self,
        tx: &mut Tx,
        before: &Schema,
        drafts: &[Collection],
    ) -> Result<(), Error> {
        let mut others: Vec<&Arc<Collection>> = before
            .iter()
            .filter(|other| !other.system && drafts.iter().all(|draft| draft.id != other.id))
            .collect();
        others.sort_by(|a, b| (&a.updated, &a.id).cmp(&(&b.updated, &b.id)));
        for other in others {
            self.delete_collection_in(tx, Arc::clone(other), false)
                .await?;
        }
        Ok(())
    }
}

/// The collection that an entry describes, laid over the one that exists.
fn draft(
    schema: &Schema,
    body: &Map<String, Json>,
    delete_missing: bool,
) -> Result<Collection, String> {
    let member = |name: &str| body.get(name).and_then(Json::as_str).unwrap_or_default();
    let identifier = match member("id") {
        "" => member("name"),
        id => id,
    };
    let Some(existing) = schema.find(identifier) else {
        let kind = CollectionKind::from_name(member("type")).unwrap_or(CollectionKind::Base);
        let mut draft = Collection::with_id(kind, member("name"), member("id"));
        draft.apply_json(body)?;
        return Ok(draft);
    };
    let mut draft = Collection::clone(existing);
    draft.apply_json(body)?;
    let mut fields = match body.get("fields") {
        None | Some(Json::Null) if delete_missing => Vec::new(),
        _ => draft.fields().to_vec(),
    };
    for field in existing.fields() {
        if field.system || !delete_missing {
            keep_field(&mut fields, field);
        }
    }
    draft.set_fields(fields);
    Ok(draft)
}

/// Keeps a stored field that the import does not name by its id: its column must not go. An imported field of the same
/// name and type gives way to it.
fn keep_field(fields: &mut Vec<Field>, stored: &Field) {
    if fields.iter().any(|field| field.id == stored.id) {
        return;
    }
    let same = fields.iter_mut().find(|field| {
        field.name == stored.name && field.kind.type_name() == stored.kind.type_name()
    });
    match same {
        Some(field) => *field = stored.clone(),
        None => fields.push(stored.clone()),
    }
}

fn failure(message: String) -> Error {
    let error = FieldError::new("validation_collections_import_failure", message);
    Error::validation(FAILED, FieldErrors::one("collections", error))
}

/// Which collection is not valid, and why.
fn invalid(collection: &Collection, error: Error) -> Error {
    let Error::Validation { fields, .. } = error else {
        return error;
    };
    let reasons = messages(&Json::Object(fields.to_json()));
    failure(format!(
        "Data validations failed for collection {:?} ({}):\n{}",
        collection.name,
        collection.id,
        serde_json::to_string_pretty(&reasons).unwrap_or_default()
    ))
}

/// Field errors reduced to their messages.
fn messages(errors: &Json) -> Json {
    let Json::Object(members) = errors else {
        return errors.clone();
    };
    match (members.get("code"), members.get("message")) {
        (Some(Json::String(_)), Some(message)) => message.clone(),
        _ => members
            .iter()
            .map(|(name, nested)| (name.clone(), messages(nested)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

fn in_words(error: Error) -> Error {
    match error {
        Error::Validation { fields, .. } => Error::validation(FAILED, fields),
        Error::BadRequest(reason) => failure(format!(
            "Failed to import the collections configuration. Raw error:\n{reason}"
        )),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(json: Json) -> Map<String, Json> {
        json.as_object().cloned().unwrap_or_default()
    }

    fn stored() -> Schema {
        let mut posts = Collection::with_id(CollectionKind::Base, "posts", "posts_id");
        let fields = json!({"fields": [
            {"id": "a1", "name": "title", "type": "text", "max": 9},
            {"id": "b1", "name": "body", "type": "text"},
        ]});
        posts.apply_json(&body(fields)).unwrap();
        let now = crate::base::date::DateTime::now();
        posts.prepare_save(true, now, |_| false);
        Schema::new(1, [Arc::new(posts)])
    }

    fn names(collection: &Collection) -> Vec<(&str, &str)> {
        let fields = collection.fields().iter();
        fields
            .map(|field| (field.id.as_str(), field.name.as_str()))
            .collect()
    }

    #[test]
    fn fields_left_out_stay_unless_missing_ones_are_to_go() {
        let entry = body(json!({"name": "posts", "fields": [{"name": "title", "type": "text"}]}));
        let kept = draft(&stored(), &entry, false).unwrap();
        let id = ("text3208210256", "id");
        assert_eq!(kept.id, "posts_id");
        assert_eq!(names(&kept), [("a1", "title"), id, ("b1", "body")]);
        let entry = body(json!({"id": "posts_id", "fields": null}));
        let reduced = draft(&stored(), &entry, true).unwrap();
        assert_eq!(names(&reduced), [id]);
    }

    #[test]
    fn unknown_collections_are_new_with_the_id_they_name() {
        let entry = body(json!({"id": "mine", "name": "new", "type": "auth"}));
        let new = draft(&stored(), &entry, false).unwrap();
        assert_eq!((new.id.as_str(), new.is_auth()), ("mine", true));
        assert!(
            new.indexes
                .iter()
                .any(|index| index.contains("idx_email_mine"))
        );
    }

    #[test]
    fn reasons_are_reduced_to_messages() {
        let mut nested = FieldErrors::new();
        nested.nest("1", FieldErrors::one("name", blank()));
        let mut errors = FieldErrors::new();
        errors.nest("fields", nested);
        assert_eq!(
            messages(&Json::Object(errors.to_json())),
            json!({"fields": {"1": {"name": "Cannot be blank."}}})
        );
    }
}
