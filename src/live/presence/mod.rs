//! Presence: who is here, and in what state.
//!
//! The `book` is the state machine. [`Presence`] feeds it, and one task writes what changed: into `users` where that has
//! the fields for it, then to the topic `presence_changes` and to channels. Changes of one user that wait for the task
//! become one.

mod book;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::book::{Book, Change};
use super::channel::{Envelope, topic_of};
use super::collections::{PRESENCE_FIELDS, USERS, keeps_presence};
use super::{Live, publication};
use crate::bus::{LogLimits, Message};
use crate::engine::hooks::{Committed, Op, RecordHook};
use crate::engine::records::ListParams;
use crate::engine::{self, Engine};
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller, ModuleRoute, body, json as response};
use crate::model::{Collection, FieldError, FieldErrors, Record, Value};
use crate::store::records;
use crate::store::search::Condition;

pub use self::book::{Connection, GRACE, IDLE, State};

const TOPIC: &str = "presence_changes";
const BODY_BYTES_MAX: u64 = 4 << 10;
/// Changes that are written in one transaction.
const BATCH: usize = 200;

pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(
        web::resource("/location/presence/stats")
            .app_data(ModuleRoute)
            .route(web::get().to(presence_stats)),
    );
    config.service(
        web::resource("/presence/update")
            .app_data(ModuleRoute)
            .app_data(BodyLimit(BODY_BYTES_MAX))
            .route(web::post().to(update_presence)),
    );
}

/// Who may know that a user is here.
#[derive(Clone, Debug, Default)]
pub struct Viewers {
    /// The subscribers of `presence_changes` that see it; `None` is all of them.
    pub topic: Option<Vec<String>>,
    /// The users whose channels are told, beside the user's own.
    pub channels: Vec<String>,
}

/// Decides who may know of whom: a module's word.
pub trait Visibility: Send + Sync {
    /// Who may know of this user's presence.
    fn viewers<'a>(&'a self, engine: &'a Engine, user: &'a str) -> BoxFuture<'a, Viewers>;
}

/// Presence; a cheap handle.
#[derive(Clone)]
pub struct Presence {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<Now>,
    wake: Notify,
    visibility: ArcSwapOption<Box<dyn Visibility>>,
}

#[derive(Default)]
struct Now {
    book: Book,
    /// Users whose change is not yet written, with the state that was last told.
    unwritten: HashMap<Arc<str>, State>,
    order: VecDeque<Arc<str>>,
}

impl Now {
    fn note(&mut self, change: Option<Change>) {
        let Some(change) = change else {
            return;
        };
        if !self.unwritten.contains_key(&change.user) {
            self.order.push_back(Arc::clone(&change.user));
            self.unwritten.insert(change.user, change.previous);
        }
    }

    /// The next changes, as far as they still are changes.
    fn take(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        while changes.len() < BATCH
            && let Some(user) = self.order.pop_front()
        {
            let state = self.book.state(&user);
            match self.unwritten.remove(&user) {
                Some(previous) if previous != state => changes.push(Change {
                    user,
                    state,
                    previous,
                }),
                _ => {}
            }
        }
        changes
    }
}

/// Somebody is here as long as this lives. Dropped, the connection counts as lost.
pub struct Here {
    presence: Presence,
    /// Nobody for superusers, who have no presence.
    user: Option<Arc<Record>>,
    connection: Connection,
}

impl Here {
    /// The client has said that it goes: if this was its last connection, the user is offline at once.
    pub fn disconnect(mut self) {
        if let Some(user) = self.user.take() {
            self.presence.closed(user.id(), self.connection, true);
        }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        if let Some(user) = &self.user {
            self.presence.closed(user.id(), self.connection, false);
        }
    }
}

impl Presence {
    /// Starts the task that writes changes; it ends with `stop`. Users that were here when the server last ended get the
    /// grace of a lost connection.
    pub(super) fn start(engine: Engine, log: LogLimits, stop: CancellationToken) -> Self {
        let presence = Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                wake: Notify::new(),
                visibility: ArcSwapOption::empty(),
            }),
        };
        let writer = Writer {
            engine,
            log,
            shared: Arc::clone(&presence.shared),
        };
        tokio::spawn(stop.run_until_cancelled_owned(writer.run()));
        presence
    }

    /// Lets a module decide who may know of whom. Without one, everybody who may subscribe to `presence_changes` may,
    /// and channels tell their own user alone.
    pub fn set_visibility(&self, visibility: Box<dyn Visibility>) {
        self.shared.visibility.store(Some(Arc::new(visibility)));
    }

    /// A connection of a signed-in record was opened; it lasts as long as the result. Presence is that of `users`.
    #[must_use]
    pub fn connect(&self, user: &Arc<Record>, connection: Connection) -> Here {
        let user = (user.collection().name == USERS).then(|| Arc::clone(user));
        if let Some(user) = &user {
            self.opened(user.id(), connection);
        }
        Here {
            presence: self.clone(),
            user,
            connection,
        }
    }

    /// A connection was opened; each needs its [`Presence::closed`].
    pub fn opened(&self, user: &str, connection: Connection) {
        self.update(|book, now| book.opened(user, connection, now));
    }

    /// A connection ended: `orderly` if the client said so, else it may come back within [`GRACE`].
    pub fn closed(&self, user: &str, connection: Connection, orderly: bool) {
        self.update(|book, now| book.closed(user, connection, orderly, now));
    }

    /// The user did something on a room.
    pub fn activity(&self, user: &str) {
        self.update(|book, now| book.activity(user, now));
    }

    /// The user sets a state. `Busy`, `Away` and `Offline` hold, while the user is here, until another is set.
    pub fn set(&self, user: &str, state: State) {
        self.update(|book, now| book.set(user, state, now));
    }

    /// How a user is seen.
    #[must_use]
    pub fn state(&self, user: &str) -> State {
        self.shared.lock().book.state(user)
    }

    fn update(&self, change: impl FnOnce(&mut Book, Instant) -> Option<Change>) {
        let mut state = self.shared.lock();
        let due = state.book.next_due();
        let changed = change(&mut state.book, Instant::now());
        let wakes = changed.is_some() || state.book.next_due() != due;
        state.note(changed);
        drop(state);
        if wakes {
            self.shared.wake.notify_one();
        }
    }
}

/// Those that are deleted are not here.
impl RecordHook for Presence {
    fn wants(&self, collection: &Collection) -> bool {
        collection.is_auth()
    }

    fn committed(&self, _engine: &Engine, event: &Committed) {
        if event.op == Op::Delete {
            self.update(|book, _| book.forget(event.record.id()));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Now> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task.
struct Writer {
    engine: Engine,
    log: LogLimits,
    shared: Arc<Shared>,
}

impl Writer {
    async fn run(self) {
        if let Err(error) = self.restore().await {
            tracing::warn!(%error, "presence of before the start is not known");
        }
        loop {
            let due = self.shared.lock().book.next_due();
            let time = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.shared.wake.notified() => {}
                () = time => {
                    let mut state = self.shared.lock();
                    for change in state.book.tick(Instant::now()) {
                        state.note(Some(change));
                    }
                }
            }
            self.write().await;
        }
    }

    fn users(&self) -> Option<Arc<Collection>> {
        let schema = self.engine.schema();
        let users = schema.find(USERS).filter(|users| keeps_presence(users));
        users.cloned()
    }

    async fn restore(&self) -> Result<(), engine::Error> {
        let Some(users) = self.users() else {
            return Ok(());
        };
        for page in 1.. {
            let params = ListParams {
                page,
                per_page: 1_000,
                filter: "presence != '' && presence != 'offline'".to_owned(),
                sort: "id".to_owned(),
                ..ListParams::default()
            };
            let (found, total) = self.engine.list_unruled(&users, &params, None).await?;
            let mut state = self.shared.lock();
            for user in &found {
                let before = State::from_name(user.text("presence")).unwrap_or(State::Offline);
                state.book.restore(user.id(), before, Instant::now());
            }
            if found.is_empty() || page * 1_000 >= total {
                break;
            }
        }
        Ok(())
    }

    async fn write(&self) {
        loop {
            let changes = self.shared.lock().take();
            if changes.is_empty() {
                return;
            }
            let seen = self.engine.now().to_string();
            if let Err(error) = self.store(&changes, &seen).await {
                tracing::warn!(%error, "presence is not stored");
            }
            for change in &changes {
                self.tell(change, &seen).await;
            }
        }
    }

    async fn store(&self, changes: &[Change], seen: &str) -> Result<(), engine::Error> {
        let Some(users) = self.users() else {
            return Ok(());
        };
        let (engine, seen) = (self.engine.clone(), seen.to_owned());
        let changes: HashMap<Arc<str>, State> = changes
            .iter()
            .map(|change| (Arc::clone(&change.user), change.state))
            .collect();
        self.engine
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let ids: Vec<&str> = changes.keys().map(|id| &**id).collect();
                    for mut user in records::find_many(tx, &users, &ids, &Condition::Always).await?
                    {
                        let Some(state) = changes.get(user.id()) else {
                            continue;
                        };
                        let values = [state.as_str(), seen.as_str()];
                        for (field, value) in PRESENCE_FIELDS.iter().zip(values) {
                            user.set(field, Value::from(value));
                        }
                        engine.save_quietly(tx, user).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    async fn tell(&self, change: &Change, seen: &str) {
        let user = &*change.user;
        let visibility = self.shared.visibility.load_full();
        let viewers = match &visibility {
            Some(visibility) => visibility.viewers(&self.engine, user).await,
            None => Viewers::default(),
        };
        let state = change.state.as_str();
        let payload = json!({"user_id": user, "presence": state, "previous": change.previous.as_str(), "last_seen": seen});
        let mut message = Message::new(payload.to_string()).logged(self.log);
        if let Some(readers) = &viewers.topic {
            message = message.for_readers(readers.iter().map(String::as_str));
        }
        let bus = self.engine.bus();
        if let Ok(topic) = publication::topic(TOPIC) {
            bus.publish(&topic, message);
        }
        let data = json!({"user_id": user, "presence": state}).to_string();
        let envelope = Envelope {
            kind: "presence_change",
            data: data.as_bytes(),
            timestamp: self.engine.now().unix(),
            ..Envelope::default()
        };
        let envelope = bytes::Bytes::from(envelope.to_json());
        for viewer in viewers.channels.iter().map(String::as_str).chain([user]) {
            if let Ok(topic) = topic_of(viewer) {
                // For those who are there: a state of before is of no use.
                bus.publish(&topic, Message::new(envelope.clone()));
            }
        }
    }
}

/// How many users are in which state.
#[utoipa::path(get, path = "/api/location/presence/stats", tag = "presence",
    responses((status = 200, description = "online, away, busy, offline"), (status = 401, description = "Signing in is needed")))]
pub(super) async fn presence_stats(
    live: Data<Live>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(live.engine(), &caller, &request)?;
    caller.require_auth()?;
    let engine = live.engine();
    let all = match engine.schema().find(USERS) {
        None => 0,
        Some(users) => {
            let mut conn = engine.read().await?;
            records::count(&mut conn, users, &Condition::Always)
                .await
                .map_err(engine::Error::from)?
        }
    };
    let [online, away, busy] = live.presence().shared.lock().book.counts();
    Ok(response::ok_value(&json!({
        "online": online,
        "away": away,
        "busy": busy,
        "offline": all.saturating_sub(online + away + busy),
    })))
}

/// Sets the caller's state: `busy`, `away` and `offline` hold, while the caller is here, until another is set; `online` takes
/// them back.
#[utoipa::path(post, path = "/api/presence/update", tag = "presence",
    request_body(content = serde_json::Value, description = "`{\"presence\":\"busy\"}`: online, away, busy or offline"),
    responses((status = 200, description = "success, presence"), (status = 400, description = "No such state, or the caller has none"),
        (status = 401, description = "Signing in is needed")))]
pub(super) async fn update_presence(
    live: Data<Live>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(live.engine(), &caller, &request)?;
    let user = caller.require_auth()?;
    let limit = BodyLimit::of(&request);
    let body = body::read(&request, &mut payload.into_inner(), limit).await?;
    let name = body.fields.get("presence").and_then(Json::as_str);
    let Some(state) = name.and_then(State::from_name) else {
        let text = "Must be one of online, away, busy and offline.";
        let error = FieldError::new("validation_invalid_value", text);
        return Err(ApiError::validation(
            crate::base::code::BODY_INVALID,
            &FieldErrors::one("presence", error),
        ));
    };
    if user.collection().name != USERS {
        return Err(ApiError::bad_request("Only users have a presence."));
    }
    live.presence().set(user.id(), state);
    Ok(response::ok_value(
        &json!({"success": true, "presence": state.as_str()}),
    ))
}
