//! What modules of the server give scripts: `webrtc`, `social`, `marketplace`, `location` and the like.
//!
//! A module implements [`ScriptApi`] and is handed over at the start ([`crate::hooks::HookParts::apis`]); the
//! interpreter knows nothing of it. Functions take and give plain JSON. The names that scripts may count on are
//! declared here, so that a call into a module that is off gives a clear `{"error": message}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use boa_engine::{Context, JsArgs, JsResult, JsValue};
use serde_json::{Value as Json, json};

use super::Natives;
use super::plain::{argument, or_error, to_script};
use super::registration::text;
use crate::engine::{ApiCall, ApiFunction, Error, ScriptApi};
use crate::hooks::operate::operate;
use crate::hooks::world::world;

pub(super) const NATIVES: Natives = &[
    ("list", 0, list),
    ("call", 3, call),
    ("distance", 4, distance),
];

/// The names that are there whether their module is or not.
const DECLARED: &[(&str, &[&str])] = &[
    (
        "webrtc",
        &["getRoom", "listRooms", "broadcast", "kickParticipant"],
    ),
    (
        "social",
        &[
            "likePost",
            "commentPost",
            "getPostStats",
            "getTrendingPosts",
        ],
    ),
    (
        "marketplace",
        &["createSale", "getSalesStats", "getWalletBalance"],
    ),
    (
        "location",
        &[
            "updateLocation",
            "getLocation",
            "findNearby",
            "getUsersByPresence",
        ],
    ),
];

/// All functions of modules, by object and name.
#[derive(Clone, Default)]
pub(in crate::hooks) struct Apis(Arc<BTreeMap<&'static str, BTreeMap<&'static str, ApiFunction>>>);

impl Apis {
    pub(in crate::hooks) fn new(apis: &[Arc<dyn ScriptApi>]) -> Self {
        let mut all: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for api in apis {
            all.entry(api.name()).or_default().extend(api.functions());
        }
        Self(Arc::new(all))
    }

    fn find(&self, object: &str, name: &str) -> Option<ApiFunction> {
        self.0.get(object)?.get(name).cloned()
    }

    /// Objects and the names of their functions.
    fn names(&self) -> Json {
        let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let declared = DECLARED.iter().map(|(object, list)| (*object, *list));
        for (object, list) in declared {
            names.entry(object).or_default().extend(list);
        }
        for (object, functions) in self.0.iter() {
            names.entry(object).or_default().extend(functions.keys());
        }
        json!(names)
    }
}

/// `list()`: the objects and the names of their functions.
fn list(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let names = world()?.options.apis.names();
    to_script(&names, context)
}

/// `call(object, name, arguments)`.
fn call(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    or_error(context, |context| {
        let object = text(args.get_or_undefined(0), context)?;
        let name = text(args.get_or_undefined(1), context)?;
        let arguments = match argument(args, 2, context)? {
            Json::Array(arguments) => arguments,
            _ => Vec::new(),
        };
        let Some(function) = world()?.options.apis.find(&object, &name) else {
            let why = format!("{object}.{name} is not available: the module {object} is off.");
            return Ok(Err(Error::bad_request(why)));
        };
        operate(context, move |app| {
            Box::pin(async move {
                let call = ApiCall {
                    engine: app.engine,
                    tx: app.tx,
                    arguments,
                };
                Ok(function(call).await)
            })
        })
    })
}

/// The mean radius of the earth, in metres.
const EARTH_M: f64 = 6_371_008.8;

/// `distance(lat1, lng1, lat2, lng2)`: metres along the surface.
fn distance(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let mut degrees = [0.0; 4];
    for (index, degree) in degrees.iter_mut().enumerate() {
        *degree = args.get_or_undefined(index).to_number(context)?;
    }
    let [lat1, lng1, lat2, lng2] = degrees;
    let fits = |lat: f64, lng: f64| lat.abs() <= 90.0 && lng.abs() <= 180.0;
    if !fits(lat1, lng1) || !fits(lat2, lng2) {
        let error = "latitudes are from -90 to 90 and longitudes from -180 to 180";
        return to_script(&json!({"error": error}), context);
    }
    Ok(metres(lat1, lng1, lat2, lng2).into())
}

/// The haversine formula, which keeps its precision for short distances.
fn metres(lat1: f64, lng1: f64, lat2: f64, lng2: f64) -> f64 {
    let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    let across = lat1.to_radians().cos() * lat2.to_radians().cos() * half(lng1, lng2);
    let root = (half(lat1, lat2) + across).min(1.0).sqrt();
    2.0 * EARTH_M * root.asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_metres_along_the_surface() {
        let paris_london = metres(48.8566, 2.3522, 51.5074, -0.1278);
        assert!((paris_london - 343_560.0).abs() < 500.0, "{paris_london}");
        assert!(metres(10.0, 20.0, 10.0, 20.0).abs() < f64::EPSILON);
        let half_around = metres(0.0, 0.0, 0.0, 180.0);
        assert!((half_around - EARTH_M * std::f64::consts::PI).abs() < 1.0);
        // A metre stays a metre.
        let near = metres(45.0, 7.0, 45.000_009, 7.0);
        assert!((near - 1.0).abs() < 0.01, "{near}");
    }
}
