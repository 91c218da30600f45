//! `geoPoint` fields.

use serde_json::{Map, Value as Json};

use super::GeoPointOptions;
use crate::model::{FieldError, GeoPoint, rules};

impl GeoPointOptions {
    pub(super) fn validate(&self, point: GeoPoint) -> Option<FieldError> {
        if point.lat == 0.0 && point.lon == 0.0 {
            return rules::required(self.required);
        }
        if !(-90.0..=90.0).contains(&point.lat) {
            return Some(FieldError::new(
                "validation_invalid_latitude",
                "Latitude must be between -90 and 90 degrees.",
            ));
        }
        (!(-180.0..=180.0).contains(&point.lon)).then(|| {
            FieldError::new(
                "validation_invalid_longitude",
                "Longitude must be between -180 and 180 degrees.",
            )
        })
    }
}

/// A point from an object with `lon` and `lat`, or from such an object's text; 0 for what is missing.
pub(super) fn cast(value: &Json) -> GeoPoint {
    match value {
        Json::Object(members) => from_members(members),
        Json::String(text) => cast_text(text),
        _ => GeoPoint::default(),
    }
}

pub(super) fn cast_text(text: &str) -> GeoPoint {
    match serde_json::from_str::<Json>(text) {
        Ok(Json::Object(members)) => from_members(&members),
        _ => GeoPoint::default(),
    }
}

/// One coordinate of another type spoils both.
fn from_members(members: &Map<String, Json>) -> GeoPoint {
    let number = |name: &str| match members.get(name) {
        None | Some(Json::Null) => Some(0.0),
        Some(value) => value.as_f64(),
    };
    match (number("lon"), number("lat")) {
        (Some(lon), Some(lat)) => GeoPoint { lon, lat },
        _ => GeoPoint::default(),
    }
}
