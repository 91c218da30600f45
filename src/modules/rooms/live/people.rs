//! Who is in a room now, and in what state: plain data, without a task and without I/O.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::protocol::{Encoding, StateChange};
use super::rate::Rate;
use super::value::Data;
use crate::base::DateTime;
use crate::modules::rooms::{Permissions, Role};
use crate::sfu::{Kind, PeerId, Publishing, Source, Track};

/// Who somebody is, beyond the connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// The id of a record of `users`.
    User(String),
    /// The id in a guest's room token.
    Guest(String),
}

impl Subject {
    /// The id on the wire.
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::User(id) | Self::Guest(id) => id,
        }
    }

    pub(crate) fn user(&self) -> Option<&str> {
        match self {
            Self::User(id) => Some(id),
            Self::Guest(_) => None,
        }
    }
}

/// Somebody who is about to be in a room: one for each connection, so that two tabs of a user are two.
#[derive(Clone, Debug)]
pub(super) struct Entrant {
    pub(super) subject: Subject,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) permissions: Permissions,
}

/// Somebody who is in.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) id: PeerId,
    pub(super) who: Entrant,
    pub(super) joined_at: DateTime,
    pub(super) audio_muted: bool,
    pub(super) video_off: bool,
    pub(super) screen_sharing: bool,
    pub(super) hand_raised: bool,
    /// A host has muted the person, who has not undone it: nothing that is said gets out.
    pub(super) is_silenced: bool,
    /// The one that was used last.
    pub(super) encoding: Encoding,
    pub(super) rate: Rate,
    pub(super) tracks: Vec<Track>,
    /// The order of coming.
    order: u64,
    /// Whether the media plane has taken the person in; before that there is a place and nothing to be seen.
    is_in: bool,
}

impl Person {
    /// What may get out.
    pub(super) fn publishing(&self) -> Publishing {
        let allowed = self.who.permissions;
        Publishing {
            audio: allowed.speak && !self.is_silenced,
            camera: allowed.video,
            screen: allowed.screen,
        }
    }

    /// Takes what the person says of itself; tells whether what may get out has changed.
    pub(super) fn apply(&mut self, change: StateChange) -> bool {
        let before = self.publishing();
        if let Some(muted) = change.audio_muted {
            self.audio_muted = muted;
            self.is_silenced &= muted;
        }
        self.video_off = change.video_off.unwrap_or(self.video_off);
        self.screen_sharing = change.screen_sharing.unwrap_or(self.screen_sharing);
        self.hand_raised = change.hand_raised.unwrap_or(self.hand_raised);
        before != self.publishing()
    }

    /// The person is muted by a host.
    pub(super) fn silence(&mut self) {
        self.audio_muted = true;
        self.is_silenced = true;
    }

    /// The data of `participant_state`.
    pub(super) fn state(&self) -> Data {
        Data::map([
            ("participant_id", self.id.as_str().into()),
            ("user_id", self.who.subject.id().into()),
            ("audio_muted", self.audio_muted.into()),
            ("video_off", self.video_off.into()),
            ("screen_sharing", self.screen_sharing.into()),
            ("hand_raised", self.hand_raised.into()),
        ])
    }

    /// The data of `participant_joined`.
    pub(super) fn introduction(&self) -> Data {
        Data::map([
            ("participant_id", self.id.as_str().into()),
            ("user_id", self.who.subject.id().into()),
            ("name", self.who.name.as_str().into()),
        ])
    }

    /// As `/participants` shows the person.
    fn listed(&self, speaking: bool) -> Data {
        let tracks = self.tracks.iter().map(|track| {
            Data::map([
                ("track_id", (*track.id).into()),
                ("kind", kind_name(track.source).into()),
                ("source", source_name(track.source).into()),
            ])
        });
        Data::map([
            ("participant_id", self.id.as_str().into()),
            ("user_id", self.who.subject.id().into()),
            ("name", self.who.name.as_str().into()),
            ("role", self.who.role.as_str().into()),
            ("joined_at", self.joined_at.to_string().into()),
            ("audio_muted", self.audio_muted.into()),
            ("video_off", self.video_off.into()),
            ("screen_sharing", self.screen_sharing.into()),
            ("hand_raised", self.hand_raised.into()),
            ("speaking", speaking.into()),
            ("tracks", Data::List(tracks.collect())),
        ])
    }
}

/// What a track is on the wire.
pub(super) fn kind_name(source: Source) -> &'static str {
    match source.kind() {
        Kind::Audio => "audio",
        Kind::Video => "video",
    }
}

/// Where a track comes from, on the wire.
pub(super) fn source_name(source: Source) -> &'static str {
    match source {
        Source::Mic => "mic",
        Source::Camera => "camera",
        Source::Screen => "screen",
    }
}

/// How many participants a user can be at once, so that nobody takes all places.
const TABS_MAX: usize = 10;

/// Why there is no place for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    Full,
    /// The user is in too many times.
    TooManyTabs,
}

/// All who are in a room.
#[derive(Debug, Default)]
pub(super) struct People {
    all: HashMap<PeerId, Person>,
    /// How many have come so far.
    count: u64,
    speaker: Option<PeerId>,
    /// Who gets what, until somebody comes, goes or changes the encoding.
    audience: Option<Arc<Audience>>,
}

/// Whom messages go to, by encoding.
#[derive(Debug, Default)]
pub(super) struct Audience {
    pub(super) messagepack: Arc<[PeerId]>,
    pub(super) json: Arc<[PeerId]>,
}

impl People {
    /// Gives a place to somebody, unless as many as `max` are taken.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub(super) fn take_place(
        &mut self,
        id: PeerId,
        who: Entrant,
        max: usize,
        now: DateTime,
    ) -> Result<&Person, NoPlace> {
        if self.all.len() >= max {
            return Err(NoPlace::Full);
        }
        let own = self.all.values();
        let own = own.filter(|person| person.who.subject == who.subject);
        if own.count() >= TABS_MAX {
            return Err(NoPlace::TooManyTabs);
        }
        self.count += 1;
        let person = Person {
            id: id.clone(),
            who,
            joined_at: now,
            audio_muted: false,
            video_off: false,
            screen_sharing: false,
            hand_raised: false,
            is_silenced: false,
            encoding: Encoding::default(),
            rate: Rate::new(Instant::now()),
            tracks: Vec::new(),
            order: self.count,
            is_in: false,
        };
        Ok(self.all.entry(id).insert_entry(person).into_mut())
    }

    /// The media plane has taken somebody in; `None` if the place is given up meanwhile.
    pub(super) fn enter(&mut self, id: &PeerId) -> Option<&Person> {
        self.audience = None;
        let person = self.all.get_mut(id)?;
        person.is_in = true;
        Some(person)
    }

    /// Somebody goes.
    pub(super) fn remove(&mut self, id: &PeerId) -> Option<Person> {
        self.audience = None;
        if self.speaker.as_ref() == Some(id) {
            self.speaker = None;
        }
        self.all.remove(id)
    }

    pub(super) fn get(&self, id: &PeerId) -> Option<&Person> {
        self.all.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &PeerId) -> Option<&mut Person> {
        self.all.get_mut(id)
    }

    /// Those who are in, in the order in which they came.
    pub(super) fn present(&self) -> Vec<&Person> {
        let mut present: Vec<&Person> = self.all.values().filter(|person| person.is_in).collect();
        present.sort_unstable_by_key(|person| person.order);
        present
    }

    /// How many are in.
    pub(super) fn len(&self) -> usize {
        self.all.values().filter(|person| person.is_in).count()
    }

    /// Whether there is nobody, not even on the way in.
    pub(super) fn is_deserted(&self) -> bool {
        self.all.is_empty()
    }

    /// All, also those on the way in.
    pub(super) fn ids(&self) -> Vec<PeerId> {
        self.all.keys().cloned().collect()
    }

    /// All participants of a user.
    pub(super) fn of_user(&self, user: &str) -> Vec<PeerId> {
        let all = self.all.values();
        all.filter(|person| person.who.subject.user() == Some(user))
            .map(|person| person.id.clone())
            .collect()
    }

    /// Those whom a client means by an id: a participant, or all of a user's.
    pub(super) fn named(&self, id: &str) -> Vec<&Person> {
        match self.all.get(&PeerId::new(id)) {
            Some(person) if person.is_in => vec![person],
            _ => {
                let mut present = self.present();
                present.retain(|person| person.who.subject.id() == id);
                present
            }
        }
    }

    /// Notes the encoding that somebody has used.
    pub(super) fn note_encoding(&mut self, id: &PeerId, encoding: Encoding) {
        if let Some(person) = self.all.get_mut(id)
            && person.encoding != encoding
        {
            person.encoding = encoding;
            self.audience = None;
        }
    }

    /// Who is told what is for all.
    pub(super) fn audience(&mut self) -> Arc<Audience> {
        if let Some(audience) = &self.audience {
            return Arc::clone(audience);
        }
        let audience = Arc::new(Audience::of(self.present()));
        self.audience = Some(Arc::clone(&audience));
        audience
    }

    /// Notes who speaks; tells whether the room does not know yet.
    pub(super) fn note_speaker(&mut self, id: &PeerId) -> bool {
        let is_news = self.speaker.as_ref() != Some(id);
        self.speaker = Some(id.clone());
        is_news
    }

    /// As `/participants` shows them.
    pub(super) fn listed(&self) -> Vec<Data> {
        let present = self.present().into_iter();
        present
            .map(|person| {
                let speaks = self.speaker.as_ref() == Some(&person.id) && !person.audio_muted;
                person.listed(speaks)
            })
            .collect()
    }
}

impl Audience {
    pub(super) fn of<'p>(people: impl IntoIterator<Item = &'p Person>) -> Self {
        let (mut messagepack, mut json) = (Vec::new(), Vec::new());
        for person in people {
            match person.encoding {
                Encoding::MessagePack => messagepack.push(person.id.clone()),
                Encoding::Json => json.push(person.id.clone()),
            }
        }
        Self {
            messagepack: messagepack.into(),
            json: json.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Entrant {
        Entrant {
            subject: Subject::User("ann".to_owned()),
            name: "Ann".to_owned(),
            role: Role::Participant,
            permissions: Permissions::default(),
        }
    }

    fn entered(people: &mut People, id: &str) -> PeerId {
        let id = PeerId::new(id);
        people
            .take_place(id.clone(), ann(), 10, DateTime::now())
            .unwrap();
        people.enter(&id).unwrap();
        id
    }

    #[test]
    fn places_are_taken_before_anybody_is_seen() {
        let mut people = People::default();
        let one = PeerId::new("one");
        let now = DateTime::now();
        assert!(people.take_place(one.clone(), ann(), 1, now).is_ok());
        let full = people.take_place(PeerId::new("two"), ann(), 1, now);
        assert_eq!(full.err(), Some(NoPlace::Full));
        assert_eq!((people.len(), people.is_deserted()), (0, false));
        assert!(people.audience().messagepack.is_empty());
        people.enter(&one).unwrap();
        assert_eq!((people.len(), people.audience().messagepack.len()), (1, 1));
        people.remove(&one).unwrap();
        assert!(people.is_deserted() && people.enter(&one).is_none());
    }

    #[test]
    fn nobody_takes_all_places() {
        let mut people = People::default();
        let now = DateTime::now();
        for tab in 0..TABS_MAX {
            let id = PeerId::new(&tab.to_string());
            people.take_place(id, ann(), 50, now).unwrap();
        }
        let more = people.take_place(PeerId::new("more"), ann(), 50, now);
        assert_eq!(more.err(), Some(NoPlace::TooManyTabs));
    }

    #[test]
    fn an_audience_follows_the_encodings() {
        let mut people = People::default();
        let (one, two) = (entered(&mut people, "one"), entered(&mut people, "two"));
        assert_eq!(people.audience().messagepack.len(), 2);
        people.note_encoding(&two, Encoding::Json);
        let audience = people.audience();
        assert_eq!(*audience.messagepack, [one]);
        assert_eq!(*audience.json, [two]);
    }

    #[test]
    fn who_was_muted_by_a_host_is_heard_again_by_its_own_word() {
        let mut people = People::default();
        let id = entered(&mut people, "one");
        let person = people.get_mut(&id).unwrap();
        person.silence();
        assert!(!person.publishing().audio && person.audio_muted);
        let hand = StateChange {
            hand_raised: Some(true),
            ..StateChange::default()
        };
        assert!(!person.apply(hand) && !person.publishing().audio);
        let unmuted = StateChange {
            audio_muted: Some(false),
            ..StateChange::default()
        };
        assert!(person.apply(unmuted) && person.publishing().audio);
        person.who.permissions.speak = false;
        person.silence();
        assert!(!person.apply(unmuted) && !person.publishing().audio);
    }

    #[test]
    fn ids_name_participants_or_users() {
        let mut people = People::default();
        let one = entered(&mut people, "one");
        entered(&mut people, "two");
        assert_eq!(people.named("one").len(), 1);
        assert_eq!(people.named("ann").len(), 2);
        assert!(people.named("bob").is_empty());
        people.note_speaker(&one);
        people.remove(&one);
        assert_eq!(people.named("ann").len(), 1);
        assert!(people.note_speaker(&one));
    }
}
