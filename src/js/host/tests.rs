use std::sync::mpsc;

use tokio::sync::oneshot;

use super::*;
use crate::js::scope::{LineMaps, Scope};
use crate::js::thread::Turn;

const FILE: &str = "/scripts/a.js";

/// Native code in a script that goes on until the other end is dropped.
fn hang(host: &Host) -> mpsc::Sender<()> {
    hang_and_tell(host).0
}

/// [`hang`], also with the thread's line of `/proc/thread-self/stat`.
fn hang_and_tell(host: &Host) -> (mpsc::Sender<()>, mpsc::Receiver<String>) {
    let (go_on, wait) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let job = move |turn: &mut Turn<'_>| {
        let reporter = std::rc::Rc::new(|_: &_, _: &_| ());
        let maps = LineMaps::default();
        let scope = Scope::new(&turn.thread, "a", Path::new(FILE), &maps, reporter).unwrap();
        turn.enter(&scope, None, false, |_| wait.recv().is_ok());
        let _ = tell.send(std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default());
    };
    host.submit(&Route::General, Box::new(job)).unwrap();
    (go_on, told)
}

async fn works(host: &Host) -> bool {
    let (answer, answered) = oneshot::channel();
    let job = move |_: &mut Turn<'_>| answer.send(()).unwrap();
    host.submit(&Route::General, Box::new(job)).is_ok() && answered.await.is_ok()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_is_left_behind_runs_only_when_nobody_else_wants_to() {
    let options = HostOptions {
        budget: Duration::from_millis(10),
        ..HostOptions::default()
    };
    let host = Host::start(options, Arc::new(|_| ())).unwrap();
    let (go_on, told) = hang_and_tell(&host);
    host.left(0).await;
    drop(go_on);
    // proc(5): field 41 is the policy, counted from 1; the name in field 2 is "(scripts)". 5 is SCHED_IDLE.
    let stat = told.recv().unwrap();
    assert_eq!(stat.split(' ').nth(40), Some("5"), "{stat}");
    host.stop();
    host.join();
}

/// Scripts that go down the native stack in one step of the interpreter.
const DEEP: &[&str] = &[
    "let o = {}; for (let i = 0; i < 1e4; i++) o = Object.create(o); o.x",
    "let o = {}; for (let i = 0; i < 1e4; i++) o = new Proxy(o, {}); o.x = 1",
    "let o = {}; for (let i = 0; i < 1e4; i++) o = new Proxy(o, {}); Object.keys(o)",
    "let o = Object; for (let i = 0; i < 1e4; i++) o = class extends o {}; o.x",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_uses_up_the_stack_costs_its_thread_alone() {
    let options = HostOptions {
        budget: Duration::from_secs(60),
        growth_bytes_max: 0,
        // Less than in earnest: there is less to fill.
        stack_bytes: 2 << 20,
        ..HostOptions::default()
    };
    let host = Host::start(options, Arc::new(|_| ())).unwrap();
    for (epoch, source) in DEEP.iter().enumerate() {
        let job = move |turn: &mut Turn<'_>| {
            let reporter = std::rc::Rc::new(|_: &_, _: &_| ());
            let maps = LineMaps::default();
            let file = Path::new(FILE);
            let scope = Scope::new(&turn.thread, "a", file, &maps, reporter).unwrap();
            turn.enter(&scope, None, false, |context| {
                let source = format!("(() => {{ {source} }})()");
                let ended = scope.evaluate(file, &source, context).map(|_| ());
                println!("{source}: {ended:?}");
            });
        };
        host.submit(&Route::General, Box::new(job)).unwrap();
        let left = tokio::time::timeout(Duration::from_secs(30), host.left(epoch as u64));
        assert!(left.await.is_ok(), "it did not overflow: {source}");
        assert!(works(&host).await, "{source}");
    }
    host.stop();
    host.join();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_stuck_threads_are_a_pause_and_not_the_end() {
    let options = HostOptions {
        budget: Duration::from_millis(10),
        abandoned_max: 1,
        recovery: Duration::from_secs(3),
        ..HostOptions::default()
    };
    let host = Host::start(options, Arc::new(|_| ())).unwrap();
    let mut hanging = Vec::new();
    for epoch in 0..2 {
        hanging.push(hang(&host));
        host.left(epoch).await;
    }
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
