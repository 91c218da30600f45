//! `/api/realtime`: record events over SSE, checked against the rules of each distinct view.
//!
//! A client connects (`GET`), learns its id from the `PB_CONNECT` event, and sets its subscriptions (`POST`). [`Clients`]
//! keeps them indexed by topic. [`Dispatcher`] gets every committed write, finds the topics it touches, asks the rules
//! once per distinct view, encodes once per distinct view, and hands the bytes to the bus, which never waits.

mod broker;
mod clients;
mod dispatch;
mod message;
mod subscription;

use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::{Map, Value as Json};
use std::time::Duration;

use super::tap::{Carried, Tap};
use crate::base::id::random_string;
use crate::engine::Engine;
use crate::engine::events::EventKind;
use crate::http::body;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller, json, sse};
use crate::model::{FieldError, FieldErrors};

pub use broker::SubscriptionView;
pub use clients::Clients;
pub use dispatch::Dispatcher;
use message::Message;
use subscription::Subscription;

/// A connection without events ends after this, as in PocketBase; the SDK reconnects.
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);
/// A connection ends after this in any case, as in PocketBase.
const CONNECTION_MAX: Duration = Duration::from_secs(30 * 60);
const CLIENT_ID_CHARS: usize = 40;
const SUBSCRIPTIONS_MAX: usize = 1000;
const SUBSCRIPTION_CHARS_MAX: usize = 2500;
const BODY_BYTES_MAX: u64 = 4 << 20;

pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(
        web::resource("/realtime")
            .route(web::get().to(connect))
            .route(web::post().to(set_subscriptions)),
    );
}

/// Opens the event stream.
#[utoipa::path(get, path = "/api/realtime", tag = "realtime",
    responses((status = 200, description = "An SSE stream; the first event is PB_CONNECT with the client id")))]
pub(super) async fn connect(
    engine: Data<Engine>,
    clients: Data<Clients>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let id = random_string(CLIENT_ID_CHARS);
    let tap = Tap::new(
        &engine,
        &request,
        &caller,
        EventKind::RealtimeConnectRequest,
        None,
    );
    let mut state = Carried::default();
    if tap.is_on() {
        state = state
            .with("client", id.as_str())
            .with("idle_timeout_s", IDLE_MAX.as_secs());
    }
    tap.run(&mut state, async |state: &mut Carried| {
        let idle_max = state.value("idle_timeout_s").as_u64();
        let idle_max = idle_max.map_or(IDLE_MAX, Duration::from_secs);
        let message = Message::new(
            "PB_CONNECT".into(),
            format!("{{\"clientId\":\"{id}\"}}").into(),
        );
        let kind = EventKind::RealtimeMessageSend;
        let handlers = engine.interceptors().handlers(kind, None);
        let hello = if handlers.is_empty() {
            Some(message)
        } else {
            message.offer(&handlers, &id).await
        };
        let hello = hello.map(|message| hello_of(&id, &message));
        Ok(stream(&engine, &clients, &caller, &id, hello, idle_max))
    })
    .await
}

/// The first lines of a stream.
fn hello_of(id: &str, message: &Message) -> Bytes {
    let mut lines = format!("id:{id}\n").into_bytes();
    lines.extend_from_slice(&message.frame());
    lines.into()
}

/// Registers a client and opens its stream.
fn stream(
    engine: &Engine,
    clients: &Clients,
    caller: &Caller,
    id: &str,
    hello: Option<Bytes>,
    idle_max: Duration,
) -> HttpResponse {
    let subscriber = engine.bus().subscriber();
    let handle = subscriber.handle().clone();
    let guard = clients.register(id.to_owned(), handle, caller.ip.clone());
    let mut write = sse::frames(id);
    sse::respond(
        subscriber,
        sse::SseOptions {
            encode: Box::new(move |item, out| {
                // The registration lives as long as the stream.
                let _ = &guard;
                write(item, out);
            }),
            first: hello.unwrap_or_default(),
            idle_max: Some(idle_max),
            age_max: Some(CONNECTION_MAX),
            keep_alive: None,
            stop: Some(clients.stop().clone()),
        },
    )
}

/// Replaces the subscriptions of a connected client. The caller's identity becomes the client's.
#[utoipa::path(post, path = "/api/realtime", tag = "realtime",
    responses((status = 204, description = "Set"), (status = 400, description = "Invalid body"),
        (status = 403, description = "The client belongs to another record"), (status = 404, description = "No such client")))]
pub(super) async fn set_subscriptions(
    engine: Data<Engine>,
    clients: Data<Clients>,
    _limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let body = body::read(
        &request,
        &mut payload.into_inner(),
        BodyLimit(BODY_BYTES_MAX),
    )
    .await?
    .fields;
    let (client_id, topics) = parse_form(&body)?;
    let client = clients
        .find(&client_id)
        .ok_or_else(|| ApiError::not_found("Missing or invalid client id."))?;
    if client.ip() != caller.ip {
        return Err(ApiError::bad_request("Invalid realtime client."));
    }
    if !client.fits(caller.auth()) {
        return Err(ApiError::forbidden(
            "The current and the previous request authorization don't match.",
        ));
    }
    let tap = Tap::new(
        &engine,
        &request,
        &caller,
        EventKind::RealtimeSubscribeRequest,
        None,
    );
    let mut state = Carried::default();
    if tap.is_on() {
        state = state
            .with("client", &**client.id())
            .with("subscriptions", topics.clone());
    }
    tap.run(&mut state, async |state: &mut Carried| {
        let topics = match state.value("subscriptions") {
            Json::Array(changed) => changed
                .iter()
                .filter_map(|text| text.as_str().map(str::to_owned))
                .collect(),
            _ => topics,
        };
        let subscriptions = topics.iter().map(|text| Subscription::parse(text));
        clients.subscribe(&client, caller.auth().cloned(), subscriptions.collect());
        Ok(json::no_content())
    })
    .await
}

fn parse_form(body: &Map<String, Json>) -> Result<(String, Vec<String>), ApiError> {
    let wrong = || ApiError::bad_request("");
    let client_id = match body.get("clientId") {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(_) => return Err(wrong()),
    };
    let topics: Vec<String> = match body.get("subscriptions") {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::String(one)) => vec![one.clone()],
        Some(Json::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(wrong()),
    };
    let mut errors = FieldErrors::new();
    if client_id.is_empty() {
        errors.add(
            "clientId",
            FieldError::new("validation_required", "Cannot be blank."),
        );
    } else if client_id.chars().count() > 255 {
        let error = FieldError::new(
            "validation_length_out_of_range",
            "The length must be between 1 and 255.",
        );
        errors.add("clientId", error.with("min", 1).with("max", 255));
    }
    let too_long = |max: usize| {
        FieldError::new(
            "validation_length_too_long",
            format!("The length must be no more than {max}."),
        )
        .with("max", max)
        .with("min", 0)
    };
    if topics.len() > SUBSCRIPTIONS_MAX {
        errors.add("subscriptions", too_long(SUBSCRIPTIONS_MAX));
    } else {
        let mut items = FieldErrors::new();
        for (index, topic) in topics.iter().enumerate() {
            if topic.chars().count() > SUBSCRIPTION_CHARS_MAX {
                items.add(&index.to_string(), too_long(SUBSCRIPTION_CHARS_MAX));
            }
        }
        errors.nest("subscriptions", items);
    }
    if errors.is_empty() {
        Ok((client_id, topics))
    } else {
        Err(ApiError::validation("", &errors))
    }
}
