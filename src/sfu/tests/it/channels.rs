//! Data channels, both ways.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rotunda_peer::{Plan, Publication, Reading};
use rotunda_sfu::{Event, Leave, Message, Payload, PeerId, To};

use crate::support::{Room, joining, until};

fn text(to: To, text: &str) -> Message {
    Message {
        to,
        label: "events",
        payload: Payload::Text(text.into()),
    }
}

fn messages(room: &Room, who: &PeerId) -> Vec<Payload> {
    room.events(|event| match event {
        Event::Message { peer, payload, .. } if peer == who => Some(payload.clone()),
        _ => None,
    })
}

#[tokio::test]
async fn messages_reach_those_they_are_for_in_order() {
    let room = Room::new();
    let ann = room.join("ann", Plan::default()).await;
    let bob = room.join("bob", Plan::default()).await;
    let cyd = room.join("cyd", Plan::default()).await;
    let send = async |to, what| room.session.send(text(to, what)).await.unwrap();
    send(To::All, "all").await;
    send(To::AllBut(ann.id.clone()), "not ann").await;
    send(To::Only(ann.id.clone()), "ann").await;
    send(
        To::These(Arc::from([bob.id.clone(), PeerId::new("nobody")])),
        "bob",
    )
    .await;
    send(To::All, "end").await;
    for (client, expected) in [
        (&ann, ["all", "ann", "end"].as_slice()),
        (&bob, &["all", "not ann", "bob", "end"]),
        (&cyd, &["all", "not ann", "end"]),
    ] {
        for text in expected {
            assert_eq!(
                client.message("events").await.unwrap(),
                rotunda_peer::Payload::text(*text)
            );
        }
    }
}

#[tokio::test]
async fn messages_before_the_channel_opens_wait_for_it() {
    let room = Room::new();
    let (ann, answer) = room.knock(joining("ann"), Plan::default()).await;
    for number in 0..100 {
        room.session
            .send(text(To::All, &number.to_string()))
            .await
            .unwrap();
    }
    room.session.answer(&ann.id, answer, None).await.unwrap();
    for number in 0..100 {
        assert_eq!(
            ann.message("events").await.unwrap(),
            rotunda_peer::Payload::text(number.to_string())
        );
    }
}

#[tokio::test]
async fn text_and_binary_pass_up_to_the_bound_whatever_the_client_says_it_takes() {
    let room = Room::new();
    let (ann, answer) = room.knock(joining("ann"), Plan::default()).await;
    assert!(ann.offer.contains("a=max-message-size:262144\r\n"));
    let line = answer
        .lines()
        .find(|line| line.starts_with("a=max-message-size"))
        .unwrap();
    let small = answer.replace(line, "a=max-message-size:1000");
    room.session.answer(&ann.id, small, None).await.unwrap();
    ann.opened("events").await.unwrap();
    let bytes = Bytes::from((0..256 * 1024).map(|at| at as u8).collect::<Vec<_>>());
    let sent = rotunda_peer::Payload::Binary(bytes.clone());
    ann.send("events", rotunda_peer::Payload::text("é"))
        .await
        .unwrap();
    ann.send("events", sent).await.unwrap();
    until("both messages", || async {
        messages(&room, &ann.id).len() == 2
    })
    .await;
    let expected = [Payload::Text("é".into()), Payload::Binary(bytes)];
    assert_eq!(messages(&room, &ann.id), expected);
    // The other way the client's bound counts.
    for length in [1_001, 1_000] {
        let payload = Payload::Binary(Bytes::from(vec![1; length]));
        let message = Message {
            to: To::All,
            label: "events",
            payload,
        };
        room.session.send(message).await.unwrap();
    }
    let got = ann.message("events").await.unwrap();
    assert_eq!(got.bytes().len(), 1_000);
}

#[tokio::test]
async fn a_channel_of_the_client_takes_the_place_of_the_servers() {
    let room = Room::new();
    let ann = room.join("ann", Plan::default()).await;
    ann.opened("events").await.unwrap();
    room.session.send(text(To::All, "one")).await.unwrap();
    let before = room.told();
    ann.open_channel("events").await.unwrap();
    room.event_after(before, "the client's channel", |event| {
        matches!(event, Event::ChannelOpen { label, .. } if &**label == "events").then_some(())
    })
    .await;
    room.session.send(text(To::All, "two")).await.unwrap();
    for number in 0..50 {
        room.session
            .send(text(To::All, &number.to_string()))
            .await
            .unwrap();
    }
    for expected in ["one", "two"]
        .map(str::to_owned)
        .into_iter()
        .chain((0..50).map(|n| n.to_string()))
    {
        assert_eq!(
            ann.message("events").await.unwrap(),
            rotunda_peer::Payload::text(expected)
        );
    }
    assert_eq!(ann.try_message("events"), None);
    ann.send("events", rotunda_peer::Payload::text("mine"))
        .await
        .unwrap();
    until("the message", || async {
        !messages(&room, &ann.id).is_empty()
    })
    .await;
    assert_eq!(messages(&room, &ann.id), [Payload::Text("mine".into())]);
}

#[tokio::test]
async fn one_that_does_not_read_is_removed_and_slows_nobody() {
    let room = Room::new();
    let slow = room.join("slow", Plan::default()).await;
    slow.opened("events").await.unwrap();
    slow.set_reading(Reading::NoMessages).await;
    let bob = room.join("bob", Plan::default()).await;
    let ann = room
        .join("ann", Plan::publishing([Publication::mic()]))
        .await;
    bob.opened("events").await.unwrap();
    let payload = Payload::Binary(Bytes::from(vec![0; 20_000]));
    let mut sent: u64 = 0;
    let gone = async { room.left(&slow.id).await };
    tokio::pin!(gone);
    let why = loop {
        let message = Message {
            to: To::AllBut(ann.id.clone()),
            label: "events",
            payload: payload.clone(),
        };
        room.session.send(message).await.unwrap();
        sent += 1;
        if !sent.is_multiple_of(50) {
            continue;
        }
        bob.until("it reads", |stats| stats.messages >= sent)
            .await
            .unwrap();
        if let Ok(why) = tokio::time::timeout(Duration::from_millis(1), &mut gone).await {
            break why;
        }
        assert!(sent < 2_000, "never removed");
    };
    assert_eq!(why, Leave::Faulty);
    let had = bob.stats().await.packets();
    bob.until("audio goes on", |stats| stats.packets() > had + 20)
        .await
        .unwrap();
}

#[tokio::test]
async fn events_that_are_not_taken_slow_peers_down_and_none_is_lost() {
    let sfu = rotunda_sfu::Sfu::start(&crate::support::options()).unwrap();
    let (session, mut events) = sfu.open();
    let offer = session.join(joining("ann")).await.unwrap();
    let (ann, answer) = rotunda_peer::Peer::answer(&offer, Plan::default())
        .await
        .unwrap();
    session
        .answer(&PeerId::new("ann"), answer, None)
        .await
        .unwrap();
    ann.opened("events").await.unwrap();
    let count = 6_000;
    for number in 0..count {
        ann.send(
            "events",
            rotunda_peer::Payload::text(format!("{number} {}", "x".repeat(400))),
        )
        .await
        .unwrap();
    }
    // The owner asks things of the session meanwhile, from the task that should take events.
    tokio::time::sleep(Duration::from_secs(1)).await;
    session.tracks().await.unwrap();
    let second = session.join(joining("bob")).await.unwrap();
    assert!(second.starts_with("v=0"));
    let mut next = 0;
    while next < count {
        let event = tokio::time::timeout(crate::support::DEADLINE, events.recv())
            .await
            .expect("an event")
            .unwrap();
        if let Event::Message {
            payload: Payload::Text(text),
            ..
        } = event
        {
            let number: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(number, next);
            next += 1;
        }
    }
}
