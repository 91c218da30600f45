//! Pages of records and their number.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::{DIALECT, records};
use crate::model::{Collection, Record};
use crate::store::conn::Conn;
use crate::store::error::Error;
use crate::store::rows;
use crate::store::search::{Condition, Form, OrderKey, Pieces, Sort, last_unique};
use crate::store::select::{Filter, Select, select};
use crate::store::sql::Sql;
use crate::store::texts::{Texts, texts_of};

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
pub(super) async fn form_for(
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
