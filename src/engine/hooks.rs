//! The hook chain: how modules and scripts take part in record and collection writes.
//!
//! Every write of a record, whoever asks for it, goes through [`Hooks::run`]. Handlers wrap what comes after them, in
//! priority order, and work inside the write's transaction. `committed` handlers see the write once it counts; those that
//! [follow](RecordHook::follows) a write may work after it, and the one who asked for it waits for them.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value as Json};

use super::{Engine, Error, RequestInfo};
use crate::model::{Collection, FieldErrors, Record};
use crate::store::{Failure, Tx};

/// What happens to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Create,
    Update,
    Delete,
}

impl Op {
    /// The name that realtime messages carry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Which part of a write a handler wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The whole write, validation included. Changes to the record count.
    Write,
    /// The checks alone.
    Validate,
    /// The statements alone; the record is valid.
    Execute,
}

/// A write on its way.
pub struct RecordEvent<'t> {
    pub engine: Engine,
    /// The transaction; everything a handler reads or writes belongs to it.
    pub tx: &'t mut Tx,
    /// A handler that finds the record of a create to be there already may put that record in place and set [`Op::Update`].
    pub op: Op,
    pub record: Record,
    /// The request that asked for the write, if a request did.
    pub request: Option<RequestInfo>,
    /// Whether validation runs; cascades skip it.
    pub validate: bool,
    pub(super) prepared: Prepared,
}

/// What was done for a record before its write began. What handlers add to the record is done with its statement.
#[derive(Default)]
pub(super) struct Prepared {
    /// The plain passwords that are hashed, by field.
    pub(super) hashed: Vec<(String, String)>,
    /// The names of the uploads that are stored.
    pub(super) stored: Vec<String>,
}

impl Prepared {
    /// All that a record brings.
    pub(super) fn of(record: &Record) -> Self {
        let passwords = record.plain_passwords();
        let uploads = record.uploads.iter();
        Self {
            hashed: passwords
                .map(|(field, plain)| (field.to_owned(), plain.to_owned()))
                .collect(),
            stored: uploads.map(|upload| upload.name.clone()).collect(),
        }
    }

    pub(super) fn has_hashed(&self, field: &str, plain: &str) -> bool {
        let mut hashed = self.hashed.iter();
        hashed.any(|(known, text)| known == field && text == plain)
    }
}

/// A write that counts.
#[derive(Clone)]
pub struct Committed {
    pub op: Op,
    pub record: Arc<Record>,
    /// The record before an update, where somebody [follows](RecordHook::follows) the write.
    pub original: Option<Arc<Record>>,
    pub request: Option<RequestInfo>,
}

/// A write that does not count.
#[derive(Clone)]
pub struct Failed {
    pub op: Op,
    /// The record as it came out of the chain, or as it went in where the chain kept it.
    pub record: Arc<Record>,
    /// As [`Committed::original`].
    pub original: Option<Arc<Record>>,
    pub request: Option<RequestInfo>,
    /// What the write ended with, or that its transaction was rolled back.
    pub error: Arc<Error>,
}

/// A handler of record writes. Registered once at start, for all collections or some.
pub trait RecordHook: Send + Sync {
    /// Handlers with smaller numbers wrap those with larger ones.
    fn priority(&self) -> i32 {
        0
    }

    /// Whether the handler wants this collection's writes. Asked for each write: it must be cheap, and a handler whose
    /// registrations change may answer by those in force.
    fn wants(&self, _collection: &Collection) -> bool {
        true
    }

    /// Whether clients that are no superusers may set a field through the records API. What they may not is left out of
    /// the body without a word, so that the stored value stays.
    fn is_settable(&self, _collection: &Collection, _field: &str) -> bool {
        true
    }

    /// Checks what a client sends before it is cast to the fields' types: a cast makes 0 of what is no number.
    fn check_input(
        &self,
        _collection: &Collection,
        _body: &Map<String, Json>,
        _is_new: bool,
    ) -> FieldErrors {
        FieldErrors::default()
    }

    /// Whether the handler must see this collection's records before they are checked, since it completes them or hears of
    /// those that are refused. Records are then checked inside the transaction alone, behind the handler.
    fn completes(&self, _collection: &Collection) -> bool {
        false
    }

    /// Whether the handler wants [`RecordHook::after_success`] or [`RecordHook::failed`] for this collection's writes.
    fn follows(&self, _collection: &Collection) -> bool {
        false
    }

    /// Wraps a stage; call `next.run(event)` to go on, or leave with an error to undo the write.
    fn handle<'a>(
        &'a self,
        _stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        next.run(event)
    }

    /// Whether the handler takes part in showing this collection's records.
    fn presents(&self, _collection: &Collection) -> bool {
        false
    }

    /// Brings a record that is about to be shown up to the moment, such as a state that has run out, and to the one who
    /// reads it. What is stored stays. In the context of realtime messages what readers of one rank see must be the same.
    fn present(&self, _engine: &Engine, _request: &RequestInfo, _record: &mut Record) {}

    /// Whether the files of a record are for those alone who may view it, though its field leaves them open to anybody.
    fn protects_files(&self, _record: &Record) -> bool {
        false
    }

    /// Called after the commit, in commit order. Must not wait for anything.
    fn committed(&self, _engine: &Engine, _event: &Committed) {}

    /// Gives work for the time after the commit, which the one who asked for the write waits for before its answer. Called
    /// inside the transaction; the work is dropped when it does not commit. The one who asked gets its error in place of the
    /// result, though the write stays.
    fn after_success(
        &self,
        _engine: &Engine,
        _event: &Committed,
    ) -> Option<BoxFuture<'static, Result<(), Error>>> {
        None
    }

    /// Gives work for the time after a write has failed or was rolled back with its transaction, which the one who asked
    /// for the write waits for.
    fn failed(&self, _engine: &Engine, _event: &Failed) -> Option<BoxFuture<'static, ()>> {
        None
    }
}

/// What those hear who follow a write that was undone with its transaction.
pub(super) const ROLLED_BACK: &str = "The transaction was rolled back.";

/// Joins what several handlers do after a commit, one after the other; the first error is what comes of it.
pub(super) fn following(
    work: Vec<BoxFuture<'static, Result<(), Error>>>,
) -> Option<BoxFuture<'static, Result<(), Failure>>> {
    if work.is_empty() {
        return None;
    }
    Some(Box::pin(async move {
        let mut result = Ok(());
        for one in work {
            let ended = one.await;
            result = result.and(ended);
        }
        result.map_err(|error| Arc::new(error) as Failure)
    }))
}

/// Joins the work of several handlers, to be done one after the other.
pub(super) fn in_turn(mut work: Vec<BoxFuture<'static, ()>>) -> Option<BoxFuture<'static, ()>> {
    if work.len() < 2 {
        return work.pop();
    }
    Some(Box::pin(async move {
        for one in work {
            one.await;
        }
    }))
}

/// The rest of a chain.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    rest: &'a [Arc<dyn RecordHook>],
    stage: Stage,
}

impl<'a> Next<'a> {
    /// Runs the remaining handlers, then the stage's own work.
    pub fn run<'e>(self, event: &'e mut RecordEvent<'_>) -> BoxFuture<'e, Result<(), Error>>
    where
        'a: 'e,
    {
        match self.rest.split_first() {
            Some((first, rest)) => first.handle(
                self.stage,
                event,
                Next {
                    rest,
                    stage: self.stage,
                },
            ),
            None => Box::pin(super::records::save::finish(self.stage, event)),
        }
    }
}

/// The registered handlers in priority order.
#[derive(Clone, Default)]
pub struct Hooks {
    handlers: Vec<Arc<dyn RecordHook>>,
}

impl Hooks {
    /// Adds a handler behind those of the same priority.
    pub fn register(&mut self, handler: Arc<dyn RecordHook>) {
        let at = self
            .handlers
            .partition_point(|other| other.priority() <= handler.priority());
        self.handlers.insert(at, handler);
    }

    /// The handlers that want a collection's writes.
    #[must_use]
    pub fn of(&self, collection: &Collection) -> Vec<Arc<dyn RecordHook>> {
        self.handlers
            .iter()
            .filter(|handler| handler.wants(collection))
            .cloned()
            .collect()
    }

    /// Whether every handler lets clients set a field.
    #[must_use]
    pub fn let_set(&self, collection: &Collection, field: &str) -> bool {
        let refuses = |handler: &Arc<dyn RecordHook>| {
            handler.wants(collection) && !handler.is_settable(collection, field)
        };
        !self.handlers.iter().any(refuses)
    }

    /// Whether a handler protects the files of a record.
    #[must_use]
    pub fn protect_files(&self, record: &Record) -> bool {
        let protects = |handler: &Arc<dyn RecordHook>| {
            handler.wants(record.collection()) && handler.protects_files(record)
        };
        self.handlers.iter().any(protects)
    }

    /// Brings records of one collection up to the moment; see [`RecordHook::present`].
    pub(super) fn present(&self, engine: &Engine, request: &RequestInfo, records: &mut [Record]) {
        let Some(first) = records.first() else {
            return;
        };
        let collection = Arc::clone(first.collection());
        for handler in &self.handlers {
            if handler.presents(&collection) {
                for record in &mut *records {
                    handler.present(engine, request, record);
                }
            }
        }
    }

    /// What the handlers have against a body.
    pub(super) fn check_input(
        &self,
        collection: &Collection,
        body: &Map<String, Json>,
        is_new: bool,
    ) -> FieldErrors {
        let mut errors = FieldErrors::default();
        for handler in &self.handlers {
            if handler.wants(collection) {
                errors.merge(handler.check_input(collection, body, is_new));
            }
        }
        errors
    }

    /// Whether a handler must see the records of a collection before they are checked.
    pub(super) fn complete(&self, collection: &Collection) -> bool {
        let completes = |handler: &Arc<dyn RecordHook>| {
            handler.wants(collection) && handler.completes(collection)
        };
        self.handlers.iter().any(completes)
    }

    /// The handlers among `handlers` that follow a collection's writes.
    pub(super) fn followers(
        handlers: &[Arc<dyn RecordHook>],
        collection: &Collection,
    ) -> Vec<Arc<dyn RecordHook>> {
        let follow = handlers.iter().filter(|hook| hook.follows(collection));
        follow.cloned().collect()
    }

    /// Runs one stage through `handlers`.
    ///
    /// # Errors
    /// What a handler or the stage's own work refused.
    pub async fn run(
        handlers: &[Arc<dyn RecordHook>],
        stage: Stage,
        event: &mut RecordEvent<'_>,
    ) -> Result<(), Error> {
        Next {
            rest: handlers,
            stage,
        }
        .run(event)
        .await
    }

    /// Tells all handlers of a commit.
    pub fn committed(&self, engine: &Engine, event: &Committed) {
        for handler in &self.handlers {
            if handler.wants(event.record.collection()) {
                handler.committed(engine, event);
            }
        }
    }
}
