//! Which other sites may call from a browser (WHATWG Fetch, "CORS protocol"), as PocketBase answers them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, HeaderMap, HeaderValue, ORIGIN, VARY,
};

const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");
/// Longest origin that is compared with patterns: scheme, 253 characters of a domain name, port.
const ORIGIN_LENGTH_MAX: usize = 253 + 8;

/// The allowed origins, from `--origins`: `*`, or origins such as `https://example.com` in which `*` stands for any
/// text and `?` for one character.
#[derive(Clone, Debug)]
pub struct Cors {
    any: bool,
    patterns: Vec<String>,
}

impl Default for Cors {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Cors {
    /// Allows these origins; any when there are none.
    pub fn new(origins: &[String]) -> Self {
        Self {
            any: origins.is_empty() || origins.iter().any(|origin| origin == "*"),
            patterns: origins
                .iter()
                .filter(|origin| *origin != "*")
                .cloned()
                .collect(),
        }
    }

    /// What `Access-Control-Allow-Origin` says to this request; nothing to requests without an origin.
    pub(super) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN).filter(|origin| !origin.is_empty())?;
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        let text = origin.to_str().ok()?;
        self.allows(text).then(|| origin.clone())
    }

    fn allows(&self, origin: &str) -> bool {
        let fits_patterns = origin.len() <= ORIGIN_LENGTH_MAX && origin.contains("://");
        self.patterns.iter().any(|pattern| {
            pattern == origin || (fits_patterns && matches(pattern.as_bytes(), origin.as_bytes()))
        })
    }

    /// The answer to an `OPTIONS` request: 204, echoing the headers asked for.
    pub(super) fn preflight(&self, headers: &HeaderMap) -> HttpResponse {
        let mut response = HttpResponse::new(StatusCode::NO_CONTENT);
        let out = response.headers_mut();
        out.append(VARY, HeaderValue::from_static("Origin"));
        let Some(allowed) = self.allowed(headers) else {
            return response;
        };
        out.append(
            VARY,
            HeaderValue::from_static("Access-Control-Request-Method"),
        );
        out.append(
            VARY,
            HeaderValue::from_static("Access-Control-Request-Headers"),
        );
        out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        out.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        if let Some(asked) = headers
            .get(ACCESS_CONTROL_REQUEST_HEADERS)
            .filter(|asked| !asked.is_empty())
        {
            out.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        response
    }
}

/// Whether a text matches a pattern with `*` and `?`; in the worst case the product of their lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when the present attempt fails: behind the last star, one character of text later.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(expected) if *expected == b'?' || text.get(t) == Some(expected) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after_star, from)) = retry else {
                    return false;
                };
                retry = Some((after_star, from + 1));
                p = after_star;
                t = from + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origins: &[&str], origin: &str) -> Option<String> {
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        let allowed = Cors::new(&origins).allowed(&headers)?;
        Some(allowed.to_str().unwrap().to_owned())
    }

    #[test]
    fn any_origin_is_a_star() {
        assert_eq!(allowed(&[], "http://a.b"), Some("*".into()));
        assert_eq!(
            allowed(&["https://x.y", "*"], "http://a.b"),
            Some("*".into())
        );
        assert_eq!(allowed(&[], ""), None);
    }

    #[test]
    fn listed_origins_are_echoed() {
        let list = [
            "https://example.com",
            "https://*.example.org",
            "http://localhost:300?",
        ];
        for origin in [
            "https://example.com",
            "https://a.example.org",
            "https://a.b.example.org",
            "http://localhost:3001",
        ] {
            assert_eq!(allowed(&list, origin).as_deref(), Some(origin));
        }
        for origin in [
            "http://example.com",
            "https://example.com.evil.net",
            "https://example.org",
            "https://a.example.org.evil.net",
            "http://localhost:30011",
            "null",
        ] {
            assert_eq!(allowed(&list, origin), None, "{origin}");
        }
        let long = format!("https://{}.example.org", "a".repeat(300));
        assert_eq!(allowed(&list, &long), None);
    }

    #[test]
    fn patterns_with_several_stars_match_without_blowing_up() {
        assert!(matches(b"https://*.*.b", b"https://x.y.b"));
        assert!(matches(b"*", b""));
        assert!(!matches(b"a*b?", b"ab"));
        assert!(!matches(b"*a*a*a*a*a*a*a*a*b", &[b'a'; 250]));
    }
}
