//! The task of a room.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::header::{
    AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};

use super::reply::{self, Reply};
use super::request::{Asked, Encoding};
use super::rooms::End;
use super::{LABEL, short};
use crate::bus::{Item, Start, Subscriber, Topic};
use crate::http::ApiError;
use crate::http::dispatch::{Call, Lane};
use crate::live::Live;
use crate::live::channel::NOTIFICATION_KEY;
use crate::live::presence::{Connection, Here};
use crate::model::Record;
use crate::sfu::{Event, Message, Payload, PeerId, Session, To};

/// Requests of one room that may be under way at a time.
pub(super) const UNDER_WAY_MAX: usize = 64;
/// How long those under way get when the client disconnects, and the message that tells it the end.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Presence is told of a user's activity at most this often.
const ACTIVITY_EVERY: Duration = Duration::from_secs(1);
/// After so many bytes the client is asked how far behind it is, and waited for beyond this.
const ASK_AFTER_BYTES: usize = 256 << 10;
const BEHIND_BYTES_MAX: usize = 2 << 20;
const BEHIND_POLL: Duration = Duration::from_millis(5);
/// How long it is waited for.
const BEHIND_TIME_MAX: Duration = Duration::from_secs(30);
/// Requests under way whose answers may come in parts, hence be long.
const PARTED_MAX: usize = 2;
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Who connected, and from where.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) user: Arc<Record>,
    /// The `Authorization` of each request: who calls is found out each time, as over HTTP.
    pub(super) authorization: HeaderValue,
    pub(super) ip: Option<std::net::IpAddr>,
    pub(super) host: Option<HeaderValue>,
    pub(super) user_agent: Option<HeaderValue>,
}

/// The way to the client.
pub(super) trait Wire: Send + 'static {
    /// Sends a message; messages arrive in the order in which they were sent.
    fn send(&self, payload: Payload) -> impl Future<Output = ()> + Send;

    /// Closes the channel and the connection.
    fn close(&self, why: &'static str) -> impl Future<Output = ()> + Send;
}

/// The channel of a peer that is alone in its session.
pub(super) struct PeerWire {
    session: Session,
    peer: PeerId,
    /// Bytes sent since the client was last asked how far behind it is.
    sent: AtomicUsize,
}

impl PeerWire {
    pub(super) fn new(session: Session, peer: PeerId) -> Self {
        Self {
            session,
            peer,
            sent: AtomicUsize::new(0),
        }
    }

    /// Waits while the client is far behind: the session would take it for one that does not read.
    async fn pace(&self, bytes: usize) {
        if self.sent.fetch_add(bytes, Ordering::Relaxed) + bytes < ASK_AFTER_BYTES {
            return;
        }
        self.sent.store(0, Ordering::Relaxed);
        let caught_up = async {
            while let Ok(behind) = self.session.behind(&self.peer, LABEL).await
                && behind > BEHIND_BYTES_MAX
            {
                sleep(BEHIND_POLL).await;
            }
        };
        // Who stays behind is removed with the next messages.
        let _ = timeout(BEHIND_TIME_MAX, caught_up).await;
    }
}

impl Wire for PeerWire {
    async fn send(&self, payload: Payload) {
        let bytes = match &payload {
            Payload::Text(text) => text.len(),
            Payload::Binary(bytes) => bytes.len(),
        };
        self.pace(bytes).await;
        let message = Message {
            to: To::Only(self.peer.clone()),
            label: LABEL,
            payload,
        };
        // Where it is closed, an event says so.
        let _ = self.session.send(message).await;
    }

    async fn close(&self, why: &'static str) {
        let _ = self.session.remove(&self.peer, why).await;
        self.session.close().await;
    }
}

/// A room and what it needs.
pub(super) struct Conversation<W> {
    pub(super) live: Live,
    pub(super) lane: Lane,
    pub(super) wire: W,
    pub(super) origin: Arc<Origin>,
    /// What the session tells.
    pub(super) events: mpsc::Receiver<Event>,
    /// What others want of the room.
    pub(super) ends: mpsc::UnboundedReceiver<End>,
    /// Booked as an event stream: whatever ends the caller's right closes it.
    pub(super) subscriber: Subscriber,
    pub(super) topic: Topic,
    /// How long the token is valid.
    pub(super) lifetime: Option<Duration>,
}

/// What a room knows while it runs.
struct State {
    /// The user is here since the channel opened.
    here: Option<Here>,
    /// How pushes are written.
    encoding: Encoding,
    active_at: Option<Instant>,
    /// Places for requests whose answers may be long.
    parted: Arc<Semaphore>,
    under_way: FuturesUnordered<BoxFuture<'static, Vec<Payload>>>,
}

impl<W: Wire> Conversation<W> {
    /// Runs until the room ends.
    pub(super) async fn run(mut self) {
        let mut state = State {
            here: None,
            encoding: Encoding::MessagePack,
            active_at: None,
            parted: Arc::new(Semaphore::new(PARTED_MAX)),
            under_way: FuturesUnordered::new(),
        };
        let end = self.converse(&mut state).await;
        if end == End::Disconnected {
            let answers = self.send_all(&mut state.under_way);
            let _ = timeout(LAST_WORDS, answers).await;
        }
        // Where it is gone nobody reads.
        if end != End::Gone && state.here.is_some() {
            let data = json!({"reason": end.as_str()});
            let closed = reply::own("closed", &data, self.now_s());
            let _ = timeout(LAST_WORDS, self.push(state.encoding, &closed)).await;
        }
        self.wire.close(end.as_str()).await;
        if let (End::Disconnected, Some(here)) = (end, state.here.take()) {
            here.disconnect();
        }
    }

    async fn converse(&mut self, state: &mut State) -> End {
        let stop = self.live.stop();
        let (_, nobody) = mpsc::unbounded_channel();
        let mut ends = std::mem::replace(&mut self.ends, nobody);
        let lifetime = self.lifetime;
        let expired = async {
            match lifetime {
                Some(lifetime) => sleep(lifetime).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(expired);
        loop {
            // A step may wait for a client that reads slowly; the end does not.
            let ended = tokio::select! {
                biased;
                () = stop.cancelled() => Some(End::Stopping),
                end = ends.recv() => Some(end.unwrap_or(End::Gone)),
                () = &mut expired => Some(End::SignedOut),
                end = self.step(state) => end,
            };
            if let Some(end) = ended {
                return end;
            }
        }
    }

    /// One message, either way; gives the reason where it is the last.
    async fn step(&mut self, state: &mut State) -> Option<End> {
        tokio::select! {
            biased;
            Some(messages) = state.under_way.next() => self.send(messages).await,
            item = self.subscriber.recv() => match item {
                None => return Some(End::SignedOut),
                Some(Item::Lagged) => return Some(End::Lagged),
                Some(item) => self.pass_on(state.encoding, &item).await,
            },
            event = self.events.recv() => match event {
                Some(Event::ChannelOpen { label, .. }) if *label == *LABEL => {
                    return self.open(state).await.err();
                }
                Some(Event::Message { label, payload, .. }) if *label == *LABEL => {
                    self.take(state, &payload).await;
                }
                None | Some(Event::Left { .. }) => return Some(End::Gone),
                Some(_) => {}
            },
        }
        None
    }

    /// The channel is open, or a client's own has taken its place.
    async fn open(&mut self, state: &mut State) -> Result<(), End> {
        if state.here.is_none() {
            let joined = self.subscriber.handle().subscribe(&self.topic, Start::Now);
            joined.map_err(|_| End::SignedOut)?;
            let presence = self.live.presence();
            state.here = Some(presence.connect(&self.origin.user, Connection::Room));
        }
        let user = self.origin.user.id();
        let data = json!({"message": "The room is ready.", "user_id": user});
        let welcome = reply::own("welcome", &data, self.now_s());
        self.push(state.encoding, &welcome).await;
        Ok(())
    }

    /// A message of the client.
    async fn take(&mut self, state: &mut State, payload: &Payload) {
        let now = Instant::now();
        let is_due = state
            .active_at
            .is_none_or(|last| now.duration_since(last) >= ACTIVITY_EVERY);
        if is_due {
            state.active_at = Some(now);
            self.live.presence().activity(self.origin.user.id());
        }
        if matches!(payload, Payload::Text(_)) {
            state.encoding = Encoding::Json;
        }
        let asked = Asked::read(payload);
        if state.under_way.len() >= UNDER_WAY_MAX {
            let text = format!("At most {UNDER_WAY_MAX} requests may be under way at once.");
            let refusal = ApiError::new(crate::base::code::Code::TooManyRequests, text);
            let messages = Reply::refusal(&refusal).messages(&asked, self.now_s());
            self.send(messages).await;
            return;
        }
        let answer = answer(
            self.live.clone(),
            self.lane.clone(),
            Arc::clone(&self.origin),
            asked,
            Arc::clone(&state.parted),
        );
        state.under_way.push(Box::pin(answer));
    }

    /// An event of the user's channel.
    async fn pass_on(&self, encoding: Encoding, item: &Item) {
        match item {
            Item::Event(event) => {
                self.push(encoding, event.data()).await;
                if event.key() == Some(NOTIFICATION_KEY)
                    && let Some(second) = reply::notification(event.data())
                {
                    self.push(encoding, &second).await;
                }
            }
            Item::Gap(_) => {
                let gap = reply::own("gap", &json!({}), self.now_s());
                self.push(encoding, &gap).await;
            }
            Item::Frame(_) | Item::Lagged => {}
        }
    }

    async fn push(&self, encoding: Encoding, envelope: &[u8]) {
        if let Some(payload) = reply::push(encoding, envelope) {
            self.wire.send(payload).await;
        }
    }

    async fn send(&self, messages: Vec<Payload>) {
        for message in messages {
            self.wire.send(message).await;
        }
    }

    async fn send_all(&self, answers: &mut FuturesUnordered<BoxFuture<'static, Vec<Payload>>>) {
        while let Some(messages) = answers.next().await {
            self.send(messages).await;
        }
    }

    fn now_s(&self) -> i64 {
        self.live.engine().now().unix()
    }
}

/// Has a request answered.
async fn answer(
    live: Live,
    lane: Lane,
    origin: Arc<Origin>,
    mut asked: Asked,
    parted: Arc<Semaphore>,
) -> Vec<Payload> {
    // Held until the answer is encoded. The semaphore is never closed.
    let _place = match asked.accepts_parts {
        true => parted.acquire().await.ok(),
        false => None,
    };
    let wanted = std::mem::replace(&mut asked.wanted, Err(ApiError::bad_request("")));
    let reply = match wanted.and_then(|mut wanted| {
        let shape = short::lead(&mut wanted)?;
        Ok((call(&live, &origin, &asked, wanted)?, shape))
    }) {
        Err(error) => Reply::refusal(&error),
        Ok((call, shape)) => {
            let reply = Reply::of(lane.call(call).await);
            match shape {
                Some(shape) => reply.reshaped(shape),
                None => reply,
            }
        }
    };
    reply.messages(&asked, live.engine().now().unix())
}

fn call(
    live: &Live,
    origin: &Origin,
    asked: &Asked,
    wanted: super::request::Wanted,
) -> Result<Call, ApiError> {
    let uri = wanted.uri()?;
    let mut headers = wanted.headers;
    // The client is where it connected from; no header of its own says otherwise.
    for name in &live.engine().settings().trusted_proxy.headers {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            headers.remove(name);
        }
    }
    headers.insert(AUTHORIZATION, origin.authorization.clone());
    if let Some(host) = &origin.host {
        headers.insert(HOST, host.clone());
    }
    if let (false, Some(agent)) = (headers.contains_key(USER_AGENT), &origin.user_agent) {
        headers.insert(USER_AGENT, agent.clone());
    }
    if !headers.contains_key(X_REQUEST_ID)
        && asked.id != "null"
        && let Ok(id) = HeaderValue::from_str(&asked.id_text())
    {
        headers.insert(X_REQUEST_ID, id);
    }
    if !wanted.body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(Call {
        method: wanted.method,
        uri,
        headers,
        body: wanted.body,
        peer: origin.ip.map(|ip| std::net::SocketAddr::new(ip, 0)),
        answer_bytes_max: reply::body_bytes_max(asked),
    })
}
