//! What live events keep in the database, made when somebody needs it: a plain PocketBase directory stays as it was.
//!
//! `_topics` and `notifications` appear with the first enabled module, with the first event or topic row of a superuser,
//! or when modules are asked for at start. The presence fields of `users` come with them in directories that were made
//! here; in one of PocketBase's only a module adds them.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use crate::engine::{Engine, Error};
use crate::model::{Collection, Field, FieldKind, Record, Schema, Value};
use crate::store::{Tx, migrations};

/// The topics and their rules.
pub(super) const TOPICS: &str = "_topics";
/// What users were told.
pub(super) const NOTIFICATIONS: &str = "notifications";
/// Whose presence is kept in records.
pub(super) const USERS: &str = "users";
/// The state, and when it was last another one than offline.
pub(super) const PRESENCE_FIELDS: [&str; 2] = ["presence", "lastSeen"];

const SIGNED_IN: &str = "@request.auth.id != ''";
/// The topics of a new `_topics`: name and subscribe rule. Publishing is for superusers, modules and scripts.
const SHIPPED: [(&str, Option<&str>); 12] = [
    ("post_events", Some("")),
    ("sales", Some(SIGNED_IN)),
    ("reactions", Some("")),
    ("notifications", None),
    ("location_updates", None),
    ("geo_events", None),
    ("presence_changes", Some(SIGNED_IN)),
    ("room_events", None),
    ("chat_invites", None),
    ("ads", None),
    ("call_invites", None),
    ("admin_notifications", None),
];

/// Whether both collections are there, be they of our shape or not.
pub(super) fn are_there(schema: &Schema) -> bool {
    schema.find(TOPICS).is_some() && schema.find(NOTIFICATIONS).is_some()
}

/// Makes `_topics` with the shipped rows and `notifications`, where they are missing; and, in a directory that was not
/// made by PocketBase, the presence fields of `users`. A collection of another shape that has one of the names is left
/// alone, with a warning.
///
/// # Errors
/// Those of the database.
pub async fn ensure_topics(engine: &Engine) -> Result<(), Error> {
    if are_there(&engine.schema()) {
        return Ok(());
    }
    let maker = engine.clone();
    engine
        .store()
        .write_exclusive(move |tx| {
            Box::pin(async move {
                if tx.schema().find(TOPICS).is_none() {
                    make_topics(&maker, tx).await?;
                }
                match tx.schema().find(NOTIFICATIONS) {
                    None => make_notifications(&maker, tx).await?,
                    Some(other) if !is_ours(other) => tracing::warn!(
                        "a collection of another kind is named notifications: notifications are pushed and not stored"
                    ),
                    Some(_) => {}
                }
                if migrations::was_made_by_pocketbase(tx).await? {
                    return Ok(());
                }
                make_presence(&maker, tx).await
            })
        })
        .await
}

/// Adds `presence` and `lastSeen` to `users`, hidden from the records API, where there is no field of that name.
///
/// # Errors
/// Those of the database.
pub async fn ensure_presence(engine: &Engine) -> Result<(), Error> {
    let maker = engine.clone();
    engine
        .store()
        .write_exclusive(move |tx| Box::pin(async move { make_presence(&maker, tx).await }))
        .await
}

async fn make_topics(engine: &Engine, tx: &mut Tx) -> Result<(), Error> {
    let draft = draft(include_str!("../../migrations/collections/topics.json"))?;
    let topics = engine.save_collection_in(tx, draft, None, true).await?;
    for (name, subscribe) in SHIPPED {
        let mut row = Record::new(Arc::clone(&topics));
        row.set("name", name.into());
        row.set("subscribeRule", Value::Json(json!(subscribe).to_string()));
        row.set("publishRule", Value::Json("null".to_owned()));
        engine.save(tx, row).await?;
    }
    Ok(())
}

async fn make_notifications(engine: &Engine, tx: &mut Tx) -> Result<(), Error> {
    let mut body = object(include_str!(
        "../../migrations/collections/notifications.json"
    ))?;
    let users = tx.schema().find(USERS).map(|users| users.id.clone());
    for field in body
        .get_mut("fields")
        .and_then(Json::as_array_mut)
        .into_iter()
        .flatten()
    {
        match (&users, field.get("type").and_then(Json::as_str)) {
            (Some(id), Some("relation")) => field["collectionId"] = id.as_str().into(),
            // Without the collection, ids are but texts.
            (None, Some("relation")) => {
                *field = json!({"name": "user", "type": "text", "required": true});
            }
            _ => {}
        }
    }
    let draft = Collection::from_body(&body).map_err(broken)?;
    engine.save_collection_in(tx, draft, None, true).await?;
    Ok(())
}

async fn make_presence(engine: &Engine, tx: &mut Tx) -> Result<(), Error> {
    let Some(users) = tx.schema().find(USERS).cloned().filter(|c| c.is_auth()) else {
        return Ok(());
    };
    let mut draft = Collection::clone(&users);
    let fields = [
        json!({"name": "presence", "type": "select", "maxSelect": 1, "hidden": true,
            "values": ["online", "away", "busy", "offline"]}),
        json!({"name": "lastSeen", "type": "date", "hidden": true}),
    ];
    let mut adds = false;
    for (name, field) in PRESENCE_FIELDS.iter().zip(&fields) {
        if draft.field(name).is_none() {
            let members = field.as_object().cloned().unwrap_or_default();
            draft.add_field(Field::from_json(&members).map_err(broken)?);
            adds = true;
        }
    }
    if adds {
        engine
            .save_collection_in(tx, draft, Some(users), true)
            .await?;
    }
    Ok(())
}

/// Whether notifications can be stored in a collection.
pub(super) fn is_ours(collection: &Collection) -> bool {
    let has = |name: &str, fits: fn(&FieldKind) -> bool| {
        collection
            .field(name)
            .is_some_and(|field| fits(&field.kind))
    };
    has("user", |kind| {
        matches!(kind, FieldKind::Relation(_) | FieldKind::Text(_))
    }) && has("type", |kind| matches!(kind, FieldKind::Text(_)))
        && has("title", |kind| matches!(kind, FieldKind::Text(_)))
        && has("message", |kind| matches!(kind, FieldKind::Text(_)))
        && has("data", |kind| matches!(kind, FieldKind::Json(_)))
        && has("readAt", |kind| matches!(kind, FieldKind::Date(_)))
}

/// Whether presence can be stored in the records of a collection.
pub(super) fn keeps_presence(collection: &Collection) -> bool {
    let field = |name: &str| collection.field(name).map(|field| &field.kind);
    matches!(field("presence"), Some(FieldKind::Select(_)))
        && matches!(field("lastSeen"), Some(FieldKind::Date(_)))
}

fn draft(definition: &str) -> Result<Collection, Error> {
    Collection::from_body(&object(definition)?).map_err(broken)
}

fn object(definition: &str) -> Result<Map<String, Json>, Error> {
    serde_json::from_str(definition).map_err(|error| Error::internal("a definition", error))
}

fn broken(cause: String) -> Error {
    Error::Internal(format!("a built-in definition is broken: {cause}"), None)
}
