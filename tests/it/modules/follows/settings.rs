//! On which terms people can be followed.

use super::*;

const SETTINGS: &str = "followSettings";
const PATH: &str = "/api/user/follow-settings";

async fn of(client: &Client, user: &Client) -> Value {
    client
        .get(&format!("/api/users/{}/follow-settings", user.id))
        .await
        .expect(200)
}

#[tokio::test]
async fn settings_are_free_and_open_until_they_are_set() {
    let app = app().await;
    let (ann, guest) = (app.user("ann"), app.guest());
    let default = json!({"user": ann.id, "follow_type": "free", "is_accepting_followers": true});
    assert_eq!(of(&guest, &ann).await, default);
    guest
        .get("/api/users/nobody/follow-settings")
        .await
        .expect(404);
    let first = set(
        &ann,
        json!({"description": "Ask me", "isAcceptingFollowers": false}),
    )
    .await;
    let expected = json!({"user": ann.id, "follow_type": "free", "is_accepting_followers": false,
        "price": 0, "period_days": 0, "description": "Ask me"});
    assert_eq!(of(&guest, &ann).await, expected);
    assert_eq!(first["success"], true);
    // Absent keys keep their value, unknown ones are ignored, and others' settings are out of reach.
    let second = set(
        &ann,
        json!({"follow_type": "require_approval", "user": "x", "more": 1, "price": null}),
    )
    .await;
    assert_eq!(second["description"], "Ask me");
    assert_eq!(second["is_accepting_followers"], false);
    assert_eq!(second["user"], json!(ann.id));
    let third = set(
        &ann,
        json!({"description": "", "is_accepting_followers": true}),
    )
    .await;
    assert_eq!(
        (&third["description"], &third["follow_type"]),
        (&json!(""), &json!("require_approval"))
    );
    assert_eq!(ann.count(SETTINGS).await, 1);
    guest.put(PATH, json!({})).await.expect(401);
    app.superuser().put(PATH, json!({})).await.expect(403);
}

#[tokio::test]
async fn bad_settings_are_refused_by_name() {
    let app = TestApp::new().modules("market,follows").start().await;
    let ann = app.user("ann");
    for (body, field) in [
        (json!({"follow_type": "gratis"}), "follow_type"),
        (json!({"follow_type": 1}), "follow_type"),
        (json!({"follow_type": ["free"]}), "follow_type"),
        (json!({"price": -1}), "price"),
        (json!({"price": "5"}), "price"),
        (json!({"price": 1.005}), "price"),
        (json!({"price": 1e11}), "price"),
        (json!({"price": 1e300}), "price"),
        (json!({"period_days": -1}), "period_days"),
        (json!({"period_days": 1.5}), "period_days"),
        (json!({"period_days": "7"}), "period_days"),
        (json!({"period_days": 1e15}), "period_days"),
        (json!({"description": 5}), "description"),
        (json!({"description": "x".repeat(2_001)}), "description"),
        (
            json!({"is_accepting_followers": "yes"}),
            "is_accepting_followers",
        ),
        (
            json!({"follow_type": "paid_period", "price": 5}),
            "period_days",
        ),
        (
            json!({"follow_type": "paid_period", "period_days": 5}),
            "price",
        ),
        (json!({"follow_type": "paid_lifetime", "price": 0}), "price"),
    ] {
        let answer = ann.put(PATH, body.clone()).await;
        answer.refuses(&[(field, "validation_invalid_value")]);
    }
    ann.put(PATH, json!([1])).await.expect(400);
    assert_eq!(app.superuser().count(SETTINGS).await, 0);
    let paid = json!({"follow_type": "paid_period", "price": 4.35, "period_days": 30});
    assert_eq!(set(&ann, paid).await["price"], json!(4.35));
    // What is stored counts with what comes.
    ann.put(PATH, json!({"price": 0}))
        .await
        .refuses(&[("price", "validation_invalid_value")]);
    set(&ann, json!({"follow_type": "free", "price": 0})).await;
}

#[tokio::test]
async fn paid_terms_need_the_market() {
    let app = app().await;
    let (ann, root) = (app.user("ann"), app.superuser());
    let paid = json!({"follow_type": "paid_lifetime", "price": 5});
    ann.put(PATH, paid)
        .await
        .refuses(&[("follow_type", "validation_invalid_value")]);
    let mut app = TestApp::new().modules("market,follows").start().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    set(&bob, json!({"follow_type": "paid_lifetime", "price": 5})).await;
    app.restart_with(|config| config.modules = Some("follows".to_owned()))
        .await;
    let ann = app.client_with(ann.token());
    ann.post(&format!("/api/users/{}/follow", bob.id), json!({}))
        .await
        .expect(400);
    assert_eq!(app.superuser().count(PAIRS).await, 0);
    drop(root);
}

#[tokio::test]
async fn the_records_api_keeps_settings_their_owners() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let made = ann
        .create(
            SETTINGS,
            json!({"user": bob.id, "followType": "require_approval"}),
        )
        .await;
    assert_eq!(made["user"], json!(ann.id));
    assert_eq!(made["isAcceptingFollowers"], true);
    let id = id_of(&made);
    ann.try_create(SETTINGS, json!({"followType": "free"}))
        .await
        .expect(400);
    ann.try_create(SETTINGS, json!({})).await.expect(400);
    assert_eq!(
        bob.view(SETTINGS, &id).await["followType"],
        "require_approval"
    );
    bob.patch(&record(SETTINGS, &id), json!({"followType": "free"}))
        .await
        .expect(404);
    let after = ann
        .update(
            SETTINGS,
            &id,
            json!({"user": bob.id, "isAcceptingFollowers": false}),
        )
        .await;
    assert_eq!(
        (&after["user"], &after["isAcceptingFollowers"]),
        (&json!(ann.id), &json!(false))
    );
    ann.patch(&record(SETTINGS, &id), json!({"price": 1.001}))
        .await
        .refuses(&[("price", "validation_invalid_value")]);
    ann.patch(
        &record(SETTINGS, &id),
        json!({"followType": "paid_lifetime", "price": 3}),
    )
    .await
    .refuses(&[("followType", "validation_invalid_value")]);
    let closed = bob
        .create(
            SETTINGS,
            json!({"followType": "free", "isAcceptingFollowers": false}),
        )
        .await;
    assert_eq!(closed["isAcceptingFollowers"], false);
    follow(&ann, &bob).await.expect(403);
    bob.delete(&record(SETTINGS, &id_of(&closed)))
        .await
        .expect(204);
    follows(&ann, &bob, "active").await;
    assert_eq!(app.guest().count(SETTINGS).await, 0);
}

#[tokio::test]
async fn settings_that_are_set_at_once_are_one_row() {
    let app = app().await;
    let ann = app.user("ann");
    let puts = (0..20).map(|n| ann.put(PATH, json!({"description": n.to_string()})));
    for answer in join_all(puts).await {
        answer.expect(200);
    }
    assert_eq!(ann.count(SETTINGS).await, 1);
}
