//! The global `marketplace`, and scripts that write sales.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{act, app, article, buy, check_books, credit, every, stock, wallet};
use crate::support::TestApp;

async fn execute(app: &TestApp, code: &str) -> Value {
    let body = json!({"code": code});
    app.superuser()
        .post("/api/scripts/execute", body)
        .await
        .expect(200)["result"]
        .clone()
}

#[tokio::test]
async fn scripts_sell_inside_and_outside_of_transactions() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let thing = article(&ann, 5.0, 10).await;
    let initial = BTreeMap::from([(thing.clone(), 10)]);
    let (buyer, seller) = (&bob.id, &ann.id);
    let sold = execute(
        &app,
        &format!("return marketplace.createSale('{buyer}', '{thing}')"),
    )
    .await;
    assert_eq!(
        (&sold["success"], &sold["amount"]),
        (&json!(true), &json!(5))
    );
    let sold = execute(
        &app,
        &format!("return db.transaction(() => marketplace.createSale('{buyer}', '{thing}', 2.5))"),
    )
    .await;
    assert_eq!(sold["amount"], json!(2.5));
    let undone = format!(
        "try {{ db.transaction(() => {{ marketplace.createSale('{buyer}', '{thing}'); throw new Error('no') }}) }} catch {{}} return 1"
    );
    execute(&app, &undone).await;
    for (code, error) in [
        (
            format!("marketplace.createSale('{seller}', '{thing}')"),
            "nobody can buy an own article",
        ),
        (
            format!("marketplace.createSale('{buyer}', 'unknown')"),
            "no such article",
        ),
        (
            format!("marketplace.createSale('{buyer}', '{thing}', 0.001)"),
            "amount must have at most two decimals",
        ),
        (
            format!("marketplace.createSale('{buyer}', '{thing}', -1)"),
            "amount must be 0 or more",
        ),
        ("marketplace.createSale()".to_owned(), "user must be a text"),
    ] {
        let refused = execute(&app, &format!("return {code}")).await;
        let text = refused["error"].as_str().unwrap().to_ascii_lowercase();
        assert!(text.contains(error), "{code}: {refused}");
    }
    assert_eq!(stock(&app, &thing).await, 8);
    credit(&app, &bob, 5.0).await;
    let first = sold["vente_id"].as_str().unwrap();
    act(&bob, first, "pay").await.expect(200);
    let stats = execute(
        &app,
        &format!("return marketplace.getSalesStats('{seller}')"),
    )
    .await;
    assert_eq!(
        stats,
        json!({"total_sales": 7.5, "paid_sales": 2.5, "pending_sales": 5, "count": 2})
    );
    let inside = format!(
        "return db.transaction(() => [marketplace.getWalletBalance('{buyer}'), marketplace.getSalesStats('{buyer}').count])"
    );
    assert_eq!(execute(&app, &inside).await, json!([2.5, 0]));
    check_books(&app, &[&ann, &bob], &initial).await;
}

#[tokio::test]
async fn scripts_may_save_sales_and_may_not_bend_them() {
    let app = TestApp::new()
        .modules("market")
        .hook("a.js", "onRecordCreate((e) => { if (e.record.getString('title') === 'bent') { e.record.set('title', 'x') } e.next() }, 'articles');
            onRecordCreate((e) => { if (e.record.getInt('quantity') === 3) { e.record.set('montant', 0.01) } e.next() }, 'ventesArticle')")
        .start()
        .await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let thing = article(&ann, 5.0, 10).await;
    let initial = BTreeMap::from([(thing.clone(), 10)]);
    let body = json!({"article": thing, "quantity": 3});
    bob.try_create("ventesArticle", body).await.expect(400);
    assert_eq!(stock(&app, &thing).await, 10);
    let code = format!(
        "return db.create('ventesArticle', {{user: '{}', article: '{thing}', montant: 1, status: 'paye', quantity: 2}})",
        bob.id
    );
    let made = execute(&app, &code).await;
    assert_eq!(
        (&made["montant"], &made["status"]),
        (&json!(10), &json!("encours"))
    );
    let vente = buy(&bob, &thing, 1).await;
    let code =
        format!("return db.update('ventesArticle', '{vente}', {{status: 'annule', montant: 77}})");
    let cancelled = execute(&app, &code).await;
    assert_eq!(
        (&cancelled["status"], &cancelled["montant"]),
        (&json!("annule"), &json!(5))
    );
    let refused = execute(
        &app,
        &format!("return db.delete('ventesArticle', '{vente}')"),
    )
    .await;
    assert!(refused["error"].is_string(), "{refused}");
    assert_eq!(stock(&app, &thing).await, 8);
    assert_eq!(every(&app, "operations").await.len(), 4);
    check_books(&app, &[&ann, &bob], &initial).await;
    assert_eq!(wallet(&bob).await, (0, -1000));
}
