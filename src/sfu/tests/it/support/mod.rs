//! A session with an owner that does what owners do: it takes events, and passes offers to clients and their answers back.

pub(crate) mod relay;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rotunda_peer::{Peer, Plan};
use rotunda_sfu::{Channel, Event, Join, Media, Options, PeerId, Publishing, Session, Sfu};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

/// How long anything may take that is awaited.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn options() -> Options {
    Options {
        bind: ([127, 0, 0, 1], 0).into(),
        ..Options::default()
    }
}

pub(crate) fn id(name: &str) -> PeerId {
    PeerId::new(name)
}

/// As video rooms are joined.
pub(crate) fn joining(name: &str) -> Join {
    Join {
        peer: id(name),
        media: Media::Video,
        is_simulcast: false,
        channels: channels(),
        publishing: Publishing::default(),
    }
}

pub(crate) fn channels() -> Vec<Channel> {
    vec![
        Channel {
            label: "events",
            is_reliable: true,
        },
        Channel {
            label: "fast",
            is_reliable: false,
        },
    ]
}

type Offers = mpsc::UnboundedSender<(String, u64)>;

#[derive(Default)]
struct Shared {
    log: Mutex<Vec<Event>>,
    came: Notify,
    /// The clients that answer offers by themselves.
    answering: Mutex<HashMap<PeerId, Offers>>,
}

/// A session and its owner.
pub(crate) struct Room {
    pub(crate) sfu: Sfu,
    pub(crate) session: Session,
    shared: Arc<Shared>,
}

/// A client that has joined.
pub(crate) struct Client {
    pub(crate) id: PeerId,
    pub(crate) offer: String,
    pub(crate) peer: Arc<Peer>,
}

impl Deref for Client {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.peer
    }
}

impl Room {
    pub(crate) fn new() -> Self {
        Self::with(&options())
    }

    pub(crate) fn with(options: &Options) -> Self {
        Self::of(Sfu::start(options).unwrap())
    }

    pub(crate) fn of(sfu: Sfu) -> Self {
        let (session, mut events) = sfu.open();
        let shared = Arc::<Shared>::default();
        tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Some(event) = events.recv().await {
                    shared.take(event);
                }
            }
        });
        Self {
            sfu,
            session,
            shared,
        }
    }

    /// A client that is in, connected, and answers offers.
    pub(crate) async fn join(&self, name: &str, plan: Plan) -> Client {
        self.join_as(joining(name), plan).await
    }

    pub(crate) async fn join_as(&self, join: Join, plan: Plan) -> Client {
        let client = self.enter(join, plan).await;
        client.connected().await.unwrap();
        client
    }

    /// A client that has answered its first offer.
    pub(crate) async fn enter(&self, join: Join, plan: Plan) -> Client {
        let (client, answer) = self.knock(join, plan).await;
        self.answering(&client);
        self.session.answer(&client.id, answer, None).await.unwrap();
        client
    }

    /// A client whose answer is still to be given.
    pub(crate) async fn knock(&self, join: Join, plan: Plan) -> (Client, String) {
        let id = join.peer.clone();
        let offer = self.session.join(join).await.unwrap();
        let (peer, answer) = Peer::answer(&offer, plan).await.unwrap();
        let client = Client {
            id,
            offer,
            peer: Arc::new(peer),
        };
        (client, answer)
    }

    /// A client behind a relay that has answered its first offer; not connected yet.
    pub(crate) async fn enter_over(&self, join: Join, plan: Plan, relay: &relay::Relay) -> Client {
        let id = join.peer.clone();
        let offer = relay.redirected(&self.session.join(join).await.unwrap());
        let (peer, answer) = Peer::answer(&offer, plan).await.unwrap();
        let client = Client {
            id,
            offer,
            peer: Arc::new(peer),
        };
        self.session.answer(&client.id, answer, None).await.unwrap();
        client
    }

    pub(crate) async fn join_over(&self, join: Join, plan: Plan, relay: &relay::Relay) -> Client {
        let client = self.enter_over(join, plan, relay).await;
        self.answering(&client);
        client.connected().await.unwrap();
        client
    }

    /// From now on the client answers offers.
    pub(crate) fn answering(&self, client: &Client) {
        let (offers, mut taken) = mpsc::unbounded_channel::<(String, u64)>();
        let (session, peer, id) = (
            self.session.clone(),
            Arc::clone(&client.peer),
            client.id.clone(),
        );
        tokio::spawn(async move {
            while let Some((offer, seq)) = taken.recv().await {
                // The client may be gone, or a later offer there already.
                let Ok(answer) = peer.reoffer(&offer).await else {
                    continue;
                };
                let _ = session.answer(&id, answer, Some(seq)).await;
            }
        });
        self.shared
            .answering
            .lock()
            .unwrap()
            .insert(client.id.clone(), offers);
    }

    /// From now on offers to the client stay unanswered.
    pub(crate) fn ignoring(&self, client: &Client) {
        self.shared.answering.lock().unwrap().remove(&client.id);
    }

    /// Waits for an event, past ones included; gives what `pick` makes of it.
    pub(crate) async fn event<T>(&self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        self.event_after(0, what, pick).await
    }

    /// Waits for an event behind the first `after` of them.
    pub(crate) async fn event_after<T>(
        &self,
        after: usize,
        what: &str,
        pick: impl Fn(&Event) -> Option<T>,
    ) -> T {
        let wait = async {
            loop {
                let came = self.shared.came.notified();
                tokio::pin!(came);
                came.as_mut().enable();
                if let Some(found) = self
                    .shared
                    .log
                    .lock()
                    .unwrap()
                    .iter()
                    .skip(after)
                    .find_map(&pick)
                {
                    return found;
                }
                came.await;
            }
        };
        match timeout(DEADLINE, wait).await {
            Ok(found) => found,
            Err(_) => panic!(
                "{what}: not told; told: {:#?}",
                self.shared.log.lock().unwrap()
            ),
        }
    }

    /// How many events were told.
    pub(crate) fn told(&self) -> usize {
        self.shared.log.lock().unwrap().len()
    }

    pub(crate) fn events<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        self.shared
            .log
            .lock()
            .unwrap()
            .iter()
            .filter_map(pick)
            .collect()
    }

    /// Waits until the session has taken all that was asked of it so far.
    pub(crate) async fn synced(&self) {
        self.session.tracks().await.unwrap();
    }

    pub(crate) async fn left(&self, who: &PeerId) -> rotunda_sfu::Leave {
        self.event("a leave", |event| match event {
            Event::Left { peer, why } if peer == who => Some(*why),
            _ => None,
        })
        .await
    }

    pub(crate) async fn published(
        &self,
        who: &PeerId,
        source: rotunda_sfu::Source,
    ) -> rotunda_sfu::Track {
        self.event("a track", |event| match event {
            Event::Published(track) if track.peer == *who && track.source == source => {
                Some(track.clone())
            }
            _ => None,
        })
        .await
    }

    pub(crate) async fn offer_to(&self, after: usize, who: &PeerId) -> (String, u64) {
        self.event_after(after, "an offer", |event| match event {
            Event::Offer { peer, sdp, seq } if peer == who => Some((sdp.clone(), *seq)),
            _ => None,
        })
        .await
    }
}

impl Shared {
    fn take(&self, event: Event) {
        if let Event::Offer { peer, sdp, seq } = &event
            && let Some(offers) = self.answering.lock().unwrap().get(peer)
        {
            let _ = offers.send((sdp.clone(), *seq));
        }
        self.log.lock().unwrap().push(event);
        self.came.notify_waiters();
    }
}

/// Waits until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(DEADLINE, wait).await.is_ok(), "{what}: not in time");
}
