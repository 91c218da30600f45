//! Whether a record may sign in, and whether one way of signing in is enough.

use std::sync::Arc;

use crate::base::date::DateTime;
use crate::engine::{Engine, Error, RequestInfo};
use crate::model::{Record, Value};
use crate::store::records;
use crate::store::search::Condition;

impl Engine {
    /// Whether the collection's auth rule lets this record sign in.
    ///
    /// # Errors
    /// Those of the database and of compiling the rule.
    pub async fn may_sign_in(&self, record: &Record, request: &RequestInfo) -> Result<bool, Error> {
        let rule = record
            .collection()
            .auth
            .as_ref()
            .and_then(|auth| auth.auth_rule.as_deref());
        if request.is_superuser() || rule == Some("") {
            return Ok(true);
        }
        let schema = self.schema();
        let mut conn = self.store().read().await?;
        self.can_access(&mut conn, &schema, record, rule, request)
            .await
    }

    /// Decides on the second factor: `None` when sign-in is complete, else the id under which the first way waits for
    /// another one. `mfa_id` is the id that the client sent, or empty.
    ///
    /// # Errors
    /// `BadRequest` when the id is invalid or expired, or the way is the same as the first.
    pub async fn second_factor(
        &self,
        record: &Record,
        request: &RequestInfo,
        method: &str,
        mfa_id: &str,
    ) -> Result<Option<String>, Error> {
        let Some(mfa) = record
            .collection()
            .auth
            .as_ref()
            .map(|auth| &auth.mfa)
            .filter(|mfa| mfa.enabled)
        else {
            return Ok(None);
        };
        if !mfa.rule.is_empty() && !self.wants_second_factor(record, request, &mfa.rule).await? {
            return Ok(None);
        }
        let collection = self.collection("_mfas")?;
        if mfa_id.is_empty() {
            let mut pending = Record::new(collection);
            pending.set("collectionRef", record.collection().id.as_str().into());
            pending.set("recordRef", record.id().into());
            pending.set("method", method.into());
            let engine = self.clone();
            let saved = self
                .store()
                .write(move |tx| Box::pin(async move { engine.save(tx, pending).await }))
                .await?;
            return Ok(Some(saved.id().to_owned()));
        }
        let found = {
            let mut conn = self.store().read().await?;
            records::find(&mut conn, &collection, mfa_id, &Condition::Always).await?
        };
        let expired = |pending: &Record| {
            DateTime::parse(pending.get("created").map_or("", Value::as_text)).is_none_or(
                |created| self.now().ms_since(created) > mfa.duration.saturating_mul(1000),
            )
        };
        let Some(pending) = found else {
            return Err(Error::bad_request("Invalid or expired MFA session."));
        };
        if expired(&pending) {
            self.remove(pending).await?;
            return Err(Error::bad_request("Invalid or expired MFA session."));
        }
        if pending.text("recordRef") != record.id()
            || pending.text("collectionRef") != record.collection().id
        {
            return Err(Error::bad_request("Invalid MFA session."));
        }
        if pending.text("method") == method {
            return Err(Error::bad_request(
                "A different authentication method is required.",
            ));
        }
        self.remove(pending).await?;
        Ok(None)
    }

    async fn wants_second_factor(
        &self,
        record: &Record,
        request: &RequestInfo,
        rule: &str,
    ) -> Result<bool, Error> {
        let schema = self.schema();
        let collection = Arc::clone(record.collection());
        let condition = self
            .condition(&schema, &collection, rule, Some(request), true)
            .map_err(|_| Error::bad_request("Failed to authenticate."))?;
        let mut conn = self.store().read().await?;
        Ok(records::matches(&mut conn, &collection, record.id(), &condition).await?)
    }

    async fn remove(&self, record: Record) -> Result<(), Error> {
        let engine = self.clone();
        self.store()
            .write(move |tx| Box::pin(async move { engine.delete_in(tx, record, None).await }))
            .await
    }
}
