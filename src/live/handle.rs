//! The handle of modules and scripts.

use std::sync::{Arc, OnceLock};

use serde_json::Value as Json;
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;

use super::channel::Envelope;
use super::notifications::StoredNotifications;
use super::presence::Presence;
use super::publication::{self, Publication};
use super::replies::{GoneReaders, LateReplies};
use super::room::Rooms;
use super::rules::{TopicRows, TopicRules};
use super::streams::{StreamLimits, Streams};
use super::{Error, collections};
use crate::bus::{EventId, LogLimits, Start, Subscriber};
use crate::engine::Engine;
use crate::http::dispatch::Dispatch;
use crate::sfu::Sfu;
use crate::store::Tx;

/// Bounds of live events, and what they stand on.
#[derive(Clone, Debug, Default)]
pub struct LiveOptions {
    /// What each topic and each channel keeps for those who come back.
    pub log: LogLimits,
    pub streams: StreamLimits,
    /// The media plane; none where nothing is served.
    pub sfu: Option<Sfu>,
}

/// Live events; a cheap handle.
#[derive(Clone)]
pub struct Live {
    parts: Arc<Parts>,
}

pub(super) struct Parts {
    pub(super) engine: Engine,
    pub(super) log: LogLimits,
    pub(super) rules: Arc<TopicRules>,
    pub(super) streams: Streams,
    pub(super) replies: Arc<LateReplies>,
    presence: Presence,
    sfu: Option<Sfu>,
    pub(super) rooms: Rooms,
    /// Where rooms have requests answered.
    pub(super) dispatch: OnceLock<Arc<dyn Dispatch>>,
    /// Held while the collections are being made.
    making: AsyncMutex<()>,
    stop: CancellationToken,
}

impl Live {
    /// Starts live events over the engine's bus and registers their hooks. Must run inside a runtime.
    #[must_use]
    pub fn start(engine: &Engine, options: LiveOptions) -> Self {
        let rules = Arc::<TopicRules>::default();
        let streams = Streams::new(options.streams, Arc::clone(&rules));
        let stop = CancellationToken::new();
        engine.register_hook(Arc::new(TopicRows {
            rules: Arc::clone(&rules),
            streams: streams.clone(),
        }));
        engine.register_hook(Arc::new(streams.clone()));
        engine.register_collection_hook(Arc::new(streams.clone()));
        let replies = Arc::<LateReplies>::default();
        engine.register_hook(Arc::new(GoneReaders(Arc::clone(&replies))));
        let presence = Presence::start(engine.clone(), options.log, stop.clone());
        engine.register_hook(Arc::new(presence.clone()));
        let live = Self {
            parts: Arc::new(Parts {
                engine: engine.clone(),
                log: options.log,
                rules,
                streams,
                replies,
                presence,
                sfu: options.sfu,
                rooms: Rooms::default(),
                dispatch: OnceLock::new(),
                making: AsyncMutex::default(),
                stop,
            }),
        };
        engine.register_hook(Arc::new(StoredNotifications(live.clone())));
        live
    }

    /// Publishes a payload to all subscribers of a topic. Waits for nobody. To be called once what it tells of counts:
    /// inside a transaction use [`Live::publish_after_commit`].
    ///
    /// # Errors
    /// When the name is no topic's, the payload is too long, or there are too many topics.
    pub fn publish(&self, topic: &str, payload: &Json) -> Result<EventId, Error> {
        self.send(Publication::new(topic, payload)?)
    }

    /// As [`Live::publish`], for events that not all subscribers may see, or that may be taken back.
    ///
    /// # Errors
    /// When there are too many topics.
    pub fn send(&self, publication: Publication) -> Result<EventId, Error> {
        let message = publication.message.logged(self.parts.log);
        let bus = self.parts.engine.bus();
        bus.publish(&publication.topic, message)
            .ok_or(Error::TooManyTopics)
    }

    /// Publishes once the transaction is committed, in commit order; not at all if it is undone.
    pub fn publish_after_commit(&self, tx: &mut Tx, publication: Publication) {
        let live = self.clone();
        tx.on_commit(Box::new(move || {
            if let Err(error) = live.send(publication) {
                tracing::warn!(%error, "an event is lost");
            }
        }));
    }

    /// Takes back what was published to a topic under a key: it is not replayed any more. Subscribers keep what they
    /// have been given.
    pub fn retract(&self, topic: &str, key: &str) {
        if let Ok(topic) = publication::topic(topic) {
            let bus = self.parts.engine.bus();
            bus.retract(&topic, |event| event.key() == Some(key));
        }
    }

    /// A subscriber within the server: no rules, every event of these topics from now on, whomever it is for.
    ///
    /// # Errors
    /// When a name is no topic's, or there are too many.
    pub fn subscribe(&self, topics: &[&str]) -> Result<Subscriber, Error> {
        let subscriber = self.parts.engine.bus().subscriber();
        for name in topics {
            let topic = publication::topic(name)?;
            subscriber.handle().subscribe(&topic, Start::Now)?;
        }
        Ok(subscriber)
    }

    /// Pushes `{"type":kind,"data":data,"timestamp":..}` to all channels of a user. It stays in the channel's log, for
    /// tabs that come back; nothing else is stored.
    pub fn push(&self, user: &str, kind: &str, data: &Json) {
        let data = data.to_string();
        let envelope = Envelope {
            kind,
            data: data.as_bytes(),
            timestamp: self.engine().now().unix(),
            ..Envelope::default()
        };
        self.push_envelope(user, &envelope);
    }

    /// Who is here, and in what state.
    #[must_use]
    pub fn presence(&self) -> &Presence {
        &self.parts.presence
    }

    /// The media plane; none where nothing is served, as in commands beside `serve`.
    #[must_use]
    pub fn sfu(&self) -> Option<&Sfu> {
        self.parts.sfu.as_ref()
    }

    /// Names where the requests of rooms are answered; once.
    pub fn set_dispatch(&self, dispatch: Arc<dyn Dispatch>) {
        let _ = self.parts.dispatch.set(dispatch);
    }

    /// Makes `_topics` and `notifications` where they are missing; see [`collections::ensure_topics`]. One at a time.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn ensure_topics(&self) -> Result<(), Error> {
        if collections::are_there(&self.parts.engine.schema()) {
            return Ok(());
        }
        let _alone = self.parts.making.lock().await;
        Ok(collections::ensure_topics(&self.parts.engine).await?)
    }

    /// Ends all streams: the server stops.
    pub fn end(&self) {
        self.parts.stop.cancel();
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.parts.engine
    }

    /// Cancelled by [`Live::end`]: tasks beside it end with it.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.parts.stop.clone()
    }
}
