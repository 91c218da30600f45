//! Many come and go; nothing stays behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rotunda_peer::{Plan, Publication};
use rotunda_sfu::{Channel, Join, Media, Options, Publishing};

use crate::support::{Room, id, options, until};

/// How many join before memory is measured.
const WARM_UP: usize = 300;
/// What may have grown since, in kB: the allocator keeps pages of its own, and clients of this test live in the same process.
const GROWTH_MAX_KB: u64 = 24_000;
const BATCH: usize = 50;

fn joins() -> usize {
    let said = std::env::var("ROTUNDA_SOAK_JOINS").ok();
    said.and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

/// A line of `/proc/self/status`, in its own unit.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn sockets() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

/// One comes and goes; how is told by its number.
async fn visit(room: Arc<Room>, number: usize) {
    let join = Join {
        peer: id(&format!("v{number}")),
        media: if number.is_multiple_of(4) {
            Media::Audio
        } else {
            Media::None
        },
        is_simulcast: false,
        channels: vec![Channel {
            label: "events",
            is_reliable: true,
        }],
        publishing: Publishing::default(),
    };
    // One in ten never connects.
    let is_silent = number % 10 == 9;
    let plan = Plan {
        is_silent,
        ..Plan::publishing(number.is_multiple_of(8).then(Publication::mic))
    };
    let client = room.enter(join, plan).await;
    if is_silent {
        if number % 500 != 499 {
            room.session.remove(&client.id, "soak").await.unwrap();
        }
        room.left(&client.id).await;
        return;
    }
    client.connected().await.unwrap();
    match number % 10 {
        0..=4 => client.close().await,
        5..=7 => room.session.remove(&client.id, "soak").await.unwrap(),
        _ => client.vanish().await,
    }
    room.left(&client.id).await;
}

async fn visits(sfu: &rotunda_sfu::Sfu, from: usize, to: usize) {
    let mut number = from;
    while number < to {
        // A session for each batch: sessions come and go too.
        let room = Arc::new(Room::of(sfu.clone()));
        let end = to.min(number + BATCH);
        let visits: Vec<_> = (number..end)
            .map(|number| tokio::spawn(visit(Arc::clone(&room), number)))
            .collect();
        for visit in visits {
            visit.await.unwrap();
        }
        room.session.close().await;
        number = end;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_behind_of_those_who_came_and_went() {
    let sfu = rotunda_sfu::Sfu::start(&Options {
        silence_max: Duration::from_millis(1_000),
        connect_max: Duration::from_secs(6),
        ..options()
    })
    .unwrap();
    let began = Instant::now();
    visits(&sfu, 0, WARM_UP).await;
    let (memory, threads, open) = (status("VmRSS"), status("Threads"), sockets());
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    visits(&sfu, WARM_UP, joins()).await;
    until("all sessions are over", || async {
        let metrics = sfu.metrics();
        (metrics.sessions, metrics.peers) == (0, 0)
    })
    .await;
    let grown = status("VmRSS").saturating_sub(memory);
    eprintln!(
        "{} visits in {:?}; memory {memory} kB, grown by {grown} kB; {threads} threads, {open} sockets; {} contained panics",
        joins(),
        began.elapsed(),
        sfu.metrics().panics
    );
    // Other tests of this process have clients and sessions of their own.
    if std::env::var_os("ROTUNDA_SOAK_ALONE").is_some() {
        assert!(grown < GROWTH_MAX_KB, "{grown} kB");
        until("sockets are back", || async { sockets() <= open }).await;
        assert!(status("Threads") <= threads);
        let alive = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        until("tasks are back", || async { alive() <= tasks }).await;
    }
    assert_eq!(sfu.metrics().panics, 0);
}
