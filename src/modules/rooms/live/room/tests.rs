//! The task over a media plane that is played by the test.

use std::time::Duration;

use serde_json::Value as Json;
use tokio::task::JoinHandle;

use super::*;
use crate::modules::rooms::live::people::Subject;
use crate::sfu::{Candidate, Error, Publishing, Source, Subscription};

const ROOM: &str = "room00000000001";

/// What a room asked of the media plane.
#[derive(Debug)]
enum Asked {
    Joined(Join),
    Answered(PeerId, String, Option<u64>),
    Offered(PeerId, String),
    Trickled(PeerId, Candidate),
    Removed(PeerId, &'static str),
    Sent(Message),
    Subscribed(Subscription),
    Allowed(PeerId, Publishing),
    Closed,
}

#[derive(Clone)]
struct Played {
    asked: mpsc::Sender<Asked>,
}

impl Played {
    async fn note(&self, asked: Asked) -> Result<(), Error> {
        self.asked.send(asked).await.map_err(|_| Error::Closed)
    }
}

impl Plane for Played {
    async fn join(&self, join: Join) -> Result<String, Error> {
        self.note(Asked::Joined(join)).await?;
        Ok("v=0 offer".to_owned())
    }

    async fn answer(&self, peer: &PeerId, sdp: String, seq: Option<u64>) -> Result<(), Error> {
        self.note(Asked::Answered(peer.clone(), sdp.clone(), seq))
            .await?;
        match sdp.as_str() {
            "garbage" => Err(Error::BadDescription("no lines")),
            "late" => Err(Error::WrongState),
            _ => Ok(()),
        }
    }

    async fn offer(&self, peer: &PeerId, sdp: String) -> Result<String, Error> {
        self.note(Asked::Offered(peer.clone(), sdp.clone())).await?;
        match sdp.as_str() {
            "glare" => Err(Error::Glare),
            _ => Ok("v=0 answer".to_owned()),
        }
    }

    async fn candidate(&self, peer: &PeerId, candidate: Candidate) -> Result<(), Error> {
        self.note(Asked::Trickled(peer.clone(), candidate)).await
    }

    async fn remove(&self, peer: &PeerId, why: &'static str) -> Result<(), Error> {
        self.note(Asked::Removed(peer.clone(), why)).await
    }

    async fn send(&self, message: Message) -> Result<(), Error> {
        self.note(Asked::Sent(message)).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<(), Error> {
        self.note(Asked::Subscribed(subscription)).await
    }

    async fn allow(&self, peer: &PeerId, publishing: Publishing) -> Result<(), Error> {
        self.note(Asked::Allowed(peer.clone(), publishing)).await
    }

    async fn close(&self) {
        let _ = self.note(Asked::Closed).await;
    }
}

/// A server whose database is as slow as the test wants.
#[derive(Default)]
struct Still {
    published: Mutex<Vec<(String, Json)>>,
    stored: Mutex<Vec<Vec<String>>>,
    /// While held, nothing is stored.
    gate: Arc<tokio::sync::Mutex<()>>,
}

impl World for Still {
    fn now(&self) -> DateTime {
        DateTime::from_unix(1_700_000_000).unwrap()
    }

    fn publish(&self, topic: &str, payload: &Json) {
        let event = (topic.to_owned(), payload.clone());
        self.published.lock().unwrap().push(event);
    }

    fn store(&self, batch: Vec<NewMessage>) -> BoxFuture<'static, Vec<Result<Stored, String>>> {
        let texts = batch.iter().map(|message| message.text.clone()).collect();
        self.stored.lock().unwrap().push(texts);
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            let _open = gate.lock().await;
            let stored = batch.into_iter().map(|message| {
                if message.text == "refused" {
                    return Err("Not here.".to_owned());
                }
                Ok(Stored {
                    id: format!("id of {}", message.text),
                    kind: message.kind.to_owned(),
                    from: message.from.id().to_owned(),
                    participant: message.participant,
                    name: message.name,
                    text: message.text,
                    file: String::new(),
                })
            });
            stored.collect()
        })
    }
}

struct Stage {
    events: mpsc::Sender<Event>,
    commands: mpsc::Sender<Command>,
    asked: mpsc::Receiver<Asked>,
    shared: Arc<Shared>,
    world: Arc<Still>,
    task: JoinHandle<()>,
}

impl Stage {
    fn new() -> Self {
        Self::with_room_for(1000)
    }

    /// A media plane that takes so many requests before somebody looks at them.
    fn with_room_for(requests: usize) -> Self {
        let (asking, asked) = mpsc::channel(requests);
        let (events, told) = mpsc::channel(1000);
        let (commands, ordered) = mpsc::channel(1000);
        let shared = Arc::<Shared>::default();
        let world = Arc::<Still>::default();
        let (events_kept, commands_kept) = (events.clone(), commands.clone());
        let room = Room::new(Opening {
            id: ROOM.into(),
            media: Media::Video,
            plane: Played { asked: asking },
            shared: Arc::clone(&shared),
            counters: Arc::default(),
            world: Arc::clone(&world) as Arc<dyn World>,
            events: told,
            commands: ordered,
            retire: Box::new(|waits| waits.is_none_or(mpsc::Receiver::is_empty)),
        });
        Self {
            events: events_kept,
            commands: commands_kept,
            asked,
            shared,
            world,
            task: tokio::spawn(async move {
                // The first command is there when a room begins.
                tokio::task::yield_now().await;
                room.run().await;
            }),
        }
    }

    async fn order(&self, command: Command) {
        self.commands.send(command).await.unwrap();
    }

    fn entrant(user: &str) -> Entrant {
        Entrant {
            subject: Subject::User(user.to_owned()),
            name: format!("Name of {user}"),
            role: Role::Participant,
            permissions: Permissions::default(),
        }
    }

    async fn try_join(&self, who: Entrant, places_max: usize) -> Result<Joined, NotJoined> {
        let (reply, told) = oneshot::channel();
        self.order(Command::Join {
            who,
            is_simulcast: false,
            places_max,
            reply,
        })
        .await;
        told.await.unwrap()
    }

    /// Joins, and drops what is asked of the media plane for it.
    async fn join(&mut self, user: &str) -> PeerId {
        let joined = self.try_join(Self::entrant(user), 50).await.unwrap();
        while !matches!(self.next().await, Asked::Joined(join) if join.peer == joined.id) {}
        while !self.told().await.is_empty() {}
        joined.id
    }

    async fn next(&mut self) -> Asked {
        let next = tokio::time::timeout(Duration::from_secs(20), self.asked.recv());
        next.await.expect("in time").expect("a running room")
    }

    /// What the room has told by now.
    async fn told(&mut self) -> Vec<(Vec<PeerId>, &'static str, Json)> {
        // Until the task has nothing to do any more.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        let mut told = Vec::new();
        while let Ok(asked) = self.asked.try_recv() {
            if let Asked::Sent(message) = asked {
                told.push(read(&message));
            }
        }
        told
    }

    async fn says(&self, peer: &PeerId, message: Json) {
        self.says_on(EVENTS, peer, Payload::Text(message.to_string().into()))
            .await;
    }

    async fn says_on(&self, label: &str, peer: &PeerId, payload: Payload) {
        let event = Event::Message {
            peer: peer.clone(),
            label: label.into(),
            payload,
        };
        self.events.send(event).await.unwrap();
    }
}

/// Whom a message goes to, on which channel, and what it says.
fn read(message: &Message) -> (Vec<PeerId>, &'static str, Json) {
    let to = match &message.to {
        To::These(ids) => ids.to_vec(),
        other => panic!("to {other:?}"),
    };
    let said: Json = match &message.payload {
        Payload::Text(text) => serde_json::from_str(text).unwrap(),
        Payload::Binary(bytes) => rmp_serde::from_slice(bytes).unwrap(),
    };
    assert_eq!(said["room_id"], ROOM);
    assert_eq!(said["timestamp"], 1_700_000_000);
    (to, message.label, said)
}

fn chat(text: &str) -> Json {
    json!({"type": "chat", "data": {"message": text, "from": "somebody else"}})
}

#[tokio::test]
async fn who_joins_is_offered_channels_and_others_hear_of_it() {
    let mut stage = Stage::new();
    let ann = stage.try_join(Stage::entrant("ann"), 50).await.unwrap();
    assert_eq!(ann.sdp, "v=0 offer");
    assert_eq!(ann.participants.len(), 1);
    let Asked::Joined(join) = stage.next().await else {
        panic!("no join");
    };
    let labels: Vec<_> = join
        .channels
        .iter()
        .map(|channel| (channel.label, channel.is_reliable))
        .collect();
    assert_eq!(labels, [("events", true), ("fast", false)]);
    assert_eq!(
        (join.media, join.publishing),
        (Media::Video, Publishing::default())
    );
    let bob = stage.try_join(Stage::entrant("bob"), 50).await.unwrap();
    assert_eq!(bob.participants.len(), 2);
    let told = stage.told().await;
    let [(to, EVENTS, said)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(*to, [ann.id]);
    assert_eq!(said["type"], "participant_joined");
    let expected =
        json!({"participant_id": bob.id.as_str(), "user_id": "bob", "name": "Name of bob"});
    assert_eq!(said["data"], expected);
}

#[tokio::test]
async fn two_hundred_at_once_get_no_more_places_than_there_are() {
    let stage = Stage::new();
    let joins = (0..200).map(|index| stage.try_join(Stage::entrant(&format!("u{index}")), 50));
    let joined = future::join_all(joins).await;
    let full = joined
        .iter()
        .filter(|joined| matches!(joined, Err(NotJoined::NoPlace(NoPlace::Full))));
    assert_eq!(full.count(), 150);
    assert_eq!(stage.shared.people().len(), 50);
}

#[tokio::test]
async fn a_chat_is_stored_and_then_told_to_all_in_their_encodings() {
    let mut stage = Stage::new();
    let (ann, bob) = (stage.join("ann").await, stage.join("bob").await);
    let gate = Arc::clone(&stage.world.gate).lock_owned().await;
    stage.says(&ann, chat("one")).await;
    assert!(stage.told().await.is_empty());
    for text in ["two", "refused", "three"] {
        stage.says(&ann, chat(text)).await;
    }
    // The database is slow; the room goes on.
    stage
        .says(&bob, json!({"type": "reaction", "data": {"type": "wave"}}))
        .await;
    let told = stage.told().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        told[0].2["data"],
        json!({"from": "bob", "participant_id": bob.as_str(), "type": "wave"})
    );
    drop(gate);
    let told = stage.told().await;
    let texts: Vec<_> = told
        .iter()
        .map(|(_, _, said)| said["data"]["message"].clone())
        .collect();
    assert_eq!(texts, ["one", "two", "Not here.", "three"], "{told:?}");
    let expected = json!({"from": "ann", "participant_id": ann.as_str(), "name": "Name of ann", "message": "one", "id": "id of one"});
    assert_eq!(told[0].2["data"], expected);
    assert_eq!(told[0].0.len(), 2);
    let (to, _, error) = &told[2];
    assert_eq!(
        (to.as_slice(), &error["type"]),
        (&[ann][..], &json!("error"))
    );
    assert_eq!(error["data"]["code"], "not_stored");
    // One write for the first, one for all that waited meanwhile.
    assert_eq!(
        *stage.world.stored.lock().unwrap(),
        [vec!["one"], vec!["two", "refused", "three"]]
    );
}

#[tokio::test]
async fn each_gets_the_encoding_it_used_last() {
    let mut stage = Stage::new();
    let (ann, bob) = (stage.join("ann").await, stage.join("bob").await);
    let packed = rmp_serde::to_vec(&json!({"type": "custom", "data": {"n": 1}})).unwrap();
    stage
        .says(&bob, json!({"type": "custom", "data": {}}))
        .await;
    stage.told().await;
    stage
        .says_on(EVENTS, &ann, Payload::Binary(packed.into()))
        .await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    let (Asked::Sent(first), Asked::Sent(second)) = (stage.next().await, stage.next().await) else {
        panic!("nothing sent");
    };
    assert!(matches!(
        (&first.payload, &second.payload),
        (Payload::Binary(_), Payload::Text(_))
    ));
    assert_eq!(
        (read(&first).0, read(&second).0),
        (vec![ann.clone()], vec![bob])
    );
    let expected = json!({"n": 1, "from": "ann", "participant_id": ann.as_str()});
    assert_eq!(read(&second).2["data"], expected);
}

#[tokio::test]
async fn custom_messages_reach_whom_they_name_on_the_channel_they_came_by() {
    let mut stage = Stage::new();
    let (ann, bob) = (stage.join("ann").await, stage.join("bob").await);
    let carl = stage.join("carl").await;
    let to = |to: &str| {
        Payload::Text(
            json!({"type": "custom", "data": {"to": to, "from": "x"}})
                .to_string()
                .into(),
        )
    };
    stage.says_on(FAST, &ann, to(bob.as_str())).await;
    stage.says_on(EVENTS, &ann, to("carl")).await;
    stage.says_on(EVENTS, &ann, to("nobody")).await;
    stage
        .says_on(FAST, &ann, Payload::Text(chat("x").to_string().into()))
        .await;
    stage.says_on("own", &ann, to(bob.as_str())).await;
    let told = stage.told().await;
    let seen: Vec<_> = told
        .iter()
        .map(|(to, label, said)| (to.clone(), *label, said["data"]["code"].clone()))
        .collect();
    let expected = [
        (vec![bob], FAST, Json::Null),
        (vec![carl], EVENTS, Json::Null),
        (vec![ann.clone()], EVENTS, json!("not_found")),
        (vec![ann], EVENTS, json!("wrong_channel")),
    ];
    assert_eq!(seen, expected);
    assert_eq!(told[0].2["data"]["from"], "ann");
}

#[tokio::test]
async fn offers_and_answers_cross_the_channel() {
    let mut stage = Stage::new();
    let ann = stage.join("ann").await;
    let offer = Event::Offer {
        peer: ann.clone(),
        sdp: "v=0 more".to_owned(),
        seq: 4,
    };
    stage.events.send(offer).await.unwrap();
    let told = stage.told().await;
    assert_eq!(told[0].2["type"], "offer");
    assert_eq!(told[0].2["data"], json!({"sdp": "v=0 more", "seq": 4}));
    stage
        .says(
            &ann,
            json!({"type": "answer", "data": {"sdp": "v=0", "seq": 4}}),
        )
        .await;
    let Asked::Answered(peer, _, Some(4)) = stage.next().await else {
        panic!("no answer");
    };
    assert_eq!(peer, ann);
    stage
        .says(&ann, json!({"type": "answer", "data": {"sdp": "late"}}))
        .await;
    stage
        .says(&ann, json!({"type": "offer", "data": {"sdp": "glare"}}))
        .await;
    stage
        .says(
            &ann,
            json!({"type": "candidate", "data": {"candidate": "c"}}),
        )
        .await;
    stage
        .says(&ann, json!({"type": "offer", "data": {"sdp": "v=0"}}))
        .await;
    let told = stage.told().await;
    let said: Vec<_> = told
        .iter()
        .map(|(_, _, said)| (&said["type"], &said["data"]))
        .collect();
    assert_eq!(said[0].1["code"], "wrong_state");
    let glare = json!({"code": "retry", "message": "retry", "in_reply_to": "offer"});
    assert_eq!(said[1], (&json!("error"), &glare));
    assert_eq!(said[2], (&json!("answer"), &json!({"sdp": "v=0 answer"})));
}

#[tokio::test]
async fn who_is_taken_out_is_out_at_once() {
    let mut stage = Stage::new();
    let (ann, bob) = (stage.join("ann").await, stage.join("bob").await);
    let again = stage.join("ann").await;
    stage
        .order(Command::Evict {
            user: "ann".to_owned(),
            why: "banned",
        })
        .await;
    stage.says(&ann, chat("still here")).await;
    stage
        .events
        .send(Event::Left {
            peer: ann.clone(),
            why: Leave::Removed("banned"),
        })
        .await
        .unwrap();
    let mut removed = Vec::new();
    let mut told = Vec::new();
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    while let Ok(asked) = stage.asked.try_recv() {
        match asked {
            Asked::Removed(peer, why) => removed.push((peer, why)),
            Asked::Sent(message) => told.push(read(&message).2),
            other => panic!("{other:?}"),
        }
    }
    removed.sort();
    let mut expected = vec![(ann, "banned"), (again, "banned")];
    expected.sort();
    assert_eq!(removed, expected);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter()
            .all(|said| said["type"] == "participant_left" && said["data"]["reason"] == "banned")
    );
    assert_eq!(stage.shared.people().ids(), [bob]);
    assert!(stage.world.stored.lock().unwrap().is_empty());
}

#[tokio::test]
async fn rights_bind_messages_and_media() {
    let mut stage = Stage::new();
    let ann = stage.join("ann").await;
    let permissions = Permissions {
        chat: false,
        video: false,
        ..Permissions::default()
    };
    let command = Command::Permit {
        user: "ann".to_owned(),
        role: Role::Participant,
        permissions,
    };
    stage.order(command).await;
    let Asked::Allowed(peer, publishing) = stage.next().await else {
        panic!("nothing allowed");
    };
    assert_eq!(peer, ann);
    assert_eq!(
        publishing,
        Publishing {
            audio: true,
            camera: false,
            screen: true
        }
    );
    stage.says(&ann, chat("hi")).await;
    let told = stage.told().await;
    assert_eq!(told[0].2["data"]["code"], "forbidden");
    stage.order(Command::Mute(Whom::All)).await;
    let Asked::Allowed(_, publishing) = stage.next().await else {
        panic!("nothing allowed");
    };
    assert!(!publishing.audio);
    let told = stage.told().await;
    assert_eq!(
        (&told[0].2["type"], &told[0].2["data"]["audio_muted"]),
        (&json!("participant_state"), &json!(true))
    );
}

#[tokio::test]
async fn more_than_fifty_messages_a_second_are_refused() {
    let mut stage = Stage::new();
    let ann = stage.join("ann").await;
    for _ in 0..60 {
        stage
            .says(&ann, json!({"type": "custom", "data": {}}))
            .await;
    }
    stage
        .says(&ann, json!({"type": "answer", "data": {"sdp": "v=0"}}))
        .await;
    let mut told = Vec::new();
    loop {
        match stage.next().await {
            Asked::Sent(message) => told.push(read(&message).2),
            Asked::Answered(..) => break,
            other => panic!("{other:?}"),
        }
    }
    let refused: Vec<_> = told.iter().filter(|said| said["type"] == "error").collect();
    assert!((5..=10).contains(&refused.len()), "{}", refused.len());
    let expected =
        json!({"code": "rate_limited", "message": "Too many messages.", "in_reply_to": "custom"});
    assert_eq!(refused[0]["data"], expected);
}

#[tokio::test]
async fn tracks_are_told_and_listed() {
    let mut stage = Stage::new();
    let (ann, _) = (stage.join("ann").await, stage.join("bob").await);
    let track = Track {
        peer: ann.clone(),
        id: "t1".into(),
        source: Source::Screen,
    };
    stage
        .events
        .send(Event::Published(track.clone()))
        .await
        .unwrap();
    stage
        .events
        .send(Event::ActiveSpeaker { peer: ann.clone() })
        .await
        .unwrap();
    stage
        .events
        .send(Event::ActiveSpeaker { peer: ann.clone() })
        .await
        .unwrap();
    let told = stage.told().await;
    let expected = json!({"participant_id": ann.as_str(), "track_id": "t1", "kind": "video", "source": "screen"});
    assert_eq!(
        (&told[0].2["type"], &told[0].2["data"]),
        (&json!("track_published"), &expected)
    );
    assert_eq!(told[1].2["data"], json!({"participant_id": ann.as_str()}));
    assert_eq!(told.len(), 2);
    let listed = Data::List(stage.shared.people().listed()).to_json();
    assert_eq!(
        listed[0]["tracks"],
        json!([{"track_id": "t1", "kind": "video", "source": "screen"}])
    );
    assert_eq!(
        (&listed[0]["speaking"], &listed[1]["speaking"]),
        (&json!(true), &json!(false))
    );
    stage.events.send(Event::Unpublished(track)).await.unwrap();
    let told = stage.told().await;
    assert_eq!(told[0].2["type"], "track_unpublished");
    assert_eq!(stage.shared.people().get(&ann).unwrap().tracks, []);
}

#[tokio::test]
async fn an_empty_room_ends() {
    let mut stage = Stage::new();
    let ann = stage.join("ann").await;
    stage
        .events
        .send(Event::Left {
            peer: ann,
            why: Leave::Lost,
        })
        .await
        .unwrap();
    loop {
        if matches!(stage.next().await, Asked::Closed) {
            break;
        }
    }
    stage.task.await.unwrap();
}

#[tokio::test]
async fn a_closed_room_stores_what_was_said_and_says_good_bye() {
    let mut stage = Stage::new();
    let ann = stage.join("ann").await;
    stage.shared.is_public.store(true, Ordering::Relaxed);
    let gate = Arc::clone(&stage.world.gate).lock_owned().await;
    stage.says(&ann, chat("last words")).await;
    assert!(stage.told().await.is_empty());
    let (done, ended) = oneshot::channel();
    stage
        .order(Command::Close {
            why: "deleted",
            done,
        })
        .await;
    drop(gate);
    let mut said = Vec::new();
    loop {
        match stage.next().await {
            Asked::Sent(message) => said.push(read(&message).2),
            Asked::Closed => break,
            other => panic!("{other:?}"),
        }
    }
    ended.await.unwrap();
    assert_eq!(said[0]["data"]["message"], "last words");
    assert_eq!(
        (&said[1]["type"], &said[1]["data"]),
        (&json!("room_closed"), &json!({"reason": "deleted"}))
    );
    assert!(stage.shared.people().is_deserted());
    let published = stage.world.published.lock().unwrap();
    let kinds: Vec<_> = published
        .iter()
        .map(|(topic, event)| (topic.as_str(), event["type"].clone()))
        .collect();
    let expected =
        ["participant_joined", "chat", "room_closed"].map(|kind| ("room_events", json!(kind)));
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn a_media_plane_that_is_busy_loses_nothing_and_holds_nobody_up() {
    let mut stage = Stage::with_room_for(1);
    let ann = {
        let joined = stage.try_join(Stage::entrant("ann"), 50);
        joined.await.unwrap().id
    };
    assert!(matches!(stage.next().await, Asked::Joined(_)));
    for n in 0..40 {
        stage
            .says(&ann, json!({"type": "custom", "data": {"n": n}}))
            .await;
    }
    // Commands are heard though nothing goes out.
    let (reply, told) = oneshot::channel();
    let nobody = PeerId::new("nobody");
    stage
        .order(Command::Remove {
            id: nobody,
            why: "kicked",
            reply,
        })
        .await;
    assert!(!told.await.unwrap());
    for n in 0..40 {
        let Asked::Sent(message) = stage.next().await else {
            panic!("nothing sent");
        };
        assert_eq!(read(&message).2["data"]["n"], n);
    }
}

#[tokio::test]
async fn a_media_plane_that_ends_ends_the_room() {
    let mut stage = Stage::new();
    stage.join("ann").await;
    drop(stage.events);
    loop {
        if matches!(stage.asked.recv().await, Some(Asked::Closed)) {
            break;
        }
    }
    stage.task.await.unwrap();
    assert!(stage.shared.people().is_deserted());
}
