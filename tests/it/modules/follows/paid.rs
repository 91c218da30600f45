//! Follows that are paid for.

use super::*;

const DAY_MS: i64 = 86_400_000;

async fn credit(app: &TestApp, user: &Client, amount: f64) {
    let row = json!({"user": user.id, "montant": amount, "operation": "cashin", "status": "paye", "desc": "credit"});
    root(app).await.create("operations", row).await;
}

async fn balance(user: &Client) -> Value {
    user.get("/api/user/wallet").await.expect(200)["balance"].clone()
}

async fn charges(app: &TestApp) -> Vec<Value> {
    let query = [("filter", "metadata.kind = 'follow'"), ("sort", "@rowid")];
    let page = root(app).await.list("operations", &query).await;
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_period_is_paid_and_ends() {
    let (app, clock) = app_with_clock("market,follows").await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    set(
        &bob,
        json!({"follow_type": "paid_period", "price": 4.35, "period_days": 2}),
    )
    .await;
    let refused = follow(&ann, &bob).await.expect(402);
    assert_eq!(refused["error"], "Insufficient balance.");
    assert_eq!(root(&app).await.count(PAIRS).await, 0);
    assert!(charges(&app).await.is_empty());
    credit(&app, &ann, 10.0).await;
    let id = follows(&ann, &bob, "active").await;
    assert_eq!(
        (balance(&ann).await, balance(&bob).await),
        (json!(5.65), json!(4.35))
    );
    let row = ann.view(PAIRS, &id).await;
    assert_eq!(row["paidAmount"], json!(4.35));
    assert_eq!(row["paidAt"], json!(clock.now().to_string()));
    assert_eq!(
        row["expiresAt"],
        json!(clock.now().add_ms(2 * DAY_MS).to_string())
    );
    let rows = charges(&app).await;
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert_eq!(row["metadata"]["related_id"], json!(id));
        assert_eq!(row["status"], "paye");
        assert_eq!(row["desc"], "Following bob");
    }
    assert_eq!(kinds(&told(&app, &bob).await), ["new_follower"]);
    // Nothing is paid twice, and nothing paid back.
    follow(&ann, &bob).await.expect(400);
    set(&bob, json!({"price": 1, "period_days": 1})).await;
    clock.advance_ms(2 * DAY_MS);
    assert_eq!(follows(&ann, &bob, "active").await, id);
    assert_eq!(balance(&ann).await, json!(4.65));
    let row = ann.view(PAIRS, &id).await;
    assert_eq!(row["paidAmount"], json!(1));
    assert_eq!(
        row["expiresAt"],
        json!(clock.now().add_ms(DAY_MS).to_string())
    );
    unfollow(&ann, &bob).await.expect(200);
    assert_eq!(balance(&ann).await, json!(4.65));
}

#[tokio::test]
async fn a_lifetime_has_no_end_and_double_clicks_pay_once() {
    let (app, clock) = app_with_clock("market,follows").await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    set(
        &bob,
        json!({"follow_type": "paid_lifetime", "price": 3, "period_days": 9}),
    )
    .await;
    credit(&app, &ann, 100.0).await;
    let by_route = (0..10).map(|_| follow(&ann, &bob));
    let by_record = (0..10).map(|_| ann.try_create(PAIRS, json!({"following": bob.id})));
    let (a, b) = tokio::join!(join_all(by_route), join_all(by_record));
    let paid = a.iter().chain(&b).filter(|answer| answer.status == 200);
    assert_eq!(paid.count(), 1);
    assert_eq!(
        (balance(&ann).await, balance(&bob).await),
        (json!(97), json!(3))
    );
    assert_eq!(charges(&app).await.len(), 2);
    clock.advance_ms(3 * DAY_MS);
    let rows = ann.list(PAIRS, &[]).await;
    assert_eq!(
        (&rows["items"][0]["status"], &rows["items"][0]["expiresAt"]),
        (&json!("active"), &json!(""))
    );
    // A purse that pays for one of two.
    let carl = app.user("carl");
    credit(&app, &carl, 5.0).await;
    set(&ann, json!({"follow_type": "paid_lifetime", "price": 3})).await;
    let (one, other) = tokio::join!(follow(&carl, &ann), follow(&carl, &bob));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 402]);
    assert_eq!(balance(&carl).await, json!(2));
}

/// Payments are settled by somebody else.
async fn elsewhere() -> (TestApp, Clock) {
    let (app, clock) = app_with_clock("market,follows").await;
    root(&app)
        .await
        .patch(
            "/api/settings/rotunda",
            json!({"payments": {"requireBalance": false}}),
        )
        .await
        .expect(200);
    (app, clock)
}

#[tokio::test]
async fn what_is_paid_elsewhere_begins_when_it_is_paid() {
    let (app, clock) = elsewhere().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    set(
        &bob,
        json!({"follow_type": "paid_period", "price": 7.5, "period_days": 3}),
    )
    .await;
    let id = follows(&ann, &bob, "pending").await;
    assert!(told(&app, &bob).await.is_empty());
    follow(&ann, &bob).await.expect(400);
    // No one lets in who has not paid.
    for what in ["approve", "reject", "promote"] {
        decide(&bob, &id, what).await.expect(409);
    }
    set(&bob, json!({"period_days": 300})).await;
    clock.advance_ms(DAY_MS);
    let cashout = id_of(&charges(&app).await[0]);
    let superuser = root(&app).await;
    superuser
        .update("operations", &cashout, json!({"status": "paye"}))
        .await;
    let row = ann.view(PAIRS, &id).await;
    assert_eq!(row["status"], "active");
    assert_eq!(row["paidAt"], json!(clock.now().to_string()));
    // For the period that was agreed on.
    assert_eq!(
        row["expiresAt"],
        json!(clock.now().add_ms(3 * DAY_MS).to_string())
    );
    let data = json!({"follower_id": ann.id, "follow_id": id});
    assert_eq!(told(&app, &bob).await, [("new_follower".to_owned(), data)]);
    assert!(
        told(&app, &ann)
            .await
            .iter()
            .all(|(kind, _)| kind != "follow_approved")
    );
}

#[tokio::test]
async fn charges_that_wait_go_with_their_request() {
    let (app, _) = elsewhere().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let superuser = root(&app).await;
    set(&bob, json!({"follow_type": "paid_lifetime", "price": 2})).await;
    let states = |rows: Vec<Value>| -> Vec<String> {
        let state = |row: &Value| row["status"].as_str().unwrap().to_owned();
        rows.iter().map(state).collect()
    };
    // Taken back.
    let id = follows(&ann, &bob, "pending").await;
    unfollow(&ann, &bob).await.expect(200);
    assert_eq!(states(charges(&app).await), ["annule", "annule"]);
    superuser.get(&record(PAIRS, &id)).await.expect(404);
    // Failed: one may ask again.
    let id = follows(&ann, &bob, "pending").await;
    let cashout = id_of(&charges(&app).await[2]);
    superuser
        .update("operations", &cashout, json!({"status": "echec"}))
        .await;
    let row = ann.view(PAIRS, &id).await;
    assert_eq!(
        (&row["status"], &row["paidAmount"]),
        (&json!("rejected"), &json!(0))
    );
    assert!(told(&app, &ann).await.is_empty());
    assert_eq!(follows(&ann, &bob, "pending").await, id);
    // Banned: not paid, not let in by the end of the ban.
    decides(&bob, &id, "ban", "banned").await;
    assert_eq!(states(charges(&app).await)[4..], ["annule", "annule"]);
    decides(&bob, &id, "unban", "rejected").await;
    assert_eq!(follows(&ann, &bob, "pending").await, id);
    // The follower's account is deleted.
    follows(&carl, &bob, "pending").await;
    carl.delete(&record("users", &carl.id)).await.expect(204);
    assert_eq!(states(charges(&app).await)[8..], ["annule", "annule"]);
    // That of the followed user.
    bob.delete(&record("users", &bob.id)).await.expect(204);
    assert_eq!(states(charges(&app).await)[6..8], ["annule", "annule"]);
    assert_eq!(superuser.count(PAIRS).await, 0);
}
