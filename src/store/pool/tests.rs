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

/// Run with `cargo test --release -- --ignored --nocapture reads_per_second`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn reads_per_second() {
    use crate::store::writer::tests::cpu_seconds;
    let dir = tempfile::tempdir().unwrap();
    for mmap_bytes in [0, 256 << 20] {
        let store = Store::open(StoreOptions {
            mmap_bytes,
            ..StoreOptions::new(dir.path())
        })
        .await
        .unwrap();
        store
            .write_exclusive(|tx| {
                Box::pin(tx.run(
                    "DROP TABLE IF EXISTS t; CREATE TABLE t (id TEXT PRIMARY KEY, a TEXT, b TEXT, c TEXT, d NUMERIC, e BOOLEAN);
                     WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10000)
                     INSERT INTO t SELECT printf('%015d', n), 'some text of a title ' || n, 'b' || n, 'x', n, 1 FROM c",
                ))
            })
            .await
            .unwrap();
        for (name, text, clients) in [
            ("one", "SELECT id, a, b, c, d, e FROM t WHERE id = ?", 1),
            ("one", "SELECT id, a, b, c, d, e FROM t WHERE id = ?", 64),
            (
                "list of 30",
                "SELECT id, a, b, c, d, e FROM t WHERE id > ? ORDER BY id LIMIT 30",
                1,
            ),
            (
                "list of 30",
                "SELECT id, a, b, c, d, e FROM t WHERE id > ? ORDER BY id LIMIT 30",
                64,
            ),
        ] {
            let started = Instant::now();
            let cpu = cpu_seconds();
            let total = if name == "one" { 30_000 } else { 10_000 };
            let tasks: Vec<_> = (0..clients)
                .map(|client| {
                    let store = store.clone();
                    tokio::spawn(async move {
                        for n in 0..total / clients {
                            let id = format!("{:015}", (n * 7919 + client) % 9000 + 1);
                            let sql = Sql::new(text).bind(id);
                            let mut conn = store.read().await.unwrap();
                            let rows = if name == "one" {
                                usize::from(conn.fetch_optional(&sql).await.unwrap().is_some())
                            } else {
                                conn.fetch_all(&sql).await.unwrap().len()
                            };
                            assert!(rows > 0);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            let count = f64::from(total / clients * clients);
            println!(
                "mmap {mmap_bytes}, {name}, {clients} clients: {:.0}/s, {:.0} per CPU second",
                count / started.elapsed().as_secs_f64(),
                count / (cpu_seconds() - cpu)
            );
        }
        store.close().await;
    }
}
