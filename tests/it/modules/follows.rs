//! Following people.

mod comments;
mod expiry;
mod lists;
mod model;
mod paid;
mod settings;

use futures_util::future::join_all;
use rotunda::base::{Clock, DateTime};
use serde_json::{Value, json};

use super::crowd;
use crate::support::{Answer, Client, TestApp, column, id_of, record, records};

const PAIRS: &str = "follows";

async fn app() -> TestApp {
    TestApp::new().modules("social,follows").start().await
}

/// An app whose clock the test moves.
async fn app_with_clock(modules: &'static str) -> (TestApp, Clock) {
    let clock = Clock::fixed(DateTime::now());
    let own = clock.clone();
    let app = TestApp::new().modules(modules);
    let app = app.with(move |config| config.clock = own).start().await;
    (app, clock)
}

/// A superuser who has just signed in, by the test's clock.
async fn root(app: &TestApp) -> Client {
    let engine = app.engine().unwrap();
    let superusers = engine.collection("_superusers").unwrap();
    let query = rotunda::engine::records::RecordQuery::default();
    let mut link = rotunda::engine::Link::Pool(engine);
    let found = engine.find_by_filter(&mut link, &superusers, &query).await;
    let token = engine.sign_auth_token(&found.unwrap()[0]).unwrap();
    app.client_with(&token)
}

async fn follow(client: &Client, whom: &Client) -> Answer {
    client
        .post(&format!("/api/users/{}/follow", whom.id), json!({}))
        .await
}

async fn unfollow(client: &Client, whom: &Client) -> Answer {
    client
        .delete(&format!("/api/users/{}/follow", whom.id))
        .await
}

/// Follows, which must lead to this status; gives the row's id.
async fn follows(client: &Client, whom: &Client, status: &str) -> String {
    let answer = follow(client, whom).await.expect(200);
    assert_eq!(answer["success"], true);
    assert_eq!(answer["status"], status);
    answer["follow_id"].as_str().unwrap().to_owned()
}

async fn decide(client: &Client, id: &str, what: &str) -> Answer {
    client
        .post(&format!("/api/follows/{id}/{what}"), json!({}))
        .await
}

/// Decides, which must lead to this status.
async fn decides(client: &Client, id: &str, what: &str, status: &str) -> Value {
    let answer = decide(client, id, what).await.expect(200);
    assert_eq!(answer["follow_id"], id);
    assert_eq!(answer["status"], status, "{what}");
    answer
}

async fn remove(client: &Client, id: &str) -> Answer {
    client.delete(&format!("/api/follows/{id}")).await
}

async fn set(client: &Client, settings: Value) -> Value {
    client
        .put("/api/user/follow-settings", settings)
        .await
        .expect(200)
}

async fn ask_first(client: &Client) {
    set(client, json!({"follow_type": "require_approval"})).await;
}

/// Types and data of what a user was told, oldest first.
async fn told(app: &TestApp, user: &Client) -> Vec<(String, Value)> {
    let filter = format!("user = '{}'", user.id);
    let query = [
        ("filter", filter.as_str()),
        ("sort", "@rowid"),
        ("perPage", "500"),
    ];
    let page = root(app).await.list("notifications", &query).await;
    let items = page["items"].as_array().unwrap();
    let pair = |item: &Value| {
        (
            item["type"].as_str().unwrap().to_owned(),
            item["data"].clone(),
        )
    };
    items.iter().map(pair).collect()
}

fn kinds(told: &[(String, Value)]) -> Vec<&str> {
    told.iter().map(|(kind, _)| kind.as_str()).collect()
}

/// Looks at what somebody was told until it is this.
async fn becomes_told(app: &TestApp, user: &Client, expected: &[(&str, Value)]) {
    let started = std::time::Instant::now();
    loop {
        let seen = told(app, user).await;
        let seen: Vec<(&str, Value)> = seen
            .iter()
            .map(|(kind, data)| (kind.as_str(), data.clone()))
            .collect();
        if seen == expected {
            return;
        }
        assert!(started.elapsed() < crate::support::DEADLINE, "{seen:?}");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn anybody_can_be_followed_until_they_say_otherwise() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let mut channel = bob.stream("/api/user/sse").await;
    let id = follows(&ann, &bob, "active").await;
    let data = json!({"follower_id": ann.id, "follow_id": id});
    let pushed = loop {
        let envelope = channel.json().await;
        if envelope["type"] == "new_follower" {
            break envelope;
        }
    };
    assert_eq!(pushed["data"], data);
    assert_eq!(told(&app, &bob).await, [("new_follower".to_owned(), data)]);
    let row = ann.view(PAIRS, &id).await;
    for (field, expected) in [
        ("follower", json!(ann.id)),
        ("following", json!(bob.id)),
        ("status", json!("active")),
        ("role", json!("follower")),
        ("expiresAt", json!("")),
        ("paidAmount", json!(0)),
        ("paidAt", json!("")),
        ("approvedAt", json!("")),
        ("approvedBy", json!("")),
    ] {
        assert_eq!(row[field], expected, "{field}");
    }
    assert!(row.get("charge").is_none() && row.get("periodDays").is_none());
    follow(&ann, &bob).await.expect(400);
    // Both ways at once is fine.
    follows(&bob, &ann, "active").await;
    unfollow(&ann, &bob).await.expect(200);
    unfollow(&ann, &bob).await.expect(404);
    assert_eq!(bob.count(PAIRS).await, 1);
    follows(&ann, &bob, "active").await;
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let oneself = follow(&ann, &ann).await.expect(400);
    assert_eq!(oneself["error"], "You cannot follow yourself.");
    ann.post("/api/users/nobody/follow", json!({}))
        .await
        .expect(404);
    follow(&app.guest(), &bob).await.expect(401);
    follow(&app.superuser(), &bob).await.expect(403);
    unfollow(&app.guest(), &bob).await.expect(401);
    unfollow(&ann, &ann).await.expect(404);
    ann.delete("/api/users/nobody/follow").await.expect(404);
    set(&bob, json!({"is_accepting_followers": false})).await;
    follow(&ann, &bob).await.expect(403);
    set(&bob, json!({"is_accepting_followers": true})).await;
    // No content type, or one with no body.
    let path = format!("/api/users/{}/follow", bob.id);
    let empty = ann.request(reqwest::Method::POST, &path);
    ann.send(empty).await.expect(200);
    let carl = app.user("carl");
    let empty = carl.request(reqwest::Method::POST, &path);
    carl.send(empty.header("content-type", "application/json"))
        .await
        .expect(200);
    assert_eq!(bob.count(PAIRS).await, 2);
}

#[tokio::test]
async fn the_records_api_batches_and_scripts_ask_as_the_route_does() {
    let app = TestApp::new()
        .modules("social,follows")
        .hook(
            "a.js",
            "routerAdd('POST', '/ask/{a}/{b}', (e) => {
                const row = new Record($app.findCollectionByNameOrId('follows'))
                row.set('follower', e.request.pathValue('a'))
                row.set('following', e.request.pathValue('b'))
                $app.save(row)
                return e.json(200, {id: row.id, status: row.get('status'), role: row.get('role')})
            })",
        )
        .start()
        .await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    ask_first(&bob).await;
    let forged = json!({"following": bob.id, "follower": carl.id, "status": "active", "role": "admin",
        "expiresAt": "2099-01-01 00:00:00.000Z", "paidAmount": 9, "paidAt": "2020-01-01 00:00:00.000Z",
        "approvedAt": "2020-01-01 00:00:00.000Z", "approvedBy": ann.id, "charge": "x", "periodDays": 3});
    let row = ann.create(PAIRS, forged.clone()).await;
    for (field, expected) in [
        ("follower", json!(ann.id)),
        ("status", json!("pending")),
        ("role", json!("follower")),
        ("expiresAt", json!("")),
        ("paidAmount", json!(0)),
        ("paidAt", json!("")),
        ("approvedAt", json!("")),
        ("approvedBy", json!("")),
    ] {
        assert_eq!(row[field], expected, "{field}");
    }
    let id = id_of(&row);
    assert_eq!(kinds(&told(&app, &bob).await), ["follow_request"]);
    // No one promotes or approves by PATCH, from either side.
    for client in [&ann, &bob] {
        let mut change = forged.clone();
        change["following"] = carl.id.clone().into();
        let after = client.update(PAIRS, &id, change).await;
        for field in [
            "follower",
            "following",
            "status",
            "role",
            "expiresAt",
            "paidAmount",
            "paidAt",
        ] {
            assert_eq!(after[field], row[field], "{field}");
        }
    }
    carl.patch(&record(PAIRS, &id), json!({})).await.expect(404);
    // What the route refuses is refused.
    ann.try_create(PAIRS, json!({"following": bob.id}))
        .await
        .expect(400);
    ann.try_create(PAIRS, json!({"following": ann.id}))
        .await
        .expect(400);
    ann.try_create(PAIRS, json!({}))
        .await
        .refuses(&[("following", "validation_required")]);
    ann.try_create(PAIRS, json!({"following": "nobody"}))
        .await
        .refuses(&[("following", "validation_missing_rel_records")]);
    app.guest()
        .try_create(PAIRS, json!({"following": bob.id}))
        .await
        .expect(400);
    // Begun anew, the row is the same one.
    decides(&bob, &id, "reject", "rejected").await;
    let again = ann.create(PAIRS, json!({"following": bob.id})).await;
    assert_eq!(
        (&again["id"], &again["status"]),
        (&json!(id), &json!("pending"))
    );
    // A batch is all or nothing.
    let settings = json!({"batch": {"enabled": true, "maxRequests": 10, "timeout": 5}});
    app.superuser()
        .patch("/api/settings", settings)
        .await
        .expect(200);
    let ask = |whom: &Client| json!({"method": "POST", "url": records(PAIRS), "body": {"following": whom.id}});
    let batch = json!({"requests": [ask(&ann), ask(&carl)]});
    carl.post("/api/batch", batch).await.expect(400);
    assert_eq!(carl.count(PAIRS).await, 0);
    let batch = json!({"requests": [ask(&ann), ask(&bob)]});
    let done = carl.post("/api/batch", batch).await.expect(200);
    assert_eq!(done[0]["body"]["status"], "active");
    assert_eq!(done[1]["body"]["status"], "pending");
    // A script.
    let path = |a: &Client, b: &Client| format!("/ask/{}/{}", a.id, b.id);
    let made = app
        .guest()
        .post(&path(&bob, &carl), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&made["status"], &made["role"]),
        (&json!("active"), &json!("follower"))
    );
    app.guest()
        .post(&path(&bob, &carl), json!({}))
        .await
        .expect(400);
    app.guest()
        .post(&path(&bob, &bob), json!({}))
        .await
        .expect(400);
    assert_eq!(kinds(&told(&app, &carl).await), ["new_follower"]);
}

#[tokio::test]
async fn the_followed_user_decides() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    ask_first(&bob).await;
    let id = follows(&ann, &bob, "pending").await;
    let request = (
        "follow_request".to_owned(),
        json!({"follower_id": ann.id, "follow_id": id}),
    );
    assert_eq!(told(&app, &bob).await, [request]);
    follow(&ann, &bob).await.expect(400);
    // Strangers learn nothing, the follower decides nothing, guests sign in.
    for what in ["approve", "reject", "promote", "demote", "ban", "unban"] {
        decide(&carl, &id, what).await.expect(404);
        decide(&ann, &id, what).await.expect(403);
        decide(&app.guest(), &id, what).await.expect(401);
        decide(&bob, "unknown", what).await.expect(404);
    }
    remove(&carl, &id).await.expect(404);
    remove(&app.guest(), &id).await.expect(401);
    for what in ["promote", "demote", "unban"] {
        decide(&bob, &id, what).await.expect(409);
    }
    let answer = decides(&bob, &id, "approve", "active").await;
    assert_eq!(answer["role"], "follower");
    let row = ann.view(PAIRS, &id).await;
    assert_eq!(row["approvedBy"], json!(bob.id));
    assert_ne!(row["approvedAt"], "");
    decide(&bob, &id, "approve").await.expect(409);
    decide(&bob, &id, "reject").await.expect(409);
    assert_eq!(
        decides(&bob, &id, "promote", "active").await["role"],
        "admin"
    );
    decide(&bob, &id, "promote").await.expect(409);
    assert_eq!(
        decides(&bob, &id, "demote", "active").await["role"],
        "follower"
    );
    decide(&bob, &id, "demote").await.expect(409);
    decides(&bob, &id, "ban", "banned").await;
    for what in ["ban", "approve", "promote"] {
        decide(&bob, &id, what).await.expect(409);
    }
    // A ban stays, whatever the banned one tries.
    follow(&ann, &bob).await.expect(403);
    ann.try_create(PAIRS, json!({"following": bob.id}))
        .await
        .expect(403);
    unfollow(&ann, &bob).await.expect(403);
    remove(&ann, &id).await.expect(403);
    ann.delete(&record(PAIRS, &id)).await.expect(404);
    decides(&bob, &id, "unban", "active").await;
    let of_bob = json!({"following_id": bob.id});
    let expected = ["follow_approved", "promoted_to_admin"];
    assert_eq!(
        told(&app, &ann).await,
        expected.map(|kind| (kind.to_owned(), of_bob.clone()))
    );
    // Superusers decide too, without a name.
    unfollow(&ann, &bob).await.expect(200);
    let id = follows(&ann, &bob, "pending").await;
    decides(&app.superuser(), &id, "approve", "active").await;
    assert_eq!(ann.view(PAIRS, &id).await["approvedBy"], "");
    remove(&bob, &id).await.expect(200);
    remove(&bob, &id).await.expect(404);
}

#[tokio::test]
async fn rejected_and_banned_requests() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    ask_first(&bob).await;
    let id = follows(&ann, &bob, "pending").await;
    decides(&bob, &id, "reject", "rejected").await;
    let of_bob = json!({"following_id": bob.id});
    assert_eq!(
        told(&app, &ann).await,
        [("follow_rejected".to_owned(), of_bob)]
    );
    decide(&bob, &id, "reject").await.expect(409);
    decide(&bob, &id, "approve").await.expect(409);
    assert_eq!(follows(&ann, &bob, "pending").await, id);
    assert_eq!(
        kinds(&told(&app, &bob).await),
        ["follow_request", "follow_request"]
    );
    // A ban while a request waits.
    decides(&bob, &id, "ban", "banned").await;
    decide(&bob, &id, "approve").await.expect(409);
    follow(&ann, &bob).await.expect(403);
    decides(&bob, &id, "unban", "rejected").await;
    // The followed user may also forget all of it, which lets the other ask again.
    decides(&bob, &id, "ban", "banned").await;
    bob.delete(&record(PAIRS, &id)).await.expect(204);
    let other = follows(&ann, &bob, "pending").await;
    assert_ne!(other, id);
    // The new terms count for those who ask again.
    decides(&bob, &other, "reject", "rejected").await;
    set(&bob, json!({"followType": "free"})).await;
    assert_eq!(follows(&ann, &bob, "active").await, other);
}

#[tokio::test]
async fn the_end_of_a_ban_gives_back_what_there_was_and_no_more() {
    let app = TestApp::new().modules("market,follows").start().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let admin = follows(&carl, &bob, "active").await;
    decides(&bob, &admin, "promote", "active").await;
    ask_first(&bob).await;
    // A request that nobody approved.
    let id = follows(&ann, &bob, "pending").await;
    decides(&carl, &id, "ban", "banned").await;
    decides(&carl, &id, "unban", "rejected").await;
    // One that has to be paid by now.
    set(&bob, json!({"follow_type": "paid_lifetime", "price": 50})).await;
    follow(&ann, &bob).await.expect(402);
    decides(&carl, &id, "ban", "banned").await;
    decides(&carl, &id, "unban", "rejected").await;
    // One that was let in, banned by a superuser's hand.
    set(&bob, json!({"follow_type": "free"})).await;
    assert_eq!(follows(&ann, &bob, "active").await, id);
    let root = app.superuser();
    root.update(PAIRS, &id, json!({"status": "banned"})).await;
    decides(&carl, &id, "unban", "active").await;
}

#[tokio::test]
async fn admins_answer_requests_and_remove_followers_but_not_each_other() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let [dora, eve] = crowd(&app, 2).await.try_into().ok().unwrap();
    let admin = follows(&ann, &bob, "active").await;
    let other = follows(&carl, &bob, "active").await;
    let rows = (
        follows(&dora, &bob, "active").await,
        follows(&eve, &bob, "active").await,
    );
    decide(&ann, &rows.0, "ban").await.expect(404);
    decides(&bob, &admin, "promote", "active").await;
    // Of this user's followers only.
    let elsewhere = follows(&eve, &dora, "active").await;
    decide(&ann, &elsewhere, "ban").await.expect(404);
    remove(&ann, &elsewhere).await.expect(404);
    decides(&ann, &rows.0, "ban", "banned").await;
    decides(&ann, &rows.0, "unban", "active").await;
    for what in ["promote", "demote"] {
        decide(&ann, &rows.0, what).await.expect(403);
        decide(&ann, &admin, what).await.expect(403);
    }
    remove(&ann, &rows.0).await.expect(200);
    ann.delete(&record(PAIRS, &rows.1)).await.expect(204);
    ask_first(&bob).await;
    let id = follows(&dora, &bob, "pending").await;
    decides(&ann, &id, "approve", "active").await;
    assert_eq!(dora.view(PAIRS, &id).await["approvedBy"], json!(ann.id));
    let id = follows(&eve, &bob, "pending").await;
    decides(&ann, &id, "reject", "rejected").await;
    decides(&bob, &other, "promote", "active").await;
    decide(&ann, &other, "ban").await.expect(403);
    remove(&ann, &other).await.expect(403);
    ann.delete(&record(PAIRS, &other)).await.expect(404);
    // A banned admin is none any more.
    decides(&bob, &admin, "ban", "banned").await;
    decide(&ann, &id, "ban").await.expect(404);
    let unbanned = decides(&bob, &admin, "unban", "active").await;
    assert_eq!(unbanned["role"], "follower");
    // One leaves as anybody does.
    unfollow(&carl, &bob).await.expect(200);
}

#[tokio::test]
async fn twenty_requests_at_once_make_one_row() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    for _ in 0..3 {
        let by_route = (0..10).map(|_| follow(&ann, &bob));
        let by_record = (0..10).map(|_| ann.try_create(PAIRS, json!({"following": bob.id})));
        let (a, b) = tokio::join!(join_all(by_route), join_all(by_record));
        let statuses: Vec<u16> = a.iter().chain(&b).map(|answer| answer.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
        assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 19);
        assert_eq!(ann.count(PAIRS).await, 1);
        let answers = join_all((0..10).map(|_| unfollow(&ann, &bob))).await;
        let gone = answers.iter().filter(|answer| answer.status == 200);
        assert_eq!(gone.count(), 1);
    }
    assert_eq!(kinds(&told(&app, &bob).await), ["new_follower"; 3]);
}

#[tokio::test]
async fn decisions_that_race_end_in_one_of_their_states() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    ask_first(&bob).await;
    for _ in 0..10 {
        let id = follows(&ann, &bob, "pending").await;
        let (approved, rejected, left, banned) = tokio::join!(
            decide(&bob, &id, "approve"),
            decide(&bob, &id, "reject"),
            unfollow(&ann, &bob),
            decide(&bob, &id, "ban"),
        );
        assert!(!(approved.status == 200 && rejected.status == 200));
        let rows = app.superuser().list(PAIRS, &[]).await;
        let rows = rows["items"].as_array().unwrap();
        if left.status == 200 {
            assert!(rows.is_empty(), "{rows:?}");
        } else {
            left.expect(403);
            banned.expect(200);
            assert_eq!(rows[0]["status"], "banned");
            remove(&bob, &id).await.expect(200);
        }
    }
}

#[tokio::test]
async fn follows_go_with_their_users() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    ask_first(&bob).await;
    let id = follows(&ann, &bob, "pending").await;
    decides(&bob, &id, "approve", "active").await;
    decides(&bob, &id, "promote", "active").await;
    let other = follows(&carl, &bob, "pending").await;
    decides(&ann, &other, "approve", "active").await;
    let id = follows(&bob, &ann, "active").await;
    decides(&ann, &id, "ban", "banned").await;
    // Who is banned may still go altogether, and so may who has approved.
    bob.get("/api/user/notifications").await.expect(200);
    ann.delete(&record("users", &ann.id)).await.expect(204);
    let left = app.superuser().list(PAIRS, &[]).await;
    assert_eq!(column(&left["items"], "follower"), json!([carl.id]));
    assert_eq!(left["items"][0]["approvedBy"], "");
    assert_eq!(left["items"][0]["status"], "active");
    bob.delete(&record("users", &bob.id)).await.expect(204);
    assert_eq!(app.superuser().count(PAIRS).await, 0);
    assert_eq!(app.superuser().count("followSettings").await, 0);
}

#[tokio::test]
async fn guests_reach_the_terms_alone() {
    let app = app().await;
    let description = app.superuser().get("/api/openapi").await.expect(200);
    let paths = description["paths"].as_object().unwrap();
    let mut seen = 0;
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            if operation["tags"] != json!(["follows"]) || path.contains("/records") {
                continue;
            }
            let real = path.replace("{userId}", &app.user("ann").id);
            let method: reqwest::Method = method.to_uppercase().parse().unwrap();
            let guest = app.guest();
            let request = guest.request(method, &real.replace("{followId}", "unknown"));
            let is_open = path.ends_with("{userId}/follow-settings");
            guest
                .send(request)
                .await
                .expect(if is_open { 200 } else { 401 });
            seen += 1;
        }
    }
    assert_eq!(seen, 13);
}
