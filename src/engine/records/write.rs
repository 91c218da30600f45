//! Creating, updating and deleting records as requests ask for it: rules, forms and what must happen off the writer.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::save::{Hashes, check_relations, prepare_create, prepare_update};
use crate::base::id;
use crate::engine::files::StoredUploads;
use crate::engine::hooks::Op;
use crate::engine::{Engine, Error, RequestInfo};
use crate::model::{Collection, FieldError, FieldErrors, FieldKind, Record, Schema, Upload, Value};
use crate::store::search::Condition;
use crate::store::{Conn, ReadGuard, Tx, records};

/// The submitted fields and files of a create or update.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Field names, possibly with modifiers, and their values.
    pub body: Map<String, Json>,
    /// Files by the key they were sent under: `field`, `field+` or `+field`.
    pub uploads: Vec<(String, Upload)>,
}

/// How much of an auth record the caller may set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Default,
    Manager,
    Superuser,
}

/// The password fields of an auth record's form, which are no record fields.
#[derive(Default)]
struct PasswordForm {
    password: String,
    confirm: String,
    old: String,
}

/// A record with the input applied, ready to be checked.
struct Draft {
    record: Record,
    /// The request with the resolved body, as rules see it.
    request: RequestInfo,
    form: PasswordForm,
}

impl Engine {
    /// Creates a record under the create rule.
    ///
    /// # Errors
    /// `BadRequest` for views and when the rule is not met, `Forbidden` without a rule, `Validation` by field.
    pub async fn create_record(
        &self,
        request: &RequestInfo,
        collection: &Arc<Collection>,
        input: Input,
    ) -> Result<Record, Error> {
        check_writable(collection, collection.create_rule.as_deref(), request)?;
        let schema = self.schema();
        let draft = self
            .draft_create(&mut Source::Pool(self), &schema, request, collection, input)
            .await?;
        let hashes = self.hash_passwords(&draft.record).await?;
        let stored = StoredUploads::put(self, &draft.record).await?;
        let engine = self.clone();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    stored.settle_with(tx);
                    engine
                        .save_in(tx, Op::Create, draft.record, Some(draft.request), hashes)
                        .await
                })
            })
            .await
            .map_err(|error: Error| error.or_message("Failed to create record"))
    }

    /// Creates a record inside a transaction, as batches do.
    ///
    /// # Errors
    /// As [`Engine::create_record`]. Files that were stored are removed unless the transaction commits.
    pub async fn create_record_in(
        &self,
        tx: &mut Tx,
        request: &RequestInfo,
        collection: &Arc<Collection>,
        input: Input,
    ) -> Result<Record, Error> {
        check_writable(collection, collection.create_rule.as_deref(), request)?;
        let schema = Arc::clone(tx.schema());
        let draft = self
            .draft_create(&mut Source::Conn(tx), &schema, request, collection, input)
            .await?;
        let hashes = self.hash_passwords(&draft.record).await?;
        StoredUploads::put(self, &draft.record)
            .await?
            .settle_with(tx);
        self.save_in(tx, Op::Create, draft.record, Some(draft.request), hashes)
            .await
            .map_err(|error| error.or_message("Failed to create record"))
    }

    /// Updates a record under the update rule. All of it happens inside the transaction, so that modifiers such as
    /// `count+` never lose an update. Passwords and files need slow work first: the record is then prepared outside, and
    /// prepared again inside if it has changed meanwhile.
    ///
    /// # Errors
    /// `NotFound` when the rule is not met or there is no such record, else as [`Engine::create_record`].
    pub async fn update_record(
        &self,
        request: &RequestInfo,
        collection: &Arc<Collection>,
        id: &str,
        input: Input,
    ) -> Result<Record, Error> {
        check_writable(collection, collection.update_rule.as_deref(), request)?;
        if !needs_slow_work(collection, &input) {
            let (engine, request, collection) =
                (self.clone(), request.clone(), Arc::clone(collection));
            let id = id.to_owned();
            return self
                .store()
                .write(move |tx| {
                    Box::pin(async move {
                        engine
                            .update_record_in(tx, &request, &collection, &id, input)
                            .await
                    })
                })
                .await;
        }
        let schema = self.schema();
        let (draft, seen) = {
            let mut conn = self.store().read().await?;
            let found = find(&mut conn, collection, id).await?;
            let seen = found.values().to_vec();
            let draft = self
                .draft_update(&mut conn, &schema, request, found, input.clone())
                .await?;
            (draft, seen)
        };
        let hashes = self.hash_passwords(&draft.record).await?;
        let stored = StoredUploads::put(self, &draft.record).await?;
        let (engine, request) = (self.clone(), request.clone());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    stored.settle_with(tx);
                    let now = find(tx, draft.record.collection(), draft.record.id()).await?;
                    let draft = if now.values() == seen {
                        draft
                    } else {
                        let schema = Arc::clone(tx.schema());
                        engine
                            .draft_update(tx, &schema, &request, now, input)
                            .await?
                    };
                    engine
                        .save_in(tx, Op::Update, draft.record, Some(draft.request), hashes)
                        .await
                })
            })
            .await
            .map_err(|error: Error| error.or_message("Failed to update record."))
    }

    /// Updates a record inside a transaction, as batches do.
    ///
    /// # Errors
    /// As [`Engine::update_record`].
    pub async fn update_record_in(
        &self,
        tx: &mut Tx,
        request: &RequestInfo,
        collection: &Arc<Collection>,
        id: &str,
        input: Input,
    ) -> Result<Record, Error> {
        check_writable(collection, collection.update_rule.as_deref(), request)?;
        let schema = Arc::clone(tx.schema());
        let found = find(tx, collection, id).await?;
        let draft = self
            .draft_update(tx, &schema, request, found, input)
            .await?;
        let hashes = self.hash_passwords(&draft.record).await?;
        StoredUploads::put(self, &draft.record)
            .await?
            .settle_with(tx);
        self.save_in(tx, Op::Update, draft.record, Some(draft.request), hashes)
            .await
            .map_err(|error| error.or_message("Failed to update record."))
    }

    /// Deletes a record under the delete rule, with what cascades from it.
    ///
    /// # Errors
    /// `NotFound` when the rule is not met or there is no such record, `BadRequest` when a required reference holds it.
    pub async fn delete_record(
        &self,
        request: &RequestInfo,
        collection: &Arc<Collection>,
        id: &str,
    ) -> Result<(), Error> {
        check_writable(collection, collection.delete_rule.as_deref(), request)?;
        let (engine, request, collection, id) = (
            self.clone(),
            request.clone(),
            Arc::clone(collection),
            id.to_owned(),
        );
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    engine
                        .delete_record_in(tx, &request, &collection, &id)
                        .await
                })
            })
            .await
    }

    /// Deletes a record inside a transaction, as batches do.
    ///
    /// # Errors
    /// As [`Engine::delete_record`].
    pub async fn delete_record_in(
        &self,
        tx: &mut Tx,
        request: &RequestInfo,
        collection: &Arc<Collection>,
        id: &str,
    ) -> Result<(), Error> {
        check_writable(collection, collection.delete_rule.as_deref(), request)?;
        let schema = Arc::clone(tx.schema());
        let condition = hide_refusal(self.rule_condition(
            &schema,
            collection,
            collection.delete_rule.as_deref(),
            request,
        ))?;
        let record = records::find(tx, collection, id, &condition)
            .await?
            .ok_or_else(Error::not_found)?;
        self.delete_in(tx, record, Some(request.clone()))
            .await
            .map_err(|error| {
                error.or_message(
                    "Failed to delete record. Make sure that the record is not part of a required relation reference.",
                )
            })
    }

    async fn draft_create(
        &self,
        source: &mut Source<'_>,
        schema: &Schema,
        request: &RequestInfo,
        collection: &Arc<Collection>,
        input: Input,
    ) -> Result<Draft, Error> {
        let mut draft = self.apply(Record::new(Arc::clone(collection)), request, input);
        let mut access = Access::of(request);
        if access != Access::Superuser {
            let mut candidate = draft.record.clone();
            if candidate.id().is_empty() {
                candidate.set("id", format!("__temp_id__{}", id::random_id()).into());
            }
            candidate.set("verified", Value::Bool(false));
            let failed = || Error::bad_request("Failed to create record");
            let rule = self
                .rule_condition(
                    schema,
                    collection,
                    collection.create_rule.as_deref(),
                    &draft.request,
                )
                .map_err(|error| match error {
                    Error::BadRequest(_) => failed(),
                    other => other,
                })?;
            let fits = match &rule {
                Condition::Always => true,
                Condition::Never => false,
                rule => {
                    let mut conn = source.conn().await?;
                    records::candidate_matches(&mut conn, &candidate, rule).await?
                }
            };
            if !fits {
                return Err(failed());
            }
            if may_be_managed(collection) {
                let mut conn = source.conn().await?;
                let managed = self
                    .has_manage_access(&mut conn, schema, &candidate, true, &draft.request)
                    .await;
                if managed.unwrap_or(false) {
                    access = Access::Manager;
                }
            }
        }
        prepare_create(&mut draft.record, self.now());
        let mut errors = draft.form_errors(access);
        if errors.is_empty() {
            errors = draft.record.validate().err().unwrap_or_default();
            if !errors.is_empty() {
                // Told together with what else is wrong; a valid record is checked inside the transaction.
                let mut conn = source.conn().await?;
                check_relations(&mut conn, schema, &draft.record, &mut errors).await?;
            }
        }
        errors
            .into_result()
            .map_err(|fields| Error::validation("Failed to create record", fields))?;
        Ok(draft)
    }

    async fn draft_update(
        &self,
        conn: &mut Conn,
        schema: &Schema,
        request: &RequestInfo,
        found: Record,
        input: Input,
    ) -> Result<Draft, Error> {
        let collection = Arc::clone(found.collection());
        let mut draft = self.apply(found, request, input);
        let mut access = Access::of(request);
        if access != Access::Superuser {
            let rule = hide_refusal(self.rule_condition(
                schema,
                &collection,
                collection.update_rule.as_deref(),
                &draft.request,
            ))?;
            let stored_id = draft.stored_id();
            if rule != Condition::Always
                && !records::matches(conn, &collection, &stored_id, &rule).await?
            {
                return Err(Error::not_found());
            }
            if may_be_managed(&collection)
                && self
                    .has_manage_access(conn, schema, &draft.record, false, &draft.request)
                    .await
                    .unwrap_or(false)
            {
                access = Access::Manager;
            }
        }
        prepare_update(&mut draft.record, self.now());
        let mut errors = draft.form_errors(access);
        if errors.is_empty() && draft.needs_old_password(access) {
            errors = self.check_old_password(&draft).await?;
        }
        if errors.is_empty() {
            errors = draft.record.validate().err().unwrap_or_default();
            if !errors.is_empty() {
                check_relations(conn, schema, &draft.record, &mut errors).await?;
            }
        }
        errors
            .into_result()
            .map_err(|fields| Error::validation("Failed to update record.", fields))?;
        Ok(draft)
    }

    /// Puts the input into a record, leaving out what the caller may not set.
    fn apply(&self, mut record: Record, request: &RequestInfo, input: Input) -> Draft {
        let collection = Arc::clone(record.collection());
        let Input { mut body, uploads } = input;
        for (key, upload) in &uploads {
            let names = match body.remove(key) {
                None | Some(Json::Null) => Vec::new(),
                Some(Json::Array(names)) => names,
                Some(name) => vec![name],
            };
            let mut names: Vec<Json> = names
                .into_iter()
                .filter(|name| name.as_str().is_some_and(|name| !name.is_empty()))
                .collect();
            names.push(upload.name.clone().into());
            body.insert(key.clone(), Json::Array(names));
        }
        if !request.is_superuser() {
            let hooks = self.hooks();
            body.retain(|key, _| {
                collection.field_of_key(key).is_none_or(|field| {
                    (!field.hidden || (collection.is_auth() && field.name == "password"))
                        && hooks.let_set(&collection, &field.name)
                })
            });
        }
        let mut form = PasswordForm::default();
        if collection.is_auth() {
            let text = |key: &str| body.get(key).map(json_text).unwrap_or_default();
            form = PasswordForm {
                password: text("password"),
                confirm: text("passwordConfirm"),
                old: text("oldPassword"),
            };
        }
        record.uploads = uploads.into_iter().map(|(_, upload)| upload).collect();
        let resolved = record.apply(&body);
        Draft {
            record,
            request: request.with_body(resolved),
            form,
        }
    }

    async fn check_old_password(&self, draft: &Draft) -> Result<FieldErrors, Error> {
        let hash = draft
            .record
            .original("password")
            .map_or("", Value::as_text)
            .to_owned();
        if self
            .passwords()
            .verify(hash, draft.form.old.clone())
            .await
            .map_err(|error| Error::Busy(error.to_string()))?
        {
            return Ok(FieldErrors::new());
        }
        Ok(FieldErrors::one(
            "oldPassword",
            FieldError::new(
                "validation_invalid_old_password",
                "Missing or invalid old password.",
            ),
        ))
    }

    /// Hashes the plain passwords that a record brings, off the async threads.
    pub(super) async fn hash_passwords(&self, record: &Record) -> Result<Hashes, Error> {
        let mut hashes = HashMap::new();
        for (field, plain) in record.plain_passwords() {
            let cost = match record.collection().field(field).map(|field| &field.kind) {
                Some(FieldKind::Password(options)) => options.cost,
                _ => 0,
            };
            let hash = self.hash_password(plain, cost).await?;
            hashes.insert(field.to_owned(), (plain.to_owned(), hash));
        }
        Ok(hashes)
    }
}

/// Where a query finds a connection: the caller's own, or one from the pool when it is really needed.
enum Source<'a> {
    Pool(&'a Engine),
    Conn(&'a mut Conn),
}

/// A connection that was borrowed or lent.
enum Reader<'a> {
    Lent(ReadGuard),
    Own(&'a mut Conn),
}

impl Source<'_> {
    async fn conn(&mut self) -> Result<Reader<'_>, Error> {
        Ok(match self {
            Self::Pool(engine) => Reader::Lent(engine.read().await?),
            Self::Conn(conn) => Reader::Own(conn),
        })
    }
}

impl Deref for Reader<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        match self {
            Self::Lent(guard) => guard,
            Self::Own(conn) => conn,
        }
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        match self {
            Self::Lent(guard) => guard,
            Self::Own(conn) => conn,
        }
    }
}

/// Whether an update has work that the writer must not wait for: hashing passwords, storing files.
fn needs_slow_work(collection: &Collection, input: &Input) -> bool {
    let names_password = |key: &String| {
        matches!(key.as_str(), "oldPassword" | "passwordConfirm")
            || collection
                .field_of_key(key)
                .is_some_and(|field| matches!(field.kind, FieldKind::Password(_)))
    };
    !input.uploads.is_empty() || input.body.keys().any(names_password)
}

/// Whether somebody besides superusers may manage the collection's accounts.
fn may_be_managed(collection: &Collection) -> bool {
    collection
        .auth
        .as_ref()
        .and_then(|auth| auth.manage_rule.as_deref())
        .is_some_and(|rule| !rule.is_empty())
}

impl Access {
    fn of(request: &RequestInfo) -> Self {
        if request.is_superuser() {
            Self::Superuser
        } else {
            Self::Default
        }
    }
}

impl Draft {
    fn stored_id(&self) -> String {
        self.record
            .original("id")
            .map_or("", Value::as_text)
            .to_owned()
    }

    fn needs_old_password(&self, access: Access) -> bool {
        self.record.collection().is_auth()
            && !self.record.is_new()
            && access == Access::Default
            && !(self.form.password.is_empty() && self.form.confirm.is_empty())
    }

    /// What the sign-in form of an auth record refuses; other collections have none.
    fn form_errors(&self, access: Access) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let record = &self.record;
        if !record.collection().is_auth() {
            return errors;
        }
        let is_new = record.is_new();
        let form = &self.form;
        let mismatch = || FieldError::new("validation_values_mismatch", "Values don't match.");
        let blank = || FieldError::new("validation_required", "Cannot be blank.");
        let original = |field: &str| record.original(field).cloned();
        if !is_new && access == Access::Default && record.get("email").cloned() != original("email")
        {
            errors.add("email", mismatch());
        }
        let verified_before = matches!(original("verified"), Some(Value::Bool(true)));
        if access == Access::Default && record.flag("verified") != verified_before {
            errors.add("verified", mismatch());
        }
        if form.password.is_empty() && (is_new || !form.confirm.is_empty() || !form.old.is_empty())
        {
            errors.add("password", blank());
        }
        if form.confirm.is_empty() && (is_new || !form.password.is_empty() || !form.old.is_empty())
        {
            errors.add("passwordConfirm", blank());
        } else if form.confirm != form.password {
            errors.add("passwordConfirm", mismatch());
        }
        if self.needs_old_password(access) && form.old.is_empty() {
            errors.add("oldPassword", blank());
        }
        errors
    }
}

/// A JSON scalar as text, as forms cast it.
fn json_text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Bool(flag) => flag.to_string(),
        _ => String::new(),
    }
}

async fn find(conn: &mut Conn, collection: &Arc<Collection>, id: &str) -> Result<Record, Error> {
    records::find(conn, collection, id, &Condition::Always)
        .await?
        .ok_or_else(Error::not_found)
}

fn check_writable(
    collection: &Collection,
    rule: Option<&str>,
    request: &RequestInfo,
) -> Result<(), Error> {
    if collection.is_view() {
        return Err(Error::bad_request("Unsupported collection type."));
    }
    if rule.is_none() && !request.is_superuser() {
        return Err(Error::forbidden("Only superusers can perform this action."));
    }
    Ok(())
}

/// A rule that does not compile hides the record like one that is not met.
fn hide_refusal(condition: Result<Condition, Error>) -> Result<Condition, Error> {
    condition.map_err(|error| match error {
        Error::BadRequest(_) => Error::not_found(),
        other => other,
    })
}
