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
    // Inside a transaction an answer is none yet: what fails later takes it back.
    let can_fail_later = tx.is_some();
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
        (None, Some(_), _, Err(error)) if can_fail_later => Err(error),
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
        let happens = || {
            if kind == EventKind::Bootstrap {
                self.set_bootstrapped();
            }
        };
        let handlers = self.interceptors().handlers(kind, None);
        if handlers.is_empty() {
            happens();
            return Ok(());
        }
        let mut event = Event::new(kind, None);
        for (name, value) in slots {
            event.set(name, Slot::Json(value.clone()));
        }
        let default = async |_: &mut Event, _: Option<&mut Tx>| {
            happens();
            Ok(())
        };
        let ended = run(&handlers, event, None, default).await.1;
        // Whoever keeps it from the others does not keep it from happening.
        if ended.is_ok() {
            happens();
        }
        ended
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::engine::events::{Step, Visit};

    /// Does as it is told with the number in the slot `n`.
    #[derive(Clone)]
    struct Told {
        answers: bool,
        goes_on: bool,
        swallows: bool,
        event: Option<Event>,
        result: Option<Result<(), Error>>,
    }

    impl Told {
        fn new() -> Self {
            Self {
                answers: false,
                goes_on: true,
                swallows: false,
                event: None,
                result: None,
            }
        }
    }

    impl Handler for Told {
        fn begin(&self, event: Event) -> Box<dyn Visit> {
            let event = Some(event);
            Box::new(Self {
                event,
                ..self.clone()
            })
        }
    }

    impl Visit for Told {
        fn step<'a>(&'a mut self, _: Option<&'a mut Tx>) -> BoxFuture<'a, Step> {
            Box::pin(async move {
                let mut event = self.event.take().unwrap();
                if let Some(result) = self.result.take() {
                    let result = if self.swallows { Ok(()) } else { result };
                    return Step::Done(event, result);
                }
                let n = event.json("n").and_then(Json::as_i64).unwrap();
                event.set("n", Slot::Json((n * 10).into()));
                if self.answers {
                    event.answer = Some(Answer::default());
                }
                if self.goes_on {
                    Step::Next(event)
                } else {
                    Step::Done(event, Ok(()))
                }
            })
        }

        fn resume(&mut self, event: Event, result: Result<(), Error>) {
            (self.event, self.result) = (Some(event), Some(result));
        }
    }

    struct Number(i64);

    impl Slots for Number {
        fn put(&mut self, event: &mut Event) {
            event.set("n", Slot::Json(self.0.into()));
        }

        fn take(&mut self, event: &mut Event) {
            if let Some(n) = event.json("n").and_then(Json::as_i64) {
                self.0 = n;
            }
        }
    }

    async fn outcome(handlers: &[Told], default: Result<i64, Error>) -> (i64, Tapped<i64>) {
        let handlers: Vec<Arc<dyn Handler>> = handlers
            .iter()
            .map(|told| Arc::new(told.clone()) as _)
            .collect();
        let mut state = Number(1);
        let event = || Event::new(EventKind::Serve, None);
        let tapped = tapped(
            &handlers,
            event,
            None,
            &mut state,
            async |n: &mut Number, _| {
                n.0 += 1;
                default
            },
        );
        let tapped = tapped.await;
        (state.0, tapped)
    }

    #[tokio::test]
    async fn without_handlers_no_event_is_made() {
        let event = || -> Event { unreachable!("nobody listens") };
        let default = async |n: &mut Number, _: Option<&mut Tx>| Ok(n.0);
        let done = tapped(&[], event, None, &mut Number(7), default).await;
        assert!(matches!(done.result, Ok(Outcome::Done(7))));
    }

    #[tokio::test]
    async fn the_state_goes_through_handlers_and_default_action() {
        let (n, done) = outcome(&[Told::new(), Told::new()], Ok(5)).await;
        assert_eq!(n, 101);
        assert!(matches!(done.result, Ok(Outcome::Done(5))));
    }

    #[tokio::test]
    async fn what_is_given_first_is_the_outcome() {
        let failed = || Err(Error::bad_request("no"));
        let answers = Told {
            answers: true,
            ..Told::new()
        };
        let stops = Told {
            goes_on: false,
            ..Told::new()
        };
        let swallows = Told {
            swallows: true,
            ..Told::new()
        };
        let (_, done) = outcome(&[answers], Ok(5)).await;
        assert!(matches!(done.result, Ok(Outcome::Answered(_))));
        let (n, done) = outcome(&[stops], Ok(5)).await;
        assert!(matches!(done.result, Ok(Outcome::Silent)));
        assert_eq!(n, 10, "the default action did not run");
        let (_, done) = outcome(&[Told::new()], failed()).await;
        assert_eq!(done.result.unwrap_err().to_string(), "no");
        let (_, done) = outcome(&[swallows], failed()).await;
        assert!(matches!(done.result, Ok(Outcome::Silent)));
    }
}
