#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::Row;
use tokio::sync::oneshot;

use crate::model::Schema;
use crate::store::{Error, Sql, Store, StoreOptions};

mod aftermath;

struct Fixture {
    store: Store,
    dir: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(dir.path())).await.unwrap();
    store
        .write_exclusive(|tx| {
            Box::pin(tx.run("CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER NOT NULL DEFAULT 0)"))
        })
        .await
        .unwrap();
    Fixture { store, dir }
}

impl Fixture {
    async fn insert(&self, id: &'static str) -> Result<u64, Error> {
        self.store
            .write(move |tx| Box::pin(async move { tx.execute(&insert(id)).await }))
            .await
    }

    async fn ids(&self) -> Vec<String> {
        let mut conn = self.store.read().await.unwrap();
        let rows = conn
            .fetch_all(&Sql::new("SELECT id FROM t ORDER BY id"))
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Keeps the writer in a job until the returned sender fires, so that the jobs after it share its transaction.
    async fn hold(
        &self,
    ) -> (
        oneshot::Sender<()>,
        tokio::task::JoinHandle<Result<(), Error>>,
    ) {
        let (release, held) = oneshot::channel();
        let (entered, enter) = oneshot::channel();
        let store = self.store.clone();
        let task = tokio::spawn(async move {
            store
                .write(|tx| {
                    Box::pin(async move {
                        tx.execute(&insert("held")).await?;
                        let _ = entered.send(());
                        let _ = held.await;
                        Ok(())
                    })
                })
                .await
        });
        enter.await.unwrap();
        (release, task)
    }
}

fn insert(id: &str) -> Sql {
    Sql::new("INSERT INTO t (id) VALUES (?)").bind(id)
}

#[tokio::test]
async fn a_failing_job_is_undone_alone() {
    let f = fixture().await;
    let (release, held) = f.hold().await;
    let failing = f.store.write(|tx| {
        Box::pin(async move {
            tx.execute(&insert("lost")).await?;
            tx.execute(&insert("held")).await
        })
    });
    let jobs = async { tokio::join!(f.insert("a"), failing, f.insert("b")) };
    let unblock = async {
        tokio::task::yield_now().await;
        release.send(()).unwrap();
    };
    let ((a, failed, b), ()) = tokio::join!(jobs, unblock);
    held.await.unwrap().unwrap();
    assert_eq!((a.unwrap(), b.unwrap()), (1, 1));
    match failed {
        Err(Error::Unique { table, columns, .. }) => {
            assert_eq!((table.as_str(), columns), ("t", vec!["id".to_owned()]));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(f.ids().await, ["a", "b", "held"]);
}

#[tokio::test]
async fn a_panicking_job_fails_alone() {
    let f = fixture().await;
    let panicked: Result<(), Error> = f
        .store
        .write(|tx| {
            Box::pin(async move {
                tx.execute(&insert("lost")).await?;
                panic!("expected by the test")
            })
        })
        .await;
    assert!(matches!(panicked, Err(Error::Abandoned)));
    f.insert("a").await.unwrap();
    assert_eq!(f.ids().await, ["a"]);
}

#[tokio::test]
async fn a_job_runs_although_its_caller_is_gone() {
    let f = fixture().await;
    let (release, held) = f.hold().await;
    let gone = tokio::time::timeout(Duration::ZERO, f.insert("orphan")).await;
    assert!(gone.is_err());
    release.send(()).unwrap();
    held.await.unwrap().unwrap();
    // Jobs run in order: once this one is done the orphan is, too.
    f.insert("z").await.unwrap();
    assert_eq!(f.ids().await, ["held", "orphan", "z"]);
}

#[tokio::test]
async fn concurrent_increments_are_all_counted() {
    let f = fixture().await;
    f.insert("counter").await.unwrap();
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let store = f.store.clone();
            tokio::spawn(async move {
                store
                    .write(|tx| {
                        Box::pin(async move {
                            let row = tx
                                .fetch_optional(&Sql::new("SELECT n FROM t WHERE id = 'counter'"))
                                .await?;
                            let n: i64 = row.unwrap().get(0);
                            let next = Sql::new("UPDATE t SET n = ? WHERE id = 'counter'").bind(
                                crate::model::Value::Number(f64::from(
                                    i32::try_from(n).unwrap() + 1,
                                )),
                            );
                            tx.execute(&next).await
                        })
                    })
                    .await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), 1);
    }
    let mut conn = f.store.read().await.unwrap();
    let row = conn
        .fetch_optional(&Sql::new("SELECT n FROM t"))
        .await
        .unwrap();
    assert_eq!(row.unwrap().get::<i64, _>(0), 40);
}

#[tokio::test]
async fn actions_run_in_order_after_the_commit_and_never_after_a_failure() {
    let f = fixture().await;
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let note = |order: &Arc<std::sync::Mutex<Vec<u32>>>, n| {
        let order = Arc::clone(order);
        Box::new(move || order.lock().unwrap().push(n))
    };
    let (one, two, three) = (note(&order, 1), note(&order, 2), note(&order, 3));
    let kept = f.store.write(|tx| {
        Box::pin(async move {
            tx.on_commit(one);
            tx.on_commit(Box::new(|| panic!("expected by the test")));
            tx.on_commit(three);
            tx.execute(&insert("a")).await
        })
    });
    let failed = f.store.write(|tx| {
        Box::pin(async move {
            tx.on_commit(two);
            tx.execute(&insert("a")).await?;
            Err::<(), _>(Error::Busy)
        })
    });
    let (kept, failed) = tokio::join!(kept, failed);
    assert!(kept.is_ok() && failed.is_err());
    assert_eq!(*order.lock().unwrap(), [1, 3]);
}

#[tokio::test]
async fn a_savepoint_is_undone_alone() {
    let f = fixture().await;
    let ran = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ran);
    f.store
        .write(|tx| {
            Box::pin(async move {
                tx.execute(&insert("outer")).await?;
                let failed: Result<(), Error> = tx
                    .savepoint(|tx| {
                        Box::pin(async move {
                            tx.on_commit(Box::new(move || {
                                counter.fetch_add(1, Ordering::SeqCst);
                            }));
                            tx.set_schema(Arc::new(Schema::new(9, [])));
                            tx.execute(&insert("inner")).await?;
                            Err(Error::Busy)
                        })
                    })
                    .await;
                assert!(failed.is_err());
                tx.savepoint(|tx| Box::pin(async move { tx.execute(&insert("kept")).await }))
                    .await
            })
        })
        .await
        .unwrap();
    assert_eq!(f.ids().await, ["kept", "outer"]);
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    assert_eq!(f.store.schema().version, 1);
}

#[tokio::test]
async fn a_savepoint_given_up_half_way_takes_its_job_along() {
    let f = fixture().await;
    let result = f
        .store
        .write(|tx| {
            Box::pin(async move {
                let endless = tx.savepoint(|tx| {
                    Box::pin(async move {
                        tx.execute(&insert("lost")).await?;
                        std::future::pending::<Result<(), Error>>().await
                    })
                });
                let _ = tokio::time::timeout(Duration::from_millis(20), endless).await;
                Ok::<_, Error>(())
            })
        })
        .await;
    assert!(matches!(result, Err(Error::Abandoned)));
    f.insert("a").await.unwrap();
    assert_eq!(f.ids().await, ["a"]);
}

#[tokio::test]
async fn a_schema_is_published_with_its_commit_only() {
    let f = fixture().await;
    let set = |version, ok: bool| {
        f.store.write(move |tx| {
            Box::pin(async move {
                tx.set_schema(Arc::new(Schema::new(version, [])));
                assert_eq!(tx.schema().version, version);
                if ok { Ok(()) } else { Err(Error::Busy) }
            })
        })
    };
    assert!(set(7, false).await.is_err());
    assert_eq!(f.store.schema().version, 1);
    let seen = f
        .store
        .write(|tx| Box::pin(async move { Ok::<_, Error>(tx.schema().version) }));
    assert_eq!(seen.await.unwrap(), 1);
    set(8, true).await.unwrap();
    assert_eq!(f.store.schema().version, 8);
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_fails_all_its_jobs() {
    let f = fixture().await;
    let (release, held) = f.hold().await;
    let breaking = f.store.write(|tx| {
        Box::pin(async move {
            // Stands for a full disk: the statement ends the transaction behind the writer's back.
            let _ = tx.execute(&insert("held").clone()).await;
            let _ = tx
                .run("INSERT OR ROLLBACK INTO t (id) VALUES ('held')")
                .await;
            tx.execute(&insert("astray")).await
        })
    });
    let unblock = async {
        tokio::task::yield_now().await;
        release.send(()).unwrap();
    };
    let (broken, ()) = tokio::join!(breaking, unblock);
    assert!(matches!(broken, Err(Error::Abandoned)), "{broken:?}");
    assert!(matches!(held.await.unwrap(), Err(Error::Abandoned)));
    f.insert("a").await.unwrap();
    assert_eq!(f.ids().await, ["a"]);
}

#[tokio::test]
async fn closing_finishes_what_waits_and_leaves_one_file() {
    let f = fixture().await;
    let (release, held) = f.hold().await;
    let waiting = f.insert("waiting");
    let closing = async {
        release.send(()).unwrap();
        f.store.close().await;
    };
    let (waiting, ()) = tokio::join!(waiting, closing);
    waiting.unwrap();
    held.await.unwrap().unwrap();
    assert!(matches!(f.insert("late").await, Err(Error::Closed)));
    assert!(matches!(f.store.read().await.map(drop), Err(Error::Closed)));
    assert!(!f.dir.path().join("data.db-wal").exists());
    let again = Store::open(StoreOptions::new(f.dir.path())).await.unwrap();
    let mut conn = again.read().await.unwrap();
    let rows = conn.fetch_all(&Sql::new("SELECT id FROM t")).await.unwrap();
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn commits_are_durable_and_the_log_is_write_ahead() {
    let f = fixture().await;
    let settings = f
        .store
        .write(|tx| {
            Box::pin(async move {
                let row = tx
                    .fetch_optional(&Sql::new(
                        "SELECT (SELECT synchronous FROM pragma_synchronous), (SELECT journal_mode FROM pragma_journal_mode), \
                         (SELECT foreign_keys FROM pragma_foreign_keys)",
                    ))
                    .await?
                    .unwrap();
                Ok::<(i64, String, i64), Error>((row.get(0), row.get(1), row.get(2)))
            })
        })
        .await
        .unwrap();
    // 2 is FULL.
    assert_eq!(settings, (2, "wal".to_owned(), 0));
}

/// Statements that are left to be done later: those of jobs in one transaction, among them failing ones.
#[tokio::test]
async fn statements_left_for_later_fail_their_own_job_only() {
    let f = fixture().await;
    let (release, held) = f.hold().await;
    let ran = Arc::new(std::sync::Mutex::new(Vec::new()));
    let later = |ids: &'static [&'static str]| {
        let (ran, store) = (Arc::clone(&ran), f.store.clone());
        tokio::spawn(async move {
            let job = store.write_deferring::<_, Reason, _>(
                move |tx| {
                    Box::pin(async move {
                        for id in ids {
                            tx.execute_later(insert(id)).await?;
                        }
                        tx.on_commit(Box::new(move || ran.lock().unwrap().push(ids[0])));
                        Ok(())
                    })
                },
                |error| Reason(format!("late: {error}")),
            );
            job.await
        })
    };
    let mut jobs = Vec::new();
    for ids in [
        &["a"][..],
        &["b", "held", "never"],
        &["c"],
        &["a"],
        &["d", "e"],
        &["f"],
        &["g"],
        &["h"],
        &["i"],
        &["c"],
    ] {
        jobs.push(later(ids));
        // Keeps the jobs in order.
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    held.await.unwrap().unwrap();
    let mut failed = Vec::new();
    for (number, job) in jobs.into_iter().enumerate() {
        if let Err(error) = job.await.unwrap() {
            assert_eq!(error.0, "late: unique constraint on t (id)");
            failed.push(number);
        }
    }
    assert_eq!(failed, [1, 3, 9]);
    assert_eq!(
        f.ids().await,
        ["a", "c", "d", "e", "f", "g", "h", "held", "i"]
    );
    assert_eq!(*ran.lock().unwrap(), ["a", "c", "d", "f", "g", "h", "i"]);
}

/// A caller's own kind of error.
#[derive(Debug)]
struct Reason(String);

impl From<Error> for Reason {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

#[tokio::test]
async fn a_job_sees_what_it_left_for_later() {
    let f = fixture().await;
    let count = f
        .store
        .write(|tx| {
            Box::pin(async move {
                tx.execute_later(insert("a")).await?;
                tx.execute_later(insert("b")).await?;
                let row = tx
                    .fetch_optional(&Sql::new("SELECT count(*) FROM t"))
                    .await?;
                Ok::<i64, Error>(row.unwrap().get(0))
            })
        })
        .await;
    assert_eq!(count.unwrap(), 2);
    let failed = f
        .store
        .write(|tx| {
            Box::pin(async move {
                tx.execute(&insert("c")).await?;
                tx.execute_later(insert("a")).await?;
                tx.fetch_optional(&Sql::new("SELECT 1")).await.map(drop)
            })
        })
        .await;
    assert!(matches!(failed, Err(Error::Unique { .. })));
    let undone: Result<(), Error> = f
        .store
        .write(|tx| {
            Box::pin(async move {
                tx.execute_later(insert("d")).await?;
                Err(Error::Busy)
            })
        })
        .await;
    assert!(undone.is_err());
    assert_eq!(f.ids().await, ["a", "b"]);
}

mod random_groups {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// What a job does, and whether it ends well.
    #[derive(Clone, Debug)]
    struct Plan {
        steps: Vec<(u8, bool)>,
        fail: bool,
    }

    fn plan() -> impl Strategy<Value = Plan> {
        let step = (0_u8..24, any::<bool>());
        (
            proptest::collection::vec(step, 0..4),
            proptest::bool::weighted(0.2),
        )
            .prop_map(|(steps, fail)| Plan { steps, fail })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        /// Each job inserts ids, at once or later. In whatever groups they run: a job that meets a taken id, or gives up,
        /// leaves nothing; the others leave all.
        #[test]
        fn each_job_is_kept_whole_or_not_at_all(plans in proptest::collection::vec(plan(), 1..40)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let f = fixture().await;
                let (release, held) = f.hold().await;
                let mut jobs = Vec::new();
                for plan in plans.clone() {
                    let store = f.store.clone();
                    jobs.push(tokio::spawn(async move {
                        store.write(move |tx| Box::pin(async move {
                            for (id, later) in plan.steps {
                                let sql = insert(&format!("{id:02}"));
                                if later {
                                    tx.execute_later(sql).await?;
                                } else {
                                    tx.execute(&sql).await?;
                                }
                            }
                            if plan.fail { Err(Error::Busy) } else { Ok(()) }
                        })).await
                    }));
                    tokio::task::yield_now().await;
                }
                release.send(()).unwrap();
                held.await.unwrap().unwrap();
                let mut expected = BTreeSet::from(["held".to_owned()]);
                for (plan, job) in plans.iter().zip(jobs) {
                    let ids: Vec<String> = plan.steps.iter().map(|(id, _)| format!("{id:02}")).collect();
                    let mut with = expected.clone();
                    let fits = ids.into_iter().all(|id| with.insert(id)) && !plan.fail;
                    let kept = job.await.unwrap().is_ok();
                    assert_eq!(kept, fits, "{plan:?}");
                    if kept {
                        expected = with;
                    }
                }
                let found: BTreeSet<String> = f.ids().await.into_iter().collect();
                assert_eq!(found, expected);
            });
        }
    }
}

#[tokio::test]
async fn a_write_inside_a_write_is_refused_instead_of_waiting_for_itself() {
    let f = fixture().await;
    let store = f.store.clone();
    let nested: Result<(), Error> = f
        .store
        .write(|_| Box::pin(async move { store.write(|_| Box::pin(async { Ok(()) })).await }))
        .await;
    assert!(matches!(nested, Err(Error::Nested)));
}

#[tokio::test]
async fn a_database_locked_by_another_process_is_waited_for() {
    let f = fixture().await;
    let options = StoreOptions::new(f.dir.path());
    let file = f.dir.path().join("data.db");
    let synchronous = sqlx::sqlite::SqliteSynchronous::Full;
    let role = crate::store::options::Role::Writer { synchronous };
    let mut other = crate::store::Conn::open(&options.connect(&file, role), Duration::from_secs(5))
        .await
        .unwrap();
    other.run("BEGIN IMMEDIATE").await.unwrap();
    let mut insert = std::pin::pin!(f.insert("a"));
    let waiting = tokio::time::timeout(Duration::from_millis(50), insert.as_mut()).await;
    assert!(waiting.is_err());
    let (inserted, released) = tokio::join!(insert, other.run("COMMIT"));
    released.unwrap();
    assert_eq!(inserted.unwrap(), 1);
}
