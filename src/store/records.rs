//! Reading and writing the rows of collections.
//!
//! Statements name their columns in the order of the collection's fields, and their texts are fixed per collection and condition, so that
//! they stay prepared. The collection's own table is named `r` in every query.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteRow;

use super::conn::Conn;
use super::dialect::Dialect;
use super::error::Error;
use super::rows;
use super::search::{Condition, Form, OrderKey, Pieces, Sort, last_unique};
use super::select::{Filter, Select, select, where_clause};
use super::sql::Sql;
use super::texts::{Texts, texts_of};
use super::tx::Tx;
use crate::model::{Collection, Field, Record, Value};

const DIALECT: Dialect = Dialect::Sqlite;

/// How many times larger than the searched table a related one may be to be read whole: a look-up costs about as much as reading so many
/// rows.
const WHOLE_RATIO: f64 = 4.0;

/// Rows that may be read whole in any case.
const WHOLE_FREE: f64 = 1000.0;

/// How long a number of rows is believed.
const ROWS_FRESH: Duration = Duration::from_secs(30);

/// Which rows of a collection to list, and how.
#[derive(Clone, Copy, Debug)]
pub struct ListQuery<'a> {
    pub collection: &'a Arc<Collection>,
    pub condition: &'a Condition,
    pub sort: &'a Sort,
    /// The most rows to give.
    pub limit: u64,
    /// Rows to skip.
    pub offset: u64,
}

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
        &DIALECT.equals_ignoring_case(&column, "?"),
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
    let form = form_for(conn, collection, condition).await?;
    first(conn, collection, Filter::default(), condition, form).await
}

/// A page of records.
///
/// # Errors
/// Those of the database.
pub async fn list(conn: &mut Conn, query: &ListQuery<'_>) -> Result<Vec<Record>, Error> {
    match list_select(conn, query).await? {
        Some(select) => records(conn, query.collection, &select.build()).await,
        None => Ok(Vec::new()),
    }
}

/// A page of records and the number of all that satisfy the condition.
///
/// # Errors
/// Those of the database.
pub async fn list_and_count(
    conn: &mut Conn,
    query: &ListQuery<'_>,
) -> Result<(Vec<Record>, u64), Error> {
    let Some(select) = list_select(conn, query).await? else {
        return Ok((Vec::new(), 0));
    };
    if select.pieces.joined && !select.pieces.distinct && !query.collection.is_view() {
        return list_counting(conn, query, select).await;
    }
    // The page itself often tells the number.
    let page = records(conn, query.collection, &select.build()).await?;
    let got = page.len() as u64;
    let complete = got < query.limit && (got > 0 || query.offset == 0);
    let total = if complete {
        query.offset + got
    } else {
        count(conn, query.collection, query.condition).await?
    };
    Ok((page, total))
}

/// Page and number in one go: conditions on related records cost more than to put aside which rows satisfy them.
async fn list_counting(
    conn: &mut Conn,
    query: &ListQuery<'_>,
    select: Select,
) -> Result<(Vec<Record>, u64), Error> {
    let found = conn.fetch_all(&select.build_counting()).await?;
    let total = match found.first() {
        Some(row) => rows::integer(row, 0)?,
        // A page beyond the end says nothing.
        None if query.offset > 0 => {
            return Ok((
                Vec::new(),
                count(conn, query.collection, query.condition).await?,
            ));
        }
        None => 0,
    };
    let page = found
        .iter()
        .map(|row| {
            let values = rows::decode(row, 1, query.collection.fields())?;
            Ok(Record::loaded(Arc::clone(query.collection), values))
        })
        .collect::<Result<_, Error>>()?;
    Ok((page, u64::try_from(total).unwrap_or_default()))
}

/// How many records satisfy the condition.
///
/// # Errors
/// Those of the database.
pub async fn count(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    condition: &Condition,
) -> Result<u64, Error> {
    if *condition == Condition::Never {
        return Ok(0);
    }
    let texts = texts_of(collection);
    let mut pieces = Pieces::default();
    let form = form_for(conn, collection, condition).await?;
    condition.write(form, &mut pieces);
    // The ids of a view's rows need not be distinct, those of a table's rows are.
    let what = match (collection.is_view(), pieces.distinct) {
        (true, _) => "COUNT(DISTINCT `r`.`id`)",
        (false, true) => "COUNT(DISTINCT `r`._rowid_)",
        (false, false) => "COUNT(*)",
    };
    pieces.distinct = false;
    let sql = Select::new(&texts, what, Filter::default(), pieces);
    let row = conn.fetch_optional(&sql.build()).await?;
    let total = row.map_or(Ok(0), |row| rows::integer(&row, 0))?;
    Ok(u64::try_from(total).unwrap_or_default())
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

/// As [`insert`], done after the job: see [`Tx::execute_later`]. For jobs of [`super::Store::write_deferring`] that end
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

/// Records whose relation field holds the id, in row order, at most `limit`.
///
/// # Errors
/// Those of the database.
pub async fn referencing(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    field: &Field,
    id: &str,
    limit: usize,
) -> Result<Vec<Record>, Error> {
    let texts = texts_of(collection);
    let sql = Select::new(
        &texts,
        texts.columns.as_str(),
        refers(field, id),
        Pieces::default(),
    );
    records(conn, collection, &sql.limit(limit as u64).build()).await
}

/// For each of `owners` the ids of the records whose relation field holds it, in row order, at most `limit` each.
///
/// # Errors
/// Those of the database.
pub async fn referencing_ids(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    field: &Field,
    owners: &[&str],
    limit: usize,
) -> Result<Vec<Vec<String>>, Error> {
    let texts = texts_of(collection);
    let all = if owners.len() > 1 {
        referencing_pairs(conn, &texts, field, owners, limit).await?
    } else {
        None
    };
    if let Some(mut all) = all {
        return Ok(owners
            .iter()
            .map(|owner| all.get_mut(*owner).map(std::mem::take).unwrap_or_default())
            .collect());
    }
    let mut result = Vec::with_capacity(owners.len());
    for owner in owners {
        let sql = Select::new(&texts, "`r`.`id`", refers(field, owner), Pieces::default());
        let found = conn.fetch_all(&sql.limit(limit as u64).build()).await?;
        result.push(
            found
                .iter()
                .map(|row| rows::text(row, 0))
                .collect::<Result<_, _>>()?,
        );
    }
    Ok(result)
}

/// All owners in one query; nothing when there are so many rows that one owner may have had too few of them.
async fn referencing_pairs(
    conn: &mut Conn,
    texts: &Texts,
    field: &Field,
    owners: &[&str],
    limit: usize,
) -> Result<Option<HashMap<String, Vec<String>>>, Error> {
    let column = DIALECT.column("r", &field.name);
    let (source, value) = if field.is_multiple() {
        let each = DIALECT.json_each(&column);
        (format!(" JOIN {each} AS `j`"), "`j`.`value`".to_owned())
    } else {
        (String::new(), column)
    };
    let mut sql = Sql::new(format!(
        "SELECT {value}, `r`.`id` FROM {} AS `r`{source} WHERE {value} IN (SELECT value FROM json_each(?)) ORDER BY `r`._rowid_ LIMIT ?",
        texts.table
    ));
    sql.args = vec![json_list(owners), Value::Number(limit as f64 + 1.0)];
    let found = conn.fetch_all(&sql).await?;
    if found.len() > limit {
        return Ok(None);
    }
    let mut all: HashMap<String, Vec<String>> = HashMap::with_capacity(owners.len());
    for row in &found {
        let ids = all.entry(rows::text(row, 0)?).or_default();
        let id = rows::text(row, 1)?;
        if ids.last() != Some(&id) {
            ids.push(id);
        }
    }
    Ok(Some(all))
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

fn refers(field: &Field, id: &str) -> Filter {
    let column = DIALECT.column("r", &field.name);
    let text = if field.is_multiple() {
        let each = DIALECT.json_each(&column);
        format!("EXISTS (SELECT 1 FROM {each} AS `j` WHERE `j`.`value` = ?)")
    } else {
        format!("{column} = ?")
    };
    Filter::new(text, vec![id.into()])
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

async fn list_select(conn: &mut Conn, query: &ListQuery<'_>) -> Result<Option<Select>, Error> {
    let texts = texts_of(query.collection);
    let what = texts.columns.clone();
    let filter = Filter::default();
    let form = form_for(conn, query.collection, query.condition).await?;
    let Some(mut select) = select(&texts, what, filter, query.condition, form) else {
        return Ok(None);
    };
    query.sort.write(&mut select.pieces);
    let pieces = &mut select.pieces;
    if !query.collection.is_view() && !pieces.distinct {
        if pieces.order.is_empty() && pieces.joined {
            pieces.order = joined_order(conn, query.collection, &texts).await?;
        } else if pieces.unordered || pieces.joined {
            // Equal rows come in the table's order, whatever the way to them.
            pieces.order.push(order_by(DIALECT.row_id()));
        }
    }
    select.limit = Some(query.limit);
    select.offset = query.offset;
    Ok(Some(select))
}

/// Whether to read the tables of single related records whole: not if one is much larger than the searched table.
async fn form_for(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    condition: &Condition,
) -> Result<Form, Error> {
    let mut own = None;
    for related in condition.whole() {
        let own = match own {
            Some(rows) => rows,
            None => *own.insert(about_rows(conn, collection).await?),
        };
        if about_rows(conn, related).await? > own * WHOLE_RATIO + WHOLE_FREE {
            return Ok(Form::Many);
        }
    }
    Ok(Form::Whole)
}

/// About how many rows a collection has: the last row id. A view counts as none, since it has no table to look at.
async fn about_rows(conn: &mut Conn, collection: &Arc<Collection>) -> Result<f64, Error> {
    if collection.is_view() {
        return Ok(0.0);
    }
    let texts = texts_of(collection);
    let known = *texts.rows.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, rows)) = known
        && at.elapsed() < ROWS_FRESH
    {
        return Ok(rows);
    }
    let sql = format!("SELECT MAX({}) FROM {}", DIALECT.row_id(), texts.table);
    let row = conn.fetch_optional(&Sql::new(sql)).await?;
    let rows = row.map_or(Ok(0), |row| rows::integer(&row, 0))? as f64;
    *texts.rows.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), rows));
    Ok(rows)
}

/// The order of lists without a sort where PocketBase joins something: to tell repeated rows apart, SQLite reads the rows by the newest
/// unique index without NULLs there, if there is one.
async fn joined_order(
    conn: &mut Conn,
    collection: &Collection,
    texts: &Texts,
) -> Result<Vec<OrderKey>, Error> {
    if texts.joined_order.get().is_none() {
        let sql = Sql::new("SELECT `name` FROM pragma_table_info(?) WHERE `notnull`");
        let found = conn.fetch_all(&sql.bind(collection.name.as_str())).await?;
        let never_null: Vec<String> = found
            .iter()
            .map(|row| rows::text(row, 0))
            .collect::<Result<_, _>>()?;
        let has_id = never_null.iter().any(|name| name == "id");
        let columns = last_unique(&collection.indexes, &never_null)
            .unwrap_or_else(|| vec![if has_id { "id" } else { DIALECT.row_id() }]);
        let columns = columns.into_iter().map(str::to_owned).collect();
        let _ = texts.joined_order.set(columns);
    }
    let columns = texts.joined_order.get().into_iter().flatten();
    Ok(columns.map(|column| order_by(column)).collect())
}

fn order_by(column: &str) -> OrderKey {
    OrderKey {
        text: DIALECT.column("r", column),
        args: Vec::new(),
        descending: false,
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
