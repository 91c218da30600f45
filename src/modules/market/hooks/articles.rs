//! Articles: whose they are, and prices that are amounts.

use futures_util::future::BoxFuture;
use serde_json::{Map, Value as Json};

use super::client_of;
use crate::base::Cents;
use crate::engine::{self, Next, Op, RecordEvent, RecordHook, Stage};
use crate::model::{Collection, FieldError, FieldErrors, Record, Value};
use crate::modules::market::{ARTICLES, Error, own};
use crate::modules::{AHEAD_OF_SCRIPTS, keep};

/// What a new article must name.
const REQUIRED: [&str; 2] = ["prix", "quantite"];

/// What must be a number, and not what a cast makes one of.
const NUMBERS: [&str; 3] = ["prix", "quantite", "prixOriginal"];
/// The most pieces that a client puts on sale.
const QUANTITY_MAX: f64 = 1_000_000_000.0;

/// Writes of articles.
pub(super) struct Articles;

impl Articles {
    fn complete(event: &mut RecordEvent<'_>) -> Result<(), Error> {
        if event.op == Op::Create {
            if let Some(client) = client_of(event)?.map(str::to_owned) {
                event.record.set("user", client.into());
            }
        } else if event.validate && own::mark(&event.record).is_none() {
            keep(&mut event.record, &["user"]);
        }
        for field in ["prix", "prixOriginal"] {
            if event.record.has_changed(field) {
                normalise(&mut event.record, field)?;
            }
        }
        Ok(())
    }
}

impl RecordHook for Articles {
    fn priority(&self) -> i32 {
        AHEAD_OF_SCRIPTS
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.name == ARTICLES
    }

    fn completes(&self, _: &Collection) -> bool {
        true
    }

    fn is_settable(&self, _: &Collection, field: &str) -> bool {
        field != "user"
    }

    fn check_input(&self, _: &Collection, body: &Map<String, Json>, is_new: bool) -> FieldErrors {
        let mut errors = FieldErrors::default();
        for name in NUMBERS {
            let is_required = is_new && REQUIRED.contains(&name);
            match body.get(name) {
                None if is_required => errors.add(name, blank()),
                None => {}
                Some(value) if is_blank(value) && name == "prixOriginal" => {}
                Some(value) if is_blank(value) => errors.add(name, blank()),
                Some(value) => match number_of(value) {
                    None => errors.add(name, refused("Must be a number.")),
                    Some(number) if name == "quantite" && number > QUANTITY_MAX => {
                        errors.add(name, refused("Must be no more than 1000000000."));
                    }
                    Some(_) => {}
                },
            }
        }
        errors
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), engine::Error>> {
        if stage != Stage::Write || event.op == Op::Delete {
            return next.run(event);
        }
        Box::pin(async move {
            Self::complete(event)?;
            next.run(event).await
        })
    }
}

fn is_blank(value: &Json) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

/// A number, also as a form sends it.
fn number_of(value: &Json) -> Option<f64> {
    match value {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

fn blank() -> FieldError {
    FieldError::new("validation_required", "Cannot be blank.")
}

fn refused(message: &str) -> FieldError {
    FieldError::new("validation_invalid_value", message)
}

/// Makes a price the number that is nearest to its cents.
fn normalise(record: &mut Record, field: &'static str) -> Result<(), Error> {
    let Some(Value::Number(number)) = record.get(field) else {
        return Ok(());
    };
    let amount = Cents::from_number(*number).map_err(|error| Error::money(field, error))?;
    if amount.is_negative() {
        return Err(Error::Field(field, "must be 0 or more".to_owned()));
    }
    record.set(field, Value::Number(amount.to_number()));
    Ok(())
}
