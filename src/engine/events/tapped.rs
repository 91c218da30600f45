//! Default actions that work on what their event carries.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{Answer, Event, EventKind, Handler, Slot, run};
use crate::engine::{Engine, Error};
use crate::store::Tx;

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

impl Engine {
    /// Tells those who listen of something that has no default action of the engine's own, such as the server's start.
    ///
    /// # Errors
    /// What a handler left with.
    pub async fn announce(
        &self,
        kind: EventKind,
        slots: &[(&'static str, Json)],
    ) -> Result<(), Error> {
        let handlers = self.interceptors().handlers(kind, None);
        if handlers.is_empty() {
            return Ok(());
        }
        let mut event = Event::new(kind, None);
        for (name, value) in slots {
            event.set(name, Slot::Json(value.clone()));
        }
        let nothing = async |_: &mut Event, _: Option<&mut Tx>| Ok(());
        run(&handlers, event, None, nothing).await.1
    }
}
