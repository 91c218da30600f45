//! What a collection has before anybody configures it: an id, the fields of its kind with their indexes, auth options.

use super::index::{Index, find_unique};
use super::{
    AuthAlertConfig, AuthOptions, Collection, CollectionKind, Field, MfaConfig, OtpConfig,
    PasswordAuthConfig, TokenConfig, fields, templates,
};
use crate::base::{DateTime, id};
use crate::model::FieldKind;
use crate::model::field::{BoolOptions, EmailOptions, PasswordOptions, TextOptions};
use crate::model::pattern::DEFAULT_ID_PATTERN;

/// Characters of a token secret.
const SECRET_CHARS: usize = 50;
/// Bytes of an index name that the server makes.
const INDEX_NAME_BYTES_MAX: usize = 64;

impl Collection {
    /// A collection that is not stored yet, with its kind's fields and options and an id made from kind and name.
    #[must_use]
    pub fn new(kind: CollectionKind, name: &str) -> Self {
        Self::with_id(kind, name, "")
    }

    /// As [`Collection::new`], with an id of the caller's choice; an empty one is made from kind and name.
    #[must_use]
    pub fn with_id(kind: CollectionKind, name: &str, id: &str) -> Self {
        let mut collection = Self::blank(kind, name);
        id.clone_into(&mut collection.id);
        collection.init_id();
        collection.init_fields();
        if kind == CollectionKind::Auth {
            collection.auth = Some(Box::new(AuthOptions::initial()));
        }
        collection
    }

    /// Nothing but kind and name.
    pub(super) fn blank(kind: CollectionKind, name: &str) -> Self {
        let mut collection = Self {
            id: String::new(),
            name: name.to_owned(),
            kind,
            system: false,
            list_rule: None,
            view_rule: None,
            create_rule: None,
            update_rule: None,
            delete_rule: None,
            indexes: Vec::new(),
            created: String::new(),
            updated: String::new(),
            auth: None,
            view_query: String::new(),
            fields: Vec::new(),
            by_name: Default::default(),
            export_slots: Vec::new(),
            generated_id: None,
            unknown_kind: None,
        };
        collection.set_fields(Vec::new());
        collection
    }

    /// Completes a collection before it is validated and stored: id, dates, ids of fields, fields of its kind, and the
    /// table's name in the indexes. `is_taken` tells whether another collection has an id.
    pub fn prepare_save(&mut self, is_new: bool, now: DateTime, is_taken: impl Fn(&str) -> bool) {
        if is_new {
            self.init_id();
            self.created = now.to_string();
        }
        self.updated = now.to_string();
        let mut complete = Vec::with_capacity(self.fields.len());
        for field in std::mem::take(&mut self.fields) {
            fields::add(&mut complete, field);
        }
        self.set_fields(complete);
        self.init_fields();
        self.forget_missing_mapped_fields();
        if is_new {
            self.renew_generated_id(is_taken);
        }
        for text in &mut self.indexes {
            let mut index = Index::parse(text);
            if index.table != self.name {
                index.table.clone_from(&self.name);
                // An index that cannot be read stays for validation to refuse.
                if let Some(renamed) = index.build() {
                    *text = renamed;
                }
            }
        }
    }

    /// What must hold of `_superusers` whatever was asked for: sign-in with a password and without OAuth2, and never
    /// with a one-time password alone. Other collections stay as they are. Call it after validation.
    pub fn enforce_superuser_options(&mut self) {
        if !self.is_superusers() {
            return;
        }
        if let Some(auth) = &mut self.auth {
            auth.oauth2.enabled = false;
            auth.oauth2.providers.clear();
            auth.password_auth.enabled = true;
            auth.mfa.enabled |= auth.otp.enabled;
        }
    }

    fn made_id(&self) -> String {
        let seed = format!("{}{}", self.kind.name(), self.name);
        format!("pbc_{}", id::crc32_decimal(&seed))
    }

    fn init_id(&mut self) {
        if self.id.is_empty() {
            self.id = self.made_id();
            self.generated_id = Some(self.id.clone());
        }
    }

    /// Follows a changed name and avoids taken ids, as long as the id is one that was made.
    fn renew_generated_id(&mut self, is_taken: impl Fn(&str) -> bool) {
        const TRIES: usize = 1000;
        if self.generated_id.as_ref() != Some(&self.id) {
            return;
        }
        let base = self.made_id();
        let mut renewed = base.clone();
        for suffix in 2..TRIES {
            if !is_taken(&renewed) {
                break;
            }
            renewed = format!("{base}{suffix}");
        }
        if renewed == self.id {
            return;
        }
        for text in &mut self.indexes {
            let mut index = Index::parse(text);
            let name = index.name.replace(&self.id, &renewed);
            if name != index.name {
                index.name = name;
                if let Some(built) = index.build() {
                    *text = built;
                }
            }
        }
        self.generated_id = Some(renewed.clone());
        self.id = renewed;
    }

    /// Adds the fields and indexes that the kind needs, and restores what must hold of those that are there.
    pub(super) fn init_fields(&mut self) {
        if self.kind == CollectionKind::View {
            return;
        }
        let mut list = std::mem::take(&mut self.fields);
        init_id_field(&mut list);
        if self.kind == CollectionKind::Auth {
            init_auth_fields(&mut list);
        }
        self.set_fields(list);
        if self.kind == CollectionKind::Auth {
            self.init_index("tokenKey", false);
            self.init_index("email", true);
        }
    }

    fn init_index(&mut self, field: &str, partial: bool) {
        if find_unique(&self.indexes, field).is_some() {
            return;
        }
        let seed = if self.id.is_empty() {
            &self.name
        } else {
            &self.id
        };
        let mut name = if seed.is_empty() {
            format!(
                "idx_{field}_{}",
                id::random_with_alphabet(10, id::ID_ALPHABET)
            )
        } else {
            format!("idx_{field}_{seed}")
        };
        name.truncate(name.floor_char_boundary(INDEX_NAME_BYTES_MAX));
        let mut text = format!(
            "CREATE UNIQUE INDEX `{name}` ON `{}` (`{field}`)",
            self.name
        );
        if partial {
            text.push_str(&format!(" WHERE `{field}` != ''"));
        }
        self.indexes.push(text);
    }

    fn forget_missing_mapped_fields(&mut self) {
        let Some(mut auth) = self.auth.take() else {
            return;
        };
        let mapped = &mut auth.oauth2.mapped_fields;
        for name in [
            &mut mapped.id,
            &mut mapped.name,
            &mut mapped.username,
            &mut mapped.avatar_url,
        ] {
            if self.field(name).is_none() {
                name.clear();
            }
        }
        self.auth = Some(auth);
    }
}

fn new_field(name: &str, hidden: bool, kind: FieldKind) -> Field {
    Field {
        id: String::new(),
        name: name.to_owned(),
        system: true,
        hidden,
        presentable: false,
        help: String::new(),
        kind,
    }
}

fn init_id_field(list: &mut Vec<Field>) {
    let present = list
        .iter_mut()
        .find(|field| field.name == "id" && matches!(field.kind, FieldKind::Text(_)));
    if let Some(field) = present {
        field.system = true;
        field.hidden = false;
        if let FieldKind::Text(options) = &mut field.kind {
            options.required = true;
            options.primary_key = true;
            if options.pattern.is_empty() {
                DEFAULT_ID_PATTERN.clone_into(&mut options.pattern);
            }
        }
        return;
    }
    let options = TextOptions {
        min: 15,
        max: 15,
        pattern: DEFAULT_ID_PATTERN.to_owned(),
        autogenerate_pattern: "[a-z0-9]{15}".to_owned(),
        required: true,
        primary_key: true,
    };
    let rest = std::mem::take(list);
    fields::add(list, new_field("id", false, FieldKind::Text(options)));
    for field in rest {
        fields::add(list, field);
    }
}

fn init_auth_fields(list: &mut Vec<Field>) {
    let password = PasswordOptions {
        required: true,
        min: 8,
        ..PasswordOptions::default()
    };
    let token_key = TextOptions {
        min: 30,
        max: 60,
        required: true,
        autogenerate_pattern: "[a-zA-Z0-9]{50}".to_owned(),
        ..TextOptions::default()
    };
    let email = EmailOptions {
        required: true,
        ..EmailOptions::default()
    };
    for wanted in [
        new_field("password", true, FieldKind::Password(password)),
        new_field("tokenKey", true, FieldKind::Text(token_key)),
        new_field("email", false, FieldKind::Email(email)),
        new_field(
            "emailVisibility",
            false,
            FieldKind::Bool(BoolOptions::default()),
        ),
        new_field("verified", false, FieldKind::Bool(BoolOptions::default())),
    ] {
        let present = list.iter_mut().find(|field| {
            field.name == wanted.name && field.kind.type_name() == wanted.kind.type_name()
        });
        match present {
            Some(field) => restore(field),
            None => fields::add(list, wanted),
        }
    }
}

/// What must hold of an auth collection's own fields whatever a client sent.
fn restore(field: &mut Field) {
    field.system = true;
    match &mut field.kind {
        FieldKind::Password(options) => {
            field.hidden = true;
            options.required = true;
        }
        FieldKind::Text(options) => {
            field.hidden = true;
            options.required = true;
        }
        // Who sees the address is up to `emailVisibility`.
        FieldKind::Email(_) => field.hidden = false,
        _ => {}
    }
}

impl AuthOptions {
    /// The options of a new auth collection, with fresh secrets.
    #[must_use]
    pub fn initial() -> Self {
        const MINUTE: i64 = 60;
        const DAY: i64 = 24 * 60 * MINUTE;
        let token = |duration| TokenConfig {
            secret: id::random_string(SECRET_CHARS),
            duration,
        };
        Self {
            auth_rule: Some(String::new()),
            auth_alert: AuthAlertConfig {
                enabled: true,
                email_template: templates::auth_alert(),
            },
            password_auth: PasswordAuthConfig {
                enabled: true,
                identity_fields: vec!["email".to_owned()],
            },
            mfa: MfaConfig {
                duration: 10 * MINUTE,
                ..MfaConfig::default()
            },
            otp: OtpConfig {
                enabled: false,
                duration: 3 * MINUTE,
                length: 8,
                email_template: templates::otp(),
            },
            auth_token: token(5 * DAY),
            password_reset_token: token(30 * MINUTE),
            email_change_token: token(30 * MINUTE),
            verification_token: token(DAY),
            file_token: token(3 * MINUTE),
            verification_template: templates::verification(),
            reset_password_template: templates::reset_password(),
            confirm_email_change_template: templates::confirm_email_change(),
            ..Self::default()
        }
    }

    /// Makes a new secret for sign-in tokens, which ends all sessions of the collection.
    pub fn renew_auth_secret(&mut self) {
        self.auth_token.secret = id::random_string(SECRET_CHARS);
    }
}
