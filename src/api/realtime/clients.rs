//! The connected clients and who listens to what.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use tokio_util::sync::CancellationToken;

use super::dispatch::Outbox;
use super::subscription::Subscription;
use crate::bus::SubscriberHandle;
use crate::model::Record;

/// All connected realtime clients; a cheap handle.
#[derive(Clone, Default)]
pub struct Clients {
    state: Arc<RwLock<State>>,
    /// Counts commits: a subscription hears what is committed after it, even if that is still being worked on.
    commits: Arc<AtomicU64>,
    /// Where messages of others than the server go to their clients.
    outbox: Arc<OnceLock<Outbox>>,
    stop: CancellationToken,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) by_id: HashMap<Arc<str>, Arc<Client>>,
    /// Topic -> subscription text -> its clients. Grouping by text lets one event be prepared once for all of them.
    topics: HashMap<Arc<str>, HashMap<Arc<str>, Group>>,
}

struct Group {
    subscription: Subscription,
    clients: HashMap<Arc<str>, Listener>,
}

/// A client in a group, and the number of the last commit before it came.
struct Listener {
    client: Arc<Client>,
    since: u64,
}

/// One connection.
pub(super) struct Client {
    id: Arc<str>,
    ip: String,
    handle: SubscriberHandle,
    session: Mutex<Session>,
}

#[derive(Default)]
pub(super) struct Session {
    pub(super) auth: Option<Arc<Record>>,
    pub(super) subscriptions: Vec<(Subscription, u64)>,
}

/// The clients of one subscription text that share one identity.
pub(super) struct Audience {
    pub(super) subscription: Subscription,
    pub(super) auth: Option<Arc<Record>>,
    pub(super) members: Vec<Member>,
}

/// A connection that is to hear something.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) client: Arc<str>,
    pub(super) handle: SubscriberHandle,
}

impl Client {
    pub(super) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(super) fn ip(&self) -> &str {
        &self.ip
    }

    /// Whether a caller may change this client: it has no identity yet, or the same.
    pub(super) fn fits(&self, auth: Option<&Arc<Record>>) -> bool {
        match (&self.session().auth, auth) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(other)) => same_record(own, other),
        }
    }

    pub(super) fn member(&self) -> Member {
        Member {
            client: Arc::clone(&self.id),
            handle: self.handle.clone(),
        }
    }

    pub(super) fn close(&self) {
        self.handle.close();
    }

    pub(super) fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn same_record(a: &Record, b: &Record) -> bool {
    a.id() == b.id() && a.collection().id == b.collection().id
}

/// Takes a client off the books when its connection ends.
pub(super) struct Registration {
    clients: Clients,
    id: Arc<str>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.clients.remove(&self.id);
    }
}

impl Clients {
    /// Ends all streams: the server stops.
    pub fn end(&self) {
        self.stop.cancel();
    }

    pub(super) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    pub(super) fn register(
        &self,
        id: String,
        handle: SubscriberHandle,
        ip: String,
    ) -> Registration {
        let id: Arc<str> = id.into();
        let client = Arc::new(Client {
            id: Arc::clone(&id),
            ip,
            handle,
            session: Mutex::default(),
        });
        self.write().by_id.insert(Arc::clone(&id), client);
        Registration {
            clients: self.clone(),
            id,
        }
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Client>> {
        self.read().by_id.get(id).cloned()
    }

    /// Replaces a client's identity and subscriptions.
    pub(super) fn subscribe(
        &self,
        client: &Arc<Client>,
        auth: Option<Arc<Record>>,
        subscriptions: Vec<Subscription>,
    ) {
        let mut state = self.write();
        if !state.by_id.contains_key(&client.id) {
            return;
        }
        let mut session = client.session();
        state.leave(&client.id, &session.subscriptions);
        let now = self.commits.load(Ordering::SeqCst);
        let before = std::mem::take(&mut session.subscriptions);
        let subscriptions: Vec<(Subscription, u64)> = subscriptions
            .into_iter()
            .map(|subscription| {
                let kept = before.iter().find(|(old, _)| old.name == subscription.name);
                let since = kept.map_or(now, |(_, since)| *since);
                (subscription, since)
            })
            .collect();
        for (subscription, since) in &subscriptions {
            state
                .topics
                .entry(Arc::clone(&subscription.topic))
                .or_default()
                .entry(Arc::clone(&subscription.name))
                .or_insert_with(|| Group {
                    subscription: subscription.clone(),
                    clients: HashMap::new(),
                })
                .clients
                .insert(
                    Arc::clone(&client.id),
                    Listener {
                        client: Arc::clone(client),
                        since: *since,
                    },
                );
        }
        session.auth = auth;
        session.subscriptions = subscriptions;
    }

    pub(super) fn remove(&self, id: &Arc<str>) {
        let mut state = self.write();
        if let Some(client) = state.by_id.remove(id) {
            let subscriptions = std::mem::take(&mut client.session().subscriptions);
            state.leave(id, &subscriptions);
        }
    }

    /// Whether anybody listens to one of the topics.
    pub(super) fn any(&self, topics: &[String]) -> bool {
        let state = self.read();
        topics
            .iter()
            .any(|topic| state.topics.contains_key(topic.as_str()))
    }

    /// Numbers a commit. Called in commit order, before the commit is answered.
    pub(super) fn count_commit(&self) -> u64 {
        self.commits.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Who listened to a topic when `commit` was made, grouped by subscription text and identity.
    pub(super) fn audiences(&self, topic: &str, commit: u64) -> Vec<Audience> {
        let state = self.read();
        let Some(groups) = state.topics.get(topic) else {
            return Vec::new();
        };
        let mut audiences = Vec::new();
        for group in groups.values() {
            let mut by_identity: HashMap<Option<(String, String)>, Audience> = HashMap::new();
            let listeners = group.clients.values();
            for Listener { client, .. } in listeners.filter(|listener| listener.since < commit) {
                let auth = client.session().auth.clone();
                let identity = auth
                    .as_ref()
                    .map(|record| (record.collection().id.clone(), record.id().to_owned()));
                by_identity
                    .entry(identity)
                    .or_insert_with(|| Audience {
                        subscription: group.subscription.clone(),
                        auth,
                        members: Vec::new(),
                    })
                    .members
                    .push(client.member());
            }
            audiences.extend(by_identity.into_values());
        }
        audiences
    }

    /// Follows a change of an auth record: a new token key ends the identity, else it is refreshed.
    pub(super) fn auth_changed(&self, record: &Arc<Record>) {
        for client in self.read().by_id.values() {
            let mut session = client.session();
            let Some(own) = session.auth.as_ref().filter(|own| same_record(own, record)) else {
                continue;
            };
            let valid = own.text("tokenKey") == record.text("tokenKey");
            session.auth = valid.then(|| Arc::clone(record));
        }
    }

    /// Ends the identity of clients whose auth record fits, as after its deletion.
    pub(super) fn auth_ended(&self, ended: impl Fn(&Record) -> bool) {
        for client in self.read().by_id.values() {
            let mut session = client.session();
            if session.auth.as_ref().is_some_and(|own| ended(own)) {
                session.auth = None;
            }
        }
    }

    /// Cuts everybody off, as when events had to be dropped: nobody misses one without noticing.
    pub(super) fn close_all(&self) {
        for client in self.read().by_id.values() {
            client.handle.close();
        }
    }

    pub(super) fn deliver_through(&self, outbox: Outbox) {
        let _ = self.outbox.set(outbox);
    }

    pub(super) fn outbox(&self) -> Option<&Outbox> {
        self.outbox.get()
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn leave(&mut self, id: &Arc<str>, subscriptions: &[(Subscription, u64)]) {
        for (subscription, _) in subscriptions {
            let Some(groups) = self.topics.get_mut(&subscription.topic) else {
                continue;
            };
            if let Some(group) = groups.get_mut(&subscription.name) {
                group.clients.remove(id);
                if group.clients.is_empty() {
                    groups.remove(&subscription.name);
                }
            }
            if groups.is_empty() {
                self.topics.remove(&subscription.topic);
            }
        }
    }
}
