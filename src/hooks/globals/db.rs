//! `$app.db()`: statements of scripts. Those that read run on a reader, the others through the writer; inside a
//! transaction all of them belong to it.

use boa_engine::{Context, JsArgs, JsResult, JsValue};
use serde_json::{Value as Json, json};

use super::Natives;
use super::app::target;
use super::registration::text;
use crate::engine::{Engine, Error};
use crate::hooks::operate::{look_up, look_up_auxiliary, operate, operate_auxiliary};
use crate::hooks::record::RecordObject;
use crate::hooks::session::App;
use crate::hooks::values;
use crate::store::statement::{self, Done, Rows, Statement, StatementKind};
use crate::store::{self, Tx};

pub(super) const NATIVES: Natives = &[
    ("query", 3, query),
    ("execute", 3, execute),
    ("records", 3, records),
];

fn statement(args: &[JsValue], at: usize, context: &mut Context) -> JsResult<Statement> {
    Ok(Statement {
        text: text(args.get_or_undefined(at), context)?,
        params: values::members(args.get_or_undefined(at + 1), context)?,
    })
}

/// `query(text, params, auxiliary)`: `{columns, rows}`, each row a list.
fn query(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let statement = statement(args, 0, context)?;
    let kind = statement.kind();
    if args.get_or_undefined(2).to_boolean() {
        let found = if kind == StatementKind::Read {
            look_up_auxiliary(context, move |app| Box::pin(in_logs(app, statement)))?
        } else {
            operate_auxiliary(context, move |app| Box::pin(in_logs(app, statement)))?
        };
        return rows_to_js(found, context);
    }
    if kind == StatementKind::Read {
        let found = look_up(context, move |app| {
            Box::pin(async move {
                if app.tx.is_some() {
                    return in_transaction(app, statement, kind).await;
                }
                let mut conn = app.engine.read().await?;
                Ok(statement::query(&mut conn, &statement).await?)
            })
        })?;
        return rows_to_js(found, context);
    }
    let found = operate(context, move |app| {
        Box::pin(in_transaction(app, statement, kind))
    })?;
    rows_to_js(found, context)
}

async fn in_transaction(
    app: App<'_>,
    statement: Statement,
    kind: StatementKind,
) -> Result<Rows, Error> {
    app.write(kind == StatementKind::Define, move |engine, tx| {
        Box::pin(async move {
            let rows = statement::query(tx, &statement).await?;
            note(&engine, tx, kind).await?;
            Ok(rows)
        })
    })
    .await
}

fn rows_to_js(found: Rows, context: &mut Context) -> JsResult<JsValue> {
    let rows: Vec<Json> = found.rows.into_iter().map(Json::Array).collect();
    JsValue::from_json(&json!({"columns": found.columns, "rows": rows}), context)
}

/// `execute(text, params, auxiliary)`: `[rowsAffected, lastInsertId]`.
fn execute(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let statement = statement(args, 0, context)?;
    if args.get_or_undefined(2).to_boolean() {
        let done = operate_auxiliary(context, move |app| Box::pin(change_logs(app, statement)))?;
        return JsValue::from_json(&json!([done.rows_affected, done.last_insert_id]), context);
    }
    let done: Done = operate(context, move |app| {
        Box::pin(async move {
            let kind = statement.kind();
            app.write(kind == StatementKind::Define, move |engine, tx| {
                Box::pin(async move {
                    let done = statement::execute(tx, &statement).await?;
                    note(&engine, tx, kind).await?;
                    Ok(done)
                })
            })
            .await
        })
    })?;
    JsValue::from_json(&json!([done.rows_affected, done.last_insert_id]), context)
}

/// Everybody has to take notice of changed tables, and who was signed in may be so no more.
async fn note(engine: &Engine, tx: &mut Tx, kind: StatementKind) -> Result<(), Error> {
    if kind == StatementKind::Define {
        let schema = tx.schema().clone();
        tx.set_schema(schema);
        tx.tables_touched().await?;
    }
    engine.accounts_touched(tx);
    Ok(())
}

async fn change_logs(app: App<'_>, statement: Statement) -> Result<Done, Error> {
    if let Some(tx) = app.tx {
        return Ok(statement::execute(tx, &statement).await?);
    }
    let store = app.engine.store().clone();
    store
        .write_logs(move |tx| {
            Box::pin(async move {
                statement::execute(tx, &statement)
                    .await
                    .map_err(Error::from)
            })
        })
        .await
}

async fn in_logs(app: App<'_>, statement: Statement) -> Result<Rows, Error> {
    if let Some(tx) = app.tx {
        return Ok(statement::query(tx, &statement).await?);
    }
    let store = app.engine.store().clone();
    if statement.kind() == StatementKind::Read {
        let mut conn = store.read_logs().await?;
        return Ok(statement::query(&mut conn, &statement).await?);
    }
    store
        .write_logs(move |tx| Box::pin(async move { statement::query(tx, &statement).await }))
        .await
        .map_err(|error: store::Error| error.into())
}

/// `records(collection, text, params)`: the rows of a query as records.
fn records(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let collection = target(args.get_or_undefined(0), context)?;
    let statement = statement(args, 1, context)?;
    let found = look_up(context, move |app| {
        Box::pin(async move {
            let collection = app.named(&collection)?;
            let mut link = app.link();
            let mut conn = link.conn().await?;
            Ok(statement::query_records(&mut conn, &collection, &statement).await?)
        })
    })?;
    RecordObject::list(found, context)
}
