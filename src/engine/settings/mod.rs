//! PocketBase's application settings: one row of `_params`, kept in memory, changed by superusers.
//!
//! What is stored is taken as it is: a directory whose settings would not pass validation must still open. Only changes
//! are validated.

mod addresses;
mod apple;
mod kept;
pub mod own;
mod probes;
mod validate;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::events::EventKind;
use super::{Engine, Error};
use crate::base::cipher;
use crate::base::code::BODY_UNREADABLE;
use crate::store::{Conn, Tx, params};

pub use apple::AppleClientSecret;
pub use own::{OwnSettings, Payments, RoomLimits};
pub use probes::{MailProbe, StorageProbe};

/// The id of the row in `_params`.
const ROW: &str = "settings";

/// The application settings, members in PocketBase's order. `Default` is what a new data directory starts with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Addresses and subnets (CIDR) superusers may come from; empty: any.
    #[serde(rename = "superuserIPs")]
    pub superuser_ips: Vec<String>,
    pub smtp: SmtpConfig,
    pub backups: BackupsConfig,
    /// Storage of uploaded files.
    pub s3: S3Config,
    pub meta: MetaConfig,
    pub rate_limits: RateLimitsConfig,
    pub trusted_proxy: TrustedProxyConfig,
    pub batch: BatchConfig,
    pub logs: LogsConfig,
}

/// The mail server. `tls` means TLS from the start; otherwise STARTTLS is used when offered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SmtpConfig {
    pub enabled: bool,
    pub port: i64,
    pub host: String,
    pub username: String,
    pub password: String,
    /// `PLAIN`, `LOGIN` or empty, which means `PLAIN`.
    pub auth_method: String,
    pub tls: bool,
    /// The name given in EHLO; empty: `localhost`.
    pub local_name: String,
}

/// Scheduled backups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupsConfig {
    /// A cron expression; empty: none.
    pub cron: String,
    /// How many scheduled backups are kept.
    pub cron_max_keep: i64,
    pub s3: S3Config,
}

/// An S3-compatible bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct S3Config {
    pub enabled: bool,
    pub bucket: String,
    pub region: String,
    pub endpoint: String,
    pub access_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secret: String,
    pub force_path_style: bool,
}

/// What mails and the dashboard say about the application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetaConfig {
    /// `#rrggbb`.
    pub accent_color: String,
    pub app_name: String,
    #[serde(rename = "appURL")]
    pub app_url: String,
    pub sender_name: String,
    pub sender_address: String,
    pub hide_controls: bool,
}

/// Limits on the number of requests by label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimitsConfig {
    pub rules: Vec<RateLimitRule>,
    /// Addresses and subnets without limits.
    #[serde(rename = "excludedIPs")]
    pub excluded_ips: Vec<String>,
    pub enabled: bool,
}

/// At most `max_requests` in `duration` seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimitRule {
    /// A tag, `collection:action`, `*:action`, or a path with an optional method; a path ending in `/` is a prefix.
    pub label: String,
    /// `@guest`, `@auth` or empty for both.
    pub audience: String,
    pub duration: i64,
    pub max_requests: i64,
}

/// Where the client's address comes from behind a reverse proxy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrustedProxyConfig {
    pub headers: Vec<String>,
    #[serde(rename = "useLeftmostIP")]
    pub use_leftmost_ip: bool,
}

/// Limits of `/api/batch`; `timeout` in seconds, `max_body_size` in bytes (0: the default).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchConfig {
    pub enabled: bool,
    pub max_requests: i64,
    pub timeout: i64,
    pub max_body_size: i64,
}

/// What is logged and for how many days; 0 days: nothing is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogsConfig {
    /// Bytes of an entry's data (0: the default).
    pub max_data_size: i64,
    pub max_days: i64,
    /// -4 debug, 0 info, 4 warning, 8 error.
    pub min_level: i64,
    #[serde(rename = "logIP")]
    pub log_ip: bool,
    pub log_auth_id: bool,
}

impl Default for SmtpConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            port: 587,
            host: "smtp.example.com".to_owned(),
            username: String::new(),
            password: String::new(),
            auth_method: String::new(),
            tls: false,
            local_name: String::new(),
        }
    }
}

impl Default for BackupsConfig {
    fn default() -> Self {
        Self {
            cron: String::new(),
            cron_max_keep: 3,
            s3: S3Config::default(),
        }
    }
}

impl Default for MetaConfig {
    fn default() -> Self {
        Self {
            accent_color: "#1055c9".to_owned(),
            app_name: "Acme".to_owned(),
            app_url: "http://localhost:8090".to_owned(),
            sender_name: "Support".to_owned(),
            sender_address: "support@example.com".to_owned(),
            hide_controls: false,
        }
    }
}

impl Default for RateLimitsConfig {
    fn default() -> Self {
        let rule = |label: &str, max_requests, duration| RateLimitRule {
            label: label.to_owned(),
            audience: String::new(),
            duration,
            max_requests,
        };
        Self {
            rules: vec![
                rule("*:auth", 2, 3),
                rule("*:create", 20, 5),
                rule("/api/batch", 3, 1),
                rule("/api/", 300, 10),
            ],
            excluded_ips: Vec::new(),
            enabled: false,
        }
    }
}

impl RateLimitsConfig {
    /// Whether the limits do not hold for this address.
    #[must_use]
    pub fn excludes(&self, address: &str) -> bool {
        addresses::any_contains(&self.excluded_ips, address)
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            max_requests: 50,
            timeout: 3,
            max_body_size: 0,
        }
    }
}

impl Default for LogsConfig {
    fn default() -> Self {
        Self {
            max_data_size: 0,
            max_days: 5,
            min_level: 0,
            log_ip: true,
            log_auth_id: false,
        }
    }
}

impl Settings {
    /// Reads the stored row; the defaults when there is none.
    ///
    /// # Errors
    /// When the row is neither JSON nor text that the key decrypts to JSON.
    pub async fn load(conn: &mut Conn, key: Option<&str>) -> Result<Self, Error> {
        match params::get(conn, ROW).await? {
            Some(raw) => Self::from_row(&raw, key),
            None => Ok(Self::default()),
        }
    }

    fn from_row(raw: &[u8], key: Option<&str>) -> Result<Self, Error> {
        if let Ok(stored) = serde_json::from_slice::<Json>(raw)
            && stored.is_object()
        {
            return Self::default().merged(&stored).map_err(unreadable);
        }
        let key = key.ok_or_else(|| {
            Error::Internal(
                "the settings are encrypted and no encryption key is set".to_owned(),
                None,
            )
        })?;
        let text = String::from_utf8_lossy(raw);
        let plain = cipher::decrypt(&text, key)
            .map_err(|cause| Error::internal("the settings cannot be decrypted", cause))?;
        let stored: Json = serde_json::from_slice(&plain).map_err(unreadable)?;
        Self::default().merged(&stored).map_err(unreadable)
    }

    /// The bytes of the row: plain JSON with the secrets, encrypted when there is a key.
    ///
    /// # Errors
    /// When the key has not 32 characters.
    fn to_row(&self, key: Option<&str>) -> Result<Vec<u8>, Error> {
        let plain = serde_json::to_vec(self)
            .map_err(|cause| Error::internal("the settings cannot be written", cause))?;
        match key {
            None => Ok(plain),
            Some(key) => cipher::encrypt(&plain, key)
                .map(String::into_bytes)
                .map_err(|cause| Error::internal("the settings cannot be encrypted", cause)),
        }
    }

    /// The settings as clients see them: without passwords and secrets.
    #[must_use]
    pub fn as_json(&self) -> Json {
        let mut masked = self.clone();
        masked.s3.secret.clear();
        masked.backups.s3.secret.clear();
        let mut json = serde_json::to_value(&masked).unwrap_or_default();
        if let Some(Json::Object(smtp)) = json.get_mut("smtp") {
            smtp.shift_remove("password");
        }
        json
    }

    /// Whether a superuser may come from this address.
    #[must_use]
    pub fn superuser_ip_allowed(&self, address: &str) -> bool {
        self.superuser_ips.is_empty() || addresses::any_contains(&self.superuser_ips, address)
    }

    /// These settings with the members of `patch` laid over; lists are replaced as a whole, unknown members ignored.
    ///
    /// # Errors
    /// When a member has another type.
    fn merged(&self, patch: &Json) -> Result<Self, serde_json::Error> {
        let mut whole = serde_json::to_value(self)?;
        overlay(&mut whole, patch);
        serde_json::from_value(whole)
    }

    /// Renames a collection in the labels of the rate limits; tells whether there was anything to rename.
    pub(super) fn rename_collection(&mut self, old: &str, new: &str) -> bool {
        let mut changed = false;
        for rule in &mut self.rate_limits.rules {
            let action = rule
                .label
                .strip_prefix(old)
                .and_then(|rest| rest.strip_prefix(':'));
            if let Some(action) = action {
                rule.label = format!("{new}:{action}");
                changed = true;
            }
        }
        changed
    }

    /// Writes the row. The caller publishes the settings after the commit.
    ///
    /// # Errors
    /// Those of the database and of a key that is not valid.
    pub(super) async fn save(&self, engine: &Engine, conn: &mut Conn) -> Result<(), Error> {
        let row = self.to_row(engine.encryption_key())?;
        params::set(conn, ROW, &row, &engine.now().to_string()).await?;
        Ok(())
    }
}

fn unreadable(cause: serde_json::Error) -> Error {
    Error::internal("the stored settings cannot be read", cause)
}

/// Lays `patch` over `base`. A null empties what it stands for, as PocketBase 0.40 does.
fn overlay(base: &mut Json, patch: &Json) {
    match (base, patch) {
        (Json::Object(base), Json::Object(patch)) => {
            for (name, value) in patch {
                match base.get_mut(name) {
                    Some(member) => overlay(member, value),
                    // Secrets are left out of the base when they are empty.
                    None => {
                        base.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (base, Json::Null) => clear(base),
        (base, patch) => *base = patch.clone(),
    }
}

fn clear(value: &mut Json) {
    match value {
        Json::Object(members) => members.values_mut().for_each(clear),
        Json::Array(items) => items.clear(),
        Json::String(text) => text.clear(),
        Json::Number(number) => *number = 0.into(),
        Json::Bool(flag) => *flag = false,
        Json::Null => {}
    }
}

impl Engine {
    /// Changes the settings by a partial object; they apply at once.
    ///
    /// # Errors
    /// `BadRequest` for members of another type, `Validation` for refused values.
    pub async fn update_settings(&self, patch: Map<String, Json>) -> Result<Arc<Settings>, Error> {
        let patch = Json::Object(patch);
        let engine = self.clone();
        // Exclusive, so that of two changes at the same time the second builds on the first.
        self.store()
            .write_exclusive(move |tx| {
                Box::pin(async move {
                    let settings = engine.patched_settings(&patch)?;
                    engine.save_settings(tx, settings).await
                })
            })
            .await
    }

    /// The present settings with a partial object laid over, not checked and not saved.
    ///
    /// # Errors
    /// `BadRequest` for members of another type.
    pub fn patched_settings(&self, patch: &Json) -> Result<Settings, Error> {
        self.settings()
            .merged(patch)
            .map_err(|_| Error::bad_request(BODY_UNREADABLE))
    }

    /// Puts settings in place of the present ones.
    ///
    /// # Errors
    /// `Validation` for refused values.
    pub async fn replace_settings(&self, settings: Settings) -> Result<Arc<Settings>, Error> {
        let engine = self.clone();
        self.store()
            .write_exclusive(move |tx| {
                Box::pin(async move { engine.save_settings(tx, settings).await })
            })
            .await
    }

    /// As [`Engine::replace_settings`], inside a transaction; they apply once it commits.
    ///
    /// # Errors
    /// As [`Engine::replace_settings`].
    pub async fn save_settings(
        &self,
        tx: &mut Tx,
        settings: Settings,
    ) -> Result<Arc<Settings>, Error> {
        Self::validate_settings(&settings)?;
        settings.save(self, tx).await?;
        self.publish_settings(tx, settings.clone());
        Ok(Arc::new(settings))
    }

    /// Checks settings.
    ///
    /// # Errors
    /// `Validation` for refused values.
    pub fn validate_settings(settings: &Settings) -> Result<(), Error> {
        settings.validate().into_result().map_err(|fields| {
            Error::validation("An error occurred while saving the new settings.", fields)
        })
    }

    /// Lets saved settings apply once the transaction commits, and tells of it.
    pub(super) fn publish_settings(&self, tx: &mut Tx, settings: Settings) {
        let engine = self.clone();
        tx.on_commit(Box::new(move || engine.set_settings(settings)));
        let kind = EventKind::SettingsReload;
        if !self.interceptors().handlers(kind, None).is_empty() {
            let engine = self.clone();
            tx.after_commit(Box::pin(async move {
                if let Err(error) = engine.announce(kind, &[]).await {
                    tracing::warn!(%error, "a handler of changed settings failed");
                }
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_keep_their_order_and_secrets_stay_inside() {
        let mut settings = Settings::default();
        settings.smtp.password = "hush".into();
        settings.s3.secret = "hush".into();
        settings.backups.s3.secret = "hush".into();
        let text = settings.as_json().to_string();
        assert!(!text.contains("hush") && !text.contains("password") && !text.contains("secret"));
        let start = r#"{"superuserIPs":[],"smtp":{"enabled":false,"port":587,"host":"smtp.example.com","username":"","authMethod":"","tls":false,"localName":""},"backups":{"cron":"","cronMaxKeep":3,"s3":{"enabled":false,"bucket":"","region":"","endpoint":"","accessKey":"","forcePathStyle":false}},"s3":{"#;
        assert!(text.starts_with(start), "{text}");
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let mut settings = Settings::default();
        settings.smtp.password = "old".into();
        let patch = json!({"meta": {"appName": "x"}, "s3": {"secret": "s"}, "unknown": 1});
        let patched = settings.merged(&patch).unwrap();
        assert_eq!(patched.meta.app_name, "x");
        assert_eq!(patched.s3.secret, "s");
        assert_eq!(patched.smtp.password, "old");
        assert_eq!(patched.meta.app_url, settings.meta.app_url);
    }

    #[test]
    fn null_empties_and_wrong_types_are_refused() {
        let settings = Settings::default();
        let patched = settings
            .merged(&json!({"rateLimits": {"rules": null}, "meta": null}))
            .unwrap();
        assert!(patched.rate_limits.rules.is_empty());
        assert!(patched.meta.app_name.is_empty());
        assert!(settings.merged(&json!({"smtp": {"port": "12"}})).is_err());
        assert!(settings.merged(&json!({"smtp": {"port": 12.5}})).is_err());
    }

    #[test]
    fn stored_settings_load_without_validation_plain_or_encrypted() {
        const KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";
        let raw = br#"{"rateLimits":{"rules":[{"label":"x","maxRequests":0}]}}"#;
        let loaded = Settings::from_row(raw, None).unwrap();
        assert_eq!(loaded.rate_limits.rules[0].max_requests, 0);
        let row = loaded.to_row(Some(KEY)).unwrap();
        assert_eq!(Settings::from_row(&row, Some(KEY)).unwrap(), loaded);
        assert!(Settings::from_row(&row, None).is_err());
    }

    #[test]
    fn rate_limits_follow_a_renamed_collection() {
        let mut settings = Settings::default();
        settings.rate_limits.rules[0].label = "demo:create".into();
        assert!(settings.rename_collection("demo", "other"));
        assert!(!settings.rename_collection("demo", "other"));
        assert_eq!(settings.rate_limits.rules[0].label, "other:create");
    }
}
