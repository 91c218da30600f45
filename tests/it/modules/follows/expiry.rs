//! The end of paid periods.

use super::*;

const DAY_MS: i64 = 86_400_000;

/// A row that ends in a day, as a superuser writes it.
async fn for_a_day(app: &TestApp, clock: &Clock, follower: &Client, following: &Client) -> String {
    let until = clock.now().add_ms(DAY_MS).to_string();
    let row = json!({"follower": follower.id, "following": following.id, "status": "active",
        "role": "admin", "expiresAt": until});
    root(app).await.create_id(PAIRS, row).await
}

async fn stored(app: &TestApp, id: &str) -> String {
    let engine = app.engine().unwrap();
    let follows = engine.collection(PAIRS).unwrap();
    let row = engine.find_record(&follows, id).await.unwrap().unwrap();
    row.text("status").to_owned()
}

#[tokio::test]
async fn reading_shows_no_follow_beyond_its_end() {
    let (app, clock) = app_with_clock("follows").await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let id = for_a_day(&app, &clock, &ann, &bob).await;
    let other = follows(&carl, &bob, "active").await;
    clock.advance_ms(DAY_MS - 1);
    assert_eq!(bob.view(PAIRS, &id).await["status"], "active");
    decides(&ann, &other, "ban", "banned").await;
    clock.advance_ms(1);
    // Nothing has noted it so far; the end counts all the same.
    let list = |query: &'static str| {
        let (bob, path) = (&bob, format!("/api/users/{}/followers{query}", bob.id));
        async move { bob.get(&path).await.expect(200) }
    };
    assert_eq!(list("").await["totalItems"], 0);
    decide(&ann, &other, "unban").await.expect(404);
    remove(&ann, &other).await.expect(404);
    ann.delete(&record(PAIRS, &other)).await.expect(404);
    assert_eq!(stored(&app, &id).await, "active");
    let expired = list("?status=expired").await;
    assert_eq!(expired["followers"][0]["status"], "expired");
    let of_bob = json!({"following_id": bob.id});
    // Having been seen, it is noted, once.
    becomes_told(&app, &ann, &[("follow_expired", of_bob.clone())]).await;
    assert_eq!(stored(&app, &id).await, "expired");
    for client in [&ann, &bob] {
        assert_eq!(client.view(PAIRS, &id).await["status"], "expired");
        let rows = client.list(PAIRS, &[]).await;
        assert!(
            column(&rows["items"], "status")
                .as_array()
                .unwrap()
                .contains(&json!("expired"))
        );
    }
    assert_eq!(list("?status=expired").await["totalItems"], 1);
    decide(&bob, &id, "promote").await.expect(409);
    // The same row begins anew, without what was before.
    assert_eq!(follows(&ann, &bob, "active").await, id);
    let row = ann.view(PAIRS, &id).await;
    assert_eq!(
        (&row["role"], &row["expiresAt"]),
        (&json!("follower"), &json!(""))
    );
    assert_eq!(kinds(&told(&app, &ann).await), ["follow_expired"]);
}

#[tokio::test]
async fn the_records_api_shows_a_follow_that_has_run_out_as_expired() {
    let (app, clock) = app_with_clock("follows").await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let id = for_a_day(&app, &clock, &ann, &bob).await;
    clock.advance_ms(DAY_MS);
    let rows = ann
        .list(PAIRS, &[("expand", "following.follows_via_following")])
        .await;
    assert_eq!(rows["items"][0]["status"], "expired");
    let expanded = &rows["items"][0]["expand"]["following"]["expand"]["follows_via_following"][0];
    assert_eq!(expanded["status"], "expired", "{rows}");
    becomes_told(
        &app,
        &ann,
        &[("follow_expired", json!({"following_id": bob.id}))],
    )
    .await;
    assert_eq!(stored(&app, &id).await, "expired");
}

#[tokio::test]
async fn asking_again_at_the_end_tells_of_it_once() {
    let (app, clock) = app_with_clock("follows").await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let id = for_a_day(&app, &clock, &ann, &bob).await;
    follow(&ann, &bob).await.expect(400);
    clock.advance_ms(DAY_MS);
    ask_first(&bob).await;
    assert_eq!(follows(&ann, &bob, "pending").await, id);
    assert_eq!(kinds(&told(&app, &ann).await), ["follow_expired"]);
    assert_eq!(kinds(&told(&app, &bob).await), ["follow_request"]);
    // A ban that outlives the time leads nowhere else.
    decides(&bob, &id, "approve", "active").await;
    unfollow(&ann, &bob).await.expect(200);
    let id = for_a_day(&app, &clock, &ann, &bob).await;
    decides(&bob, &id, "ban", "banned").await;
    clock.advance_ms(DAY_MS);
    follow(&ann, &bob).await.expect(403);
    decides(&bob, &id, "unban", "expired").await;
    follows(&ann, &bob, "pending").await;
}

#[tokio::test]
async fn an_hourly_job_notes_all_ends_once() {
    let (app, clock) = app_with_clock("follows").await;
    let bob = app.user("bob");
    let crowd = crowd(&app, 450).await;
    let until = clock.now().add_ms(DAY_MS);
    let rows = format!(
        "INSERT INTO follows (id, follower, following, status, role, expiresAt, created, updated) \
         SELECT 'row' || substr(id, 4), id, '{}', 'active', 'follower', '{until}', created, updated FROM users WHERE id LIKE 'crowd%'",
        bob.id
    );
    let superuser = root(&app).await;
    superuser
        .post("/api/sql", json!({"query": rows}))
        .await
        .expect(200);
    let crons = superuser.get("/api/crons").await.expect(200);
    let jobs = crons.as_array().unwrap();
    let job = jobs
        .iter()
        .find(|job| job["id"] == "followsExpiry")
        .unwrap();
    assert_eq!(job["expression"], "0 * * * *");
    let engine = app.engine().unwrap();
    let follows = engine.collection(PAIRS).unwrap();
    let count = |status: &'static str| {
        let follows = std::sync::Arc::clone(&follows);
        async move {
            let mut link = rotunda::engine::Link::Pool(engine);
            let filter = format!("status = '{status}'");
            let count = engine.count_records(&mut link, &follows, &filter, Default::default());
            count.await.unwrap()
        }
    };
    let run = || async {
        root(&app)
            .await
            .post("/api/crons/followsExpiry", json!({}))
            .await
            .expect(204);
    };
    run().await;
    assert_eq!(count("active").await, 450);
    clock.advance_ms(DAY_MS);
    run().await;
    run().await;
    while count("expired").await < 450 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    run().await;
    let filter = [("filter", "type = 'follow_expired'")];
    let told_of = root(&app).await.list("notifications", &filter).await;
    assert_eq!(told_of["totalItems"], 450);
    assert_eq!(told(&app, &crowd[7]).await.len(), 1);
}
