//! `/api/realtime`: record events over SSE, checked against the rules of each distinct view.
//!
//! A client connects (`GET`), learns its id from the `PB_CONNECT` event, and sets its subscriptions (`POST`). [`Clients`]
//! keeps them indexed by topic. [`Dispatcher`] gets every committed write, finds the topics it touches, asks the rules
//! once per distinct view, encodes once per distinct view, and hands the bytes to the bus, which never waits.

mod clients;
mod dispatch;
mod subscription;

use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value as Json};
use std::time::Duration;

use crate::base::id::random_string;
use crate::engine::Engine;
use crate::http::body;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller, json, sse};
use crate::model::{FieldError, FieldErrors};

pub use clients::Clients;
pub use dispatch::Dispatcher;
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
) -> Result<HttpResponse, ApiError> {
    let subscriber = engine.bus().subscriber();
    let id = random_string(CLIENT_ID_CHARS);
    let guard = clients.register(id.clone(), subscriber.handle().clone(), caller.ip);
    let hello = format!("id:{id}\nevent:PB_CONNECT\ndata:{{\"clientId\":\"{id}\"}}\n\n");
    let mut write = sse::frames(&id);
    Ok(sse::respond(
        subscriber,
        sse::SseOptions {
            encode: Box::new(move |item, out| {
                // The registration lives as long as the stream.
                let _ = &guard;
                write(item, out);
            }),
            first: hello.into(),
            idle_max: Some(IDLE_MAX),
            age_max: Some(CONNECTION_MAX),
            keep_alive: None,
            stop: Some(clients.stop().clone()),
        },
    ))
}

/// Replaces the subscriptions of a connected client. The caller's identity becomes the client's.
#[utoipa::path(post, path = "/api/realtime", tag = "realtime",
    responses((status = 204, description = "Set"), (status = 400, description = "Invalid body"),
        (status = 403, description = "The client belongs to another record"), (status = 404, description = "No such client")))]
pub(super) async fn set_subscriptions(
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
    let subscriptions = topics
        .iter()
        .map(|text| Subscription::parse(text))
        .collect();
    clients.subscribe(&client, caller.auth().cloned(), subscriptions);
    Ok(json::no_content())
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
