//! What new settings must satisfy, with PocketBase's codes and texts.

use std::net::IpAddr;

use super::addresses::Subnet;
use super::{
    BackupsConfig, BatchConfig, LogsConfig, MetaConfig, RateLimitRule, RateLimitsConfig, S3Config,
    Settings, SmtpConfig,
};
use crate::base::text::{is_email, is_url};
use crate::engine::checks::{
    all, at_least, blank, bytes_between, format_of, in_list, matches, required,
};
use crate::engine::crons::Schedule;
use crate::model::{FieldError, FieldErrors};

impl Settings {
    /// All that is wrong with the settings, nested as they are.
    #[must_use]
    pub fn validate(&self) -> FieldErrors {
        let mut errors = FieldErrors::new();
        errors.nest("superuserIPs", addresses(&self.superuser_ips));
        errors.nest("meta", self.meta.validate());
        errors.nest("logs", self.logs.validate());
        errors.nest("smtp", self.smtp.validate());
        errors.nest("s3", self.s3.validate());
        errors.nest("backups", self.backups.validate());
        errors.nest("batch", self.batch.validate());
        errors.nest("rateLimits", self.rate_limits.validate());
        errors
    }
}

impl MetaConfig {
    fn validate(&self) -> FieldErrors {
        all([
            (
                "accentColor",
                bytes_between(&self.accent_color, 7, 7)
                    .or_else(|| format_of(&self.accent_color, is_hex_color, "hex_color")),
            ),
            (
                "appName",
                required(&self.app_name).or_else(|| bytes_between(&self.app_name, 1, 255)),
            ),
            (
                "appURL",
                required(&self.app_url).or_else(|| format_of(&self.app_url, is_url, "url")),
            ),
            (
                "senderName",
                required(&self.sender_name).or_else(|| bytes_between(&self.sender_name, 1, 255)),
            ),
            (
                "senderAddress",
                format_of(&self.sender_address, is_email, "email")
                    .or_else(|| required(&self.sender_address)),
            ),
        ])
    }
}

impl LogsConfig {
    fn validate(&self) -> FieldErrors {
        all([
            ("maxDataSize", at_least(self.max_data_size, 0)),
            ("maxDays", at_least(self.max_days, 0)),
        ])
    }
}

impl SmtpConfig {
    fn validate(&self) -> FieldErrors {
        all([
            (
                "host",
                needed(self.enabled, self.host.is_empty())
                    .or_else(|| format_of(&self.host, is_host, "host")),
            ),
            (
                "port",
                needed(self.enabled, self.port == 0).or_else(|| at_least(self.port, 0)),
            ),
            (
                "authMethod",
                in_list(&self.auth_method, &["LOGIN", "PLAIN"]),
            ),
            ("localName", format_of(&self.local_name, is_host, "host")),
        ])
    }
}

impl S3Config {
    fn validate(&self) -> FieldErrors {
        let needed = |text: &str| needed(self.enabled, text.is_empty());
        all([
            (
                "endpoint",
                format_of(&self.endpoint, is_url, "url").or_else(|| needed(&self.endpoint)),
            ),
            ("bucket", needed(&self.bucket)),
            ("region", needed(&self.region)),
            ("accessKey", needed(&self.access_key)),
            ("secret", needed(&self.secret)),
        ])
    }
}

impl BackupsConfig {
    fn validate(&self) -> FieldErrors {
        let cron = if self.cron.is_empty() {
            None
        } else {
            Schedule::parse(&self.cron)
                .err()
                .map(|cause| FieldError::new("validation_invalid_cron", sentence(&cause)))
        };
        let mut errors = all([
            ("cron", cron),
            (
                "cronMaxKeep",
                needed(!self.cron.is_empty(), self.cron_max_keep == 0)
                    .or_else(|| at_least(self.cron_max_keep, 1)),
            ),
        ]);
        errors.nest("s3", self.s3.validate());
        errors
    }
}

fn sentence(cause: &impl ToString) -> String {
    crate::base::text::sentenize(&cause.to_string())
}

impl BatchConfig {
    fn validate(&self) -> FieldErrors {
        all([
            (
                "maxRequests",
                needed(self.enabled, self.max_requests == 0)
                    .or_else(|| at_least(self.max_requests, 0)),
            ),
            (
                "timeout",
                needed(self.enabled, self.timeout == 0).or_else(|| at_least(self.timeout, 0)),
            ),
            ("maxBodySize", at_least(self.max_body_size, 0)),
        ])
    }
}

impl RateLimitsConfig {
    fn validate(&self) -> FieldErrors {
        let mut errors = all([("rules", needed(self.enabled, self.rules.is_empty()))]);
        errors.nest("rules", conflicting_rules(&self.rules));
        errors.nest("rules", each(&self.rules, RateLimitRule::validate));
        errors.nest("excludedIPs", addresses(&self.excluded_ips));
        errors
    }
}

impl RateLimitRule {
    fn validate(&self) -> FieldErrors {
        let number = |value: i64| needed(true, value == 0).or_else(|| at_least(value, 1));
        all([
            (
                "label",
                required(&self.label).or_else(|| matches(&self.label, is_label)),
            ),
            ("maxRequests", number(self.max_requests)),
            ("duration", number(self.duration)),
            ("audience", in_list(&self.audience, &["@guest", "@auth"])),
        ])
    }
}

/// The first rule that takes requests from one before it.
fn conflicting_rules(rules: &[RateLimitRule]) -> FieldErrors {
    let keys: Vec<String> = rules
        .iter()
        .map(|rule| format!("{}@@{}", rule.label, rule.audience))
        .collect();
    for (index, (rule, key)) in rules.iter().zip(&keys).enumerate() {
        let clash = keys
            .iter()
            .take(index)
            .any(|other| other.starts_with(key.as_str()) || key.starts_with(other.as_str()));
        if clash {
            let error = FieldError::new(
                "validation_conflicting_rate_limit_rule",
                format!(
                    "Rate limit rule configuration with label {} already exists or conflicts with another rule.",
                    rule.label
                ),
            )
            .with("label", rule.label.clone());
            let mut errors = FieldErrors::new();
            errors.nest(&index.to_string(), FieldErrors::one("label", error));
            return errors;
        }
    }
    FieldErrors::new()
}

fn each<T>(items: &[T], check: impl Fn(&T) -> FieldErrors) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (index, item) in items.iter().enumerate() {
        errors.nest(&index.to_string(), check(item));
    }
    errors
}

fn needed(condition: bool, empty: bool) -> Option<FieldError> {
    (condition && empty).then(blank)
}

fn addresses(items: &[String]) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (index, item) in items.iter().enumerate() {
        if item.is_empty() {
            errors.add(&index.to_string(), blank());
        } else if Subnet::parse(item).is_none() {
            let error = FieldError::new(
                // Misspelt by PocketBase, and so known to clients.
                "validation_invlaid_ip_or_subnet",
                "Invalid IP or CIDR subnet.",
            );
            errors.add(&index.to_string(), error);
        }
    }
    errors
}

fn is_hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An IP address or a DNS name; single labels such as `localhost` count.
fn is_host(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() {
        return true;
    }
    let letters = text.bytes().filter(|byte| *byte != b'.').count();
    let name = text.strip_suffix(['.', '_']).unwrap_or(text);
    letters <= 255 && name.split('.').all(is_host_label)
}

fn is_host_label(label: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    label.len() <= 63
        && label.bytes().next().is_some_and(word)
        && label.bytes().all(|byte| word(byte) || byte == b'-')
}

/// `word`, `word:word`, `*:word`, `/path` or `METHOD /path`.
fn is_label(text: &str) -> bool {
    let is_word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let is_path = |text: &str| {
        text.starts_with('/')
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'-'))
    };
    if let Some((method, path)) = text.split_once(' ') {
        return is_word(method) && is_path(path);
    }
    match text.split_once(':') {
        Some((owner, action)) => (owner == "*" || is_word(owner)) && is_word(action),
        None => is_path(text) || is_word(text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;
    use serde_json::json;

    /// Settings with `patch` laid over the defaults, validated.
    fn errors(patch: Json) -> Json {
        let settings = Settings::default().merged(&patch).unwrap();
        Json::Object(settings.validate().to_json())
    }

    fn code(code: &str) -> impl Fn(&Json, &[&str]) + '_ {
        move |errors, path| {
            let found = path.iter().fold(errors, |at, name| &at[*name]);
            assert_eq!(found["code"], code, "{path:?} in {errors}");
        }
    }

    #[test]
    fn defaults_are_valid() {
        assert_eq!(errors(json!({})), json!({}));
    }

    #[test]
    fn each_refused_value_is_named() {
        let errors = errors(json!({
            "superuserIPs": ["x", "", "10.0.0.0/8", "::1"],
            "meta": {"accentColor": "#12345x", "appName": "", "appURL": "foo bar", "senderAddress": "x"},
            "logs": {"maxDays": -1},
            "smtp": {"enabled": true, "host": "a b", "port": 0, "authMethod": "x", "localName": "a b"},
            "s3": {"enabled": true, "endpoint": "x y"},
            "backups": {"cron": "x", "cronMaxKeep": 0},
            "batch": {"enabled": true, "maxRequests": -1, "timeout": 0},
            "rateLimits": {"rules": [{"label": "a b", "audience": "x", "duration": -1}], "excludedIPs": ["1.2.3.4/33"]},
        }));
        let blank = code("validation_required");
        blank(&errors, &["superuserIPs", "1"]);
        blank(&errors, &["meta", "appName"]);
        blank(&errors, &["smtp", "port"]);
        blank(&errors, &["s3", "secret"]);
        blank(&errors, &["backups", "cronMaxKeep"]);
        blank(&errors, &["batch", "timeout"]);
        blank(&errors, &["rateLimits", "rules", "0", "maxRequests"]);
        let address = code("validation_invlaid_ip_or_subnet");
        address(&errors, &["superuserIPs", "0"]);
        address(&errors, &["rateLimits", "excludedIPs", "0"]);
        assert!(errors["superuserIPs"]["2"].is_null() && errors["superuserIPs"]["3"].is_null());
        code("validation_is_hex_color")(&errors, &["meta", "accentColor"]);
        code("validation_is_url")(&errors, &["meta", "appURL"]);
        code("validation_is_url")(&errors, &["s3", "endpoint"]);
        code("validation_is_email")(&errors, &["meta", "senderAddress"]);
        code("validation_is_host")(&errors, &["smtp", "host"]);
        code("validation_in_invalid")(&errors, &["smtp", "authMethod"]);
        code("validation_invalid_cron")(&errors, &["backups", "cron"]);
        code("validation_match_invalid")(&errors, &["rateLimits", "rules", "0", "label"]);
        let low = code("validation_min_greater_equal_than_required");
        low(&errors, &["logs", "maxDays"]);
        low(&errors, &["batch", "maxRequests"]);
        low(&errors, &["rateLimits", "rules", "0", "duration"]);
    }

    #[test]
    fn rate_limit_rules_must_not_overlap() {
        let rule = |label: &str, audience: &str| json!({"label": label, "audience": audience, "maxRequests": 1, "duration": 1});
        let with = |rules: Vec<Json>| errors(json!({"rateLimits": {"rules": rules}}));
        let clash = with(vec![rule("a", "@auth"), rule("a", "")]);
        let path = ["rateLimits", "rules", "1", "label"];
        code("validation_conflicting_rate_limit_rule")(&clash, &path);
        assert_eq!(
            with(vec![
                rule("a", "@auth"),
                rule("a", "@guest"),
                rule("POST /api/x-y/", "")
            ]),
            json!({})
        );
    }

    #[test]
    fn host_names_follow_dns() {
        for (text, expected) in [
            ("localhost", true),
            ("smtp.example.com", true),
            ("example.com.", true),
            ("127.0.0.1", true),
            ("a b", false),
            ("a..b", false),
            ("-a.b", false),
        ] {
            assert_eq!(is_host(text), expected, "{text}");
        }
    }
}
