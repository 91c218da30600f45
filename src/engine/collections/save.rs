//! Creating and updating collections.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::hooks::{CollectionChanged, CollectionEvent, CollectionFailed};
use super::{delete, validate, views};
use crate::engine::hooks::{Op, Stage};
use crate::engine::settings::Settings;
use crate::engine::{Engine, Error};
use crate::model::{Collection, FieldError, FieldErrors};
use crate::store::{self, Tx, collections, tables};

impl Engine {
    /// Creates a collection from a request body.
    ///
    /// # Errors
    /// `BadRequest` for a body that cannot be read, `Validation` by member.
    pub async fn create_collection(
        &self,
        body: Map<String, Json>,
    ) -> Result<Arc<Collection>, Error> {
        let draft = Self::draft_collection(&body)?;
        self.save_collection(draft, None).await
    }

    /// A new collection from a request body, not checked and not saved.
    ///
    /// # Errors
    /// `BadRequest` for a body that cannot be read.
    pub fn draft_collection(body: &Map<String, Json>) -> Result<Collection, Error> {
        let is_text =
            |name: &str| matches!(body.get(name), None | Some(Json::Null | Json::String(_)));
        if !is_text("type") || !is_text("name") {
            return Err(Error::bad_request(
                "Failed to load the collection type data due to invalid formatting.",
            ));
        }
        Collection::from_body(body).map_err(unreadable)
    }

    /// A stored collection with a request body laid over, not checked and not saved.
    ///
    /// # Errors
    /// `BadRequest` for a body that cannot be read.
    pub fn draft_collection_change(
        original: &Collection,
        body: &Map<String, Json>,
    ) -> Result<Collection, Error> {
        let mut draft = original.clone();
        draft.apply_json(body).map_err(unreadable)?;
        Ok(draft)
    }

    /// Saves a collection: a change of `original` as it is by then, or a new one.
    ///
    /// # Errors
    /// `Validation` by member, `BadRequest` when the database refuses a part, or what a hook refused; `NotFound` when the
    /// original is gone.
    pub async fn save_collection(
        &self,
        draft: Collection,
        original: Option<Arc<Collection>>,
    ) -> Result<Arc<Collection>, Error> {
        let engine = self.clone();
        self.store()
            .write_exclusive(move |tx| {
                Box::pin(async move {
                    let verb = if original.is_some() {
                        "update"
                    } else {
                        "create"
                    };
                    let original = match original {
                        Some(original) => Some(delete::find(tx, &original.id)?),
                        None => None,
                    };
                    engine
                        .save_collection_in(tx, draft, original, true)
                        .await
                        .map_err(|error| in_words(error, verb))
                })
            })
            .await
    }

    /// Changes a collection by a request body; what the body leaves out stays.
    ///
    /// # Errors
    /// `NotFound`, `BadRequest` for a body that cannot be read, `Validation` by member.
    pub async fn update_collection(
        &self,
        id_or_name: &str,
        body: Map<String, Json>,
    ) -> Result<Arc<Collection>, Error> {
        let engine = self.clone();
        let id_or_name = id_or_name.to_owned();
        self.store()
            .write_exclusive(move |tx| {
                Box::pin(async move {
                    let original = delete::find(tx, &id_or_name)?;
                    let draft = Self::draft_collection_change(&original, &body)?;
                    engine
                        .save_collection_in(tx, draft, Some(original), true)
                        .await
                })
            })
            .await
            .map_err(|error: Error| in_words(error, "update"))
    }

    /// Checks a collection with its hooks, and saves nothing.
    ///
    /// # Errors
    /// `Validation` by member, or what a hook refused.
    pub async fn validate_collection_in(
        &self,
        tx: &mut Tx,
        draft: Collection,
        original: Option<Arc<Collection>>,
    ) -> Result<(), Error> {
        let op = if original.is_some() {
            Op::Update
        } else {
            Op::Create
        };
        let mut event = CollectionEvent {
            engine: self.clone(),
            tx,
            op,
            collection: draft,
            original,
            checked: true,
        };
        prepare(&mut event);
        let hooks = self.collection_hooks().load_full();
        hooks.run(Stage::Validate, &mut event).await
    }

    /// Makes the table of a collection, or changes that of `former` into it, and saves nothing else.
    ///
    /// # Errors
    /// `BadRequest` when the database refuses a part.
    pub async fn sync_table_in(
        &self,
        tx: &mut Tx,
        collection: &Collection,
        former: Option<&Collection>,
    ) -> Result<(), Error> {
        if collection.is_view() {
            return Ok(());
        }
        match former {
            Some(former) => tables::sync(tx, former, collection).await,
            None => tables::create(tx, collection).await,
        }
        .map_err(readable)
    }

    /// Saves a collection inside a transaction; gives it as it is stored.
    ///
    /// # Errors
    /// `Validation` by member, `BadRequest` when the database refuses a part, or what a hook refused.
    pub async fn save_collection_in(
        &self,
        tx: &mut Tx,
        draft: Collection,
        original: Option<Arc<Collection>>,
        checked: bool,
    ) -> Result<Arc<Collection>, Error> {
        let op = if original.is_some() {
            Op::Update
        } else {
            Op::Create
        };
        run(CollectionEvent {
            engine: self.clone(),
            tx,
            op,
            collection: draft,
            original,
            checked,
        })
        .await
    }
}

fn unreadable(cause: String) -> Error {
    tracing::debug!(cause, "a collection body is refused");
    Error::bad_request("Failed to load the submitted data due to invalid formatting.")
}

/// Says what was tried. A refusal that is no field error names its reason: only superusers get here.
fn in_words(error: Error, verb: &str) -> Error {
    match error {
        Error::Validation { fields, .. } => {
            Error::validation(format!("Failed to {verb} collection."), fields)
        }
        Error::BadRequest(reason) if !reason.starts_with("Failed to load") => Error::bad_request(
            format!("Failed to {verb} collection. Raw error: \n{reason}"),
        ),
        other => other,
    }
}

/// Takes a change through its hooks, and tells of it after the commit.
pub(super) async fn run(mut event: CollectionEvent<'_>) -> Result<Arc<Collection>, Error> {
    let hooks = event.engine.collection_hooks().load_full();
    if event.op != Op::Delete {
        prepare(&mut event);
    }
    let ended = hooks.run(Stage::Write, &mut event).await;
    let CollectionEvent {
        engine,
        tx,
        op,
        collection,
        original,
        ..
    } = event;
    if let Err(error) = ended {
        let change = CollectionChanged {
            op,
            collection: Arc::new(collection),
            original,
        };
        let failed = CollectionFailed {
            change,
            error: Arc::new(error.clone()),
        };
        hooks.after_failure(&engine, tx, &failed);
        return Err(error);
    }
    let collection = tx
        .schema()
        .by_id(&collection.id)
        .cloned()
        .unwrap_or_else(|| Arc::new(collection));
    let change = CollectionChanged {
        op,
        collection: Arc::clone(&collection),
        original,
    };
    hooks.after_success(&engine, tx, change);
    let committed = Arc::clone(&collection);
    tx.on_commit(Box::new(move || {
        engine.auth_cache().clear();
        hooks.committed(&engine, op, &committed);
    }));
    Ok(collection)
}

/// Fills in what the server sets: id, dates, the fields of the kind, table names in indexes.
fn prepare(event: &mut CollectionEvent<'_>) {
    let schema = Arc::clone(event.tx.schema());
    event
        .collection
        .prepare_save(event.op == Op::Create, event.engine.now(), |id| {
            schema.by_id(id).is_some()
        });
}

/// A stage's own work, behind its handlers.
pub(super) async fn finish(stage: Stage, event: &mut CollectionEvent<'_>) -> Result<(), Error> {
    match (stage, event.op) {
        (Stage::Write, op) => {
            let hooks = event.engine.collection_hooks().load_full();
            if op != Op::Delete && event.checked {
                hooks.run(Stage::Validate, event).await?;
            }
            hooks.run(Stage::Execute, event).await
        }
        (Stage::Validate, _) => validate::run(event).await,
        (Stage::Execute, Op::Delete) => delete::execute(event).await,
        (Stage::Execute, _) => execute(event).await,
    }
}

async fn execute(event: &mut CollectionEvent<'_>) -> Result<(), Error> {
    if event.collection.is_superusers() {
        keep_superusers(&mut event.collection);
    }
    let original = event.original.clone();
    if let Some(original) = &original {
        end_sessions(original, &mut event.collection);
    }
    if event.collection.is_view() {
        views::save(event.tx, original.as_deref(), &mut event.collection).await?;
    }
    write(event.tx, original.as_deref(), &event.collection).await?;
    let saved = Arc::new(event.collection.clone());
    views::publish(event.tx, |all| {
        all.retain(|other| other.id != saved.id);
        all.push(Arc::clone(&saved));
    });
    if let Err(error) = views::follow(&event.engine, event.tx, &saved.id).await {
        // The views can be put right later; the change itself stands.
        tracing::warn!(collection.name = saved.name, error = %error, "views of a changed collection need attention");
    }
    if let Some(original) = &original {
        rename_in_settings(event, original).await?;
    }
    Ok(())
}

/// The row, then the table with its indexes.
async fn write(
    tx: &mut Tx,
    original: Option<&Collection>,
    collection: &Collection,
) -> Result<(), Error> {
    let written = match original {
        Some(_) => collections::update(tx, collection).await,
        None => collections::insert(tx, collection).await,
    };
    written.map_err(readable)?;
    if collection.is_view() {
        return Ok(());
    }
    match original {
        Some(original) => tables::sync(tx, original, collection).await,
        None => tables::create(tx, collection).await,
    }
    .map_err(readable)
}

/// What the database says about a table or view that superusers defined is for them to read.
pub(super) fn readable(error: store::Error) -> Error {
    match error {
        store::Error::Indexes(failures) => {
            let mut indexes = FieldErrors::new();
            for failure in failures {
                indexes.add(
                    &failure.position.to_string(),
                    FieldError::new("validation_invalid_index_expression", failure.message),
                );
            }
            let mut errors = FieldErrors::new();
            errors.nest("indexes", indexes);
            errors.into()
        }
        store::Error::Unique { .. } => Error::bad_request(error.to_string()),
        other => other.into(),
    }
}

/// Sign-in of superusers stays with a password, by nobody else's word.
fn keep_superusers(collection: &mut Collection) {
    if let Some(auth) = &mut collection.auth {
        auth.oauth2.enabled = false;
        auth.oauth2.providers.clear();
        auth.password_auth.enabled = true;
        if auth.otp.enabled {
            auth.mfa.enabled = true;
        }
    }
}

/// A changed auth rule holds for those who are signed in, too: they have to sign in anew.
fn end_sessions(original: &Collection, collection: &mut Collection) {
    let rule = |auth: &crate::model::AuthOptions| auth.auth_rule.clone().unwrap_or_default();
    if let (Some(before), Some(after)) = (&original.auth, &mut collection.auth)
        && rule(before) != rule(after)
    {
        after.renew_auth_secret();
    }
}

/// Rate limits that name the collection follow its new name.
async fn rename_in_settings(
    event: &mut CollectionEvent<'_>,
    original: &Collection,
) -> Result<(), Error> {
    if original.name == event.collection.name {
        return Ok(());
    }
    let mut settings = Settings::clone(&event.engine.settings());
    if settings.rename_collection(&original.name, &event.collection.name) {
        settings.save(&event.engine, event.tx).await?;
        event.engine.publish_settings(event.tx, settings);
    }
    Ok(())
}
