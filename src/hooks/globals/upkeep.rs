//! What `$app` does beside records: tables, what has expired, jobs, migrations, the process, and trying out settings.

use std::sync::{Arc, Weak};

use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsString, JsValue, js_string};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::Natives;
use super::registration::text;
use crate::base::DateTime;
use crate::engine::Error;
use crate::engine::crons::Offset;
use crate::engine::settings::{AppleClientSecret, MailProbe, StorageProbe};
use crate::hooks::collection::CollectionObject;
use crate::hooks::operate::{operate, spawn_and_wait};
use crate::hooks::record::RecordObject;
use crate::hooks::world::{session, world};
use crate::hooks::zone::Zone;
use crate::hooks::{Scripts, failure, values};
use crate::model::{Collection, Record};

pub(super) const NATIVES: Natives = &[
    ("saveRecord", 1, save_record),
    ("deleteRecord", 1, delete_record),
    ("syncTable", 2, sync_table),
    ("validateCollection", 1, validate_collection),
    ("validateSettings", 1, validate_settings),
    ("dryRunView", 2, dry_run_view),
    ("deleteExpired", 1, delete_expired),
    ("vacuum", 1, vacuum),
    ("removeCrons", 0, remove_crons),
    ("setCronsStopped", 1, set_crons_stopped),
    ("cronsStarted", 0, crons_started),
    ("setCronInterval", 1, set_cron_interval),
    ("setCronZone", 1, set_cron_zone),
    ("migrate", 0, migrate),
    ("restart", 0, restart),
    ("encryptionEnv", 0, encryption_env),
    ("appleSecret", 1, apple_secret),
    ("tryMail", 1, try_mail),
    ("tryStorage", 1, try_storage),
];

/// The most records that a dry run of a view shows.
const SAMPLE_MAX: u32 = 1_000;

fn record_of(value: &JsValue) -> JsResult<Record> {
    RecordObject::record(value).ok_or_else(|| {
        JsNativeError::typ()
            .with_message("a record is expected")
            .into()
    })
}

fn collection_of(value: &JsValue, context: &mut Context) -> JsResult<Arc<Collection>> {
    CollectionObject::collection(value, context)?.ok_or_else(|| {
        JsNativeError::typ()
            .with_message("a collection is expected")
            .into()
    })
}

/// `saveRecord(record)`: without hooks and checks.
fn save_record(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let target = args.get_or_undefined(0);
    let record = record_of(target)?;
    let saved = operate(context, move |app| {
        Box::pin(app.write(false, move |engine, tx| {
            Box::pin(async move { engine.save_without_hooks(tx, record).await })
        }))
    })?;
    RecordObject::saved(target, saved);
    Ok(JsValue::undefined())
}

/// `deleteRecord(record)`: without hooks, and alone.
fn delete_record(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let record = record_of(args.get_or_undefined(0))?;
    operate(context, move |app| {
        Box::pin(app.write(false, move |engine, tx| {
            Box::pin(async move { engine.delete_without_hooks(tx, &record).await })
        }))
    })?;
    RecordObject::with(args.get_or_undefined(0), |record| record.mark_stored(false))?;
    Ok(JsValue::undefined())
}

/// `syncTable(collection, former)`: makes the table, or changes that of the former collection.
fn sync_table(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let collection = collection_of(args.get_or_undefined(0), context)?;
    let former = CollectionObject::collection(args.get_or_undefined(1), context)?;
    operate(context, move |app| {
        Box::pin(app.write(true, move |engine, tx| {
            Box::pin(async move {
                engine
                    .sync_table_in(tx, &collection, former.as_deref())
                    .await?;
                // Everybody has to take notice of changed tables.
                let schema = tx.schema().clone();
                tx.set_schema(schema);
                Ok(())
            })
        }))
    })?;
    Ok(JsValue::undefined())
}

/// `validateCollection(collection)`: checks it with its hooks.
fn validate_collection(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let held = args.get_or_undefined(0);
    let draft = collection_of(held, context)?;
    let stored = CollectionObject::stored_id(held);
    operate(context, move |app| {
        Box::pin(app.write(true, move |engine, tx| {
            Box::pin(async move {
                let original = match stored {
                    Some(id) => {
                        let found = tx.schema().by_id(&id).cloned();
                        Some(found.ok_or_else(Error::not_found)?)
                    }
                    None => None,
                };
                let draft = Arc::unwrap_or_clone(draft);
                engine.validate_collection_in(tx, draft, original).await
            })
        }))
    })?;
    Ok(JsValue::undefined())
}

/// `validateSettings(members)`.
fn validate_settings(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let members = values::json(args.get_or_undefined(0), context)?;
    let settings = world()?.engine.patched_settings(&members);
    let checked = settings.and_then(|settings| crate::engine::Engine::validate_settings(&settings));
    checked.map_err(|error| failure::to_js(&error, context))?;
    Ok(JsValue::undefined())
}

/// `dryRunView(query, size)`: `{fields, sample}`, the fields as plain members.
fn dry_run_view(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let query = text(args.get_or_undefined(0), context)?;
    let rows = args.get_or_undefined(1).to_u32(context)?.min(SAMPLE_MAX);
    let run = operate(context, move |app| {
        Box::pin(async move {
            let engine = app.engine;
            let mut link = app.link();
            let schema = link.schema(engine);
            let mut conn = link.conn().await?;
            engine.sample_view(&mut conn, &schema, &query, rows).await
        })
    })?;
    let fields: Json = run
        .fields
        .iter()
        .map(|field| Json::Object(field.to_json()))
        .collect();
    let answer = JsValue::from_json(&serde_json::json!({ "fields": fields }), context)?;
    let sample = RecordObject::list(run.sample, context)?;
    if let Some(answer) = answer.as_object() {
        answer.set(js_string!("sample"), sample, true, context)?;
    }
    Ok(answer)
}

/// `deleteExpired(what)`: `mfas` or `otps`.
fn delete_expired(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let what = text(args.get_or_undefined(0), context)?;
    operate(context, move |app| {
        Box::pin(app.write(false, move |engine, tx| {
            Box::pin(async move {
                match what.as_str() {
                    "mfas" => engine.delete_expired_mfas_in(tx).await,
                    _ => engine.delete_expired_otps_in(tx).await,
                }
            })
        }))
    })?;
    Ok(JsValue::undefined())
}

/// `vacuum(auxiliary)`.
fn vacuum(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let auxiliary = args.get_or_undefined(0).to_boolean();
    operate(context, move |app| {
        Box::pin(async move {
            if app.tx.is_some() {
                return Err(Error::bad_request(
                    "cannot VACUUM from within a transaction",
                ));
            }
            let store = app.engine.store();
            if auxiliary {
                store.vacuum_logs().await?;
            } else {
                store.vacuum().await?;
            }
            Ok(())
        })
    })?;
    Ok(JsValue::undefined())
}

/// `removeCrons()`: all jobs, whoever made them.
fn remove_crons(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let world = world()?;
    world.remove_crons();
    world.engine.crons().remove_all();
    Ok(JsValue::undefined())
}

/// `setCronsStopped(stopped)`.
fn set_crons_stopped(_: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let stopped = args.get_or_undefined(0).to_boolean();
    world()?.engine.crons().set_stopped(stopped);
    Ok(JsValue::undefined())
}

fn crons_started(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    Ok(world()?.engine.crons().has_started().into())
}

/// `setCronInterval(milliseconds)`.
fn set_cron_interval(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let interval_ms = args.get_or_undefined(0).to_number(context)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is no number of milliseconds becomes the shortest interval"
    )]
    world()?.engine.crons().set_interval_ms(interval_ms as i64);
    Ok(JsValue::undefined())
}

/// `setCronZone(name)`.
fn set_cron_zone(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args.get_or_undefined(0), context)?;
    let offset = Zone::load(&name).map(|zone| -> Offset {
        Arc::new(move |moment: DateTime| i64::from(zone.offset_s(moment.unix())))
    });
    world()?.engine.crons().set_offset(offset);
    Ok(JsValue::undefined())
}

/// `migrate()`: runs the migrations of the folder that have not run yet.
fn migrate(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    if session()?.transaction.is_some() {
        let error = Error::bad_request("migrations cannot run inside a transaction");
        return Err(failure::to_js(&error, context));
    }
    let scripts = world()?.options.scripts.get().and_then(Weak::upgrade);
    let scripts = scripts.map(|inner| Scripts { inner });
    let scripts = scripts.ok_or_else(|| JsNativeError::error().with_message("not ready yet"))?;
    let ran = spawn_and_wait(context, async move { scripts.migrate_up().await })?;
    ran.map_err(|error| failure::to_js(&error, context))?;
    Ok(JsValue::undefined())
}

/// `restart()`: the server ends what it does and begins anew.
fn restart(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    world()?.engine.request_restart();
    Ok(JsValue::undefined())
}

/// `encryptionEnv()`: the name of the variable with the key, as it was given to the server.
fn encryption_env(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let world = world()?;
    Ok(JsString::from(world.options.hooks.encryption_env.as_str()).into())
}

/// A form's members as the engine takes them.
fn form<T: DeserializeOwned>(value: &JsValue, context: &mut Context) -> JsResult<T> {
    let members = values::json(value, context)?;
    serde_json::from_value(members).map_err(|error| {
        JsNativeError::typ()
            .with_message(format!("the form has an unfit member: {error}"))
            .into()
    })
}

/// `appleSecret(form)`.
fn apple_secret(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let form: AppleClientSecret = form(args.get_or_undefined(0), context)?;
    let secret = form.sign(world()?.engine.now());
    let secret = secret.map_err(|error| failure::to_js(&error, context))?;
    Ok(JsString::from(secret.as_str()).into())
}

/// `tryMail(form)`: sends one.
fn try_mail(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let form: MailProbe = form(args.get_or_undefined(0), context)?;
    let engine = world()?.engine.clone();
    let sent = spawn_and_wait(context, async move { form.run(&engine).await })?;
    sent.map_err(|error| failure::to_js(&error, context))?;
    Ok(JsValue::undefined())
}

/// `tryStorage(form)`.
fn try_storage(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let form: StorageProbe = form(args.get_or_undefined(0), context)?;
    let engine = world()?.engine.clone();
    let tried = spawn_and_wait(context, async move { form.run(&engine).await })?;
    tried.map_err(|error| failure::to_js(&error, context))?;
    Ok(JsValue::undefined())
}
