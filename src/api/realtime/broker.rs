//! The connected clients for those who work with them beside the API, such as scripts: by id, since a client may be gone
//! from one call to the next.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::clients::Clients;
use super::dispatch::Prepared;
use super::message::Message;
use super::subscription::Subscription;
use crate::model::Record;

/// What a client has subscribed to.
pub struct SubscriptionView {
    /// The text as the client sent it.
    pub name: Arc<str>,
    /// Its options.
    pub query: Arc<Map<String, Json>>,
    /// Names in lower case with `_` for `-`.
    pub headers: Arc<Map<String, Json>>,
}

impl Clients {
    /// The ids of all connected clients, in no order.
    #[must_use]
    pub fn ids(&self) -> Vec<Arc<str>> {
        self.read().by_id.keys().cloned().collect()
    }

    /// How many clients are connected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().by_id.len()
    }

    /// Whether nobody is connected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a client is connected.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.read().by_id.contains_key(id)
    }

    /// What a client has subscribed to; nothing once it is gone.
    #[must_use]
    pub fn subscriptions(&self, id: &str) -> Vec<SubscriptionView> {
        let Some(client) = self.find(id) else {
            return Vec::new();
        };
        let session = client.session();
        let views = session.subscriptions.iter();
        views
            .map(|(subscription, _)| SubscriptionView {
                name: Arc::clone(&subscription.name),
                query: Arc::clone(&subscription.query),
                headers: Arc::clone(&subscription.headers),
            })
            .collect()
    }

    /// Whom a client stands for.
    #[must_use]
    pub fn auth(&self, id: &str) -> Option<Arc<Record>> {
        self.find(id)?.session().auth.clone()
    }

    /// Lets a client stand for somebody else, or for nobody.
    pub fn set_auth(&self, id: &str, auth: Option<Arc<Record>>) {
        if let Some(client) = self.find(id) {
            client.session().auth = auth;
        }
    }

    /// Adds subscriptions to those of a client. Empty texts are left out.
    pub fn add_subscriptions(&self, id: &str, names: &[String]) {
        self.resubscribe(id, |mut known| {
            for name in names.iter().filter(|name| !name.is_empty()) {
                known.retain(|other| *other.name != **name);
                known.push(Subscription::parse(name));
            }
            known
        });
    }

    /// Takes subscriptions from a client; all of them without names.
    pub fn remove_subscriptions(&self, id: &str, names: &[String]) {
        self.resubscribe(id, |mut known| {
            known.retain(|one| !names.is_empty() && !names.iter().any(|name| *one.name == **name));
            known
        });
    }

    fn resubscribe(&self, id: &str, change: impl FnOnce(Vec<Subscription>) -> Vec<Subscription>) {
        let Some(client) = self.find(id) else {
            return;
        };
        let (auth, known) = {
            let session = client.session();
            let known = session.subscriptions.iter();
            let known = known.map(|(subscription, _)| subscription.clone());
            (session.auth.clone(), known.collect())
        };
        self.subscribe(&client, auth, change(known));
    }

    /// Sends a client a message, behind what is on its way already; those who listen to messages may change it. A line
    /// break in `data` becomes a space. Gives whether there was room for it; nothing is sent to a client that is gone.
    #[must_use]
    pub fn send(&self, id: &str, name: &str, data: &str) -> bool {
        let (Some(client), Some(outbox)) = (self.find(id), self.outbox()) else {
            return true;
        };
        outbox.send(Prepared {
            message: Message::of_text(name, data),
            members: vec![client.member()],
        })
    }

    /// Ends a client's connection.
    pub fn discard(&self, id: &str) {
        if let Some(client) = self.find(id) {
            client.close();
            self.remove(client.id());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Bus, BusOptions};

    fn names(clients: &Clients) -> Vec<String> {
        let mut names: Vec<String> = clients
            .subscriptions("c")
            .iter()
            .map(|view| view.name.to_string())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn subscriptions_are_added_and_taken_one_by_one() {
        let (bus, clients) = (Bus::new(BusOptions::default()), Clients::default());
        let subscriber = bus.subscriber();
        let registration =
            clients.register("c".to_owned(), subscriber.handle().clone(), String::new());
        clients.add_subscriptions("c", &["a".to_owned(), String::new(), "b".to_owned()]);
        clients.add_subscriptions("c", &["a".to_owned()]);
        assert_eq!(names(&clients), ["a", "b"]);
        clients.remove_subscriptions("c", &["a".to_owned()]);
        assert_eq!(names(&clients), ["b"]);
        clients.remove_subscriptions("c", &[]);
        assert!(names(&clients).is_empty());
        clients.add_subscriptions("other", &["a".to_owned()]);
        assert!(!clients.any(&["a".to_owned()]), "nobody listens");
        drop(registration);
        assert!(clients.is_empty());
    }

    #[test]
    fn a_discarded_client_is_gone_at_once() {
        let (bus, clients) = (Bus::new(BusOptions::default()), Clients::default());
        let subscriber = bus.subscriber();
        let _registration =
            clients.register("c".to_owned(), subscriber.handle().clone(), String::new());
        assert!(clients.contains("c"));
        clients.discard("c");
        assert!(!clients.contains("c"));
        assert!(clients.send("c", "name", "data"), "to nobody there is room");
    }
}
