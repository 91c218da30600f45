//! Changes of single rows.

use std::sync::Arc;

use super::{DIALECT, known_field};
use crate::model::{Collection, Record, Value};
use crate::store::conn::Conn;
use crate::store::error::Error;
use crate::store::sql::Sql;
use crate::store::texts::texts_of;
use crate::store::tx::Tx;

/// Stores a new row.
///
/// # Errors
/// [`Error::Unique`] and whatever else the database says.
pub async fn insert(conn: &mut Conn, record: &Record) -> Result<(), Error> {
    let texts = texts_of(record.collection());
    let mut sql = Sql::new(Arc::clone(&texts.insert));
    sql.args.extend_from_slice(record.values());
    conn.execute(&sql).await.map(drop)
}

/// As [`insert`], done after the job: see [`Tx::execute_later`]. For jobs of [`crate::store::Store::write_deferring`] that end
/// with it.
///
/// # Errors
/// As [`insert`], to the job's caller.
pub async fn insert_later(tx: &mut Tx, record: &Record) -> Result<(), Error> {
    let texts = texts_of(record.collection());
    let mut sql = Sql::new(Arc::clone(&texts.insert));
    sql.args.extend_from_slice(record.values());
    tx.execute_later(sql).await
}

/// Stores the changed fields of a loaded record; without changes nothing is done. A changed id moves the row to it.
///
/// # Errors
/// [`Error::Unique`] and whatever else the database says.
pub async fn update(conn: &mut Conn, record: &Record) -> Result<(), Error> {
    let fields = record.collection().fields();
    let mut assignments = String::new();
    let mut args = Vec::new();
    for (field, value) in fields.iter().zip(record.values()) {
        if record.original(&field.name) != Some(value) {
            if !assignments.is_empty() {
                assignments.push_str(", ");
            }
            assignments.push_str(&DIALECT.quote_ident(&field.name));
            assignments.push_str(" = ?");
            args.push(value.clone());
        }
    }
    if args.is_empty() {
        return Ok(());
    }
    let texts = texts_of(record.collection());
    let id = record.original("id").map_or("", Value::as_text);
    args.push(id.into());
    let mut sql = Sql::new(format!(
        "UPDATE {} SET {assignments} WHERE `id` = ?",
        texts.table
    ));
    sql.args = args;
    conn.execute(&sql).await.map(drop)
}

/// Removes the row; gives whether there was one.
///
/// # Errors
/// Those of the database.
pub async fn delete(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    id: &str,
) -> Result<bool, Error> {
    let texts = texts_of(collection);
    let sql = Sql::new(Arc::clone(&texts.delete)).bind(id);
    Ok(conn.execute(&sql).await? > 0)
}

/// Replaces the text of one field where it still is `old`; gives whether it was.
///
/// # Errors
/// [`Error::Filter`] for an unknown field, else those of the database.
pub async fn replace_text(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    id: &str,
    field: &str,
    old: &str,
    new: &str,
) -> Result<bool, Error> {
    known_field(collection, field)?;
    let column = DIALECT.quote_ident(field);
    let table = &texts_of(collection).table;
    let sql = Sql::new(format!(
        "UPDATE {table} SET {column} = ? WHERE `id` = ? AND {column} = ?"
    ));
    let sql = sql.bind(new).bind(id).bind(old);
    Ok(conn.execute(&sql).await? > 0)
}
