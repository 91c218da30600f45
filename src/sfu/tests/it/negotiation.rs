//! Offers and answers of all kinds.

use std::time::Duration;

use rotunda_peer::{Direction, Plan, Publication};
use rotunda_sfu::{Error, Event, Leave, Source};

use crate::support::{Room, id, joining};

#[tokio::test]
async fn a_track_that_comes_later_is_offered() {
    let room = Room::new();
    let bob = room.join("bob", Plan::default()).await;
    let ann = room.join("ann", Plan::default()).await;
    ann.publish(Publication::camera()).await.unwrap();
    let offer = ann.renegotiate(vec![], vec![]).await.unwrap();
    let answer = room.session.offer(&ann.id, offer).await.unwrap();
    ann.accept(&answer).await.unwrap();
    room.published(&ann.id, Source::Camera).await;
    let stats = bob
        .until("video", |stats| stats.packets() > 60)
        .await
        .unwrap();
    assert!(stats.tracks[0].begins_with_key_frame, "{stats:#?}");
    assert_eq!(stats.missing(), 0);
}

#[tokio::test]
async fn a_track_is_withdrawn_and_published_again() {
    let room = Room::new();
    let bob = room.join("bob", Plan::default()).await;
    let ann = room
        .join("ann", Plan::publishing([Publication::mic()]))
        .await;
    let first = room.published(&ann.id, Source::Mic).await;
    bob.until("audio", |stats| stats.packets() > 20)
        .await
        .unwrap();
    ann.unpublish(rotunda_peer::Source::Mic).await.unwrap();
    let renegotiate = async || {
        let offer = ann.renegotiate(vec![], vec![]).await.unwrap();
        let answer = room.session.offer(&ann.id, offer).await.unwrap();
        ann.accept(&answer).await.unwrap();
    };
    renegotiate().await;
    room.event("the end of the track", |event| match event {
        Event::Unpublished(track) if track.id == first.id => Some(()),
        _ => None,
    })
    .await;
    assert!(room.session.tracks().await.unwrap().is_empty());
    let before = room.told();
    ann.publish(Publication::mic()).await.unwrap();
    renegotiate().await;
    let second = room
        .event_after(before, "the track again", |event| match event {
            Event::Published(track) => Some(track.clone()),
            _ => None,
        })
        .await;
    assert_ne!(first.id, second.id);
    let had = bob.stats().await.packets();
    let stats = bob
        .until("audio again", |stats| stats.packets() > had + 50)
        .await
        .unwrap();
    assert_eq!(
        (stats.tracks.len(), stats.tracks[0].sequence_jumps),
        (1, 0),
        "{stats:#?}"
    );
}

#[tokio::test]
async fn an_unanswered_offer_blocks_nobody_and_keeps_what_was() {
    let room = Room::new();
    let ann = room
        .join("ann", Plan::publishing([Publication::mic()]))
        .await;
    room.published(&ann.id, Source::Mic).await;
    let bob = room.join("bob", Plan::default()).await;
    bob.until("the first track", |stats| stats.packets() > 20)
        .await
        .unwrap();
    room.ignoring(&bob);
    let before = room.told();
    let cyd = room
        .join("cyd", Plan::publishing([Publication::mic()]))
        .await;
    room.offer_to(before, &bob.id).await;
    cyd.until("ann", |stats| stats.packets() > 50)
        .await
        .unwrap();
    ann.until("cyd", |stats| stats.packets() > 50)
        .await
        .unwrap();
    let had = bob.stats().await.packets();
    bob.until("ann still", |stats| stats.packets() > had + 50)
        .await
        .unwrap();
    let stats = bob.stats().await;
    assert_eq!(
        (stats.tracks.len(), stats.unknown_packets),
        (1, 0),
        "{stats:#?}"
    );
    // Its own offer comes in between: the server's stands.
    bob.publish(Publication::camera()).await.unwrap();
    let own = bob.renegotiate(vec![], vec![]).await.unwrap();
    assert!(matches!(
        room.session.offer(&bob.id, own.clone()).await,
        Err(Error::Glare)
    ));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let before = room.told();
    room.answering(&bob);
    let answer = room.session.offer(&bob.id, own).await.unwrap();
    bob.accept(&answer).await.unwrap();
    room.published(&bob.id, Source::Camera).await;
    room.offer_to(before, &bob.id).await;
    bob.until("cyd at last", |stats| {
        stats.tracks_of("cyd").any(|track| track.packets > 20)
    })
    .await
    .unwrap();
    ann.until("bob's camera", |stats| {
        stats.tracks_of("bob").any(|track| track.packets > 20)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_section_that_the_client_added_while_an_offer_was_open_is_its_own() {
    let room = Room::new();
    let bob = room.join("bob", Plan::default()).await;
    room.ignoring(&bob);
    let before = room.told();
    let ann = room
        .join("ann", Plan::publishing([Publication::mic()]))
        .await;
    room.offer_to(before, &bob.id).await;
    // Sections of its own: their mids may be those of the server's open offer, which it has never seen.
    let own = bob
        .renegotiate(vec![], vec![Direction::Audio])
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let answer = room.session.offer(&bob.id, own).await.unwrap();
    room.answering(&bob);
    bob.accept(&answer).await.unwrap();
    bob.until("ann", |stats| {
        stats.tracks_of("ann").any(|track| track.packets > 20)
    })
    .await
    .unwrap();
    drop(ann);
}

#[tokio::test]
async fn glare_is_refused_and_the_servers_offer_stands() {
    let room = Room::new();
    let bob = room.join("bob", Plan::default()).await;
    room.ignoring(&bob);
    let before = room.told();
    let _ann = room
        .join("ann", Plan::publishing([Publication::mic()]))
        .await;
    let (offer, seq) = room.offer_to(before, &bob.id).await;
    bob.publish(Publication::mic()).await.unwrap();
    let own = bob.renegotiate(vec![], vec![]).await.unwrap();
    assert!(matches!(
        room.session.offer(&bob.id, own).await,
        Err(Error::Glare)
    ));
    let answer = bob.reoffer(&offer).await.unwrap();
    room.session
        .answer(&bob.id, answer, Some(seq))
        .await
        .unwrap();
    bob.until("ann", |stats| stats.packets() > 20)
        .await
        .unwrap();
    let own = bob.renegotiate(vec![], vec![]).await.unwrap();
    let answer = room.session.offer(&bob.id, own).await.unwrap();
    bob.accept(&answer).await.unwrap();
    room.published(&bob.id, Source::Mic).await;
}

#[tokio::test]
async fn answers_to_nothing_are_refused_and_harm_nothing() {
    let room = Room::new();
    let (ann, answer) = room.knock(joining("ann"), Plan::default()).await;
    let unknown = room
        .session
        .answer(&id("nobody"), answer.clone(), None)
        .await;
    assert!(matches!(unknown, Err(Error::UnknownPeer)));
    for seq in [0, 2, u64::MAX] {
        let wrong = room
            .session
            .answer(&ann.id, answer.clone(), Some(seq))
            .await;
        assert!(matches!(wrong, Err(Error::WrongState)));
    }
    room.session
        .answer(&ann.id, answer.clone(), Some(1))
        .await
        .unwrap();
    let twice = room.session.answer(&ann.id, answer.clone(), Some(1)).await;
    assert!(matches!(twice, Err(Error::WrongState)));
    let unasked = room.session.answer(&ann.id, answer, None).await;
    assert!(matches!(unasked, Err(Error::WrongState)));
    ann.connected().await.unwrap();
    ann.opened("events").await.unwrap();
    let early = room.session.join(joining("bob")).await.unwrap();
    let glare = room.session.offer(&id("bob"), early).await;
    assert!(matches!(glare, Err(Error::Glare)));
}

#[tokio::test]
async fn descriptions_of_any_shape_are_answered_or_refused() {
    let room = Room::new();
    let _ann = room
        .join("ann", Plan::publishing([Publication::mic()]))
        .await;
    let (bob, good) = room.knock(joining("bob"), Plan::default()).await;
    let without = |what: &str| -> String {
        good.split_inclusive('\n')
            .filter(|line| !line.starts_with(what))
            .collect()
    };
    let section = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:foreign\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n";
    let foreign = format!("{good}{section}");
    let many = format!("{good}{}", section.repeat(600));
    let huge = format!("{good}{}", "a=x:y\r\n".repeat(100_000));
    let long_line = format!("{good}a=fmtp:96 {}\r\n", "x".repeat(400_000));
    let cases = [
        String::new(),
        "v=0".to_owned(),
        "v=0\r\n".repeat(1_000),
        "\0".repeat(100),
        "é".repeat(1_000),
        without("a=ice-ufrag"),
        without("a=ice-pwd"),
        without("a=fingerprint"),
        foreign,
        many,
        huge,
        good.replace("a=setup:active", "a=setup:nonsense"),
        good.replace("sha-256", "md5"),
        without("m="),
        without("v="),
        long_line,
    ];
    for (index, sdp) in cases.into_iter().enumerate() {
        let name = format!("guest{index}");
        room.session.join(joining(&name)).await.unwrap();
        let began = std::time::Instant::now();
        let result = room.session.answer(&id(&name), sdp, None).await;
        let took = began.elapsed();
        assert!(took < Duration::from_millis(500), "{index}: {took:?}");
        if index != 15 && index != 11 && index != 12 {
            assert!(
                matches!(result, Err(Error::BadDescription(_))),
                "{index}: {result:?}"
            );
        }
        // It is there still and can answer properly, or was removed and that was told.
        if room.session.remove(&id(&name), "test").await.is_err() {
            assert_eq!(room.left(&id(&name)).await, Leave::Faulty, "{index}");
        }
    }
    for length in (0..good.len()).step_by(97) {
        let name = format!("cut{length}");
        room.session.join(joining(&name)).await.unwrap();
        let mut cut = length;
        while !good.is_char_boundary(cut) {
            cut -= 1;
        }
        let _ = room
            .session
            .answer(&id(&name), good[..cut].to_owned(), None)
            .await;
        let _ = room.session.remove(&id(&name), "test").await;
    }
    room.session.answer(&bob.id, good, None).await.unwrap();
    bob.until("ann, after all that", |stats| stats.packets() > 30)
        .await
        .unwrap();
}
