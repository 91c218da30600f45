//! The rules of topics: rows of `_topics`, kept in memory until they change.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use lru::LruCache;

use super::collections::TOPICS;
use super::publication;
use super::streams::Streams;
use crate::engine::hooks::{Committed, Next, Op, RecordEvent, RecordHook, Stage};
use crate::engine::{Engine, Error, RequestInfo};
use crate::model::{Collection, FieldError, FieldErrors, Record, Value};
use crate::store::records;
use crate::store::search::Condition;

/// Most topics whose rules, or lack of them, are kept.
const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Changes that pass by the engine, as those of the SQL console, are seen after so long.
const FRESH: Duration = Duration::from_secs(30);

/// What rules of collections may read and rules of topics never get to see.
const NOT_SEEN: [&str; 2] = ["@request.body", "@request.headers"];

/// What somebody wants with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Subscribe,
    Publish,
}

/// A row of `_topics`. A rule that is `None` is for superusers only, an empty one for anyone.
#[derive(Debug)]
struct Row {
    id: String,
    subscribe: Option<String>,
    publish: Option<String>,
}

/// The rules that were asked for lately.
pub(super) struct TopicRules {
    state: Mutex<State>,
}

struct State {
    /// Counts changes: what was read before one must not be stored after it.
    generation: u64,
    known: LruCache<String, (Instant, Option<Arc<Row>>)>,
}

impl Default for TopicRules {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                generation: 0,
                known: LruCache::new(KNOWN_MAX),
            }),
        }
    }
}

impl TopicRules {
    /// Whether a caller may subscribe or publish. Superusers may always; topics without a row are theirs alone.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn allow(
        &self,
        engine: &Engine,
        topic: &str,
        action: Action,
        request: &RequestInfo,
    ) -> Result<bool, Error> {
        if request.is_superuser() {
            return Ok(true);
        }
        let schema = engine.schema();
        let Some(collection) = schema.find(TOPICS) else {
            return Ok(false);
        };
        let Some(row) = self.find(engine, collection, topic).await? else {
            return Ok(false);
        };
        let rule = match action {
            Action::Subscribe => &row.subscribe,
            Action::Publish => &row.publish,
        };
        let Some(rule) = rule.as_deref() else {
            return Ok(false);
        };
        match engine.rule_condition(&schema, collection, Some(rule), request) {
            Ok(Condition::Always) => Ok(true),
            Ok(Condition::Never) => Ok(false),
            Ok(condition) => {
                let mut conn = engine.read().await?;
                Ok(records::matches(&mut conn, collection, &row.id, &condition).await?)
            }
            // A rule that does not compile any more lets nobody in.
            Err(Error::BadRequest(cause)) => {
                tracing::warn!(topic, cause, "the rule of a topic does not compile");
                Ok(false)
            }
            Err(other) => Err(other),
        }
    }

    /// Whether the rule for subscribing to a topic reads more of the caller's record than its id, as far as is known.
    pub(super) fn reads_caller(&self, topic: &str) -> bool {
        let mut state = self.lock();
        let Some((_, row)) = state.known.get(topic) else {
            // A topic that fell out of memory; channels of users have no rule.
            return !topic.starts_with('@');
        };
        let rule = row.as_ref().and_then(|row| row.subscribe.as_deref());
        rule.unwrap_or_default()
            .split("@request.auth.")
            .skip(1)
            .any(|rest| {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                rest.get(..end.unwrap_or(rest.len())) != Some("id")
            })
    }

    async fn find(
        &self,
        engine: &Engine,
        collection: &Arc<Collection>,
        topic: &str,
    ) -> Result<Option<Arc<Row>>, Error> {
        let generation = {
            let mut state = self.lock();
            match state.known.get(topic) {
                Some((read, row)) if read.elapsed() < FRESH => return Ok(row.clone()),
                _ => state.generation,
            }
        };
        let mut conn = engine.read().await?;
        let found = records::find_by_field(&mut conn, collection, "name", &topic.into()).await?;
        let row = found.map(|record| {
            Arc::new(Row {
                id: record.id().to_owned(),
                subscribe: rule_of(&record, "subscribeRule"),
                publish: rule_of(&record, "publishRule"),
            })
        });
        let mut state = self.lock();
        if state.generation == generation {
            let entry = (Instant::now(), row.clone());
            state.known.put(topic.to_owned(), entry);
        }
        Ok(row)
    }

    /// Forgets everything: the rows have changed.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        state.generation += 1;
        state.known.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rule_of(record: &Record, field: &str) -> Option<String> {
    let text = record.text(field);
    serde_json::from_str(if text.is_empty() { "null" } else { text }).unwrap_or_default()
}

/// Watches `_topics`: rows are checked before they are stored, and hold at once, for open streams too.
pub(super) struct TopicRows {
    pub(super) rules: Arc<TopicRules>,
    pub(super) streams: Streams,
}

impl RecordHook for TopicRows {
    fn wants(&self, collection: &Collection) -> bool {
        collection.name == TOPICS
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        match stage {
            Stage::Validate => Box::pin(async move {
                check(event).into_result()?;
                next.run(event).await
            }),
            Stage::Execute if event.op != Op::Create => Box::pin(async move {
                let concerns_streams = event.op == Op::Delete
                    || ["name", "subscribeRule"]
                        .iter()
                        .any(|field| event.record.has_changed(field));
                let topic = event.record.original("name").map(Value::as_text);
                let topic = topic.unwrap_or_default().to_owned();
                next.run(event).await?;
                if concerns_streams {
                    let (rules, streams) = (Arc::clone(&self.rules), self.streams.clone());
                    event.tx.on_commit(Box::new(move || {
                        rules.forget();
                        streams.close_topic(&topic);
                    }));
                }
                Ok(())
            }),
            _ => next.run(event),
        }
    }

    fn committed(&self, _engine: &Engine, _event: &Committed) {
        self.rules.forget();
    }
}

fn check(event: &RecordEvent<'_>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let record = &event.record;
    if let Err(error) = publication::topic(record.text("name")) {
        let message = crate::base::text::sentenize(&error.to_string());
        errors.add("name", FieldError::new("validation_invalid_topic", message));
    }
    let name = record.text("name");
    if name.trim().is_empty() || name.contains(',') {
        let message = "Must be no blank and hold no comma.";
        errors.add("name", FieldError::new("validation_invalid_topic", message));
    }
    for field in ["subscribeRule", "publishRule"] {
        let text = record.text(field);
        let invalid = |message: String| FieldError::new("validation_invalid_rule", message);
        match serde_json::from_str::<Option<String>>(if text.is_empty() { "null" } else { text }) {
            Ok(Some(rule)) if NOT_SEEN.iter().any(|what| rule.contains(what)) => {
                let message = "Rules of topics know the caller, and neither body nor headers.";
                errors.add(field, invalid(message.to_owned()));
            }
            Ok(Some(rule)) if !rule.is_empty() => {
                let compiled = event.engine.condition(
                    event.tx.schema(),
                    record.collection(),
                    &rule,
                    Some(&RequestInfo::default()),
                    true,
                );
                if let Err(error) = compiled {
                    errors.add(field, invalid(format!("Invalid rule. Raw error: {error}")));
                }
            }
            Ok(_) => {}
            Err(_) => errors.add(field, invalid("Must be null or a rule.".to_owned())),
        }
    }
    errors
}
