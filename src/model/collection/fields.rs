//! The list of fields as clients send it: ids are filled in, and a field that comes twice replaces the earlier one.

use serde_json::Value as Json;

use super::Field;

/// Adds a field. Without an id it takes the place and id of a field of that name, or gets an id of its own; with an id
/// it takes the place of the field with that id.
pub(super) fn add(fields: &mut Vec<Field>, mut field: Field) {
    const TRIES: usize = 1000;
    let place = if field.id.is_empty() {
        let base = field.default_id();
        field.id.clone_from(&base);
        for suffix in 2..TRIES {
            if !fields.iter().any(|other| other.id == field.id) {
                break;
            }
            field.id = format!("{base}{suffix}");
        }
        let place = fields
            .iter()
            .position(|other| !field.name.is_empty() && other.name == field.name);
        if let Some(other) = place.and_then(|place| fields.get(place)) {
            field.id.clone_from(&other.id);
        }
        place
    } else {
        fields.iter().position(|other| other.id == field.id)
    };
    match place.and_then(|place| fields.get_mut(place)) {
        Some(slot) => *slot = field,
        None => fields.push(field),
    }
}

/// Reads a `fields` member; null is an empty list.
pub(super) fn from_json(value: &Json) -> Result<Vec<Field>, String> {
    let items = match value {
        Json::Null => return Ok(Vec::new()),
        Json::Array(items) => items,
        _ => return Err("fields: must be an array".to_owned()),
    };
    let mut fields = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let Json::Object(object) = item else {
            return Err(format!("fields.{index}: must be an object"));
        };
        let field = Field::from_json(object).map_err(|error| format!("fields.{index}.{error}"))?;
        add(&mut fields, field);
    }
    Ok(fields)
}
