//! What happens inside the writes of articles, sales, operations and users.

mod articles;
mod operations;
mod users;
mod ventes;

use std::sync::Arc;

use super::{Error, Market};
use crate::engine::{Engine, RecordEvent};
use crate::model::Record;
use crate::modules::owner_of;

pub(super) fn register(engine: &Engine, market: &Market) {
    engine.register_hook(Arc::new(articles::Articles));
    engine.register_hook(Arc::new(ventes::Ventes::new(market.clone())));
    engine.register_hook(Arc::new(operations::Operations::new(market.clone())));
    engine.register_hook(Arc::new(users::Users::new(market.clone())));
}

/// The client who asked for a write, if it is no superuser.
fn client_of<'e>(event: &'e RecordEvent<'_>) -> Result<Option<&'e str>, Error> {
    match event.request.as_ref().filter(|info| !info.is_superuser()) {
        None => Ok(None),
        Some(request) => owner_of(request).map(Some).ok_or(Error::NoUser),
    }
}

/// Puts all fields back but those named.
fn keep_all_but(record: &mut Record, changeable: &[&str]) {
    let collection = Arc::clone(record.collection());
    for field in collection.fields() {
        let name = field.name.as_str();
        if changeable.contains(&name)
            || matches!(name, "created" | "updated")
            || !record.has_changed(name)
        {
            continue;
        }
        if let Some(value) = record.original(name).cloned() {
            record.set(name, value);
        }
    }
}
