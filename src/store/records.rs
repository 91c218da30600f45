//! Reading and writing the rows of collections.
//!
//! Statements name their columns in the order of the collection's fields, and their texts are fixed per collection and condition, so that
//! they stay prepared. The collection's own table is named `r` in every query.

mod list;
mod references;
mod sums;
mod write;

pub use list::{ListQuery, count, list, list_and_count};
pub use references::{referencing, referencing_ids};
pub use sums::{GroupSum, sums_by};
pub use write::{delete, insert, insert_later, replace_text, update};

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;

use super::conn::Conn;
use super::dialect::Dialect;
use super::error::Error;
use super::rows;
use super::search::{Condition, Form, Pieces};
use super::select::{Filter, select, where_clause};
use super::sql::Sql;
use super::texts::texts_of;
use crate::model::{Collection, Record, Value};

const DIALECT: Dialect = Dialect::Sqlite;

/// The record with this id, if it satisfies the condition.
///
/// # Errors
/// Those of the database.
pub async fn find(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    id: &str,
    condition: &Condition,
) -> Result<Option<Record>, Error> {
    if id.is_empty() {
        return Ok(None);
    }
    let filter = Filter::new("`r`.`id` = ?", vec![id.into()]);
    first(conn, collection, filter, condition, Form::One).await
}

/// The records with these ids that satisfy the condition, in the order of the ids; a repeated id counts once.
///
/// # Errors
/// Those of the database.
pub async fn find_many(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    ids: &[&str],
    condition: &Condition,
) -> Result<Vec<Record>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let texts = texts_of(collection);
    let Some(sql) = select(
        &texts,
        texts.columns.as_str(),
        one_of(ids),
        condition,
        Form::One,
    ) else {
        return Ok(Vec::new());
    };
    let mut found: HashMap<String, Record> = HashMap::with_capacity(ids.len());
    for row in &conn.fetch_all(&sql.build()).await? {
        let record = record(collection, row)?;
        found.insert(record.id().to_owned(), record);
    }
    Ok(ids.iter().filter_map(|id| found.remove(*id)).collect())
}

/// The first record, in row order, whose field holds the value.
///
/// # Errors
/// Those of the database; [`Error::Filter`] for an unknown field.
pub async fn find_by_field(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    field: &str,
    value: &Value,
) -> Result<Option<Record>, Error> {
    let filter = equals(collection, &[(field, value.clone())])?;
    first(conn, collection, filter, &Condition::Always, Form::One).await
}

/// As [`find_by_field`] for texts, without regard to the case of ASCII letters: for fields whose unique index ignores it.
///
/// # Errors
/// Those of the database; [`Error::Filter`] for an unknown field.
pub async fn find_ignoring_case(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    field: &str,
    value: &Value,
) -> Result<Option<Record>, Error> {
    if collection.field(field).is_none() {
        return Err(Error::Filter(format!("unknown field {field}")));
    }
    let column = DIALECT.column("r", field);
    let filter = Filter::new(
        DIALECT.equals_ignoring_case(&column, "?"),
        vec![value.clone()],
    );
    first(conn, collection, filter, &Condition::Always, Form::One).await
}

/// All records whose fields hold the values, in row order.
///
/// # Errors
/// Those of the database; [`Error::Filter`] for an unknown field.
pub async fn find_all_by_fields(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    values: &[(&str, Value)],
) -> Result<Vec<Record>, Error> {
    let filter = equals(collection, values)?;
    let texts = texts_of(collection);
    let sql = select(
        &texts,
        &texts.columns,
        filter,
        &Condition::Always,
        Form::One,
    );
    match sql {
        Some(sql) => records(conn, collection, &sql.build()).await,
        None => Ok(Vec::new()),
    }
}

/// The first record, in row order, that satisfies the condition.
///
/// # Errors
/// Those of the database.
pub async fn find_first(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    condition: &Condition,
) -> Result<Option<Record>, Error> {
    let form = list::form_for(conn, collection, condition).await?;
    first(conn, collection, Filter::default(), condition, form).await
}

/// Whether the record with this id exists and satisfies the condition.
///
/// # Errors
/// Those of the database.
pub async fn matches(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    id: &str,
    condition: &Condition,
) -> Result<bool, Error> {
    let texts = texts_of(collection);
    let filter = Filter::new("`r`.`id` = ?", vec![id.into()]);
    match select(&texts, "1", filter, condition, Form::One) {
        Some(sql) => Ok(conn.fetch_optional(&sql.limit(1).build()).await?.is_some()),
        None => Ok(false),
    }
}

/// Those of the ids whose records exist and satisfy the condition.
///
/// # Errors
/// Those of the database.
pub async fn matching_ids(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    ids: &[&str],
    condition: &Condition,
) -> Result<HashSet<String>, Error> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let texts = texts_of(collection);
    let Some(sql) = select(&texts, "`r`.`id`", one_of(ids), condition, Form::One) else {
        return Ok(HashSet::new());
    };
    let found = conn.fetch_all(&sql.build()).await?;
    found.iter().map(|row| rows::text(row, 0)).collect()
}

/// Those of the ids that exist.
///
/// # Errors
/// Those of the database.
pub async fn exists_ids(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    ids: &[&str],
) -> Result<HashSet<String>, Error> {
    matching_ids(conn, collection, ids, &Condition::Always).await
}

/// Whether the condition holds for a record that is not stored, as if it were: relations to stored rows are followed, its own id is
/// not found by anything. PocketBase refuses rules that follow a back-relation from such a record; here they do not hold.
///
/// # Errors
/// Those of the database.
pub async fn candidate_matches(
    conn: &mut Conn,
    record: &Record,
    condition: &Condition,
) -> Result<bool, Error> {
    match condition {
        Condition::Always => return Ok(true),
        Condition::Never => return Ok(false),
        Condition::Where(_) if !condition.suits_candidates() => return Ok(false),
        Condition::Where(_) => {}
    }
    let mut pieces = Pieces::default();
    condition.write(Form::One, &mut pieces);
    let columns: Vec<String> = record
        .collection()
        .fields()
        .iter()
        .map(|field| format!("? AS {}", DIALECT.quote_ident(&field.name)))
        .collect();
    let text = format!(
        "SELECT 1 FROM (SELECT {}) AS `r`{}{} LIMIT 1",
        columns.join(", "),
        pieces.joins,
        where_clause(&[&pieces.conditions]),
    );
    let mut sql = Sql::new(text);
    sql.args.extend_from_slice(record.values());
    sql.args.append(&mut pieces.join_args);
    sql.args.append(&mut pieces.condition_args);
    Ok(conn.fetch_optional(&sql).await?.is_some())
}

/// Whether a record satisfies a condition with the values it has here, whatever has become of its row since: for events,
/// which tell of one moment. Conditions that need the row, such as back-relations, look at it as it is now.
///
/// # Errors
/// Those of the database.
pub async fn moment_matches(
    conn: &mut Conn,
    record: &Record,
    condition: &Condition,
) -> Result<bool, Error> {
    if condition.suits_candidates() {
        candidate_matches(conn, record, condition).await
    } else {
        matches(conn, record.collection(), record.id(), condition).await
    }
}

fn one_of(ids: &[&str]) -> Filter {
    Filter::new(
        "`r`.`id` IN (SELECT value FROM json_each(?))",
        vec![json_list(ids)],
    )
}

fn json_list(ids: &[&str]) -> Value {
    Value::List(ids.iter().map(|id| (*id).to_owned()).collect())
}

fn equals(collection: &Collection, values: &[(&str, Value)]) -> Result<Filter, Error> {
    let mut filter = Filter::default();
    for (field, value) in values {
        known_field(collection, field)?;
        if !filter.text.is_empty() {
            filter.text.push_str(" AND ");
        }
        filter.text.push_str(&DIALECT.column("r", field));
        filter.text.push_str(" = ?");
        filter.args.push(value.clone());
    }
    Ok(filter)
}

fn known_field(collection: &Collection, field: &str) -> Result<(), Error> {
    match collection.field(field) {
        Some(_) => Ok(()),
        None => Err(Error::Filter(format!("unknown field {field:?}"))),
    }
}

async fn first(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    filter: Filter,
    condition: &Condition,
    form: Form,
) -> Result<Option<Record>, Error> {
    let texts = texts_of(collection);
    let Some(sql) = select(&texts, texts.columns.as_str(), filter, condition, form) else {
        return Ok(None);
    };
    let row = conn.fetch_optional(&sql.limit(1).build()).await?;
    row.map(|row| record(collection, &row)).transpose()
}

async fn records(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    sql: &Sql,
) -> Result<Vec<Record>, Error> {
    let found = conn.fetch_all(sql).await?;
    found.iter().map(|row| record(collection, row)).collect()
}

fn record(collection: &Arc<Collection>, row: &SqliteRow) -> Result<Record, Error> {
    let values = rows::decode(row, 0, collection.fields())?;
    Ok(Record::loaded(Arc::clone(collection), values))
}
