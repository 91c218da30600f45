//! Requests that others may take part in: the event with its request, and the answer that comes of it.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value as Json;

use crate::engine::events::{Event, EventKind, Handler, Outcome, Slot, Slots, Tapped, tapped};
use crate::engine::{Engine, Error};
use crate::http::exchange::set_headers;
pub(super) use crate::http::exchange::{parts, respond};
use crate::http::{ApiError, Caller};
use crate::model::{Collection, Record};
use crate::store::Tx;

/// A request at the point where an event of its kind happens.
pub(super) struct Tap<'a> {
    request: &'a HttpRequest,
    caller: &'a Caller,
    kind: EventKind,
    collection: Option<&'a Arc<Collection>>,
    handlers: Vec<Arc<dyn Handler>>,
}

impl<'a> Tap<'a> {
    /// Looks up who listens.
    pub(super) fn new(
        engine: &Engine,
        request: &'a HttpRequest,
        caller: &'a Caller,
        kind: EventKind,
        collection: Option<&'a Arc<Collection>>,
    ) -> Self {
        Self {
            request,
            caller,
            kind,
            collection,
            handlers: engine
                .interceptors()
                .handlers(kind, collection.map(|collection| &**collection)),
        }
    }

    /// Whether anybody listens.
    pub(super) fn is_on(&self) -> bool {
        !self.handlers.is_empty()
    }

    /// Runs the default action with those who listen around it; see [`tapped`].
    ///
    /// # Errors
    /// The default action's, or the one a handler left with.
    pub(super) async fn run<S, A>(
        &self,
        state: &mut S,
        default: A,
    ) -> Result<HttpResponse, ApiError>
    where
        S: Slots,
        A: AsyncFnOnce(&mut S) -> Result<HttpResponse, ApiError>,
    {
        let event = || {
            Event::new(self.kind, self.collection.cloned())
                .in_request(parts(self.request, self.caller))
        };
        let default = async |state: &mut S, _: Option<&mut Tx>| -> Result<HttpResponse, Error> {
            Ok(default(state).await?)
        };
        answer(tapped(&self.handlers, event, None, state, default).await)
    }
}

/// The response that an event came to.
fn answer(tapped: Tapped<HttpResponse>) -> Result<HttpResponse, ApiError> {
    let response = tapped.result.map(|outcome| match outcome {
        Outcome::Done(response) => response,
        Outcome::Answered(answer) => respond(answer),
        // As in PocketBase.
        Outcome::Silent => HttpResponse::Ok().finish(),
    });
    if tapped.headers.is_empty() {
        return Ok(response?);
    }
    let mut response =
        response.unwrap_or_else(|error| HttpResponse::from_error(ApiError::from(error)));
    set_headers(response.headers_mut(), &tapped.headers);
    Ok(response)
}

/// The slots of the many events that carry a record, if any, and some values.
#[derive(Default)]
pub(super) struct Carried {
    pub(super) record: Option<Record>,
    /// The record as it has become, where the default action took it.
    pub(super) after: Option<Arc<Record>>,
    others: Vec<(&'static str, Slot)>,
}

impl Carried {
    pub(super) fn new(record: Option<Record>) -> Self {
        Self {
            record,
            after: None,
            others: Vec::new(),
        }
    }

    /// The same with one value more.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Json>) -> Self {
        self.others.push((name, Slot::Json(value.into())));
        self
    }

    /// The same with one slot more.
    pub(super) fn with_slot(mut self, name: &'static str, slot: Slot) -> Self {
        self.others.push((name, slot));
        self
    }

    /// A slot as it is now.
    pub(super) fn slot(&self, name: &str) -> Option<&Slot> {
        let found = self.others.iter().find(|(known, _)| *known == name);
        found.map(|(_, slot)| slot)
    }

    /// A value as it is now; null if there is none.
    pub(super) fn value(&self, name: &str) -> Json {
        match self.slot(name) {
            Some(Slot::Json(value)) => value.clone(),
            _ => Json::Null,
        }
    }

    /// A text as it is now; empty if there is none.
    pub(super) fn text(&self, name: &str) -> String {
        match self.slot(name) {
            Some(Slot::Json(Json::String(text))) => text.clone(),
            _ => String::new(),
        }
    }

    /// The record; handlers may have put another in its place.
    ///
    /// # Errors
    /// `Internal` when a handler has taken it away.
    pub(super) fn take_record(&mut self) -> Result<Record, ApiError> {
        self.record
            .take()
            .ok_or_else(|| ApiError::internal("an event lost its record"))
    }
}

impl Slots for Carried {
    fn put(&mut self, event: &mut Event) {
        let record = match (&self.after, &self.record) {
            (Some(after), _) => Some(Record::clone(after)),
            (None, record) => record.clone(),
        };
        if let Some(record) = record {
            event.set("record", Slot::Record(Box::new(record)));
        }
        for (name, slot) in &self.others {
            event.set(name, slot.clone());
        }
    }

    fn take(&mut self, event: &mut Event) {
        if let Some(record) = event.take_record() {
            self.record = Some(record);
        }
        for (name, slot) in &mut self.others {
            if let Some(changed) = event.take(name) {
                *slot = changed;
            }
        }
    }
}
