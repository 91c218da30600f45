//! A point on the earth.

use serde::{Deserialize, Serialize};

use super::json;

/// Longitude and latitude in degrees (WGS 84). On the wire and in the database: `{"lon":0,"lat":0}`, in that order.
///
/// A point may be out of range, since a client may send anything: [`GeoPoint::is_valid`] tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GeoPoint {
    /// Degrees east, -180 to 180.
    pub lon: f64,
    /// Degrees north, -90 to 90.
    pub lat: f64,
}

impl GeoPoint {
    /// A point with both coordinates in range, or none.
    pub fn new(lon: f64, lat: f64) -> Option<Self> {
        let point = Self { lon, lat };
        point.is_valid().then_some(point)
    }

    /// Both coordinates are in range.
    pub fn is_valid(self) -> bool {
        self.has_valid_lon() && self.has_valid_lat()
    }

    /// The longitude is from -180 to 180 degrees.
    pub fn has_valid_lon(self) -> bool {
        (-180.0..=180.0).contains(&self.lon)
    }

    /// The latitude is from -90 to 90 degrees.
    pub fn has_valid_lat(self) -> bool {
        (-90.0..=90.0).contains(&self.lat)
    }

    /// The point 0, 0, which stands for "none" in a record.
    pub fn is_zero(self) -> bool {
        self.lon == 0.0 && self.lat == 0.0
    }

    /// Appends the point's JSON.
    pub fn write_json(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"lon\":");
        json::write_f64(out, self.lon);
        out.extend_from_slice(b",\"lat\":");
        json::write_f64(out, self.lat);
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_outside_the_globe_are_refused() {
        assert!(GeoPoint::new(180.0, -90.0).is_some());
        assert!(GeoPoint::new(180.1, 0.0).is_none());
        assert!(GeoPoint::new(0.0, 90.5).is_none());
        assert!(GeoPoint::new(f64::NAN, 0.0).is_none());
    }

    #[test]
    fn json_names_longitude_first_and_reads_missing_members_as_zero() {
        let mut out = Vec::new();
        GeoPoint {
            lon: 23.5,
            lat: -1.0,
        }
        .write_json(&mut out);
        assert_eq!(out, br#"{"lon":23.5,"lat":-1}"#);
        let read: GeoPoint = serde_json::from_str(r#"{"lat":4}"#).unwrap();
        assert_eq!(read, GeoPoint { lon: 0.0, lat: 4.0 });
        assert!(!read.is_zero());
    }
}
