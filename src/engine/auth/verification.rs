//! Confirming that an e-mail address belongs to its record.

use std::sync::Arc;

use super::flow::{claim, email_error, find_by_email, refuse, set_password_hash, unverified_claim};
use crate::engine::checks::{all, required};
use crate::engine::mails::{Letter, Resend, log_failure};
use crate::engine::{Engine, Error};
use crate::model::{Collection, FieldError, Record, TokenKind};

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
        refuse(all([("email", email_error(email))]))?;
        let found = {
            let mut conn = self.read().await?;
            find_by_email(&mut conn, collection, email).await?
        };
        if let Some(record) = found
            && !record.flag("verified")
            && self.claim_resend(Resend::Verification, &record)
        {
            self.send_verification(record);
        }
        Ok(())
    }

    fn send_verification(&self, record: Record) {
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
        let record = match required(token) {
            Some(blank) => Err(blank),
            None => self.verified_by(collection, token).await?,
        };
        let record = match record {
            Ok(record) => record,
            Err(error) => return refuse(all([("token", Some(error))])),
        };
        if !record.flag("verified") {
            self.mark_verified(collection, token).await?;
        }
        self.release_resend(Resend::Verification, &record);
        Ok(())
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

    async fn mark_verified(&self, collection: &Collection, token: &str) -> Result<(), Error> {
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
        let change = Box::new(move |record: &mut Record, _: &_| {
            record.set("verified", true.into());
            if let Some(hash) = random {
                set_password_hash(record, hash);
            }
        });
        self.change_by_token(token, TokenKind::Verification, None, change)
            .await
            .map_err(|error| {
                error.or_message("An error occurred while saving the verified state.")
            })?;
        Ok(())
    }
}
