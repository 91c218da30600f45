//! Rooms that are paid for, and the end of what was paid.

use super::*;

async fn credit(app: &TestApp, user: &Client, amount: f64) {
    let row = json!({"user": user.id, "montant": amount, "operation": "cashin", "status": "paye", "desc": "credit"});
    root(app).await.create("operations", row).await;
}

async fn balance(user: &Client) -> Value {
    user.get("/api/user/wallet").await.expect(200)["balance"].clone()
}

async fn charges(app: &TestApp) -> Vec<Value> {
    let query = [("filter", "metadata.kind = 'room'"), ("sort", "@rowid")];
    let page = root(app).await.list("operations", &query).await;
    page["items"].as_array().unwrap().clone()
}

fn states(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .map(|row| row["status"].as_str().unwrap())
        .collect()
}

async fn text(app: &TestApp, room: &str, user: &Client, field: &str) -> String {
    let row = row(app, room, user).await.expect("a row");
    row.text(field).to_owned()
}

/// Payments are settled by somebody else.
async fn elsewhere() -> (TestApp, Clock) {
    let (app, clock) = app_with_clock("market,rooms").await;
    root(&app)
        .await
        .patch(
            "/api/settings/rotunda",
            json!({"payments": {"requireBalance": false, "holdMinutes": 30}}),
        )
        .await
        .expect(200);
    (app, clock)
}

#[tokio::test]
async fn a_period_is_paid_and_ends() {
    let (app, clock) = app_with_clock("market,rooms").await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    for (fields, field) in [
        (
            json!({"join_type": "paid_period", "price": 0, "period_days": 2}),
            "price",
        ),
        (
            json!({"join_type": "paid_period", "price": 2}),
            "period_days",
        ),
    ] {
        let mut body = json!({"room_type": "video", "name": "x"});
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        ann.post("/api/rooms", body)
            .await
            .refuses(&[(field, "validation_invalid_value")]);
    }
    let terms = json!({"join_type": "paid_period", "price": 4.35, "period_days": 2});
    let id = room(&ann, terms).await;
    let refused = ask(&bob, &id).await.expect(402);
    assert_eq!(refused["error"], "Insufficient balance.");
    assert!(row(&app, &id, &bob).await.is_none());
    assert!(charges(&app).await.is_empty());
    credit(&app, &bob, 10.0).await;
    let member = joins(&bob, &id, "active").await;
    assert_eq!(
        (balance(&bob).await, balance(&ann).await),
        (json!(5.65), json!(4.35))
    );
    let seen = bob.view(MEMBERS, &member).await;
    assert_eq!(seen["paidAmount"], json!(4.35));
    assert_eq!(seen["paidAt"], json!(clock.now().to_string()));
    let until = clock.now().add_ms(2 * DAY_MS).to_string();
    assert_eq!(seen["expiresAt"], json!(until));
    let rows = charges(&app).await;
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert_eq!(row["metadata"]["related_id"], json!(member));
        assert_eq!(
            (&row["status"], &row["desc"]),
            (&json!("paye"), &json!("Room Salon"))
        );
    }
    // Nothing is paid twice, and nothing paid back; a ban outlives no period.
    ask(&bob, &id).await.expect(400);
    decides(&ann, &member, "ban", "banned").await;
    decides(&ann, &member, "unban", "active").await;
    change(&ann, &id, json!({"price": 1, "period_days": 1}))
        .await
        .expect(200);
    clock.advance_ms(2 * DAY_MS);
    // What is over is over, noted or not.
    bob.get(&format!("/api/rooms/{id}/members"))
        .await
        .expect(403);
    let own = bob.get("/api/user/rooms").await.expect(200);
    assert_eq!(own["count"], 0);
    assert_eq!(members(&ann, &id, "").await.expect(200)["count"], 1);
    let expired = members(&ann, &id, "?status=expired").await.expect(200);
    assert_eq!(expired["members"][0]["status"], "expired");
    becomes(
        vec![
            "room_banned".to_owned(),
            "room_membership_expired".to_owned(),
        ],
        async || {
            let told = told(&app, &bob).await;
            kinds(&told)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        },
    )
    .await;
    assert_eq!(state(&app, &id, &bob).await.0, "expired");
    assert_eq!(joins(&bob, &id, "active").await, member);
    assert_eq!(balance(&bob).await, json!(4.65));
    let until = clock.now().add_ms(DAY_MS).to_string();
    assert_eq!(text(&app, &id, &bob, "expiresAt").await, until);
    // An owner has no end.
    transfer(&ann, &id, &bob.id).await.expect(200);
    assert_eq!(text(&app, &id, &bob, "expiresAt").await, "");
}

#[tokio::test]
async fn rooms_are_free_without_a_market() {
    let app = app().await;
    let terms = json!({"roomType": "audio", "name": "x", "joinType": "paid_lifetime", "price": 3});
    app.superuser()
        .try_create(ROOMS, terms)
        .await
        .refuses(&[("joinType", "validation_invalid_value")]);
    let id = room(&app.user("ann"), json!({})).await;
    change(
        &app.user("ann"),
        &id,
        json!({"join_type": "paid_lifetime", "price": 3}),
    )
    .await
    .refuses(&[("join_type", "validation_invalid_value")]);
}

#[tokio::test]
async fn a_lifetime_has_no_end_and_double_clicks_pay_once() {
    let (app, clock) = app_with_clock("market,rooms").await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let terms = json!({"join_type": "paid_lifetime", "price": 3, "period_days": 9});
    let id = room(&ann, terms).await;
    credit(&app, &bob, 100.0).await;
    let answers = join_all((0..10).map(|_| ask(&bob, &id))).await;
    let paid = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(paid.count(), 1);
    assert_eq!(balance(&bob).await, json!(97));
    clock.advance_ms(9 * DAY_MS);
    assert_eq!(state(&app, &id, &bob).await.0, "active");
    assert_eq!(text(&app, &id, &bob, "expiresAt").await, "");
}

#[tokio::test]
async fn what_is_paid_elsewhere_begins_when_it_is_paid() {
    let (app, clock) = elsewhere().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let terms =
        json!({"join_type": "paid_period", "price": 7.5, "period_days": 3, "max_participants": 2});
    let id = room(&ann, terms).await;
    let member = joins(&bob, &id, "pending").await;
    assert!(told(&app, &ann).await.is_empty());
    ask(&bob, &id).await.expect(400);
    for what in ["approve", "reject", "promote"] {
        decide(&ann, &member, what).await.expect(409);
    }
    // Their place is kept.
    ask(&carl, &id).await.expect(403);
    change(&ann, &id, json!({"period_days": 300}))
        .await
        .expect(200);
    let cashout = id_of(&charges(&app).await[0]);
    let superuser = root(&app).await;
    superuser
        .update("operations", &cashout, json!({"status": "paye"}))
        .await;
    assert_eq!(state(&app, &id, &bob).await.0, "active");
    let until = clock.now().add_ms(3 * DAY_MS).to_string();
    assert_eq!(text(&app, &id, &bob, "expiresAt").await, until);
    assert!(told(&app, &bob).await.is_empty());
    // Not for ever: who does not pay in time gives the place back.
    leave(&bob, &id).await.expect(200);
    let member = joins(&bob, &id, "pending").await;
    clock.advance_ms(30 * 60_000);
    let taken = joins(&carl, &id, "pending").await;
    becomes(pair("rejected", "participant"), async || {
        state(&app, &id, &bob).await
    })
    .await;
    let rows = charges(&app).await;
    assert_eq!(states(&rows[2..4]), ["annule", "annule"]);
    let late = record("operations", &id_of(&rows[2]));
    root(&app)
        .await
        .patch(&late, json!({"status": "paye"}))
        .await
        .expect(409);
    assert_eq!(text(&app, &id, &bob, "paidAmount").await, "");
    // Banned while the payment is waited for: not paid, not let in by the end of the ban.
    decides(&ann, &taken, "ban", "banned").await;
    assert_eq!(states(&charges(&app).await[4..]), ["annule", "annule"]);
    decides(&ann, &taken, "unban", "rejected").await;
    // Taken back, and gone with the account.
    assert_eq!(joins(&bob, &id, "pending").await, member);
    leave(&bob, &id).await.expect(200);
    assert_eq!(states(&charges(&app).await[6..]), ["annule", "annule"]);
    joins(&bob, &id, "pending").await;
    root(&app)
        .await
        .delete(&record("users", &bob.id))
        .await
        .expect(204);
    assert_eq!(states(&charges(&app).await[8..]), ["annule", "annule"]);
    // With the room.
    joins(&carl, &id, "pending").await;
    root(&app)
        .await
        .delete(&record(ROOMS, &id))
        .await
        .expect(204);
    assert_eq!(states(&charges(&app).await[10..]), ["annule", "annule"]);
}

#[tokio::test]
async fn an_hourly_job_notes_all_ends_once() {
    let (app, clock) = app_with_clock("rooms").await;
    let ann = app.user("ann");
    let id = room(&ann, json!({"max_participants": 500})).await;
    let crowd = crowd(&app, 450).await;
    let until = clock.now().add_ms(DAY_MS);
    let rows = format!(
        "INSERT INTO roomMembers (id, room, user, status, role, expiresAt, created, updated) \
         SELECT 'row' || substr(id, 4), '{id}', id, 'active', 'participant', '{until}', created, updated FROM users WHERE id LIKE 'crowd%'"
    );
    let superuser = root(&app).await;
    superuser
        .post("/api/sql", json!({"query": rows}))
        .await
        .expect(200);
    let crons = superuser.get("/api/crons").await.expect(200);
    let mut jobs = crons.as_array().unwrap().iter();
    let job = jobs.find(|job| job["id"] == "roomsExpiry").unwrap();
    assert_eq!(job["expression"], "0 * * * *");
    clock.advance_ms(DAY_MS);
    for _ in 0..2 {
        root(&app)
            .await
            .post("/api/crons/roomsExpiry", json!({}))
            .await
            .expect(204);
    }
    becomes(json!(450), async || {
        let expired = [("filter", "type = 'room_membership_expired'")];
        root(&app).await.list("notifications", &expired).await["totalItems"].clone()
    })
    .await;
    assert_eq!(told(&app, &crowd[7]).await.len(), 1);
    assert_eq!(state(&app, &id, &crowd[449]).await.0, "expired");
    assert_eq!(state(&app, &id, &ann).await.0, "active");
}
