//! The event id of a stream of several topics: the position in each.

use std::fmt::Write;

use crate::bus::{EventId, Topic};

/// Prints positions as `<topic>:<id>`, joined with commas; in names all but letters, digits and `-._~/` is percent
/// encoded, so that the text fits into a header.
pub fn print_positions<'a>(positions: impl IntoIterator<Item = (&'a Topic, EventId)>) -> String {
    let mut out = String::new();
    for (topic, id) in positions {
        if !out.is_empty() {
            out.push(',');
        }
        for byte in topic.as_str().bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                out.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
        let _ = write!(out, ":{id}");
    }
    out
}

/// Reads what [`print_positions`] wrote. Entries that are none are left out: their topics start as new ones.
pub fn parse_positions(text: &str) -> Vec<(Topic, EventId)> {
    text.split(',').filter_map(parse_entry).collect()
}

fn parse_entry(entry: &str) -> Option<(Topic, EventId)> {
    let (name, id) = entry.trim().split_once(':')?;
    let mut bytes = name.bytes();
    let mut decoded = Vec::with_capacity(name.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            plain => plain,
        });
    }
    let topic = Topic::new(std::str::from_utf8(&decoded).ok()?).ok()?;
    Some((topic, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn positions_look_like_topic_colon_id() {
        let topics = ["post_events", "room/é,1"].map(|name| Topic::new(name).unwrap());
        let ids = [
            EventId { boot: 0xab, seq: 1 },
            EventId {
                boot: 0xab,
                seq: 22,
            },
        ];
        let text = print_positions(topics.iter().zip(ids));
        assert_eq!(text, "post_events:ab-1,room/%C3%A9%2C1:ab-22");
    }

    #[test]
    fn entries_that_are_none_are_left_out() {
        assert_eq!(parse_positions(""), []);
        assert_eq!(parse_positions("a,b:,c:1,%zz:1-1,:1-1,d%0A:1-1"), []);
        assert_eq!(parse_positions("x, a:1-2").len(), 1);
    }

    proptest! {
        #[test]
        fn positions_print_and_parse_alike(entries in prop::collection::vec(("[^\\p{Cc}]{1,12}", any::<u64>(), any::<u64>()), 0..4)) {
            let entries: Vec<_> = entries
                .into_iter()
                .map(|(name, boot, seq)| (Topic::new(&name).unwrap(), EventId { boot, seq }))
                .collect();
            let text = print_positions(entries.iter().map(|(topic, id)| (topic, *id)));
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(parse_positions(&text), entries);
        }
    }
}
