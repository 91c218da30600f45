//! The hook chain of collection changes; see [`crate::engine::hooks`] for that of records.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::engine::hooks::{Op, Stage};
use crate::engine::{Engine, Error};
use crate::model::Collection;
use crate::store::Tx;

/// A change of a collection on its way.
pub struct CollectionEvent<'t> {
    pub engine: Engine,
    /// The transaction; everything a handler reads or writes belongs to it.
    pub tx: &'t mut Tx,
    pub op: Op,
    /// The collection as it shall be, or the one to be deleted.
    pub collection: Collection,
    /// The collection as stored; nothing for a new one.
    pub original: Option<Arc<Collection>>,
    /// Whether the change is checked: validation of saves, references on deletes. An import checks all its collections
    /// at its end.
    pub checked: bool,
}

/// A handler of collection changes. Registered once at start.
pub trait CollectionHook: Send + Sync {
    /// Handlers with smaller numbers wrap those with larger ones.
    fn priority(&self) -> i32 {
        0
    }

    /// Wraps a stage; call `next.run(event)` to go on, or leave with an error to undo the change.
    fn handle<'a>(
        &'a self,
        _stage: Stage,
        event: &'a mut CollectionEvent<'_>,
        next: CollectionNext<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        next.run(event)
    }

    /// Called after the commit. Must not wait for anything.
    fn committed(&self, _engine: &Engine, _op: Op, _collection: &Arc<Collection>) {}
}

/// The rest of a chain.
#[derive(Clone, Copy)]
pub struct CollectionNext<'a> {
    rest: &'a [Arc<dyn CollectionHook>],
    stage: Stage,
}

impl<'a> CollectionNext<'a> {
    /// Runs the remaining handlers, then the stage's own work.
    pub fn run<'e>(self, event: &'e mut CollectionEvent<'_>) -> BoxFuture<'e, Result<(), Error>>
    where
        'a: 'e,
    {
        match self.rest.split_first() {
            Some((first, rest)) => first.handle(self.stage, event, Self { rest, ..self }),
            None => Box::pin(super::save::finish(self.stage, event)),
        }
    }
}

/// The registered handlers in priority order.
#[derive(Clone, Default)]
pub struct CollectionHooks {
    handlers: Vec<Arc<dyn CollectionHook>>,
}

impl CollectionHooks {
    fn register(&mut self, handler: Arc<dyn CollectionHook>) {
        let at = self
            .handlers
            .partition_point(|other| other.priority() <= handler.priority());
        self.handlers.insert(at, handler);
    }

    pub(super) async fn run(
        &self,
        stage: Stage,
        event: &mut CollectionEvent<'_>,
    ) -> Result<(), Error> {
        let next = CollectionNext {
            rest: &self.handlers,
            stage,
        };
        next.run(event).await
    }

    pub(super) fn committed(&self, engine: &Engine, op: Op, collection: &Arc<Collection>) {
        for handler in &self.handlers {
            handler.committed(engine, op, collection);
        }
    }
}

impl Engine {
    /// Adds a handler of collection changes.
    pub fn register_collection_hook(&self, hook: Arc<dyn CollectionHook>) {
        self.collection_hooks().rcu(|hooks| {
            let mut hooks = CollectionHooks::clone(hooks);
            hooks.register(Arc::clone(&hook));
            hooks
        });
    }
}
