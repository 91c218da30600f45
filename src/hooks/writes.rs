//! Scripts in the write chains of records.

use futures_util::future::BoxFuture;

use super::handlers;
use super::registry::Published;
use crate::engine::events::{Chain, Event, EventKind, Slot, WITHIN, Way};
use crate::engine::{Committed, Engine, Error, Next, Op, RecordEvent, RecordHook, Stage};
use crate::model::Collection;

/// Scripts wrap what modules do.
const PRIORITY: i32 = -1_000;

/// The kinds that a write of a record may fire.
const KINDS: &[EventKind] = &[
    EventKind::RecordValidate,
    EventKind::RecordCreate,
    EventKind::RecordCreateExecute,
    EventKind::RecordUpdate,
    EventKind::RecordUpdateExecute,
    EventKind::RecordDelete,
    EventKind::RecordDeleteExecute,
    EventKind::RecordAfterCreateSuccess,
    EventKind::RecordAfterUpdateSuccess,
    EventKind::RecordAfterDeleteSuccess,
    EventKind::RecordAfterCreateError,
    EventKind::RecordAfterUpdateError,
    EventKind::RecordAfterDeleteError,
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
        self.published.load().wants_any(KINDS, collection)
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
            let script_event = Event::new(kind, Some(collection))
                .with("record", Slot::Record(Box::new(event.record.clone())));
            let mut chain = Chain::new(&handlers, script_event);
            loop {
                match chain.advance(Some(&mut *event.tx)).await {
                    Some(Way::Act(mut script_event)) => {
                        if let Some(record) = script_event.take_record() {
                            event.record = record;
                        }
                        let result = WITHIN.scope(chain.within(), next.run(event)).await;
                        script_event.set("record", Slot::Record(Box::new(event.record.clone())));
                        chain.back(script_event, result);
                    }
                    Some(Way::End(mut script_event, result)) => {
                        if let Some(record) = script_event.take_record() {
                            event.record = record;
                        }
                        return result;
                    }
                    None => return Ok(()),
                }
            }
        })
    }

    fn committed(&self, _engine: &Engine, _event: &Committed) {}
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
