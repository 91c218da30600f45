//! The workloads: who joins, what is awaited, what is measured.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use rotunda_peer::{OnMessage, Payload, clock_nanos};
use tokio::time::sleep;

use crate::client::Conn;
use crate::process;
use crate::sfu::{Client, Guest, Medium, Room, Sfu};

/// Guests that join at a time.
const JOINING: usize = 8;
const JOIN_POLL: Duration = Duration::from_millis(5);
/// All media has to flow within this.
const FLOW_TIMEOUT: Duration = Duration::from_secs(60);
const WARM_UP: Duration = Duration::from_secs(2);
/// Messages per second of each guest in a chat.
const CHAT_RATE: u32 = 2;
/// Around the time in a chat message.
const MARK: &str = "@@";

pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) medium: Medium,
    rooms: usize,
    publishers: usize,
    listeners: usize,
}

pub(crate) const WORKLOADS: [Workload; 5] = [
    Workload {
        name: "video-1x50",
        medium: Medium::Video,
        rooms: 1,
        publishers: 1,
        listeners: 50,
    },
    Workload {
        name: "video-1x200",
        medium: Medium::Video,
        rooms: 1,
        publishers: 1,
        listeners: 200,
    },
    Workload {
        name: "video-16x15",
        medium: Medium::Video,
        rooms: 1,
        publishers: 16,
        listeners: 0,
    },
    Workload {
        name: "video-20x4x3",
        medium: Medium::Video,
        rooms: 20,
        publishers: 4,
        listeners: 0,
    },
    Workload {
        name: "chat-50",
        medium: Medium::Chat,
        rooms: 1,
        publishers: 0,
        listeners: 50,
    },
];

impl Workload {
    fn guests(&self) -> usize {
        self.publishers + self.listeners
    }
}

/// What one measurement gives.
#[derive(Clone, Default)]
pub(crate) struct Figures {
    /// RTP packets or chat messages that arrived, per second.
    pub(crate) per_second: f64,
    /// Sequence numbers that were left out, in per cent.
    pub(crate) lost_percent: f64,
    /// What arrived in comparison with what was sent to that many receivers, in per cent.
    pub(crate) delivered_percent: f64,
    /// Of the server, in cores.
    pub(crate) cores: f64,
    /// Of the load itself.
    pub(crate) load_cores: f64,
    pub(crate) cpu_ms_per_thousand: f64,
    pub(crate) per_cpu_second: f64,
    /// What each guest adds to the server's resident memory.
    pub(crate) kb_per_guest: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// From asking to join until the first packet of each expected track.
    pub(crate) join_p50_ms: f64,
    pub(crate) join_max_ms: f64,
}

/// Latencies of chat messages, in microseconds.
type Latencies = Arc<Mutex<Vec<u32>>>;

/// Runs a workload once.
pub(crate) async fn run(
    workload: &Workload,
    sfu: &mut Sfu,
    length: Duration,
    decoding: usize,
) -> Result<Figures> {
    let mut rooms = Vec::new();
    for _ in 0..workload.rooms {
        rooms.push(sfu.room(workload.medium).await?);
    }
    let before_mb = sfu.resident_mb();
    let latencies = Latencies::default();
    let mut present: Vec<(Room, Guest, Client)> = Vec::new();
    let mut joins = Vec::new();
    let outcome = async {
        for (index, room) in rooms.iter().enumerate() {
            let guests = guests(workload, index, decoding, &latencies);
            joins.extend(enter(workload, sfu, room, guests, &mut present).await?);
        }
        sleep(WARM_UP).await;
        measure(workload, sfu, &present, length, &latencies).await
    }
    .await;
    let after_mb = sfu.resident_mb();
    let mut conn = Conn::new(sfu.addr());
    for (_, _, client) in &present {
        client.close(&mut conn).await;
    }
    for room in &rooms {
        sfu.end(room).await?;
    }
    let mut figures = outcome?;
    let guests = (workload.rooms * workload.guests()) as f64;
    figures.kb_per_guest = (after_mb - before_mb) * 1e3 / guests;
    joins.sort_unstable();
    figures.join_p50_ms = quantile(&joins, 0.5);
    figures.join_max_ms = quantile(&joins, 1.0);
    Ok(figures)
}

/// Who joins a room: publishers first. Some of those who receive decrypt.
fn guests(workload: &Workload, room: usize, decoding: usize, latencies: &Latencies) -> Vec<Guest> {
    let is_chat = workload.medium == Medium::Chat;
    let numbers = 0..workload.guests();
    let guest = numbers.map(|number| {
        // Those who come last: they receive in every workload.
        let decodes = room == 0 && number + decoding >= workload.guests();
        Guest {
            number: room * workload.guests() + number,
            publishes: number < workload.publishers,
            is_decoding: decodes && !is_chat,
            on_message: Some(if is_chat {
                note_latency(latencies.clone())
            } else {
                Arc::new(|_, _| {})
            }),
        }
    });
    guest.collect()
}

fn note_latency(latencies: Latencies) -> OnMessage {
    Arc::new(move |_, payload| {
        if let Some(sent) = time_of(payload.bytes()) {
            let micros = clock_nanos().saturating_sub(sent) / 1_000;
            let micros = u32::try_from(micros).unwrap_or(u32::MAX);
            let mut latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner);
            latencies.push(micros);
        }
    })
}

/// The time between two marks.
fn time_of(message: &[u8]) -> Option<u64> {
    let mark = MARK.as_bytes();
    let start = message.windows(2).position(|part| part == mark)? + 2;
    let rest = message.get(start..)?;
    let end = rest.windows(2).position(|part| part == mark)?;
    std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
}

/// Lets guests into a room and waits until all receive all. Gives how long it took each, in microseconds.
async fn enter(
    workload: &Workload,
    sfu: &Sfu,
    room: &Room,
    guests: Vec<Guest>,
    present: &mut Vec<(Room, Guest, Client)>,
) -> Result<Vec<u32>> {
    let (publishers, listeners): (Vec<_>, Vec<_>) = guests.into_iter().partition(|g| g.publishes);
    let mut joined = Vec::new();
    for guest in publishers {
        let client = sfu.join(room, &guest).await?;
        joined.push((guest, client));
    }
    let expected = workload.publishers;
    let mut joins = Vec::new();
    for (guest, mut client) in joined {
        if expected > 1 {
            sfu.complete(room, &mut client, &guest).await?;
        }
        present.push((room.clone(), guest, client));
    }
    let received = present.iter().filter(|(of, ..)| of.id == room.id);
    for (_, _, client) in received {
        if expected > 1 {
            joins.push(flows(client, expected - 1).await?);
        } else {
            publishes(client).await?;
        }
    }
    let entering = stream::iter(listeners).map(|guest| async {
        let client = sfu.join(room, &guest).await?;
        let took = if workload.medium == Medium::Video {
            flows(&client, expected).await?
        } else {
            since(client.began)
        };
        anyhow::Ok((guest, client, took))
    });
    let mut entering = std::pin::pin!(entering.buffer_unordered(JOINING));
    while let Some((guest, client, took)) = entering.try_next().await? {
        joins.push(took);
        present.push((room.clone(), guest, client));
    }
    Ok(joins)
}

fn since(began: Instant) -> u32 {
    u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX)
}

/// Waits until a client publishes.
async fn publishes(client: &Client) -> Result<()> {
    let peer = client.up.as_ref().context("no publisher")?;
    peer.until("packets of a publisher", |stats| stats.sent_packets > 30)
        .await?;
    Ok(())
}

/// Waits until a client receives so many tracks.
async fn flows(client: &Client, tracks: usize) -> Result<u32> {
    loop {
        let stats = client.received().await;
        if stats.tracks.len() >= tracks {
            let first = stats.tracks.iter().map(|track| track.first_at).max();
            let took = first.map_or(Duration::ZERO, |at| at - client.began);
            return Ok(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        }
        if client.began.elapsed() > FLOW_TIMEOUT {
            bail!("{} of {tracks} tracks flow: {stats:#?}", stats.tracks.len());
        }
        sleep(JOIN_POLL).await;
    }
}

/// What has been sent, and what should have and what has arrived.
#[derive(Clone, Copy, Default)]
struct Count {
    expected: u64,
    arrived: u64,
    missing: u64,
}

async fn count(workload: &Workload, present: &[(Room, Guest, Client)]) -> Count {
    let mut count = Count::default();
    for (_, guest, client) in present {
        let stats = client.received().await;
        match workload.medium {
            Medium::Video => {
                count.arrived += stats.packets();
                count.missing += stats.missing();
                let legs = workload.guests() - 1;
                if guest.publishes {
                    count.expected += client.sent_packets().await * legs as u64;
                }
            }
            Medium::Chat => count.arrived += stats.messages,
        }
    }
    count
}

async fn measure(
    workload: &Workload,
    sfu: &Sfu,
    present: &[(Room, Guest, Client)],
    length: Duration,
    latencies: &Latencies,
) -> Result<Figures> {
    let own = std::process::id();
    drain_latencies(present, latencies).await;
    let began = Instant::now();
    let (cpu, own_cpu) = (sfu.cpu(), process::cpu(own));
    let before = count(workload, present).await;
    let sent = match workload.medium {
        Medium::Video => {
            sleep(length).await;
            0
        }
        Medium::Chat => talk(sfu, present, length).await?,
    };
    let after = count(workload, present).await;
    let took = began.elapsed().as_secs_f64();
    let cpu = sfu.cpu().saturating_sub(cpu).as_secs_f64();
    let own_cpu = process::cpu(own).saturating_sub(own_cpu).as_secs_f64();
    let arrived = (after.arrived - before.arrived) as f64;
    let missing = after.missing.saturating_sub(before.missing) as f64;
    let expected = match workload.medium {
        Medium::Video => (after.expected - before.expected) as f64,
        Medium::Chat => (sent * present.len() as u64) as f64,
    };
    let mut times = drain_latencies(present, latencies).await;
    times.sort_unstable();
    Ok(Figures {
        per_second: arrived / took,
        lost_percent: missing / (arrived + missing).max(1.0) * 100.0,
        delivered_percent: arrived / expected.max(1.0) * 100.0,
        cores: cpu / took,
        load_cores: own_cpu / took,
        cpu_ms_per_thousand: cpu * 1e6 / arrived.max(1.0),
        per_cpu_second: arrived / cpu.max(0.01),
        p50_ms: quantile(&times, 0.5),
        p99_ms: quantile(&times, 0.99),
        ..Figures::default()
    })
}

/// Everybody talks, spread over the second. Gives how many messages were sent.
async fn talk(sfu: &Sfu, present: &[(Room, Guest, Client)], length: Duration) -> Result<u64> {
    let pause = Duration::from_secs(1) / (CHAT_RATE * present.len() as u32);
    let padding = "x".repeat(60);
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < length {
        for (room, _, client) in present {
            let peer = client.down.as_ref().context("nobody")?;
            let text = format!("{MARK}{}{MARK} {padding}", clock_nanos());
            let message = Payload::text(sfu.chat(room, &text));
            peer.send(sfu.channel(), message).await?;
            sent += 1;
            let due = began + pause * u32::try_from(sent).unwrap_or(u32::MAX);
            sleep(due.saturating_duration_since(Instant::now())).await;
        }
    }
    // The last ones are still on their way.
    sleep(Duration::from_millis(300)).await;
    Ok(sent)
}

async fn drain_latencies(present: &[(Room, Guest, Client)], chat: &Latencies) -> Vec<u32> {
    let mut times = std::mem::take(&mut *chat.lock().unwrap_or_else(PoisonError::into_inner));
    for (_, guest, client) in present {
        if guest.is_decoding
            && let Some(peer) = &client.down
        {
            times.extend(peer.latencies_us().await);
        }
    }
    times
}

/// In milliseconds, of microseconds in their order.
fn quantile(sorted: &[u32], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let index = ((sorted.len() as f64 * part) as usize).min(last);
    sorted
        .get(index)
        .map_or(f64::NAN, |&us| f64::from(us) / 1e3)
}
