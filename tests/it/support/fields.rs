//! Short ways to say what a collection looks like.

use serde_json::{Map, Value, json};

/// A field of a type with further options.
pub(crate) fn field(kind: &str, name: &str, options: Value) -> Value {
    let mut field = json!({"type": kind, "name": name});
    merge(&mut field, options);
    field
}

pub(crate) fn text(name: &str) -> Value {
    field("text", name, json!({}))
}

pub(crate) fn number(name: &str) -> Value {
    field("number", name, json!({}))
}

pub(crate) fn bool(name: &str) -> Value {
    field("bool", name, json!({}))
}

pub(crate) fn json_field(name: &str) -> Value {
    field("json", name, json!({}))
}

pub(crate) fn select(name: &str, values: &[&str], max: u32) -> Value {
    field("select", name, json!({"values": values, "maxSelect": max}))
}

/// A relation to a collection, given as the API answered it.
pub(crate) fn relation(name: &str, to: &Value, options: Value) -> Value {
    let mut field = field("relation", name, json!({"collectionId": to["id"]}));
    merge(&mut field, options);
    field
}

pub(crate) fn file(name: &str, options: Value) -> Value {
    field("file", name, options)
}

/// A collection that anybody may read and write.
pub(crate) fn open(name: &str, fields: impl IntoIterator<Item = Value>) -> Value {
    let mut collection = closed(name, fields);
    for verb in ["list", "view", "create", "update", "delete"] {
        collection[format!("{verb}Rule")] = json!("");
    }
    collection
}

/// A collection for superusers only.
pub(crate) fn closed(name: &str, fields: impl IntoIterator<Item = Value>) -> Value {
    let fields: Vec<_> = fields.into_iter().collect();
    json!({"name": name, "type": "base", "fields": fields})
}

/// The first with the members of the second, which win.
pub(crate) fn with(mut first: Value, second: Value) -> Value {
    merge(&mut first, second);
    first
}

fn merge(into: &mut Value, from: Value) {
    let into = into.as_object_mut().expect("an object");
    let from: Map<String, Value> = serde_json::from_value(from).expect("an object");
    into.extend(from);
}

/// A picture of one colour.
pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(width, height, image::Rgb([200, 30, 30]));
    let written = picture.write_to(&mut bytes, image::ImageFormat::Png);
    written.expect("a picture in memory");
    bytes.into_inner()
}
