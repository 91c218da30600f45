//! The hook chain of collection changes; see [`crate::engine::hooks`] for that of records.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::engine::hooks::{Op, ROLLED_BACK, Stage, following, in_turn};
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

/// A change that counts.
#[derive(Clone)]
pub struct CollectionChanged {
    pub op: Op,
    /// The collection as it is stored, or as it was before its deletion.
    pub collection: Arc<Collection>,
    /// The collection before the change; nothing for a new one.
    pub original: Option<Arc<Collection>>,
}

/// A change that does not count.
#[derive(Clone)]
pub struct CollectionFailed {
    pub change: CollectionChanged,
    /// What the change ended with, or that its transaction was rolled back.
    pub error: Arc<Error>,
}

/// A handler of collection changes. Registered once at start.
pub trait CollectionHook: Send + Sync {
    /// Handlers with smaller numbers wrap those with larger ones.
    fn priority(&self) -> i32 {
        0
    }

    /// Whether the handler wants [`CollectionHook::after_success`] or [`CollectionHook::failed`].
    fn follows(&self, _collection: &Collection) -> bool {
        false
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

    /// Gives work for the time after the commit, which the one who asked for the change waits for before its answer.
    /// Called inside the transaction; the work is dropped when it does not commit.
    fn after_success(
        &self,
        _engine: &Engine,
        _change: &CollectionChanged,
    ) -> Option<BoxFuture<'static, Result<(), Error>>> {
        None
    }

    /// Gives work for the time after a change has failed or was rolled back with its transaction, which the one who asked
    /// for the change waits for.
    fn failed(
        &self,
        _engine: &Engine,
        _change: &CollectionFailed,
    ) -> Option<BoxFuture<'static, ()>> {
        None
    }
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

    fn followers(&self, collection: &Collection) -> Vec<Arc<dyn CollectionHook>> {
        let follow = self.handlers.iter();
        let follow = follow.filter(|hook| hook.follows(collection));
        follow.cloned().collect()
    }

    /// Registers what the followers do after the commit, or in case there is none.
    pub(super) fn after_success(&self, engine: &Engine, tx: &mut Tx, change: CollectionChanged) {
        let followers = self.followers(&change.collection);
        if followers.is_empty() {
            return;
        }
        let work = followers
            .iter()
            .filter_map(|hook| hook.after_success(engine, &change));
        if let Some(work) = following(work.collect()) {
            tx.after_commit_or_fail(work);
        }
        let engine = engine.clone();
        let failed = CollectionFailed {
            change,
            error: Arc::new(Error::bad_request(ROLLED_BACK)),
        };
        tx.after_rollback(Box::new(move || {
            let work = followers
                .iter()
                .filter_map(|hook| hook.failed(&engine, &failed));
            in_turn(work.collect()).unwrap_or_else(|| Box::pin(async {}))
        }));
    }

    /// Registers what the followers do after a failure.
    pub(super) fn after_failure(&self, engine: &Engine, tx: &mut Tx, failed: &CollectionFailed) {
        let followers = self.followers(&failed.change.collection);
        let work = followers
            .iter()
            .filter_map(|hook| hook.failed(engine, failed));
        if let Some(work) = in_turn(work.collect()) {
            tx.after_end(work);
        }
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
