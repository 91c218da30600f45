#![allow(clippy::unwrap_used, clippy::panic)]

use sqlx::Row;

use super::*;
use crate::store::{Store, StoreOptions};

async fn open(dir: &tempfile::TempDir) -> Store {
    Store::open(StoreOptions::new(dir.path())).await.unwrap()
}

async fn texts(conn: &mut Conn, sql: &'static str) -> Vec<String> {
    let rows = conn.fetch_all(&Sql::new(sql)).await.unwrap();
    rows.iter().map(|row| row.get_unchecked(0)).collect()
}

#[tokio::test]
async fn a_new_directory_has_pocketbases_tables_and_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let mut conn = store.read().await.unwrap();
    let tables = texts(
        &mut conn,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )
    .await;
    assert_eq!(
        tables,
        [
            "_authOrigins",
            "_collections",
            "_externalAuths",
            "_mfas",
            "_migrations",
            "_otps",
            "_params",
            "_rotunda_migrations",
            "_superusers",
            "users"
        ]
    );
    let users = texts(
        &mut conn,
        "SELECT sql FROM sqlite_schema WHERE tbl_name = 'users' AND sql IS NOT NULL ORDER BY rowid",
    )
    .await;
    assert_eq!(
        users,
        [
            "CREATE TABLE `users` (`avatar` TEXT DEFAULT '' NOT NULL, `created` TEXT DEFAULT '' NOT NULL, \
             `email` TEXT DEFAULT '' NOT NULL, `emailVisibility` BOOLEAN DEFAULT FALSE NOT NULL, \
             `id` TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL, \
             `name` TEXT DEFAULT '' NOT NULL, `password` TEXT DEFAULT '' NOT NULL, \
             `tokenKey` TEXT DEFAULT '' NOT NULL, `updated` TEXT DEFAULT '' NOT NULL, \
             `verified` BOOLEAN DEFAULT FALSE NOT NULL)",
            "CREATE UNIQUE INDEX `idx_tokenKey__pb_users_auth_` ON `users` (`tokenKey`)",
            "CREATE UNIQUE INDEX `idx_email__pb_users_auth_` ON `users` (`email`) WHERE `email` != ''",
        ]
    );
    assert_eq!(applied(&mut conn).await.unwrap(), POCKETBASE);
    assert!(!was_made_by_pocketbase(&mut conn).await.unwrap());
    let kinds = texts(&mut conn, "SELECT typeof(applied) FROM _migrations").await;
    assert!(kinds.iter().all(|kind| kind == "integer"));
}

#[tokio::test]
async fn secrets_differ_from_directory_to_directory() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut secrets = Vec::new();
    for dir in [&one, &two] {
        let store = open(dir).await;
        let collections = collections::load(&mut store.read().await.unwrap()).await;
        for collection in collections.unwrap() {
            if let Some(auth) = &collection.auth {
                secrets.push(auth.auth_token.secret.clone());
                secrets.push(auth.file_token.secret.clone());
            }
        }
    }
    assert_eq!(secrets.len(), 8);
    assert!(secrets.iter().all(|secret| secret.len() == 50));
    secrets.sort();
    secrets.dedup();
    assert_eq!(secrets.len(), 8);
}

#[tokio::test]
async fn opening_again_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dump = async |store: &Store| {
        let mut conn = store.read().await.unwrap();
        let mut all = texts(
            &mut conn,
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'",
        )
        .await;
        all.extend(
            texts(
                &mut conn,
                "SELECT id || fields || options || updated FROM _collections",
            )
            .await,
        );
        all.extend(texts(&mut conn, "SELECT file || applied FROM _migrations").await);
        all.extend(texts(&mut conn, "SELECT file || applied FROM _rotunda_migrations").await);
        all
    };
    let store = open(&dir).await;
    let first = dump(&store).await;
    store.close().await;
    let store = open(&dir).await;
    assert_eq!(dump(&store).await, first);
}

#[tokio::test]
async fn history_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let names = store
        .write(|tx| {
            Box::pin(async move {
                record(tx, "2_b.js", DateTime::from_unix_ms(2_000_000_000_000)).await?;
                record(tx, "1_a.js", DateTime::from_unix_ms(2_000_000_000_001)).await?;
                forget(tx, "2_b.js").await?;
                applied(tx).await
            })
        })
        .await
        .unwrap();
    assert_eq!(names.last().unwrap(), "1_a.js");
    assert_eq!(names.len(), POCKETBASE.len() + 1);
}

#[tokio::test]
async fn a_directory_from_before_the_fields_column_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    {
        let options = StoreOptions::new(dir.path()).connect(
            &dir.path().join("data.db"),
            crate::store::options::Role::Writer {
                synchronous: sqlx::sqlite::SqliteSynchronous::Off,
            },
        );
        let mut conn = Conn::open(&options, std::time::Duration::from_secs(5))
            .await
            .unwrap();
        conn.run("CREATE TABLE _collections (id TEXT PRIMARY KEY, schema JSON)")
            .await
            .unwrap();
        conn.close().await.unwrap();
    }
    let refused = Store::open(StoreOptions::new(dir.path())).await;
    assert!(matches!(refused.map(drop), Err(Error::Unsupported(_))));
}

/// For comparing with PocketBase: `STORE_DIR=/tmp/x cargo test -- --ignored opens_the_directory_of_the_environment`.
#[tokio::test]
#[ignore = "needs a directory"]
async fn opens_the_directory_of_the_environment() {
    let store = Store::open(StoreOptions::new(std::env::var("STORE_DIR").unwrap()))
        .await
        .unwrap();
    let mut conn = store.read().await.unwrap();
    println!(
        "{} collections, made by PocketBase: {}",
        collections::load(&mut conn).await.unwrap().len(),
        was_made_by_pocketbase(&mut conn).await.unwrap()
    );
    let schema = store.schema();
    for (view, fields) in crate::store::views::outdated(&mut conn, &schema, "")
        .await
        .unwrap()
    {
        println!(
            "view {}: {fields:#?}, stored {:#?}",
            view.name,
            view.fields()
        );
    }
    drop(conn);
    store.close().await;
}
