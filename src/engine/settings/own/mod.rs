//! Rotunda's own settings: a second row of `_params`, beside PocketBase's settings.
//!
//! | file | holds |
//! | --- | --- |
//! | `table` | names, types, bounds, defaults and help: a new setting is a row there and a member of [`OwnSettings`] |
//! | `layers` | which value counts: flag, `ROTUNDA_*` variable, stored, default |
//!
//! Readers take the typed snapshot, [`Engine::own_settings`].

mod layers;
pub mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Map, Value as Json};

use self::layers::{Layers, Values};
use self::table::Setting;
use crate::base::cipher;
use crate::engine::{Engine, Error};
use crate::store::{Conn, params};

pub use self::layers::Fixed;

/// The id of the row in `_params`.
const ROW: &str = "rotunda";

/// The values that count, typed.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnSettings {
    pub payments: Payments,
    pub rtc: Rtc,
    pub rooms: RoomLimits,
    /// Who sends it may read the metrics.
    pub metrics_token: Option<String>,
}

/// How charges are paid.
#[derive(Clone, Debug, PartialEq)]
pub struct Payments {
    /// Charges are paid from the payer's wallet at once; otherwise an external provider settles them.
    pub require_balance: bool,
    /// Every charge succeeds unpaid.
    pub trust_clients: bool,
    /// Minutes after which an unpaid sale is cancelled.
    pub hold_minutes: i64,
    /// The secrets of payment providers by their names.
    pub webhook_secrets: BTreeMap<String, String>,
}

/// What clients of rooms are told to connect by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rtc {
    /// STUN and TURN URLs.
    pub ice_servers: Vec<String>,
    /// What the TURN servers share with this one.
    pub turn_secret: Option<String>,
    /// Minutes for which TURN credentials are valid.
    pub turn_minutes: i64,
}

/// Bounds of rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomLimits {
    /// Rooms can be created without signing in.
    pub allow_anonymous_create: bool,
    /// Rooms that a user may own.
    pub per_user: i64,
    /// The most places that the owner of a room may give it.
    pub max_participants: i64,
}

impl OwnSettings {
    fn of(layers: &Layers) -> Self {
        Self {
            payments: Payments {
                require_balance: flag(layers, "payments.requireBalance"),
                trust_clients: flag(layers, "payments.trustClients"),
                hold_minutes: whole(layers, "payments.holdMinutes"),
                webhook_secrets: chosen(layers, "payments.webhooks.*.secret"),
            },
            rtc: Rtc {
                ice_servers: texts(layers, "rtc.iceServers"),
                turn_secret: secret(layers, "rtc.turnSecret"),
                turn_minutes: whole(layers, "rtc.turnMinutes"),
            },
            rooms: RoomLimits {
                allow_anonymous_create: flag(layers, "rooms.allowAnonymousCreate"),
                per_user: whole(layers, "rooms.perUser"),
                max_participants: whole(layers, "rooms.maxParticipants"),
            },
            metrics_token: secret(layers, "metrics.token"),
        }
    }
}

fn flag(layers: &Layers, name: &str) -> bool {
    let value = layers.get(name).and_then(|value| value.as_bool());
    debug_assert!(value.is_some(), "{name} is a flag of the table");
    value.unwrap_or_default()
}

fn whole(layers: &Layers, name: &str) -> i64 {
    let value = layers.get(name).and_then(|value| value.as_i64());
    debug_assert!(value.is_some(), "{name} is a number of the table");
    value.unwrap_or_default()
}

fn texts(layers: &Layers, name: &str) -> Vec<String> {
    let value = layers.get(name);
    debug_assert!(value.is_some(), "{name} is a list of the table");
    let items = value
        .as_ref()
        .and_then(Json::as_array)
        .into_iter()
        .flatten();
    items
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn secret(layers: &Layers, name: &str) -> Option<String> {
    layers.get(name)?.as_str().map(str::to_owned)
}

/// The texts of a setting with a chosen part, by that part.
fn chosen(layers: &Layers, name: &str) -> BTreeMap<String, String> {
    let setting = table::SETTINGS.iter().find(|setting| setting.name == name);
    debug_assert!(setting.is_some(), "{name} is in the table");
    let Some(setting) = setting else {
        return BTreeMap::new();
    };
    let names = layers.names(setting).into_iter();
    names
        .filter_map(|name| {
            let chosen = setting.chosen_part(name)?.to_owned();
            Some((chosen, layers.get(name)?.as_str()?.to_owned()))
        })
        .collect()
}

/// The layers of an engine and the snapshot made of them.
pub(in crate::engine) struct OwnState(ArcSwap<(Layers, Arc<OwnSettings>)>);

impl OwnState {
    pub(in crate::engine) async fn load(conn: &mut Conn, key: Option<&str>) -> Result<Self, Error> {
        let stored = match params::get(conn, ROW).await? {
            Some(raw) => from_row(&raw, key)?,
            None => Values::new(),
        };
        let layers = Layers {
            stored,
            ..Layers::default()
        };
        Ok(Self(ArcSwap::from_pointee(snapshot(layers))))
    }

    fn set(&self, layers: Layers) {
        self.0.store(Arc::new(snapshot(layers)));
    }
}

fn snapshot(layers: Layers) -> (Layers, Arc<OwnSettings>) {
    let typed = Arc::new(OwnSettings::of(&layers));
    (layers, typed)
}

fn from_row(raw: &[u8], key: Option<&str>) -> Result<Values, Error> {
    let unreadable = |cause| Error::internal("the row of Rotunda's settings cannot be read", cause);
    if let Ok(values) = serde_json::from_slice(raw) {
        return Ok(values);
    }
    let key = key.ok_or_else(|| {
        Error::Internal(
            "the settings are encrypted and no encryption key is set".to_owned(),
            None,
        )
    })?;
    let plain = cipher::decrypt(&String::from_utf8_lossy(raw), key)
        .map_err(|cause| Error::internal("the settings cannot be decrypted", cause))?;
    serde_json::from_slice(&plain).map_err(unreadable)
}

fn to_row(values: &Values, key: Option<&str>) -> Result<Vec<u8>, Error> {
    let plain = serde_json::to_vec(values)
        .map_err(|cause| Error::internal("the settings cannot be written", cause))?;
    match key {
        None => Ok(plain),
        Some(key) => cipher::encrypt(&plain, key)
            .map(String::into_bytes)
            .map_err(|cause| Error::internal("the settings cannot be encrypted", cause)),
    }
}

impl Engine {
    /// Rotunda's own settings as they count now.
    #[must_use]
    pub fn own_settings(&self) -> Arc<OwnSettings> {
        Arc::clone(&self.own_state().0.load().1)
    }

    /// The same as superusers see them: nested, secrets masked.
    #[must_use]
    pub fn own_settings_shown(&self) -> Json {
        self.own_state().0.load().0.shown()
    }

    /// Lays what flags and variables say over what is stored. Called once, before the engine is used.
    pub fn fix_own_settings(&self, fixed: Fixed) {
        let stored = self.own_state().0.load().0.stored.clone();
        let is_waiting = |(name, value): (&String, &Json)| {
            Setting::find(name).is_some_and(|setting| setting.dev_only)
                && *value == Json::Bool(true)
        };
        if !fixed.dev && stored.iter().any(is_waiting) {
            tracing::warn!("a stored setting that needs --dev is off");
        }
        self.own_state().set(Layers { fixed, stored });
    }

    /// Changes what is stored by a nested partial object; `null` takes a value away. Gives what [`Engine::own_settings_shown`]
    /// does.
    ///
    /// # Errors
    /// `Validation` for unknown names, wrong types, values out of bounds and those that a flag or variable fixes.
    pub async fn update_own_settings(&self, patch: Map<String, Json>) -> Result<Json, Error> {
        let engine = self.clone();
        // Exclusive, so that of two changes at the same time the second builds on the first.
        self.store()
            .write_exclusive(move |tx| {
                Box::pin(async move {
                    let mut layers = engine.own_state().0.load().0.clone();
                    layers.patch(&patch).map_err(|fields| {
                        Error::validation(
                            "An error occurred while saving the new settings.",
                            fields,
                        )
                    })?;
                    let row = to_row(&layers.stored, engine.encryption_key())?;
                    params::set(tx, ROW, &row, &engine.now().to_string()).await?;
                    let shown = layers.shown();
                    tx.on_commit(Box::new(move || engine.own_state().set(layers)));
                    Ok(shown)
                })
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_is_read_plain_or_encrypted() {
        const KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";
        let values = Values::from([("payments.holdMinutes".to_owned(), Json::from(5))]);
        for key in [None, Some(KEY)] {
            let row = to_row(&values, key).unwrap();
            assert_eq!(from_row(&row, key).unwrap(), values);
        }
        let row = to_row(&values, Some(KEY)).unwrap();
        assert!(from_row(&row, None).is_err());
    }

    #[test]
    fn the_typed_view_has_the_defaults() {
        let settings = OwnSettings::of(&Layers::default());
        assert_eq!(
            settings.payments,
            Payments {
                require_balance: true,
                trust_clients: false,
                hold_minutes: 30,
                webhook_secrets: BTreeMap::new(),
            }
        );
        let rtc = Rtc {
            turn_minutes: 1_440,
            ..Rtc::default()
        };
        assert_eq!(settings.rtc, rtc);
    }
}
