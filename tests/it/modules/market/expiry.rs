//! Sales that nobody pays in time.

use std::collections::BTreeMap;

use rotunda::engine::Error;
use serde_json::json;

use super::{
    act, app, app_without_jobs, article, buy, buy_path, check_books, credit, set, status, stock,
};
use crate::support::{TestApp, column};

/// Makes a record some minutes older.
pub(super) async fn backdate(app: &TestApp, collection: &str, id: &str, minutes: i64) {
    let engine = app.engine().expect("our own").clone();
    let collection = engine.collection(collection).unwrap();
    let mut record = engine.find_record(&collection, id).await.unwrap().unwrap();
    let then = engine.now().add_seconds(-60 * minutes);
    record.set("created", then.to_string().into());
    let store = engine.store().clone();
    let done = store.write(move |tx| {
        Box::pin(async move {
            engine.save_quietly(tx, record).await?;
            Ok::<_, Error>(())
        })
    });
    done.await.unwrap();
}

#[tokio::test]
async fn nobody_pays_an_overdue_sale_and_its_stock_is_free() {
    let app = app_without_jobs().await;
    let (ann, bob, root) = (app.user("ann"), app.user("bob"), app.superuser());
    let thing = article(&ann, 5.0, 3).await;
    let initial = BTreeMap::from([(thing.clone(), 3)]);
    credit(&app, &bob, 100.0).await;
    let (young, old) = (buy(&bob, &thing, 1).await, buy(&bob, &thing, 2).await);
    backdate(&app, "ventesArticle", &young, 29).await;
    backdate(&app, "ventesArticle", &old, 30).await;
    let refused = act(&bob, &old, "pay").await.expect(409);
    assert_eq!(refused["error"], json!("The sale has expired."));
    assert_eq!(status(&app, &old).await, "annule");
    assert_eq!(stock(&app, &thing).await, 2);
    act(&bob, &young, "pay").await.expect(200);
    check_books(&app, &[&ann, &bob], &initial).await;
    // Neither by a superuser's change.
    let other = buy(&bob, &thing, 1).await;
    backdate(&app, "ventesArticle", &other, 31).await;
    let path = crate::support::record("ventesArticle", &other);
    root.patch(&path, json!({"status": "paye"}))
        .await
        .expect(409);
    // A list does not show it as open.
    let list = bob.get("/api/user/purchases").await.expect(200);
    assert!(
        !column(&list["purchases"], "status")
            .as_array()
            .unwrap()
            .contains(&json!("encours"))
    );
    check_books(&app, &[&ann, &bob], &initial).await;
}

#[tokio::test]
async fn stock_that_is_held_too_long_can_be_bought() {
    let app = app_without_jobs().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let thing = article(&ann, 5.0, 1).await;
    let held = buy(&bob, &thing, 1).await;
    carl.post(&buy_path(&thing), json!({})).await.expect(400);
    backdate(&app, "ventesArticle", &held, 10).await;
    carl.post(&buy_path(&thing), json!({})).await.expect(400);
    set(&app, json!({"holdMinutes": 5})).await;
    let bought = buy(&carl, &thing, 1).await;
    assert_eq!(
        (
            status(&app, &held).await.as_str(),
            status(&app, &bought).await.as_str()
        ),
        ("annule", "encours")
    );
    check_books(&app, &[&bob, &carl], &BTreeMap::from([(thing, 1)])).await;
}

#[tokio::test]
async fn a_job_cancels_what_is_overdue() {
    let app = app().await;
    let (ann, bob, root) = (app.user("ann"), app.user("bob"), app.superuser());
    let thing = article(&ann, 5.0, 5).await;
    let old = buy(&bob, &thing, 2).await;
    backdate(&app, "ventesArticle", &old, 31).await;
    let jobs = root.get("/api/crons").await.expect(200);
    let ids = column(&jobs, "id");
    for id in ["marketSaleExpiry", "marketKeyCleanup"] {
        assert!(ids.as_array().unwrap().contains(&json!(id)), "{ids}");
    }
    let mut events = bob.stream("/api/events/sales").await.placed().await;
    root.post("/api/crons/marketSaleExpiry", json!({}))
        .await
        .expect(204);
    assert_eq!(events.json().await["type"], json!("cancelled"));
    assert_eq!(
        (status(&app, &old).await.as_str(), stock(&app, &thing).await),
        ("annule", 5)
    );
    let told = bob.get("/api/user/notifications").await.expect(200);
    assert_eq!(told["notifications"][0]["type"], json!("sale_cancelled"));
}
