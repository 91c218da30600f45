//! The table of Rotunda's own settings: names, types, bounds, defaults and help. Everything else is derived from it.

use serde_json::Value as Json;

use crate::model::FieldError;

/// What clients see in place of a secret; sent back, it keeps the secret.
pub const MASK: &str = "******";
/// Stands in a setting's name for a name that the operator chooses, such as a payment provider's.
const ANY: &str = "*";
const CHOSEN_NAME_CHARS_MAX: usize = 40;
/// Most addresses of one setting, and most characters of each.
const URLS_MAX: usize = 16;
const URL_CHARS_MAX: usize = 500;
/// What the variables of settings begin with.
const PREFIX: &str = "ROTUNDA_";

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Dotted, such as `payments.holdMinutes`; a part may be `*`, see [`ANY`].
    pub name: &'static str,
    pub kind: Kind,
    /// A sentence for people.
    pub help: &'static str,
    /// It weakens the server: only with `--dev` may it be on.
    pub dev_only: bool,
}

/// The values that a setting takes, and its default.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Flag {
        default: bool,
    },
    /// A whole number.
    Whole {
        min: i64,
        max: i64,
        default: i64,
    },
    /// A list of addresses with one of these schemes; a flag or variable has them comma separated. Empty by default.
    Urls {
        schemes: &'static [&'static str],
    },
    /// A text that is never shown; there is none by default.
    Secret {
        chars_min: usize,
        chars_max: usize,
    },
}

/// All settings, in the order in which they are shown.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "payments.requireBalance",
        kind: Kind::Flag { default: true },
        help: "Charges are paid from the payer's wallet. Off: an external provider settles them.",
        dev_only: false,
    },
    Setting {
        name: "payments.trustClients",
        kind: Kind::Flag { default: false },
        help: "Every charge succeeds unpaid, for demonstrations; needs --dev.",
        dev_only: true,
    },
    Setting {
        name: "payments.holdMinutes",
        kind: Kind::Whole {
            min: 1,
            max: 43_200,
            default: 30,
        },
        help: "Minutes after which an unpaid sale is cancelled and its stock returned.",
        dev_only: false,
    },
    Setting {
        name: "payments.webhooks.*.secret",
        kind: Kind::Secret {
            chars_min: 8,
            chars_max: 500,
        },
        help: "The secret with which a payment provider signs its calls.",
        dev_only: false,
    },
    Setting {
        name: "rtc.iceServers",
        kind: Kind::Urls {
            schemes: &["stun", "stuns", "turn", "turns"],
        },
        help: "STUN and TURN servers that clients of rooms are told of, such as stun:stun.example.com:3478.",
        dev_only: false,
    },
    Setting {
        name: "rtc.turnSecret",
        kind: Kind::Secret {
            chars_min: 8,
            chars_max: 500,
        },
        help: "The secret that the TURN servers share, for credentials that expire (TURN REST API). Without it clients are told of no TURN server.",
        dev_only: false,
    },
    Setting {
        name: "rtc.turnMinutes",
        kind: Kind::Whole {
            min: 1,
            max: 43_200,
            default: 1_440,
        },
        help: "Minutes for which a client's TURN credentials are valid.",
        dev_only: false,
    },
    Setting {
        name: "rooms.allowAnonymousCreate",
        kind: Kind::Flag { default: false },
        help: "Rooms can be created without signing in; nobody owns them.",
        dev_only: false,
    },
    Setting {
        name: "rooms.perUser",
        kind: Kind::Whole {
            min: 1,
            max: 1_000_000,
            default: 100,
        },
        help: "Rooms that a user may own.",
        dev_only: false,
    },
    Setting {
        name: "rooms.maxParticipants",
        kind: Kind::Whole {
            min: 2,
            max: 100_000,
            default: 1_000,
        },
        help: "The most places that the owner of a room may give it.",
        dev_only: false,
    },
    Setting {
        name: "metrics.token",
        kind: Kind::Secret {
            chars_min: 16,
            chars_max: 500,
        },
        help: "Who sends it as a bearer token may read /api/metrics. Without it superusers alone may.",
        dev_only: false,
    },
];

impl Setting {
    /// The setting of a name, where chosen names stand for themselves: `payments.webhooks.acme.secret`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.has_name(name))
    }

    fn has_name(&self, name: &str) -> bool {
        let mut given = name.split('.');
        let fits = self.name.split('.').all(|part| {
            given.next().is_some_and(|given| match part {
                ANY => is_chosen_name(given),
                part => part == given,
            })
        });
        fits && given.next().is_none()
    }

    /// The part of a name of this setting that the operator chose.
    #[must_use]
    pub fn chosen_part<'n>(&self, name: &'n str) -> Option<&'n str> {
        let mut parts = self.name.split('.').zip(name.split('.'));
        parts.find_map(|(part, given)| (part == ANY).then_some(given))
    }

    /// Whether the setting, or one of its name's parts, lies below a dotted path.
    #[must_use]
    pub fn is_below(&self, path: &str) -> bool {
        let mut parts = self.name.split('.');
        path.split('.').all(|given| {
            parts.next().is_some_and(|part| match part {
                ANY => is_chosen_name(given),
                part => part == given,
            })
        }) && parts.next().is_some()
    }

    /// The variable that sets it: `ROTUNDA_PAYMENTS_HOLD_MINUTES`; `*` stands for chosen names.
    #[must_use]
    pub fn variable(&self) -> String {
        let mut out = PREFIX.to_owned();
        for (index, part) in self.name.split('.').enumerate() {
            if index > 0 {
                out.push('_');
            }
            for letter in part.chars() {
                if letter.is_ascii_uppercase() {
                    out.push('_');
                }
                out.push(letter.to_ascii_uppercase());
            }
        }
        out
    }

    /// The setting's name if a variable sets it, with the chosen part in lower case.
    #[must_use]
    pub fn name_of_variable(&self, variable: &str) -> Option<String> {
        let own = self.variable();
        let Some((before, after)) = own.split_once(ANY) else {
            return (own == variable).then(|| self.name.to_owned());
        };
        let chosen = variable.strip_prefix(before)?.strip_suffix(after)?;
        let chosen = chosen.to_ascii_lowercase();
        is_chosen_name(&chosen).then(|| self.name.replace(ANY, &chosen))
    }

    /// What it is when nobody has set it; secrets are not there then.
    #[must_use]
    pub fn default(&self) -> Option<Json> {
        match self.kind {
            Kind::Flag { default } => Some(default.into()),
            Kind::Whole { default, .. } => Some(default.into()),
            Kind::Urls { .. } => Some(Json::Array(Vec::new())),
            Kind::Secret { .. } => None,
        }
    }

    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret { .. })
    }

    /// Checks a value as a client or the database has it.
    ///
    /// # Errors
    /// The field error.
    pub fn check(&self, value: &Json) -> Result<(), FieldError> {
        match (self.kind, value) {
            (Kind::Flag { .. }, Json::Bool(_)) => Ok(()),
            (Kind::Flag { .. }, _) => Err(invalid("Must be true or false.")),
            (Kind::Whole { min, max, .. }, value) => match value.as_i64() {
                Some(number) if (min..=max).contains(&number) => Ok(()),
                Some(_) => Err(invalid(&format!("Must be from {min} to {max}."))),
                None => Err(invalid("Must be a whole number.")),
            },
            (Kind::Urls { schemes }, Json::Array(items)) => {
                let are_urls = items.iter().all(|item| {
                    let url = item.as_str().and_then(|url| url.split_once(':'));
                    url.is_some_and(|(scheme, rest)| schemes.contains(&scheme) && is_address(rest))
                });
                if are_urls && items.len() <= URLS_MAX {
                    return Ok(());
                }
                Err(invalid(&format!(
                    "Must be at most {URLS_MAX} addresses that begin with one of: {}.",
                    schemes.join(", ")
                )))
            }
            (Kind::Urls { .. }, _) => Err(invalid("Must be a list of addresses.")),
            (Kind::Secret { .. }, Json::String(text)) if text == MASK => Err(invalid(
                "There is no secret yet that the mask could stand for.",
            )),
            (
                Kind::Secret {
                    chars_min,
                    chars_max,
                },
                Json::String(text),
            ) => {
                if (chars_min..=chars_max).contains(&text.chars().count()) {
                    return Ok(());
                }
                Err(invalid(&format!(
                    "Must be from {chars_min} to {chars_max} characters."
                )))
            }
            (Kind::Secret { .. }, _) => Err(invalid("Must be a text.")),
        }
    }

    /// Reads a value as a flag or variable has it.
    ///
    /// # Errors
    /// The field error.
    pub fn parse(&self, text: &str) -> Result<Json, FieldError> {
        let trimmed = text.trim();
        let value = match self.kind {
            Kind::Flag { .. } => match trimmed {
                "true" | "1" => Json::Bool(true),
                "false" | "0" => Json::Bool(false),
                _ => return Err(invalid("Must be true or false.")),
            },
            Kind::Whole { .. } => match trimmed.parse::<i64>() {
                Ok(number) => number.into(),
                Err(_) => return Err(invalid("Must be a whole number.")),
            },
            Kind::Urls { .. } => {
                let urls = trimmed.split(',').map(str::trim);
                urls.filter(|url| !url.is_empty()).map(Json::from).collect()
            }
            Kind::Secret { .. } => text.into(),
        };
        self.check(&value)?;
        Ok(value)
    }
}

/// Whether a name can stand where a setting's has `*`. Lower case alone, so that variables can give it.
#[must_use]
pub fn is_chosen_name(name: &str) -> bool {
    (1..=CHOSEN_NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-'
        })
}

/// Whether a text can stand behind the scheme of a STUN or TURN URL (RFC 7064, RFC 7065): no spaces, nothing unseen.
fn is_address(text: &str) -> bool {
    (1..=URL_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn invalid(message: &str) -> FieldError {
    FieldError::new("validation_invalid_value", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_variables_are_of_one_setting_each() {
        for setting in SETTINGS {
            let name = setting.name.replace(ANY, "acme");
            let found: Vec<_> = SETTINGS
                .iter()
                .filter(|other| other.has_name(&name))
                .collect();
            assert_eq!(found.len(), 1, "{name}");
            let variable = setting.variable().replace(ANY, "ACME");
            assert_eq!(setting.name_of_variable(&variable).unwrap(), name);
            if let Some(default) = setting.default() {
                assert!(setting.check(&default).is_ok(), "{name}");
            }
            assert!(!setting.help.is_empty());
        }
        assert!(Setting::find("payments").is_none());
        assert!(Setting::find("payments.webhooks.A.secret").is_none());
        assert!(Setting::find("payments.webhooks.a.secret.x").is_none());
        assert!(SETTINGS[3].is_below("payments.webhooks.a"));
        assert!(!SETTINGS[3].is_below("payments.webhooks.a.secret"));
        assert!(!SETTINGS[3].is_below("payments.x"));
    }

    #[test]
    fn variables_are_spelled_in_upper_case() {
        let setting = Setting::find("payments.holdMinutes").unwrap();
        assert_eq!(setting.variable(), "ROTUNDA_PAYMENTS_HOLD_MINUTES");
        let secret = Setting::find("payments.webhooks.acme.secret").unwrap();
        assert_eq!(
            secret.name_of_variable("ROTUNDA_PAYMENTS_WEBHOOKS_ACME_SECRET"),
            Some("payments.webhooks.acme.secret".to_owned())
        );
        assert_eq!(
            secret.name_of_variable("ROTUNDA_PAYMENTS_WEBHOOKS_SECRET"),
            None
        );
        assert_eq!(
            secret.chosen_part("payments.webhooks.acme.secret"),
            Some("acme")
        );
    }

    #[test]
    fn texts_become_values_within_their_bounds() {
        let hold = Setting::find("payments.holdMinutes").unwrap();
        assert_eq!(hold.parse("10").unwrap(), Json::from(10));
        for bad in ["", "0", "1.5", "x", "99999999"] {
            assert!(hold.parse(bad).is_err(), "{bad}");
        }
        let flag = Setting::find("payments.requireBalance").unwrap();
        assert_eq!(flag.parse("false").unwrap(), Json::Bool(false));
        assert!(flag.parse("no").is_err());
        let servers = Setting::find("rtc.iceServers").unwrap();
        assert_eq!(
            servers.parse("stun:a:3478, turn:b?transport=tcp").unwrap(),
            serde_json::json!(["stun:a:3478", "turn:b?transport=tcp"])
        );
        assert_eq!(servers.parse("").unwrap(), serde_json::json!([]));
        for bad in ["a", "http://a", "stun:", "stun:a b"] {
            assert!(servers.parse(bad).is_err(), "{bad}");
        }
        let secret = Setting::find("payments.webhooks.x.secret").unwrap();
        for bad in [MASK, "short"] {
            assert!(secret.parse(bad).is_err());
        }
    }
}
