//! How items of a subscriber look on the wire.

use bytes::{Bytes, BytesMut};

use super::position::print_positions;
use crate::base::json::write_str;
use crate::bus::{EventId, Item, Topic, write_data_lines};

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
pub fn several_topics(mut positions: Vec<(Topic, EventId)>) -> Encode {
    Box::new(move |item, out| match item {
        Item::Event(event) => {
            if let Some((_, id)) = positions
                .iter_mut()
                .find(|(topic, _)| topic == event.topic())
            {
                *id = event.id();
            }
            let id = print_positions(positions.iter().map(|(topic, id)| (topic, *id)));
            let name = event.topic().as_str();
            for part in ["id:", id.as_str(), "\nevent:", name, "\n"] {
                out.extend_from_slice(part.as_bytes());
            }
            out.extend_from_slice(&event.data_lines());
        }
        Item::Frame(frame) => out.extend_from_slice(&frame),
        Item::Gap(topic) => write_gap(out, &topic),
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
