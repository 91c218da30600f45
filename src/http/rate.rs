//! Rate limits: which rule of the settings holds for a request, and the counters per client address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::HttpRequest;

use super::caller::Caller;
use super::error::ApiError;
use crate::engine::Engine;
use crate::engine::settings::{RateLimitRule, Settings};
use crate::model::Collection;

/// Counters are swept when there are more clients than this.
const CLIENTS_MAX: usize = 20_000;

/// Counters of requests per rule and client address, in fixed windows as PocketBase counts them.
#[derive(Clone, Default)]
pub struct RateLimits {
    windows: Arc<Mutex<HashMap<(String, String), Window>>>,
}

#[derive(Clone, Copy)]
struct Window {
    /// Unix seconds.
    start: i64,
    duration_s: i64,
    left: i64,
}

/// What a request is, to find its rule: a collection with tags such as `list`, or a path alone.
pub struct Subject<'a> {
    pub collection: Option<&'a Collection>,
    pub tags: &'a [&'a str],
    pub method: &'a str,
    pub path: &'a str,
}

impl RateLimits {
    /// Counts a request against the rule that fits it best.
    ///
    /// # Errors
    /// 429 when the client's window is used up.
    pub fn check(
        &self,
        settings: &Settings,
        caller: &Caller,
        subject: &Subject<'_>,
        now_s: i64,
    ) -> Result<(), ApiError> {
        let limits = &settings.rate_limits;
        if !limits.enabled || caller.is_superuser() || limits.excludes(&caller.ip) {
            return Ok(());
        }
        let audience = if caller.auth().is_some() {
            "@auth"
        } else {
            "@guest"
        };
        let Some(rule) = find_rule(&limits.rules, &subject.labels(), audience) else {
            return Ok(());
        };
        let scope = match subject.collection {
            Some(collection) => format!(
                "{} {} {}{}",
                collection.id,
                subject.tags.join(" "),
                rule.label,
                rule.audience
            ),
            None => format!("{}{}", rule.label, rule.audience),
        };
        self.consume(scope, &caller.ip, rule.max_requests, rule.duration, now_s)
    }

    /// Counts a request against the rule of its path.
    ///
    /// # Errors
    /// 429 when the client's window is used up.
    pub fn check_path(
        &self,
        engine: &Engine,
        caller: &Caller,
        request: &HttpRequest,
    ) -> Result<(), ApiError> {
        let settings = engine.settings();
        if !settings.rate_limits.enabled {
            return Ok(());
        }
        let subject = Subject {
            collection: None,
            tags: &[],
            method: request.method().as_str(),
            path: request.path(),
        };
        self.check(&settings, caller, &subject, engine.now().unix())
    }

    /// Counts one use of `scope` by `ip`, `max` per `duration_s` seconds.
    ///
    /// # Errors
    /// 429 when the window is used up.
    pub fn consume(
        &self,
        scope: String,
        ip: &str,
        max: i64,
        duration_s: i64,
        now_s: i64,
    ) -> Result<(), ApiError> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() > CLIENTS_MAX {
            windows.retain(|_, window| now_s - window.start < window.duration_s);
        }
        let window = windows.entry((scope, ip.to_owned())).or_insert(Window {
            start: now_s,
            duration_s,
            left: max,
        });
        if now_s - window.start >= duration_s {
            window.start = now_s;
            window.left = max;
        }
        if window.left <= 0 {
            return Err(ApiError::too_many());
        }
        window.left -= 1;
        Ok(())
    }

    /// Forgets all counters, as after a change of the settings.
    pub fn reset(&self) {
        self.windows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Subject<'_> {
    /// From the most specific label to the path.
    fn labels(&self) -> Vec<String> {
        let mut labels = Vec::with_capacity(2 + 2 * self.tags.len());
        if let Some(collection) = self.collection {
            labels.extend(
                self.tags
                    .iter()
                    .map(|tag| format!("{}:{tag}", collection.name)),
            );
            labels.extend(self.tags.iter().map(|tag| format!("*:{tag}")));
        }
        labels.push(format!("{} {}", self.method, self.path));
        labels.push(self.path.to_owned());
        labels
    }
}

/// The first label with an exact rule wins; a rule that ends with `/` stands for all paths below it.
fn find_rule<'a>(
    rules: &'a [RateLimitRule],
    labels: &[String],
    audience: &str,
) -> Option<&'a RateLimitRule> {
    let fits = |rule: &&RateLimitRule| rule.audience.is_empty() || rule.audience == audience;
    labels.iter().find_map(|label| {
        let exact = rules.iter().filter(fits).find(|rule| rule.label == *label);
        exact.or_else(|| {
            rules.iter().filter(fits).find(|rule| {
                rule.label.ends_with('/') && format!("{label}/").starts_with(&rule.label)
            })
        })
    })
}
