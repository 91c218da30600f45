//! Somebody who takes part in events, as scripts do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::future::BoxFuture;
use rotunda::engine::Error;
use rotunda::engine::events::{Event, EventKind, Handler, Interceptor, Step, Visit};
use rotunda::model::Collection;
use rotunda::store::Tx;

use super::TestApp;

/// What a handler does once it has seen the event.
pub(crate) enum Act {
    Next,
    /// Leave without asking for the rest.
    Stop,
    Fail(Error),
}

type Before = Arc<dyn Fn(&mut Event, bool) -> Act + Send + Sync>;
type After = Arc<dyn Fn(&mut Event, Result<(), Error>) -> Result<(), Error> + Send + Sync>;

/// One handler: what it does before and after the rest of the chain.
#[derive(Clone)]
pub(crate) struct Tap {
    kind: EventKind,
    collection: Option<String>,
    before: Before,
    after: After,
}

/// The handlers of a test, and how often it was asked for which.
#[derive(Default)]
pub(crate) struct Taps {
    taps: Mutex<Vec<Tap>>,
    asked: Mutex<HashMap<EventKind, usize>>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Taps {
    /// Takes part in the events of an app.
    pub(crate) fn of(app: &TestApp) -> Arc<Self> {
        let taps = Arc::new(Self::default());
        let engine = app.engine().expect("an engine of this process");
        engine.interceptors().set(Arc::clone(&taps) as _);
        taps
    }

    pub(crate) fn add(&self, tap: Tap) {
        lock(&self.taps).push(tap);
    }

    /// Notes each event of a kind with its slots, before and after its default action.
    pub(crate) fn note(&self, kind: EventKind) {
        let (before, after) = (Arc::clone(&self.lines), Arc::clone(&self.lines));
        self.add(
            Tap::on(kind)
                .before(move |event, in_tx| {
                    let inside = if in_tx { " in tx" } else { "" };
                    lock(&before).push(format!("{kind:?}{inside} {}", slots(event)));
                    Act::Next
                })
                .after(move |event, result| {
                    let ended = match &result {
                        Ok(()) => slots(event),
                        Err(error) => format!("failed: {error}"),
                    };
                    lock(&after).push(format!("after {kind:?} {ended}"));
                    result
                }),
        );
    }

    pub(crate) fn say(&self, line: impl Into<String>) {
        lock(&self.lines).push(line.into());
    }

    /// What was noted since the last time.
    pub(crate) fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.lines))
    }

    /// The kinds that were asked for since the last time, and how often.
    pub(crate) fn asked(&self) -> HashMap<EventKind, usize> {
        std::mem::take(&mut *lock(&self.asked))
    }

    pub(crate) fn clear(&self) {
        lock(&self.taps).clear();
        self.lines();
        self.asked();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic")
}

/// The slots by name: records as their titles, mails as their subjects.
fn slots(event: &Event) -> String {
    use rotunda::engine::events::Slot;
    let title = |record: &rotunda::model::Record| match record.text("title") {
        "" => record.text("email").to_owned(),
        title => title.to_owned(),
    };
    let mut shown: Vec<String> = event
        .slots()
        .map(|(name, slot)| {
            let text = match slot {
                Slot::Record(record) => title(record),
                Slot::Records(records) => {
                    let titles: Vec<_> = records.iter().map(title).collect();
                    titles.join("+")
                }
                Slot::Collection(collection) => collection.name.clone(),
                Slot::Collections(all) => all.len().to_string(),
                Slot::Mail(mail) => mail.subject.clone(),
                Slot::Json(json) => json.to_string(),
            };
            format!("{name}={text}")
        })
        .collect();
    shown.sort();
    shown.join(" ")
}

impl Tap {
    pub(crate) fn on(kind: EventKind) -> Self {
        Self {
            kind,
            collection: None,
            before: Arc::new(|_, _| Act::Next),
            after: Arc::new(|_, result| result),
        }
    }

    /// For one collection's events only.
    pub(crate) fn of(mut self, collection: &str) -> Self {
        self.collection = Some(collection.to_owned());
        self
    }

    /// Gets the event and whether it happens in a transaction.
    pub(crate) fn before(
        mut self,
        act: impl Fn(&mut Event, bool) -> Act + Send + Sync + 'static,
    ) -> Self {
        self.before = Arc::new(act);
        self
    }

    pub(crate) fn after(
        mut self,
        act: impl Fn(&mut Event, Result<(), Error>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        self.after = Arc::new(act);
        self
    }
}

impl Interceptor for Taps {
    fn handlers(&self, kind: EventKind, collection: Option<&Collection>) -> Vec<Arc<dyn Handler>> {
        *lock(&self.asked).entry(kind).or_default() += 1;
        let taps = lock(&self.taps);
        let wanted = taps.iter().filter(|tap| {
            tap.kind == kind
                && tap
                    .collection
                    .as_deref()
                    .is_none_or(|name| collection.is_some_and(|collection| collection.name == name))
        });
        wanted
            .map(|tap| Arc::new(tap.clone()) as Arc<dyn Handler>)
            .collect()
    }
}

impl Handler for Tap {
    fn begin(&self, event: Event) -> Box<dyn Visit> {
        Box::new(Working {
            tap: self.clone(),
            event: Some(event),
            result: None,
        })
    }
}

struct Working {
    tap: Tap,
    event: Option<Event>,
    result: Option<Result<(), Error>>,
}

impl Visit for Working {
    fn step<'a>(&'a mut self, tx: Option<&'a mut Tx>) -> BoxFuture<'a, Step> {
        Box::pin(async move {
            let mut event = self.event.take().expect("the event");
            if let Some(result) = self.result.take() {
                let result = (self.tap.after)(&mut event, result);
                return Step::Done(event, result);
            }
            match (self.tap.before)(&mut event, tx.is_some()) {
                Act::Next => Step::Next(event),
                Act::Stop => Step::Done(event, Ok(())),
                Act::Fail(error) => Step::Done(event, Err(error)),
            }
        })
    }

    fn resume(&mut self, event: Event, result: Result<(), Error>) {
        self.event = Some(event);
        self.result = Some(result);
    }
}
