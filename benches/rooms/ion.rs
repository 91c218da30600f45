//! ion-sfu as the SFU to compare with: JSON-RPC over a WebSocket for each guest, one connection to publish and one to receive.

use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rotunda_peer::{Peer, Plan};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::process::Process;
use crate::sfu::{Client, Guest, Medium, Room};
use crate::websocket::{self, Reader, Writer};

const START_TIMEOUT: Duration = Duration::from_secs(10);
const OFFER_TIMEOUT: Duration = Duration::from_secs(20);

/// A running ion-sfu.
pub(crate) struct Ion {
    process: Process,
    addr: SocketAddr,
    /// Where media goes, and comes from.
    ip: IpAddr,
    rooms: AtomicU64,
}

impl Ion {
    pub(crate) async fn start(binary: &Path, ip: IpAddr, root: &Path) -> Result<Self> {
        let addr = free(ip)?;
        let metrics = free(ip)?;
        let folder = root.join("ion");
        fs::create_dir_all(&folder)?;
        let file = folder.join("config.toml");
        fs::write(&file, configuration())?;
        let log = File::create(folder.join("log"))?;
        let child = Command::new(binary)
            .arg("-c")
            .arg(&file)
            .args(["-a", &addr.to_string(), "-m", &metrics.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let mut ion = Self {
            process: Process::new(child),
            addr,
            ip,
            rooms: AtomicU64::new(1),
        };
        let began = Instant::now();
        while websocket::connect(addr, "/ws").await.is_err() {
            if ion.process.has_ended()? || began.elapsed() > START_TIMEOUT {
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                bail!("ion-sfu did not start: {log}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(ion)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Rooms begin when somebody joins, and end when nobody is left.
    pub(crate) fn room(&self, medium: Medium) -> Room {
        Room {
            id: format!("room-{}", self.rooms.fetch_add(1, Ordering::Relaxed)),
            medium,
        }
    }

    pub(crate) async fn join(&self, room: &Room, guest: &Guest) -> Result<Client> {
        let began = Instant::now();
        let (mut reader, mut writer) = websocket::connect(self.addr, "/ws").await?;
        let mut join = json!({
            "id": 1, "method": "join",
            "params": {"sid": room.id, "uid": format!("guest-{}", guest.number), "config": {"NoPublish": !guest.publishes}},
        });
        let mut up = None;
        if guest.publishes {
            let (peer, offer) = Peer::offer(guest.publishing_plan(self.ip), &[]).await?;
            join["params"]["offer"] = json!({"type": "offer", "sdp": offer});
            up = Some(peer);
        }
        writer.send(&join.to_string()).await?;
        if let Some(peer) = &up {
            peer.accept(&answer_to(&mut reader).await?).await?;
            peer.connected().await?;
        }
        let up = up.map(Arc::new);
        // Who publishes first is offered nothing until others do.
        let (found, first) = oneshot::channel();
        tokio::spawn(receive(reader, writer, guest.plan(self.ip), found));
        let mut client = Client {
            up,
            down: None,
            coming: Some(first),
            began,
            leave: Vec::new(),
        };
        if !guest.publishes {
            self.complete(&mut client).await?;
        }
        Ok(client)
    }

    /// Waits for the first offer of what others publish.
    pub(crate) async fn complete(&self, client: &mut Client) -> Result<()> {
        let coming = client.coming.take().context("complete already")?;
        client.down = Some(timeout(OFFER_TIMEOUT, coming).await??);
        Ok(())
    }
}

/// The answer in the reply to a join. Offers of the receiving side come after it, as nobody else publishes meanwhile.
async fn answer_to(reader: &mut Reader) -> Result<String> {
    while let Some(message) = reader.next().await? {
        let message: Value = serde_json::from_str(&message)?;
        if message["id"] == 1 {
            let sdp = message["result"]["sdp"].as_str();
            return Ok(sdp
                .with_context(|| format!("no answer: {message}"))?
                .to_owned());
        }
    }
    bail!("the connection ended")
}

/// Answers the server's offers for as long as the connection lasts.
async fn receive(
    mut reader: Reader,
    mut writer: Writer,
    plan: Plan,
    found: oneshot::Sender<Arc<Peer>>,
) -> Result<()> {
    let mut found = Some(found);
    let mut receiving: Option<Arc<Peer>> = None;
    while let Some(message) = reader.next().await? {
        let message: Value = serde_json::from_str(&message)?;
        if message["method"] != "offer" {
            continue;
        }
        let offer = message["params"]["sdp"].as_str().context("no offer")?;
        let answer = match &receiving {
            Some(peer) => peer.reoffer(offer).await?,
            None => {
                let (peer, answer) = Peer::answer(offer, plan.clone()).await?;
                let peer = Arc::new(peer);
                if let Some(found) = found.take() {
                    let _ = found.send(Arc::clone(&peer));
                }
                receiving = Some(peer);
                answer
            }
        };
        let params = json!({"desc": {"type": "answer", "sdp": answer}});
        let reply = json!({"method": "answer", "params": params});
        writer.send(&reply.to_string()).await?;
    }
    Ok(())
}

fn free(ip: IpAddr) -> Result<SocketAddr> {
    Ok(TcpListener::bind((ip, 0))?.local_addr()?)
}

fn configuration() -> &'static str {
    "[sfu]\nballast = 0\nwithstats = false\n\
     [router]\nmaxbandwidth = 0\nmaxpackettrack = 500\naudiolevelthreshold = 40\naudiolevelinterval = 1000\naudiolevelfilter = 20\n\
     [router.simulcast]\nbestqualityfirst = true\nenabletemporallayer = false\n\
     [webrtc]\nportrange = [42000, 58000]\nsdpsemantics = \"unified-plan\"\nmdns = false\n\
     [webrtc.timeouts]\ndisconnected = 5\nfailed = 25\nkeepalive = 2\n\
     [turn]\nenabled = false\n[log]\nv = 0\n"
}
