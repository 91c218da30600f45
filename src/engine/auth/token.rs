//! Signing tokens for records and finding the record of a token.
//!
//! HS256, keyed with the record's `tokenKey` followed by the collection's secret for the purpose; claims as PocketBase
//! has them, so that tokens move between both.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::cache::digest;
use crate::base::token;
use crate::engine::{Engine, Error};
use crate::model::{Record, TokenKind};
use crate::store::Conn;
use crate::store::records;
use crate::store::search::Condition;

/// The claims of a token, verified.
pub type TokenClaims = Map<String, Json>;

impl Engine {
    /// Signs a token for an auth record with the collection's lifetime, or `lifetime_s` seconds.
    ///
    /// # Errors
    /// `Internal` when the record is no auth record or signing fails.
    pub fn sign_token(
        &self,
        record: &Record,
        kind: TokenKind,
        lifetime_s: Option<i64>,
        extra: TokenClaims,
    ) -> Result<String, Error> {
        let auth =
            record.collection().auth.as_ref().ok_or_else(|| {
                Error::Internal("tokens are for auth records only".to_owned(), None)
            })?;
        let config = auth.token(kind);
        let mut claims = extra;
        claims.insert("collectionId".into(), record.collection().id.clone().into());
        claims.insert("id".into(), record.id().into());
        claims.insert("type".into(), kind.claim().into());
        let key = format!("{}{}", record.text("tokenKey"), config.secret);
        token::sign(
            claims,
            &key,
            self.now(),
            lifetime_s.unwrap_or(config.duration),
        )
        .map_err(|error| Error::internal("failed to sign a token", error))
    }

    /// A token to sign in with.
    ///
    /// # Errors
    /// As [`Engine::sign_token`].
    pub fn sign_auth_token(&self, record: &Record) -> Result<String, Error> {
        let mut extra = TokenClaims::new();
        extra.insert("refreshable".into(), true.into());
        self.sign_token(record, TokenKind::Auth, None, extra)
    }

    /// A token to sign in with that cannot be refreshed, for `lifetime_s` seconds.
    ///
    /// # Errors
    /// As [`Engine::sign_token`].
    pub fn sign_static_auth_token(
        &self,
        record: &Record,
        lifetime_s: Option<i64>,
    ) -> Result<String, Error> {
        let mut extra = TokenClaims::new();
        extra.insert("refreshable".into(), false.into());
        self.sign_token(record, TokenKind::Auth, lifetime_s, extra)
    }

    /// The token of a verification mail.
    ///
    /// # Errors
    /// As [`Engine::sign_token`].
    pub fn sign_verification_token(&self, record: &Record) -> Result<String, Error> {
        let claims = claims_of(record);
        self.sign_token(record, TokenKind::Verification, None, claims)
    }

    /// The token of a mail for a new password.
    ///
    /// # Errors
    /// As [`Engine::sign_token`].
    pub fn sign_password_reset_token(&self, record: &Record) -> Result<String, Error> {
        let claims = claims_of(record);
        self.sign_token(record, TokenKind::PasswordReset, None, claims)
    }

    /// The token of a mail that confirms a new address.
    ///
    /// # Errors
    /// As [`Engine::sign_token`].
    pub fn sign_email_change_token(
        &self,
        record: &Record,
        new_email: &str,
    ) -> Result<String, Error> {
        let mut claims = claims_of(record);
        claims.insert("newEmail".into(), new_email.into());
        self.sign_token(record, TokenKind::EmailChange, None, claims)
    }

    /// A token that opens protected files.
    ///
    /// # Errors
    /// As [`Engine::sign_token`].
    pub fn sign_file_token(&self, record: &Record) -> Result<String, Error> {
        self.sign_token(record, TokenKind::File, None, TokenClaims::new())
    }

    /// The record that a sign-in token stands for; `None` when it is invalid or expired.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Arc<Record>>, Error> {
        let key = digest(token);
        let now = self.now().unix();
        let generation = match self.auth_cache().get(&key, now) {
            Ok(record) => return Ok(Some(record)),
            Err(generation) => generation,
        };
        let mut conn = self.store().read().await?;
        let Some((record, claims)) = self
            .record_of_token(&mut conn, token, &[TokenKind::Auth])
            .await?
        else {
            return Ok(None);
        };
        let record = Arc::new(record);
        let expires = claims.get("exp").and_then(Json::as_i64).unwrap_or(now);
        self.auth_cache()
            .put(generation, key, Arc::clone(&record), expires);
        Ok(Some(record))
    }

    /// The record and claims of a token of one of the given kinds; `None` when it is invalid or expired.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn record_of_token(
        &self,
        conn: &mut Conn,
        token: &str,
        kinds: &[TokenKind],
    ) -> Result<Option<(Record, TokenClaims)>, Error> {
        let Some(claims) = token::peek_unverified(token) else {
            return Ok(None);
        };
        let text = |name: &str| claims.get(name).and_then(Json::as_str).unwrap_or("");
        let Some(kind) = kinds
            .iter()
            .copied()
            .find(|kind| kind.claim() == text("type"))
        else {
            return Ok(None);
        };
        let schema = self.schema();
        let Some(collection) = schema.by_id(text("collectionId")) else {
            return Ok(None);
        };
        let Some(auth) = collection.auth.as_ref() else {
            return Ok(None);
        };
        let Some(record) = records::find(conn, collection, text("id"), &Condition::Always).await?
        else {
            return Ok(None);
        };
        let key = format!("{}{}", record.text("tokenKey"), auth.token(kind).secret);
        match token::verify(token, &key, self.now()) {
            Ok(claims) => Ok(Some((record, claims))),
            Err(_) => Ok(None),
        }
    }
}

/// The claims of a token that goes by mail.
fn claims_of(record: &Record) -> TokenClaims {
    let mut claims = TokenClaims::new();
    claims.insert("email".into(), record.text("email").into());
    claims
}
