//! A server under test, and what a workload asks of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use rotunda_peer::{OnMessage, Peer, Plan, Publication, Stats};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::client::Conn;
use crate::ion::Ion;
use crate::janus::Janus;
use crate::ours::Ours;
use crate::process;

/// What a room is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    Video,
    Chat,
}

#[derive(Clone)]
pub(crate) struct Room {
    pub(crate) id: String,
    pub(crate) medium: Medium,
}

/// Who is to join.
#[derive(Clone)]
pub(crate) struct Guest {
    /// Unique in a run.
    pub(crate) number: usize,
    pub(crate) publishes: bool,
    pub(crate) is_decoding: bool,
    /// Takes chat messages.
    pub(crate) on_message: Option<OnMessage>,
}

impl Guest {
    /// A plan for a connection from an address that does not publish.
    pub(crate) fn plan(&self, bind: IpAddr) -> Plan {
        Plan {
            bind,
            is_decoding: self.is_decoding,
            seed: self.number as u64 + 1,
            on_message: self.on_message.clone(),
            receive_buffer_bytes: 4 << 20,
            ..Plan::default()
        }
    }

    pub(crate) fn publishing_plan(&self, bind: IpAddr) -> Plan {
        Plan {
            publish: vec![Publication::camera()],
            ..self.plan(bind)
        }
    }
}

/// Somebody in a room: one connection, or one for each direction.
pub(crate) struct Client {
    pub(crate) up: Option<Arc<Peer>>,
    pub(crate) down: Option<Arc<Peer>>,
    /// The peer to receive on, where the server offers it later.
    pub(crate) coming: Option<oneshot::Receiver<Arc<Peer>>>,
    /// When joining began.
    pub(crate) began: Instant,
    /// What ends its part on the server.
    pub(crate) leave: Vec<Leave>,
}

/// A request that ends something.
pub(crate) struct Leave {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) token: String,
    pub(crate) body: Option<Value>,
}

impl Client {
    /// The peer that media is received on.
    pub(crate) async fn received(&self) -> Stats {
        match &self.down {
            Some(peer) => peer.stats().await,
            None => Stats::default(),
        }
    }

    pub(crate) async fn sent_packets(&self) -> u64 {
        match &self.up {
            Some(peer) => peer.stats().await.sent_packets,
            None => 0,
        }
    }

    /// Says goodbye. That the server may know of it already is no error.
    pub(crate) async fn close(&self, conn: &mut Conn) {
        for peer in self.up.iter().chain(&self.down) {
            peer.close().await;
        }
        for leave in &self.leave {
            let body = leave.body.as_ref();
            let _ = conn
                .json(leave.method, &leave.path, &leave.token, body)
                .await;
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "there are three of them at most")]
pub(crate) enum Sfu {
    Ours(Ours),
    Janus(Janus),
    Ion(Ion),
}

impl Sfu {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ours(_) => "ours",
            Self::Janus(_) => "janus",
            Self::Ion(_) => "ion-sfu",
        }
    }

    /// Whether it is measured with this. A channel of ion-sfu relays messages between publishers alone.
    pub(crate) fn has(&self, medium: Medium) -> bool {
        medium == Medium::Video || !matches!(self, Self::Ion(_))
    }

    pub(crate) fn cpu(&self) -> Duration {
        process::cpu(self.pid())
    }

    pub(crate) fn resident_mb(&self) -> f64 {
        process::resident_mb(self.pid())
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Ours(ours) => ours.pid(),
            Self::Janus(janus) => janus.pid(),
            Self::Ion(ion) => ion.pid(),
        }
    }

    /// Makes an empty room.
    pub(crate) async fn room(&mut self, medium: Medium) -> Result<Room> {
        match self {
            Self::Ours(ours) => ours.room(medium).await,
            Self::Janus(janus) => janus.room(medium).await,
            Self::Ion(ion) => Ok(ion.room(medium)),
        }
    }

    /// Lets a guest in. Who publishes may receive only after [`Sfu::complete`].
    pub(crate) async fn join(&self, room: &Room, guest: &Guest) -> Result<Client> {
        match self {
            Self::Ours(ours) => ours.join(room, guest).await,
            Self::Janus(janus) => janus.join(room, guest).await,
            Self::Ion(ion) => ion.join(room, guest).await,
        }
    }

    /// Lets a client that publishes receive the others, where that is not done by itself.
    pub(crate) async fn complete(
        &self,
        room: &Room,
        client: &mut Client,
        guest: &Guest,
    ) -> Result<()> {
        match self {
            Self::Ours(_) => Ok(()),
            Self::Janus(janus) => janus.complete(room, client, guest).await,
            Self::Ion(_) if client.coming.is_none() => Ok(()),
            Self::Ion(ion) => ion.complete(client).await,
        }
    }

    /// Where its HTTP interface listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        match self {
            Self::Ours(ours) => ours.addr(),
            Self::Janus(janus) => janus.addr(),
            Self::Ion(ion) => ion.addr(),
        }
    }

    /// A chat message as the server wants it.
    pub(crate) fn chat(&self, room: &Room, text: &str) -> String {
        match self {
            Self::Ours(_) => Ours::chat(text),
            Self::Janus(_) => Janus::chat(room, text),
            Self::Ion(_) => text.to_owned(),
        }
    }

    /// The data channel that chat goes over.
    pub(crate) fn channel(&self) -> &'static str {
        match self {
            Self::Ours(_) => Ours::CHANNEL,
            Self::Janus(_) => Janus::CHANNEL,
            Self::Ion(_) => "",
        }
    }

    /// Ends a room and whoever is left in it.
    pub(crate) async fn end(&mut self, room: &Room) -> Result<()> {
        match self {
            Self::Ours(ours) => ours.end(room).await,
            Self::Janus(janus) => janus.end(room).await,
            Self::Ion(_) => Ok(()),
        }
    }
}
