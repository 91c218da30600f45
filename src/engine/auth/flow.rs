//! What the flows share that go through a mail: finding whom to write to, and changing the record of a token.

use std::sync::Arc;

use serde_json::Value as Json;

use super::token::TokenClaims;
use crate::base::text::is_email;
use crate::base::{code::BODY_INVALID, token};
use crate::engine::checks::{bytes_between, format_of, required};
use crate::engine::hooks::Op;
use crate::engine::{Engine, Error};
use crate::model::{Collection, FieldError, FieldErrors, Record, TokenKind, Value};
use crate::store::{Conn, Tx, records};

/// Characters of the password that nobody knows.
const RANDOM_PASSWORD_CHARS: usize = 30;

/// A change of the record that a token stands for; gets the token's claims.
pub(super) type Change = Box<dyn FnOnce(&mut Record, &TokenClaims) + Send>;

/// The auth record with this address, compared as the collection's unique index does.
pub(in crate::engine) async fn find_by_email(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    email: &str,
) -> Result<Option<Record>, Error> {
    let ignore_case = collection.unique_index("email").is_some_and(|index| {
        index
            .columns
            .first()
            .is_some_and(|column| column.collate.eq_ignore_ascii_case("nocase"))
    });
    let value = Value::from(email);
    let found = if ignore_case {
        records::find_ignoring_case(conn, collection, "email", &value).await?
    } else {
        records::find_by_field(conn, collection, "email", &value).await?
    };
    Ok(found)
}

/// What is wrong with a submitted address.
pub(super) fn email_error(email: &str) -> Option<FieldError> {
    required(email)
        .or_else(|| bytes_between(email, 1, 255))
        .or_else(|| format_of(email, is_email, "email"))
}

/// Refuses a submitted form.
pub(super) fn refuse(fields: FieldErrors) -> Result<(), Error> {
    fields
        .into_result()
        .map_err(|fields| Error::validation(BODY_INVALID, fields))
}

pub(super) fn invalid_token() -> FieldError {
    FieldError::new("validation_invalid_token", "Invalid or expired token.")
}

/// A text claim of a token that may be forged.
pub(super) fn unverified_claim(token: &str, name: &str) -> String {
    token::peek_unverified(token)
        .and_then(|claims| claims.get(name).and_then(Json::as_str).map(str::to_owned))
        .unwrap_or_default()
}

/// A text claim of a verified token.
pub(super) fn claim<'c>(claims: &'c TokenClaims, name: &str) -> &'c str {
    claims.get(name).and_then(Json::as_str).unwrap_or("")
}

impl Engine {
    /// The record of a submitted token and its claims, or what is wrong with it.
    pub(super) async fn check_token(
        &self,
        conn: &mut Conn,
        collection: &Collection,
        token: &str,
        kind: TokenKind,
    ) -> Result<Result<(Record, TokenClaims), FieldError>, Error> {
        let found = self.record_of_token(conn, token, &[kind]).await?;
        Ok(match found {
            None => Err(invalid_token()),
            Some((record, _)) if record.collection().id != collection.id => Err(FieldError::new(
                "validation_token_collection_mismatch",
                "The provided token is for different auth collection.",
            )),
            Some(found) => Ok(found),
        })
    }

    /// Changes the record that a token stands for and stores it, in one transaction with a last look at the token: of two
    /// who use it at once, one finds it used up.
    ///
    /// # Errors
    /// `BadRequest` when the token is no longer valid, else what validation and hooks refuse.
    pub(super) async fn change_by_token(
        &self,
        token: &str,
        kind: TokenKind,
        hashed: Option<Hashed>,
        change: Change,
    ) -> Result<Record, Error> {
        let (engine, token) = (self.clone(), token.to_owned());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let found = engine.record_of_token(tx, &token, &[kind]).await?;
                    let Some((mut record, claims)) = found else {
                        return Err(Error::bad_request("Invalid or expired token."));
                    };
                    change(&mut record, &claims);
                    engine.save_hashed(tx, record, hashed).await
                })
            })
            .await
    }

    /// Saves a stored auth record whose new password, if any, was hashed before: hashing takes longer than anybody may
    /// hold the writer.
    pub(super) async fn save_hashed(
        &self,
        tx: &mut Tx,
        mut record: Record,
        hashed: Option<Hashed>,
    ) -> Result<Record, Error> {
        if let Some(hashed) = &hashed {
            record.set_password("password", &hashed.plain);
        }
        record.on_update(self.now());
        record.validate()?;
        let hashes = hashed
            .map(|hashed| ("password".to_owned(), (hashed.plain, hashed.hash)))
            .into_iter()
            .collect();
        self.save_in(tx, Op::Update, record, None, hashes).await
    }

    /// The password that somebody who takes part in a request has set, with its hash.
    pub(super) async fn hash_chosen(&self, record: &Record) -> Result<Option<Hashed>, Error> {
        match record.plain_password("password") {
            "" => Ok(None),
            plain => self.hash_for(record.collection(), plain).await.map(Some),
        }
    }

    /// A password with its hash, for [`Engine::save_hashed`].
    pub(super) async fn hash_for(
        &self,
        collection: &Collection,
        plain: &str,
    ) -> Result<Hashed, Error> {
        let hash = self.hash_password(plain, cost_of(collection)).await?;
        Ok(Hashed {
            plain: plain.to_owned(),
            hash,
        })
    }

    /// The hash of a password that nobody knows.
    pub(super) async fn random_password_hash(
        &self,
        collection: &Collection,
    ) -> Result<String, Error> {
        let plain = crate::base::id::random_string(RANDOM_PASSWORD_CHARS);
        self.hash_password(&plain, cost_of(collection)).await
    }
}

/// What somebody who takes part in a request has changed of a stored record, to be done to it as it is by then.
#[derive(Default)]
pub(super) struct Changes {
    values: Vec<(String, Value)>,
}

impl Changes {
    /// The changes of a record against its stored values.
    pub(super) fn of(record: &Record) -> Self {
        let fields = record.collection().fields().iter();
        let changed = fields.filter(|field| record.has_changed(&field.name));
        Self {
            values: changed
                .filter_map(|field| Some((field.name.clone(), record.get(&field.name)?.clone())))
                .collect(),
        }
    }

    pub(super) fn apply(self, record: &mut Record) {
        for (field, value) in self.values {
            record.set(&field, value);
        }
    }
}

/// A plain password and its hash.
pub(super) struct Hashed {
    plain: String,
    hash: String,
}

/// Locks the account for its present password, whoever chose it. As only the hash is set, the rules for passwords that
/// people choose do not count.
pub(super) fn set_password_hash(record: &mut Record, hash: String) {
    record.set("password", Value::Text(hash));
    record.refresh_token_key();
}

/// bcrypt's cost that the collection asks for; 0: none.
fn cost_of(collection: &Collection) -> i64 {
    use crate::model::FieldKind;
    match collection.field("password").map(|field| &field.kind) {
        Some(FieldKind::Password(options)) => options.cost,
        _ => 0,
    }
}
