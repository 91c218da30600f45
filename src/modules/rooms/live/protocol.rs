//! The messages of the channels `events` and `fast`: what clients say, read without trust, and what they are told.
//!
//! `{"type":string,"room_id":string,"data":map,"timestamp":int}` as MessagePack (binary) or JSON (text). Of what a client
//! sends, `timestamp` may be anything, since the server gives the time, and `room_id` may be missing.

use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::value::{self, DEPTH_MAX, Data, Members};
use crate::sfu::{Candidate, Choice, Layer, Payload, Source};

/// Most bytes of a message, either way (`a=max-message-size`).
pub(super) const MESSAGE_BYTES_MAX: usize = 256 << 10;
/// Most bytes of a chat message in JSON: what is told of it has room for more beside.
const CHAT_BYTES_MAX: usize = MESSAGE_BYTES_MAX - (4 << 10);
const REACTION_CHARS_MAX: usize = 64;
const TYPE_CHARS_MAX: usize = 64;
const ID_CHARS_MAX: usize = 64;
/// Most values of a location, which is a handful of numbers.
const LOCATION_VALUES_MAX: usize = 64;

/// How a message is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    #[default]
    MessagePack,
    Json,
}

impl Encoding {
    pub(super) fn of(payload: &Payload) -> Self {
        match payload {
            Payload::Binary(_) => Self::MessagePack,
            Payload::Text(_) => Self::Json,
        }
    }
}

/// What a client says.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Chat {
        text: String,
    },
    Reaction {
        kind: String,
    },
    Location {
        location: Members,
    },
    State(StateChange),
    Custom {
        /// A participant or a user; all where it is not said.
        to: Option<String>,
        data: Members,
    },
    Offer {
        sdp: String,
    },
    Answer {
        sdp: String,
        seq: Option<u64>,
    },
    Candidate(Candidate),
    Subscribe(Wish),
}

impl Message {
    /// The name on the wire.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Chat { .. } => "chat",
            Self::Reaction { .. } => "reaction",
            Self::Location { .. } => "location",
            Self::State(_) => "state",
            Self::Custom { .. } => "custom",
            Self::Offer { .. } => "offer",
            Self::Answer { .. } => "answer",
            Self::Candidate(_) => "candidate",
            Self::Subscribe(_) => "subscribe",
        }
    }

    /// Whether it is for the media plane and not for others in the room.
    pub(super) fn is_signalling(&self) -> bool {
        matches!(
            self,
            Self::Offer { .. } | Self::Answer { .. } | Self::Candidate(_) | Self::Subscribe(_)
        )
    }
}

/// What a participant changes of its state; what is not said stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StateChange {
    pub(super) audio_muted: Option<bool>,
    pub(super) video_off: Option<bool>,
    pub(super) screen_sharing: Option<bool>,
    pub(super) hand_raised: Option<bool>,
}

/// What a subscriber wants of a publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) publisher: String,
    /// All tracks where it is empty.
    pub(super) sources: Vec<Source>,
    pub(super) choice: Choice,
}

/// Why a message is refused, as its sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) code: &'static str,
    pub(super) message: String,
    /// The type of the message, where it could be read.
    pub(super) in_reply_to: Option<String>,
}

impl Problem {
    pub(super) fn new(code: &'static str, message: impl Into<String>, kind: &str) -> Self {
        Self {
            code,
            message: message.into(),
            in_reply_to: Some(kind.to_owned()),
        }
    }

    fn unreadable(message: &str) -> Self {
        Self {
            code: "malformed",
            message: message.to_owned(),
            in_reply_to: None,
        }
    }

    /// As the data of an `error`.
    pub(super) fn into_data(self) -> Data {
        Data::map([
            ("code", self.code.into()),
            ("message", self.message.into()),
            ("in_reply_to", self.in_reply_to.as_deref().into()),
        ])
    }
}

/// Reads what a client sent to a room.
///
/// # Errors
/// What is wrong with it, for its sender.
pub(super) fn read(payload: &Payload, room: &str) -> Result<Message, Problem> {
    let parsed = match payload {
        Payload::Text(text) if text.len() > MESSAGE_BYTES_MAX => None,
        Payload::Binary(bytes) if bytes.len() > MESSAGE_BYTES_MAX => None,
        Payload::Text(text) => read_json(text),
        Payload::Binary(bytes) => read_messagepack(bytes),
    };
    let Some(Data::Map(mut message)) = parsed else {
        let what = "The message is no map in MessagePack (binary) or JSON (text).";
        return Err(Problem::unreadable(what));
    };
    let kind = match message.text("type") {
        Some(kind) if !kind.is_empty() && kind.chars().count() <= TYPE_CHARS_MAX => kind.to_owned(),
        _ => return Err(Problem::unreadable("type must be a short text.")),
    };
    let wrong = |what: &str| Problem::new("malformed", what, &kind);
    match message.get("room_id") {
        None | Some(Data::Null) => {}
        Some(Data::Text(id)) if id.is_empty() || id == room => {}
        Some(Data::Text(_)) => {
            return Err(Problem::new("wrong_room", "This is another room.", &kind));
        }
        Some(_) => return Err(wrong("room_id must be a text.")),
    }
    let data = match message.take("data") {
        None | Some(Data::Null) => Members::default(),
        Some(Data::Map(data)) => data,
        Some(_) => return Err(wrong("data must be a map.")),
    };
    match kind.as_str() {
        "chat" => chat(&data),
        "reaction" => {
            text(&data, "type", REACTION_CHARS_MAX).map(|kind| Message::Reaction { kind })
        }
        "location" => location(data),
        "state" => state(&data).map(Message::State),
        "custom" => custom(data),
        "offer" => sdp(&data).map(|sdp| Message::Offer { sdp }),
        "answer" => answer(&data),
        "candidate" => candidate(&data).map(Message::Candidate),
        "subscribe" => wish(&data).map(Message::Subscribe),
        _ => {
            let what = "There is no message of this type.";
            return Err(Problem::new("unknown_type", what, &kind));
        }
    }
    .map_err(|what| wrong(&what))
}

fn read_json(text: &str) -> Option<Data> {
    let mut from = serde_json::Deserializer::from_str(text);
    let data = value::read(&mut from).ok()?;
    from.end().ok()?;
    Some(data)
}

fn read_messagepack(bytes: &[u8]) -> Option<Data> {
    let mut from = rmp_serde::Deserializer::new(std::io::Cursor::new(bytes));
    // Ours is the one that counts; this one guards what the reader skips by itself.
    from.set_max_depth(2 * DEPTH_MAX);
    let data = value::read(&mut from).ok()?;
    (from.position() == bytes.len() as u64).then_some(data)
}

/// A text that must be there.
fn text(data: &Members, name: &str, chars_max: usize) -> Result<String, String> {
    match data.text(name) {
        Some(text) if text.is_empty() => Err(format!("{name} cannot be blank.")),
        Some(text) if text.chars().count() > chars_max => Err(format!(
            "{name} must be no more than {chars_max} characters."
        )),
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("{name} must be a text.")),
    }
}

fn chat(data: &Members) -> Result<Message, String> {
    let text = text(data, "message", CHAT_BYTES_MAX)?;
    if !fits_chat(&text) {
        return Err("message is too long.".to_owned());
    }
    Ok(Message::Chat { text })
}

/// Whether a chat can be told to everybody, whatever encoding they use.
pub(super) fn fits_chat(text: &str) -> bool {
    // A character is at most six bytes longer in JSON.
    if text.len() <= CHAT_BYTES_MAX / 8 {
        return true;
    }
    serde_json::to_string(text).is_ok_and(|text| text.len() <= CHAT_BYTES_MAX)
}

fn location(mut data: Members) -> Result<Message, String> {
    match data.take("location") {
        Some(Data::Map(location)) if location.count() <= LOCATION_VALUES_MAX => {
            Ok(Message::Location { location })
        }
        _ => Err("location must be a map.".to_owned()),
    }
}

fn state(data: &Members) -> Result<StateChange, String> {
    let flag = |name: &str| match data.get(name) {
        None | Some(Data::Null) => Ok(None),
        Some(Data::Flag(flag)) => Ok(Some(*flag)),
        Some(_) => Err(format!("{name} must be true or false.")),
    };
    Ok(StateChange {
        audio_muted: flag("audio_muted")?,
        video_off: flag("video_off")?,
        screen_sharing: flag("screen_sharing")?,
        hand_raised: flag("hand_raised")?,
    })
}

fn custom(data: Members) -> Result<Message, String> {
    let to = match data.get("to") {
        None | Some(Data::Null) => None,
        Some(Data::Text(to)) if to.is_empty() => None,
        Some(Data::Text(to)) if to.chars().count() <= ID_CHARS_MAX => Some(to.clone()),
        Some(_) => return Err("to must be the id of a participant.".to_owned()),
    };
    Ok(Message::Custom { to, data })
}

fn sdp(data: &Members) -> Result<String, String> {
    text(data, "sdp", MESSAGE_BYTES_MAX)
}

fn answer(data: &Members) -> Result<Message, String> {
    let seq = match data.get("seq") {
        None | Some(Data::Null) => None,
        Some(_) => Some(data.whole("seq").ok_or("seq must be a whole number.")?),
    };
    let sdp = sdp(data)?;
    Ok(Message::Answer { sdp, seq })
}

fn candidate(data: &Members) -> Result<Candidate, String> {
    let optional = |name: &str| match data.get(name) {
        None | Some(Data::Null) => Ok(None),
        Some(Data::Text(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{name} must be a text.")),
    };
    let line = match data.get("sdpMLineIndex") {
        None | Some(Data::Null) => None,
        Some(_) => {
            let line = data.whole("sdpMLineIndex");
            let line = line.and_then(|line| u16::try_from(line).ok());
            Some(line.ok_or("sdpMLineIndex must be a small number.")?)
        }
    };
    Ok(Candidate {
        candidate: optional("candidate")?.unwrap_or_default(),
        mid: optional("sdpMid")?,
        line,
    })
}

fn wish(data: &Members) -> Result<Wish, String> {
    let publisher = text(data, "participant_id", ID_CHARS_MAX)?;
    let sources = match data.get("kind") {
        None | Some(Data::Null) => Vec::new(),
        Some(_) => match data.text("kind") {
            Some("audio" | "mic") => vec![Source::Mic],
            Some("video") => vec![Source::Camera, Source::Screen],
            Some("camera") => vec![Source::Camera],
            Some("screen") => vec![Source::Screen],
            _ => return Err("kind must be audio, video, camera or screen.".to_owned()),
        },
    };
    let choice = match data.get("layer") {
        _ if data.flag("off") == Some(true) => Choice::Off,
        None | Some(Data::Null) => Choice::Auto,
        Some(_) => match data.text("layer") {
            Some("off") => Choice::Off,
            Some("auto") => Choice::Auto,
            Some(rid) => Choice::Layer(Layer::from_rid(rid).ok_or(LAYERS)?),
            None => return Err(LAYERS.to_owned()),
        },
    };
    Ok(Wish {
        publisher,
        sources,
        choice,
    })
}

const LAYERS: &str = "layer must be q, h, f, auto or off.";

/// What clients are told.
#[derive(Clone, Debug)]
pub(super) struct Notice<'a> {
    pub(super) kind: &'a str,
    pub(super) room: &'a str,
    pub(super) data: Data,
    /// Unix seconds.
    pub(super) timestamp: i64,
}

impl Notice<'_> {
    /// As it goes over a channel; `None` where it would be longer than a message may be.
    pub(super) fn encode(&self, encoding: Encoding) -> Option<Payload> {
        match encoding {
            Encoding::MessagePack => {
                // Values of ours are never refused by a writer into memory.
                let bytes = rmp_serde::to_vec(self).ok()?;
                (bytes.len() <= MESSAGE_BYTES_MAX).then(|| Payload::Binary(bytes.into()))
            }
            Encoding::Json => {
                let text = serde_json::to_string(self).ok()?;
                (text.len() <= MESSAGE_BYTES_MAX).then(|| Payload::Text(Arc::from(text)))
            }
        }
    }
}

impl Serialize for Notice<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(4))?;
        map.serialize_entry("type", self.kind)?;
        map.serialize_entry("room_id", self.room)?;
        map.serialize_entry("data", &self.data)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.end()
    }
}

#[cfg(test)]
mod tests;
