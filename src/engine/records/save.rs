//! The write pipeline inside the transaction.
//!
//! `Write` wraps `Validate` and `Execute`; each stage runs the hook chain and then its own work in [`finish`]. After the
//! commit the hooks' `committed` handlers run in commit order.

use std::collections::HashMap;
use std::sync::Arc;

use super::cascade;
use crate::base::date::DateTime;
use crate::engine::files::StoredUploads;
use crate::engine::hooks::{
    Committed, Failed, Hooks, Op, Prepared, ROLLED_BACK, RecordEvent, RecordHook, Stage, following,
    in_turn,
};
use crate::engine::{Engine, Error, RequestInfo};
use crate::model::{FieldError, FieldErrors, Record, Schema, Value};
use crate::store::{self, Conn, Tx, records};

/// Hashes of plain passwords by field: the plain text they belong to, and the hash.
pub(in crate::engine) type Hashes = HashMap<String, (String, String)>;

impl Engine {
    /// Saves a record through hooks and validation, without access rules. Its uploads must be stored, and `hashes` be
    /// those of its plain passwords.
    ///
    /// # Errors
    /// `Validation` by field, or what a hook refused.
    pub(in crate::engine) async fn save_in(
        &self,
        tx: &mut Tx,
        op: Op,
        record: Record,
        request: Option<RequestInfo>,
        hashes: Hashes,
    ) -> Result<Record, Error> {
        self.save_prepared(tx, op, record, request, hashes, true)
            .await
    }

    async fn save_prepared(
        &self,
        tx: &mut Tx,
        op: Op,
        mut record: Record,
        request: Option<RequestInfo>,
        hashes: Hashes,
        validate: bool,
    ) -> Result<Record, Error> {
        for (field, (plain, hash)) in hashes {
            record.set_password_hash(&field, &plain, hash);
        }
        let prepared = Prepared::of(&record);
        self.run_prepared(tx, op, record, request, validate, prepared)
            .await
    }

    /// Saves a new or changed record on behalf of a module or script: no access rules, everything else.
    ///
    /// Passwords are hashed and files stored while the transaction is open; outside of one, [`Engine::save_record`] does
    /// better.
    ///
    /// # Errors
    /// As [`Engine::save_record`].
    pub async fn save(&self, tx: &mut Tx, record: Record) -> Result<Record, Error> {
        self.save_with(tx, record, true).await
    }

    /// As [`Engine::save`], without validation when `validate` is off.
    ///
    /// # Errors
    /// As [`Engine::save_record`].
    pub async fn save_with(
        &self,
        tx: &mut Tx,
        mut record: Record,
        validate: bool,
    ) -> Result<Record, Error> {
        let op = self.prepare(&mut record, validate)?;
        let hashes = self.hash_passwords(&record).await?;
        StoredUploads::put(self, &record).await?.settle_with(tx);
        self.save_prepared(tx, op, record, None, hashes, validate)
            .await
    }

    /// Saves a new or changed record in a transaction of its own on behalf of a module or script: no access rules,
    /// everything else; without validation when `validate` is off.
    ///
    /// # Errors
    /// `Validation` by field, or what a hook refused.
    pub async fn save_record(&self, mut record: Record, validate: bool) -> Result<Record, Error> {
        let op = self.prepare(&mut record, validate)?;
        let hashes = self.hash_passwords(&record).await?;
        let stored = StoredUploads::put(self, &record).await?;
        let engine = self.clone();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    stored.settle_with(tx);
                    engine
                        .save_prepared(tx, op, record, None, hashes, validate)
                        .await
                })
            })
            .await
    }

    fn prepare(&self, record: &mut Record, validate: bool) -> Result<Op, Error> {
        if record.collection().is_view() {
            return Err(Error::bad_request("Unsupported collection type."));
        }
        let op = if record.is_new() {
            prepare_create(record, self.now());
            Op::Create
        } else {
            prepare_update(record, self.now());
            Op::Update
        };
        // Hooks may still put right what is missing; they come before the validation inside the transaction.
        if validate && self.hooks().of(record.collection()).is_empty() {
            record.validate()?;
        }
        Ok(op)
    }

    /// Runs the validation of a record with its hooks, and saves nothing. Gives the record as the hooks left it.
    ///
    /// # Errors
    /// `Validation` by field, or what a hook refused.
    pub async fn validate_in(&self, tx: &mut Tx, mut record: Record) -> Result<Record, Error> {
        let op = self.prepare(&mut record, false)?;
        let handlers = self.hooks().of(record.collection());
        let mut event = RecordEvent {
            engine: self.clone(),
            tx,
            op,
            record,
            request: None,
            validate: true,
            prepared: Prepared::default(),
        };
        Hooks::run(&handlers, Stage::Validate, &mut event).await?;
        Ok(event.record)
    }

    /// Deletes a record with what cascades from it in a transaction of its own, without access rules.
    ///
    /// # Errors
    /// `BadRequest` when a required reference holds it, or what a hook refused.
    pub async fn delete_stored(&self, record: Record) -> Result<(), Error> {
        let engine = self.clone();
        self.store()
            .write(move |tx| Box::pin(async move { engine.delete_in(tx, record, None).await }))
            .await
    }

    /// Saves fields that are no edit of the record, such as when its owner was last seen: no hooks, no validation, and
    /// the dates that follow an update stay.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_quietly(&self, tx: &mut Tx, record: Record) -> Result<(), Error> {
        records::update(tx, &record).await?;
        self.forget_auth_after_commit(tx, &record);
        Ok(())
    }

    /// Saves a record as it is: no hooks, no validation, nothing that the server sets. Its files are not stored.
    ///
    /// # Errors
    /// `BadRequest` for a record without an id, `Validation` for a value that must be unique.
    pub async fn save_without_hooks(
        &self,
        tx: &mut Tx,
        mut record: Record,
    ) -> Result<Record, Error> {
        if record.collection().is_view() {
            return Err(Error::bad_request("Unsupported collection type."));
        }
        if record.id().is_empty() {
            return Err(Error::bad_request(
                "empty primary key is not allowed when using the DBExporter interface",
            ));
        }
        for (field, (plain, hash)) in self.hash_passwords(&record).await? {
            record.set_password_hash(&field, &plain, hash);
        }
        let written = if record.is_new() {
            records::insert(tx, &record).await
        } else {
            records::update(tx, &record).await
        };
        written.map_err(|error| unique_error(error, &record))?;
        record.mark_saved();
        self.forget_auth_after_commit(tx, &record);
        Ok(record)
    }

    /// Deletes a record alone: no hooks, and what refers to it stays.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_without_hooks(&self, tx: &mut Tx, record: &Record) -> Result<(), Error> {
        let collection = Arc::clone(record.collection());
        records::delete(tx, &collection, record.id()).await?;
        self.forget_auth_after_commit(tx, record);
        Ok(())
    }

    fn forget_auth_after_commit(&self, tx: &mut Tx, record: &Record) {
        if record.collection().is_auth() {
            let (engine, record) = (self.clone(), record.clone());
            tx.on_commit(Box::new(move || engine.auth_cache().forget(&record)));
        }
    }

    /// Saves numbers that the server keeps in a record, such as how often it is liked: with hooks and events, without
    /// validation, and the dates that follow an update stay, for nobody has edited it.
    ///
    /// # Errors
    /// What a hook refused.
    pub async fn save_counters(&self, tx: &mut Tx, record: Record) -> Result<Record, Error> {
        self.run(tx, Op::Update, record, None, false).await
    }

    /// Deletes a record with what cascades from it, without access rules.
    ///
    /// # Errors
    /// `BadRequest` when a required reference holds it, or what a hook refused.
    pub async fn delete_in(
        &self,
        tx: &mut Tx,
        record: Record,
        request: Option<RequestInfo>,
    ) -> Result<(), Error> {
        self.run(tx, Op::Delete, record, request, true)
            .await
            .map(|_| ())
    }

    pub(super) async fn run(
        &self,
        tx: &mut Tx,
        op: Op,
        record: Record,
        request: Option<RequestInfo>,
        validate: bool,
    ) -> Result<Record, Error> {
        let prepared = Prepared::default();
        self.run_prepared(tx, op, record, request, validate, prepared)
            .await
    }

    async fn run_prepared(
        &self,
        tx: &mut Tx,
        op: Op,
        record: Record,
        request: Option<RequestInfo>,
        validate: bool,
        prepared: Prepared,
    ) -> Result<Record, Error> {
        let hooks = self.hooks();
        let handlers = hooks.of(record.collection());
        let followers = Hooks::followers(&handlers, record.collection());
        let original = match op {
            Op::Update if !followers.is_empty() => record.to_original().map(Arc::new),
            _ => None,
        };
        let mut event = RecordEvent {
            engine: self.clone(),
            tx,
            op,
            record,
            request,
            validate,
            prepared,
        };
        let ended = Hooks::run(&handlers, Stage::Write, &mut event).await;
        // A handler may have made a create the update of a record that is there already.
        let RecordEvent {
            tx,
            op,
            record,
            request,
            ..
        } = event;
        if let Err(error) = ended {
            if followers.is_empty() {
                return Err(error);
            }
            self.after_failure(
                tx,
                &followers,
                Failed {
                    op,
                    record: Arc::new(record),
                    original,
                    request,
                    error: Arc::new(error.clone()),
                },
            );
            return Err(error);
        }
        let event = Committed {
            op,
            record: Arc::new(record.clone()),
            original,
            request,
        };
        if !followers.is_empty() {
            self.after_success(tx, followers, &event);
        }
        self.after_commit(tx, hooks, event);
        Ok(record)
    }

    fn after_commit(&self, tx: &mut Tx, hooks: Arc<Hooks>, event: Committed) {
        let engine = self.clone();
        tx.on_commit(Box::new(move || {
            if event.record.collection().is_auth() {
                engine.auth_cache().forget(&event.record);
            }
            hooks.committed(&engine, &event);
        }));
    }

    /// Registers what the followers do after the commit, or in case there is none.
    fn after_success(&self, tx: &mut Tx, followers: Vec<Arc<dyn RecordHook>>, event: &Committed) {
        let work = followers
            .iter()
            .filter_map(|hook| hook.after_success(self, event));
        if let Some(work) = following(work.collect()) {
            tx.after_commit_or_fail(work);
        }
        let engine = self.clone();
        let failed = Failed {
            op: event.op,
            record: Arc::clone(&event.record),
            original: event.original.clone(),
            request: event.request.clone(),
            error: Arc::new(Error::bad_request(ROLLED_BACK)),
        };
        tx.after_rollback(Box::new(move || {
            let work = followers
                .iter()
                .filter_map(|hook| hook.failed(&engine, &failed));
            in_turn(work.collect()).unwrap_or_else(|| Box::pin(async {}))
        }));
    }

    fn after_failure(&self, tx: &mut Tx, followers: &[Arc<dyn RecordHook>], event: Failed) {
        let work = followers
            .iter()
            .filter_map(|hook| hook.failed(self, &event));
        if let Some(work) = in_turn(work.collect()) {
            tx.after_end(work);
        }
    }
}

/// A stage's own work, behind its handlers.
pub(in crate::engine) async fn finish(
    stage: Stage,
    event: &mut RecordEvent<'_>,
) -> Result<(), Error> {
    match stage {
        Stage::Write => {
            let hooks = event.engine.hooks();
            let handlers = hooks.of(event.record.collection());
            if event.op != Op::Delete && event.validate {
                Hooks::run(&handlers, Stage::Validate, event).await?;
            }
            Hooks::run(&handlers, Stage::Execute, event).await
        }
        Stage::Validate => validate(event).await,
        Stage::Execute => execute(event).await,
    }
}

async fn validate(event: &mut RecordEvent<'_>) -> Result<(), Error> {
    let schema = Arc::clone(event.tx.schema());
    let mut errors = event.record.validate().err().unwrap_or_default();
    check_relations(event.tx, &schema, &event.record, &mut errors).await?;
    check_custom_id(event.tx, &event.record, &mut errors).await?;
    errors.into_result()?;
    Ok(())
}

/// Ids of a pattern of the collection's own must differ in more than case: file systems may not tell them apart.
async fn check_custom_id(
    conn: &mut Conn,
    record: &Record,
    errors: &mut FieldErrors,
) -> Result<(), Error> {
    if !record.is_new() || !record.collection().has_custom_ids() || errors.contains("id") {
        return Ok(());
    }
    let id = Value::from(record.id());
    let taken = records::find_ignoring_case(conn, record.collection(), "id", &id).await?;
    if taken.is_some() {
        errors.add(
            "id",
            FieldError::new(
                "validation_pk_invalid",
                "The record primary key is invalid or already exists.",
            ),
        );
    }
    Ok(())
}

/// Every related record must exist.
pub(super) async fn check_relations(
    conn: &mut Conn,
    schema: &Schema,
    record: &Record,
    errors: &mut FieldErrors,
) -> Result<(), Error> {
    for field in record.collection().fields() {
        let Some(options) = field.as_relation() else {
            continue;
        };
        if errors.contains(&field.name) || record.original(&field.name) == record.get(&field.name) {
            continue;
        }
        let value = record.get(&field.name);
        let ids: Vec<&str> = value.into_iter().flat_map(Value::items).collect();
        if ids.is_empty() {
            continue;
        }
        let Some(target) = schema.by_id(&options.collection_id) else {
            errors.add(
                &field.name,
                FieldError::new(
                    "validation_missing_rel_collection",
                    "Relation connection is missing or cannot be accessed",
                ),
            );
            continue;
        };
        let existing = records::exists_ids(conn, target, &ids).await?;
        if ids.iter().any(|id| !existing.contains(*id)) {
            errors.add(
                &field.name,
                FieldError::new(
                    "validation_missing_rel_records",
                    "Failed to find all relation records with the provided ids",
                ),
            );
        }
    }
    Ok(())
}

async fn execute(event: &mut RecordEvent<'_>) -> Result<(), Error> {
    match event.op {
        Op::Create | Op::Update => write_row(event).await,
        Op::Delete => {
            let collection = Arc::clone(event.record.collection());
            records::delete(event.tx, &collection, event.record.id()).await?;
            cascade::references(event).await?;
            super::super::files::remove_after_commit(&event.engine, event.tx, &event.record, None);
            Ok(())
        }
    }
}

/// Hashes passwords and stores files that handlers have added.
async fn finish_preparing(event: &mut RecordEvent<'_>) -> Result<(), Error> {
    let RecordEvent {
        engine,
        tx,
        record,
        prepared,
        ..
    } = event;
    let is_new = |(field, plain): &(&str, &str)| !prepared.has_hashed(field, plain);
    if record.plain_passwords().any(|password| is_new(&password)) {
        for (field, (plain, hash)) in engine.hash_passwords(record).await? {
            if !prepared.has_hashed(&field, &plain) {
                record.set_password_hash(&field, &plain, hash);
            }
        }
    }
    let mut uploads = record.uploads.iter();
    if uploads.any(|upload| !prepared.stored.contains(&upload.name)) {
        StoredUploads::put_but(engine, record, &prepared.stored)
            .await?
            .settle_with(tx);
    }
    Ok(())
}

async fn write_row(event: &mut RecordEvent<'_>) -> Result<(), Error> {
    finish_preparing(event).await?;
    let collection = Arc::clone(event.record.collection());
    if collection.is_auth() {
        auth_invariants(event).await?;
    }
    let written = if event.op == Op::Create {
        records::insert(event.tx, &event.record).await
    } else {
        records::update(event.tx, &event.record).await
    };
    written.map_err(|error| unique_error(error, &event.record))?;
    let dropped = event.record.dropped_files();
    if !dropped.is_empty() {
        super::super::files::remove_after_commit(
            &event.engine,
            event.tx,
            &event.record,
            Some(dropped),
        );
    }
    event.record.mark_saved();
    Ok(())
}

/// Sessions end when e-mail or password change, and an id names one auth record only.
async fn auth_invariants(event: &mut RecordEvent<'_>) -> Result<(), Error> {
    let record = &mut event.record;
    let changed = |record: &Record, field: &str| record.original(field) != record.get(field);
    if event.op == Op::Update {
        if !changed(record, "tokenKey") && (changed(record, "password") || changed(record, "email"))
        {
            record.refresh_token_key();
        }
        return Ok(());
    }
    let schema = Arc::clone(event.tx.schema());
    let id = event.record.id().to_owned();
    for other in schema.iter() {
        if other.is_auth() && other.id != event.record.collection().id {
            let taken = records::exists_ids(event.tx, other, &[id.as_str()]).await?;
            if !taken.is_empty() {
                return Err(FieldErrors::one(
                    "id",
                    FieldError::new(
                        "validation_invalid_auth_id",
                        "Invalid or duplicated auth record id.",
                    ),
                )
                .into());
            }
        }
    }
    Ok(())
}

/// A violated unique index becomes an error of each of its fields.
fn unique_error(error: store::Error, record: &Record) -> Error {
    let store::Error::Unique { columns, .. } = &error else {
        return error.into();
    };
    let mut errors = FieldErrors::new();
    for column in columns {
        if record.collection().field(column).is_some() {
            errors.add(
                column,
                FieldError::new("validation_not_unique", "Value must be unique"),
            );
        }
    }
    if errors.is_empty() {
        return error.into();
    }
    errors.into()
}

/// Fills in what the server sets on a new record: id, generated texts, dates.
pub(super) fn prepare_create(record: &mut Record, now: DateTime) {
    record.on_create(now);
}

/// Sets the dates that follow an update.
pub(super) fn prepare_update(record: &mut Record, now: DateTime) {
    record.on_update(now);
}
