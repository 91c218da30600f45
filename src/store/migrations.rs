//! Makes a new data directory, and keeps the history of migrations.
//!
//! A new directory gets what PocketBase 0.40 makes, and the names of PocketBase's own migrations in `_migrations`, so that
//! PocketBase opens it without running them. Our later changes are recorded apart, in `_rotunda_migrations`, which
//! PocketBase does not look at; a directory that PocketBase made has no such table until there is something to record.

use sqlx::Row;

use super::conn::Conn;
use super::dialect::Dialect;
use super::error::Error;
use super::sql::Sql;
use super::{collections, tables};
use crate::base::DateTime;
use crate::model::{Collection, Value};

const DATA_TABLES: &str = include_str!("../../migrations/data.sql");
const AUXILIARY_TABLES: &str = include_str!("../../migrations/auxiliary.sql");

/// The collections of a new directory, in the order they are made in.
const COLLECTIONS: [&str; 6] = [
    include_str!("../../migrations/collections/mfas.json"),
    include_str!("../../migrations/collections/otps.json"),
    include_str!("../../migrations/collections/external_auths.json"),
    include_str!("../../migrations/collections/auth_origins.json"),
    include_str!("../../migrations/collections/superusers.json"),
    include_str!("../../migrations/collections/users.json"),
];

/// The migrations that PocketBase 0.40 records in a new directory; what they do is in the files above.
const POCKETBASE: [&str; 8] = [
    "1640988000_aux_init.go",
    "1640988000_init.go",
    "1717233556_v0.23_migrate.go",
    "1717233557_v0.23_migrate2.go",
    "1717233558_v0.23_migrate3.go",
    "1717233559_v0.23_migrate4.go",
    "1763020353_update_default_auth_alert_templates.go",
    "1778828400_normalize_indexes.go",
];

/// Our own changes to directories of any origin: name and statements, oldest first.
const OWN: [(&str, &str); 0] = [];

/// Stands in `_rotunda_migrations` when the directory was made here.
const MADE_HERE: &str = "0000_made_here";

/// Brings data.db up to date inside one transaction.
pub(super) async fn migrate_data(conn: &mut Conn) -> Result<(), Error> {
    if !tables::exists(conn, "_collections").await? {
        install(conn, DateTime::now()).await?;
    }
    if !tables::columns(conn, "_collections")
        .await?
        .iter()
        .any(|column| column.name == "fields")
    {
        return Err(Error::Unsupported(
            "the data directory was made by PocketBase before 0.23; start it once with PocketBase 0.23 or newer"
                .to_owned(),
        ));
    }
    for (name, statements) in OWN {
        if !is_own_recorded(conn, name).await? {
            conn.run(statements).await?;
            record_own(conn, name, DateTime::now()).await?;
        }
    }
    Ok(())
}

/// Brings auxiliary.db up to date.
pub(super) async fn migrate_auxiliary(conn: &mut Conn) -> Result<(), Error> {
    // Asked first, so that opening a directory writes nothing.
    if tables::exists(conn, "_logs").await? {
        return Ok(());
    }
    conn.run(AUXILIARY_TABLES).await
}

/// Whether PocketBase made the directory. Such a directory keeps what PocketBase understands unless its owner says
/// otherwise.
///
/// # Errors
/// What the database says.
pub async fn was_made_by_pocketbase(conn: &mut Conn) -> Result<bool, Error> {
    Ok(!is_own_recorded(conn, MADE_HERE).await?)
}

/// The migrations recorded in `_migrations`, oldest first: PocketBase's and those of the user's scripts.
///
/// # Errors
/// What the database says.
pub async fn applied(conn: &mut Conn) -> Result<Vec<String>, Error> {
    // Old rows have seconds, newer ones microseconds.
    let sql = Sql::new(
        "SELECT file FROM _migrations ORDER BY substr(applied || '0000000000000000', 0, 17), file",
    );
    let rows = conn.fetch_all(&sql).await?;
    rows.iter()
        .map(|row| row.try_get_unchecked(0).map_err(Error::from_sqlx))
        .collect()
}

/// Records a migration in `_migrations`.
///
/// # Errors
/// What the database says.
pub async fn record(conn: &mut Conn, file: &str, now: DateTime) -> Result<(), Error> {
    let sql = Sql::new("INSERT OR REPLACE INTO _migrations (file, applied) VALUES (?, ?)")
        .bind(file)
        .bind(microseconds(now));
    conn.execute(&sql).await.map(drop)
}

/// Removes a migration from `_migrations`.
///
/// # Errors
/// What the database says.
pub async fn forget(conn: &mut Conn, file: &str) -> Result<(), Error> {
    let sql = Sql::new("DELETE FROM _migrations WHERE file = ?").bind(file);
    conn.execute(&sql).await.map(drop)
}

async fn install(conn: &mut Conn, now: DateTime) -> Result<(), Error> {
    conn.run(DATA_TABLES).await?;
    for definition in COLLECTIONS {
        let collection = parse(definition, now).map_err(Error::Corrupt)?;
        tables::create(conn, &collection).await?;
        collections::insert(conn, &collection).await?;
    }
    for file in POCKETBASE {
        record(conn, file, now).await?;
    }
    record_own(conn, MADE_HERE, now).await
}

fn parse(definition: &str, now: DateTime) -> Result<Collection, String> {
    let body = serde_json::from_str(definition).map_err(|error| error.to_string())?;
    let mut collection = Collection::from_body(&body)?;
    collection.prepare_save(true, now, |_| false);
    Ok(collection)
}

/// Records that collections of an application module were made here.
///
/// # Errors
/// What the database says.
pub async fn record_module(conn: &mut Conn, module: &str) -> Result<(), Error> {
    if has_module(conn, module).await? {
        return Ok(());
    }
    record_own(conn, &format!("module:{module}"), DateTime::now()).await
}

/// Whether collections of an application module were made in this directory at any time.
///
/// # Errors
/// What the database says.
pub async fn has_module(conn: &mut Conn, module: &str) -> Result<bool, Error> {
    is_own_recorded(conn, &format!("module:{module}")).await
}

async fn is_own_recorded(conn: &mut Conn, name: &str) -> Result<bool, Error> {
    if !tables::exists(conn, "_rotunda_migrations").await? {
        return Ok(false);
    }
    let sql = Sql::new("SELECT 1 FROM _rotunda_migrations WHERE file = ?").bind(name);
    Ok(conn.fetch_optional(&sql).await?.is_some())
}

async fn record_own(conn: &mut Conn, name: &str, now: DateTime) -> Result<(), Error> {
    let table = Dialect::Sqlite.quote_ident("_rotunda_migrations");
    conn.run(format!(
        "CREATE TABLE IF NOT EXISTS {table} (file TEXT PRIMARY KEY NOT NULL, applied INTEGER NOT NULL)"
    ))
    .await?;
    let sql = Sql::new("INSERT INTO _rotunda_migrations (file, applied) VALUES (?, ?)")
        .bind(name)
        .bind(microseconds(now));
    conn.execute(&sql).await.map(drop)
}

/// A time as `_migrations` keeps it; whole, hence exact as a double.
fn microseconds(time: DateTime) -> Value {
    Value::Number(time.unix_ms() as f64 * 1000.0)
}

#[cfg(test)]
mod tests;
