#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use sqlx::Row;

use crate::store::{Error, Sql, Store, StoreOptions};

/// Counts to a number that takes minutes.
const ENDLESS: &str = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1e12) SELECT count(*) FROM c";

async fn open(dir: &tempfile::TempDir, readers: usize, query_timeout: Duration) -> Store {
    Store::open(StoreOptions {
        readers,
        query_timeout,
        ..StoreOptions::new(dir.path())
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_query_beyond_its_time_is_stopped_and_the_reader_works_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, 1, Duration::from_millis(50)).await;
    let mut conn = store.read().await.unwrap();
    let stopped = conn.fetch_all(&Sql::new(ENDLESS)).await;
    assert!(matches!(stopped.map(drop), Err(Error::Timeout)));
    let row = conn.fetch_optional(&Sql::new("SELECT 1")).await.unwrap();
    assert_eq!(row.unwrap().get::<i64, _>(0), 1);
}

#[tokio::test]
async fn a_reader_given_up_in_a_query_comes_back_clean() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, 1, Duration::from_secs(20)).await;
    let started = Instant::now();
    for _ in 0..3 {
        let mut conn = store.read().await.unwrap();
        let query = Sql::new(ENDLESS);
        let given_up = tokio::time::timeout(Duration::from_millis(5), conn.fetch_all(&query)).await;
        assert!(given_up.is_err());
    }
    let mut conn = store.read().await.unwrap();
    let row = conn.fetch_optional(&Sql::new("SELECT 2")).await.unwrap();
    assert_eq!(row.unwrap().get::<i64, _>(0), 2);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn callers_beyond_the_readers_wait_and_then_give_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, 1, Duration::from_millis(50)).await;
    let held = store.read().await.unwrap();
    assert!(matches!(store.read().await.map(drop), Err(Error::Busy)));
    let (waiting, ()) = tokio::join!(store.read(), async { drop(held) });
    assert!(waiting.is_ok());
}

#[tokio::test]
async fn readers_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, 1, Duration::from_secs(5)).await;
    let mut conn = store.read().await.unwrap();
    assert!(conn.run("CREATE TABLE x (id TEXT)").await.is_err());
}

#[tokio::test]
async fn readers_notice_changed_tables() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, 1, Duration::from_secs(5)).await;
    let columns = || async {
        let mut conn = store.read().await.unwrap();
        let row = conn.fetch_optional(&Sql::new("SELECT * FROM x")).await;
        row.unwrap().unwrap().len()
    };
    let change = |sql: &'static str| store.write_exclusive(move |tx| Box::pin(tx.run(sql)));
    change("CREATE TABLE x (a TEXT); INSERT INTO x VALUES ('1')")
        .await
        .unwrap();
    assert_eq!(columns().await, 1);
    change("ALTER TABLE x ADD COLUMN b TEXT").await.unwrap();
    assert_eq!(columns().await, 2);
}
