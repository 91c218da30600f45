use std::sync::mpsc;

use tokio::sync::oneshot;

use super::*;
use crate::js::scope::{LineMaps, Scope};
use crate::js::thread::Turn;

const FILE: &str = "/scripts/a.js";

/// Native code in a script that goes on until the other end is dropped.
fn hang(host: &Host) -> mpsc::Sender<()> {
    let (go_on, wait) = mpsc::channel();
    let job = move |turn: &mut Turn<'_>| {
        let reporter = std::rc::Rc::new(|_: &_, _: &_| ());
        let maps = LineMaps::default();
        let scope = Scope::new(&turn.thread, "a", Path::new(FILE), &maps, reporter).unwrap();
        turn.enter(&scope, None, false, |_| wait.recv().is_ok());
    };
    host.submit(&Route::General, Box::new(job)).unwrap();
    go_on
}

async fn works(host: &Host) -> bool {
    let (answer, answered) = oneshot::channel();
    let job = move |_: &mut Turn<'_>| answer.send(()).unwrap();
    host.submit(&Route::General, Box::new(job)).is_ok() && answered.await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_stuck_threads_are_a_pause_and_not_the_end() {
    let options = HostOptions {
        budget: Duration::from_millis(10),
        abandoned_max: 1,
        recovery: Duration::from_millis(300),
        ..HostOptions::default()
    };
    let files = Arc::new(Mutex::new(Vec::new()));
    let lost: Lost = {
        let files = Arc::clone(&files);
        Arc::new(move |file| files.lock().unwrap().push(file.to_owned()))
    };
    let host = Host::start(options, Arc::new(|_| ()), lost).unwrap();
    let mut hanging = Vec::new();
    for epoch in 0..2 {
        hanging.push(hang(&host));
        host.left(epoch).await;
    }
    assert_eq!(*files.lock().unwrap(), [Path::new(FILE); 2]);
    while !host.inner.recovering.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
    }
    assert!(!works(&host).await);
    while host.inner.recovering.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(works(&host).await);
    // Those that end after all count no more.
    drop(hanging);
    while host.inner.abandoned.load(Ordering::Relaxed) > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(works(&host).await);
    host.stop();
    host.join();
}
