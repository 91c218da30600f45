//! What strangers and broken clients send while others talk.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rotunda_peer::{Plan, Publication};
use rotunda_sfu::Options;

use crate::support::relay::Relay;
use crate::support::{Room, joining, options, until};

fn both() -> Plan {
    Plan::publishing([Publication::mic(), Publication::camera()])
}

/// Media flows, and nothing was lost for good.
async fn flows(client: &rotunda_peer::Peer) {
    let had = client.stats().await.packets();
    client
        .until("media goes on", |stats| stats.packets() > had + 100)
        .await
        .unwrap();
}

#[tokio::test]
async fn noise_of_strangers_and_clients_of_every_class_harms_nobody() {
    let room = Room::new();
    let bob = room.join("bob", Plan::default()).await;
    let ann = room.join("ann", both()).await;
    flows(&bob).await;
    let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut rng = SmallRng::seed_from_u64(3);
    let before = room.sfu.metrics();
    for first in 0..=255_u8 {
        for _ in 0..8 {
            let mut noise = vec![0; rng.random_range(1..1_400)];
            rng.fill_bytes(&mut noise);
            noise[0] = first;
            let _ = stranger.send_to(&noise, room.sfu.addr()).await;
        }
        tokio::task::yield_now().await;
    }
    until("the noise was seen", || async {
        room.sfu.metrics().packets_unknown > before.packets_unknown + 1_000
    })
    .await;
    ann.send_garbage(1_000).await;
    bob.send_garbage(1_000).await;
    flows(&bob).await;
    bob.opened("events").await.unwrap();
    bob.send("events", rotunda_peer::Payload::text("here"))
        .await
        .unwrap();
    until("the message", || async {
        let is_it = |event: &rotunda_sfu::Event| {
            matches!(event, rotunda_sfu::Event::Message { .. }).then_some(())
        };
        !room.events(is_it).is_empty()
    })
    .await;
    assert_eq!(room.sfu.metrics().peers, 2);
}

#[tokio::test]
async fn a_flood_of_one_client_starves_neither_requests_nor_timers() {
    let room = Room::with(&Options {
        connect_max: Duration::from_secs(1),
        ..options()
    });
    let relay = Relay::start(room.sfu.addr()).await;
    let mallory = room
        .join_over(joining("mallory"), Plan::default(), &relay)
        .await;
    room.session.join(joining("mute")).await.unwrap();
    let flood = relay.flood(Duration::from_secs(6));
    let began = std::time::Instant::now();
    let mut slowest = Duration::ZERO;
    while !flood.is_finished() {
        let asked = std::time::Instant::now();
        room.synced().await;
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    flood.await.unwrap();
    assert!(began.elapsed() > Duration::from_secs(5));
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let left = room.left(&rotunda_sfu::PeerId::new("mute")).await;
    assert_eq!(left, rotunda_sfu::Leave::Lost);
    if room.session.remove(&mallory.id, "enough").await.is_err() {
        panic!(
            "noise has ended its connection: {:?}",
            room.left(&mallory.id).await
        );
    }
}

#[tokio::test]
async fn datagrams_that_come_twice_late_and_in_disorder_are_taken_once() {
    let room = Room::new();
    let bob = room.join("bob", Plan::default()).await;
    let relay = Relay::start(room.sfu.addr()).await;
    let ann = room.join_over(joining("ann"), both(), &relay).await;
    relay.repeat(3);
    flows(&bob).await;
    relay.replay_all().await;
    flows(&bob).await;
    let stats = bob.stats().await;
    let duplicates: u64 = stats.tracks.iter().map(|track| track.duplicates).sum();
    assert_eq!(duplicates, 0, "{stats:#?}");
    ann.opened("events").await.unwrap();
    for number in 0..100 {
        ann.send("events", rotunda_peer::Payload::text(number.to_string()))
            .await
            .unwrap();
    }
    let texts = || {
        room.events(|event| match event {
            rotunda_sfu::Event::Message {
                payload: rotunda_sfu::Payload::Text(text),
                ..
            } => Some(text.to_string()),
            _ => None,
        })
    };
    until("all messages", || async { texts().len() >= 100 }).await;
    let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(texts(), expected);
}

/// Captured datagrams of a whole life (ICE, DTLS, media, data), mutated, in between the real ones.
#[tokio::test]
async fn mutated_datagrams_harm_no_other_peer() {
    let seconds = std::env::var("ROTUNDA_FUZZ_SECONDS").ok();
    let seconds: u64 = seconds.and_then(|text| text.parse().ok()).unwrap_or(4);
    let room = Room::with(&Options {
        connect_max: Duration::from_secs(3),
        ..options()
    });
    let bob = room.join("bob", Plan::default()).await;
    let ann = room.join("ann", both()).await;
    flows(&bob).await;
    let began = std::time::Instant::now();
    let mut round: u64 = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        round += 1;
        let relay = Relay::start(room.sfu.addr()).await;
        relay.mutate(round);
        let name = format!("m{round}");
        let client = room.enter_over(joining(&name), both(), &relay).await;
        let _ = tokio::time::timeout(Duration::from_millis(700), client.connected()).await;
        let _ = client
            .send("events", rotunda_peer::Payload::text("x".repeat(500)))
            .await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        client.close().await;
        let _ = room.session.remove(&client.id, "done").await;
        room.left(&client.id).await;
    }
    flows(&bob).await;
    drop(ann);
    let panics = room.sfu.metrics().panics;
    eprintln!("{round} clients, {panics} contained panics");
}

/// RFC 6347 section 4.1: after the handshake only records of the negotiated keys count. Who can forge a client's address must not
/// be able to end its connection with one datagram.
#[tokio::test]
async fn forged_alerts_in_the_clear_end_no_connection() {
    let room = Room::new();
    let relay = Relay::start(room.sfu.addr()).await;
    let ann = room.join_over(joining("ann"), both(), &relay).await;
    ann.opened("events").await.unwrap();
    for (level, description) in [(1, 0), (2, 0), (2, 40), (2, 20), (1, 90)] {
        for number in [0_u8, 1, 200] {
            let head = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, number, 0, 2];
            relay
                .send(&[&head[..], &[level, description]].concat())
                .await;
        }
    }
    ann.send("events", rotunda_peer::Payload::text("here"))
        .await
        .unwrap();
    until("the message", || async {
        let is_it = |event: &rotunda_sfu::Event| {
            matches!(event, rotunda_sfu::Event::Message { .. }).then_some(())
        };
        assert_eq!(room.sfu.metrics().peers, 1, "it was removed");
        !room.events(is_it).is_empty()
    })
    .await;
}
