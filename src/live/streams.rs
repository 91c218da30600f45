//! The open event streams of topics and channels: how many there may be, and which must end because their caller may
//! not read on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use super::rules::TopicRules;
use crate::base::code::Code;
use crate::bus::{SubscriberHandle, Topic};
use crate::engine::collections::{CollectionEvent, CollectionHook, CollectionNext};
use crate::engine::hooks::{Committed, Op, RecordHook, Stage};
use crate::engine::{Engine, Error};
use crate::http::{ApiError, Caller};
use crate::model::{Collection, Record, TokenKind};

/// Bounds on streams.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// Most streams at one time.
    pub all_max: usize,
    /// Most streams of one user or, for guests, of one address.
    pub per_client_max: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            all_max: 50_000,
            per_client_max: 5_000,
        }
    }
}

/// All open streams; a cheap handle.
#[derive(Clone)]
pub(super) struct Streams {
    limits: StreamLimits,
    rules: Arc<TopicRules>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    next: u64,
    open: HashMap<u64, Open>,
    /// The streams of a user id, or of a guest's address.
    by_client: HashMap<Arc<str>, Vec<u64>>,
}

struct Open {
    handle: SubscriberHandle,
    client: Arc<str>,
    /// Who signed in, as it was then.
    owner: Option<Arc<Record>>,
    topics: Vec<Topic>,
}

/// Takes a stream off the books when it ends.
pub(super) struct StreamGuard {
    streams: Streams,
    number: u64,
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.streams.forget(self.number);
    }
}

impl Streams {
    pub(super) fn new(limits: StreamLimits, rules: Arc<TopicRules>) -> Self {
        Self {
            limits,
            rules,
            state: Arc::default(),
        }
    }

    /// Books a stream. What ends the caller's right from now on closes it.
    ///
    /// # Errors
    /// 429 when the caller has too many, 503 when all have.
    pub(super) fn open(
        &self,
        caller: &Caller,
        handle: &SubscriberHandle,
        topics: Vec<Topic>,
    ) -> Result<StreamGuard, ApiError> {
        let owner = caller.auth().cloned();
        let client: Arc<str> = match &owner {
            Some(owner) => owner.id().into(),
            None => caller.ip.as_str().into(),
        };
        let mut state = self.lock();
        if state.open.len() >= self.limits.all_max {
            let text = "Too many event streams are open.";
            return Err(ApiError::new(Code::Unavailable, text));
        }
        let number = state.next;
        let own = state.by_client.entry(Arc::clone(&client)).or_default();
        if own.len() >= self.limits.per_client_max {
            let text = "You have too many event streams open.";
            return Err(ApiError::new(Code::TooManyRequests, text));
        }
        own.push(number);
        state.next += 1;
        let open = Open {
            handle: handle.clone(),
            client,
            owner,
            topics,
        };
        state.open.insert(number, open);
        Ok(StreamGuard {
            streams: self.clone(),
            number,
        })
    }

    fn forget(&self, number: u64) {
        let mut state = self.lock();
        let Some(open) = state.open.remove(&number) else {
            return;
        };
        if let Some(own) = state.by_client.get_mut(&open.client) {
            own.retain(|other| *other != number);
            if own.is_empty() {
                state.by_client.remove(&open.client);
            }
        }
    }

    /// Ends the streams of a topic: their callers come back and are asked again.
    pub(super) fn close_topic(&self, name: &str) {
        self.close(|open| open.topics.iter().any(|topic| topic.as_str() == name));
    }

    fn close(&self, ends: impl Fn(&Open) -> bool) {
        let ended: Vec<SubscriberHandle> = {
            let state = self.lock();
            let ended = state.open.values().filter(|open| ends(open));
            ended.map(|open| open.handle.clone()).collect()
        };
        for handle in ended {
            handle.close();
        }
    }

    /// Ends a record's streams where `ends` says so, also of the record as it was when they were opened.
    fn close_of(&self, record: &Record, ends: impl Fn(&Open, &Record) -> bool) {
        let ended: Vec<SubscriberHandle> = {
            let state = self.lock();
            let own = state.by_client.get(record.id()).into_iter().flatten();
            own.filter_map(|number| state.open.get(number))
                .filter(|open| {
                    open.owner.as_ref().is_some_and(|owner| {
                        owner.collection().id == record.collection().id && ends(open, owner)
                    })
                })
                .map(|open| open.handle.clone())
                .collect()
        };
        for handle in ended {
            handle.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the streams of tokens that are revoked, since their record goes or gets another key, and those whose rule may have
/// read the record that changed.
impl RecordHook for Streams {
    fn wants(&self, collection: &Collection) -> bool {
        collection.is_auth()
    }

    fn committed(&self, _engine: &Engine, event: &Committed) {
        let record = &event.record;
        match event.op {
            Op::Create => {}
            // Where a rule reads the record, its caller comes back and is asked again.
            Op::Update => self.close_of(record, |open, owner| {
                owner.text("tokenKey") != record.text("tokenKey")
                    || open
                        .topics
                        .iter()
                        .any(|topic| self.rules.reads_caller(topic.as_str()))
            }),
            Op::Delete => self.close_of(record, |_, _| true),
        }
    }
}

/// Ends the streams of all tokens of a collection when it goes or gets another secret.
impl CollectionHook for Streams {
    fn handle<'a>(
        &'a self,
        _stage: Stage,
        event: &'a mut CollectionEvent<'_>,
        next: CollectionNext<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        next.run(event)
    }

    fn committed(&self, _engine: &Engine, op: Op, collection: &Arc<Collection>) {
        let secret = |collection: &Collection| {
            let auth = collection.auth.as_ref();
            auth.map(|auth| auth.token(TokenKind::Auth).secret.clone())
        };
        let Some(present) = secret(collection) else {
            return;
        };
        self.close(|open| {
            let owner = open.owner.as_ref().map(|owner| owner.collection());
            owner.is_some_and(|owner| {
                owner.id == collection.id
                    && (op == Op::Delete || secret(owner).as_ref() != Some(&present))
            })
        });
    }
}
