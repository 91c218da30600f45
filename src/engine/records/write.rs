//! Creating, updating and deleting records as requests ask for it: rules, forms and what must happen off the writer.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::draft::{Draft, hide_refusal};
use super::save::Hashes;
use crate::engine::files::StoredUploads;
use crate::engine::hooks::Op;
use crate::engine::{Engine, Error, Link, RequestInfo};
use crate::model::{Collection, FieldKind, Record, Upload};
use crate::store::search::Condition;
use crate::store::{Conn, Tx, records};

/// The submitted fields and files of a create or update.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Field names, possibly with modifiers, and their values.
    pub body: Map<String, Json>,
    /// Files by the key they were sent under: `field`, `field+` or `+field`.
    pub uploads: Vec<(String, Upload)>,
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
        let mut link = Link::Pool(self);
        let draft = self
            .draft_create(&mut link, request, collection, input)
            .await?;
        self.save_draft(draft).await
    }

    /// Applies the input of a create and asks the create rule; what comes of it is to be saved with
    /// [`Engine::save_draft`] or [`Engine::save_draft_in`].
    ///
    /// # Errors
    /// `BadRequest` for views and when the rule is not met, `Forbidden` without a rule.
    pub async fn draft_create(
        &self,
        link: &mut Link<'_>,
        request: &RequestInfo,
        collection: &Arc<Collection>,
        input: Input,
    ) -> Result<Draft, Error> {
        check_writable(collection, collection.create_rule.as_deref(), request)?;
        self.draft_new(link, request, collection, input).await
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
        if needs_slow_work(collection, &input) {
            let mut link = Link::Pool(self);
            let draft = self
                .draft_update(&mut link, request, collection, id, input)
                .await?;
            return self.save_draft(draft).await;
        }
        check_writable(collection, collection.update_rule.as_deref(), request)?;
        let (engine, request, collection) = (self.clone(), request.clone(), Arc::clone(collection));
        let id = id.to_owned();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let mut link = Link::Tx(tx);
                    let draft = engine
                        .draft_update(&mut link, &request, &collection, &id, input)
                        .await?;
                    engine.save_draft_in(tx, draft).await
                })
            })
            .await
    }

    /// Loads a record, applies the input of an update and asks the update rule; what comes of it is to be saved with
    /// [`Engine::save_draft`] or [`Engine::save_draft_in`].
    ///
    /// # Errors
    /// `NotFound` when the rule is not met or there is no such record, `BadRequest` for views, `Forbidden` without a
    /// rule.
    pub async fn draft_update(
        &self,
        link: &mut Link<'_>,
        request: &RequestInfo,
        collection: &Arc<Collection>,
        id: &str,
        input: Input,
    ) -> Result<Draft, Error> {
        check_writable(collection, collection.update_rule.as_deref(), request)?;
        let found = find(&mut *link.conn().await?, collection, id).await?;
        // Inside the transaction nobody else can change it.
        let keep = link.tx().is_none();
        self.draft_changes(link, request, found, input, keep).await
    }

    /// Checks and saves a draft in a transaction of its own.
    ///
    /// # Errors
    /// `Validation` by field, or what a hook refused; `NotFound` when the record is gone.
    pub async fn save_draft(&self, mut draft: Draft) -> Result<Record, Error> {
        self.check_draft(&mut Link::Pool(self), &mut draft).await?;
        let failure = draft.failure();
        let hashes = self.hash_passwords(&draft.record).await?;
        let stored = StoredUploads::put(self, &draft.record).await?;
        let engine = self.clone();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    stored.settle_with(tx);
                    let op = op_of(&draft.record);
                    if op == Op::Update {
                        let now = find(tx, draft.record.collection(), &draft.stored_id()).await?;
                        draft = engine.renew_draft(&mut Link::Tx(tx), draft, now).await?;
                    }
                    engine
                        .save_in(tx, op, draft.record, Some(draft.request), hashes)
                        .await
                })
            })
            .await
            .map_err(|error: Error| error.or_message(failure))
    }

    /// Checks and saves a draft in a transaction, as batches do.
    ///
    /// # Errors
    /// As [`Engine::save_draft`]. Files that were stored are removed unless the transaction commits.
    pub async fn save_draft_in(&self, tx: &mut Tx, mut draft: Draft) -> Result<Record, Error> {
        self.check_draft(&mut Link::Tx(tx), &mut draft).await?;
        let failure = draft.failure();
        let hashes = self.hash_passwords(&draft.record).await?;
        StoredUploads::put(self, &draft.record)
            .await?
            .settle_with(tx);
        let op = op_of(&draft.record);
        self.save_in(tx, op, draft.record, Some(draft.request), hashes)
            .await
            .map_err(|error| error.or_message(failure))
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
                    let mut link = Link::Tx(tx);
                    let record = engine
                        .find_deletable(&mut link, &request, &collection, &id)
                        .await?;
                    engine.delete_found_in(tx, record, request).await
                })
            })
            .await
    }

    /// The record that a request asks to delete, under the delete rule.
    ///
    /// # Errors
    /// `NotFound` when the rule is not met or there is no such record, `BadRequest` for views, `Forbidden` without a
    /// rule.
    pub async fn find_deletable(
        &self,
        link: &mut Link<'_>,
        request: &RequestInfo,
        collection: &Arc<Collection>,
        id: &str,
    ) -> Result<Record, Error> {
        check_writable(collection, collection.delete_rule.as_deref(), request)?;
        let condition = hide_refusal(self.rule_condition(
            &link.schema(self),
            collection,
            collection.delete_rule.as_deref(),
            request,
        ))?;
        records::find(&mut *link.conn().await?, collection, id, &condition)
            .await?
            .ok_or_else(Error::not_found)
    }

    /// Deletes a record that was found before, on behalf of a request.
    ///
    /// # Errors
    /// `NotFound` when it is gone meanwhile, `BadRequest` when a required reference holds it.
    pub async fn delete_found(&self, record: Record, request: RequestInfo) -> Result<(), Error> {
        let engine = self.clone();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    find(tx, record.collection(), record.id()).await?;
                    engine.delete_found_in(tx, record, request).await
                })
            })
            .await
    }

    /// As [`Engine::delete_found`], in the transaction that the record was found in.
    ///
    /// # Errors
    /// `BadRequest` when a required reference holds it, or what a hook refused.
    pub async fn delete_found_in(
        &self,
        tx: &mut Tx,
        record: Record,
        request: RequestInfo,
    ) -> Result<(), Error> {
        self.delete_in(tx, record, Some(request))
            .await
            .map_err(|error| {
                error.or_message(
                    "Failed to delete record. Make sure that the record is not part of a required relation reference.",
                )
            })
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

fn op_of(record: &Record) -> Op {
    if record.is_new() {
        Op::Create
    } else {
        Op::Update
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
