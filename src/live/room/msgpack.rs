//! MessagePack from and to JSON text. What clients send is not trusted: it is read in one pass, within bounds, and
//! whatever is wrong with it is an error.

use std::fmt;

use rmp_serde::Deserializer;
use rmp_serde::decode::Error as DecodeError;
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use crate::base::json::{self as text, DEPTH_MAX};

/// Integers beyond these are no integers in JavaScript, and floats that hold them are left floats.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Turns one MessagePack value into JSON text. Whole floats become integers, as JavaScript's numbers are written.
///
/// # Errors
/// A sentence without the content: the value is cut short, nested deeper than request bodies may be, followed by something,
/// or holds what JSON has not (binary data, extensions, keys that are no texts, numbers that are none).
pub(super) fn to_json(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 2);
    let mut input = Deserializer::from_read_ref(bytes);
    input.set_max_depth(DEPTH_MAX + 1);
    let refused = |error: DecodeError| match error {
        DecodeError::Syntax(why) => format!("The message is refused: {why}."),
        DecodeError::DepthLimitExceeded => {
            format!("The message is nested deeper than {DEPTH_MAX} levels.")
        }
        _ => "The message is no whole MessagePack value.".to_owned(),
    };
    Write(&mut out).deserialize(&mut input).map_err(refused)?;
    // Nothing may follow: the next thing to read is the end.
    match IgnoredAny::deserialize(&mut input) {
        Err(DecodeError::InvalidMarkerRead(_)) => Ok(out),
        _ => Err("The message holds more than one MessagePack value.".to_owned()),
    }
}

/// Turns JSON text into MessagePack.
///
/// # Errors
/// When the text is no JSON.
pub(super) fn from_json(json: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let value: Json = serde_json::from_slice(json)?;
    // Values of JSON can always be written.
    rmp_serde::to_vec(&value).map_err(serde::ser::Error::custom)
}

/// Writes a value as JSON text while it is read.
struct Write<'o>(&'o mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Write<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Write<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what JSON has too")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        text::write_bool(self.0, value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        text::write_i64(self.0, value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        text::write_u64(self.0, value);
        Ok(())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and within the bounds of exact integers"
    )]
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        if !value.is_finite() {
            return Err(E::custom("a number is not finite"));
        }
        if value.trunc() == value && value.abs() < EXACT_MAX {
            text::write_i64(self.0, value as i64);
        } else {
            text::write_f64(self.0, value);
        }
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        text::write_str(self.0, value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.push(b'[');
        let mut count = 0usize;
        loop {
            let start = self.0.len();
            if count > 0 {
                self.0.push(b',');
            }
            if items.next_element_seed(Write(self.0))?.is_none() {
                self.0.truncate(start);
                break;
            }
            count += 1;
        }
        self.0.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.push(b'{');
        let mut count = 0usize;
        loop {
            let start = self.0.len();
            if count > 0 {
                self.0.push(b',');
            }
            if members.next_key_seed(Key(self.0))?.is_none() {
                self.0.truncate(start);
                break;
            }
            self.0.push(b':');
            members.next_value_seed(Write(self.0))?;
            count += 1;
        }
        self.0.push(b'}');
        Ok(())
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<(), E> {
        Err(E::custom("binary data has no place in a request"))
    }

    fn visit_newtype_struct<D: serde::Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        Err(D::Error::custom("extensions are not known here"))
    }
}

/// Writes a key, which must be a text.
struct Key<'o>(&'o mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is a text")
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        text::write_str(self.0, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Json, String> {
        to_json(bytes).map(|text| serde_json::from_slice(&text).unwrap())
    }

    #[test]
    fn values_of_json_come_back() {
        let value =
            json!({"a": [1, -2, 2.5, true, null, "é\"\n"], "b": {}, "c": [], "d": {"e": [[]]}});
        let packed = from_json(value.to_string().as_bytes()).unwrap();
        assert_eq!(read(&packed).unwrap(), value);
    }

    #[test]
    fn whole_floats_are_integers() {
        let mut packed = vec![0x92, 0xcb];
        packed.extend_from_slice(&10.0f64.to_be_bytes());
        packed.push(0xca);
        packed.extend_from_slice(&0.5f32.to_be_bytes());
        assert_eq!(to_json(&packed).unwrap(), b"[10,0.5]");
    }

    #[test]
    fn what_json_has_not_is_refused() {
        let infinite = [&[0xcb][..], &f64::INFINITY.to_be_bytes()].concat();
        for (packed, why) in [
            (&[0x81, 0x01, 0x02][..], "a key that is a text"),
            (&[0x81, 0xc0, 0x02], "a key that is a text"),
            (&[0xc4, 0x01, 0x00], "binary data"),
            (&[0xd4, 0x01, 0x00], "extensions"),
            (&infinite, "not finite"),
            (&[0xa1, 0xff], "no whole"),
            (&[0x01, 0x02], "more than one"),
            (&[0x01, 0xc1], "more than one"),
            (&[], "no whole"),
            (&[0xc1], "no whole"),
            (&[0x92, 0x01], "no whole"),
            (&[0xdd, 0xff, 0xff, 0xff, 0xff], "no whole"),
            (&[0xdb, 0xff, 0xff, 0xff, 0xff, 0x20], "no whole"),
        ] {
            let refusal = read(packed).unwrap_err();
            assert!(refusal.contains(why), "{packed:?}: {refusal}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        assert!(read(&nested(DEPTH_MAX)).is_ok());
        let refusal = read(&nested(200_000)).unwrap_err();
        assert!(refusal.contains("deeper"), "{refusal}");
    }

    #[test]
    fn every_truncation_is_refused() {
        let value = json!({"request_id": "r", "method": "GET", "body": {"a": [1, 300, 70_000, "text", 1.5]}});
        let packed = from_json(value.to_string().as_bytes()).unwrap();
        for end in 0..packed.len() {
            assert!(read(&packed[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(text) = to_json(&bytes) {
                prop_assert!(serde_json::from_slice::<Json>(&text).is_ok());
            }
        }
    }
}
