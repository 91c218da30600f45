//! Dates and time zones for scripts.

use boa_engine::{Context, JsArgs, JsResult, JsValue};

use super::Natives;
use super::registration::text;
use crate::base::DateTime;
use crate::hooks::zone::Zone;

pub(super) const NATIVES: Natives = &[
    ("parse", 2, parse),
    ("zone", 1, zone),
    ("offset", 2, offset),
];

/// `parse(text, zone)`: milliseconds since 1970, or null. The zone counts for texts that name none.
fn parse(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let date = text(args.get_or_undefined(0), context)?;
    let name = args.get_or_undefined(1);
    let Some(parsed) = DateTime::parse(&date).filter(|_| !date.is_empty()) else {
        return Ok(JsValue::null());
    };
    let mut ms = parsed.unix_ms();
    if !name.is_null_or_undefined() && !names_zone(&date) {
        let name = text(name, context)?;
        if let Some(zone) = Zone::load(&name) {
            ms -= zone.local_offset_s(ms.div_euclid(1000)) * 1000;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "dates end with the year 9999")]
    Ok(JsValue::from(ms as f64))
}

/// Whether a date says where it holds: `Z`, `+02:00` or letters behind the time of day.
fn names_zone(date: &str) -> bool {
    let Some((_, time)) = date.split_once(':') else {
        return false;
    };
    time.contains(['+', '-']) || time.contains(|c: char| c.is_ascii_alphabetic())
}

/// `zone(name)`: whether there is such a zone.
fn zone(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args.get_or_undefined(0), context)?;
    Ok(Zone::load(&name).is_some().into())
}

/// `offset(zone, ms)`: the seconds that a zone is ahead of UTC at a moment.
fn offset(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args.get_or_undefined(0), context)?;
    let ms = args.get_or_undefined(1).to_number(context)?;
    let zone = Zone::load(&name);
    let offset = zone.map_or(0, |zone| zone.offset_s((ms / 1000.0).floor() as i64));
    Ok(JsValue::from(offset))
}
