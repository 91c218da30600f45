//! What PocketBase accepts as a URL: more than RFC 3986 calls one (`example.com` and `localhost:80/a` pass), and less.
//!
//! Two conditions hold at once: a loose shape, and the rules of a URL reference, which catch bad escapes, ports and users.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use regex::Regex;

/// A URL has fewer characters.
const CHARS_MAX: usize = 2083;
/// A URL has more bytes.
const BYTES_MIN: usize = 3;

/// Whether a text is a URL with a host name or IP address; the scheme may be missing.
pub fn is_url(text: &str) -> bool {
    if text.len() <= BYTES_MIN || text.starts_with('.') || text.chars().count() >= CHARS_MAX {
        return false;
    }
    let without_scheme = text.contains(':') && !text.contains("://");
    let reference = if without_scheme {
        Reference::read(&format!("http://{text}"))
    } else {
        Reference::read(text)
    };
    let Some(reference) = reference else {
        return false;
    };
    if reference.host_starts_with_dot || reference.names_nothing {
        return false;
    }
    has_shape(text)
}

/// Scheme, user, host, port and path, all but the host optional.
///
/// A host is an IPv4 address, an IPv6 address in brackets, or a name: a last part with letters of any script, before it
/// labels of ASCII, and after it possibly a top level without digits.
static SHAPE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let shape = r"(?x)
        ^
        (?: (?: ftp | tcp | udp | wss? | https? ) :// )?
        (?: [^\t\n\f\r\x20]+ @ )?
        (?:
            (?: [1-9][0-9]? | 1[0-9]{2} | 2[01][0-9] | 22[0-3] | 24[0-9] | 25[0-5] )
            (?: \. (?: [0-9]{1,2} | 1[0-9]{2} | 2[0-4][0-9] | 25[0-5] ) ){3}
          | \[ (?P<ip6> [0-9a-zA-Z:.%]+ ) \]
          | (?:
                [a-zA-Z0-9] [a-zA-Z0-9_-]* [a-zA-Z0-9] (?: [-.] [a-zA-Z0-9]+ )*
              | www\.
              | [a-zA-Z0-9] (?: [-_.]? [a-zA-Z0-9] )* [a-zA-Z0-9] \. [a-zA-Z0-9]+
            )?
            (?: [a-zA-Z0-9\x{a1}-\x{ffff}]+ -{0,2} )* [a-zA-Z0-9\x{a1}-\x{ffff}]
            (?: \. [a-zA-Z\x{a1}-\x{ffff}]+ )?
        )
        \.?
        (?: : [0-9]{1,5} )?
        (?: [/?\#] [^\t\n\f\r\x20]* )?
        $
    ";
    Regex::new(shape).ok()
});

fn has_shape(text: &str) -> bool {
    let Some(found) = SHAPE.as_ref().and_then(|shape| shape.captures(text)) else {
        return false;
    };
    found.name("ip6").is_none_or(|ip| is_ip6(ip.as_str()))
}

/// An IPv6 address; a link-local one may name its zone (RFC 6874).
fn is_ip6(text: &str) -> bool {
    match text.split_once("%25") {
        None => text.parse::<Ipv6Addr>().is_ok(),
        Some((address, zone)) => {
            let named = !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric());
            named && address.starts_with("fe80::") && address.parse::<Ipv6Addr>().is_ok()
        }
    }
}

/// What matters of a URL reference (RFC 3986 section 4.1).
struct Reference {
    host_starts_with_dot: bool,
    /// There is no host, and a path that is no file or host name.
    names_nothing: bool,
}

impl Reference {
    /// Nothing when the text is no reference.
    fn read(text: &str) -> Option<Self> {
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, rest) = split_scheme(text)?;
        let (rest, _query) = rest.split_once('?').unwrap_or((rest, ""));
        if !rest.starts_with('/') {
            if scheme.is_some() {
                // `mailto:a`: neither host nor path.
                return are_escapes_whole(fragment).then_some(Self {
                    host_starts_with_dot: false,
                    names_nothing: false,
                });
            }
            if rest
                .split('/')
                .next()
                .is_some_and(|first| first.contains(':'))
            {
                return None;
            }
        }
        let after_slashes = match rest.strip_prefix("//") {
            Some(after) if scheme.is_some() || !after.starts_with('/') => Some(after),
            _ => None,
        };
        let (host, path) = match after_slashes {
            Some(after) => {
                let path_start = after.find('/').unwrap_or(after.len());
                let (authority, path) = after.split_at(path_start);
                (host_of(authority)?, path)
            }
            None => ("", rest),
        };
        let whole = are_escapes_whole(path) && are_escapes_whole(fragment);
        whole.then(|| Self {
            host_starts_with_dot: host.starts_with('.'),
            names_nothing: host.is_empty()
                && !path.is_empty()
                && !path.contains('.')
                && !path.to_ascii_lowercase().contains("%2e"),
        })
    }
}

/// The scheme, if any, and what follows its colon. Nothing when there is only the colon.
fn split_scheme(text: &str) -> Option<(Option<&str>, &str)> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "+-.".contains(char);
    match text.split_once(':') {
        Some(("", _)) => None,
        Some((scheme, rest))
            if scheme.starts_with(|char: char| char.is_ascii_alphabetic())
                && scheme.chars().all(is_part) =>
        {
            Some((Some(scheme), rest))
        }
        _ => Some((None, text)),
    }
}

/// The host of an authority, after checking its user and port.
fn host_of(authority: &str) -> Option<&str> {
    let host = match authority.rsplit_once('@') {
        Some((user, host)) => {
            let is_part =
                |char: char| char.is_ascii_alphanumeric() || "-._~!$&'()*+,;=%@:".contains(char);
            let user_ok = user.chars().all(is_part) && user.split(':').all(are_escapes_whole);
            user_ok.then_some(host)?
        }
        None => authority,
    };
    let port = match host.rfind('[') {
        Some(0) => host.rsplit_once(']')?.1,
        Some(_) => return None,
        // More than one colon passes, as in lists of hosts; what follows the last one is the port.
        None => host
            .rfind(':')
            .and_then(|colon| host.get(colon..))
            .unwrap_or(""),
    };
    let port_ok = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let host_part = |char: char| {
        !char.is_ascii() || char.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(char)
    };
    (port_ok && host.chars().all(host_part) && are_host_escapes_valid(host)).then_some(host)
}

/// Each `%` is followed by two hexadecimal digits.
fn are_escapes_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// In a host only bytes beyond ASCII, and the percent sign of an IPv6 zone, may be escaped.
fn are_host_escapes_valid(host: &str) -> bool {
    are_escapes_whole(host)
        && host
            .split('%')
            .skip(1)
            .all(|after| after.starts_with("25") || after.starts_with(|char: char| char > '7'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_are_told_from_other_texts() {
        assert!(SHAPE.is_some());
        for text in [
            "https://example.com",
            "example.com",
            "www.example.com/a?b=c#d",
            "http://localhost",
            "localhost:80/a",
            "http://127.0.0.1:8090/_/",
            "http://[::1]:80/",
            "http://[fe80::1%25eth0]/",
            "ftp://user:pass@host.tld:21/%20",
            "https://exämple.com",
            "http://a--b.com",
            "http://sub_domain.example.com.",
            "http://a.b/c@d",
            "ws://a.b",
        ] {
            assert!(is_url(text), "{text}");
        }
        for text in [
            "",
            "a.b",
            "test",
            ".example.com",
            "http://",
            "http://.example.com",
            "mailto:a@b.c:d",
            "http://a b.com",
            "http://example.com/a b",
            "http://example.com/%zz",
            "http://example.com:123456",
            "http://example.com:a",
            "http://[::1",
            "http://[::g]",
            "javascript:alert(1)",
            "gopher://example.com",
            "http://exa\nmple.com",
            "://example.com",
            "http://-.com",
        ] {
            assert!(!is_url(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text in "\\PC*") {
            let _ = is_url(&text);
        }
    }
}
