//! Answers that go to a user's channel: the far end of `?respond_to=sse`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::Method;

use super::Live;
use super::channel::{Envelope, topic_of};
use crate::base::code::Code;
use crate::bus::EventId;
use crate::engine::Engine;
use crate::engine::hooks::{Committed, Op, RecordHook};
use crate::http::ApiError;
use crate::http::middleware::{Replies, Reply};
use crate::model::{Collection, Record};

/// Requests of one user that may be under way at a time.
const UNDER_WAY_MAX: usize = 64;
/// How long an answer waits for a channel to be opened.
const KEPT: Duration = Duration::from_secs(600);

/// The answers that are under way or wait for somebody to take them.
#[derive(Default)]
pub(super) struct LateReplies {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    under_way: HashMap<String, usize>,
    /// By user: the position before the first answer that no channel was open for, and when that was.
    waiting: HashMap<String, (EventId, Instant)>,
}

impl LateReplies {
    fn begin(&self, user: &str) -> bool {
        let mut state = self.lock();
        let count = state.under_way.entry(user.to_owned()).or_default();
        let has_place = *count < UNDER_WAY_MAX;
        *count += usize::from(has_place);
        has_place
    }

    fn end(&self, user: &str) {
        let mut state = self.lock();
        if let Some(count) = state.under_way.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                state.under_way.remove(user);
            }
        }
    }

    /// Lets `join` open a channel, which gets what waits for the user: no answer comes in between.
    pub(super) fn take<T, E>(
        &self,
        user: &str,
        join: impl FnOnce(Option<EventId>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut state = self.lock();
        let after = state.waiting.get(user);
        let fresh = after.filter(|(_, since)| since.elapsed() < KEPT);
        let joined = join(fresh.map(|(after, _)| *after))?;
        state.waiting.remove(user);
        Ok(joined)
    }

    fn forget(&self, user: &str) {
        self.lock().waiting.remove(user);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was told to a record goes with it: another may get its id.
pub(super) struct GoneReaders(pub(super) Arc<LateReplies>);

impl RecordHook for GoneReaders {
    fn wants(&self, collection: &Collection) -> bool {
        collection.is_auth()
    }

    fn committed(&self, engine: &Engine, event: &Committed) {
        if event.op != Op::Delete {
            return;
        }
        let id = event.record.id();
        self.0.forget(id);
        if let Ok(topic) = topic_of(id) {
            engine.bus().retract(&topic, |_| true);
        }
    }
}

impl Replies for Live {
    fn begin(&self, to: &Arc<Record>) -> Result<(), ApiError> {
        if self.parts().replies.begin(to.id()) {
            return Ok(());
        }
        let text = format!("At most {UNDER_WAY_MAX} requests may wait for a late answer.");
        Err(ApiError::new(Code::TooManyRequests, text))
    }

    fn deliver(&self, to: &Arc<Record>, reply: Reply) {
        let is_made = reply.status.is_success();
        let makes_room = is_made && reply.method == Method::POST && reply.path == "/api/rooms";
        let envelope = Envelope {
            kind: if makes_room {
                "room_created"
            } else {
                "response"
            },
            request_id: Some(&reply.request_id),
            status_code: Some(reply.status.as_u16()),
            id: None,
            data: &reply.body,
            timestamp: self.engine().now().unix(),
        };
        let replies = &self.parts().replies;
        replies.end(to.id());
        let Ok(topic) = topic_of(to.id()) else {
            return;
        };
        let mut state = replies.lock();
        let is_watched = self.engine().bus().is_watched(&topic);
        let Some(id) = self.push_envelope(to.id(), &envelope) else {
            return;
        };
        if is_watched {
            return;
        }
        state.waiting.retain(|_, (_, since)| since.elapsed() < KEPT);
        let before = EventId {
            seq: id.seq - 1,
            ..id
        };
        let entry = (before, Instant::now());
        state.waiting.entry(to.id().to_owned()).or_insert(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let replies = LateReplies::default();
        for _ in 0..UNDER_WAY_MAX {
            assert!(replies.begin("ann"));
        }
        assert!(!replies.begin("ann") && replies.begin("bob"));
        replies.end("ann");
        assert!(replies.begin("ann"));
    }

    #[test]
    fn what_waits_is_taken_once() {
        let replies = LateReplies::default();
        let id = EventId { boot: 1, seq: 4 };
        replies
            .lock()
            .waiting
            .insert("ann".to_owned(), (id, Instant::now()));
        assert_eq!(replies.take("ann", |_| Err::<(), _>(())), Err(()));
        assert_eq!(replies.take("ann", Ok::<_, ()>), Ok(Some(id)));
        assert_eq!(replies.take("ann", Ok::<_, ()>), Ok(None));
    }
}
