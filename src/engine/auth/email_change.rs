//! Changing the e-mail address: the new one is confirmed by a mail to it, and by the password.

use std::sync::Arc;

use super::flow::{Changes, email_error, find_by_email, refuse, unverified_claim};
use crate::engine::checks::{all, bytes_between, required};
use crate::engine::mails::Letter;
use crate::engine::{Engine, Error};
use crate::model::{Collection, FieldError, Record, TokenKind};
use crate::store::Conn;

/// What confirms a new e-mail address.
#[derive(Clone, Debug, Default)]
pub struct EmailChange {
    pub token: String,
    pub password: String,
}

impl Engine {
    /// Sends a mail to the address that a signed-in record wants, and waits until it is sent.
    ///
    /// # Errors
    /// `Validation` for an address that is none, the present one, or somebody else's; `BadRequest` when it cannot be sent.
    pub async fn request_email_change(
        &self,
        record: &Record,
        new_email: &str,
    ) -> Result<(), Error> {
        self.check_new_email(record, new_email).await?;
        self.send_email_change(record, new_email).await
    }

    /// Refuses an address that a record cannot have.
    ///
    /// # Errors
    /// `Validation` for an address that is none, the present one, or somebody else's.
    pub async fn check_new_email(&self, record: &Record, new_email: &str) -> Result<(), Error> {
        let error = match email_error(new_email) {
            Some(error) => Some(error),
            None => self.new_email_error(record, new_email).await?,
        };
        refuse(all([("newEmail", error)]))
    }

    /// Sends the mail that confirms a new address, and waits until it is sent.
    ///
    /// # Errors
    /// `BadRequest` when it cannot be sent.
    pub async fn send_email_change(&self, record: &Record, new_email: &str) -> Result<(), Error> {
        let letter = Letter::EmailChange { new_email };
        let sent = self.send_letter(record, letter).await;
        sent.map(drop).map_err(|error| {
            crate::engine::mails::log_failure("email change", record, &error);
            Error::bad_request("Failed to request email change.")
        })
    }

    async fn new_email_error(
        &self,
        record: &Record,
        new_email: &str,
    ) -> Result<Option<FieldError>, Error> {
        if new_email == record.text("email") {
            return Ok(Some(FieldError::new(
                "validation_not_in_invalid",
                "Must not be in list.",
            )));
        }
        let mut conn = self.read().await?;
        let owner = find_by_email(&mut conn, record.collection(), new_email).await?;
        Ok(owner
            .filter(|owner| owner.id() != record.id())
            .map(|_| FieldError::new("validation_invalid_new_email", "Invalid new email address.")))
    }

    /// Sets the address that the token names. The record's tokens end with it, this one among them.
    ///
    /// # Errors
    /// `Validation` by field, else what validation and hooks refuse.
    pub async fn confirm_email_change(
        &self,
        collection: &Arc<Collection>,
        form: &EmailChange,
    ) -> Result<(), Error> {
        let (record, new_email) = self.check_email_change(collection, form).await?;
        self.finish_email_change(form, record, new_email)
            .await
            .map(|_| ())
    }

    /// The record whose address a form may set, and the new address.
    ///
    /// # Errors
    /// `Validation` by field.
    pub async fn check_email_change(
        &self,
        collection: &Arc<Collection>,
        form: &EmailChange,
    ) -> Result<(Record, String), Error> {
        let record = if form.token.is_empty() {
            // Read by everybody as "Cannot be blank.".
            Err(crate::engine::checks::blank())
        } else {
            let mut conn = self.read().await?;
            self.record_of_change(&mut conn, collection, &form.token)
                .await?
        };
        let password =
            match required(&form.password).or_else(|| bytes_between(&form.password, 1, 100)) {
                Some(error) => Some(error),
                None => {
                    self.wrong_password(record.as_ref().ok(), &form.password)
                        .await?
                }
            };
        refuse(all([
            ("token", record.as_ref().err().cloned()),
            ("password", password),
        ]))?;
        let record = record.map_err(|_| Error::bad_request("Invalid or expired token."))?;
        Ok((record, unverified_claim(&form.token, "newEmail")))
    }

    /// As [`Engine::confirm_email_change`], after [`Engine::check_email_change`]; what else was changed of the record
    /// since then is stored with it.
    ///
    /// # Errors
    /// `BadRequest` for a token that was used meanwhile, else what validation and hooks refuse.
    pub async fn finish_email_change(
        &self,
        form: &EmailChange,
        record: Record,
        new_email: String,
    ) -> Result<Record, Error> {
        let hashed = self.hash_chosen(&record).await?;
        let changes = Changes::of(&record);
        let change = Box::new(move |record: &mut Record, _: &_| {
            changes.apply(record);
            record.set("email", new_email.as_str().into());
            record.set("verified", true.into());
        });
        self.change_by_token(&form.token, TokenKind::EmailChange, hashed, change)
            .await
            .map_err(|error| error.or_message("Failed to confirm email change."))
    }

    async fn record_of_change(
        &self,
        conn: &mut Conn,
        collection: &Arc<Collection>,
        token: &str,
    ) -> Result<Result<Record, FieldError>, Error> {
        let new_email = unverified_claim(token, "newEmail");
        if new_email.is_empty() {
            return Ok(Err(FieldError::new(
                "validation_invalid_token_payload",
                "Invalid token payload - newEmail must be set.",
            )));
        }
        let record = match self
            .check_token(conn, collection, token, TokenKind::EmailChange)
            .await?
        {
            Ok((record, _)) => record,
            Err(error) => return Ok(Err(error)),
        };
        if find_by_email(conn, collection, &new_email).await?.is_some() {
            return Ok(Err(FieldError::new(
                "validation_invalid_token_email",
                "The new email address is invalid.",
            )));
        }
        Ok(Ok(record))
    }

    /// What is wrong with the password; without a record every one is.
    async fn wrong_password(
        &self,
        record: Option<&Record>,
        password: &str,
    ) -> Result<Option<FieldError>, Error> {
        let fits = match record {
            None => false,
            Some(record) => self
                .passwords()
                .verify(record.text("password").to_owned(), password.to_owned())
                .await
                .map_err(|error| Error::Busy(error.to_string()))?,
        };
        Ok((!fits).then(|| {
            FieldError::new(
                "validation_invalid_password",
                "Missing or invalid auth record password.",
            )
        }))
    }
}
