//! What follows a job is awaited by its caller.

use std::sync::Mutex;

use futures_util::future::BoxFuture;

use super::*;
use crate::base::within::{WITHIN, Within, current};
use crate::store::Tx;

/// Notes what happens, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Work that takes a while and then says something.
    fn slowly(&self, line: &str) -> BoxFuture<'static, ()> {
        let (log, line) = (self.clone(), line.to_owned());
        Box::pin(async move {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            log.say(&line);
        })
    }

    /// Registers one of each kind.
    fn register(&self, tx: &mut Tx, name: &str) {
        tx.after_commit(self.slowly(&format!("{name} committed")));
        let (log, line) = (self.clone(), format!("{name} undone"));
        tx.after_rollback(Box::new(move || log.slowly(&line)));
        tx.after_end(self.slowly(&format!("{name} ended")));
    }
}

#[tokio::test]
async fn the_caller_waits_in_order_for_what_follows_its_commit() {
    let f = fixture().await;
    let log = Log::default();
    let job = log.clone();
    let written: Result<(), Error> = f
        .store
        .write(move |tx| {
            Box::pin(async move {
                job.register(tx, "a");
                job.register(tx, "b");
                Ok(())
            })
        })
        .await;
    written.unwrap();
    log.say("answered");
    assert_eq!(
        log.lines(),
        [
            "a committed",
            "a ended",
            "b committed",
            "b ended",
            "answered"
        ]
    );
}

#[tokio::test]
async fn a_failed_job_is_followed_by_what_its_undoing_asks_for() {
    let f = fixture().await;
    let log = Log::default();
    let job = log.clone();
    let written: Result<(), Error> = f
        .store
        .write(move |tx| {
            Box::pin(async move {
                job.register(tx, "a");
                Err(Error::Busy)
            })
        })
        .await;
    written.unwrap_err();
    log.say("answered");
    assert_eq!(log.lines(), ["a undone", "a ended", "answered"]);
}

#[tokio::test]
async fn an_undone_part_of_a_kept_job_is_followed_by_its_undoing() {
    let f = fixture().await;
    let log = Log::default();
    let job = log.clone();
    let written: Result<(), Error> = f
        .store
        .write(move |tx| {
            Box::pin(async move {
                job.register(tx, "outer");
                let inner = job.clone();
                let part: Result<(), Error> = tx
                    .savepoint(move |tx| {
                        Box::pin(async move {
                            inner.register(tx, "inner");
                            Err(Error::Busy)
                        })
                    })
                    .await;
                part.unwrap_err();
                Ok(())
            })
        })
        .await;
    written.unwrap();
    assert_eq!(
        log.lines(),
        [
            "outer committed",
            "outer ended",
            "inner undone",
            "inner ended"
        ]
    );
}

#[tokio::test]
async fn it_runs_even_if_the_caller_is_gone_and_may_write_itself() {
    let f = fixture().await;
    let (release, held) = f.hold().await;
    let (done, heard) = oneshot::channel();
    let store = f.store.clone();
    let other = f.store.clone();
    let mut caller = Box::pin(async move {
        other
            .write(move |tx| {
                Box::pin(async move {
                    tx.after_commit(Box::pin(async move {
                        let written: Result<u64, Error> = store
                            .write(|tx| Box::pin(async move { tx.execute(&insert("after")).await }))
                            .await;
                        let _ = done.send(written);
                    }));
                    Ok::<(), Error>(())
                })
            })
            .await
    });
    // Once polled, the job waits behind the one that holds the writer.
    assert!(futures_util::poll!(&mut caller).is_pending());
    drop(caller);
    release.send(()).unwrap();
    held.await.unwrap().unwrap();
    heard.await.unwrap().unwrap();
    assert_eq!(f.ids().await, ["after", "held"]);
}

#[tokio::test]
async fn what_fails_after_a_commit_is_told_and_undoes_nothing() {
    let f = fixture().await;
    let log = Log::default();
    let job = log.clone();
    let written: Result<(), Error> = f
        .store
        .write(move |tx| {
            Box::pin(async move {
                tx.after_commit_or_fail(Box::pin(async {
                    Err(Arc::new(Error::Abandoned) as crate::store::Failure)
                }));
                tx.after_commit(job.slowly("went on"));
                tx.execute(&insert("stays")).await.map(drop)
            })
        })
        .await;
    let Err(Error::Followed(failure)) = written else {
        panic!("{written:?}");
    };
    assert!(matches!(failure.downcast_ref(), Some(Error::Abandoned)));
    assert_eq!(log.lines(), ["went on"]);
    assert_eq!(f.ids().await, ["stays"]);
}

#[tokio::test]
async fn jobs_and_what_follows_them_know_on_whose_behalf_they_work() {
    let f = fixture().await;
    let mark: Within = Arc::new("mine");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let is_mine = || {
        let current = current();
        current.is_some_and(|within| within.downcast_ref::<&str>() == Some(&"mine"))
    };
    let work = f.store.write(move |tx| {
        Box::pin(async move {
            log.lock().unwrap().push(is_mine());
            tx.after_commit(Box::pin(async move {
                log.lock().unwrap().push(is_mine());
            }));
            Ok::<(), Error>(())
        })
    });
    WITHIN.scope(Some(mark), work).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [true, true]);
    f.insert("other").await.unwrap();
}
