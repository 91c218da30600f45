//! Sign-in with an identity and a password.

use std::sync::Arc;

use crate::base::password::{self, PasswordError, Scheme};
use crate::base::text::is_email;
use crate::engine::{Engine, Error};
use crate::model::{Collection, Record, Value};
use crate::store::{Conn, records};

/// Who wants to sign in.
#[derive(Clone, Debug)]
pub struct PasswordSignIn {
    pub identity: String,
    pub password: String,
    /// The field to look in, or empty for any of the collection's identity fields.
    pub identity_field: String,
}

impl Engine {
    /// The auth record that identity and password fit; `None` when they do not. Takes as long for unknown identities.
    ///
    /// # Errors
    /// `Busy` when too many sign-ins wait, or those of the database.
    pub async fn password_record(
        &self,
        collection: &Arc<Collection>,
        form: &PasswordSignIn,
    ) -> Result<Option<Record>, Error> {
        let found = self.identified_record(collection, form).await?;
        self.check_password(found, &form.password).await
    }

    /// The auth record of an identity, before its password is looked at.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn identified_record(
        &self,
        collection: &Arc<Collection>,
        form: &PasswordSignIn,
    ) -> Result<Option<Record>, Error> {
        let mut conn = self.store().read().await?;
        find_identity(&mut conn, collection, form).await
    }

    /// The record, if there is one and the password is its; takes as long for none.
    ///
    /// # Errors
    /// `Busy` when too many sign-ins wait, or those of the database.
    pub async fn check_password(
        &self,
        found: Option<Record>,
        password: &str,
    ) -> Result<Option<Record>, Error> {
        let busy = |error: PasswordError| Error::Busy(error.to_string());
        let Some(record) = found else {
            self.passwords()
                .verify_dummy(password.to_owned(), self.scheme(0))
                .await
                .map_err(busy)?;
            return Ok(None);
        };
        let hash = record.text("password").to_owned();
        let fits = self
            .passwords()
            .verify(hash.clone(), password.to_owned())
            .await
            .map_err(busy)?;
        if !fits {
            return Ok(None);
        }
        if self.rehashes() && password::needs_rehash(&hash, Scheme::Argon2id) {
            return self.rehash(record, password.to_owned()).await.map(Some);
        }
        Ok(Some(record))
    }

    /// Stores a stronger hash of the same password. The token key stays, so sessions go on.
    async fn rehash(&self, mut record: Record, plain: String) -> Result<Record, Error> {
        let hash = self.hash_password(&plain, 0).await?;
        let collection = Arc::clone(record.collection());
        let (id, old) = (record.id().to_owned(), record.text("password").to_owned());
        let new = hash.clone();
        let engine = self.clone();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    records::replace_text(tx, &collection, &id, "password", &old, &new).await?;
                    tx.on_commit(Box::new(move || engine.auth_cache().clear()));
                    Ok::<(), Error>(())
                })
            })
            .await?;
        record.set("password", Value::Text(hash));
        record.mark_saved();
        Ok(record)
    }

    /// Hashes a password as this data directory wants it; `cost` is bcrypt's, where bcrypt stays in use.
    pub(in crate::engine) async fn hash_password(
        &self,
        plain: &str,
        cost: i64,
    ) -> Result<String, Error> {
        self.passwords()
            .hash(plain.to_owned(), self.scheme(cost))
            .await
            .map_err(|error| match error {
                PasswordError::Busy => Error::Busy(error.to_string()),
                PasswordError::Unhashable => Error::bad_request(error.to_string()),
            })
    }

    fn scheme(&self, cost: i64) -> Scheme {
        if self.rehashes() {
            return Scheme::Argon2id;
        }
        let cost = u32::try_from(cost).ok().filter(|cost| *cost > 0);
        Scheme::Bcrypt {
            cost: cost.unwrap_or(BCRYPT_COST),
        }
    }
}

/// What PocketBase uses where a field says nothing.
const BCRYPT_COST: u32 = 10;

async fn find_identity(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    form: &PasswordSignIn,
) -> Result<Option<Record>, Error> {
    let Some(auth) = collection.auth.as_ref() else {
        return Ok(None);
    };
    let mut fields: Vec<&str> = auth
        .password_auth
        .identity_fields
        .iter()
        .map(String::as_str)
        .filter(|field| form.identity_field.is_empty() || *field == form.identity_field)
        .collect();
    // The e-mail address first: it is the identity people mean when it could be several.
    fields.sort_by_key(|field| *field != "email");
    for field in fields {
        if form.identity_field.is_empty() && field == "email" && !is_email(&form.identity) {
            continue;
        }
        let Some(index) = collection.unique_index(field) else {
            continue;
        };
        let ignore_case = index
            .columns
            .iter()
            .any(|column| column.collate.eq_ignore_ascii_case("nocase"));
        let value = Value::from(form.identity.as_str());
        let found = if ignore_case {
            records::find_ignoring_case(conn, collection, field, &value).await?
        } else {
            records::find_by_field(conn, collection, field, &value).await?
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
