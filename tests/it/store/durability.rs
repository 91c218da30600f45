//! What was acknowledged survives `kill -9`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::support::fields::{number, open, text};
use crate::support::process::{self, Server};
use crate::support::{Client, SUPERUSER};

const ROUNDS: usize = 3;
const WRITERS: usize = 8;
/// The server is killed once this many creates of a round are acknowledged, with others under way.
const ACKNOWLEDGED: usize = 150;

#[tokio::test]
async fn an_acknowledged_write_survives_a_kill() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("pb_data");
    let (email, password) = SUPERUSER;
    process::run(
        &process::binary(),
        &dir,
        &["superuser", "upsert", email, password],
    )
    .succeeds();
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    for round in 0..ROUNDS {
        let server = Server::start(&process::binary(), &dir).await;
        let guest = Client::new(server.base(), None);
        if round == 0 {
            let signed_in = guest
                .sign_in("_superusers", email, password)
                .await
                .expect(200);
            let superuser = guest.with_token(signed_in["token"].as_str().unwrap());
            let posts = open("posts", [text("title"), number("n")]);
            superuser.post("/api/collections", posts).await.expect(200);
            let id = guest
                .create_id("posts", json!({"id": "counter00000000"}))
                .await;
            acknowledged.insert(id);
        }
        check(&guest, &acknowledged).await;
        let added = write_until_killed(server, &guest, round).await;
        assert!(added.len() >= ACKNOWLEDGED);
        acknowledged.extend(added);
    }
    let server = Server::start(&process::binary(), &dir).await;
    check(&Client::new(server.base(), None), &acknowledged).await;
    assert!(server.terminate().success());
}

/// Streams creates and additions from several connections; gives the ids that were acknowledged.
async fn write_until_killed(server: Server, guest: &Client, round: usize) -> Vec<String> {
    let enough = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (guest, enough) = (guest.clone(), Arc::clone(&enough));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0.. {
                    let title = format!("{round} {writer} {n} {}", "x".repeat(n % 500));
                    let path = "/api/collections/posts/records";
                    let request = guest
                        .request(reqwest::Method::POST, path)
                        .json(&json!({"title": title, "n": n}));
                    // The whole answer must have come, not its first byte.
                    let Ok(answer) = request.send().await else {
                        break;
                    };
                    assert_eq!(answer.status(), 200);
                    let Ok(record) = answer.json::<serde_json::Value>().await else {
                        break;
                    };
                    acknowledged.push(record["id"].as_str().unwrap().to_owned());
                    enough.fetch_add(1, Ordering::SeqCst);
                }
                acknowledged
            })
        })
        .collect();
    let reached = async {
        while enough.load(Ordering::SeqCst) < ACKNOWLEDGED {
            tokio::task::yield_now().await;
        }
    };
    crate::support::in_time("enough writes", reached).await;
    server.kill();
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    acknowledged
}

/// Every acknowledged record is there and whole; at most those under way came besides.
async fn check(guest: &Client, acknowledged: &BTreeSet<String>) {
    let mut found = BTreeSet::new();
    for page in 1.. {
        let page = page.to_string();
        let query = [
            ("page", page.as_str()),
            ("perPage", "500"),
            ("sort", "id"),
            ("skipTotal", "1"),
        ];
        let items = guest.list("posts", &query).await["items"].take();
        let items = items.as_array().unwrap();
        for item in items {
            let title = item["title"].as_str().unwrap();
            let n = item["n"].as_u64().unwrap();
            let padding = title.chars().filter(|c| *c == 'x').count() as u64;
            assert_eq!(padding, n % 500, "{item}");
            found.insert(item["id"].as_str().unwrap().to_owned());
        }
        if items.is_empty() {
            break;
        }
    }
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    assert!(
        lost.is_empty(),
        "{} of {} are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    assert!(found.len() <= acknowledged.len() + ROUNDS * WRITERS);
}
