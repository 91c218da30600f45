//! Saving and deleting what `$app` saves and deletes: records, collections, settings.

use std::sync::Arc;

use boa_engine::object::builtins::JsArray;
use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsValue};
use serde_json::{Map, Value as Json};

use super::Natives;
use super::app::target;
use super::registration::{list, text};
use crate::engine::Error;
use crate::engine::collections::Import;
use crate::engine::settings::Settings;
use crate::hooks::collection::CollectionObject;
use crate::hooks::operate::{look_up, operate};
use crate::hooks::record::RecordObject;
use crate::hooks::values;
use crate::hooks::world::world;
use crate::js::native::Native;
use crate::model::{Collection, Record};
use crate::store::{records, views};

pub(super) const NATIVES: Natives = &[
    ("saveRecord", 2, save_record),
    ("validateRecord", 1, validate_record),
    ("deleteRecord", 1, delete_record),
    ("saveCollection", 2, save_collection),
    ("deleteCollection", 1, delete_collection),
    ("truncateCollection", 1, truncate_collection),
    ("importCollections", 2, import_collections),
    ("findCollection", 1, find_collection),
    ("findCollections", 1, find_collections),
    ("settings", 0, settings),
    ("isCurrent", 1, is_current),
    ("viewFields", 1, view_fields),
    ("fileOwner", 3, file_owner),
    ("saveSettings", 1, save_settings),
    ("createBackup", 1, create_backup),
    ("restoreBackup", 1, restore_backup),
];

fn record_of(value: &JsValue) -> JsResult<Record> {
    RecordObject::record(value).ok_or_else(|| {
        JsNativeError::typ()
            .with_message("a record is expected")
            .into()
    })
}

/// `saveRecord(record, checked)`: creates or updates, with hooks and without rules. The object gets what was saved; of
/// a failed save it keeps what the server has set, such as the id.
fn save_record(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let target = args.get_or_undefined(0);
    let checked = args.get_or_undefined(1).to_boolean();
    let mut record = record_of(target)?;
    if record.is_new() {
        record.on_create(world()?.engine.now());
        let id = record.id().to_owned();
        RecordObject::with(target, |held| held.set("id", id.into()))?;
    }
    let saved = operate(context, move |app| {
        Box::pin(async move {
            if app.tx.is_none() {
                return app.engine.save_record(record, checked).await;
            }
            app.write(false, move |engine, tx| {
                Box::pin(async move { engine.save_with(tx, record, checked).await })
            })
            .await
        })
    })?;
    RecordObject::saved(target, saved);
    Ok(JsValue::undefined())
}

/// `validateRecord(record)`: runs validation with its hooks, and saves nothing.
fn validate_record(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let record = record_of(args.get_or_undefined(0))?;
    let checked = operate(context, move |app| {
        Box::pin(app.write(false, move |engine, tx| {
            Box::pin(async move { engine.validate_in(tx, record).await })
        }))
    })?;
    RecordObject::replace(args.get_or_undefined(0), checked);
    Ok(JsValue::undefined())
}

/// `deleteRecord(record)`, with what cascades from it.
fn delete_record(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let record = record_of(args.get_or_undefined(0))?;
    operate(context, move |app| {
        Box::pin(app.write(false, move |engine, tx| {
            Box::pin(async move { engine.delete_in(tx, record, None).await })
        }))
    })?;
    RecordObject::with(args.get_or_undefined(0), |record| record.mark_stored(false))?;
    Ok(JsValue::undefined())
}

/// `saveCollection(collection, checked)`: creates or updates, with its table. The object gets what was saved.
fn save_collection(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let held = args.get_or_undefined(0);
    let checked = args.get_or_undefined(1).to_boolean();
    let draft = CollectionObject::collection(held, context)?
        .ok_or_else(|| JsNativeError::typ().with_message("a collection is expected"))?;
    let stored = CollectionObject::stored_id(held);
    let saved = operate(context, move |app| {
        Box::pin(app.write(true, move |engine, tx| {
            Box::pin(async move {
                let original = match stored {
                    Some(id) => Some(
                        tx.schema()
                            .by_id(&id)
                            .cloned()
                            .ok_or_else(Error::not_found)?,
                    ),
                    None => None,
                };
                let draft = Arc::unwrap_or_clone(draft);
                engine
                    .save_collection_in(tx, draft, original, checked)
                    .await
            })
        }))
    })?;
    CollectionObject::replace(held, saved, true);
    Ok(JsValue::undefined())
}

/// `deleteCollection(collection)`, with its records.
fn delete_collection(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let held = args.get_or_undefined(0);
    let name = target(held, context)?;
    let deleted = operate(context, move |app| {
        Box::pin(app.write(true, move |engine, tx| {
            Box::pin(async move {
                let found = tx.schema().find(&name).cloned();
                let collection = found.ok_or_else(Error::not_found)?;
                engine
                    .delete_collection_in(tx, Arc::clone(&collection), true)
                    .await?;
                Ok(collection)
            })
        }))
    })?;
    CollectionObject::replace(held, deleted, false);
    Ok(JsValue::undefined())
}

/// `truncateCollection(collection)`: deletes all its records.
fn truncate_collection(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = target(args.get_or_undefined(0), context)?;
    operate(context, move |app| {
        Box::pin(app.write(true, move |engine, tx| {
            Box::pin(async move {
                let found = tx.schema().find(&name).cloned();
                let collection = found.ok_or_else(Error::not_found)?;
                engine.truncate_in(tx, &collection).await
            })
        }))
    })?;
    Ok(JsValue::undefined())
}

/// `importCollections(list, deleteMissing)`.
fn import_collections(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let collections = match values::json(args.get_or_undefined(0), context)? {
        Json::Array(items) => items
            .into_iter()
            .filter_map(|item| match item {
                Json::Object(members) => Some(members),
                _ => None,
            })
            .collect::<Vec<Map<String, Json>>>(),
        _ => Vec::new(),
    };
    let import = Import {
        collections,
        delete_missing: args.get_or_undefined(1).to_boolean(),
    };
    operate(context, move |app| {
        Box::pin(app.write(true, move |engine, tx| {
            Box::pin(async move {
                if import.collections.is_empty() {
                    return Err(Error::bad_request("no collections to import"));
                }
                engine.import_in(tx, &import).await
            })
        }))
    })?;
    Ok(JsValue::undefined())
}

/// The collections as the call at hand sees them.
fn all_collections(context: &mut Context) -> JsResult<Vec<Arc<Collection>>> {
    look_up(context, move |app| {
        Box::pin(async move {
            let schema = match &app.tx {
                Some(tx) => Arc::clone(tx.schema()),
                None => app.engine.schema(),
            };
            Ok(schema.iter().cloned().collect())
        })
    })
}

/// `findCollection(nameOrId)`.
fn find_collection(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = target(args.get_or_undefined(0), context)?;
    let found = if crate::hooks::world::session()?.transaction.is_none() {
        // No need to leave the script thread.
        let found = world()?.engine.schema().find(&name).cloned();
        found.ok_or_else(|| crate::hooks::failure::to_js(&Error::not_found(), context))?
    } else {
        operate(context, move |app| {
            Box::pin(async move { app.named(&name) })
        })?
    };
    Ok(CollectionObject::create(found)?.into())
}

/// `findCollections(types)`: all, or those of these types; by name.
fn find_collections(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let kinds = list(args.get_or_undefined(0), context)?
        .iter()
        .map(|kind| text(kind, context))
        .collect::<JsResult<Vec<_>>>()?;
    let mut found = all_collections(context)?;
    found.retain(|one| kinds.is_empty() || kinds.iter().any(|kind| kind == one.kind.name()));
    found.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
    let objects = found
        .into_iter()
        .map(|one| CollectionObject::create(one).map(JsValue::from))
        .collect::<JsResult<Vec<_>>>()?;
    Ok(JsArray::from_iter(objects, context).into())
}

/// `settings()`: all members with secrets, and what `isCurrent` takes.
fn settings(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let settings = world()?.engine.settings();
    let members = serde_json::to_value(&*settings).unwrap_or_default();
    let members = JsValue::from_json(&members, context)?;
    let state = Native::object(None, settings);
    Ok(JsArray::from_iter([members, state.into()], context).into())
}

/// `isCurrent(state)`: whether the settings are still those.
fn is_current(_: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let now = world()?.engine.settings();
    let same =
        Native::<Arc<Settings>>::with(args.get_or_undefined(0), |then| Arc::ptr_eq(then, &now));
    Ok(same.unwrap_or_default().into())
}

/// `viewFields(query)`: the fields that a SELECT gives a view.
fn view_fields(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let query = text(args.get_or_undefined(0), context)?;
    let fields = look_up(context, move |app| {
        Box::pin(async move {
            let engine = app.engine;
            let mut link = app.link();
            let schema = link.schema(engine);
            let mut conn = link.conn().await?;
            Ok(views::infer_fields(&mut conn, &schema, &query).await?)
        })
    })?;
    let fields: Vec<Json> = fields
        .iter()
        .map(|field| Json::Object(field.to_json()))
        .collect();
    JsValue::from_json(&Json::Array(fields), context)
}

/// `fileOwner(view, field, file)`: the record that a view's file belongs to, as a list of at most one.
fn file_owner(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let view = target(args.get_or_undefined(0), context)?;
    let field = text(args.get_or_undefined(1), context)?;
    let file = text(args.get_or_undefined(2), context)?;
    let found = look_up(context, move |app| {
        Box::pin(async move {
            let view = app.named(&view)?;
            let engine = app.engine;
            let mut link = app.link();
            let schema = link.schema(engine);
            let Some((source, field)) = views::source(&schema, &view, &field) else {
                return Ok(Vec::new());
            };
            let mut conn = link.conn().await?;
            Ok(records::referencing(&mut conn, &source, &field, &file, 1).await?)
        })
    })?;
    RecordObject::list(found, context)
}

/// `saveSettings(members)`.
fn save_settings(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let members = values::json(args.get_or_undefined(0), context)?;
    operate(context, move |app| {
        Box::pin(app.write(true, move |engine, tx| {
            Box::pin(async move {
                let settings = engine.patched_settings(&members)?;
                engine.save_settings(tx, settings).await.map(drop)
            })
        }))
    })?;
    Ok(JsValue::undefined())
}

/// `createBackup(name)`.
fn create_backup(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args.get_or_undefined(0), context)?;
    operate(context, move |app| {
        Box::pin(async move {
            if app.tx.is_some() {
                return Err(Error::bad_request("no backup inside a transaction"));
            }
            app.engine.create_backup(&name).await
        })
    })?;
    Ok(JsValue::undefined())
}

/// `restoreBackup(name)`.
fn restore_backup(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args.get_or_undefined(0), context)?;
    operate(context, move |app| {
        Box::pin(async move {
            if app.tx.is_some() {
                return Err(Error::bad_request("no restore inside a transaction"));
            }
            app.engine.restore_backup(&name).await
        })
    })?;
    Ok(JsValue::undefined())
}
