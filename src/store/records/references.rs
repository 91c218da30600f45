//! Rows that refer to a record.

use std::collections::HashMap;
use std::sync::Arc;

use super::{DIALECT, json_list, records};
use crate::model::{Collection, Field, Record, Value};
use crate::store::conn::Conn;
use crate::store::error::Error;
use crate::store::rows;
use crate::store::search::Pieces;
use crate::store::select::{Filter, Select};
use crate::store::sql::Sql;
use crate::store::texts::{Texts, texts_of};

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
