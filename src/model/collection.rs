//! A collection: its fields, rules, indexes and the options of its kind.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::field::Field;

/// What a collection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CollectionKind {
    Base,
    Auth,
    View,
}

/// A set of records with one shape. Immutable once shared: a change makes a new value (see [`super::Schema`]).
///
/// A rule is `None` for superusers only, an empty text for everyone, else a filter.
#[derive(Clone, Debug)]
pub struct Collection {
    pub id: String,
    pub name: String,
    pub kind: CollectionKind,
    pub system: bool,
    pub list_rule: Option<String>,
    pub view_rule: Option<String>,
    pub create_rule: Option<String>,
    pub update_rule: Option<String>,
    pub delete_rule: Option<String>,
    /// `CREATE INDEX` statements as the user wrote them.
    pub indexes: Vec<String>,
    /// Dates as texts.
    pub created: String,
    pub updated: String,
    /// Set for auth collections.
    pub auth: Option<Box<AuthOptions>>,
    /// The SELECT of a view collection, else empty.
    pub view_query: String,
    fields: Vec<Field>,
    by_name: HashMap<String, usize>,
}

impl Collection {
    /// The fields in their stored order; a record's values are aligned with them.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of that exact name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).map(|index| &self.fields[*index])
    }

    /// The position of the field of that exact name in [`Collection::fields`].
    #[must_use]
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Replaces all fields.
    pub fn set_fields(&mut self, fields: Vec<Field>) {
        self.by_name = fields
            .iter()
            .enumerate()
            .map(|(index, field)| (field.name.clone(), index))
            .collect();
        self.fields = fields;
    }

    #[must_use]
    pub fn is_auth(&self) -> bool {
        self.kind == CollectionKind::Auth
    }

    #[must_use]
    pub fn is_view(&self) -> bool {
        self.kind == CollectionKind::View
    }

    /// Whether this is `_superusers`.
    #[must_use]
    pub fn is_superusers(&self) -> bool {
        self.name == "_superusers"
    }
}

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
