//! Two peers, over loopback.

use std::time::Duration;

use crate::{Direction, Ended, Kind, Loss, Payload, Peer, Plan, Publication, Reading};

/// The first makes the offer, the second answers.
async fn pair(first: Plan, receive: &[Direction], second: Plan) -> (Peer, Peer) {
    let (one, offer) = Peer::offer(first, receive).await.unwrap();
    let (two, answer) = Peer::answer(&offer, second).await.unwrap();
    one.accept(&answer).await.unwrap();
    one.connected().await.unwrap();
    two.connected().await.unwrap();
    (one, two)
}

fn with_channel(label: &str) -> Plan {
    Plan {
        channels: vec![label.to_owned()],
        ..Plan::default()
    }
}

#[tokio::test]
async fn messages_pass_both_ways_as_text_and_binary() {
    let (one, two) = pair(with_channel("events"), &[], Plan::default()).await;
    one.opened("events").await.unwrap();
    two.opened("events").await.unwrap();
    one.send("events", Payload::text("hello")).await.unwrap();
    assert_eq!(two.message("events").await.unwrap(), Payload::text("hello"));
    let long = Payload::Binary(vec![7; 60_000].into());
    two.send("events", long.clone()).await.unwrap();
    assert_eq!(one.message("events").await.unwrap(), long);
    two.open_channel("mine").await.unwrap();
    two.opened("mine").await.unwrap();
    two.send("mine", Payload::text("more")).await.unwrap();
    assert_eq!(one.message("mine").await.unwrap(), Payload::text("more"));
}

#[tokio::test]
async fn media_arrives_in_order_and_whole() {
    let plan = Plan::publishing([Publication::mic().level(42), Publication::camera()]);
    let (one, two) = pair(plan, &[], Plan::default()).await;
    let stats = two
        .until("audio and video", |stats| {
            stats.tracks.len() == 2 && stats.tracks.iter().all(|t| t.packets > 60)
        })
        .await
        .unwrap();
    for track in &stats.tracks {
        assert_eq!((track.missing, track.duplicates, track.late), (0, 0, 0));
        assert_eq!((track.sequence_jumps, track.timestamp_jumps), (0, 0));
        match track.kind {
            Kind::Audio => assert_eq!(track.level, Some(42)),
            // What went out before this side was ready is lost, and nobody asked again.
            Kind::Video => {
                assert!(track.key_frames <= 1);
                assert_eq!(track.picture_jumps, 0);
            }
        }
    }
    assert!(two.latencies_us().await.len() > 60);
    assert!(one.stats().await.sent_packets >= stats.packets());
}

#[tokio::test]
async fn a_camera_of_one_and_a_half_megabits_sends_150_packets_a_second() {
    let (one, _two) = pair(
        Plan::publishing([Publication::camera()]),
        &[],
        Plan::counting(),
    )
    .await;
    let before = one.stats().await.sent_packets;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sent = one.stats().await.sent_packets - before;
    assert!((285..=330).contains(&sent), "{sent}");
}

#[tokio::test]
async fn a_counting_peer_sees_headers_and_decrypts_nothing() {
    let plan = Plan::publishing([Publication::camera()]);
    let (_one, two) = pair(plan, &[], Plan::counting()).await;
    let stats = two
        .until("video", |stats| stats.packets() > 60)
        .await
        .unwrap();
    let track = &stats.tracks[0];
    assert_eq!((track.missing, track.duplicates), (0, 0));
    assert_eq!(track.key_frames, 0);
    assert!(two.latencies_us().await.is_empty());
}

#[tokio::test]
async fn a_request_brings_a_key_frame() {
    let plan = Plan::publishing([Publication::camera()]);
    let (one, two) = pair(plan, &[], Plan::default()).await;
    let stats = two
        .until("video", |stats| stats.packets() > 20)
        .await
        .unwrap();
    let before = stats.tracks[0].key_frames;
    two.request_key_frame(None).await.unwrap();
    two.until("another key frame", |stats| {
        stats.tracks[0].key_frames == before + 1
    })
    .await
    .unwrap();
    assert_eq!(one.stats().await.key_frame_requests, 1);
}

#[tokio::test]
async fn lost_packets_are_asked_for_again() {
    for has_rtx in [true, false] {
        let first = Plan {
            has_rtx,
            ..Plan::publishing([Publication::camera()])
        };
        let second = Plan {
            has_rtx,
            loss: Loss {
                down_percent: 10.0,
                ..Loss::default()
            },
            ..Plan::default()
        };
        let (one, two) = pair(first, &[], second).await;
        two.until("loss", |stats| stats.lost_down > 30)
            .await
            .unwrap();
        two.set_loss(Loss::default()).await;
        let stats = two
            .until("repair", |stats| stats.missing() == 0)
            .await
            .unwrap();
        let track = &stats.tracks[0];
        assert!(track.late > 5 && track.nacked > 5, "{track:?}");
        assert!(track.nacked < 8 * stats.lost_down, "{track:?}");
        let sender = one.stats().await;
        assert!(sender.nacks_received > 0 && sender.nacks_received <= track.nacked);
    }
}

#[tokio::test]
async fn loss_is_the_same_for_the_same_seed() {
    let rolls = |seed| {
        use rand::{Rng, SeedableRng};
        let mut rng = rand::rngs::SmallRng::seed_from_u64(seed);
        let rolls: Vec<bool> = (0..64)
            .map(|_| rng.random_range(0.0..100.0) < 20.0)
            .collect();
        rolls
    };
    assert_eq!(rolls(5), rolls(5));
    assert_ne!(rolls(5), rolls(6));
}

#[tokio::test]
async fn tracks_can_be_added_later() {
    let (one, two) = pair(with_channel("events"), &[], Plan::default()).await;
    let offer = one
        .renegotiate(vec![Publication::camera()], vec![])
        .await
        .unwrap();
    let answer = two.reoffer(&offer).await.unwrap();
    one.accept(&answer).await.unwrap();
    let stats = two
        .until("video", |stats| stats.packets() > 20)
        .await
        .unwrap();
    assert!(stats.tracks[0].begins_with_key_frame);
    let offer = one
        .renegotiate(vec![Publication::mic()], vec![])
        .await
        .unwrap();
    let answer = two.reoffer(&offer).await.unwrap();
    one.accept(&answer).await.unwrap();
    let stats = two
        .until("audio as well", |stats| {
            stats.tracks.len() == 2 && stats.tracks[1].packets > 20
        })
        .await
        .unwrap();
    assert_eq!(stats.missing(), 0);
}

#[tokio::test]
async fn the_answering_side_publishes_on_offered_sections() {
    let second = Plan::publishing([Publication::mic(), Publication::camera()]);
    let receive = [Direction::Audio, Direction::Video, Direction::Video];
    let (one, two) = pair(with_channel("events"), &receive, second).await;
    one.until("both", |stats| {
        stats.tracks.len() == 2 && stats.tracks.iter().all(|t| t.packets > 20)
    })
    .await
    .unwrap();
    assert_eq!(two.stats().await.tracks.len(), 0);
}

#[tokio::test]
async fn a_screen_alone_takes_the_second_video_section() {
    let second = Plan::publishing([Publication::screen()]);
    let receive = [Direction::Video, Direction::Video];
    let (one, offer) = Peer::offer(with_channel("events"), &receive).await.unwrap();
    let (_two, answer) = Peer::answer(&offer, second).await.unwrap();
    let sections = crate::description::sections(&answer);
    let of = |index: usize| sections[index].direction.as_str();
    let video: Vec<usize> = (0..sections.len())
        .filter(|&index| sections[index].kind == Some(Kind::Video))
        .collect();
    assert_eq!((of(video[0]), of(video[1])), ("inactive", "sendonly"));
    one.accept(&answer).await.unwrap();
    one.until("the screen", |stats| stats.packets() > 20)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_closed_connection_is_seen_at_once() {
    let (one, two) = pair(with_channel("events"), &[], Plan::default()).await;
    one.close().await;
    assert_eq!(two.ended().await.unwrap(), Ended::Closed);
}

#[tokio::test]
async fn one_that_vanishes_is_missed_after_a_while() {
    let second = Plan {
        silence_max: Duration::from_secs(2),
        ..Plan::default()
    };
    let (one, two) = pair(with_channel("events"), &[], second).await;
    one.vanish().await;
    assert_eq!(two.ended().await.unwrap(), Ended::Failed);
}

#[tokio::test]
async fn one_that_does_not_read_gets_its_messages_later() {
    let (one, two) = pair(with_channel("events"), &[], Plan::default()).await;
    two.opened("events").await.unwrap();
    one.opened("events").await.unwrap();
    two.set_reading(Reading::NoMessages).await;
    one.send("events", Payload::text("kept")).await.unwrap();
    one.send("events", Payload::text("back")).await.unwrap();
    two.send("events", Payload::text("still here"))
        .await
        .unwrap();
    one.message("events").await.unwrap();
    assert_eq!(two.try_message("events"), None);
    two.set_reading(Reading::Everything).await;
    assert_eq!(two.message("events").await.unwrap(), Payload::text("kept"));
    assert_eq!(two.message("events").await.unwrap(), Payload::text("back"));
}

#[tokio::test]
async fn garbage_ends_nothing() {
    let (one, two) = pair(with_channel("events"), &[], Plan::default()).await;
    two.opened("events").await.unwrap();
    two.send_garbage(500).await;
    two.send("events", Payload::text("and yet")).await.unwrap();
    assert_eq!(
        one.message("events").await.unwrap(),
        Payload::text("and yet")
    );
}

#[tokio::test]
async fn a_silent_peer_never_connects() {
    let (one, offer) = Peer::offer(with_channel("events"), &[]).await.unwrap();
    let plan = Plan {
        is_silent: true,
        ..Plan::default()
    };
    let (two, answer) = Peer::answer(&offer, plan).await.unwrap();
    one.accept(&answer).await.unwrap();
    two.until("the other's attempts", |stats| stats.datagrams_received > 2)
        .await
        .unwrap();
    assert!(!one.stats().await.is_connected);
    assert_eq!(two.stats().await.datagrams_sent, 0);
}
