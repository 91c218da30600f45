//! A new password for those who forgot theirs.

use std::sync::Arc;

use super::flow::{Changes, claim, email_error, find_by_email, refuse};
use crate::engine::checks::{all, bytes_between, required};
use crate::engine::mails::{Letter, Resend, log_failure};
use crate::engine::{Engine, Error};
use crate::model::{Collection, FieldError, FieldKind, Record, TokenKind};

/// What confirms a password reset.
#[derive(Clone, Debug, Default)]
pub struct PasswordReset {
    pub token: String,
    pub password: String,
    pub password_confirm: String,
}

impl Engine {
    /// Sends a mail with a token that lets its receiver set a new password, behind the request. Whether there is such an
    /// address, or a mail was sent less than two minutes ago, shows in nothing.
    ///
    /// # Errors
    /// `Validation` for what is no address, or those of the database.
    pub async fn request_password_reset(
        &self,
        collection: &Arc<Collection>,
        email: &str,
    ) -> Result<(), Error> {
        if let Some(record) = self.password_reset_receiver(collection, email).await? {
            self.send_password_reset(record);
        }
        Ok(())
    }

    /// Whom a mail for a new password would go to, if to anybody.
    ///
    /// # Errors
    /// `Validation` for what is no address, or those of the database.
    pub async fn password_reset_receiver(
        &self,
        collection: &Arc<Collection>,
        email: &str,
    ) -> Result<Option<Record>, Error> {
        refuse(all([("email", email_error(email))]))?;
        let mut conn = self.read().await?;
        let found = find_by_email(&mut conn, collection, email).await?;
        Ok(found.filter(|record| !self.holds_resend(Resend::PasswordReset, record)))
    }

    /// Sends the mail behind the request, unless one was sent a moment ago.
    pub fn send_password_reset(&self, record: Record) {
        if !self.claim_resend(Resend::PasswordReset, &record) {
            return;
        }
        let (engine, receiver) = (self.clone(), record.clone());
        let taken = self.mail_later(async move {
            if let Err(error) = engine.send_letter(&receiver, Letter::PasswordReset).await {
                engine.release_resend(Resend::PasswordReset, &receiver);
                log_failure("password reset", &receiver, &error);
            }
        });
        if !taken {
            self.release_resend(Resend::PasswordReset, &record);
        }
    }

    /// Sets the new password. Who received the mail owns the address, so the record counts as verified. The record's
    /// tokens end with it, this one among them.
    ///
    /// # Errors
    /// `Validation` by field, else what hooks refuse.
    pub async fn confirm_password_reset(
        &self,
        collection: &Arc<Collection>,
        form: &PasswordReset,
    ) -> Result<(), Error> {
        let record = self.check_password_reset(collection, form).await?;
        self.finish_password_reset(form, record).await.map(|_| ())
    }

    /// As [`Engine::confirm_password_reset`], after [`Engine::check_password_reset`] has given the record; what else was
    /// changed of it since then is stored with it.
    ///
    /// # Errors
    /// `BadRequest` for a token that was used meanwhile, `Validation` of the password, else what hooks refuse.
    pub async fn finish_password_reset(
        &self,
        form: &PasswordReset,
        record: Record,
    ) -> Result<Record, Error> {
        const FAILED: &str = "Failed to set new password.";
        // Hashing is for passwords that will be taken.
        let mut trial = record.clone();
        trial.set_password("password", &form.password);
        trial
            .validate()
            .map_err(|fields| Error::validation(FAILED, fields))?;
        let hashed = self.hash_for(record.collection(), &form.password).await?;
        let changes = Changes::of(&record);
        let change = Box::new(move |record: &mut Record, claims: &_| {
            changes.apply(record);
            if record.text("email") == claim(claims, "email") {
                record.set("verified", true.into());
            }
        });
        let hashed = Some(hashed);
        let saved = self
            .change_by_token(&form.token, TokenKind::PasswordReset, hashed, change)
            .await
            .map_err(|error| error.or_message(FAILED))?;
        self.release_resend(Resend::PasswordReset, &record);
        Ok(saved)
    }

    /// The record whose password a form may set.
    ///
    /// # Errors
    /// `Validation` by field.
    pub async fn check_password_reset(
        &self,
        collection: &Arc<Collection>,
        form: &PasswordReset,
    ) -> Result<Record, Error> {
        let token = match required(&form.token) {
            Some(blank) => Err(blank),
            None => {
                let mut conn = self.read().await?;
                self.check_token(&mut conn, collection, &form.token, TokenKind::PasswordReset)
                    .await?
            }
        };
        let password = required(&form.password)
            .or_else(|| bytes_between(&form.password, shortest_password(collection), 255));
        let confirm = required(&form.password_confirm).or_else(|| {
            (form.password_confirm != form.password)
                .then(|| FieldError::new("validation_values_mismatch", "Values don't match."))
        });
        refuse(all([
            ("token", token.as_ref().err().cloned()),
            ("password", password),
            ("passwordConfirm", confirm),
        ]))?;
        token
            .map(|(record, _)| record)
            .map_err(|_| Error::bad_request("Invalid or expired password reset token."))
    }
}

/// The least bytes a password needs here; the field's own check counts characters.
fn shortest_password(collection: &Collection) -> usize {
    match collection.field("password").map(|field| &field.kind) {
        Some(FieldKind::Password(options)) => usize::try_from(options.min).unwrap_or(1).max(1),
        _ => 1,
    }
}
