//! Trying out the mail server and the file storage of the settings.

use std::sync::Arc;

use serde::Deserialize;

use crate::base::text::is_email;
use crate::engine::checks::{all, bytes_between, format_of, in_list, required};
use crate::engine::mails::Letter;
use crate::engine::{Engine, Error};
use crate::model::{FieldError, Record};

/// Which storage to try: `storage` or `backups`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct StorageProbe {
    pub filesystem: String,
}

/// Which mail to send to whom. Without a collection the superusers' mail is sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MailProbe {
    pub email: String,
    pub template: String,
    pub collection: String,
}

impl StorageProbe {
    /// # Errors
    /// `Validation` for another name, `BadRequest` when the storage is not S3 or cannot be tried.
    pub async fn run(&self, engine: &Engine) -> Result<(), Error> {
        const FAILED: &str = "Failed to test the S3 filesystem.";
        let name = required(&self.filesystem)
            .or_else(|| in_list(&self.filesystem, &["storage", "backups"]));
        all([("filesystem", name)])
            .into_result()
            .map_err(|fields| Error::validation(FAILED, fields))?;
        let settings = engine.settings();
        let s3 = if self.filesystem == "backups" {
            &settings.backups.s3
        } else {
            &settings.s3
        };
        let reason = if s3.enabled {
            "this server cannot reach S3 storage yet."
        } else {
            "S3 storage filesystem is not enabled."
        };
        Err(Error::bad_request(format!(
            "{FAILED} Raw error: \n{reason}"
        )))
    }
}

impl MailProbe {
    /// # Errors
    /// `Validation` by field, `BadRequest` when the mail cannot be sent.
    pub async fn run(&self, engine: &Engine) -> Result<(), Error> {
        const FAILED: &str = "Failed to send the test email.";
        const TEMPLATES: [&str; 5] = [
            "verification",
            "password-reset",
            "email-change",
            "otp",
            "login-alert",
        ];
        let collection =
            bytes_between(&self.collection, 1, 255).or_else(|| self.not_an_auth_collection(engine));
        let email = required(&self.email)
            .or_else(|| bytes_between(&self.email, 1, 255))
            .or_else(|| format_of(&self.email, is_email, "email"));
        let template = required(&self.template).or_else(|| in_list(&self.template, &TEMPLATES));
        all([
            ("collection", collection),
            ("email", email),
            ("template", template),
        ])
        .into_result()
        .map_err(|fields| Error::validation(FAILED, fields))?;
        let record = self.made_up_record(engine)?;
        let info = format!("{} - TEST_IP TEST_USER_AGENT", engine.now());
        let letter = match self.template.as_str() {
            "password-reset" => Letter::PasswordReset,
            "email-change" => Letter::EmailChange {
                new_email: &self.email,
            },
            "otp" => Letter::Otp {
                id: "_PB_TEST_OTP_ID_",
                password: "123456",
            },
            "login-alert" => Letter::AuthAlert { info: &info },
            _ => Letter::Verification,
        };
        let sent = engine.send_letter(&record, letter).await;
        sent.map(drop).map_err(|error| {
            Error::bad_request(format!("{FAILED} Raw error: \n{}", error.reason()))
        })
    }

    /// A record that was never stored, with a text of its own in each field that a template may show.
    fn made_up_record(&self, engine: &Engine) -> Result<Record, Error> {
        let name = match self.collection.as_str() {
            "" => "_superusers",
            name => name,
        };
        let collection = engine.collection(name)?;
        let mut record = Record::new(Arc::clone(&collection));
        for field in collection.fields().iter().filter(|field| !field.hidden) {
            let text = format!("__pb_test_{}__", field.name);
            record.apply_key(&field.name, &text.into());
        }
        record.refresh_token_key();
        record.set("email", self.email.as_str().into());
        Ok(record)
    }

    fn not_an_auth_collection(&self, engine: &Engine) -> Option<FieldError> {
        let known = self.collection.is_empty()
            || engine
                .schema()
                .find(&self.collection)
                .is_some_and(|collection| collection.is_auth());
        (!known).then(|| {
            FieldError::new(
                "validation_invalid_auth_collection",
                "Must be a valid auth collection id or name.",
            )
        })
    }
}
