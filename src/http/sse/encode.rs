//! How items of a subscriber look on the wire.

use bytes::{Bytes, BytesMut};

use super::position::print_positions;
use crate::base::json::write_str;
use crate::bus::{Event, EventId, Item, Topic, write_data_lines};

/// Appends an item to a chunk, or leaves it out. A stream whose subscribers do not all see everything filters here.
pub type Encode = Box<dyn FnMut(Item, &mut BytesMut)>;

/// A message for [`crate::bus::Bus::deliver`]: `event:<name>\ndata:<data>\n\n`. Line breaks in the name are dropped.
pub fn frame(event: &str, data: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(event.len() + data.len() + 24);
    out.extend_from_slice(b"event:");
    out.extend(event.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    out.push(b'\n');
    write_data_lines(&mut out, data);
    out.into()
}

/// For streams that are fed by [`crate::bus::Bus::deliver`]: each frame behind `id:<id>\n`, which PocketBase's realtime
/// sets to the client's id.
pub fn frames(id: &str) -> Encode {
    let id_line = format!("id:{id}\n");
    Box::new(move |item, out| {
        if matches!(item, Item::Frame(_) | Item::Event(_)) {
            out.extend_from_slice(id_line.as_bytes());
        }
        match item {
            Item::Frame(frame) => out.extend_from_slice(&frame),
            Item::Event(event) => out.extend_from_slice(&event.data_lines()),
            Item::Gap(topic) => write_gap(out, &topic),
            Item::Lagged => write_lagged(out),
        }
    })
}

/// For streams of one topic: unnamed events with the topic's ids.
pub fn one_topic() -> Encode {
    Box::new(|item, out| match item {
        Item::Event(event) => out.extend_from_slice(event.frame()),
        Item::Frame(frame) => out.extend_from_slice(&frame),
        Item::Gap(topic) => write_gap(out, &topic),
        Item::Lagged => write_lagged(out),
    })
}

/// For streams of several topics: `event:` names the topic, and the id the position in each, beginning with those at
/// which the topics were joined.
pub fn several_topics(positions: Vec<(Topic, EventId)>) -> Encode {
    resumable(Positions::several(positions), Box::new(|_| true))
}

/// Whether the reader of a stream may see an event.
pub type Sees = Box<dyn FnMut(&Event) -> bool>;

/// Where a stream is in its topics, which its ids tell.
#[derive(Clone, Debug)]
pub struct Positions {
    topics: Vec<(Topic, EventId)>,
    /// Ids name the topics, and so do the events.
    named: bool,
}

impl Positions {
    /// Of a stream of one topic: unnamed events, plain ids.
    pub fn one(topic: Topic, from: EventId) -> Self {
        Self {
            topics: vec![(topic, from)],
            named: false,
        }
    }

    /// Of a stream of several topics.
    pub fn several(topics: Vec<(Topic, EventId)>) -> Self {
        Self {
            topics,
            named: true,
        }
    }

    /// `id:<id>\n\n`: a client takes the id to resume by and sees no event (WHATWG HTML, "Server-sent events", 9.2.6).
    pub fn id_alone(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.write_id(&mut out);
        out.extend_from_slice(b"\n");
        out.freeze()
    }

    fn advance(&mut self, event: &Event) {
        let mut topics = self.topics.iter_mut();
        if let Some((_, id)) = topics.find(|(topic, _)| topic == event.topic()) {
            *id = event.id();
        }
    }

    fn write_id(&self, out: &mut BytesMut) {
        out.extend_from_slice(b"id:");
        let topics = self.topics.iter().map(|(topic, id)| (topic, *id));
        match self.topics.first() {
            Some((_, id)) if !self.named => out.extend_from_slice(id.to_string().as_bytes()),
            _ => out.extend_from_slice(print_positions(topics).as_bytes()),
        }
        out.extend_from_slice(b"\n");
    }

    fn write_event(&self, out: &mut BytesMut, event: &Event) {
        if !self.named {
            out.extend_from_slice(event.frame());
            return;
        }
        self.write_id(out);
        for part in ["event:", event.topic().as_str(), "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(&event.data_lines());
    }
}

/// For streams of topics that begin at `positions`, without what their reader may not see. So that such a reader does
/// not fall behind the log, the id goes out alone now and then.
pub fn resumable(mut positions: Positions, mut sees: Sees) -> Encode {
    /// Events that may be left out before the id goes out.
    const UNSEEN_MAX: u32 = 32;
    let mut unseen = 0;
    Box::new(move |item, out| match item {
        Item::Event(event) => {
            positions.advance(&event);
            if sees(&event) {
                unseen = 0;
                positions.write_event(out, &event);
                return;
            }
            unseen += 1;
            if unseen >= UNSEEN_MAX {
                unseen = 0;
                out.extend_from_slice(&positions.id_alone());
            }
        }
        Item::Frame(frame) => out.extend_from_slice(&frame),
        Item::Gap(topic) => {
            positions.write_id(out);
            write_gap(out, &topic);
        }
        Item::Lagged => write_lagged(out),
    })
}

fn write_gap(out: &mut BytesMut, topic: &Topic) {
    let mut data = b"{\"topic\":".to_vec();
    write_str(&mut data, topic.as_str());
    data.push(b'}');
    out.extend_from_slice(&frame("gap", &data));
}

fn write_lagged(out: &mut BytesMut) {
    out.extend_from_slice(b"event:lagged\ndata:{}\n\n");
}
