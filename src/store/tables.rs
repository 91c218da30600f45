//! The tables of collections: made, changed and dropped to follow their definitions, without losing rows.
//!
//! All of it runs inside the caller's transaction; on an error the caller rolls back. Index and column names come from
//! superusers; they are quoted, and what SQLite says about them may be shown to superusers ([`Error::Statement`],
//! [`Error::Indexes`]).

use sqlx::Row;

use super::conn::Conn;
use super::dialect::Dialect;
use super::error::{Error, IndexFailure};
use super::scan;
use super::sql::Sql;
use crate::base::id;
use crate::model::collection::index::Index;
use crate::model::{Collection, Field};

const DIALECT: Dialect = Dialect::Sqlite;

/// Random characters that keep temporary column names apart from all others.
const SUFFIX_CHARS: usize = 8;

/// Makes the table of a new collection, with its indexes. Nothing for views.
///
/// # Errors
/// [`Error::Indexes`] for indexes that cannot be made, [`Error::Statement`] for anything else SQLite refuses.
pub async fn create(conn: &mut Conn, collection: &Collection) -> Result<(), Error> {
    if collection.is_view() {
        return Ok(());
    }
    let mut columns: Vec<(&str, String)> = collection
        .fields()
        .iter()
        .map(|field| (field.name.as_str(), column(&field.name, field)))
        .collect();
    // The order of PocketBase's columns.
    columns.sort_unstable();
    let columns: Vec<String> = columns.into_iter().map(|(_, column)| column).collect();
    let table = DIALECT.quote_ident(&collection.name);
    run(
        conn,
        format!("CREATE TABLE {table} ({})", columns.join(", ")),
    )
    .await?;
    create_indexes(conn, collection).await
}

/// Makes the table of `old` the table of `new`: renames it, drops, adds, renames and converts columns, and makes the
/// indexes anew. Fields are the same when their ids are. Makes the table if it is missing. Nothing for views.
///
/// # Errors
/// As [`create`]; a column that a view selects cannot be dropped.
pub async fn sync(conn: &mut Conn, old: &Collection, new: &Collection) -> Result<(), Error> {
    if new.is_view() {
        return Ok(());
    }
    if !exists(conn, &old.name).await? {
        return create(conn, new).await;
    }
    let renamed = !old.name.eq_ignore_ascii_case(&new.name);
    let indexes_change = renamed || old.fields() != new.fields() || old.indexes != new.indexes;
    if indexes_change {
        drop_indexes(conn, old).await?;
    }
    if renamed {
        let (from, to) = (
            DIALECT.quote_ident(&old.name),
            DIALECT.quote_ident(&new.name),
        );
        run(conn, format!("ALTER TABLE {from} RENAME TO {to}")).await?;
    }
    let table = DIALECT.quote_ident(&new.name);
    drop_columns(conn, &table, old, new).await?;
    add_columns(conn, &table, old, new).await?;
    convert_columns(conn, &table, old, new).await?;
    if indexes_change {
        create_indexes(conn, new).await?;
    }
    Ok(())
}

/// Drops a table with its rows and indexes, if it is there.
///
/// # Errors
/// What the database says.
pub async fn remove(conn: &mut Conn, name: &str) -> Result<(), Error> {
    run(
        conn,
        format!("DROP TABLE IF EXISTS {}", DIALECT.quote_ident(name)),
    )
    .await
}

/// Whether there is a table or view of that name, without regard to case.
///
/// # Errors
/// What the database says.
pub async fn exists(conn: &mut Conn, name: &str) -> Result<bool, Error> {
    let sql = Sql::new(
        "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND lower(name) = lower(?) LIMIT 1",
    )
    .bind(name);
    Ok(conn.fetch_optional(&sql).await?.is_some())
}

/// The columns of a table or view, in order.
///
/// # Errors
/// [`Error::Statement`] for a view that selects what is not there.
pub(super) async fn columns(conn: &mut Conn, name: &str) -> Result<Vec<ColumnInfo>, Error> {
    let sql = Sql::new("SELECT name, type FROM pragma_table_info(?)").bind(name);
    let rows = conn.fetch_all(&sql).await.map_err(Error::into_statement)?;
    rows.iter()
        .map(|row| {
            Ok(ColumnInfo {
                name: row.try_get_unchecked(0).map_err(Error::from_sqlx)?,
                declared: row.try_get_unchecked(1).map_err(Error::from_sqlx)?,
            })
        })
        .collect()
}

/// A column with its declared type, such as `TEXT`; empty when it has none.
pub(super) struct ColumnInfo {
    pub(super) name: String,
    pub(super) declared: String,
}

/// Makes the indexes of a collection. Each is tried, so that all failures are reported at once.
async fn create_indexes(conn: &mut Conn, collection: &Collection) -> Result<(), Error> {
    let mut failures = Vec::new();
    for (position, statement) in collection.indexes.iter().enumerate() {
        let mut index = Index::parse(statement);
        // Whatever table the statement names, an index belongs to its collection.
        index.table.clone_from(&collection.name);
        let sql = index
            .build()
            .filter(|sql| scan::is_one_statement(sql) == Ok(true));
        let message = match sql {
            None => "Invalid CREATE INDEX expression.".to_owned(),
            Some(sql) => match run(conn, sql).await {
                Ok(()) => continue,
                Err(Error::Statement(reason)) => {
                    format!("Failed to create index {} - {reason}.", index.name)
                }
                Err(other) => return Err(other),
            },
        };
        failures.push(IndexFailure { position, message });
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Error::Indexes(failures))
    }
}

async fn drop_indexes(conn: &mut Conn, collection: &Collection) -> Result<(), Error> {
    for statement in &collection.indexes {
        let name = Index::parse(statement).name;
        if name.is_empty() {
            return Err(Error::Statement(format!("missing index name: {statement}")));
        }
        let name = DIALECT.quote_ident(&name);
        run(conn, format!("DROP INDEX IF EXISTS {name}")).await?;
    }
    Ok(())
}

async fn drop_columns(
    conn: &mut Conn,
    table: &str,
    old: &Collection,
    new: &Collection,
) -> Result<(), Error> {
    for field in old.fields() {
        if find(new, &field.id).is_none() {
            let name = DIALECT.quote_ident(&field.name);
            run(conn, format!("ALTER TABLE {table} DROP COLUMN {name}")).await?;
        }
    }
    Ok(())
}

/// Adds and renames columns. All take a temporary name first: two fields may swap their names, or a new field take the
/// name of a renamed one.
async fn add_columns(
    conn: &mut Conn,
    table: &str,
    old: &Collection,
    new: &Collection,
) -> Result<(), Error> {
    let mut pending = Vec::new();
    for field in new.fields() {
        let temporary = temporary_name(&field.name);
        match find(old, &field.id) {
            Some(before) if before.name == field.name => continue,
            Some(before) => rename_column(conn, table, &before.name, &temporary).await?,
            None => {
                let column = column(&temporary, field);
                run(conn, format!("ALTER TABLE {table} ADD COLUMN {column}")).await?;
            }
        }
        pending.push((temporary, &field.name));
    }
    for (temporary, name) in pending {
        rename_column(conn, table, &temporary, name).await?;
    }
    Ok(())
}

/// Turns single values into lists, and lists into their last value, where a field changed between the two.
async fn convert_columns(
    conn: &mut Conn,
    table: &str,
    old: &Collection,
    new: &Collection,
) -> Result<(), Error> {
    let changed: Vec<&Field> = new
        .fields()
        .iter()
        .filter(|field| {
            find(old, &field.id).is_some_and(|old| old.is_multiple() != field.is_multiple())
        })
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    // A view that selects the column would keep it from being replaced.
    let views = take_views(conn).await?;
    for field in changed {
        let temporary = temporary_name(&field.name);
        rename_column(conn, table, &field.name, &temporary).await?;
        let column = column(&field.name, field);
        run(conn, format!("ALTER TABLE {table} ADD COLUMN {column}")).await?;
        let (name, from) = (
            DIALECT.quote_ident(&field.name),
            DIALECT.quote_ident(&temporary),
        );
        let value = if field.is_multiple() {
            to_list(&from)
        } else {
            to_single(&from)
        };
        run(conn, format!("UPDATE {table} SET {name} = {value}")).await?;
        run(conn, format!("ALTER TABLE {table} DROP COLUMN {from}")).await?;
    }
    for sql in views {
        run(conn, sql).await?;
    }
    Ok(())
}

/// A list of the one value, empty for none; a list stays.
fn to_list(column: &str) -> String {
    format!(
        "CASE WHEN COALESCE({column}, '') = '' THEN '[]' \
         WHEN iif(json_valid({column}), json_type({column}) = 'array', FALSE) THEN {column} \
         ELSE json_array({column}) END"
    )
}

/// The last element of a list, the empty text for none; a single value stays.
fn to_single(column: &str) -> String {
    format!(
        "CASE WHEN COALESCE({column}, '[]') = '[]' THEN '' \
         WHEN iif(json_valid({column}), json_type({column}) = 'array', FALSE) \
         THEN COALESCE(json_extract({column}, '$[#-1]'), '') ELSE {column} END"
    )
}

/// Drops all views; gives the statements that make them again.
async fn take_views(conn: &mut Conn) -> Result<Vec<String>, Error> {
    let sql =
        Sql::new("SELECT name, sql FROM sqlite_schema WHERE type = 'view' AND sql IS NOT NULL");
    let rows = conn.fetch_all(&sql).await?;
    let mut statements = Vec::with_capacity(rows.len());
    for row in rows {
        let name: String = row.try_get_unchecked(0).map_err(Error::from_sqlx)?;
        statements.push(row.try_get_unchecked(1).map_err(Error::from_sqlx)?);
        run(conn, format!("DROP VIEW {}", DIALECT.quote_ident(&name))).await?;
    }
    Ok(statements)
}

async fn rename_column(conn: &mut Conn, table: &str, from: &str, to: &str) -> Result<(), Error> {
    let (from, to) = (DIALECT.quote_ident(from), DIALECT.quote_ident(to));
    run(
        conn,
        format!("ALTER TABLE {table} RENAME COLUMN {from} TO {to}"),
    )
    .await
}

fn column(name: &str, field: &Field) -> String {
    format!(
        "{} {}",
        DIALECT.quote_ident(name),
        DIALECT.column_type(field)
    )
}

fn find<'a>(collection: &'a Collection, field_id: &str) -> Option<&'a Field> {
    collection
        .fields()
        .iter()
        .find(|field| field.id == field_id)
}

fn temporary_name(name: &str) -> String {
    format!("_{name}_{}", id::random_string(SUFFIX_CHARS))
}

/// Runs a definition; what SQLite objects to concerns the definition, which a superuser wrote.
async fn run(conn: &mut Conn, sql: String) -> Result<(), Error> {
    conn.run(sql).await.map_err(Error::into_statement)
}

#[cfg(test)]
pub(in crate::store) mod tests;
