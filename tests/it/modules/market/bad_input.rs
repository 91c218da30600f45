//! Amounts and quantities that are none.

use serde_json::json;

use super::{app, article, buy_path, credit, every, stock, wallet};
use crate::support::{TestApp, record};

#[tokio::test]
async fn prices_are_amounts() {
    let app = app().await;
    let ann = app.user("ann");
    let thing = article(&ann, 1.0, 1).await;
    for field in ["prix", "prixOriginal"] {
        for bad in [
            json!(0.001),
            json!(19.999),
            json!(-1),
            json!(-0.01),
            json!(1e10),
            json!(1e300),
            json!("1.005"),
        ] {
            let mut body = json!({"title": "x", "prix": 1, "quantite": 1});
            body[field] = bad.clone();
            let refused = ann.try_create("articles", body).await.expect(400);
            assert!(
                refused["data"][field]["code"].is_string(),
                "{field} {bad}: {refused}"
            );
            let refused = ann
                .patch(&record("articles", &thing), json!({field: bad}))
                .await;
            refused.expect(400);
        }
        for (good, shown) in [
            (json!(19.99), json!(19.99)),
            (json!("4.35"), json!(4.35)),
            (json!(0), json!(0)),
            (json!(9_999_999_999.99), json!(9_999_999_999.99)),
        ] {
            assert_eq!(
                ann.update("articles", &thing, json!({field: good})).await[field],
                shown
            );
        }
        // Sums of amounts are amounts.
        ann.update("articles", &thing, json!({field: 0.1})).await;
        let sum = ann
            .update("articles", &thing, json!({format!("{field}+"): 0.2}))
            .await;
        assert_eq!(sum[field], json!(0.3));
    }
    for body in [
        json!({"title": "x", "quantite": 1}),
        json!({"title": "x", "prix": 1}),
        json!({"prix": 1, "quantite": 1}),
        json!({"title": "x", "prix": 1, "quantite": -1}),
        json!({"title": "x", "prix": 1, "quantite": 1.5}),
        json!({"title": "x", "prix": 1, "quantite": 1e12}),
    ] {
        ann.try_create("articles", body).await.expect(400);
    }
    ann.try_create("articles", json!({"title": "x", "prix": 0, "quantite": 0}))
        .await
        .expect(200);
}

#[tokio::test]
async fn quantities_are_whole_and_products_bounded() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let thing = article(&ann, 9_999_999_999.99, 1000).await;
    for bad in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!("2"),
        json!([1]),
        json!(1e300),
        json!(2),
    ] {
        let refused = bob
            .post(&buy_path(&thing), json!({"quantity": bad}))
            .await
            .expect(400);
        assert!(refused["data"]["quantity"].is_object(), "{bad}: {refused}");
    }
    // The records API casts; what comes of it is checked.
    for bad in [json!(0), json!(-1), json!(1.5), json!(1e300), json!(2)] {
        let body = json!({"article": thing, "quantity": bad});
        bob.try_create("ventesArticle", body).await.expect(400);
    }
    for bad in [json!({"from_post": 5}), json!({"from_post": []})] {
        bob.post(&buy_path(&thing), bad).await.expect(400);
    }
    assert_eq!(stock(&app, &thing).await, 1000);
    assert!(every(&app, "operations").await.is_empty());
}

#[tokio::test]
async fn credits_are_amounts_of_users() {
    let app = app().await;
    let (bob, root) = (app.user("bob"), app.superuser());
    for (field, bad) in [
        ("montant", json!(0)),
        ("montant", json!(-5)),
        ("montant", json!(0.001)),
        ("montant", json!(1e11)),
        ("user", json!("")),
        ("user", json!("unknownunknown0")),
        ("operation", json!("")),
        ("operation", json!("steal")),
        ("status", json!("free")),
    ] {
        let mut body = json!({"user": bob.id, "operation": "cashin", "montant": 5});
        body[field] = bad.clone();
        let refused = root.try_create("operations", body).await.expect(400);
        assert!(
            refused["data"][field].is_object(),
            "{field} {bad}: {refused}"
        );
    }
    let body = json!({"user": bob.id, "operation": "cashout", "montant": 5});
    root.try_create("operations", body).await.expect(400);
    // Ten dimes are a coin.
    for _ in 0..10 {
        credit(&app, &bob, 0.1).await;
    }
    assert_eq!(wallet(&bob).await, (100, 0));
    let body = json!({"user": bob.id, "operation": "cashout", "montant": -0.7, "vente": "", "metadata": {"counterpart": "x"}});
    let made = root.create("operations", body).await;
    assert_eq!(
        (&made["status"], &made["metadata"]),
        (&json!("paye"), &json!({}))
    );
    assert_eq!(wallet(&bob).await, (30, 0));
}

#[tokio::test]
async fn what_is_no_number_is_no_price() {
    let app = app().await;
    let ann = app.user("ann");
    for wrong in [
        json!(null),
        json!(""),
        json!("5,5"),
        json!("abc"),
        json!([5]),
        json!(true),
    ] {
        for field in ["prix", "quantite"] {
            let mut body = json!({"title": "x", "prix": 10, "quantite": 1});
            body[field] = wrong.clone();
            let refused = ann.try_create("articles", body).await.expect(400);
            assert!(
                refused["data"].get(field).is_some(),
                "{field} {wrong}: {refused}"
            );
        }
    }
    let made = ann
        .create(
            "articles",
            json!({"title": "x", "prix": "9.99", "quantite": 1}),
        )
        .await;
    assert_eq!(made["prix"], 9.99);
    let path = crate::support::record("articles", made["id"].as_str().unwrap());
    for wrong in [
        json!({"prix": null}),
        json!({"prix": "abc"}),
        json!({"quantite": 2_000_000_000_u64}),
    ] {
        ann.patch(&path, wrong).await.expect(400);
    }
    assert_eq!(
        ann.view("articles", made["id"].as_str().unwrap()).await["prix"],
        9.99
    );
}

#[tokio::test]
async fn no_script_changes_the_figures_of_the_ledger() {
    let script = r#"
        onRecordCreate((e) => { e.record.set("montant", 1); e.next() }, "operations")
    "#;
    let app = TestApp::new()
        .modules("market")
        .hook("a.pb.js", script)
        .start()
        .await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let made = ann
        .create("articles", json!({"title": "x", "prix": 30, "quantite": 3}))
        .await;
    let id = made["id"].as_str().unwrap();
    bob.post(&format!("/api/articles/{id}/buy"), json!({}))
        .await
        .expect(400);
    assert_eq!(ann.view("articles", id).await["quantite"], 3);
    let root = app.superuser();
    assert_eq!(
        (
            root.count("ventesArticle").await,
            root.count("operations").await
        ),
        (0, 0)
    );
}
