//! What a delete does to records that refer to the deleted one.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::save::prepare_update;
use crate::engine::Error;
use crate::engine::hooks::{Op, RecordEvent};
use crate::model::{Collection, Field, Record, Schema, Value};
use crate::store::records;
use crate::store::search::Condition;

/// How many referring records are read at once.
const BATCH: usize = 1000;

/// Clears, deletes or refuses the references to `event.record`, collection by collection in name order.
pub(super) fn references<'e>(event: &'e mut RecordEvent<'_>) -> BoxFuture<'e, Result<(), Error>> {
    Box::pin(async move {
        let schema = Arc::clone(event.tx.schema());
        let target = Arc::clone(event.record.collection());
        let mut owners: Vec<&Arc<Collection>> = schema
            .iter()
            .filter(|collection| !collection.is_view())
            .collect();
        owners.sort_by(|a, b| a.name.cmp(&b.name));
        for owner in owners {
            for field in owner.fields() {
                let refers = field
                    .as_relation()
                    .is_some_and(|options| options.collection_id == target.id);
                if refers {
                    field_references(event, owner, field).await?;
                }
            }
        }
        Ok(())
    })
}

async fn field_references(
    event: &mut RecordEvent<'_>,
    owner: &Arc<Collection>,
    field: &Field,
) -> Result<(), Error> {
    let deleted = event.record.id().to_owned();
    let schema = Arc::clone(event.tx.schema());
    // A record of the batch may go with one before it, as answers go with the comment they answer.
    let may_be_gone = leads_back(&schema, owner);
    // Each round changes or deletes what it read, so the next one finds the rest; no progress ends it.
    loop {
        let found = records::referencing(event.tx, owner, field, &deleted, BATCH).await?;
        let count = found.len();
        for record in found {
            let is_there = !may_be_gone
                || records::find(event.tx, owner, record.id(), &Condition::Always)
                    .await?
                    .is_some();
            if is_there {
                one_reference(event, record, field, &deleted).await?;
            }
        }
        if count < BATCH {
            return Ok(());
        }
    }
}

/// Whether deleting a record of a collection can delete others of it.
fn leads_back(schema: &Schema, collection: &Collection) -> bool {
    let mut reached = vec![collection.id.as_str()];
    let mut next = 0;
    while let Some(target) = reached.get(next).copied() {
        next += 1;
        for owner in schema.iter().filter(|owner| !owner.is_view()) {
            let follows = owner.fields().iter().any(|field| {
                field.as_relation().is_some_and(|options| {
                    options.cascade_delete && options.collection_id == target
                })
            });
            if !follows {
                continue;
            }
            if owner.id == collection.id {
                return true;
            }
            if !reached.contains(&owner.id.as_str()) {
                reached.push(&owner.id);
            }
        }
    }
    false
}

async fn one_reference(
    event: &mut RecordEvent<'_>,
    mut record: Record,
    field: &Field,
    deleted: &str,
) -> Result<(), Error> {
    let Some(options) = field.as_relation() else {
        return Ok(());
    };
    let left: Vec<String> = record
        .get(&field.name)
        .into_iter()
        .flat_map(Value::items)
        .filter(|id| *id != deleted)
        .map(str::to_owned)
        .collect();
    let engine = event.engine.clone();
    if left.is_empty() && options.cascade_delete {
        engine
            .run(event.tx, Op::Delete, record, event.request.clone(), true)
            .await?;
        return Ok(());
    }
    if left.is_empty() && options.required {
        return Err(Error::bad_request(""));
    }
    let value = if field.is_multiple() {
        Value::List(left)
    } else {
        Value::Text(left.into_iter().next().unwrap_or_default())
    };
    record.set(&field.name, value);
    prepare_update(&mut record, engine.now());
    engine
        .run(event.tx, Op::Update, record, event.request.clone(), false)
        .await?;
    Ok(())
}
