//! Events that scripts and modules take part in, beside the writes of records and collections (those have hook chains of
//! their own inside the transaction, see [`super::hooks`]).
//!
//! A place that lets others take part asks [`Interceptors::handlers`]; for nearly every request the answer is an empty
//! list and costs one look-up. Otherwise it builds an [`Event`] and gives it with its own default action to [`run`]:
//!
//! ```text
//! run(event) -> first handler ... Step::Next -> second handler ... Step::Next -> default action
//!                    Step::Done <- resume <- second handler ... Step::Done <- resume
//! ```
//!
//! An event moves by value, so that a handler may live on another thread; the driver stays where it was called, so that a
//! default action need not be `Send`.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::Value as Json;

use super::{Error, RequestInfo};
use crate::mail::Mail;
use crate::model::{Collection, Record};
use crate::store::Tx;

/// What happens. The names are those of PocketBase's event hooks without their `on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    Bootstrap,
    Serve,
    Terminate,
    /// Slots `filename`, `exclude`.
    BackupCreate,
    BackupRestore,
    /// Slot `mail`.
    MailerSend,
    /// Slots `mail`, `record`, `meta`, as the other mails to auth records.
    MailerRecordAuthAlertSend,
    MailerRecordPasswordResetSend,
    MailerRecordVerificationSend,
    MailerRecordEmailChangeSend,
    MailerRecordOtpSend,
    /// Slots `client` (id), `idle_timeout_s`.
    RealtimeConnectRequest,
    /// Slots `client` (id), `message` (`{name, data}`).
    RealtimeMessageSend,
    /// Slots `client` (id), `subscriptions` (texts).
    RealtimeSubscribeRequest,
    /// Slot `settings`.
    SettingsListRequest,
    /// Slots `old_settings`, `new_settings`.
    SettingsUpdateRequest,
    SettingsReload,
    /// Slots `record`, `field`, `served_path`, `served_name`.
    FileDownloadRequest,
    /// Slots `record`, `token`.
    FileTokenRequest,
    /// Slots `collections`, `result`.
    CollectionsListRequest,
    /// Slot `collection` (the object), as in the next three.
    CollectionViewRequest,
    CollectionCreateRequest,
    CollectionUpdateRequest,
    CollectionDeleteRequest,
    /// Slots `collections_data`, `delete_missing`.
    CollectionsImportRequest,
    /// Slots `records`, `result` (`{page, perPage, totalItems, totalPages}`).
    RecordsListRequest,
    /// Slot `record`, as in the next three.
    RecordViewRequest,
    RecordCreateRequest,
    RecordUpdateRequest,
    RecordDeleteRequest,
    /// Slot `record`; outside of requests too. The default action leaves the record as it is.
    RecordEnrich,
    /// Slots `record`, `token`, `meta`, `auth_method`.
    RecordAuthRequest,
    /// Slots `record` (may be absent), `identity`, `identity_field`, `password`.
    RecordAuthWithPasswordRequest,
    RecordAuthWithOAuth2Request,
    /// Slots `record`, `otp`.
    RecordAuthWithOtpRequest,
    /// Slot `record`, as in the rest; `password` where one is sent, `new_email` on changes of it.
    RecordAuthRefreshRequest,
    RecordRequestOtpRequest,
    RecordRequestPasswordResetRequest,
    RecordConfirmPasswordResetRequest,
    RecordRequestVerificationRequest,
    RecordConfirmVerificationRequest,
    RecordRequestEmailChangeRequest,
    RecordConfirmEmailChangeRequest,
    /// Slot `batch` (`[{method, url, headers, body}]`).
    BatchRequest,
}

/// A value that an event carries under a name.
#[derive(Clone, Debug)]
pub enum Slot {
    Record(Box<Record>),
    Records(Vec<Record>),
    Collection(Arc<Collection>),
    Collections(Vec<Arc<Collection>>),
    Mail(Box<Mail>),
    /// Everything else: texts, numbers, lists, objects.
    Json(Json),
}

/// The request that an event belongs to, as far as scripts may see it.
#[derive(Clone, Debug, Default)]
pub struct RequestParts {
    pub info: RequestInfo,
    /// Path and query as sent.
    pub url: String,
    /// Names in lower case, in the order sent. Shared: an event is cloned more often than headers change.
    pub headers: Arc<[(String, String)]>,
    /// The peer's address, and the one that trusted proxies name.
    pub remote_ip: String,
    pub real_ip: String,
    /// Values of the `{name}` parts of a route's pattern.
    pub path_values: Vec<(String, String)>,
    /// The body as sent, where the place that made the event has read it.
    pub body: Bytes,
}

/// An answer that a handler gives in place of the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Names and values; one name may stand more than once.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Something that happens, on its way through the handlers.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: EventKind,
    /// The collection that tags are compared with.
    pub collection: Option<Arc<Collection>>,
    slots: Vec<(&'static str, Slot)>,
    pub request: Option<RequestParts>,
    /// Headers for whichever answer is given.
    pub response_headers: Vec<(String, String)>,
    /// Set by a handler that answers itself. An answer that the default action has given before it wins.
    pub answer: Option<Answer>,
}

impl Event {
    /// An event without slots.
    #[must_use]
    pub fn new(kind: EventKind, collection: Option<Arc<Collection>>) -> Self {
        Self {
            kind,
            collection,
            slots: Vec::new(),
            request: None,
            response_headers: Vec::new(),
            answer: None,
        }
    }

    /// The same event with one slot more.
    #[must_use]
    pub fn with(mut self, name: &'static str, slot: Slot) -> Self {
        self.set(name, slot);
        self
    }

    /// The same event within a request.
    #[must_use]
    pub fn in_request(mut self, request: RequestParts) -> Self {
        self.request = Some(request);
        self
    }

    /// The names and values of all slots.
    pub fn slots(&self) -> impl Iterator<Item = (&'static str, &Slot)> {
        self.slots.iter().map(|(name, slot)| (*name, slot))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Slot> {
        self.slots()
            .find(|(known, _)| *known == name)
            .map(|(_, slot)| slot)
    }

    /// A slot to change in place.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Slot> {
        self.slots
            .iter_mut()
            .find(|(known, _)| *known == name)
            .map(|(_, slot)| slot)
    }

    /// Sets a slot, or adds it.
    pub fn set(&mut self, name: &'static str, slot: Slot) {
        match self.get_mut(name) {
            Some(known) => *known = slot,
            None => self.slots.push((name, slot)),
        }
    }

    /// Takes a slot out.
    pub fn take(&mut self, name: &str) -> Option<Slot> {
        let at = self.slots.iter().position(|(known, _)| *known == name)?;
        Some(self.slots.swap_remove(at).1)
    }

    /// The slot `record`, taken out.
    pub fn take_record(&mut self) -> Option<Record> {
        match self.take("record")? {
            Slot::Record(record) => Some(*record),
            _ => None,
        }
    }

    /// A JSON slot.
    #[must_use]
    pub fn json(&self, name: &str) -> Option<&Json> {
        match self.get(name)? {
            Slot::Json(json) => Some(json),
            _ => None,
        }
    }
}

/// What a handler wants next.
#[derive(Debug)]
pub enum Step {
    /// The rest of the chain shall run on this event; [`Visit::resume`] brings it back.
    Next(Event),
    /// The handler is through. With an error, what came after it may have happened already.
    Done(Event, Result<(), Error>),
}

/// One handler at work on one event. Dropping it gives the work up.
pub trait Visit: Send {
    /// Works until the handler wants something. `tx` is the transaction that the event happens in, if it happens in one;
    /// everything the handler reads or writes meanwhile belongs to it.
    fn step<'a>(&'a mut self, tx: Option<&'a mut Tx>) -> BoxFuture<'a, Step>;

    /// Gives back the event after [`Step::Next`], with what came of it.
    fn resume(&mut self, event: Event, result: Result<(), Error>);
}

/// A handler of events.
pub trait Handler: Send + Sync {
    /// Starts on an event.
    fn begin(&self, event: Event) -> Box<dyn Visit>;
}

/// Where handlers are registered; one for all scripts.
pub trait Interceptor: Send + Sync {
    /// The handlers that want an event, in the order in which they run.
    fn handlers(&self, kind: EventKind, collection: Option<&Collection>) -> Vec<Arc<dyn Handler>>;
}

/// The interceptor in force, if any.
#[derive(Default)]
pub struct Interceptors {
    current: ArcSwapOption<Arc<dyn Interceptor>>,
}

impl Interceptors {
    /// Puts an interceptor in place of the one before.
    pub fn set(&self, interceptor: Arc<dyn Interceptor>) {
        self.current.store(Some(Arc::new(interceptor)));
    }

    /// Whether there is an interceptor at all.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.current.load().is_some()
    }

    /// The handlers that want an event; empty for most.
    #[must_use]
    pub fn handlers(
        &self,
        kind: EventKind,
        collection: Option<&Collection>,
    ) -> Vec<Arc<dyn Handler>> {
        match self.current.load().as_deref() {
            Some(interceptor) => interceptor.handlers(kind, collection),
            None => Vec::new(),
        }
    }
}

/// What an event carries, as the place that fires it keeps it.
pub trait Slots {
    /// Writes the slots. What is moved into them comes back with `take`.
    fn put(&mut self, event: &mut Event);

    /// Takes what the handlers have made of them; called before the default action and at the end of the chain.
    fn take(&mut self, event: &mut Event);
}

/// An event without slots.
impl Slots for () {
    fn put(&mut self, _: &mut Event) {}

    fn take(&mut self, _: &mut Event) {}
}

/// What came of an event with a default action.
#[derive(Debug)]
pub enum Outcome<R> {
    /// The default action's result.
    Done(R),
    /// A handler gave an answer, in place of the default action or before it.
    Answered(Answer),
    /// The handlers kept the default action from running, or swallowed its error, and answered nothing.
    Silent,
}

/// An outcome, with the headers that the answer to the request shall have in any case.
#[derive(Debug)]
pub struct Tapped<R> {
    pub headers: Vec<(String, String)>,
    pub result: Result<Outcome<R>, Error>,
}

/// Runs a default action, with those who listen around it. Without any it runs alone, and `event` is not asked for.
///
/// `state` is what the event's slots carry and the default action works on: what handlers change counts for the action,
/// and what the action changes is seen by the handlers when they go on. What is given first is the answer: of the default
/// action, of a handler, or the error that left the chain.
pub async fn tapped<S, R, A>(
    handlers: &[Arc<dyn Handler>],
    event: impl FnOnce() -> Event,
    tx: Option<&mut Tx>,
    state: &mut S,
    default: A,
) -> Tapped<R>
where
    S: Slots,
    A: AsyncFnOnce(&mut S, Option<&mut Tx>) -> Result<R, Error>,
{
    if handlers.is_empty() {
        return Tapped {
            headers: Vec::new(),
            result: default(state, tx).await.map(Outcome::Done),
        };
    }
    let mut event = event();
    state.put(&mut event);
    let mut done = None;
    let mut answered_before = None;
    let (mut event, ended) = run(
        handlers,
        event,
        tx,
        async |event: &mut Event, tx: Option<&mut Tx>| {
            answered_before = event.answer.clone();
            state.take(event);
            let result = default(state, tx).await;
            state.put(event);
            done = Some(result?);
            Ok(())
        },
    )
    .await;
    state.take(&mut event);
    let answer = event.answer.take();
    let result = match (answered_before, done, answer, ended) {
        (Some(answer), ..) | (None, None, Some(answer), _) => Ok(Outcome::Answered(answer)),
        (None, Some(done), _, ended) => {
            if let Err(error) = ended {
                tracing::warn!(event = ?event.kind, %error, "a handler failed after the answer was given");
            }
            Ok(Outcome::Done(done))
        }
        (None, None, None, Ok(())) => Ok(Outcome::Silent),
        (None, None, None, Err(error)) => Err(error),
    };
    Tapped {
        headers: event.response_headers,
        result,
    }
}

/// Leads an event through `handlers` to its default action and back. The action does not run when a handler leaves
/// without asking for the rest.
///
/// # Errors
/// What the outermost handler ended with, beside the event as it came out.
pub async fn run<'t, A>(
    handlers: &[Arc<dyn Handler>],
    event: Event,
    mut tx: Option<&'t mut Tx>,
    default: A,
) -> (Event, Result<(), Error>)
where
    A: AsyncFnOnce(&mut Event, Option<&mut Tx>) -> Result<(), Error>,
{
    enum Way {
        In(Event),
        Out(Event, Result<(), Error>),
    }
    let mut waiting: Vec<Box<dyn Visit>> = Vec::with_capacity(handlers.len());
    let mut default = Some(default);
    let mut way = Way::In(event);
    loop {
        let mut visit = match way {
            Way::In(mut event) => match handlers.get(waiting.len()) {
                Some(handler) => handler.begin(event),
                None => {
                    // A handler that asks for the rest a second time does not get it done twice.
                    let result = match default.take() {
                        Some(default) => default(&mut event, tx.as_deref_mut()).await,
                        None => Ok(()),
                    };
                    way = Way::Out(event, result);
                    continue;
                }
            },
            Way::Out(event, result) => match waiting.pop() {
                Some(mut visit) => {
                    visit.resume(event, result);
                    visit
                }
                None => return (event, result),
            },
        };
        way = match visit.step(tx.as_deref_mut()).await {
            Step::Next(event) => {
                waiting.push(visit);
                Way::In(event)
            }
            Step::Done(event, result) => Way::Out(event, result),
        };
    }
}
