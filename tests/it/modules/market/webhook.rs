//! What payment providers say, if it is them.

use std::collections::BTreeMap;

use reqwest::Method;
use rotunda::base::digest;
use serde_json::{Value, json};

use super::{
    act, app, app_without_wallets, article, buy, check_books, every, set, status, stock, wallet,
};
use crate::support::{Answer, Client, TestApp};

const SECRET: &str = "a secret of eight or more";
const PATH: &str = "/api/payments/webhook/acme";

async fn with_provider(app: &TestApp) {
    set(app, json!({"webhooks": {"acme": {"secret": SECRET}}})).await;
}

fn now_s(app: &TestApp) -> i64 {
    app.engine().expect("our own").now().unix()
}

fn signed(time_s: i64, body: &str, secret: &str) -> String {
    let text = format!("{time_s}.{body}");
    format!(
        "t={time_s},v1={}",
        digest::hmac_sha256(text.as_bytes(), secret.as_bytes())
    )
}

async fn call(client: &Client, path: &str, signature: &str, body: &str) -> Answer {
    let request = client.request(Method::POST, path).body(body.to_owned());
    client.send(request.header("X-Signature", signature)).await
}

async fn says(app: &TestApp, event: &Value) -> Answer {
    let body = event.to_string();
    let signature = signed(now_s(app), &body, SECRET);
    call(&app.guest(), PATH, &signature, &body).await
}

#[tokio::test]
async fn a_provider_pays_or_fails_a_sale() {
    let app = app_without_wallets().await;
    with_provider(&app).await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let thing = article(&ann, 12.34, 9).await;
    let initial = BTreeMap::from([(thing.clone(), 9)]);
    let vente = buy(&bob, &thing, 1).await;
    act(&bob, &vente, "pay").await.expect(403);
    let event =
        json!({"id": "evt_1", "event": "payment.succeeded", "vente_id": vente, "amount": 12.34});
    let paid = says(&app, &event).await.expect(200);
    assert_eq!(
        paid,
        json!({"success": true, "vente_id": vente, "status": "paye", "amount": 12.34})
    );
    // What was paid somewhere else is no burden on the wallet.
    assert_eq!(
        (wallet(&bob).await, wallet(&ann).await),
        ((0, 0), (1234, 0))
    );
    // The provider may say it again, under the same id or another, and nothing happens twice.
    assert_eq!(says(&app, &event).await.expect(200), paid);
    let again = json!({"id": "evt_2", "event": "payment.succeeded", "vente_id": vente});
    assert_eq!(says(&app, &again).await.expect(200), paid);
    assert_eq!(every(&app, "operations").await.len(), 3);
    let other = json!({"id": "evt_1", "event": "payment.failed", "vente_id": vente});
    says(&app, &other).await.expect(409);
    let late = json!({"id": "evt_3", "event": "payment.failed", "vente_id": vente});
    says(&app, &late).await.expect(409);
    let failing = buy(&bob, &thing, 2).await;
    let event = json!({"event": "payment.failed", "vente_id": failing});
    says(&app, &event).await.expect(200);
    assert_eq!(
        (
            status(&app, &failing).await.as_str(),
            stock(&app, &thing).await
        ),
        ("echec", 8)
    );
    let late = json!({"event": "payment.succeeded", "vente_id": failing});
    says(&app, &late).await.expect(409);
    check_books(&app, &[&ann, &bob], &initial).await;
    // A superuser settles as well.
    let third = buy(&bob, &thing, 1).await;
    act(&app.superuser(), &third, "pay").await.expect(200);
    assert_eq!(
        (wallet(&bob).await, wallet(&ann).await),
        ((0, 0), (2468, 0))
    );
    check_books(&app, &[&ann, &bob], &initial).await;
}

#[tokio::test]
async fn what_is_not_signed_by_the_provider_changes_nothing() {
    let app = app().await;
    with_provider(&app).await;
    let (ann, bob, guest) = (app.user("ann"), app.user("bob"), app.guest());
    let thing = article(&ann, 5.0, 2).await;
    let vente = buy(&bob, &thing, 1).await;
    let body = json!({"event": "payment.succeeded", "vente_id": vente}).to_string();
    let now_s = now_s(&app);
    let right = signed(now_s, &body, SECRET);
    for (signature, text) in [
        (String::new(), body.clone()),
        ("t=1,v1=".to_owned(), body.clone()),
        (format!("t={now_s}"), body.clone()),
        (signed(now_s, &body, "another secret"), body.clone()),
        (signed(now_s - 301, &body, SECRET), body.clone()),
        (signed(now_s + 330, &body, SECRET), body.clone()),
        (
            right.replace(&now_s.to_string(), &(now_s + 1).to_string()),
            body.clone(),
        ),
        (right.clone(), body.replace("succeeded", "failed")),
        (right.clone(), format!("{body} ")),
    ] {
        call(&guest, PATH, &signature, &text).await.expect(401);
    }
    guest
        .post(
            PATH,
            json!({"event": "payment.succeeded", "vente_id": vente}),
        )
        .await
        .expect(401);
    call(&guest, "/api/payments/webhook/other", &right, &body)
        .await
        .expect(404);
    assert_eq!(status(&app, &vente).await, "encours");
    for event in [
        json!({"vente_id": vente}),
        json!({"event": "payment.unknown", "vente_id": vente}),
        json!({"event": "payment.succeeded"}),
        json!({"event": "payment.succeeded", "vente_id": 5}),
        json!({"event": "payment.succeeded", "vente_id": vente, "amount": "5"}),
        json!([1]),
    ] {
        says(&app, &event).await.expect(400);
    }
    let body = "{";
    call(&guest, PATH, &signed(now_s, body, SECRET), body)
        .await
        .expect(400);
    for (event, code) in [
        (
            json!({"event": "payment.succeeded", "vente_id": "unknown"}),
            404,
        ),
        (
            json!({"event": "payment.succeeded", "charge_id": "unknown"}),
            404,
        ),
        (
            json!({"event": "payment.succeeded", "vente_id": vente, "amount": 4.99}),
            409,
        ),
    ] {
        says(&app, &event).await.expect(code);
    }
    assert_eq!(status(&app, &vente).await, "encours");
    super::expiry::backdate(&app, "ventesArticle", &vente, 31).await;
    says(
        &app,
        &json!({"event": "payment.succeeded", "vente_id": vente}),
    )
    .await
    .expect(409);
    assert_eq!(
        (
            status(&app, &vente).await.as_str(),
            stock(&app, &thing).await
        ),
        ("annule", 2)
    );
}

#[tokio::test]
async fn demonstrations_pay_with_nothing() {
    let app = TestApp::new().modules("market").with(|config| {
        config.dev = true;
        config.set = vec![("payments.trustClients".to_owned(), "true".to_owned())];
    });
    let app = app.start().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let thing = article(&ann, 5.0, 2).await;
    let vente = buy(&bob, &thing, 1).await;
    act(&bob, &vente, "pay").await.expect(200);
    check_books(&app, &[&ann, &bob], &BTreeMap::from([(thing, 2)])).await;
}
