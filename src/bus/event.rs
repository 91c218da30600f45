//! Events, their ids and their one encoding.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use super::log::LogLimits;
use super::topic::Topic;

/// The place of an event in its topic: printed as `<boot>-<n>`, such as `3f2a9c01b7de-42`.
///
/// `seq` grows by one per event of a topic. `boot` names the run of the server that gave the id; ids of another run mean
/// a gap, never a wrong position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId {
    /// The run of the server, printed in lower-case hexadecimal.
    pub boot: u64,
    /// The position in the topic, from 1.
    pub seq: u64,
}

/// A text that is no event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event id looks like 3f2a9c01b7de-42")]
pub struct EventIdError;

impl fmt::Display for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:x}-{}", self.boot, self.seq)
    }
}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, EventIdError> {
        let (boot, seq) = text.split_once('-').ok_or(EventIdError)?;
        // The standard parsers take a leading plus sign, which no id has.
        if boot.starts_with('+') || seq.starts_with('+') {
            return Err(EventIdError);
        }
        Ok(Self {
            boot: u64::from_str_radix(boot, 16).map_err(|_| EventIdError)?,
            seq: seq.parse().map_err(|_| EventIdError)?,
        })
    }
}

/// Whom an event is meant for: ids, sorted. The bus carries them along; who encodes for a reader looks at them.
pub type Readers = Arc<[Box<str>]>;

/// What a publisher hands over: the payload, and whether the topic shall keep a log of it.
#[derive(Clone, Debug)]
pub struct Message {
    /// The payload, usually JSON text.
    pub data: Bytes,
    /// Whom it is meant for; `None` is every subscriber.
    pub readers: Option<Readers>,
    /// A name to take it back by; see [`crate::bus::Bus::retract`].
    pub key: Option<Arc<str>>,
    /// When set, a topic without a log gets one with these limits, which lasts until it is empty and unwatched.
    pub log: Option<LogLimits>,
}

impl Message {
    /// A message which is logged only if its topic has a log already.
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self {
            data: data.into(),
            readers: None,
            key: None,
            log: None,
        }
    }

    /// The same message, meant for these readers alone.
    #[must_use]
    pub fn for_readers<'a>(mut self, ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut ids: Vec<Box<str>> = ids.into_iter().map(Box::from).collect();
        ids.sort_unstable();
        self.readers = Some(ids.into());
        self
    }

    /// The same message under a name to take it back by.
    #[must_use]
    pub fn keyed(mut self, key: &str) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same message, with a log of its topic.
    #[must_use]
    pub fn logged(mut self, limits: LogLimits) -> Self {
        self.log = Some(limits);
        self
    }
}

/// A published event: its id and its bytes, shared by the log and by all subscribers.
#[derive(Debug)]
pub struct Event {
    topic: Topic,
    id: EventId,
    frame: Bytes,
    data_lines_at: usize,
    data: Bytes,
    readers: Option<Readers>,
    key: Option<Arc<str>>,
}

impl Event {
    pub(super) fn encode(topic: Topic, id: EventId, message: Message) -> Self {
        let data = message.data;
        let mut frame = Vec::with_capacity(data.len() + 48);
        frame.extend_from_slice(format!("id:{id}\n").as_bytes());
        let data_lines_at = frame.len();
        write_data_lines(&mut frame, &data);
        let frame = Bytes::from(frame);
        // A payload of one line stands in the frame as it is: share it instead of keeping both.
        let inner = data_lines_at + "data:".len()..frame.len() - "\n\n".len();
        let data = if frame.get(inner.clone()) == Some(&data) {
            frame.slice(inner)
        } else {
            data
        };
        Self {
            topic,
            id,
            frame,
            data_lines_at,
            data,
            readers: message.readers,
            key: message.key,
        }
    }

    /// The topic it was published to.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Its id.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// The payload as the publisher gave it.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The SSE message of a stream of this one topic: `id:<id>\ndata:<payload>\n\n`.
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// The end of [`Event::frame`] from `data:` on, for streams that write an `id:` or `event:` line of their own.
    pub fn data_lines(&self) -> Bytes {
        self.frame.slice(self.data_lines_at..)
    }

    /// Whether it is meant for everybody, or for this id among others.
    pub fn is_for(&self, id: &str) -> bool {
        match &self.readers {
            None => true,
            Some(readers) => readers.binary_search_by(|own| (**own).cmp(id)).is_ok(),
        }
    }

    /// Whether it is meant for every subscriber.
    pub fn is_for_all(&self) -> bool {
        self.readers.is_none()
    }

    /// The name it can be taken back by.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// What it counts for in byte bounds.
    pub(super) fn weight_bytes(&self) -> usize {
        /// A short id with its pointer.
        const READER_BYTES: usize = 32;
        let readers = self.readers.as_ref().map_or(0, |readers| readers.len());
        self.frame.len() + readers * READER_BYTES
    }
}

/// Appends `data:` lines and the empty line that ends an SSE message
/// (WHATWG HTML, "Server-sent events", 9.2.6: CR, LF and CRLF each end a line, so each starts a new `data:` line).
pub fn write_data_lines(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(b"data:");
    let mut after_cr = false;
    for piece in data.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        match piece.split_last() {
            // The second half of CRLF.
            Some((b'\n', [])) if after_cr => after_cr = false,
            Some((end @ (b'\n' | b'\r'), line)) => {
                out.extend_from_slice(line);
                out.extend_from_slice(b"\ndata:");
                after_cr = *end == b'\r';
            }
            _ => {
                out.extend_from_slice(piece);
                after_cr = false;
            }
        }
    }
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(data: &'static str) -> Event {
        let topic = Topic::new("t").expect("valid");
        Event::encode(topic, EventId { boot: 0xab, seq: 7 }, Message::new(data))
    }

    #[test]
    fn a_frame_has_no_space_after_the_colon() {
        let event = event(r#"{"a":1}"#);
        assert_eq!(event.frame(), "id:ab-7\ndata:{\"a\":1}\n\n");
        assert_eq!(event.data_lines(), "data:{\"a\":1}\n\n");
        assert_eq!(event.data(), r#"{"a":1}"#);
    }

    #[test]
    fn line_breaks_cannot_end_a_message_early() {
        let event = event("a\n\nid:evil\r\nb\rc");
        assert_eq!(
            event.frame(),
            "id:ab-7\ndata:a\ndata:\ndata:id:evil\ndata:b\ndata:c\n\n"
        );
        assert_eq!(event.data(), "a\n\nid:evil\r\nb\rc");
    }

    #[test]
    fn a_payload_of_one_line_is_kept_once() {
        let event = event("one line");
        let frame = event.frame().as_ptr_range();
        assert!(frame.contains(&event.data().as_ptr()));
    }

    #[test]
    fn readers_are_found_in_any_order() {
        let topic = Topic::new("t").expect("valid");
        let id = EventId { boot: 1, seq: 1 };
        let message = Message::new("x").for_readers(["c", "a", "b"]).keyed("k");
        let event = Event::encode(topic, id, message);
        assert!(["a", "b", "c"].iter().all(|reader| event.is_for(reader)));
        assert!(!event.is_for("d") && !event.is_for("") && !event.is_for_all());
        assert_eq!(event.key(), Some("k"));
    }

    #[test]
    fn texts_that_are_no_ids_are_refused() {
        for text in [
            "",
            "-",
            "1",
            "g-1",
            "1-x",
            "1-",
            "-1",
            "1--1",
            "+1-1",
            "1-+1",
            "1-99999999999999999999",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(EventIdError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn ids_print_and_parse_alike(boot: u64, seq: u64) {
            let id = EventId { boot, seq };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn data_lines_read_back_as_the_text(text in "[a-c\r\n]{0,12}") {
            let mut out = Vec::new();
            write_data_lines(&mut out, text.as_bytes());
            let out = String::from_utf8(out).expect("utf-8");
            let body = out.strip_suffix("\n\n").expect("ends a message");
            let lines: Vec<_> = body.split('\n').map(|l| l.strip_prefix("data:").expect("data line")).collect();
            prop_assert_eq!(lines.join("\n"), text.replace("\r\n", "\n").replace('\r', "\n"));
        }
    }
}
