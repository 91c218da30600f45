//! Coming in: answers, connections, bounds.

use std::time::Duration;

use rotunda_peer::{Peer, Plan, Publication};
use rotunda_sfu::{Candidate, Error, Event, Leave, Media, Options};

use crate::support::{Room, id, joining, options, until};

#[tokio::test]
async fn a_client_that_answers_is_connected_and_its_channels_open() {
    let room = Room::new();
    let ann = room.join("ann", Plan::default()).await;
    ann.opened("events").await.unwrap();
    ann.opened("fast").await.unwrap();
    for label in ["events", "fast"] {
        room.event("an open channel", |event| match event {
            Event::ChannelOpen {
                peer,
                label: opened,
            } if *peer == ann.id && &**opened == label => Some(()),
            _ => None,
        })
        .await;
    }
    assert_eq!(room.sfu.metrics().peers, 1);
    assert_eq!(room.sfu.metrics().sessions, 1);
}

#[tokio::test]
async fn an_id_is_taken_once_and_is_a_token() {
    let room = Room::new();
    room.session.join(joining("ann")).await.unwrap();
    assert!(matches!(
        room.session.join(joining("ann")).await,
        Err(Error::PeerExists)
    ));
    for name in ["", "a b", "a\r\nb", "é", &"x".repeat(65)] {
        assert!(room.session.join(joining(name)).await.is_err(), "{name:?}");
    }
    assert_eq!(room.sfu.metrics().peers, 1);
}

#[tokio::test]
async fn a_full_session_lets_nobody_in() {
    let room = Room::with(&Options {
        peers_max: 2,
        ..options()
    });
    room.session.join(joining("a")).await.unwrap();
    room.session.join(joining("b")).await.unwrap();
    assert!(matches!(
        room.session.join(joining("c")).await,
        Err(Error::Full)
    ));
    room.session.remove(&id("a"), "room").await.unwrap();
    room.session.join(joining("c")).await.unwrap();
}

#[tokio::test]
async fn who_never_connects_is_removed_in_time() {
    let room = Room::with(&Options {
        connect_max: Duration::from_secs(1),
        ..options()
    });
    let silent = Plan {
        is_silent: true,
        ..Plan::default()
    };
    let answered = room.enter(joining("answered"), silent).await;
    room.session.join(joining("mute")).await.unwrap();
    assert_eq!(room.left(&answered.id).await, Leave::Lost);
    assert_eq!(room.left(&id("mute")).await, Leave::Lost);
    assert_eq!(room.sfu.metrics().peers, 0);
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_refused() {
    let room = Room::with(&Options {
        connect_max: Duration::from_secs(5),
        ..options()
    });
    let (ann, answer) = room.knock(joining("ann"), Plan::default()).await;
    let at = answer.find("a=fingerprint:sha-256 ").unwrap() + "a=fingerprint:sha-256 ".len();
    let other = if answer.as_bytes()[at] == b'0' {
        "1"
    } else {
        "0"
    };
    let mut wrong = answer.clone();
    let print: String = answer[at..].lines().next().unwrap().to_owned();
    let mut forged = print.clone();
    forged.replace_range(0..1, other);
    wrong = wrong.replace(&print, &forged);
    room.session.answer(&ann.id, wrong, None).await.unwrap();
    let why = room.left(&ann.id).await;
    assert!(matches!(why, Leave::Lost | Leave::Closed), "{why:?}");
    let connected = room.events(|event| matches!(event, Event::Connected { .. }).then_some(()));
    assert!(connected.is_empty());
}

#[tokio::test]
async fn candidates_are_taken_at_any_time_and_garbage_is_refused() {
    let room = Room::new();
    let (ann, answer) = room.knock(joining("ann"), Plan::default()).await;
    let candidate = |text: &str| Candidate {
        candidate: text.to_owned(),
        mid: Some("0".into()),
        line: Some(0),
    };
    let good = "candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host";
    room.session
        .candidate(&ann.id, candidate(good))
        .await
        .unwrap();
    room.session
        .candidate(&ann.id, candidate(""))
        .await
        .unwrap();
    let long = format!("{good} {}", "x".repeat(4_000));
    for bad in [
        "x",
        "candidate:",
        "candidate:1 1 udp",
        "candidate:1 1 udp 1 127.0.0.1 99999 typ host",
        &long,
        "\0\0",
        "candidate:1 1 udp 1 [::1 1 type host",
    ] {
        let refused = room.session.candidate(&ann.id, candidate(bad)).await;
        assert!(matches!(refused, Err(Error::BadCandidate)), "{bad:.40?}");
    }
    let unknown = room.session.candidate(&id("nobody"), candidate(good)).await;
    assert!(matches!(unknown, Err(Error::UnknownPeer)));
    room.session.answer(&ann.id, answer, None).await.unwrap();
    ann.connected().await.unwrap();
    room.session
        .candidate(&ann.id, candidate(good))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_answer_without_candidates_connects() {
    let room = Room::new();
    let (ann, answer) = room.knock(joining("ann"), Plan::default()).await;
    let bare: String = answer
        .split_inclusive('\n')
        .filter(|line| !line.contains("candidate"))
        .collect();
    room.session.answer(&ann.id, bare, None).await.unwrap();
    ann.connected().await.unwrap();
}

#[tokio::test]
async fn two_hundred_join_at_once() {
    let room = Room::with(&Options {
        connect_max: Duration::from_secs(60),
        ..options()
    });
    let mut clients = Vec::new();
    for number in 0..200 {
        let mut join = joining(&format!("p{number}"));
        join.media = Media::None;
        clients.push(room.enter(join, Plan::counting()).await);
    }
    until("all are connected", || async {
        room.events(|event| matches!(event, Event::Connected { .. }).then_some(()))
            .len()
            == 200
    })
    .await;
    for client in &clients {
        client.close().await;
    }
    until("all are gone", || async { room.sfu.metrics().peers == 0 }).await;
}

#[tokio::test]
async fn publishers_are_found_by_those_who_come_later() {
    let room = Room::new();
    let ann = room
        .join(
            "ann",
            Plan::publishing([Publication::mic(), Publication::camera()]),
        )
        .await;
    room.published(&ann.id, rotunda_sfu::Source::Mic).await;
    room.published(&ann.id, rotunda_sfu::Source::Camera).await;
    let offer = room.session.join(joining("bob")).await.unwrap();
    assert_eq!(offer.matches("a=msid:ann ").count(), 2, "{offer}");
    let (bob, answer) = Peer::answer(&offer, Plan::default()).await.unwrap();
    room.session.answer(&id("bob"), answer, None).await.unwrap();
    let stats = bob
        .until("both tracks", |stats| {
            stats.tracks.len() == 2 && stats.tracks.iter().all(|t| t.packets > 30)
        })
        .await
        .unwrap();
    for track in &stats.tracks {
        assert_eq!(track.stream_id, "ann");
        assert_eq!(
            (
                track.missing,
                track.duplicates,
                track.sequence_jumps,
                track.timestamp_jumps
            ),
            (0, 0, 0, 0),
            "{track:?}"
        );
        assert!(track.kind == rotunda_peer::Kind::Audio || track.begins_with_key_frame);
    }
}
