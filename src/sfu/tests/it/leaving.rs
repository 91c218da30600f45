//! Going: by oneself, without a word, by the owner.

use std::time::{Duration, Instant};

use rotunda_peer::{Ended, Plan, Publication};
use rotunda_sfu::{Error, Event, Leave, Source};

use crate::support::{Room, id, joining};

#[tokio::test]
async fn who_closes_is_gone_at_once_with_its_tracks() {
    let room = Room::new();
    let bob = room.join("bob", Plan::default()).await;
    let ann = room
        .join(
            "ann",
            Plan::publishing([Publication::mic(), Publication::camera()]),
        )
        .await;
    room.published(&ann.id, Source::Mic).await;
    room.published(&ann.id, Source::Camera).await;
    bob.until("media", |stats| stats.packets() > 20)
        .await
        .unwrap();
    let began = Instant::now();
    ann.close().await;
    assert_eq!(room.left(&ann.id).await, Leave::Closed);
    assert!(began.elapsed() < Duration::from_secs(2));
    let mut of_ann = room.events(|event| match event {
        Event::Unpublished(track) if track.peer == ann.id => Some("unpublished"),
        Event::Left { peer, .. } if *peer == ann.id => Some("left"),
        _ => None,
    });
    assert_eq!(of_ann.pop(), Some("left"), "the last event of a peer");
    assert_eq!(of_ann, ["unpublished", "unpublished"]);
    assert!(matches!(
        room.session.remove(&ann.id, "x").await,
        Err(Error::UnknownPeer)
    ));
}

#[tokio::test]
async fn who_has_no_channels_is_gone_at_once_too() {
    let room = Room::new();
    let mut join = joining("ann");
    join.channels.clear();
    let ann = room
        .join_as(join, Plan::publishing([Publication::mic()]))
        .await;
    room.published(&ann.id, Source::Mic).await;
    let began = Instant::now();
    ann.close().await;
    assert_eq!(room.left(&ann.id).await, Leave::Closed);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn who_vanishes_is_missed_within_ten_seconds() {
    let room = Room::new();
    let ann = room
        .join("ann", Plan::publishing([Publication::mic()]))
        .await;
    let began = Instant::now();
    ann.vanish().await;
    assert_eq!(room.left(&ann.id).await, Leave::Lost);
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(7) && took < Duration::from_secs(10),
        "{took:?}"
    );
}

#[tokio::test]
async fn who_is_removed_is_told_and_can_come_back() {
    let room = Room::new();
    let ann = room.join("ann", Plan::default()).await;
    room.session.remove(&ann.id, "kicked").await.unwrap();
    assert_eq!(room.left(&ann.id).await, Leave::Removed("kicked"));
    assert_eq!(ann.ended().await.unwrap(), Ended::Closed);
    let again = room.session.join(joining("ann")).await.unwrap();
    assert!(again.starts_with("v=0"));
}

#[tokio::test]
async fn a_session_that_closes_tells_everybody() {
    let room = Room::new();
    let ann = room.join("ann", Plan::default()).await;
    let bob = room.join("bob", Plan::default()).await;
    room.session.close().await;
    for client in [&ann, &bob] {
        assert_eq!(client.ended().await.unwrap(), Ended::Closed);
        assert_eq!(room.left(&client.id).await, Leave::Ended);
    }
    assert!(matches!(
        room.session.join(joining("cyd")).await,
        Err(Error::Closed)
    ));
    room.session.close().await;
    let metrics = room.sfu.metrics();
    assert_eq!((metrics.sessions, metrics.peers), (0, 0));
}

#[tokio::test]
async fn a_session_without_handles_ends() {
    let sfu = rotunda_sfu::Sfu::start(&crate::support::options()).unwrap();
    let (session, mut events) = sfu.open();
    session.join(joining("ann")).await.unwrap();
    drop(session);
    let event = tokio::time::timeout(crate::support::DEADLINE, events.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(event, Event::Left { peer, why: Leave::Ended } if peer == id("ann")));
    let end = tokio::time::timeout(crate::support::DEADLINE, events.recv())
        .await
        .unwrap();
    assert!(end.is_none());
}
