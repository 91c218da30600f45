//! Answers as JSON text, written straight from records.

use actix_web::HttpResponse;
use serde::Serialize;
use serde_json::{Value as Json, json as value};

use crate::base::json;
use crate::engine::Enriched;
use crate::engine::records::Found;
use crate::filter::fields::FieldPicker;
use crate::http::ApiError;
use crate::http::json as response;

/// A page: items, page, perPage, totalItems, totalPages. `fields` picks within the items.
///
/// # Errors
/// 400 for a malformed `fields` text.
pub(super) fn page(page: &Found, fields: &str) -> Result<HttpResponse, ApiError> {
    let mut out = Vec::with_capacity(256 + 512 * page.items.len());
    out.extend_from_slice(b"{\"items\":[");
    let picker = picker(fields)?;
    for (index, item) in page.items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        record(&mut out, item, picker.as_ref());
    }
    out.extend_from_slice(b"],\"page\":");
    json::write_u64(&mut out, page.page);
    out.extend_from_slice(b",\"perPage\":");
    json::write_u64(&mut out, page.per_page);
    out.extend_from_slice(b",\"totalItems\":");
    json::write_i64(&mut out, page.total_items);
    out.extend_from_slice(b",\"totalPages\":");
    json::write_i64(&mut out, page.total_pages);
    out.push(b'}');
    Ok(response::ok(out))
}

/// One record.
///
/// # Errors
/// 400 for a malformed `fields` text.
pub(super) fn one(item: &Enriched, fields: &str) -> Result<HttpResponse, ApiError> {
    let mut out = Vec::with_capacity(512);
    record(&mut out, item, picker(fields)?.as_ref());
    Ok(response::ok(out))
}

/// The picker of a `fields` parameter; `None` when everything shows.
pub(super) fn picker(fields: &str) -> Result<Option<FieldPicker>, ApiError> {
    if fields.is_empty() {
        return Ok(None);
    }
    FieldPicker::parse(fields)
        .map(Some)
        .map_err(|error| ApiError::bad_request("").with_cause(error))
}

/// A value, with `fields` picked from it.
///
/// # Errors
/// 400 for a malformed `fields` text.
pub(super) fn picked(value: &impl Serialize, fields: &str) -> Result<HttpResponse, ApiError> {
    let value = serde_json::to_value(value).map_err(ApiError::internal)?;
    Ok(match picker(fields)? {
        Some(picker) => response::ok_value(&picker.pick(value)),
        None => response::ok_value(&value),
    })
}

/// A page of things that are no records; `page` holds number and size, `totals` items and pages. `fields` picks within
/// the items.
///
/// # Errors
/// 400 for a malformed `fields` text.
pub(super) fn listed(
    items: Vec<Json>,
    (page, per_page): (u64, u64),
    (total_items, total_pages): (i64, i64),
    fields: &str,
) -> Result<HttpResponse, ApiError> {
    let mut items = Json::Array(items);
    if let Some(picker) = picker(fields)? {
        items = picker.pick(items);
    }
    Ok(response::ok_value(&value!({
        "items": items,
        "page": page,
        "perPage": per_page,
        "totalItems": total_items,
        "totalPages": total_pages,
    })))
}

/// Writes a record with what its reader may see.
pub(super) fn record(out: &mut Vec<u8>, item: &Enriched, picker: Option<&FieldPicker>) {
    let Some(picker) = picker else {
        item.write_json(out);
        return;
    };
    let mut whole = Vec::with_capacity(512);
    item.write_json(&mut whole);
    match serde_json::from_slice(&whole) {
        Ok(value) => json::write_value(out, &picker.pick(value)),
        Err(_) => out.extend_from_slice(&whole),
    }
}
