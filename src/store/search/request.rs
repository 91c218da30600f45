//! What a request brings along, and how a filter reads it.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json};

use super::known::{Known, json_text};
use crate::base::json;
use crate::filter::{Macro, MacroValue};
use crate::model::{Record, Value};

/// What filters read as `@request.*`, and the moment they call now.
#[derive(Clone, Copy, Debug)]
pub struct RequestValues<'a> {
    pub context: &'a str,
    pub method: &'a str,
    pub query: &'a Map<String, Json>,
    /// Names in lower case with `_` for `-`.
    pub headers: &'a Map<String, Json>,
    pub body: &'a Map<String, Json>,
    /// The signed-in record.
    pub auth: Option<&'a Record>,
    pub now: DateTime<Utc>,
}

/// Where a known value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Slot {
    Literal(Known),
    Macro(Macro),
    /// `@request.<path>`; `number`: numeric texts count as numbers, since form fields are texts.
    Request {
        path: Vec<String>,
        number: bool,
    },
    /// Whether `@request.<path>` is there.
    IsSet {
        path: Vec<String>,
    },
    /// The id of the signed-in record.
    AuthId,
    /// A body field as a JSON list, a single value as a list of one.
    BodyItems {
        field: String,
    },
    /// The ids of a body field as a JSON list, without repetitions and empty ones; NULL when there are none.
    BodyIds {
        field: String,
    },
    /// How many items a body field has.
    BodyCount {
        field: String,
    },
    /// A body field as a text.
    BodyText {
        field: String,
    },
    /// A body field of type json, as JSON text: a text keeps its quotes.
    BodyJson {
        field: String,
    },
    /// A body field of type geoPoint, as it is stored.
    BodyPoint {
        field: String,
    },
}

impl Slot {
    pub(super) fn read(&self, request: Option<&RequestValues<'_>>, now: DateTime<Utc>) -> Known {
        let body = |field: &str| request.and_then(|request| request.body.get(field));
        match self {
            Self::Literal(known) => known.clone(),
            Self::Macro(name) => match name.value(now) {
                MacroValue::Number(number) => Known::Integer(number),
                MacroValue::Text(text) => Known::Text(text),
            },
            Self::Request { path, number } => {
                let found = request.and_then(|request| find(request, path));
                found.map_or(Known::Null, |known| as_number(known, *number))
            }
            Self::IsSet { path } => {
                Known::Bool(request.is_some_and(|request| find(request, path).is_some()))
            }
            Self::AuthId => request
                .and_then(|request| request.auth)
                .map_or(Known::Null, |record| Known::Text(record.id().to_owned())),
            Self::BodyItems { field } => Known::Text(match body(field) {
                None | Some(Json::Null) => "[]".to_owned(),
                Some(list @ Json::Array(_)) => json_text(list),
                Some(single) => format!("[{}]", json_text(single)),
            }),
            Self::BodyIds { field } => match body(field).map(ids) {
                None => Known::Null,
                Some(ids) if ids.is_empty() => Known::Null,
                Some(ids) => Known::Text(json_text(&ids.into())),
            },
            Self::BodyCount { field } => Known::Integer(match body(field) {
                None | Some(Json::Null) => 0,
                Some(Json::Array(items)) => i64::try_from(items.len()).unwrap_or(i64::MAX),
                Some(_) => 1,
            }),
            Self::BodyJson { field } => {
                body(field).map_or(Known::Null, |value| Known::Text(json_text(value)))
            }
            Self::BodyPoint { field } => {
                body(field).map_or(Known::Null, |value| Known::Text(point_text(value)))
            }
            Self::BodyText { field } => {
                Known::Text(body(field).map_or_else(String::new, plain_text))
            }
        }
    }
}

fn as_number(known: Known, wanted: bool) -> Known {
    match known {
        Known::Text(text) if wanted => match text.parse::<f64>() {
            Ok(number) => Known::Real(number),
            Err(_) => Known::Text(text),
        },
        other => other,
    }
}

/// The value at a path of the request; `Some(Null)` where there is a null.
fn find(request: &RequestValues<'_>, path: &[String]) -> Option<Known> {
    let (first, rest) = path.split_first()?;
    let text = |text: &str| rest.is_empty().then(|| Known::Text(text.to_owned()));
    match first.as_str() {
        "context" => text(request.context),
        "method" => text(request.method),
        "query" => member(request.query, rest),
        "headers" => member(request.headers, rest),
        "body" => member(request.body, rest),
        "auth" => rest.split_first().and_then(|(field, rest)| {
            let record = request.auth?;
            rest.is_empty().then(|| auth_field(record, field)).flatten()
        }),
        _ => None,
    }
}

fn member(members: &Map<String, Json>, path: &[String]) -> Option<Known> {
    let (first, rest) = path.split_first()?;
    let mut value = members.get(first)?;
    for step in rest {
        value = match value {
            Json::Object(members) => members.get(step)?,
            Json::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(Known::from_json(value))
}

/// The fields of the signed-in record that need no look at its row.
fn auth_field(record: &Record, field: &str) -> Option<Known> {
    match field {
        "collectionId" => Some(Known::Text(record.collection().id.clone())),
        "collectionName" => Some(Known::Text(record.collection().name.clone())),
        _ => Some(match record.get(field)? {
            Value::Bool(flag) => Known::Bool(*flag),
            Value::Number(number) => Known::Real(*number),
            other => Known::Text(other.as_text().to_owned()),
        }),
    }
}

fn point_text(value: &Json) -> String {
    let mut out = Vec::new();
    for (before, name) in [("{\"lon\":", "lon"), (",\"lat\":", "lat")] {
        let degrees = value.get(name).and_then(Json::as_f64).unwrap_or_default();
        out.extend_from_slice(before.as_bytes());
        json::write_f64(&mut out, degrees);
    }
    out.push(b'}');
    String::from_utf8(out).unwrap_or_default()
}

fn ids(value: &Json) -> Vec<String> {
    let mut ids: Vec<String> = match value {
        Json::Array(items) => items.iter().map(plain_text).collect(),
        Json::String(text) if text.contains('[') => {
            serde_json::from_str(text).unwrap_or_else(|_| vec![text.clone()])
        }
        other => vec![plain_text(other)],
    };
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| !id.is_empty() && seen.insert(id.clone()));
    ids
}

/// A scalar as text; empty for lists and objects.
fn plain_text(value: &Json) -> String {
    match Known::from_json(value) {
        Known::Text(_) if value.is_array() || value.is_object() => String::new(),
        known => known.to_text(),
    }
}
