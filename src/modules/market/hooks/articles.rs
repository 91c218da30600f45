//! Articles: whose they are, and prices that are amounts.

use futures_util::future::BoxFuture;

use super::client_of;
use crate::base::Cents;
use crate::engine::{self, Next, Op, RecordEvent, RecordHook, Stage};
use crate::model::{Collection, Record, Value};
use crate::modules::AHEAD_OF_SCRIPTS;
use crate::modules::market::{ARTICLES, Error, own};

/// What a new article must name.
const REQUIRED: [&str; 2] = ["prix", "quantite"];

/// Writes of articles.
pub(super) struct Articles;

impl Articles {
    fn complete(event: &mut RecordEvent<'_>) -> Result<(), Error> {
        if event.op == Op::Create {
            if let Some(client) = client_of(event)?.map(str::to_owned) {
                event.record.set("user", client.into());
            }
            if let Some(request) = &event.request {
                let missing = REQUIRED.into_iter().find(|name| {
                    request
                        .body
                        .get(*name)
                        .is_none_or(serde_json::Value::is_null)
                });
                if let Some(name) = missing {
                    return Err(Error::Required(name));
                }
            }
        } else if event.validate && own::mark(&event.record).is_none() {
            super::keep(&mut event.record, "user");
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
