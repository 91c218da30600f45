//! Routes of scripts: patterns of Go's `ServeMux` as PocketBase takes them.
//!
//! `GET /path/{name}/{rest...}`; a pattern that ends with `/` stands for everything below it, `{$}` for the path itself.

use std::sync::Arc;

use super::registry::Function;

/// One part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// `{name}`: one part of the path.
    One(String),
    /// `{name...}`: all that is left, also nothing.
    Rest(String),
    /// `{$}`: the end, with a slash.
    End,
}

/// A pattern that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid route path \"{0}\"")]
pub(super) struct PatternError(String);

/// What a middleware does.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Script(Arc<Function>),
    /// Signed in, and to one of these collections if there are any.
    RequireAuth(Vec<String>),
    RequireGuest,
    /// A superuser, or the record whose id this part of the path is.
    RequireOwner(String),
    /// The most bytes of a body; 0 is no limit.
    BodyLimit(u64),
    /// Successes are not kept in the log of requests.
    SkipActivityLog,
    /// Answers are compressed for who accepts it.
    Gzip,
}

/// Something around the handler of a route, or around all requests.
#[derive(Clone, Debug)]
pub(super) struct Middleware {
    /// Lower ones are further out; of equals, those registered first.
    pub(super) priority: i64,
    pub(super) action: Action,
}

/// A route of a script.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// Upper case; empty for all.
    method: String,
    /// As registered, with the method in front if there is one.
    pub(super) pattern: String,
    parts: Vec<Part>,
    pub(super) middlewares: Vec<Middleware>,
    /// Absent for the server's own routes.
    pub(super) handler: Option<Arc<Function>>,
}

/// The values of a pattern's names, in its order.
pub(super) type PathValues = Vec<(String, String)>;

impl Route {
    /// A route without middlewares and handler.
    ///
    /// # Errors
    /// When the path is no pattern.
    pub(super) fn new(method: &str, path: &str) -> Result<Self, PatternError> {
        let method = match method.to_ascii_uppercase().as_str() {
            "" | "ANY" | "*" => String::new(),
            method => method.to_owned(),
        };
        let pattern = if method.is_empty() {
            path.to_owned()
        } else {
            format!("{method} {path}")
        };
        Ok(Self {
            method,
            pattern,
            parts: parse(path).ok_or_else(|| PatternError(path.to_owned()))?,
            middlewares: Vec::new(),
            handler: None,
        })
    }

    fn matches(&self, method: &str, path: &[&str]) -> Option<PathValues> {
        let wanted = match (self.method.as_str(), method) {
            ("", _) | ("GET", "HEAD") => true,
            (own, method) => own == method,
        };
        wanted.then(|| values(&self.parts, path)).flatten()
    }

    /// Patterns that say more come first: by part, a literal before a name before the rest; a method before none.
    fn rank(&self) -> (Vec<u8>, bool) {
        let parts = self.parts.iter().map(|part| match part {
            Part::Literal(_) | Part::End => 0,
            Part::One(_) => 1,
            Part::Rest(_) => 2,
        });
        (parts.collect(), self.method.is_empty())
    }

    /// Whether this says more than another route that matches the same request.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        self.rank() < other.rank()
    }
}

/// All routes of all scripts.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes {
    routes: Vec<Route>,
}

impl Routes {
    pub(super) fn add(&mut self, route: Route) {
        self.routes.push(route);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Sorts what was added by how much the patterns say.
    pub(super) fn seal(&mut self) {
        self.routes.sort_by_key(Route::rank);
    }

    /// The route for a request. `path` is percent-encoded, as sent.
    pub(super) fn find(&self, method: &str, path: &str) -> Option<(&Route, PathValues)> {
        if self.routes.is_empty() {
            return None;
        }
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        self.routes
            .iter()
            .find_map(|route| Some((route, route.matches(method, &parts)?)))
    }
}

fn parse(path: &str) -> Option<Vec<Part>> {
    let inner = path.strip_prefix('/')?;
    let mut parts = Vec::new();
    let texts: Vec<&str> = inner.split('/').collect();
    let last = texts.len() - 1;
    for (index, text) in texts.into_iter().enumerate() {
        let part = match text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'))
        {
            Some("$") if index == last => Part::End,
            Some(name) => match name.strip_suffix("...") {
                Some(name) if index == last && is_name(name) => Part::Rest(name.to_owned()),
                None if is_name(name) => Part::One(name.to_owned()),
                _ => return None,
            },
            None if text.contains(['{', '}']) => return None,
            // A slash at the end stands for all below it.
            None if text.is_empty() && index == last => Part::Rest(String::new()),
            None => Part::Literal(text.to_owned()),
        };
        parts.push(part);
    }
    Some(parts)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn values(parts: &[Part], path: &[&str]) -> Option<PathValues> {
    let mut values = Vec::new();
    let mut path = path.iter();
    for part in parts {
        match part {
            Part::Literal(text) => {
                if decoded(path.next()?)? != *text {
                    return None;
                }
            }
            Part::One(name) => {
                let value = path.next()?;
                if value.is_empty() {
                    return None;
                }
                values.push((name.clone(), decoded(value)?));
            }
            Part::Rest(name) => {
                let rest: Vec<&str> = path.by_ref().copied().collect();
                if !name.is_empty() {
                    values.push((name.clone(), decoded(&rest.join("/"))?));
                }
                return Some(values);
            }
            Part::End => {
                if !path.next()?.is_empty() {
                    return None;
                }
            }
        }
    }
    path.next().is_none().then_some(values)
}

fn decoded(text: &str) -> Option<String> {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(patterns: &[&str], method: &str, path: &str) -> Option<(Vec<Part>, PathValues)> {
        let mut routes = Routes::default();
        for pattern in patterns {
            let (method, path) = pattern.split_once(' ').unwrap();
            routes.add(Route::new(method, path).unwrap());
        }
        routes.seal();
        routes
            .find(method, path)
            .map(|(route, values)| (route.parts.clone(), values))
    }

    #[test]
    fn patterns_match_as_in_go() {
        let value = |patterns: &[&str], path: &str| {
            found(patterns, "GET", path).map(|(_, values)| {
                values
                    .into_iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect::<Vec<_>>()
                    .join(",")
            })
        };
        assert_eq!(value(&["GET /a"], "/a").as_deref(), Some(""));
        assert_eq!(value(&["GET /a"], "/a/").as_deref(), None);
        assert_eq!(
            value(&["GET /a/{id}"], "/a/x%20y").as_deref(),
            Some("id=x y")
        );
        assert_eq!(value(&["GET /a/{id}"], "/a/").as_deref(), None);
        assert_eq!(
            value(&["GET /a/{rest...}"], "/a/b/c").as_deref(),
            Some("rest=b/c")
        );
        assert_eq!(value(&["GET /a/"], "/a/b/c").as_deref(), Some(""));
        assert_eq!(value(&["GET /{$}"], "/").as_deref(), Some(""));
        assert_eq!(value(&["GET /{$}"], "/x").as_deref(), None);
    }

    #[test]
    fn the_pattern_that_says_more_wins() {
        let patterns = ["GET /a/{rest...}", "GET /a/{id}", "GET /a/b", "ANY /a/b"];
        let (parts, values) = found(&patterns, "GET", "/a/b").unwrap();
        assert_eq!((parts.len(), values.len()), (2, 0));
        let (_, values) = found(&patterns, "GET", "/a/c").unwrap();
        assert_eq!(values, [("id".to_owned(), "c".to_owned())]);
        let (_, values) = found(&patterns, "GET", "/a/c/d").unwrap();
        assert_eq!(values, [("rest".to_owned(), "c/d".to_owned())]);
        assert!(found(&patterns, "POST", "/a/b").is_some());
        assert!(found(&patterns, "POST", "/a/c").is_none());
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for path in ["", "a", "/{", "/{}", "/{a...}/b", "/{1a}", "/x{a}"] {
            assert!(Route::new("GET", path).is_err(), "{path}");
        }
    }
}
