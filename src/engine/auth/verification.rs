//! Confirming that an e-mail address belongs to its record.

use std::sync::Arc;

use super::flow::{
    Changes, claim, email_error, find_by_email, refuse, set_password_hash, unverified_claim,
};
use crate::base::code::BODY_INVALID;
use crate::engine::checks::{all, required};
use crate::engine::mails::{Letter, Resend, log_failure};
use crate::engine::{Engine, Error};
use crate::model::{Collection, FieldError, Record, TokenKind, Value};

impl Engine {
    /// Sends a mail with a token that confirms the address, behind the request. Whether there is such an address, or a
    /// mail was sent less than two minutes ago, shows in nothing.
    ///
    /// # Errors
    /// `Validation` for what is no address, or those of the database.
    pub async fn request_verification(
        &self,
        collection: &Arc<Collection>,
        email: &str,
    ) -> Result<(), Error> {
        if let Some(record) = self.verification_receiver(collection, email).await? {
            self.send_verification(record);
        }
        Ok(())
    }

    /// Whom a verification mail would go to, if to anybody.
    ///
    /// # Errors
    /// `Validation` for what is no address, or those of the database.
    pub async fn verification_receiver(
        &self,
        collection: &Arc<Collection>,
        email: &str,
    ) -> Result<Option<Record>, Error> {
        refuse(all([("email", email_error(email))]))?;
        let mut conn = self.read().await?;
        let found = find_by_email(&mut conn, collection, email).await?;
        Ok(found.filter(|record| !self.holds_resend(Resend::Verification, record)))
    }

    /// Sends the mail behind the request, unless the address is verified or one was sent a moment ago.
    pub fn send_verification(&self, record: Record) {
        if record.flag("verified") || !self.claim_resend(Resend::Verification, &record) {
            return;
        }
        let (engine, receiver) = (self.clone(), record.clone());
        let taken = self.mail_later(async move {
            if let Err(error) = engine.send_letter(&receiver, Letter::Verification).await {
                log_failure("verification", &receiver, &error);
            }
        });
        if !taken {
            self.release_resend(Resend::Verification, &record);
        }
    }

    /// Marks the record of a token as verified.
    ///
    /// # Errors
    /// `Validation` for a token that is not valid here, else what validation and hooks refuse.
    pub async fn confirm_verification(
        &self,
        collection: &Arc<Collection>,
        token: &str,
    ) -> Result<(), Error> {
        let record = self.check_verification(collection, token).await?;
        self.finish_verification(token, record).await.map(|_| ())
    }

    /// The record whose address a token confirms.
    ///
    /// # Errors
    /// `Validation` for a token that is not valid here.
    pub async fn check_verification(
        &self,
        collection: &Arc<Collection>,
        token: &str,
    ) -> Result<Record, Error> {
        let record = match required(token) {
            Some(blank) => Err(blank),
            None => self.verified_by(collection, token).await?,
        };
        record.map_err(|error| Error::validation(BODY_INVALID, all([("token", Some(error))])))
    }

    /// Marks the record of a token as verified, with what else was changed of it since it was checked. Gives it as it is
    /// then.
    ///
    /// # Errors
    /// `BadRequest` for a token that was used meanwhile, else what validation and hooks refuse.
    pub async fn finish_verification(&self, token: &str, record: Record) -> Result<Record, Error> {
        let before = record.original("verified");
        let verified = if before == Some(&Value::Bool(true)) {
            record
        } else {
            self.mark_verified(&record, token).await?
        };
        self.release_resend(Resend::Verification, &verified);
        Ok(verified)
    }

    async fn verified_by(
        &self,
        collection: &Collection,
        token: &str,
    ) -> Result<Result<Record, FieldError>, Error> {
        if unverified_claim(token, "email").is_empty() {
            return Ok(Err(FieldError::new(
                "validation_invalid_token_claims",
                "Missing email token claim.",
            )));
        }
        let mut conn = self.read().await?;
        let found = self
            .check_token(&mut conn, collection, token, TokenKind::Verification)
            .await?;
        Ok(found.and_then(|(record, claims)| {
            if record.text("email") == claim(&claims, "email") {
                Ok(record)
            } else {
                Err(FieldError::new(
                    "validation_token_email_mismatch",
                    "The record email doesn't match with the requested token claims.",
                ))
            }
        }))
    }

    async fn mark_verified(&self, record: &Record, token: &str) -> Result<Record, Error> {
        let collection = record.collection();
        // A password that somebody set before the owner of the address came must not work once passwords are allowed.
        let with_passwords = collection
            .auth
            .as_ref()
            .is_some_and(|auth| auth.password_auth.enabled);
        let random = if with_passwords {
            None
        } else {
            Some(self.random_password_hash(collection).await?)
        };
        let hashed = self.hash_chosen(record).await?;
        let changes = Changes::of(record);
        let change = Box::new(move |record: &mut Record, _: &_| {
            changes.apply(record);
            record.set("verified", true.into());
            if let Some(hash) = random {
                set_password_hash(record, hash);
            }
        });
        self.change_by_token(token, TokenKind::Verification, hashed, change)
            .await
            .map_err(|error| error.or_message("An error occurred while saving the verified state."))
    }
}
