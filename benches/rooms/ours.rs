//! Our server: its rooms, its users, and the side of a client that answers offers on the `events` channel.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use rotunda_peer::{OnMessage, Payload, Peer};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::Conn;
use crate::sfu::{Client, Guest, Leave, Medium, Room};
use crate::target::{Program, SUPERUSER_EMAIL, SUPERUSER_PASSWORD, Server};

const USERS: usize = 256;
/// Each joins by itself; who makes the room is none of them.
const OWNER: usize = USERS - 1;

/// Our server, running.
pub(crate) struct Ours {
    server: Server,
    conn: Conn,
    /// Tokens of the users, in the order of their numbers.
    tokens: Vec<String>,
}

impl Ours {
    pub(crate) const CHANNEL: &'static str = "events";

    pub(crate) async fn start(binary: &Path, root: &Path) -> Result<Self> {
        let program = Program::new("ours", binary)?;
        let dir = root.join("ours").join("pb_data");
        std::fs::create_dir_all(&dir)?;
        program.init(&dir)?;
        let server = program.start_with(&dir, "rooms")?;
        let mut conn = Conn::new(server.addr);
        let path = "/api/collections/_superusers/auth-with-password";
        let body = json!({"identity": SUPERUSER_EMAIL, "password": SUPERUSER_PASSWORD});
        let answer = conn.json("POST", path, "", Some(&body)).await?;
        let token = answer["token"].as_str().context("no token")?.to_owned();
        let no_logs = json!({"logs": {"maxDays": 0}});
        conn.json("PATCH", "/api/settings", &token, Some(&no_logs))
            .await?;
        let tokens = users(&mut conn, &token).await?;
        Ok(Self {
            server,
            conn,
            tokens,
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    fn token(&self, number: usize) -> &str {
        self.tokens.get(number).map_or("", String::as_str)
    }

    pub(crate) async fn room(&mut self, medium: Medium) -> Result<Room> {
        let room_type = match medium {
            Medium::Video => "video",
            Medium::Chat => "data",
        };
        let body = json!({
            "room_type": room_type, "name": "bench", "is_public": true, "max_participants": 500, "join_type": "free",
        });
        let token = self.tokens.get(OWNER).cloned().unwrap_or_default();
        // The server closes idle connections.
        self.conn.reset();
        let answer = self
            .conn
            .json("POST", "/api/rooms", &token, Some(&body))
            .await?;
        let id = answer["room_id"].as_str().context("no room_id")?;
        Ok(Room {
            id: id.to_owned(),
            medium,
        })
    }

    pub(crate) async fn join(&self, room: &Room, guest: &Guest) -> Result<Client> {
        let began = Instant::now();
        let mut conn = Conn::new(self.server.addr);
        let token = self.token(guest.number % OWNER);
        let base = format!("/api/rooms/{}", room.id);
        let path = format!("{base}/join");
        let joined = conn.json("POST", &path, token, Some(&json!({}))).await?;
        let id = joined["participant_id"]
            .as_str()
            .context("no participant_id")?;
        let offer = joined["sdp"]["sdp"].as_str().context("no offer")?;
        let (offers, coming) = mpsc::unbounded_channel();
        let ip = self.server.addr.ip();
        let mut plan = if guest.publishes {
            guest.publishing_plan(ip)
        } else {
            guest.plan(ip)
        };
        plan.on_message = Some(sort(offers, plan.on_message.take()));
        let (peer, answer) = Peer::answer(offer, plan).await?;
        let path = format!("{base}/participants/{id}/answer");
        let body = json!({"type": "answer", "sdp": answer});
        conn.json("POST", &path, token, Some(&body)).await?;
        let peer = Arc::new(peer);
        tokio::spawn(answer_offers(Arc::clone(&peer), coming));
        if room.medium == Medium::Chat {
            peer.opened(Self::CHANNEL).await?;
        }
        Ok(Client {
            up: guest.publishes.then(|| Arc::clone(&peer)),
            down: Some(peer),
            coming: None,
            began,
            leave: vec![Leave {
                method: "DELETE",
                path: format!("{base}/participants/{id}"),
                token: token.to_owned(),
                body: None,
            }],
        })
    }

    /// A message that the server relays and does not keep, as the others do.
    pub(crate) fn chat(text: &str) -> String {
        json!({"type": "custom", "data": {"text": text}}).to_string()
    }

    pub(crate) async fn end(&mut self, room: &Room) -> Result<()> {
        let token = self.tokens.get(OWNER).cloned().unwrap_or_default();
        let path = format!("/api/rooms/{}", room.id);
        self.conn.reset();
        self.conn.json("DELETE", &path, &token, None).await?;
        Ok(())
    }
}

/// Takes offers out of the messages; the others go on.
fn sort(offers: mpsc::UnboundedSender<(String, Value)>, others: Option<OnMessage>) -> OnMessage {
    Arc::new(move |label, payload| match offer_of(payload) {
        Some(offer) => {
            let _ = offers.send(offer);
        }
        None => {
            if let Some(others) = &others {
                others(label, payload);
            }
        }
    })
}

/// The description and the number of an offer, from JSON or MessagePack.
fn offer_of(payload: &Payload) -> Option<(String, Value)> {
    // Chat is many times as frequent: it is not parsed.
    let is_offer = payload
        .bytes()
        .windows(4)
        .any(|part| part == b"v=0\\" || part == b"v=0\r");
    if !is_offer {
        return None;
    }
    let message: Value = match payload {
        Payload::Text(text) => serde_json::from_str(text).ok()?,
        Payload::Binary(bytes) => rmp_serde::from_slice(bytes).ok()?,
    };
    if message["type"] != "offer" {
        return None;
    }
    let sdp = message["data"]["sdp"].as_str()?.to_owned();
    Some((sdp, message["data"]["seq"].clone()))
}

async fn answer_offers(peer: Arc<Peer>, mut coming: mpsc::UnboundedReceiver<(String, Value)>) {
    while let Some((offer, seq)) = coming.recv().await {
        let sdp = match peer.reoffer(&offer).await {
            Ok(sdp) => sdp,
            Err(error) => {
                eprintln!("an offer is refused: {error:#}");
                return;
            }
        };
        let answer = json!({"type": "answer", "data": {"sdp": sdp, "seq": seq}});
        if peer
            .send(Ours::CHANNEL, Payload::text(answer.to_string()))
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Makes the users and signs them in.
async fn users(conn: &mut Conn, superuser: &str) -> Result<Vec<String>> {
    let now = "strftime('%Y-%m-%d %H:%M:%fZ', 'now')";
    let query = format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {USERS} - 1) \
         INSERT INTO users (id, email, name, password, tokenKey, created, updated) SELECT printf('user%011d', i), \
         printf('user%d@example.com', i), printf('User %d', i), 'none', hex(randomblob(25)), {now}, {now} FROM n"
    );
    conn.json(
        "POST",
        "/api/sql",
        superuser,
        Some(&json!({"query": query})),
    )
    .await?;
    let mut tokens = Vec::new();
    for index in 0..USERS {
        let path = format!("/api/collections/users/impersonate/user{index:011}");
        let answer = conn
            .json("POST", &path, superuser, Some(&json!({"duration": 36_000})))
            .await?;
        tokens.push(answer["token"].as_str().context("no token")?.to_owned());
    }
    Ok(tokens)
}
