//! Checks on the options of auth collections.

use super::index::find_unique;
use super::validate::Check;
use super::{AuthOptions, EmailTemplate, OAuth2Provider, TokenConfig};
use crate::base::text;
use crate::model::{FieldError, FieldErrors, rules};

/// About three years, in seconds.
const TOKEN_SECONDS_MAX: i64 = 94_670_856;
const DAY_SECONDS: i64 = 86_400;

pub(super) fn options(check: &Check<'_>, errors: &mut FieldErrors) {
    let Some(auth) = &check.new.auth else {
        return;
    };
    let before = check.original.and_then(|original| original.auth.as_deref());
    let mut found = FieldErrors::new();
    auth_rules(check, auth, before, &mut found);
    found.nest(
        "authAlert",
        nested("emailTemplate", template(&auth.auth_alert.email_template)),
    );
    if auth.password_auth.enabled {
        found.nest(
            "passwordAuth",
            leaf(
                "identityFields",
                rules::required(auth.password_auth.identity_fields.is_empty()),
            ),
        );
    }
    found.nest("oauth2", nested("providers", providers(check, auth)));
    found.nest("otp", otp(auth));
    if auth.mfa.enabled {
        found.nest("mfa", leaf("duration", duration(auth.mfa.duration)));
    }
    for (name, config) in [
        ("authToken", &auth.auth_token),
        ("passwordResetToken", &auth.password_reset_token),
        ("emailChangeToken", &auth.email_change_token),
        ("verificationToken", &auth.verification_token),
        ("fileToken", &auth.file_token),
    ] {
        found.nest(name, token(config));
    }
    for (name, mail) in [
        ("verificationTemplate", &auth.verification_template),
        ("resetPasswordTemplate", &auth.reset_password_template),
        (
            "confirmEmailChangeTemplate",
            &auth.confirm_email_change_template,
        ),
    ] {
        found.nest(name, template(mail));
    }
    if found.is_empty() {
        found = combined(check, auth, before);
    }
    errors.merge(found);
}

fn auth_rules(
    check: &Check<'_>,
    auth: &AuthOptions,
    before: Option<&AuthOptions>,
    errors: &mut FieldErrors,
) {
    if auth.manage_rule.as_deref() == Some("") {
        errors.add(
            "manageRule",
            FieldError::new("validation_nil_or_not_empty_required", "Cannot be blank."),
        );
    }
    let of_before = |pick: fn(&AuthOptions) -> &Option<String>| {
        before.and_then(|before| pick(before).as_deref())
    };
    for (name, rule, old) in [
        (
            "authRule",
            auth.auth_rule.as_deref(),
            of_before(|auth| &auth.auth_rule),
        ),
        (
            "manageRule",
            auth.manage_rule.as_deref(),
            of_before(|auth| &auth.manage_rule),
        ),
    ] {
        errors.check(
            name,
            check.rule(rule).or_else(|| check.system_rule(rule, old)),
        );
    }
}

/// What depends on several options at once.
fn combined(check: &Check<'_>, auth: &AuthOptions, before: Option<&AuthOptions>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if auth.mfa.enabled {
        let ways = [
            auth.password_auth.enabled,
            auth.oauth2.enabled,
            auth.otp.enabled,
        ];
        if ways.into_iter().filter(|enabled| *enabled).count() < 2 {
            let error = FieldError::new(
                "validation_mfa_not_enough_auths",
                "MFA requires at least 2 auth methods to be enabled.",
            );
            errors.nest("mfa", FieldErrors::one("enabled", error));
            return errors;
        }
        let rule = auth.mfa.rule.as_str();
        if !rule.is_empty() {
            let old = before.map(|before| before.mfa.rule.as_str());
            let error = check
                .rule(Some(rule))
                .or_else(|| check.system_rule(Some(rule), old));
            errors.nest("mfa", leaf("rule", error));
            if !errors.is_empty() {
                return errors;
            }
        }
    }
    if auth.password_auth.enabled {
        let error = auth
            .password_auth
            .identity_fields
            .iter()
            .find_map(|name| identity_field(check, name));
        errors.nest("passwordAuth", leaf("identityFields", error));
    }
    errors
}

/// An identity must lead to one record at most.
fn identity_field(check: &Check<'_>, name: &str) -> Option<FieldError> {
    if check.new.field(name).is_none() {
        return Some(
            FieldError::new(
                "validation_missing_field",
                format!("Invalid or missing field {name}"),
            )
            .with("fieldName", name),
        );
    }
    find_unique(&check.new.indexes, name).is_none().then(|| {
        FieldError::new(
            "validation_missing_unique_constraint",
            format!("The field {name} doesn't have a UNIQUE constraint."),
        )
        .with("fieldName", name)
    })
}

fn providers(check: &Check<'_>, auth: &AuthOptions) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if !auth.oauth2.enabled {
        return errors;
    }
    let list = &auth.oauth2.providers;
    for (index, provider) in list.iter().enumerate() {
        let known = list
            .iter()
            .take(index)
            .any(|other| other.name == provider.name);
        if !provider.name.is_empty() && known {
            let error = FieldError::new(
                "validation_duplicated_provider",
                format!("The provider {} is already registered.", provider.name),
            )
            .with("name", provider.name.as_str());
            errors.nest(&index.to_string(), FieldErrors::one("name", error));
            return errors;
        }
    }
    for (index, entry) in list.iter().enumerate() {
        errors.nest(&index.to_string(), provider(check, entry));
    }
    errors
}

fn provider(check: &Check<'_>, provider: &OAuth2Provider) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let name = provider.name.as_str();
    errors.check("name", rules::required(name.is_empty()));
    if !check.facts.has_provider(name) {
        errors.add(
            "name",
            FieldError::new(
                "validation_missing_provider",
                format!("Invalid or missing provider with name {name}."),
            )
            .with("name", name),
        );
    }
    errors.check("clientId", rules::required(provider.client_id.is_empty()));
    errors.check(
        "clientSecret",
        rules::required(provider.client_secret.is_empty()),
    );
    for (member, url) in [
        ("authURL", &provider.auth_url),
        ("tokenURL", &provider.token_url),
        ("userInfoURL", &provider.user_info_url),
    ] {
        if !url.is_empty() && !text::is_url(url) {
            errors.add(
                member,
                FieldError::new("validation_is_url", "Must be a valid URL"),
            );
        }
    }
    errors
}

fn otp(auth: &AuthOptions) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if auth.otp.enabled {
        errors.check("duration", duration(auth.otp.duration));
        errors.check(
            "length",
            rules::required(auth.otp.length == 0).or_else(|| rules::at_least(auth.otp.length, 4)),
        );
    }
    errors.nest("emailTemplate", template(&auth.otp.email_template));
    errors
}

fn token(config: &TokenConfig) -> FieldErrors {
    let mut errors = FieldErrors::new();
    errors.check(
        "secret",
        rules::required(config.secret.is_empty())
            .or_else(|| rules::length(&config.secret, 30, 255)),
    );
    errors.check(
        "duration",
        rules::required(config.duration == 0)
            .or_else(|| rules::within(config.duration, 10, TOKEN_SECONDS_MAX)),
    );
    errors
}

fn duration(seconds: i64) -> Option<FieldError> {
    rules::required(seconds == 0).or_else(|| rules::within(seconds, 10, DAY_SECONDS))
}

fn template(mail: &EmailTemplate) -> FieldErrors {
    let mut errors = FieldErrors::new();
    errors.check("subject", rules::required(mail.subject.is_empty()));
    errors.check("body", rules::required(mail.body.is_empty()));
    errors
}

fn leaf(name: &str, outcome: Option<FieldError>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    errors.check(name, outcome);
    errors
}

fn nested(name: &str, found: FieldErrors) -> FieldErrors {
    let mut errors = FieldErrors::new();
    errors.nest(name, found);
    errors
}
