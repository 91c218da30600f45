//! What clients say on their channels, and what is done with it.

use std::time::Instant;

use futures_util::FutureExt;

use super::{Asked, CHATS_PER_WRITE, EVENTS, FAST, Room};
use crate::modules::rooms::live::messages::{NewMessage, Stored};
use crate::modules::rooms::live::people::{Audience, Entrant};
use crate::modules::rooms::live::protocol::{self, Encoding, Message, Problem, Wish};
use crate::modules::rooms::live::seams::Plane;
use crate::modules::rooms::live::value::{Data, Members};
use crate::sfu::{self, Payload, PeerId, Subscription};

/// Of reactions in public rooms.
const REACTIONS: &str = "reactions";

impl<P: Plane> Room<P> {
    pub(super) fn message(&mut self, peer: &PeerId, label: &str, payload: &Payload) {
        let label = match label {
            EVENTS => EVENTS,
            FAST => FAST,
            // Clients may have channels of their own for other things.
            _ => return,
        };
        let now = Instant::now();
        let is_welcome = {
            let mut people = self.shared.people();
            people.note_encoding(peer, Encoding::of(payload));
            match people.get_mut(peer) {
                // On the way out.
                None => return,
                Some(person) => person.rate.takes_any(now),
            }
        };
        self.counters.heard();
        let read = if is_welcome {
            protocol::read(payload, &self.id)
        } else {
            Err(too_many(None))
        };
        let done =
            read.and_then(|message| self.check(peer, label, &message, now).map(|()| message));
        match done {
            Ok(message) => self.obey(peer, label, message),
            Err(problem) => self.refuse(peer, problem),
        }
    }

    /// Whether somebody may say this here and now.
    fn check(
        &self,
        peer: &PeerId,
        label: &str,
        message: &Message,
        now: Instant,
    ) -> Result<(), Problem> {
        let kind = message.kind();
        if label == FAST && !matches!(message, Message::Custom { .. }) {
            let text = "This channel carries custom messages only.";
            return Err(Problem::new("wrong_channel", text, kind));
        }
        let mut people = self.shared.people();
        let Some(person) = people.get_mut(peer) else {
            return Ok(());
        };
        if !message.is_signalling() && !person.rate.takes_message(now) {
            return Err(too_many(Some(kind)));
        }
        if matches!(message, Message::Chat { .. }) && !person.who.permissions.chat {
            return Err(Problem::new("forbidden", "You may not write here.", kind));
        }
        Ok(())
    }

    fn obey(&mut self, peer: &PeerId, label: &'static str, message: Message) {
        let who = match self.shared.people().get(peer) {
            Some(person) => person.who.clone(),
            None => return,
        };
        match message {
            Message::Chat { text } => self.take_chat(peer, who, text),
            Message::Reaction { kind } => self.react(peer, &who, &kind),
            Message::Location { location } => {
                let data = Data::map([
                    ("user_id", who.subject.id().into()),
                    ("participant_id", peer.as_str().into()),
                    ("location", location.into()),
                ]);
                self.broadcast("location_update", data);
            }
            Message::State(change) => self.change_state(peer, change),
            Message::Custom { to, data } => self.pass_on(peer, label, &who, to.as_deref(), data),
            Message::Offer { sdp } => {
                let peer = peer.clone();
                self.ask(|plane| async move {
                    let result = plane.offer(&peer, sdp).await.map(Some);
                    let kind = "offer";
                    Asked::Answered { peer, kind, result }
                });
            }
            Message::Answer { sdp, seq } => {
                let peer = peer.clone();
                self.ask(|plane| async move {
                    let result = plane.answer(&peer, sdp, seq).await.map(|()| None);
                    let kind = "answer";
                    Asked::Answered { peer, kind, result }
                });
            }
            Message::Candidate(candidate) => {
                let peer = peer.clone();
                self.ask(|plane| async move {
                    let result = plane.candidate(&peer, candidate).await.map(|()| None);
                    let kind = "candidate";
                    Asked::Answered { peer, kind, result }
                });
            }
            Message::Subscribe(wish) => self.subscribe(peer, wish),
        }
    }

    fn react(&mut self, peer: &PeerId, who: &Entrant, kind: &str) {
        let data = Data::map([
            ("from", who.subject.id().into()),
            ("participant_id", peer.as_str().into()),
            ("type", kind.into()),
        ]);
        self.broadcast("reaction", data);
        if self.is_public() {
            let event = serde_json::json!({"room_id": &*self.id, "user_id": who.subject.id(), "type": kind});
            self.world.publish(REACTIONS, &event);
        }
    }

    /// Relays a message of a client's own making.
    fn pass_on(
        &mut self,
        peer: &PeerId,
        label: &'static str,
        who: &Entrant,
        to: Option<&str>,
        mut data: Members,
    ) {
        data.set("from", who.subject.id());
        data.set("participant_id", peer.as_str());
        let audience = {
            let mut people = self.shared.people();
            match to {
                None => people.audience(),
                Some(to) => Audience::of(people.named(to)).into(),
            }
        };
        let problem = if to.is_some() && audience.messagepack.is_empty() && audience.json.is_empty()
        {
            Problem::new("not_found", "Nobody of this id is here.", "custom")
        } else if self.tell(&audience, label, "custom", data.into()) {
            return;
        } else {
            Problem::new("too_long", "The message is too long.", "custom")
        };
        self.refuse(peer, problem);
    }

    fn subscribe(&mut self, peer: &PeerId, wish: Wish) {
        let (peer, publisher) = (peer.clone(), PeerId::new(&wish.publisher));
        let sources = match wish.sources.as_slice() {
            [] => vec![None],
            some => some.iter().copied().map(Some).collect(),
        };
        self.ask(|plane| async move {
            let mut result = Ok(None);
            for source in sources {
                let subscription = Subscription {
                    subscriber: peer.clone(),
                    publisher: publisher.clone(),
                    source,
                    choice: wish.choice,
                };
                result = result.and(plane.subscribe(subscription).await.map(|()| None));
            }
            let kind = "subscribe";
            Asked::Answered { peer, kind, result }
        });
    }

    pub(super) fn asked(&mut self, asked: Asked) {
        let Asked::Answered { peer, kind, result } = asked else {
            return;
        };
        match result {
            Ok(None) => {}
            Ok(Some(sdp)) => {
                self.tell_one(&peer, "answer", Data::map([("sdp", sdp.into())]));
            }
            Err(error) => {
                if let Some(code) = code_of(&error) {
                    self.refuse(&peer, Problem::new(code, error.to_string(), kind));
                }
            }
        }
    }

    /// Tells somebody why nothing came of a message.
    fn refuse(&mut self, peer: &PeerId, problem: Problem) {
        self.counters.refused();
        let is_told = {
            let mut people = self.shared.people();
            let person = people.get_mut(peer);
            person.is_some_and(|person| person.rate.takes_error(Instant::now()))
        };
        if is_told {
            self.tell_one(peer, "error", problem.into_data());
        }
    }

    fn take_chat(&mut self, peer: &PeerId, who: Entrant, text: String) {
        let message = NewMessage {
            room: self.id.clone(),
            from: who.subject,
            participant: peer.as_str().to_owned(),
            name: who.name,
            kind: "chat",
            text,
            created: None,
        };
        self.chats_bytes += message.text.len();
        self.chats.push_back((peer.clone(), message));
    }

    /// Stores what waits, unless it is being done.
    pub(super) fn write(&mut self) {
        if self.writing.is_some() || self.chats.is_empty() {
            return;
        }
        let count = self.chats.len().min(CHATS_PER_WRITE);
        let now = self.world.now();
        let (mut peers, mut batch) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (peer, mut message) in self.chats.drain(..count) {
            let next = self.last_chat.map(|last| last.add_ms(1));
            let created = next.filter(|next| *next > now).unwrap_or(now);
            self.last_chat = Some(created);
            message.created = Some(created);
            self.chats_bytes -= message.text.len();
            peers.push(peer);
            batch.push(message);
        }
        let stored = self.world.store(batch);
        self.writing = Some(Box::pin(stored.map(|stored| (peers, stored))));
    }

    pub(super) fn written(&mut self, (peers, stored): (Vec<PeerId>, Vec<Result<Stored, String>>)) {
        for (peer, stored) in peers.into_iter().zip(stored) {
            match stored {
                Ok(stored) => {
                    self.counters.stored();
                    self.relay(stored);
                }
                Err(why) => self.refuse(&peer, Problem::new("not_stored", why, "chat")),
            }
        }
    }

    /// Tells the room of a message that is stored.
    pub(super) fn relay(&mut self, stored: Stored) {
        let data = stored.into_data();
        if self.is_public() {
            self.publish("chat", &data);
        }
        self.broadcast("chat", data);
    }
}

fn too_many(kind: Option<&str>) -> Problem {
    Problem {
        code: "rate_limited",
        message: "Too many messages.".to_owned(),
        in_reply_to: kind.map(str::to_owned),
    }
}

/// What a client is told of a failure of its own message; nothing of those that end the connection anyway.
fn code_of(error: &sfu::Error) -> Option<&'static str> {
    match error {
        sfu::Error::Glare => Some("retry"),
        sfu::Error::WrongState => Some("wrong_state"),
        sfu::Error::BadDescription(_) => Some("bad_description"),
        sfu::Error::BadCandidate => Some("bad_candidate"),
        sfu::Error::UnknownPeer => Some("not_found"),
        sfu::Error::Internal(_) => Some("internal"),
        sfu::Error::Closed | sfu::Error::Full | sfu::Error::PeerExists => None,
    }
}
