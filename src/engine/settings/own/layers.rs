//! The layers of values: fixed by flag or variable, stored, default.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::table::{MASK, SETTINGS, Setting, invalid};
use crate::model::FieldErrors;

/// Values by the full names of their settings.
pub(super) type Values = BTreeMap<String, Json>;

/// What flags and variables fix for the run of a server.
#[derive(Clone, Debug, Default)]
pub struct Fixed {
    values: Values,
    /// Whether settings may be on that weaken the server.
    pub(super) dev: bool,
}

impl Fixed {
    /// Reads `name=value` pairs of flags and of the environment; a flag wins over a variable. Variables of no setting are
    /// somebody else's.
    ///
    /// # Errors
    /// A message for people, without the value.
    pub fn read(
        flags: &[(String, String)],
        variables: &[(String, String)],
        dev: bool,
    ) -> Result<Self, String> {
        let mut fixed = Self {
            values: Values::new(),
            dev,
        };
        for (variable, text) in variables {
            let found = SETTINGS.iter().find_map(|setting| {
                let name = setting.name_of_variable(variable)?;
                Some((setting, name))
            });
            if let Some((setting, name)) = found {
                fixed
                    .insert(setting, name, text)
                    .map_err(|why| format!("{variable}: {why}"))?;
            }
        }
        for (name, text) in flags {
            let setting = Setting::find(name)
                .ok_or_else(|| format!("--set {name}: there is no such setting"))?;
            fixed
                .insert(setting, name.clone(), text)
                .map_err(|why| format!("--set {name}: {why}"))?;
        }
        Ok(fixed)
    }

    fn insert(&mut self, setting: &Setting, name: String, text: &str) -> Result<(), String> {
        let value = setting.parse(text).map_err(|error| error.message)?;
        if setting.dev_only && !self.dev && value == Json::Bool(true) {
            return Err(NEEDS_DEV.to_owned());
        }
        self.values.insert(name, value);
        Ok(())
    }
}

const NEEDS_DEV: &str = "Can be on with --dev alone.";

/// The layers together.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    pub(super) fixed: Fixed,
    pub(super) stored: Values,
}

impl Layers {
    /// The value that counts.
    pub(super) fn get(&self, name: &str) -> Option<Json> {
        let setting = Setting::find(name)?;
        if let Some(value) = self.fixed.values.get(name) {
            return Some(value.clone());
        }
        match self.stored.get(name) {
            // Stored while the server ran with --dev.
            Some(Json::Bool(true)) if setting.dev_only && !self.fixed.dev => setting.default(),
            // What another version has stored may be out of today's bounds.
            Some(value) if setting.check(value).is_ok() => Some(value.clone()),
            _ => setting.default(),
        }
    }

    /// The full names of a setting's values: one, or those with a chosen name.
    pub(super) fn names(&self, setting: &'static Setting) -> Vec<&str> {
        if Setting::find(setting.name).is_some() {
            return vec![setting.name];
        }
        let all = self.fixed.values.keys().chain(self.stored.keys());
        let mut names: Vec<&str> = all
            .map(String::as_str)
            .filter(|name| Setting::find(name).is_some_and(|found| std::ptr::eq(found, setting)))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// All values nested, secrets masked.
    pub(super) fn shown(&self) -> Json {
        let mut shown = Map::new();
        for setting in SETTINGS {
            for name in self.names(setting) {
                let value = match self.get(name) {
                    Some(_) if setting.is_secret() => MASK.into(),
                    Some(value) => value,
                    None => continue,
                };
                put(&mut shown, name, value);
            }
            // What has no name chosen yet is shown as an empty object.
            if let Some((place, _)) = setting.name.split_once(".*") {
                object_at(&mut shown, place);
            }
        }
        Json::Object(shown)
    }

    /// Takes over what a nested partial object says. `null` takes a stored value away.
    ///
    /// # Errors
    /// The refused members.
    pub(super) fn patch(&mut self, patch: &Map<String, Json>) -> Result<(), FieldErrors> {
        self.patch_below("", patch).into_result()
    }

    fn patch_below(&mut self, path: &str, patch: &Map<String, Json>) -> FieldErrors {
        let mut errors = FieldErrors::new();
        for (member, value) in patch {
            // A dot in a member would make another path of it.
            let full = match path {
                "" => member.clone(),
                path => format!("{path}.{member}"),
            };
            if member.contains('.') {
                errors.add(member, unknown());
            } else if let Some(setting) = Setting::find(&full) {
                if let Err(error) = self.put(setting, full, value) {
                    errors.add(member, error);
                }
            } else if !SETTINGS.iter().any(|setting| setting.is_below(&full)) {
                errors.add(member, unknown());
            } else {
                match value {
                    Json::Object(members) => errors.nest(member, self.patch_below(&full, members)),
                    Json::Null => {
                        let below = format!("{full}.");
                        self.stored.retain(|name, _| !name.starts_with(&below));
                    }
                    _ => errors.add(member, invalid("Must be an object.")),
                }
            }
        }
        errors
    }

    fn put(
        &mut self,
        setting: &Setting,
        name: String,
        value: &Json,
    ) -> Result<(), crate::model::FieldError> {
        let is_kept = setting.is_secret() && value == MASK && self.get(&name).is_some();
        if is_kept {
            return Ok(());
        }
        if let Some(fixed) = self.fixed.values.get(&name) {
            // What is shown may come back whole.
            if value == fixed {
                return Ok(());
            }
            return Err(invalid(
                "A flag or variable fixes this setting for as long as the server runs.",
            ));
        }
        if value.is_null() || (setting.is_secret() && value == "") {
            self.stored.remove(&name);
            return Ok(());
        }
        setting.check(value)?;
        if setting.dev_only && !self.fixed.dev && *value == Json::Bool(true) {
            return Err(invalid(NEEDS_DEV));
        }
        self.stored.insert(name, value.clone());
        Ok(())
    }
}

fn unknown() -> crate::model::FieldError {
    crate::model::FieldError::new("validation_unknown_setting", "There is no such setting.")
}

fn put(members: &mut Map<String, Json>, name: &str, value: Json) {
    match name.rsplit_once('.') {
        None => {
            members.insert(name.to_owned(), value);
        }
        Some((path, last)) => {
            if let Some(members) = object_at(members, path) {
                members.insert(last.to_owned(), value);
            }
        }
    }
}

fn object_at<'a>(
    members: &'a mut Map<String, Json>,
    path: &str,
) -> Option<&'a mut Map<String, Json>> {
    let mut members = members;
    for part in path.split('.') {
        members = members
            .entry(part.to_owned())
            .or_insert_with(|| Json::Object(Map::new()))
            .as_object_mut()?;
    }
    Some(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    fn layers(flags: &[(&str, &str)], variables: &[(&str, &str)], dev: bool) -> Layers {
        Layers {
            fixed: Fixed::read(&pairs(flags), &pairs(variables), dev).unwrap(),
            stored: Values::new(),
        }
    }

    fn patched(layers: &mut Layers, patch: Json) -> Json {
        match layers.patch(patch.as_object().unwrap()) {
            Ok(()) => Json::Null,
            Err(errors) => Json::Object(errors.to_json()),
        }
    }

    #[test]
    fn a_flag_wins_over_a_variable_over_what_is_stored_over_the_default() {
        const NAME: &str = "payments.holdMinutes";
        const VARIABLE: (&str, &str) = ("ROTUNDA_PAYMENTS_HOLD_MINUTES", "20");
        for (flags, variables, stored, expected) in [
            (&[(NAME, "10")][..], &[VARIABLE][..], Some(40), 10),
            (&[], &[VARIABLE, ("ROTUNDA_DIR", "x")], Some(40), 20),
            (&[], &[], Some(40), 40),
            (&[], &[], None, 30),
            (&[], &[], Some(-1), 30),
        ] {
            let mut layers = layers(flags, variables, false);
            if let Some(stored) = stored {
                layers.stored.insert(NAME.to_owned(), stored.into());
            }
            assert_eq!(layers.get(NAME), Some(expected.into()));
        }
        for flags in [
            [("payments.none", "1")],
            [(NAME, "x")],
            [("payments.trustClients", "true")],
        ] {
            assert!(Fixed::read(&pairs(&flags), &[], false).is_err());
        }
        assert!(
            Fixed::read(
                &[],
                &pairs(&[("ROTUNDA_PAYMENTS_HOLD_MINUTES", "-")]),
                false
            )
            .is_err()
        );
    }

    #[test]
    fn a_patch_is_refused_by_name() {
        let mut layers = layers(&[("payments.holdMinutes", "10")], &[], false);
        for (patch, at) in [
            (json!({"none": 1}), "/none"),
            (json!({"payments": 1}), "/payments"),
            (json!({"payments": {"none": 1}}), "/payments/none"),
            (json!({"payments.holdMinutes": 1}), "/payments.holdMinutes"),
            (
                json!({"payments": {"requireBalance": "yes"}}),
                "/payments/requireBalance",
            ),
            (
                json!({"payments": {"trustClients": true}}),
                "/payments/trustClients",
            ),
            (
                json!({"payments": {"holdMinutes": 11}}),
                "/payments/holdMinutes",
            ),
            (
                json!({"payments": {"webhooks": {"A b": {"secret": "long enough"}}}}),
                "/payments/webhooks/A b",
            ),
            (
                json!({"payments": {"webhooks": {"a": {"secret": MASK}}}}),
                "/payments/webhooks/a/secret",
            ),
            (
                json!({"payments": {"webhooks": {"a": {"key": "x"}}}}),
                "/payments/webhooks/a/key",
            ),
        ] {
            let refused = patched(&mut layers, patch);
            assert!(
                refused
                    .pointer(at)
                    .is_some_and(|error| error["code"].is_string()),
                "{at}: {refused}"
            );
        }
        assert!(layers.stored.is_empty());
        // As it is shown it may come back.
        let shown = layers.shown();
        assert_eq!(patched(&mut layers, shown), Json::Null);
    }

    #[test]
    fn secrets_are_masked_kept_and_taken_away() {
        const NAME: &str = "payments.webhooks.acme.secret";
        let mut layers = layers(&[], &[], false);
        let secret = |text: &str| json!({"payments": {"webhooks": {"acme": {"secret": text}}}});
        assert_eq!(layers.shown()["payments"]["webhooks"], json!({}));
        assert_eq!(patched(&mut layers, secret("long enough")), Json::Null);
        assert_eq!(
            layers.shown()["payments"]["webhooks"],
            json!({"acme": {"secret": MASK}})
        );
        assert_eq!(patched(&mut layers, secret(MASK)), Json::Null);
        assert_eq!(layers.get(NAME), Some("long enough".into()));
        let gone = json!({"payments": {"webhooks": {"acme": null}}});
        assert_eq!(patched(&mut layers, gone), Json::Null);
        assert_eq!(layers.get(NAME), None);
    }

    #[test]
    fn what_needs_dev_is_off_without_it() {
        const NAME: &str = "payments.trustClients";
        for dev in [true, false] {
            let mut layers = layers(&[], &[], dev);
            layers.stored.insert(NAME.to_owned(), true.into());
            assert_eq!(layers.get(NAME), Some(dev.into()));
        }
    }
}
