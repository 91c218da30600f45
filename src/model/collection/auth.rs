//! The options of auth collections.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// The purposes a token is signed for; each has a secret and a lifetime of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    Auth,
    File,
    Verification,
    PasswordReset,
    EmailChange,
}

impl TokenKind {
    /// The `type` claim.
    #[must_use]
    pub fn claim(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::File => "file",
            Self::Verification => "verification",
            Self::PasswordReset => "passwordReset",
            Self::EmailChange => "emailChange",
        }
    }
}

/// The secret part of a token key and the lifetime in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenConfig {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secret: String,
    pub duration: i64,
}

/// The options of an auth collection, in PocketBase's member order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthOptions {
    pub auth_rule: Option<String>,
    pub manage_rule: Option<String>,
    pub auth_alert: AuthAlertConfig,
    pub oauth2: OAuth2Config,
    pub password_auth: PasswordAuthConfig,
    pub mfa: MfaConfig,
    pub otp: OtpConfig,
    pub auth_token: TokenConfig,
    pub password_reset_token: TokenConfig,
    pub email_change_token: TokenConfig,
    pub verification_token: TokenConfig,
    pub file_token: TokenConfig,
    pub verification_template: EmailTemplate,
    pub reset_password_template: EmailTemplate,
    pub confirm_email_change_template: EmailTemplate,
}

impl AuthOptions {
    #[must_use]
    pub fn token(&self, kind: TokenKind) -> &TokenConfig {
        match kind {
            TokenKind::Auth => &self.auth_token,
            TokenKind::File => &self.file_token,
            TokenKind::Verification => &self.verification_token,
            TokenKind::PasswordReset => &self.password_reset_token,
            TokenKind::EmailChange => &self.email_change_token,
        }
    }
}

/// Subject and HTML body with `{PLACEHOLDERS}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EmailTemplate {
    pub subject: String,
    pub body: String,
}

/// Mail on a sign-in from a new place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthAlertConfig {
    pub enabled: bool,
    pub email_template: EmailTemplate,
}

/// Sign-in with an identity field and a password.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PasswordAuthConfig {
    pub enabled: bool,
    pub identity_fields: Vec<String>,
}

/// Multi-factor sign-in; `duration` in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MfaConfig {
    pub enabled: bool,
    pub duration: i64,
    pub rule: String,
}

/// One-time passwords; `duration` in seconds, `length` in digits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OtpConfig {
    pub enabled: bool,
    pub duration: i64,
    pub length: i64,
    pub email_template: EmailTemplate,
}

/// OAuth2 sign-in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OAuth2Config {
    pub providers: Vec<OAuth2Provider>,
    pub mapped_fields: OAuth2MappedFields,
    pub enabled: bool,
}

/// Which record fields take the provider's user data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OAuth2MappedFields {
    pub id: String,
    pub name: String,
    pub username: String,
    #[serde(rename = "avatarURL")]
    pub avatar_url: String,
}

/// A provider with its credentials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OAuth2Provider {
    pub pkce: Option<bool>,
    pub name: String,
    pub client_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_secret: String,
    #[serde(rename = "authURL")]
    pub auth_url: String,
    #[serde(rename = "tokenURL")]
    pub token_url: String,
    #[serde(rename = "userInfoURL")]
    pub user_info_url: String,
    pub display_name: String,
    pub extra: Option<serde_json::Map<String, serde_json::Value>>,
}

impl AuthOptions {
    /// The options as JSON, secrets included, in PocketBase's member order.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Json> {
        let Ok(Json::Object(mut object)) = serde_json::to_value(self) else {
            return Map::new();
        };
        let providers = object
            .get_mut("oauth2")
            .and_then(|oauth2| oauth2.get_mut("providers"))
            .and_then(Json::as_array_mut);
        for provider in providers.into_iter().flatten() {
            if let Some(extra) = provider.get_mut("extra").filter(|extra| extra.is_null()) {
                *extra = Json::Object(Map::new());
            }
        }
        object
    }

    /// A copy without token secrets and client secrets.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let mut copy = self.clone();
        for token in [
            &mut copy.auth_token,
            &mut copy.password_reset_token,
            &mut copy.email_change_token,
            &mut copy.verification_token,
            &mut copy.file_token,
        ] {
            token.secret.clear();
        }
        for provider in &mut copy.oauth2.providers {
            provider.client_secret.clear();
        }
        copy
    }

    /// Takes over the members that `body` has; what it leaves out stays, secrets among it. Null resets a member
    /// to its zero value. A provider of a known name keeps what its entry leaves out.
    ///
    /// # Errors
    /// A member has the wrong JSON type; the options are unchanged then.
    pub fn merge_json(&mut self, body: &Map<String, Json>) -> Result<(), String> {
        let mut merged = self.to_json();
        merge_members(&mut merged, body);
        let mut read: Self =
            serde_json::from_value(Json::Object(merged)).map_err(|error| error.to_string())?;
        for extra in read
            .oauth2
            .providers
            .iter_mut()
            .filter_map(|provider| provider.extra.as_mut())
        {
            extra.sort_keys();
        }
        *self = read;
        Ok(())
    }
}

/// Null takes a member away, so that it reads as its zero value.
fn merge(name: &str, present: &mut Json, value: &Json) {
    match (present, value) {
        (Json::Object(present), Json::Object(members)) => merge_members(present, members),
        (Json::Array(present), Json::Array(items)) if name == "providers" => {
            let before = std::mem::take(present);
            present.extend(items.iter().map(|item| merge_provider(&before, item)));
        }
        (present, value) => *present = value.clone(),
    }
}

fn merge_members(present: &mut Map<String, Json>, members: &Map<String, Json>) {
    for (name, value) in members {
        if value.is_null() {
            present.remove(name);
        } else if let Some(slot) = present.get_mut(name) {
            merge(name, slot, value);
        } else {
            present.insert(name.clone(), value.clone());
        }
    }
}

fn merge_provider(before: &[Json], item: &Json) -> Json {
    let known = before
        .iter()
        .find(|known| item.get("name").is_some() && known.get("name") == item.get("name"));
    let Some(known) = known else {
        return strip_nulls(item);
    };
    let mut merged = known.clone();
    merge("provider", &mut merged, item);
    merged
}

/// Null is absent to everything that is not nullable.
fn strip_nulls(item: &Json) -> Json {
    match item {
        Json::Object(members) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}
