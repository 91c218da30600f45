//! Access rules: turning a rule and a request into a condition, and checking records against it.

use std::sync::Arc;

use super::{Engine, Error, RequestInfo};
use crate::model::{Collection, Record, Schema};
use crate::store::search::{Condition, RequestValues, Scope};
use crate::store::{Conn, records};

impl RequestInfo {
    pub(super) fn values(&self, engine: &Engine) -> RequestValues<'_> {
        RequestValues {
            context: self.context,
            method: &self.method,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
            auth: self.auth.as_deref(),
            now: chrono::DateTime::from_timestamp_millis(engine.now().unix_ms())
                .unwrap_or_default(),
        }
    }
}

impl Engine {
    /// The condition that a rule puts on a collection's records for a caller.
    ///
    /// # Errors
    /// `Forbidden` when only superusers may; `BadRequest` when the rule does not compile.
    pub fn rule_condition(
        &self,
        schema: &Schema,
        collection: &Arc<Collection>,
        rule: Option<&str>,
        request: &RequestInfo,
    ) -> Result<Condition, Error> {
        if request.is_superuser() {
            return Ok(Condition::Always);
        }
        match rule {
            None => Err(Error::forbidden("Only superusers can perform this action.")),
            Some("") => Ok(Condition::Always),
            Some(rule) => self.condition(schema, collection, rule, Some(request), true),
        }
    }

    /// Compiles a filter text. `allow_hidden` lets it read hidden fields, as rules may.
    ///
    /// # Errors
    /// `BadRequest` with position and reason.
    pub fn condition(
        &self,
        schema: &Schema,
        collection: &Arc<Collection>,
        text: &str,
        request: Option<&RequestInfo>,
        allow_hidden: bool,
    ) -> Result<Condition, Error> {
        let values = request.map(|request| request.values(self));
        let scope = Scope {
            schema,
            collection,
            request: values.as_ref(),
            allow_hidden,
        };
        Ok(self.compiler().compile(text, &scope)?)
    }

    /// Whether a stored record satisfies a rule, as PocketBase's `CanAccessRecord`.
    ///
    /// # Errors
    /// Those of the database and of compiling the rule; a rule for superusers only is `false`.
    pub async fn can_access(
        &self,
        conn: &mut Conn,
        schema: &Schema,
        record: &Record,
        rule: Option<&str>,
        request: &RequestInfo,
    ) -> Result<bool, Error> {
        match self.rule_condition(schema, record.collection(), rule, request) {
            Ok(condition) => {
                Ok(records::matches(conn, record.collection(), record.id(), &condition).await?)
            }
            Err(Error::Forbidden(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Whether the caller may set protected fields of this auth record (e-mail, password without the old one, verified).
    ///
    /// A `candidate` is a record that is not stored yet.
    pub(super) async fn has_manage_access(
        &self,
        conn: &mut Conn,
        schema: &Schema,
        record: &Record,
        candidate: bool,
        request: &RequestInfo,
    ) -> Result<bool, Error> {
        if request.is_superuser() {
            return Ok(true);
        }
        let rule = record
            .collection()
            .auth
            .as_ref()
            .and_then(|auth| auth.manage_rule.as_deref())
            .unwrap_or("");
        if rule.is_empty() || request.auth.is_none() {
            return Ok(false);
        }
        let condition = self.condition(schema, record.collection(), rule, Some(request), true)?;
        if candidate {
            Ok(records::candidate_matches(conn, record, &condition).await?)
        } else {
            Ok(records::matches(conn, record.collection(), record.id(), &condition).await?)
        }
    }
}
