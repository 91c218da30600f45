//! What messages carry: a value that both encodings have, MessagePack and JSON.
//!
//! Reading is bounded in depth and in number of values, since a small message can claim to be large. Bytes, which only
//! MessagePack has, are base64 text in JSON; numbers that JSON has not are `null` there.

use std::cell::Cell;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value as Json};

/// How deep values may be nested.
pub(super) const DEPTH_MAX: usize = 32;
/// Most values of a message.
const VALUES_MAX: usize = 65_536;
/// What is set aside on a message's word alone.
const TRUSTED_LEN_MAX: usize = 16;

/// A value of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Null,
    Flag(bool),
    Whole(i64),
    /// Above [`i64::MAX`].
    Large(u64),
    Float(f64),
    Text(String),
    Binary(Bytes),
    List(Vec<Self>),
    Map(Members),
}

/// The members of a map in their order; of equal names the first counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Members(Vec<(String, Data)>);

impl Members {
    pub(super) fn get(&self, name: &str) -> Option<&Data> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A truth value; `None` where it is none, or is not there.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Data::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A whole number of 0 or more; `3.0` is one.
    pub(super) fn whole(&self, name: &str) -> Option<u64> {
        match self.get(name)? {
            Data::Whole(number) => u64::try_from(*number).ok(),
            Data::Large(number) => Some(*number),
            Data::Float(number) if number.fract() == 0.0 && (0.0..9e15).contains(number) => {
                Some(*number as u64)
            }
            _ => None,
        }
    }

    /// Removes a member, under whatever many copies of its name.
    pub(super) fn take(&mut self, name: &str) -> Option<Data> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        let (_, taken) = self.0.remove(at);
        self.0.retain(|(key, _)| key != name);
        Some(taken)
    }

    /// Puts a member in place of all of its name.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Data>) {
        self.0.retain(|(key, _)| key != name);
        self.0.push((name.to_owned(), value.into()));
    }

    /// How many values there are, at any depth.
    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|(_, value)| value.count()).sum()
    }

    fn push(&mut self, name: String, value: Data) {
        self.0.push((name, value));
    }
}

impl<const N: usize> From<[(&str, Data); N]> for Members {
    fn from(members: [(&str, Data); N]) -> Self {
        let members = members.into_iter();
        Self(
            members
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }
}

impl Data {
    /// A map of these members.
    pub(super) fn map<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Map(members.into())
    }

    fn count(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Self::Map(members) => 1 + members.count(),
            _ => 1,
        }
    }

    /// The value as JSON has it.
    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Flag(flag) => (*flag).into(),
            Self::Whole(number) => (*number).into(),
            Self::Large(number) => (*number).into(),
            Self::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Self::Text(text) => text.clone().into(),
            Self::Binary(bytes) => STANDARD.encode(bytes).into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(members) => {
                let mut map = Map::new();
                for (name, value) in &members.0 {
                    map.entry(name.clone()).or_insert_with(|| value.to_json());
                }
                Json::Object(map)
            }
        }
    }
}

impl From<Json> for Data {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Flag(flag),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Self::Whole(number),
                (None, Some(number)) => Self::Large(number),
                (None, None) => Self::Float(number.as_f64().unwrap_or_default()),
            },
            Json::String(text) => Self::Text(text),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Json::Object(map) => {
                let members = map.into_iter();
                Self::Map(Members(
                    members.map(|(name, value)| (name, value.into())).collect(),
                ))
            }
        }
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Data {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Data {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Large(number), Self::Whole)
    }
}

impl From<Option<&str>> for Data {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::from)
    }
}

impl From<Members> for Data {
    fn from(members: Members) -> Self {
        Self::Map(members)
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_unit(),
            Self::Flag(flag) => to.serialize_bool(*flag),
            Self::Whole(number) => to.serialize_i64(*number),
            Self::Large(number) => to.serialize_u64(*number),
            Self::Float(number) => to.serialize_f64(*number),
            Self::Text(text) => to.serialize_str(text),
            Self::Binary(bytes) if to.is_human_readable() => {
                to.serialize_str(&STANDARD.encode(bytes))
            }
            Self::Binary(bytes) => to.serialize_bytes(bytes),
            Self::List(items) => {
                let mut list = to.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Map(members) => {
                let mut map = to.serialize_map(Some(members.0.len()))?;
                for (name, value) in &members.0 {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// Reads a value within the bounds.
///
/// # Errors
/// Those of the reader, and where a bound is passed.
pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Data, D::Error> {
    let left = Cell::new(VALUES_MAX);
    let seed = Bounded {
        depth: DEPTH_MAX,
        left: &left,
    };
    seed.deserialize(from)
}

/// How deep a value may go, and how many values the message may still have.
#[derive(Clone, Copy)]
struct Bounded<'b> {
    depth: usize,
    left: &'b Cell<usize>,
}

impl Bounded<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1);
        let depth = depth.ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Data;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Data, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left
            .set(left.ok_or_else(|| D::Error::custom("too many values"))?);
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Data;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_none<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Data, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Data, E> {
        Ok(Data::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Data, E> {
        Ok(Data::Whole(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Data, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Data, E> {
        Ok(Data::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Data, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Data, E> {
        Ok(Data::Text(text))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Data, E> {
        Ok(Data::Binary(Bytes::copy_from_slice(bytes)))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Data, E> {
        Ok(Data::Binary(bytes.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Data, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::with_capacity(list.size_hint().unwrap_or(0).min(TRUSTED_LEN_MAX));
        while let Some(item) = list.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Data::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
        let inner = self.inner()?;
        let mut members = Members(Vec::with_capacity(
            map.size_hint().unwrap_or(0).min(TRUSTED_LEN_MAX),
        ));
        while let Some(key) = map.next_key_seed(inner)? {
            // Tables of scripts have numbers for keys; JSON has texts.
            let name = match key {
                Data::Text(name) => name,
                Data::Whole(number) => number.to_string(),
                Data::Large(number) => number.to_string(),
                _ => return Err(A::Error::custom("a key is no text")),
            };
            members.push(name, map.next_value_seed(inner)?);
        }
        Ok(Data::Map(members))
    }
}
