//! The host side of a call: what a script asks for while one of its functions runs.
//!
//! Inside a transaction the caller's task serves the script, since it alone holds the transaction; elsewhere the script
//! thread runs the engine's futures itself.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::engine::events::{Event, RequestParts};
use crate::engine::{Engine, Error, Link};
use crate::js::host::Host;
use crate::js::lane::Chain;
use crate::model::Collection;
use crate::store::Tx;

/// The engine as a script sees it at one moment: inside a transaction or not.
pub(super) struct App<'a> {
    pub(super) engine: &'a Engine,
    pub(super) tx: Option<&'a mut Tx>,
}

impl<'a> App<'a> {
    /// What to read through.
    pub(super) fn link(self) -> Link<'a> {
        match self.tx {
            Some(tx) => Link::Tx(tx),
            None => Link::Pool(self.engine),
        }
    }

    /// A collection by name or id, or what a script's caller reads about a missing one.
    ///
    /// # Errors
    /// `NotFound`.
    pub(super) fn named(&self, name_or_id: &str) -> Result<Arc<Collection>, Error> {
        self.collection(name_or_id).map_err(|_| Error::not_found())
    }

    /// Does something in a transaction: the one there is, or one of its own. `alone` keeps other jobs out of a new one,
    /// for changes of tables and long work.
    ///
    /// # Errors
    /// Those of the work, or why the commit failed.
    pub(super) async fn write<T, F>(self, alone: bool, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(Engine, &'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    {
        let engine = self.engine.clone();
        let Some(tx) = self.tx else {
            let store = self.engine.store();
            return if alone {
                store.write_exclusive(move |tx| work(engine, tx)).await
            } else {
                store.write(move |tx| work(engine, tx)).await
            };
        };
        // What fails is undone alone: the script may catch the error and go on.
        tx.savepoint(move |tx| work(engine, tx)).await
    }

    /// A collection by name or id, as the transaction sees it.
    ///
    /// # Errors
    /// `NotFound`.
    pub(super) fn collection(&self, name_or_id: &str) -> Result<Arc<Collection>, Error> {
        match &self.tx {
            Some(tx) => tx
                .schema()
                .find(name_or_id)
                .cloned()
                .ok_or_else(Error::not_found),
            None => self.engine.collection(name_or_id),
        }
    }
}

/// Work on the engine that a script waits for. It answers by itself.
pub(super) type Operation = Box<dyn for<'a> FnOnce(App<'a>) -> BoxFuture<'a, ()> + Send>;

/// What a running script sends to the task that called it.
pub(super) enum ToHost {
    /// `e.next()`: the rest of the event's chain is wanted. Calls into scripts on behalf of it come by the chain.
    Next(
        Box<Event>,
        Chain,
        oneshot::Sender<(Event, Result<(), Error>)>,
    ),
    /// The function gave a promise: the call goes on without the thread.
    Promised,
    /// Work inside the transaction.
    Operate(Operation),
    /// A transaction that the script opened ends: commit, or roll back with the error.
    End(Result<(), Error>),
    /// The function is through.
    Done(Box<Event>, Result<(), Error>),
}

/// On whose behalf script code runs, beside its scope.
pub(super) struct Session {
    /// Where operations go; none where the script thread does them itself.
    pub(super) transaction: Option<mpsc::UnboundedSender<ToHost>>,
    pub(super) request: Option<Arc<RequestParts>>,
}

impl Session {
    /// Outside of transactions and requests.
    pub(super) fn plain() -> Self {
        Self {
            transaction: None,
            request: None,
        }
    }
}

/// Does inside a transaction what its script asks for, until it ends, or until the script's thread, that of `epoch`, was
/// left behind: the writer must not wait for a script that got stuck.
pub(super) async fn serve(
    engine: &Engine,
    tx: &mut Tx,
    mut inbox: mpsc::UnboundedReceiver<ToHost>,
    host: &Host,
    epoch: u64,
) -> Result<(), Error> {
    let mut gone = std::pin::pin!(host.left(epoch));
    loop {
        let message = match host.look_for(|| inbox.try_recv().ok()) {
            Some(message) => Some(message),
            None => tokio::select! {
                biased;
                message = inbox.recv() => message,
                () = &mut gone => None,
            },
        };
        let Some(message) = message else { break };
        match message {
            ToHost::Operate(operation) => {
                operation(App {
                    engine,
                    tx: Some(&mut *tx),
                })
                .await;
            }
            ToHost::End(result) => return result,
            _ => {}
        }
    }
    Err(super::failure::plain(
        "the script ended inside its transaction",
    ))
}
