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
//! [`Chain`] is that way; [`run`] walks it with the default action as a closure; [`tapped`] is for places whose event
//! carries what the action works on. An event moves by value, so that a handler may live on another thread; the driver
//! stays where it was called, so that a default action need not be `Send`.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::Value as Json;

use super::{Error, RequestInfo};
use crate::base::within;
use crate::mail::Mail;
use crate::model::{Collection, Record};
use crate::store::Tx;

mod tapped;

pub use crate::base::within::{WITHIN, Within};
pub use tapped::{Outcome, Slots, Tapped, tapped};

/// What happens. The names are those of PocketBase's event hooks without their `on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    Bootstrap,
    /// The server's end, when nothing else is to come.
    BootstrapClear,
    Serve,
    /// Slot `is_restart`.
    Terminate,
    /// Slots `filename` (empty: to be made), `exclude` (names in the data directory), as the next.
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
    /// Slot `settings`, with passwords and secrets, as in the next.
    SettingsListRequest,
    /// Slots `old_settings`, `new_settings`.
    SettingsUpdateRequest,
    /// After settings were changed, before the answer.
    SettingsReload,
    /// Slots `record`, `field` (the object), `served_path`, `served_name`.
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
    /// Slots `record`, `token`, `meta` (null: none), `auth_method` (empty: no second factor, no alert).
    RecordAuthRequest,
    /// Slots `record` (may be absent), `identity`, `identity_field`, `password`.
    RecordAuthWithPasswordRequest,
    RecordAuthWithOAuth2Request,
    /// Slots `record`, `otp` (a record).
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
    /// Writes of records: slot `record`. They come from the chain of [`super::hooks`], inside the transaction.
    RecordValidate,
    RecordCreate,
    RecordCreateExecute,
    RecordUpdate,
    RecordUpdateExecute,
    RecordDelete,
    RecordDeleteExecute,
    /// After the commit, or after the failure with slot `error`.
    RecordAfterCreateSuccess,
    RecordAfterCreateError,
    RecordAfterUpdateSuccess,
    RecordAfterUpdateError,
    RecordAfterDeleteSuccess,
    RecordAfterDeleteError,
    /// Changes of collections: slot `collection`. They come from the chain of [`super::collections::hooks`].
    CollectionValidate,
    CollectionCreate,
    CollectionCreateExecute,
    CollectionUpdate,
    CollectionUpdateExecute,
    CollectionDelete,
    CollectionDeleteExecute,
    CollectionAfterCreateSuccess,
    CollectionAfterCreateError,
    CollectionAfterUpdateSuccess,
    CollectionAfterUpdateError,
    CollectionAfterDeleteSuccess,
    CollectionAfterDeleteError,
    /// A request for a route of a script, or any request where scripts wrap all of them. Without slots.
    Route,
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
#[derive(Clone, Default)]
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
    /// The pattern of a script's route; empty elsewhere.
    pub pattern: String,
    /// The body as sent, where the place that made the event has read it.
    pub body: Bytes,
    /// What handlers keep about the request from one of its events to the next.
    pub kept: Option<Within>,
}

impl std::fmt::Debug for RequestParts {
    /// Without headers and body, which may hold secrets.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RequestParts")
            .field("method", &self.info.method)
            .field("path_values", &self.path_values)
            .finish_non_exhaustive()
    }
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
    /// The status that the default action has answered with, where its answer is not in `answer`.
    pub written: Option<u16>,
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
            written: None,
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

    /// See [`Chain::within`].
    fn within(&self) -> Option<Within> {
        None
    }
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

/// Where an event stands, as [`Chain::advance`] tells it.
#[derive(Debug)]
pub enum Way {
    /// All handlers want the rest to run: do it, and bring the event back with [`Chain::back`].
    Act(Event),
    /// All handlers are through; the result is what the outermost ended with.
    End(Event, Result<(), Error>),
}

/// An event's way through handlers to its default action and back. The action is asked for once at most, and never when
/// a handler leaves without asking for the rest.
pub struct Chain<'h> {
    handlers: &'h [Arc<dyn Handler>],
    waiting: Vec<Box<dyn Visit>>,
    /// What to go on with; absent once the end was told.
    next: Option<Way>,
    acted: bool,
}

impl<'h> Chain<'h> {
    /// Starts an event on its way.
    #[must_use]
    pub fn new(handlers: &'h [Arc<dyn Handler>], event: Event) -> Self {
        Self {
            handlers,
            waiting: Vec::with_capacity(handlers.len()),
            next: Some(Way::Act(event)),
            acted: false,
        }
    }

    /// Goes on until the default action is due or all is done; nothing once the end was told.
    pub async fn advance(&mut self, mut tx: Option<&mut Tx>) -> Option<Way> {
        loop {
            let mut visit = match self.next.take()? {
                Way::Act(event) => match self.handlers.get(self.waiting.len()) {
                    Some(handler) => WITHIN.sync_scope(self.on_behalf(), || handler.begin(event)),
                    None if self.acted => {
                        // A handler that asks for the rest a second time does not get it done twice.
                        self.next = Some(Way::End(event, Ok(())));
                        continue;
                    }
                    None => {
                        self.acted = true;
                        return Some(Way::Act(event));
                    }
                },
                Way::End(event, result) => match self.waiting.pop() {
                    Some(mut visit) => {
                        visit.resume(event, result);
                        visit
                    }
                    None => return Some(Way::End(event, result)),
                },
            };
            let step = visit.step(tx.as_deref_mut());
            self.next = Some(match WITHIN.scope(self.on_behalf(), step).await {
                Step::Next(event) => {
                    self.waiting.push(visit);
                    Way::Act(event)
                }
                Step::Done(event, result) => Way::End(event, result),
            });
        }
    }

    /// Brings the event back from its default action.
    pub fn back(&mut self, event: Event, result: Result<(), Error>) {
        self.next = Some(Way::End(event, result));
    }

    /// The mark of what is done now: it is asked for by the innermost waiting handler, or by whoever the event is for. To be
    /// set as [`WITHIN`] around the default action.
    #[must_use]
    pub fn on_behalf(&self) -> Option<Within> {
        let innermost = self.waiting.last().and_then(|visit| visit.within());
        innermost.or_else(within::current)
    }
}

/// Leads an event through `handlers` to its default action and back; see [`Chain`].
///
/// # Errors
/// What the outermost handler ended with, beside the event as it came out.
pub async fn run<A>(
    handlers: &[Arc<dyn Handler>],
    event: Event,
    mut tx: Option<&mut Tx>,
    default: A,
) -> (Event, Result<(), Error>)
where
    A: AsyncFnOnce(&mut Event, Option<&mut Tx>) -> Result<(), Error>,
{
    let mut chain = Chain::new(handlers, event);
    let mut default = Some(default);
    loop {
        match chain.advance(tx.as_deref_mut()).await {
            Some(Way::Act(mut event)) => {
                let mut result = Ok(());
                if let Some(default) = default.take() {
                    let action = default(&mut event, tx.as_deref_mut());
                    result = WITHIN.scope(chain.on_behalf(), action).await;
                }
                chain.back(event, result);
            }
            Some(Way::End(event, result)) => return (event, result),
            None => unreachable!("a chain ends by telling its end"),
        }
    }
}
