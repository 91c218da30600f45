//! What subscribers get of publishers.

use std::time::Duration;

use rotunda_peer::{Kind, Loss, Plan, Publication};
use rotunda_sfu::{Choice, Layer, Publishing, Source, Subscription};

use crate::support::{Room, joining, until};

fn both() -> Plan {
    Plan::publishing([Publication::mic(), Publication::camera()])
}

#[tokio::test]
async fn audio_and_video_reach_several_subscribers_without_gaps() {
    let room = Room::new();
    let mut subscribers = Vec::new();
    for name in ["bob", "cyd", "dan"] {
        subscribers.push(room.join(name, Plan::default()).await);
    }
    let ann = room.join("ann", both()).await;
    for subscriber in &subscribers {
        let stats = subscriber
            .until("both tracks", |stats| {
                stats.tracks.len() == 2 && stats.tracks.iter().all(|t| t.packets > 100)
            })
            .await
            .unwrap();
        for track in &stats.tracks {
            let faults = (
                track.missing,
                track.duplicates,
                track.sequence_jumps,
                track.timestamp_jumps,
            );
            assert_eq!(faults, (0, 0, 0, 0), "{track:#?}");
            assert_eq!(track.stream_id, "ann");
            if track.kind == Kind::Video {
                assert_eq!(track.picture_jumps, 0);
                assert!(track.begins_with_key_frame);
            }
        }
        assert_eq!(stats.unknown_packets, 0);
    }
    assert!(ann.stats().await.key_frame_requests < 10);
    assert!(room.session.tracks().await.unwrap().len() == 2);
}

#[tokio::test]
async fn what_is_no_longer_allowed_stops_at_once() {
    let room = Room::new();
    let bob = room.join("bob", Plan::default()).await;
    let ann = room.join("ann", both()).await;
    bob.until("both", |stats| {
        stats.tracks.len() == 2 && stats.tracks.iter().all(|t| t.packets > 20)
    })
    .await
    .unwrap();
    let none = Publishing {
        audio: false,
        camera: false,
        screen: false,
    };
    room.session.allow(&ann.id, none).await.unwrap();
    let forwarded = || room.sfu.metrics().packets_forwarded;
    let before = forwarded();
    let sent = ann.stats().await.sent_packets;
    ann.until("more", |stats| stats.sent_packets > sent + 100)
        .await
        .unwrap();
    room.synced().await;
    assert_eq!(forwarded(), before);
    room.session
        .allow(&ann.id, Publishing::default())
        .await
        .unwrap();
    let had = bob.stats().await.packets();
    let stats = bob
        .until("media again", |stats| stats.packets() > had + 100)
        .await
        .unwrap();
    assert_eq!(stats.missing(), 0);
}

#[tokio::test]
async fn subscribers_choose_layers() {
    let room = Room::new();
    let bob = room.join("bob", Plan::default()).await;
    let mut join = joining("ann");
    join.is_simulcast = true;
    let ann = room
        .join_as(join, Plan::publishing([Publication::camera().simulcast()]))
        .await;
    bob.until("video", |stats| stats.packets() > 50)
        .await
        .unwrap();
    let choose = async |choice| {
        let wanted = Subscription {
            subscriber: bob.id.clone(),
            publisher: ann.id.clone(),
            source: Some(Source::Camera),
            choice,
        };
        room.session.subscribe(wanted).await.unwrap();
    };
    let layer = async || {
        let stats = room.session.stats().await.unwrap();
        stats
            .into_iter()
            .find(|stats| stats.peer == bob.id)
            .unwrap()
            .layer
    };
    for wanted in [Layer::Quarter, Layer::Half, Layer::Full, Layer::Quarter] {
        choose(Choice::Layer(wanted)).await;
        until("the layer", || async { layer().await == Some(wanted) }).await;
        let had = bob.stats().await.packets();
        bob.until("video goes on", |stats| stats.packets() > had + 15)
            .await
            .unwrap();
    }
    choose(Choice::Off).await;
    room.synced().await;
    let before = room.sfu.metrics().packets_forwarded;
    let sent = ann.stats().await.sent_packets;
    ann.until("more", |stats| stats.sent_packets > sent + 200)
        .await
        .unwrap();
    room.synced().await;
    assert_eq!(room.sfu.metrics().packets_forwarded, before);
    choose(Choice::Auto).await;
    let had = bob.stats().await.packets();
    let stats = bob
        .until("video again", |stats| stats.packets() > had + 60)
        .await
        .unwrap();
    let track = &stats.tracks[0];
    assert_eq!(
        (
            stats.tracks.len(),
            track.missing,
            track.sequence_jumps,
            track.timestamp_jumps
        ),
        (1, 0, 0, 0),
        "{track:#?}"
    );
    assert_eq!(track.picture_jumps, 0, "{track:#?}");
}

#[tokio::test]
async fn loss_both_ways_is_repaired_and_repairs_are_bounded() {
    let room = Room::new();
    let loss = Loss {
        up_percent: 5.0,
        down_percent: 5.0,
    };
    let bob = room
        .join(
            "bob",
            Plan {
                loss,
                seed: 7,
                ..Plan::default()
            },
        )
        .await;
    let _ann = room
        .join(
            "ann",
            Plan {
                loss,
                seed: 8,
                ..both()
            },
        )
        .await;
    bob.until("media", |stats| {
        stats.tracks.len() == 2 && stats.packets() > 1_200
    })
    .await
    .unwrap();
    bob.set_loss(Loss::default()).await;
    let stats = bob.stats().await;
    let nacked: u64 = stats.tracks.iter().map(|track| track.nacked).sum();
    assert!(stats.lost_down > 20, "{stats:#?}");
    assert!(
        nacked < 10 * stats.lost_down,
        "{nacked} for {}",
        stats.lost_down
    );
    assert!(stats.rtx_packets < 3 * stats.lost_down + 20, "{stats:#?}");
    let video = stats
        .tracks
        .iter()
        .find(|track| track.kind == Kind::Video)
        .unwrap();
    // What cannot be repaired in two seconds is given up.
    assert!(video.missing * 50 < video.packets, "{video:#?}");
    assert!(Duration::from_millis(500) > video.last_at.elapsed());
}

#[tokio::test]
async fn fifty_publishers_come_and_go_and_the_offer_does_not_grow() {
    let room = Room::new();
    let bob = room.join("bob", Plan::default()).await;
    let mut longest = usize::MAX;
    let mut last: Vec<(u32, u16)> = Vec::new();
    for number in 0..50 {
        let name = format!("p{number}");
        let before = room.told();
        let ann = room
            .join(&name, Plan::publishing([Publication::mic()]))
            .await;
        room.published(&ann.id, Source::Mic).await;
        let (offer, _) = room.offer_to(before, &bob.id).await;
        bob.until("its audio", |stats| {
            stats.tracks_of(&name).any(|track| track.packets > 3)
                || stats
                    .tracks
                    .iter()
                    .any(|t| t.last_at.elapsed() < Duration::from_millis(100))
        })
        .await
        .unwrap();
        // The first offer of a round may still be the one that says that the last publisher is gone.
        let is_news = offer.contains(&format!("a=msid:{name} "));
        if is_news && longest == usize::MAX {
            longest = offer.len() + 64;
        }
        assert!(
            !is_news || offer.len() <= longest,
            "{} > {longest}",
            offer.len()
        );
        assert_eq!(
            offer.matches("\nm=").count(),
            bob.offer.matches("\nm=").count() + 1
        );
        let stats = bob.stats().await;
        assert_eq!(
            stats.tracks.len(),
            1,
            "one section, one SSRC: {:#?}",
            stats.tracks
        );
        let track = &stats.tracks[0];
        assert_eq!(
            (track.sequence_jumps, track.duplicates),
            (0, 0),
            "{track:#?}"
        );
        last.push((track.ssrc, track.last_sequence));
        ann.close().await;
        room.left(&ann.id).await;
    }
}
