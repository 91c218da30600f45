//! Secrets in query strings do not reach a log.

use std::borrow::Cow;

/// Parameters whose values are secrets.
const SECRETS: [&str; 8] = [
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "password",
    "secret",
    "code",
    "key",
];
const REDACTED: &str = "REDACTED";

/// The query string with the values of secret parameters replaced; borrowed when there are none.
pub fn redact_query(query: &str) -> Cow<'_, str> {
    if !query.split('&').any(is_secret) {
        return Cow::Borrowed(query);
    }
    let mut out = String::with_capacity(query.len());
    for (index, pair) in query.split('&').enumerate() {
        if index > 0 {
            out.push('&');
        }
        match pair.split_once('=') {
            Some((name, _)) if is_secret(pair) => {
                out.push_str(name);
                out.push('=');
                out.push_str(REDACTED);
            }
            _ => out.push_str(pair),
        }
    }
    Cow::Owned(out)
}

fn is_secret(pair: &str) -> bool {
    let Some((name, value)) = pair.split_once('=') else {
        return false;
    };
    // A name with escapes could be any of them.
    let named = name.contains('%')
        || SECRETS
            .iter()
            .any(|secret| name.eq_ignore_ascii_case(secret));
    named && !value.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_and_the_rest_stays() {
        for (query, expected) in [
            ("", ""),
            ("a=1&b", "a=1&b"),
            ("token=abc", "token=REDACTED"),
            ("a=1&Token=abc&b=2", "a=1&Token=REDACTED&b=2"),
            ("t%6Fken=abc", "t%6Fken=REDACTED"),
            ("token", "token"),
            ("tokens=1", "tokens=1"),
            ("code=x&state=y", "code=REDACTED&state=y"),
        ] {
            assert_eq!(redact_query(query), expected);
        }
    }
}
