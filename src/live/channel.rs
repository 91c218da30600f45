//! `/api/user/sse`: what concerns one user, on any number of tabs.
//!
//! A channel is a topic of the bus whose name only the server can use. Its events are [`Envelope`]s.

use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::BytesMut;
use serde_json::json;

use super::presence::Connection;
use super::topics::{Resume, book, lifetime};
use super::{Error, Live};
use crate::base::json as text;
use crate::bus::{EventId, Item, Message, Start, Topic, write_data_lines};
use crate::http::rate::RateLimits;
use crate::http::{ApiError, ModuleRoute, StreamCaller, sse};

pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(
        web::resource("/user/sse")
            .app_data(ModuleRoute)
            .route(web::get().to(open_channel)),
    );
}

/// The key of notifications among a channel's events, by which rooms know them.
pub(super) const NOTIFICATION_KEY: &str = "notification";

/// An event of a channel: `{"type","request_id"?,"status_code"?,"id"?,"data","timestamp"}`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) kind: &'a str,
    /// Of the answer to a request.
    pub(super) request_id: Option<&'a str>,
    /// Of the answer to a request.
    pub(super) status_code: Option<u16>,
    /// Of a notification: its record's id.
    pub(super) id: Option<&'a str>,
    /// JSON text; an empty one stands for `null`.
    pub(super) data: &'a [u8],
    /// Unix seconds.
    pub(super) timestamp: i64,
}

impl Envelope<'_> {
    pub(super) fn to_json(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + 96);
        out.extend_from_slice(b"{\"type\":");
        text::write_str(&mut out, self.kind);
        if let Some(id) = self.request_id {
            out.extend_from_slice(b",\"request_id\":");
            text::write_str(&mut out, id);
        }
        if let Some(status) = self.status_code {
            out.extend_from_slice(b",\"status_code\":");
            text::write_u64(&mut out, u64::from(status));
        }
        if let Some(id) = self.id {
            out.extend_from_slice(b",\"id\":");
            text::write_str(&mut out, id);
        }
        out.extend_from_slice(b",\"data\":");
        match self.data {
            b"" => out.extend_from_slice(b"null"),
            data => out.extend_from_slice(data),
        }
        out.extend_from_slice(b",\"timestamp\":");
        text::write_i64(&mut out, self.timestamp);
        out.push(b'}');
        out
    }
}

/// The topic of a user's channel.
///
/// # Errors
/// When the id is too long, or holds what no topic may.
pub(super) fn topic_of(user: &str) -> Result<Topic, Error> {
    Ok(Topic::new(&format!("@user/{user}"))?)
}

impl Live {
    pub(super) fn push_envelope(&self, user: &str, envelope: &Envelope<'_>) -> Option<EventId> {
        self.push_message(user, Message::new(envelope.to_json()))
    }

    pub(super) fn push_message(&self, user: &str, message: Message) -> Option<EventId> {
        let topic = match topic_of(user) {
            Ok(topic) => topic,
            Err(error) => {
                tracing::warn!(%error, user, "a user without a channel");
                return None;
            }
        };
        let message = message.logged(self.parts().log);
        let id = self.engine().bus().publish(&topic, message);
        if id.is_none() {
            tracing::warn!(user, "an event of a user's channel is lost");
        }
        id
    }
}

/// Opens the caller's channel. The first message is `connected`; the stream ends when the token does.
#[utoipa::path(get, path = "/api/user/sse", tag = "user",
    params(("Last-Event-ID" = Option<String>, Header, description = "Resume after this event"),
        ("last_event_id" = Option<String>, Query, description = "The same, where no header can be set"),
        ("token" = Option<String>, Query, description = "A token, where no header can be set")),
    responses((status = 200, description = "An SSE stream of envelopes: type, request_id?, data, timestamp"),
        (status = 401, description = "Signing in is needed"), (status = 429, description = "Too many streams")))]
pub(super) async fn open_channel(
    live: Data<Live>,
    limits: Data<RateLimits>,
    StreamCaller(caller): StreamCaller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(live.engine(), &caller, &request)?;
    let user = caller.require_auth()?.clone();
    let topic = topic_of(user.id())?;
    let (subscriber, guard) = book(&live, &caller, vec![topic.clone()]).await?;
    let resume = Resume::of(&request);
    let handle = subscriber.handle();
    let joined = if resume.is_asked_for() {
        handle.subscribe(&topic, resume.start(&topic))
    } else {
        // Answers that nobody was there to take come first.
        live.parts().replies.take(user.id(), |after| {
            handle.subscribe(&topic, after.map_or(Start::Now, Start::After))
        })
    };
    let joined = joined.map_err(Error::from)?;
    let here = live.presence().connect(&user, Connection::Channel);
    let now = live.engine().now().unix();
    let hello = json!({"user_id": user.id(), "message": "SSE channel ready"}).to_string();
    let first = message(Some(joined.from), "connected", hello.as_bytes(), now);
    let options = sse::SseOptions {
        encode: Box::new(move |item, out: &mut BytesMut| {
            // Booking and presence last as long as the stream.
            let _ = (&guard, &here);
            match item {
                Item::Event(event) => out.extend_from_slice(event.frame()),
                Item::Frame(frame) => out.extend_from_slice(&frame),
                Item::Gap(_) => out.extend_from_slice(&message(None, "gap", b"{}", now)),
                Item::Lagged => out.extend_from_slice(&message(None, "lagged", b"{}", now)),
            }
        }),
        first: first.into(),
        age_max: lifetime(&live, &caller),
        stop: Some(live.stop()),
        ..sse::SseOptions::default()
    };
    Ok(sse::respond(subscriber, options))
}

/// A message that is no event of the log.
fn message(id: Option<EventId>, kind: &str, data: &[u8], timestamp: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    if let Some(id) = id {
        out.extend_from_slice(format!("id:{id}\n").as_bytes());
    }
    let envelope = Envelope {
        kind,
        data,
        timestamp,
        ..Envelope::default()
    };
    write_data_lines(&mut out, &envelope.to_json());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_has_what_it_is_given() {
        let envelope = Envelope {
            kind: "response",
            request_id: Some("a\"b"),
            status_code: Some(204),
            timestamp: 7,
            ..Envelope::default()
        };
        let expected = r#"{"type":"response","request_id":"a\"b","status_code":204,"data":null,"timestamp":7}"#;
        assert_eq!(String::from_utf8(envelope.to_json()).unwrap(), expected);
    }
}
