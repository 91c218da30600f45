//! Operations: rows that are added and settled, and otherwise stay as they are.

use futures_util::future::BoxFuture;
use serde_json::{Map, Value as Json};

use super::keep_all_but;
use crate::base::Cents;
use crate::engine::{self, Next, Op, RecordEvent, RecordHook, Stage};
use crate::model::{Collection, Record, Value};
use crate::modules::AHEAD_OF_SCRIPTS;
use crate::modules::market::own::Payment;
use crate::modules::market::wallet::{COUNTERPART, Status};
use crate::modules::market::{Error, Market, OPERATIONS, own};

/// Writes of operations.
pub(super) struct Operations {
    market: Market,
}

impl Operations {
    pub(super) fn new(market: Market) -> Self {
        Self { market }
    }

    /// A row that a superuser or script adds.
    fn complete(record: &mut Record) -> Result<(), Error> {
        let Some(Value::Number(number)) = record.get("montant") else {
            return Err(Error::Required("montant"));
        };
        let amount = Cents::from_number(*number).map_err(|error| Error::money("montant", error))?;
        let fits = match record.text("operation") {
            "cashin" => amount.is_positive(),
            "cashout" => amount.is_negative(),
            // Refused by the field.
            _ => true,
        };
        if !fits {
            let why = "must be more than 0 for a cashin and less than 0 for a cashout";
            return Err(Error::Field("montant", why.to_owned()));
        }
        record.set("montant", Value::Number(amount.to_number()));
        if record.text("user").is_empty() {
            return Err(Error::Required("user"));
        }
        if record.text("status").is_empty() {
            record.set("status", Status::Paid.as_str().into());
        }
        // A sale and a charge have the rows that the market gave them.
        record.set("vente", "".into());
        let metadata = serde_json::from_str::<Map<String, Json>>(record.text("metadata"));
        if let Ok(mut metadata) = metadata
            && metadata.remove(COUNTERPART).is_some()
        {
            record.set("metadata", Value::Json(Json::Object(metadata).to_string()));
        }
        Ok(())
    }

    /// What a superuser, script or cascade changes. Gives the state that a charge comes to.
    fn restrict(event: &mut RecordEvent<'_>) -> Result<Option<Status>, Error> {
        // The account is deleted.
        let is_cleared = !event.validate && event.record.text("user").is_empty();
        let changeable: &[&str] = if is_cleared {
            &["user", "desc", "status"]
        } else {
            &["desc", "status"]
        };
        keep_all_but(&mut event.record, changeable);
        let record = &event.record;
        if !record.has_changed("status") {
            return Ok(None);
        }
        if !record.text("vente").is_empty() {
            return Err(Error::OfSale);
        }
        let before = record.original("status").map_or("", Value::as_text);
        let to = Status::parse(record.text("status"));
        match to {
            Some(to) if !to.is_open() && Status::parse(before).is_some_and(Status::is_open) => {
                Ok(Some(to))
            }
            // Refused by the field.
            None if event.validate => Ok(None),
            _ => Err(Error::state("the operation", before)),
        }
    }
}

impl RecordHook for Operations {
    fn priority(&self) -> i32 {
        AHEAD_OF_SCRIPTS
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.name == OPERATIONS
    }

    fn completes(&self, _: &Collection) -> bool {
        true
    }

    fn is_settable(&self, _: &Collection, _: &str) -> bool {
        false
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), engine::Error>> {
        if stage != Stage::Write || own::mark(&event.record).is_some() {
            return next.run(event);
        }
        Box::pin(async move {
            match event.op {
                Op::Delete => Err(Error::Kept.into()),
                Op::Create => {
                    Self::complete(&mut event.record)?;
                    next.run(event).await
                }
                Op::Update => {
                    let to = Self::restrict(event)?;
                    next.run(event).await?;
                    if let Some(to) = to {
                        let payment = Payment::default();
                        let wallet = self.market.wallet();
                        wallet.follow(event.tx, &event.record, to, &payment).await?;
                    }
                    Ok(())
                }
            }
        })
    }
}
