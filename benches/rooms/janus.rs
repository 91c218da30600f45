//! Janus as the SFU to compare with: its videoroom for media and its textroom for chat, over its HTTP transport, with a
//! configuration of its own under a temporary folder.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rotunda_peer::{Payload, Peer, Plan};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::client::Conn;
use crate::process::Process;
use crate::sfu::{Client, Guest, Leave, Medium, Room};

const START_TIMEOUT: Duration = Duration::from_secs(10);
const EVENT_TIMEOUT: Duration = Duration::from_secs(20);
const VIDEOROOM: &str = "janus.plugin.videoroom";
const TEXTROOM: &str = "janus.plugin.textroom";
/// Plugins and transports that only the Debian package brings and that would open ports.
const PLUGINS_OFF: &str = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,libjanus_nosip.so,\
                           libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_videocall.so,libjanus_voicemail.so";
const TRANSPORTS_OFF: &str = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so,libjanus_websockets.so";
/// Where media ports begin; far from what tests and our server use.
const MEDIA_PORTS: &str = "42000-58000";

/// How Janus is to run.
pub(crate) struct Setup<'a> {
    pub(crate) binary: &'a Path,
    /// The folder with `plugins` and `transports`.
    pub(crate) modules: &'a Path,
    pub(crate) loops: usize,
    /// Where its media ports are: it passes loopback interfaces over.
    pub(crate) ip: IpAddr,
}

/// A running Janus.
pub(crate) struct Janus {
    process: Process,
    addr: SocketAddr,
    /// Where media goes, and comes from.
    ip: IpAddr,
    /// The session and handles that rooms are made with.
    desk: Option<(Desk, Desk)>,
    rooms: AtomicU64,
    /// Publishers by room: their feed ids.
    feeds: Mutex<HashMap<String, Vec<u64>>>,
}

/// A handle of a plugin in a session of its own.
struct Desk {
    conn: Conn,
    session: u64,
    handle: u64,
}

impl Janus {
    pub(crate) const CHANNEL: &'static str = "JanusDataChannel";

    pub(crate) async fn start(setup: &Setup<'_>, root: &Path) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let folder = root.join("janus");
        fs::create_dir_all(&folder)?;
        configure(&folder, setup, port)?;
        let log = File::create(folder.join("log"))?;
        let child = Command::new(setup.binary)
            .arg("-F")
            .arg(&folder)
            .arg("-C")
            .arg(folder.join("janus.jcfg"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", setup.binary.display()))?;
        let mut janus = Self {
            process: Process::new(child),
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            ip: setup.ip,
            desk: None,
            rooms: AtomicU64::new(1),
            feeds: Mutex::default(),
        };
        let began = Instant::now();
        loop {
            if janus.process.has_ended()? || began.elapsed() > START_TIMEOUT {
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                bail!("Janus did not start: {log}");
            }
            if let Ok(video) = janus.attach(VIDEOROOM).await {
                let text = janus.attach(TEXTROOM).await?;
                janus.desk = Some((video, text));
                return Ok(janus);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    async fn attach(&self, plugin: &str) -> Result<Desk> {
        let mut conn = Conn::new(self.addr);
        let create = json!({"janus": "create", "transaction": "t"});
        let created = conn.json("POST", "/janus", "", Some(&create)).await?;
        let session = created["data"]["id"].as_u64().context("no session")?;
        let attach = json!({"janus": "attach", "plugin": plugin, "transaction": "t"});
        let path = format!("/janus/{session}");
        let attached = conn.json("POST", &path, "", Some(&attach)).await?;
        let handle = attached["data"]["id"].as_u64().context("no handle")?;
        Ok(Desk {
            conn,
            session,
            handle,
        })
    }

    pub(crate) async fn room(&mut self, medium: Medium) -> Result<Room> {
        let number = self.rooms.fetch_add(1, Ordering::Relaxed);
        let (video, text) = self.desk.as_mut().context("not started")?;
        let (desk, body) = match medium {
            Medium::Video => (
                video,
                json!({
                    "request": "create", "room": number, "publishers": 100, "videocodec": "vp8", "audiocodec": "opus",
                    "bitrate": 0, "notify_joining": false,
                }),
            ),
            Medium::Chat => (
                text,
                json!({"request": "create", "room": number, "history": 0}),
            ),
        };
        let reply = desk.request(&body, None).await?;
        let data = &reply["plugindata"]["data"];
        if data["room"].as_u64() != Some(number) {
            bail!("no room: {reply}");
        }
        Ok(Room {
            id: number.to_string(),
            medium,
        })
    }

    pub(crate) async fn join(&self, room: &Room, guest: &Guest) -> Result<Client> {
        let began = Instant::now();
        let (up, (peer, leave)) = match room.medium {
            Medium::Chat => (false, self.talk(room, guest).await?),
            Medium::Video if guest.publishes => (true, self.publish(room, guest).await?),
            Medium::Video => {
                let feeds = self.feeds_of(room).await;
                (false, self.subscribe(room, guest, &feeds).await?)
            }
        };
        Ok(Client {
            up: up.then(|| peer.clone()),
            down: (!up).then_some(peer),
            coming: None,
            began,
            leave: vec![leave],
        })
    }

    pub(crate) async fn complete(
        &self,
        room: &Room,
        client: &mut Client,
        guest: &Guest,
    ) -> Result<()> {
        let own = guest.number as u64 + 1;
        let mut feeds = self.feeds_of(room).await;
        feeds.retain(|&feed| feed != own);
        if !feeds.is_empty() {
            let (peer, leave) = self.subscribe(room, guest, &feeds).await?;
            client.down = Some(peer);
            client.leave.push(leave);
        }
        Ok(())
    }

    async fn feeds_of(&self, room: &Room) -> Vec<u64> {
        let feeds = self.feeds.lock().await;
        feeds.get(&room.id).cloned().unwrap_or_default()
    }

    async fn publish(&self, room: &Room, guest: &Guest) -> Result<(Arc<Peer>, Leave)> {
        let number: u64 = room.id.parse()?;
        let mut desk = self.attach(VIDEOROOM).await?;
        let (peer, offer) = Peer::offer(guest.publishing_plan(self.ip), &[]).await?;
        let feed = guest.number as u64 + 1;
        let body = json!({
            "request": "joinandconfigure", "ptype": "publisher", "room": number, "id": feed, "audio": false, "video": true,
        });
        let event = desk.ask(&body, Some(("offer", &offer))).await?;
        let answer = event["jsep"]["sdp"]
            .as_str()
            .with_context(|| format!("no answer: {event}"))?;
        peer.accept(answer).await?;
        peer.connected().await?;
        let mut feeds = self.feeds.lock().await;
        feeds.entry(room.id.clone()).or_default().push(feed);
        Ok((Arc::new(peer), desk.leave()))
    }

    async fn subscribe(
        &self,
        room: &Room,
        guest: &Guest,
        feeds: &[u64],
    ) -> Result<(Arc<Peer>, Leave)> {
        let number: u64 = room.id.parse()?;
        let mut desk = self.attach(VIDEOROOM).await?;
        let streams: Vec<Value> = feeds.iter().map(|feed| json!({"feed": feed})).collect();
        let body = json!({
            "request": "join", "ptype": "subscriber", "room": number, "streams": streams,
        });
        let event = desk.ask(&body, None).await?;
        let offer = event["jsep"]["sdp"]
            .as_str()
            .with_context(|| format!("no offer: {event}"))?;
        let (peer, answer) = Peer::answer(offer, guest.plan(self.ip)).await?;
        desk.ask(&json!({"request": "start"}), Some(("answer", &answer)))
            .await?;
        Ok((Arc::new(peer), desk.leave()))
    }

    async fn talk(&self, room: &Room, guest: &Guest) -> Result<(Arc<Peer>, Leave)> {
        let number: u64 = room.id.parse()?;
        let mut desk = self.attach(TEXTROOM).await?;
        let event = desk.ask(&json!({"request": "setup"}), None).await?;
        let offer = event["jsep"]["sdp"]
            .as_str()
            .with_context(|| format!("no offer: {event}"))?;
        let plan = Plan {
            channels: vec![Self::CHANNEL.to_owned()],
            ..guest.plan(self.ip)
        };
        let (peer, answer) = Peer::answer(offer, plan).await?;
        desk.ask(&json!({"request": "ack"}), Some(("answer", &answer)))
            .await?;
        peer.opened(Self::CHANNEL).await?;
        let name = format!("guest-{}", guest.number);
        let join =
            json!({"textroom": "join", "transaction": "j", "room": number, "username": name});
        peer.send(Self::CHANNEL, Payload::text(join.to_string()))
            .await?;
        peer.until("an answer to the join", |stats| stats.messages > 0)
            .await?;
        Ok((Arc::new(peer), desk.leave()))
    }

    pub(crate) fn chat(room: &Room, text: &str) -> String {
        let number: u64 = room.id.parse().unwrap_or_default();
        json!({"textroom": "message", "transaction": "m", "room": number, "text": text, "ack": false})
            .to_string()
    }

    pub(crate) async fn end(&mut self, room: &Room) -> Result<()> {
        let number: u64 = room.id.parse()?;
        let (video, text) = self.desk.as_mut().context("not started")?;
        let desk = match room.medium {
            Medium::Video => video,
            Medium::Chat => text,
        };
        desk.request(&json!({"request": "destroy", "room": number}), None)
            .await?;
        Ok(())
    }
}

impl Desk {
    fn leave(&self) -> Leave {
        Leave {
            method: "POST",
            path: format!("/janus/{}", self.session),
            token: String::new(),
            body: Some(json!({"janus": "destroy", "transaction": "t"})),
        }
    }

    /// A request to the plugin; gives what is answered at once.
    async fn request(&mut self, body: &Value, jsep: Option<(&str, &str)>) -> Result<Value> {
        let mut message = json!({"janus": "message", "transaction": "t", "body": body});
        if let Some((kind, sdp)) = jsep {
            message["jsep"] = json!({"type": kind, "sdp": sdp});
        }
        let path = format!("/janus/{}/{}", self.session, self.handle);
        // Janus closes idle connections.
        self.conn.reset();
        self.conn.json("POST", &path, "", Some(&message)).await
    }

    /// A request whose answer is an event; gives the event.
    async fn ask(&mut self, body: &Value, jsep: Option<(&str, &str)>) -> Result<Value> {
        let reply = self.request(body, jsep).await?;
        if reply["janus"] != "ack" {
            bail!("not acknowledged: {reply}");
        }
        let path = format!("/janus/{}", self.session);
        let began = Instant::now();
        while began.elapsed() < EVENT_TIMEOUT {
            let event = self.conn.json("GET", &path, "", None).await?;
            // Others tell that ICE is up, that media flows, and that nothing happened.
            if event["janus"] == "event" && event["transaction"] == "t" {
                let data = &event["plugindata"]["data"];
                if let Some(error) = data["error"].as_str() {
                    bail!("{body}: {error}");
                }
                return Ok(event);
            }
        }
        bail!("{body}: no event")
    }
}

fn configure(folder: &Path, setup: &Setup<'_>, port: u16) -> Result<()> {
    let modules = setup.modules.display();
    let ip = setup.ip;
    let loops = if setup.loops > 0 {
        format!("  event_loops = {}\n", setup.loops)
    } else {
        String::new()
    };
    let main = format!(
        "general: {{\n  configs_folder = \"{folder}\"\n  plugins_folder = \"{modules}/plugins\"\n\
         \x20 transports_folder = \"{modules}/transports\"\n  loggers_folder = \"{folder}\"\n  debug_level = 2\n\
         \x20 session_timeout = 0\n  admin_secret = \"none\"\n{loops}}}\n\
         media: {{ rtp_port_range = \"{MEDIA_PORTS}\" }}\n\
         nat: {{ ice_lite = true\n  ice_enforce_list = \"{ip}\" }}\n\
         plugins: {{ disable = \"{PLUGINS_OFF}\" }}\ntransports: {{ disable = \"{TRANSPORTS_OFF}\" }}\n\
         events: {{ broadcast = false }}\n",
        folder = folder.display(),
    );
    let http = format!(
        "general: {{ json = \"compact\"\n  base_path = \"/janus\"\n  http = true\n  port = {port}\n  ip = \"127.0.0.1\"\n\
         \x20 https = false }}\nadmin: {{ admin_http = false }}\n"
    );
    fs::write(folder.join("janus.jcfg"), main)?;
    fs::write(folder.join("janus.transport.http.jcfg"), http)?;
    for plugin in ["videoroom", "textroom"] {
        let path = folder.join(format!("janus.plugin.{plugin}.jcfg"));
        fs::write(path, "general: {}\n")?;
    }
    Ok(())
}
