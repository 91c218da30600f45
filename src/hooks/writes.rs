//! Scripts in the write chains of records and collections.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::registry::Published;
use super::{failure, handlers};
use crate::engine::collections::{
    CollectionChanged, CollectionEvent, CollectionFailed, CollectionHook, CollectionNext,
};
use crate::engine::events::{Chain, Event, EventKind, Handler, Slot, WITHIN, Way};
use crate::engine::{Committed, Engine, Error, Failed, Next, Op, RecordEvent, RecordHook, Stage};
use crate::model::{Collection, Record};

/// Scripts wrap what modules do.
const PRIORITY: i32 = -1_000;

/// The kinds inside a write of a record.
const KINDS: &[EventKind] = &[
    EventKind::RecordValidate,
    EventKind::RecordCreate,
    EventKind::RecordCreateExecute,
    EventKind::RecordUpdate,
    EventKind::RecordUpdateExecute,
    EventKind::RecordDelete,
    EventKind::RecordDeleteExecute,
];

/// The kinds that come before the checks of a record, or hear of what they refuse.
const BEFORE_CHECKS: &[EventKind] = &[
    EventKind::RecordValidate,
    EventKind::RecordCreate,
    EventKind::RecordUpdate,
    EventKind::RecordAfterCreateError,
    EventKind::RecordAfterUpdateError,
];

/// The kinds that follow a write of a record.
const AFTERWARDS: &[EventKind] = &[
    EventKind::RecordAfterCreateSuccess,
    EventKind::RecordAfterUpdateSuccess,
    EventKind::RecordAfterDeleteSuccess,
    EventKind::RecordAfterCreateError,
    EventKind::RecordAfterUpdateError,
    EventKind::RecordAfterDeleteError,
];

/// The kinds that follow a change of a collection.
const COLLECTIONS_AFTERWARDS: &[EventKind] = &[
    EventKind::CollectionAfterCreateSuccess,
    EventKind::CollectionAfterUpdateSuccess,
    EventKind::CollectionAfterDeleteSuccess,
    EventKind::CollectionAfterCreateError,
    EventKind::CollectionAfterUpdateError,
    EventKind::CollectionAfterDeleteError,
];

/// All scripts as one handler of record writes.
pub(super) struct RecordWrites {
    engine: Engine,
    published: Published,
}

impl RecordWrites {
    pub(super) fn new(engine: Engine, published: Published) -> Self {
        Self { engine, published }
    }
}

impl RecordHook for RecordWrites {
    fn priority(&self) -> i32 {
        PRIORITY
    }

    fn wants(&self, collection: &Collection) -> bool {
        {
            let registry = self.published.load();
            registry.wants_any(KINDS, collection) || registry.wants_any(AFTERWARDS, collection)
        }
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let kind = kind_of(stage, event.op);
        let collection = event.record.collection().clone();
        let handlers = handlers(&self.engine, &self.published, kind, Some(&collection));
        if handlers.is_empty() {
            return next.run(event);
        }
        Box::pin(async move {
            // To scripts a record that was saved still tells what it was before, until the write is behind.
            let saves = stage != Stage::Validate && event.op != Op::Delete;
            let script_event = Event::new(kind, Some(collection))
                .with("record", Slot::Record(Box::new(event.record.clone())));
            let mut chain = Chain::new(&handlers, script_event);
            loop {
                match chain.advance(Some(&mut *event.tx)).await {
                    Some(Way::Act(mut script_event)) => {
                        if let Some(record) = script_event.take_record() {
                            event.record = record;
                        }
                        let stored = saves.then(|| event.record.stored_values());
                        let result = WITHIN.scope(chain.on_behalf(), next.run(event)).await;
                        let mut record = event.record.clone();
                        if let Some(before) = stored.filter(|_| result.is_ok()) {
                            record.remember(before);
                        }
                        script_event.set("record", Slot::Record(Box::new(record)));
                        chain.back(script_event, result);
                    }
                    Some(Way::End(mut script_event, result)) => {
                        if let Some(mut record) = script_event.take_record() {
                            record.forget_former();
                            event.record = record;
                        }
                        return result;
                    }
                    None => return Ok(()),
                }
            }
        })
    }

    fn follows(&self, collection: &Collection) -> bool {
        self.published.load().wants_any(AFTERWARDS, collection)
    }

    fn completes(&self, collection: &Collection) -> bool {
        self.published.load().wants_any(BEFORE_CHECKS, collection)
    }

    fn after_success(
        &self,
        _: &Engine,
        event: &Committed,
    ) -> Option<BoxFuture<'static, Result<(), Error>>> {
        let kind = match event.op {
            Op::Create => EventKind::RecordAfterCreateSuccess,
            Op::Update => EventKind::RecordAfterUpdateSuccess,
            Op::Delete => EventKind::RecordAfterDeleteSuccess,
        };
        let record = || {
            let mut record = Record::clone(&event.record);
            match (&event.original, event.op) {
                (Some(original), _) => record.remember(original.stored_values()),
                (None, Op::Create) => {
                    let blank = Record::new(Arc::clone(record.collection()));
                    record.remember(blank.stored_values());
                }
                (None, _) => {}
            }
            record
        };
        self.afterwards(kind, event.record.collection(), record, None)
    }

    fn failed(&self, _: &Engine, event: &Failed) -> Option<BoxFuture<'static, ()>> {
        let kind = match event.op {
            Op::Create => EventKind::RecordAfterCreateError,
            Op::Update => EventKind::RecordAfterUpdateError,
            Op::Delete => EventKind::RecordAfterDeleteError,
        };
        let record = || {
            let mut record = Record::clone(&event.record);
            match (&event.original, event.op) {
                (_, Op::Create) => record.mark_stored(false),
                (Some(original), _) => record.remember(original.stored_values()),
                (None, _) => {}
            }
            record
        };
        self.afterwards(kind, event.record.collection(), record, Some(&event.error))
            .map(quietly)
    }
}

impl RecordWrites {
    fn afterwards(
        &self,
        kind: EventKind,
        collection: &Arc<Collection>,
        record: impl FnOnce() -> Record,
        error: Option<&Arc<Error>>,
    ) -> Option<BoxFuture<'static, Result<(), Error>>> {
        let handlers = handlers(&self.engine, &self.published, kind, Some(collection));
        if handlers.is_empty() {
            return None;
        }
        let event = Event::new(kind, Some(Arc::clone(collection)))
            .with("record", Slot::Record(Box::new(record())));
        Some(tell(handlers, with_error(event, error)))
    }
}

/// All scripts as one handler of changes of collections.
pub(super) struct CollectionWrites {
    engine: Engine,
    published: Published,
}

impl CollectionWrites {
    pub(super) fn new(engine: Engine, published: Published) -> Self {
        Self { engine, published }
    }

    fn afterwards(
        &self,
        kind: EventKind,
        collection: &Arc<Collection>,
        error: Option<&Arc<Error>>,
    ) -> Option<BoxFuture<'static, Result<(), Error>>> {
        let handlers = handlers(&self.engine, &self.published, kind, Some(collection));
        if handlers.is_empty() {
            return None;
        }
        let event = Event::new(kind, Some(Arc::clone(collection)))
            .with("collection", Slot::Collection(Arc::clone(collection)));
        Some(tell(handlers, with_error(event, error)))
    }
}

impl CollectionHook for CollectionWrites {
    fn priority(&self) -> i32 {
        PRIORITY
    }

    fn follows(&self, collection: &Collection) -> bool {
        self.published
            .load()
            .wants_any(COLLECTIONS_AFTERWARDS, collection)
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut CollectionEvent<'_>,
        next: CollectionNext<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let kind = collection_kind_of(stage, event.op);
        let handlers = handlers(&self.engine, &self.published, kind, Some(&event.collection));
        if handlers.is_empty() {
            return next.run(event);
        }
        Box::pin(async move {
            let collection = Arc::new(event.collection.clone());
            let script_event = Event::new(kind, Some(Arc::clone(&collection)))
                .with("collection", Slot::Collection(collection));
            let mut chain = Chain::new(&handlers, script_event);
            loop {
                match chain.advance(Some(&mut *event.tx)).await {
                    Some(Way::Act(mut script_event)) => {
                        take_collection(&mut script_event, &mut event.collection);
                        let result = WITHIN.scope(chain.on_behalf(), next.run(event)).await;
                        let collection = Arc::new(event.collection.clone());
                        script_event.set("collection", Slot::Collection(collection));
                        chain.back(script_event, result);
                    }
                    Some(Way::End(mut script_event, result)) => {
                        take_collection(&mut script_event, &mut event.collection);
                        return result;
                    }
                    None => return Ok(()),
                }
            }
        })
    }

    fn after_success(
        &self,
        _: &Engine,
        change: &CollectionChanged,
    ) -> Option<BoxFuture<'static, Result<(), Error>>> {
        let kind = match change.op {
            Op::Create => EventKind::CollectionAfterCreateSuccess,
            Op::Update => EventKind::CollectionAfterUpdateSuccess,
            Op::Delete => EventKind::CollectionAfterDeleteSuccess,
        };
        self.afterwards(kind, &change.collection, None)
    }

    fn failed(&self, _: &Engine, failed: &CollectionFailed) -> Option<BoxFuture<'static, ()>> {
        let kind = match failed.change.op {
            Op::Create => EventKind::CollectionAfterCreateError,
            Op::Update => EventKind::CollectionAfterUpdateError,
            Op::Delete => EventKind::CollectionAfterDeleteError,
        };
        self.afterwards(kind, &failed.change.collection, Some(&failed.error))
            .map(quietly)
    }
}

fn take_collection(event: &mut Event, collection: &mut Collection) {
    if let Some(Slot::Collection(changed)) = event.take("collection") {
        *collection = Arc::unwrap_or_clone(changed);
    }
}

fn with_error(event: Event, error: Option<&Arc<Error>>) -> Event {
    match error {
        Some(error) => event.with("error", Slot::Json(failure::parts(error).1.into())),
        None => event,
    }
}

/// Tells handlers of what has happened. Nothing of it can be undone any more; what they throw is for the one who asked.
fn tell(handlers: Vec<Arc<dyn Handler>>, event: Event) -> BoxFuture<'static, Result<(), Error>> {
    Box::pin(async move {
        let mut chain = Chain::new(&handlers, event);
        while let Some(way) = chain.advance(None).await {
            match way {
                Way::Act(event) => chain.back(event, Ok(())),
                Way::End(_, result) => return result,
            }
        }
        Ok(())
    })
}

/// As an end without an error: the write's own error says more.
fn quietly(work: BoxFuture<'static, Result<(), Error>>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let _ = work.await;
    })
}

fn collection_kind_of(stage: Stage, op: Op) -> EventKind {
    match (stage, op) {
        (Stage::Validate, _) => EventKind::CollectionValidate,
        (Stage::Write, Op::Create) => EventKind::CollectionCreate,
        (Stage::Write, Op::Update) => EventKind::CollectionUpdate,
        (Stage::Write, Op::Delete) => EventKind::CollectionDelete,
        (Stage::Execute, Op::Create) => EventKind::CollectionCreateExecute,
        (Stage::Execute, Op::Update) => EventKind::CollectionUpdateExecute,
        (Stage::Execute, Op::Delete) => EventKind::CollectionDeleteExecute,
    }
}

fn kind_of(stage: Stage, op: Op) -> EventKind {
    match (stage, op) {
        (Stage::Validate, _) => EventKind::RecordValidate,
        (Stage::Write, Op::Create) => EventKind::RecordCreate,
        (Stage::Write, Op::Update) => EventKind::RecordUpdate,
        (Stage::Write, Op::Delete) => EventKind::RecordDelete,
        (Stage::Execute, Op::Create) => EventKind::RecordCreateExecute,
        (Stage::Execute, Op::Update) => EventKind::RecordUpdateExecute,
        (Stage::Execute, Op::Delete) => EventKind::RecordDeleteExecute,
    }
}
