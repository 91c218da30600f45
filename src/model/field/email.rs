//! `email` and `url` fields: format, and domains that are allowed or denied.

use super::{EmailOptions, UrlOptions};
use crate::base::text;
use crate::model::{FieldError, FieldErrors, rules};

type Domains = Option<Vec<String>>;

impl EmailOptions {
    pub(super) fn validate(&self, address: &str) -> Option<FieldError> {
        if address.is_empty() {
            return rules::required(self.required);
        }
        if !text::is_email(address) {
            return Some(FieldError::new(
                "validation_is_email",
                "Must be a valid email address",
            ));
        }
        let domain = address.rsplit('@').next().unwrap_or_default();
        (!is_allowed(domain, &self.only_domains, &self.except_domains)).then(|| {
            FieldError::new(
                "validation_email_domain_not_allowed",
                "Email domain is not allowed",
            )
        })
    }

    pub(super) fn settings(&self, errors: &mut FieldErrors) {
        domain_settings(&self.only_domains, &self.except_domains, errors);
    }
}

impl UrlOptions {
    pub(super) fn validate(&self, address: &str) -> Option<FieldError> {
        if address.is_empty() {
            return rules::required(self.required);
        }
        if !text::is_url(address) {
            return Some(FieldError::new(
                "validation_invalid_url",
                "Must be a valid url",
            ));
        }
        (!is_allowed(host(address), &self.only_domains, &self.except_domains)).then(|| {
            FieldError::new(
                "validation_url_domain_not_allowed",
                "Url domain is not allowed",
            )
        })
    }

    pub(super) fn settings(&self, errors: &mut FieldErrors) {
        domain_settings(&self.only_domains, &self.except_domains, errors);
    }
}

fn is_allowed(domain: &str, only: &Domains, except: &Domains) -> bool {
    let listed = |list: &Domains| {
        list.as_ref()
            .filter(|list| !list.is_empty())
            .map(|list| list.iter().any(|entry| entry == domain))
    };
    listed(only) != Some(false) && listed(except) != Some(true)
}

/// Only one of the lists may be set.
fn domain_settings(only: &Domains, except: &Domains, errors: &mut FieldErrors) {
    let is_set = |list: &Domains| list.as_ref().is_some_and(|list| !list.is_empty());
    for (name, list, other) in [
        ("exceptDomains", except, only),
        ("onlyDomains", only, except),
    ] {
        if is_set(other) {
            errors.check(name, rules::must_be_empty(!is_set(list)));
        } else if let Some(list) = list {
            errors.nest(name, rules::each_domain(list));
        }
    }
}

/// Host and port of a URL with a scheme, without user; empty without a scheme.
fn host(address: &str) -> &str {
    let Some((_, rest)) = address.split_once("://") else {
        return "";
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn host_keeps_the_port_and_drops_the_user() {
        assert_eq!(host("https://u:p@example.com:81/a@b"), "example.com:81");
        assert_eq!(host("example.com"), "");
    }
}
