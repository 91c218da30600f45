//! Measurements of reads and writes, run by hand:
//! `cargo test --release --lib -- --ignored --nocapture --test-threads 1 per_second`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Instant;

use super::{Error, Sql, Store, StoreOptions};

fn insert(id: &str) -> Sql {
    Sql::new("INSERT INTO t (id) VALUES (?)").bind(id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn reads_per_second() {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn writes_per_second() {
    let dir = match std::env::var("STORE_BENCH_DIR") {
        Ok(dir) => tempfile::tempdir_in(dir).unwrap(),
        Err(_) => tempfile::tempdir().unwrap(),
    };
    let store = Store::open(StoreOptions::new(dir.path())).await.unwrap();
    store
        .write_exclusive(|tx| {
            Box::pin(tx.run("CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER NOT NULL DEFAULT 0)"))
        })
        .await
        .unwrap();
    for (clients, later) in [
        (1_usize, false),
        (8, false),
        (64, false),
        (8, true),
        (64, true),
    ] {
        let total = 20_000_usize.min(clients * 2_000);
        let started = Instant::now();
        let cpu = cpu_seconds();
        let tasks: Vec<_> = (0..clients)
            .map(|client| {
                let store = store.clone();
                tokio::spawn(async move {
                    for n in 0..total / clients {
                        let id = format!("{clients}-{later}-{client}-{n}");
                        store
                            .write(move |tx| {
                                Box::pin(async move {
                                    if later {
                                        tx.execute_later(insert(&id)).await
                                    } else {
                                        tx.execute(&insert(&id)).await.map(drop)
                                    }
                                })
                            })
                            .await
                            .unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let count = total / clients * clients;
        println!(
            "{clients} clients, later {later}: {:.0} writes/s, {:.0} per CPU second",
            count as f64 / started.elapsed().as_secs_f64(),
            count as f64 / (cpu_seconds() - cpu)
        );
    }
    store.close().await;
}

/// What a write costs when 16 share one switch to the connection's thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn batched_writes_per_second() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(dir.path())).await.unwrap();
    store
        .write_exclusive(|tx| {
            Box::pin(tx.run("CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER NOT NULL DEFAULT 0)"))
        })
        .await
        .unwrap();
    for inserts in [1_usize, 4, 16, 64] {
        let text = "RELEASE job;SAVEPOINT job;INSERT INTO t (id) VALUES (?);".repeat(inserts);
        let text: Arc<str> = text.into();
        let started = Instant::now();
        let cpu = cpu_seconds();
        for group in 0..20_000 / 64 {
            let text = Arc::clone(&text);
            store
                .write(move |tx| {
                    Box::pin(async move {
                        tx.execute(&Sql::new("SELECT 1")).await?;
                        for n in 0..64 / inserts {
                            let mut sql = Sql::new(Arc::clone(&text));
                            for i in 0..inserts {
                                sql = sql.bind(format!("{inserts}-{group}-{n}-{i}"));
                            }
                            tx.execute(&sql).await?;
                        }
                        Ok::<_, Error>(())
                    })
                })
                .await
                .unwrap();
        }
        println!(
            "{inserts} per switch: {:.0} writes/s, {:.0} per CPU second",
            20_000.0 / started.elapsed().as_secs_f64(),
            20_000.0 / (cpu_seconds() - cpu)
        );
    }
    store.close().await;
}

/// User and system time of this process in seconds, from `/proc/self/stat` (100 ticks a second).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}
