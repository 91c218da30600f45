//! From a committed write to the bytes each subscriber gets.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::clients::{Audience, Clients, Member};
use super::message::Message;
use crate::api::encode;
use crate::engine::events::EventKind;
use crate::engine::hooks::{Committed, Next, Op, RecordEvent, RecordHook, Stage};
use crate::engine::{Engine, Enriched, Error, Link, RequestInfo, context};
use crate::filter::fields::FieldPicker;
use crate::model::{Collection, Record, Schema};
use crate::store::search::Condition;

/// The most committed writes that may wait for their rules to be asked. Beyond it clients are cut off and come back,
/// since writers never wait for readers.
const BACKLOG_MAX: usize = 20_000;

/// The record hook behind `/api/realtime`.
pub struct Dispatcher {
    clients: Clients,
    queue: mpsc::UnboundedSender<Work>,
    waiting: Arc<AtomicUsize>,
}

pub(super) enum Work {
    /// A create or update, to be checked against the rules now.
    Changed(Committed, u64),
    /// Messages of a delete, prepared while the record was still there, or of somebody's own.
    Prepared(Vec<Prepared>),
}

pub(super) struct Prepared {
    pub(super) message: Message,
    pub(super) members: Vec<Member>,
}

/// A way to the dispatcher's task that does not keep it alive.
#[derive(Clone)]
pub(super) struct Outbox {
    queue: mpsc::WeakUnboundedSender<Work>,
    waiting: Arc<AtomicUsize>,
}

impl Outbox {
    /// Hands over a message. Gives whether there was room for it; it is dropped when the server stops.
    pub(super) fn send(&self, message: Prepared) -> bool {
        let Some(queue) = self.queue.upgrade() else {
            return true;
        };
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= BACKLOG_MAX
            || queue.send(Work::Prepared(vec![message])).is_err()
        {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        true
    }
}

impl Dispatcher {
    /// Starts the task that checks and delivers; it ends with the last handle of the dispatcher.
    #[must_use]
    pub fn start(engine: Engine, clients: Clients) -> Self {
        let (queue, mut work) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let (counter, listeners) = (Arc::clone(&waiting), clients.clone());
        tokio::spawn(async move {
            while let Some(work) = work.recv().await {
                counter.fetch_sub(1, Ordering::Relaxed);
                match work {
                    Work::Prepared(messages) => deliver(&engine, &messages).await,
                    Work::Changed(event, commit) => {
                        match changed(&engine, &listeners, &event, commit).await {
                            Ok(messages) => deliver(&engine, &messages).await,
                            Err(error) => {
                                tracing::error!(error = %error, record.id = event.record.id(),
                                    "realtime subscribers miss an event");
                                listeners.close_all();
                            }
                        }
                    }
                }
            }
        });
        clients.deliver_through(Outbox {
            queue: queue.downgrade(),
            waiting: Arc::clone(&waiting),
        });
        Self {
            clients,
            queue,
            waiting,
        }
    }

    fn push(&self, work: Work) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= BACKLOG_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!("realtime falls behind, clients are cut off");
            self.clients.close_all();
            return;
        }
        if self.queue.send(work).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

async fn deliver(engine: &Engine, messages: &[Prepared]) {
    if messages.is_empty() {
        return;
    }
    let kind = EventKind::RealtimeMessageSend;
    let handlers = engine.interceptors().handlers(kind, None);
    for Prepared { message, members } in messages {
        if handlers.is_empty() {
            let handles = members.iter().map(|member| &member.handle);
            engine.bus().deliver(handles, &message.frame());
            continue;
        }
        for member in members {
            if let Some(message) = message.offer(&handlers, &member.client).await {
                engine.bus().deliver([&member.handle], &message.frame());
            }
        }
    }
}

async fn changed(
    engine: &Engine,
    clients: &Clients,
    event: &Committed,
    commit: u64,
) -> Result<Vec<Prepared>, Error> {
    if !clients.any(&topics(&event.record)) {
        return Ok(Vec::new());
    }
    let mut link = Link::Pool(engine);
    let schema = engine.schema();
    let moment = Moment {
        record: &event.record,
        op: event.op,
        commit,
    };
    prepare(engine, &mut link, &schema, clients, moment).await
}

impl RecordHook for Dispatcher {
    /// As late as possible, so that deletes are prepared when all other hooks have agreed.
    fn priority(&self) -> i32 {
        99
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let skip = stage != Stage::Write
            || event.op != Op::Delete
            || !self.clients.any(&topics(&event.record));
        if skip {
            return next.run(event);
        }
        Box::pin(async move {
            let schema = Arc::clone(event.tx.schema());
            let record = Arc::new(event.record.clone());
            let engine = event.engine.clone();
            let moment = Moment {
                record: &record,
                op: Op::Delete,
                commit: u64::MAX,
            };
            let messages = prepare(
                &engine,
                &mut Link::Tx(event.tx),
                &schema,
                &self.clients,
                moment,
            )
            .await?;
            next.run(event).await?;
            if messages.is_empty() {
                return Ok(());
            }
            let (queue, waiting) = (self.queue.clone(), Arc::clone(&self.waiting));
            event.tx.on_commit(Box::new(move || {
                waiting.fetch_add(1, Ordering::Relaxed);
                if queue.send(Work::Prepared(messages)).is_err() {
                    waiting.fetch_sub(1, Ordering::Relaxed);
                }
            }));
            Ok(())
        })
    }

    fn committed(&self, _engine: &Engine, event: &Committed) {
        let commit = self.clients.count_commit();
        match event.op {
            Op::Update if event.record.collection().is_auth() => {
                self.clients.auth_changed(&event.record);
            }
            Op::Delete if event.record.collection().is_auth() => {
                self.clients.auth_ended(|own| {
                    own.id() == event.record.id()
                        && own.collection().id == event.record.collection().id
                });
            }
            _ => {}
        }
        if event.op != Op::Delete && self.clients.any(&topics(&event.record)) {
            self.push(Work::Changed(event.clone(), commit));
        }
    }
}

/// The topics that a record's events go to; those of the record itself come first.
fn topics(record: &Record) -> [String; 6] {
    let collection = record.collection();
    let (id, name, record_id) = (&collection.id, &collection.name, record.id());
    [
        format!("{name}/{record_id}"),
        format!("{id}/{record_id}"),
        format!("{name}/*"),
        format!("{id}/*"),
        name.clone(),
        id.clone(),
    ]
}

/// What distinguishes the encodings of one event.
#[derive(Clone, PartialEq, Eq, Hash)]
struct ViewKey {
    show_hidden: bool,
    show_email: bool,
    expand: String,
    fields: String,
    /// Expanded relations depend on who asks.
    identity: Option<(String, String)>,
}

/// One event while it is prepared: answers of rules and encodings by what they depend on.
struct Preparation<'a> {
    engine: &'a Engine,
    schema: &'a Schema,
    record: &'a Arc<Record>,
    op: Op,
    /// Whether others take part in what the record shows.
    tapped: bool,
    allowed: HashMap<Vec<u8>, bool>,
    encoded: HashMap<ViewKey, Bytes>,
}

/// A write to tell of.
struct Moment<'a> {
    record: &'a Arc<Record>,
    op: Op,
    /// The number of its commit; the largest for one that is yet to come.
    commit: u64,
}

async fn prepare(
    engine: &Engine,
    link: &mut Link<'_>,
    schema: &Schema,
    clients: &Clients,
    Moment { record, op, commit }: Moment<'_>,
) -> Result<Vec<Prepared>, Error> {
    let collection = record.collection();
    let mut preparation = Preparation {
        engine,
        schema,
        record,
        op,
        tapped: !engine
            .interceptors()
            .handlers(EventKind::RecordEnrich, Some(collection))
            .is_empty(),
        allowed: HashMap::new(),
        encoded: HashMap::new(),
    };
    let mut messages = Vec::new();
    for (index, topic) in topics(record).iter().enumerate() {
        let rule = if index < 2 {
            collection.view_rule.as_deref()
        } else {
            collection.list_rule.as_deref()
        };
        for audience in clients.audiences(topic, commit) {
            if let Some(message) = preparation.message(link, &audience, rule).await? {
                messages.push(message);
            }
        }
    }
    Ok(messages)
}

impl Preparation<'_> {
    async fn message(
        &mut self,
        link: &mut Link<'_>,
        audience: &Audience,
        rule: Option<&str>,
    ) -> Result<Option<Prepared>, Error> {
        let subscription = &audience.subscription;
        let request = RequestInfo {
            context: context::REALTIME,
            method: "GET".into(),
            query: Arc::clone(&subscription.query),
            headers: Arc::clone(&subscription.headers),
            body: Arc::default(),
            auth: audience.auth.clone(),
        };
        let Some(condition) = self.condition(rule, &request) else {
            return Ok(None);
        };
        if !self.is_allowed(link, &condition).await? {
            return Ok(None);
        }
        let data = self.encode(link, audience, &request).await?;
        Ok(Some(Prepared {
            message: Message::new(Arc::clone(&subscription.name), data),
            members: audience.members.clone(),
        }))
    }

    /// The rule and the client's own filter; `None` when nothing can fit.
    fn condition(&self, rule: Option<&str>, request: &RequestInfo) -> Option<Condition> {
        let collection: &Arc<Collection> = self.record.collection();
        let allowed = self
            .engine
            .rule_condition(self.schema, collection, rule, request)
            .ok()?;
        let filter = request.query("filter");
        if filter.is_empty() {
            return Some(allowed);
        }
        let probes = ["@collection.", "@request."]
            .iter()
            .any(|field| filter.contains(field));
        if probes && !request.is_superuser() {
            return None;
        }
        let wanted = self
            .engine
            .condition(self.schema, collection, filter, Some(request), false)
            .ok()?;
        Some(allowed.and(wanted))
    }

    async fn is_allowed(
        &mut self,
        link: &mut Link<'_>,
        condition: &Condition,
    ) -> Result<bool, Error> {
        match condition {
            Condition::Always => return Ok(true),
            Condition::Never => return Ok(false),
            _ => {}
        }
        let key = condition.key();
        if let Some(known) = self.allowed.get(&key) {
            return Ok(*known);
        }
        let mut conn = link.conn().await?;
        let found = self
            .engine
            .matches(&mut conn, self.record, condition)
            .await?;
        drop(conn);
        self.allowed.insert(key, found);
        Ok(found)
    }

    async fn encode(
        &mut self,
        link: &mut Link<'_>,
        audience: &Audience,
        request: &RequestInfo,
    ) -> Result<Bytes, Error> {
        let expand = audience.subscription.option("expand");
        let fields = audience.subscription.option("fields");
        // What others make of the record may depend on all of the request.
        let flags_first = if self.tapped { expand } else { "" };
        let mut enriched = self.enrich(link, request, flags_first).await?;
        let key = ViewKey {
            show_hidden: request.is_superuser(),
            show_email: enriched.first().is_some_and(|item| item.show_email),
            expand: expand.to_owned(),
            fields: fields.to_owned(),
            identity: request
                .auth
                .as_ref()
                .filter(|_| !expand.is_empty())
                .map(|auth| (auth.collection().id.clone(), auth.id().to_owned())),
        };
        if !self.tapped {
            if let Some(data) = self.encoded.get(&key) {
                return Ok(data.clone());
            }
            if !expand.is_empty() {
                enriched = self.enrich(link, request, expand).await?;
            }
        }
        let mut data = b"{\"record\":".to_vec();
        if let Some(item) = enriched.first() {
            // A `fields` text that cannot be parsed counts as none, as in PocketBase.
            let picker = FieldPicker::parse(fields)
                .ok()
                .filter(|_| !fields.is_empty());
            encode::record(&mut data, item, picker.as_ref());
        }
        data.extend_from_slice(b",\"action\":\"");
        data.extend_from_slice(self.op.as_str().as_bytes());
        data.extend_from_slice(b"\"}");
        let data = Bytes::from(data);
        if !self.tapped {
            self.encoded.insert(key, data.clone());
        }
        Ok(data)
    }

    async fn enrich(
        &self,
        link: &mut Link<'_>,
        request: &RequestInfo,
        expand: &str,
    ) -> Result<Vec<Enriched>, Error> {
        let record = Record::clone(self.record);
        self.engine
            .enrich(link, self.schema, vec![record], request, expand)
            .await
    }
}
