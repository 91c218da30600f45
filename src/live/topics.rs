//! `/api/events`: topics over SSE, and publishing to them.

use std::time::Duration;

use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value as Json, json};

use super::publication::{self, Publication};
use super::rules::Action;
use super::streams::StreamGuard;
use super::{Error, Live};
use crate::base::json as text;
use crate::base::token;
use crate::bus::{Event, EventId, Start, Subscriber, Topic};
use crate::http::limit::read_all;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller, ModuleRoute, Query, StreamCaller, sse};

/// Most bytes of a payload that a client publishes.
const PAYLOAD_BYTES_MAX: u64 = 64 << 10;
/// Most topics of one stream.
const TOPICS_MAX: usize = 64;
/// Most bytes of the names of a stream's topics together: they stand in each id, which a client sends in a header.
const NAMES_BYTES_MAX: usize = 2_048;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/events")
                .app_data(ModuleRoute)
                .route(web::get().to(subscribe_topics)),
        )
        .service(
            web::resource("/events/{topic}")
                .app_data(ModuleRoute)
                .route(web::get().to(subscribe_topic))
                .route(web::post().to(publish)),
        );
}

/// Follows one topic: unnamed events with `id: <boot>-<n>`. A stream that cannot resume begins with `event: gap`; one
/// that is too slow ends with `event: lagged`.
#[utoipa::path(get, path = "/api/events/{topic}", tag = "events",
    params(("topic" = String, Path, description = "Name of the topic"),
        ("Last-Event-ID" = Option<String>, Header, description = "Resume after this event"),
        ("last_event_id" = Option<String>, Query, description = "The same, where no header can be set"),
        ("token" = Option<String>, Query, description = "A token, where no header can be set")),
    responses((status = 200, description = "An SSE stream of the topic's payloads"), (status = 400, description = "No topic's name"),
        (status = 403, description = "The caller may not subscribe"), (status = 429, description = "Too many streams")))]
pub(super) async fn subscribe_topic(
    live: Data<Live>,
    limits: Data<RateLimits>,
    StreamCaller(caller): StreamCaller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(live.engine(), &caller, &request)?;
    let topics = vec![publication::topic(&path)?];
    open(&live, &caller, topics, false, &request).await
}

/// Follows several topics on one stream: `event:` names the topic, the id the position in each.
#[utoipa::path(get, path = "/api/events", tag = "events",
    params(("topics" = String, Query, description = "Names, comma separated, 64 at most"),
        ("Last-Event-ID" = Option<String>, Header, description = "Resume after this event"),
        ("last_event_id" = Option<String>, Query, description = "The same, where no header can be set"),
        ("token" = Option<String>, Query, description = "A token, where no header can be set")),
    responses((status = 200, description = "An SSE stream of the topics' payloads"), (status = 400, description = "No topics, too many, or no topic's name"),
        (status = 403, description = "The caller may not subscribe to one of them"), (status = 429, description = "Too many streams")))]
pub(super) async fn subscribe_topics(
    live: Data<Live>,
    limits: Data<RateLimits>,
    StreamCaller(caller): StreamCaller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(live.engine(), &caller, &request)?;
    let topics = several(Query::of(&request).text("topics"))?;
    open(&live, &caller, topics, true, &request).await
}

/// Publishes a JSON body to a topic.
#[utoipa::path(post, path = "/api/events/{topic}", tag = "events",
    params(("topic" = String, Path, description = "Name of the topic")),
    request_body(content = serde_json::Value, description = "Any JSON value, 64 KiB at most"),
    responses((status = 200, description = "Published; the event's id"), (status = 400, description = "No JSON, or no topic's name"),
        (status = 403, description = "The caller may not publish"), (status = 413, description = "The body is too long"),
        (status = 429, description = "Over a rate limit")))]
pub(super) async fn publish(
    live: Data<Live>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(live.engine(), &caller, &request)?;
    let topic = publication::topic(&path)?;
    let parts = live.parts();
    let allowed = parts
        .rules
        .allow(&parts.engine, &path, Action::Publish, &caller.info)
        .await?;
    if !allowed {
        return Err(ApiError::forbidden(
            "You are not allowed to publish to this topic.",
        ));
    }
    let body = BodyLimit(PAYLOAD_BYTES_MAX);
    let body = read_all(&request, &mut payload.into_inner(), body).await?;
    let payload = checked(&body)?;
    if caller.is_superuser()
        && let Err(error) = live.ensure_topics().await
    {
        // Rules can wait; the event need not.
        tracing::warn!(%error, "the collection of topics cannot be made");
    }
    let id = live.send(Publication::encoded(topic, payload.into())?)?;
    Ok(crate::http::json::ok_value(&json!({
        "success": true,
        "topic": path.as_str(),
        "id": id.to_string(),
    })))
}

/// The JSON text of a body, on one line.
fn checked(body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let refused = |cause: String| ApiError::bad_request("The body must be JSON.").with_cause(cause);
    text::parse_value(body, text::DEPTH_MAX).map_err(|error| refused(error.to_string()))?;
    let raw = std::str::from_utf8(body).map_err(|error| refused(error.to_string()))?;
    let mut out = Vec::with_capacity(raw.len());
    text::write_compact_raw(&mut out, raw);
    Ok(out)
}

/// The names of `?topics=`, each once.
fn several(list: &str) -> Result<Vec<Topic>, ApiError> {
    let mut topics: Vec<Topic> = Vec::new();
    for name in list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        let topic = publication::topic(name)?;
        if !topics.contains(&topic) {
            topics.push(topic);
        }
        if topics.len() > TOPICS_MAX {
            return Err(ApiError::bad_request(format!(
                "A stream has at most {TOPICS_MAX} topics."
            )));
        }
    }
    if topics.is_empty() {
        return Err(ApiError::bad_request(
            "The parameter topics names no topic.",
        ));
    }
    let bytes: usize = topics.iter().map(|topic| topic.as_str().len()).sum();
    if bytes > NAMES_BYTES_MAX {
        return Err(ApiError::bad_request(format!(
            "The topics of a stream have at most {NAMES_BYTES_MAX} bytes together."
        )));
    }
    Ok(topics)
}

async fn open(
    live: &Live,
    caller: &Caller,
    topics: Vec<Topic>,
    named: bool,
    request: &HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let resume = Resume::of(request);
    let (subscriber, guard) = book(live, caller, topics.clone()).await?;
    let parts = live.parts();
    for topic in &topics {
        let action = Action::Subscribe;
        let allowed = parts
            .rules
            .allow(&parts.engine, topic.as_str(), action, &caller.info);
        if !allowed.await? {
            return Err(ApiError::forbidden(
                "You are not allowed to subscribe to this topic.",
            ));
        }
    }
    let (mut from, mut quiet) = (Vec::with_capacity(topics.len()), true);
    for topic in topics {
        let start = resume.start(&topic);
        let joined = subscriber
            .handle()
            .subscribe(&topic, start)
            .map_err(Error::from)?;
        quiet &= !joined.gap && joined.replayed == 0;
        from.push((topic, joined.from));
    }
    let positions = match from.first() {
        Some((topic, id)) if !named => sse::Positions::one(topic.clone(), *id),
        _ => sse::Positions::several(from),
    };
    let first = if quiet {
        positions.id_alone()
    } else {
        // The first event brings it.
        bytes::Bytes::new()
    };
    let mut encode = sse::resumable(positions, sees(caller));
    let options = sse::SseOptions {
        encode: Box::new(move |item, out| {
            // The booking lasts as long as the stream.
            let _ = &guard;
            encode(item, out);
        }),
        first,
        age_max: lifetime(live, caller),
        stop: Some(live.stop()),
        ..sse::SseOptions::default()
    };
    Ok(sse::respond(subscriber, options))
}

/// A booked subscriber whose caller is still signed in: whatever ends that from now on ends the stream.
pub(super) async fn book(
    live: &Live,
    caller: &Caller,
    topics: Vec<Topic>,
) -> Result<(Subscriber, StreamGuard), ApiError> {
    let engine = live.engine();
    let subscriber = engine.bus().subscriber();
    let guard = live
        .parts()
        .streams
        .open(caller, subscriber.handle(), topics)?;
    if let Some(token) = &caller.token
        && engine.authenticate(token).await?.is_none()
    {
        return Err(ApiError::unauthorized(""));
    }
    Ok((subscriber, guard))
}

/// Which events the caller sees.
fn sees(caller: &Caller) -> sse::Sees {
    if caller.is_superuser() {
        return Box::new(|_| true);
    }
    match caller.auth() {
        None => Box::new(Event::is_for_all),
        Some(record) => {
            let record = record.clone();
            Box::new(move |event| event.is_for(record.id()))
        }
    }
}

/// How long the caller's token is still valid; `None` for guests.
pub(super) fn lifetime(live: &Live, caller: &Caller) -> Option<Duration> {
    let claims = token::peek_unverified(caller.token.as_deref()?)?;
    let expires_s = claims.get("exp").and_then(Json::as_i64)?;
    let left_ms = expires_s
        .saturating_mul(1_000)
        .saturating_sub(live.engine().now().unix_ms());
    Some(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)))
}

/// Where a client wants to go on.
pub(super) struct Resume {
    text: Option<String>,
}

impl Resume {
    /// `Last-Event-ID`, or `last_event_id` of the query where a client can set no header.
    pub(super) fn of(request: &HttpRequest) -> Self {
        let header = request.headers().get("last-event-id");
        let text = match header {
            // Whatever a header holds, it says that something was seen.
            Some(value) => Some(value.to_str().unwrap_or("?").to_owned()),
            None => Query::of(request).get("last_event_id").map(str::to_owned),
        };
        Self {
            text: text.filter(|text| !text.trim().is_empty()),
        }
    }

    /// Whether the client names a place at all.
    pub(super) fn is_asked_for(&self) -> bool {
        self.text.is_some()
    }

    /// Where to begin a topic. An id that is none of ours counts as one of another run of the server: there is a gap.
    pub(super) fn start(&self, topic: &Topic) -> Start {
        let unknown = EventId { boot: 0, seq: 0 };
        let Some(text) = &self.text else {
            return Start::Now;
        };
        if let Ok(id) = text.trim().parse() {
            return Start::After(id);
        }
        let positions = sse::parse_positions(text);
        match positions.iter().find(|(name, _)| name == topic) {
            Some((_, id)) => Start::After(*id),
            None if positions.is_empty() => Start::After(unknown),
            // New to this stream.
            None => Start::Now,
        }
    }
}
