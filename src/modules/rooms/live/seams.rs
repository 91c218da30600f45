//! What a live room needs of the media plane and of the rest of the server, so that its task can be driven without either.

use futures_util::future::BoxFuture;
use serde_json::Value as Json;

use super::messages::{NewMessage, Stored};
use crate::base::DateTime;
use crate::sfu::{Candidate, Error, Join, Message, PeerId, Publishing, Session, Subscription};

/// A session of the media plane; see [`Session`] for each.
pub(super) trait Plane: Clone + Send + Sync + 'static {
    fn join(&self, join: Join) -> impl Future<Output = Result<String, Error>> + Send;
    fn answer(
        &self,
        peer: &PeerId,
        sdp: String,
        seq: Option<u64>,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    fn offer(
        &self,
        peer: &PeerId,
        sdp: String,
    ) -> impl Future<Output = Result<String, Error>> + Send;
    fn candidate(
        &self,
        peer: &PeerId,
        candidate: Candidate,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    fn remove(
        &self,
        peer: &PeerId,
        why: &'static str,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    fn send(&self, message: Message) -> impl Future<Output = Result<(), Error>> + Send;
    fn subscribe(
        &self,
        subscription: Subscription,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    fn allow(
        &self,
        peer: &PeerId,
        publishing: Publishing,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    fn close(&self) -> impl Future<Output = ()> + Send;
}

impl Plane for Session {
    async fn join(&self, join: Join) -> Result<String, Error> {
        Self::join(self, join).await
    }

    async fn answer(&self, peer: &PeerId, sdp: String, seq: Option<u64>) -> Result<(), Error> {
        Self::answer(self, peer, sdp, seq).await
    }

    async fn offer(&self, peer: &PeerId, sdp: String) -> Result<String, Error> {
        Self::offer(self, peer, sdp).await
    }

    async fn candidate(&self, peer: &PeerId, candidate: Candidate) -> Result<(), Error> {
        Self::candidate(self, peer, candidate).await
    }

    async fn remove(&self, peer: &PeerId, why: &'static str) -> Result<(), Error> {
        Self::remove(self, peer, why).await
    }

    async fn send(&self, message: Message) -> Result<(), Error> {
        Self::send(self, message).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<(), Error> {
        Self::subscribe(self, subscription).await
    }

    async fn allow(&self, peer: &PeerId, publishing: Publishing) -> Result<(), Error> {
        Self::allow(self, peer, publishing).await
    }

    async fn close(&self) {
        Self::close(self).await;
    }
}

/// The rest of the server.
pub(super) trait World: Send + Sync {
    fn now(&self) -> DateTime;

    /// Publishes to a topic; waits for nobody.
    fn publish(&self, topic: &str, payload: &Json);

    /// Stores messages in their order; gives for each what was stored, or why it was not, for its sender.
    fn store(&self, messages: Vec<NewMessage>) -> BoxFuture<'static, Vec<Result<Stored, String>>>;
}
