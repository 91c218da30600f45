//! A record between the request that asks for a write and the write: the input applied, the access rule met, nothing
//! checked or stored yet. Those who take part in requests see it here.

use std::sync::Arc;

use serde_json::Value as Json;

use super::save::{check_relations, prepare_create, prepare_update};
use super::write::Input;
use crate::base::id;
use crate::engine::events::{Event, Slot, Slots};
use crate::engine::{Engine, Error, Hooks, Link, RequestInfo};
use crate::model::{Collection, FieldError, FieldErrors, Record, Value};
use crate::store::records;
use crate::store::search::Condition;

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

/// A record with the input applied, ready to be checked and saved.
pub struct Draft {
    pub record: Record,
    /// The request with the resolved body, as rules see it.
    pub request: RequestInfo,
    form: PasswordForm,
    access: Access,
    /// What hooks have against the body as it was sent.
    refused: FieldErrors,
    /// What an update was drafted from, in case the record changes before it is saved.
    pub(super) basis: Option<Basis>,
}

/// What an update was drafted from.
pub(super) struct Basis {
    request: RequestInfo,
    input: Input,
    stored: Vec<Value>,
    /// The values with the input applied.
    applied: Vec<Value>,
}

/// A create or update on its way through its event.
#[derive(Default)]
pub struct Writing {
    /// What is to be saved; nothing once it is saved.
    pub draft: Option<Draft>,
    /// The record as saved.
    pub saved: Option<Arc<Record>>,
}

impl Slots for Writing {
    fn put(&mut self, event: &mut Event) {
        if let (Some(draft), Some(request)) = (&self.draft, &mut event.request) {
            request.info = draft.request.clone();
        }
        let record = match (&self.saved, &self.draft) {
            (Some(saved), _) => Record::clone(saved),
            (None, Some(draft)) => draft.record.clone(),
            (None, None) => return,
        };
        event.set("record", Slot::Record(Box::new(record)));
    }

    fn take(&mut self, event: &mut Event) {
        if let Some(draft) = &mut self.draft
            && let Some(record) = event.take_record()
        {
            draft.record = record;
        }
    }
}

impl From<Draft> for Writing {
    fn from(draft: Draft) -> Self {
        Self {
            draft: Some(draft),
            saved: None,
        }
    }
}

impl Engine {
    pub(super) async fn draft_new(
        &self,
        link: &mut Link<'_>,
        request: &RequestInfo,
        collection: &Arc<Collection>,
        input: Input,
    ) -> Result<Draft, Error> {
        let schema = link.schema(self);
        let mut draft = apply(
            &self.hooks(),
            Record::new(Arc::clone(collection)),
            request,
            input,
        );
        if draft.access == Access::Superuser {
            return Ok(draft);
        }
        let mut candidate = draft.record.clone();
        if candidate.id().is_empty() {
            candidate.set("id", format!("__temp_id__{}", id::random_id()).into());
        }
        candidate.set("verified", Value::Bool(false));
        let failed = || Error::bad_request("Failed to create record");
        let rule = self
            .rule_condition(
                &schema,
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
                let mut conn = link.conn().await?;
                records::candidate_matches(&mut conn, &candidate, rule).await?
            }
        };
        if !fits {
            return Err(failed());
        }
        if may_be_managed(collection) {
            let mut conn = link.conn().await?;
            let managed = self
                .has_manage_access(&mut conn, &schema, &candidate, true, &draft.request)
                .await;
            if managed.unwrap_or(false) {
                draft.access = Access::Manager;
            }
        }
        Ok(draft)
    }

    /// `keep` what the draft is made from, if the record can change before it is saved.
    pub(super) async fn draft_changes(
        &self,
        link: &mut Link<'_>,
        request: &RequestInfo,
        found: Record,
        input: Input,
        keep: bool,
    ) -> Result<Draft, Error> {
        let schema = link.schema(self);
        let collection = Arc::clone(found.collection());
        let kept = keep.then(|| (input.clone(), found.values().to_vec()));
        let mut draft = apply(&self.hooks(), found, request, input);
        draft.basis = kept.map(|(input, stored)| Basis {
            request: request.clone(),
            input,
            stored,
            applied: draft.record.values().to_vec(),
        });
        if draft.access == Access::Superuser {
            return Ok(draft);
        }
        let rule = hide_refusal(self.rule_condition(
            &schema,
            &collection,
            collection.update_rule.as_deref(),
            &draft.request,
        ))?;
        let stored_id = draft.stored_id();
        if rule != Condition::Always {
            let mut conn = link.conn().await?;
            if !records::matches(&mut conn, &collection, &stored_id, &rule).await? {
                return Err(Error::not_found());
            }
        }
        if may_be_managed(&collection) {
            let mut conn = link.conn().await?;
            let managed = self
                .has_manage_access(&mut conn, &schema, &draft.record, false, &draft.request)
                .await;
            if managed.unwrap_or(false) {
                draft.access = Access::Manager;
            }
        }
        Ok(draft)
    }

    /// Drafts an update anew if its record, which is `now` that, has changed meanwhile. What was changed in the draft
    /// itself stays changed.
    pub(super) async fn renew_draft(
        &self,
        link: &mut Link<'_>,
        mut draft: Draft,
        now: Record,
    ) -> Result<Draft, Error> {
        let Some(basis) = draft.basis.take() else {
            return Ok(draft);
        };
        if now.values() == basis.stored {
            return Ok(draft);
        }
        let mut renewed = self
            .draft_changes(link, &basis.request, now, basis.input, false)
            .await?;
        let record = &mut renewed.record;
        let fields = draft.record.collection().fields().iter();
        let values = draft.record.values().iter().zip(&basis.applied);
        for (field, (value, applied)) in fields.zip(values) {
            if value != applied {
                record.set(&field.name, value.clone());
            }
        }
        for (field, plain) in draft.record.plain_passwords() {
            record.set_password(field, plain);
        }
        record.uploads = std::mem::take(&mut draft.record.uploads);
        self.check_draft(link, &mut renewed).await?;
        Ok(renewed)
    }

    /// Sets dates and generated texts and checks all that can be checked outside of the transaction.
    pub(super) async fn check_draft(
        &self,
        link: &mut Link<'_>,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        if draft.record.is_new() {
            prepare_create(&mut draft.record, self.now());
        } else {
            prepare_update(&mut draft.record, self.now());
        }
        let mut errors = draft.form_errors();
        errors.merge(draft.refused.clone());
        if errors.is_empty() && draft.needs_old_password() {
            errors = self.check_old_password(draft).await?;
        }
        if errors.is_empty() && !self.hooks().complete(draft.record.collection()) {
            errors = draft.record.validate().err().unwrap_or_default();
            if !errors.is_empty() {
                // Told together with what else is wrong; a valid record is checked inside the transaction.
                let schema = link.schema(self);
                let mut conn = link.conn().await?;
                check_relations(&mut conn, &schema, &draft.record, &mut errors).await?;
            }
        }
        errors
            .into_result()
            .map_err(|fields| Error::validation(draft.failure(), fields))
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
    /// What a refused write answers.
    pub(super) fn failure(&self) -> &'static str {
        if self.record.is_new() {
            "Failed to create record"
        } else {
            "Failed to update record."
        }
    }

    pub(super) fn stored_id(&self) -> String {
        self.record
            .original("id")
            .map_or("", Value::as_text)
            .to_owned()
    }

    fn needs_old_password(&self) -> bool {
        self.record.collection().is_auth()
            && !self.record.is_new()
            && self.access == Access::Default
            && !self.chose_password()
            && !(self.form.password.is_empty() && self.form.confirm.is_empty())
    }

    /// Whether somebody who takes part in the request has set another password than the form's: what the form says of
    /// passwords does not count then.
    fn chose_password(&self) -> bool {
        let plain = self.record.plain_password("password");
        !plain.is_empty() && plain != self.form.password
    }

    /// What the sign-in form of an auth record refuses; other collections have none.
    fn form_errors(&self) -> FieldErrors {
        let access = self.access;
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
        if self.chose_password() {
            return errors;
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
        if self.needs_old_password() && form.old.is_empty() {
            errors.add("oldPassword", blank());
        }
        errors
    }
}

/// Puts the input into a record, leaving out what the caller may not set.
fn apply(hooks: &Hooks, mut record: Record, request: &RequestInfo, input: Input) -> Draft {
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
    let refused = hooks.check_input(&collection, &body, record.is_new());
    record.uploads = uploads.into_iter().map(|(_, upload)| upload).collect();
    let resolved = record.apply(&body);
    Draft {
        record,
        request: request.with_body(resolved),
        form,
        access: Access::of(request),
        refused,
        basis: None,
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

/// A rule that does not compile hides the record like one that is not met.
pub(super) fn hide_refusal(condition: Result<Condition, Error>) -> Result<Condition, Error> {
    condition.map_err(|error| match error {
        Error::BadRequest(_) => Error::not_found(),
        other => other,
    })
}
