//! From stored columns to field values.
//!
//! Columns are read by position, in the order of the collection's fields. What a column holds need not have the shape that the field
//! writes: options change, databases are edited by hand, and a view selects anything. Such values are cast as PocketBase casts them on load.

use sqlx::sqlite::{Sqlite, SqliteRow, SqliteValueRef};
use sqlx::{Decode, Row, TypeInfo, ValueRef};

use super::error::Error;
use crate::base::date::DateTime;
use crate::base::json;
use crate::model::{Field, FieldKind, GeoPoint, Value};

/// What SQLite keeps in one cell.
enum Stored<'r> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'r str),
}

/// Decodes the columns from `start` on, one per field.
///
/// # Errors
/// When the row has fewer columns or a text is not UTF-8.
pub(in crate::store) fn decode(
    row: &SqliteRow,
    start: usize,
    fields: &[Field],
) -> Result<Vec<Value>, Error> {
    fields
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let cell = row.try_get_raw(start + index).map_err(Error::from_sqlx)?;
            Ok(value(field, &stored(cell)?))
        })
        .collect()
}

/// As [`decode`], with the column of each field; NULL where it has none.
///
/// # Errors
/// As [`decode`].
pub(in crate::store) fn decode_at(
    row: &SqliteRow,
    places: &[Option<usize>],
    fields: &[Field],
) -> Result<Vec<Value>, Error> {
    let place = |index: usize| places.get(index).copied().flatten();
    fields
        .iter()
        .enumerate()
        .map(|(index, field)| match place(index) {
            Some(column) => {
                let cell = row.try_get_raw(column).map_err(Error::from_sqlx)?;
                Ok(value(field, &stored(cell)?))
            }
            None => Ok(field.zero_value()),
        })
        .collect()
}

/// One column as a number; 0 for NULL.
///
/// # Errors
/// When the row has fewer columns.
pub(in crate::store) fn integer(row: &SqliteRow, index: usize) -> Result<i64, Error> {
    let cell = row.try_get_raw(index).map_err(Error::from_sqlx)?;
    Ok(match stored(cell)? {
        Stored::Integer(number) => number,
        Stored::Real(number) => number as i64,
        Stored::Text(text) => text.parse().unwrap_or_default(),
        Stored::Null => 0,
    })
}

/// One column as a text; empty for NULL.
///
/// # Errors
/// When the row has fewer columns or the text is not UTF-8.
pub(in crate::store) fn text(row: &SqliteRow, index: usize) -> Result<String, Error> {
    let cell = row.try_get_raw(index).map_err(Error::from_sqlx)?;
    Ok(to_text(&stored(cell)?))
}

fn stored(cell: SqliteValueRef<'_>) -> Result<Stored<'_>, Error> {
    let corrupt = |_| Error::Corrupt("a text is not UTF-8".to_owned());
    if cell.is_null() {
        return Ok(Stored::Null);
    }
    let kind = cell.type_info().name().as_bytes().first().copied();
    Ok(match kind {
        Some(b'I') => Stored::Integer(<i64 as Decode<Sqlite>>::decode(cell).map_err(corrupt)?),
        Some(b'R') => Stored::Real(<f64 as Decode<Sqlite>>::decode(cell).map_err(corrupt)?),
        _ => Stored::Text(<&str as Decode<Sqlite>>::decode(cell).map_err(corrupt)?),
    })
}

fn value(field: &Field, cell: &Stored<'_>) -> Value {
    match &field.kind {
        FieldKind::Text(_)
        | FieldKind::Editor(_)
        | FieldKind::Email(_)
        | FieldKind::Url(_)
        | FieldKind::Password(_) => Value::Text(to_text(cell)),
        FieldKind::Number(_) => Value::Number(to_number(cell)),
        FieldKind::Bool(_) => Value::Bool(to_flag(cell)),
        FieldKind::Date(_) | FieldKind::Autodate(_) => Value::Text(to_date(cell)),
        FieldKind::Json(_) => Value::Json(to_json(cell)),
        FieldKind::GeoPoint(_) => Value::Geo(to_point(cell)),
        FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_) => {
            if field.is_multiple() {
                Value::List(to_list(cell))
            } else {
                Value::Text(to_single(cell))
            }
        }
    }
}

fn to_text(cell: &Stored<'_>) -> String {
    match cell {
        Stored::Null => String::new(),
        Stored::Integer(number) => itoa::Buffer::new().format(*number).to_owned(),
        Stored::Real(number) => number_text(*number),
        Stored::Text(text) => (*text).to_owned(),
    }
}

/// Shortest decimal form, without a fraction when there is none.
fn number_text(number: f64) -> String {
    let mut out = Vec::new();
    json::write_f64(&mut out, number);
    String::from_utf8(out).unwrap_or_default()
}

fn to_number(cell: &Stored<'_>) -> f64 {
    let number = match cell {
        Stored::Null => 0.0,
        Stored::Integer(number) => *number as f64,
        Stored::Real(number) => *number,
        Stored::Text(text) => text.parse().unwrap_or_default(),
    };
    if number.is_finite() { number } else { 0.0 }
}

fn to_flag(cell: &Stored<'_>) -> bool {
    match cell {
        Stored::Null => false,
        Stored::Integer(number) => *number != 0,
        Stored::Real(number) => *number != 0.0,
        Stored::Text(text) => matches!(*text, "1" | "t" | "T" | "true" | "TRUE" | "True"),
    }
}

fn to_date(cell: &Stored<'_>) -> String {
    match cell {
        Stored::Text(text) if text.is_empty() || is_canonical_date(text.as_bytes()) => {
            (*text).to_owned()
        }
        Stored::Text(text) => date_text(DateTime::parse(text)),
        Stored::Integer(number) => date_text(DateTime::from_unix(*number)),
        Stored::Real(_) | Stored::Null => String::new(),
    }
}

fn date_text(date: Option<DateTime>) -> String {
    date.map_or_else(String::new, |date| date.text().as_str().to_owned())
}

/// Whether the text has the form `2022-01-01 10:00:00.123Z`, in which every date is written.
fn is_canonical_date(text: &[u8]) -> bool {
    const FORM: &[u8; 24] = b"0000-00-00 00:00:00.000Z";
    text.len() == FORM.len()
        && !text.starts_with(b"0001-01-01")
        && text.iter().zip(FORM).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            _ => byte == form,
        })
}

fn to_json(cell: &Stored<'_>) -> String {
    match cell {
        Stored::Null => "null".to_owned(),
        // JSON columns have numeric affinity: SQLite keeps the text `1` as a number.
        Stored::Integer(_) | Stored::Real(_) => to_text(cell),
        Stored::Text(text) if is_json(text) => (*text).to_owned(),
        Stored::Text(text) => {
            let mut out = Vec::with_capacity(text.len() + 2);
            json::write_str(&mut out, text);
            String::from_utf8(out).unwrap_or_default()
        }
    }
}

fn is_json(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9') => {
            serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        }
        _ => matches!(text, "null" | "true" | "false"),
    }
}

fn to_point(cell: &Stored<'_>) -> GeoPoint {
    let Stored::Text(text) = cell else {
        return GeoPoint::default();
    };
    let Ok(object) = serde_json::from_str::<serde_json::Value>(text) else {
        return GeoPoint::default();
    };
    let degrees = |name| {
        object
            .get(name)
            .and_then(serde_json::Value::as_f64)
            .unwrap_or_default()
    };
    GeoPoint {
        lon: degrees("lon"),
        lat: degrees("lat"),
    }
}

/// Distinct, non-empty texts of a JSON array; any other text counts as a list of one.
fn to_list(cell: &Stored<'_>) -> Vec<String> {
    let Stored::Text(text) = cell else {
        let text = to_text(cell);
        return if text.is_empty() { vec![] } else { vec![text] };
    };
    if text.is_empty() || *text == "[]" {
        return Vec::new();
    }
    if text.contains('[')
        && let Ok(items) = serde_json::from_str::<Vec<Option<String>>>(text)
    {
        let mut list: Vec<String> = Vec::with_capacity(items.len());
        for item in items.into_iter().flatten() {
            if !item.is_empty() && !list.contains(&item) {
                list.push(item);
            }
        }
        return list;
    }
    vec![(*text).to_owned()]
}

/// A single text; the last one of a JSON array, as when a field became single.
fn to_single(cell: &Stored<'_>) -> String {
    match cell {
        Stored::Text(text) if text.contains('[') => to_list(cell).pop().unwrap_or_default(),
        other => to_text(other),
    }
}
