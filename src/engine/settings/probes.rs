//! Trying out the mail server and the file storage of the settings.

use serde::Deserialize;

use crate::base::text::is_email;
use crate::engine::checks::{all, bytes_between, format_of, in_list, required};
use crate::engine::{Engine, Error};
use crate::model::FieldError;

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
        Err(Error::bad_request(format!(
            "{FAILED} Raw error: \nthis server cannot send mails yet."
        )))
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
