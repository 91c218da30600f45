//! Buying, paying, cancelling; who may; by every way in.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{act, app, article, buy, buy_path, check_books, credit, every, status, stock, wallet};
use crate::support::{TestApp, column, record};

#[tokio::test]
async fn a_sale_takes_stock_and_both_operations_follow_it() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let mut events = ann.stream("/api/events/sales").await.placed().await;
    let mut others = carl.stream("/api/events/sales").await.placed().await;
    let thing = article(&ann, 19.99, 5).await;
    let initial = BTreeMap::from([(thing.clone(), 5)]);
    let bought = bob
        .post(&buy_path(&thing), json!({"quantity": 3, "unknown": 1}))
        .await
        .expect(200);
    assert_eq!(bought["success"], json!(true));
    assert_eq!(bought["amount"], json!(59.97));
    let vente = bought["vente_id"].as_str().unwrap().to_owned();
    assert_eq!(stock(&app, &thing).await, 2);
    let row = bob.view("ventesArticle", &vente).await;
    assert_eq!(
        (&row["user"], &row["montant"], &row["quantity"]),
        (&json!(bob.id), &json!(59.97), &json!(3))
    );
    assert_eq!(
        (wallet(&bob).await, wallet(&ann).await),
        ((0, -5997), (0, 5997))
    );
    check_books(&app, &[&ann, &bob], &initial).await;
    let told = events.json().await;
    assert_eq!(
        told,
        json!({"type": "purchase", "article_id": thing, "vente_id": vente, "user_id": bob.id, "amount": 59.97})
    );
    let list = ann.get("/api/user/notifications").await.expect(200);
    assert_eq!(list["notifications"][0]["type"], json!("sale_created"));
    assert_eq!(
        list["notifications"][0]["data"],
        json!({"vente_id": vente, "article_id": thing, "amount": 59.97})
    );
    // Not paid without money, nor by others.
    assert_eq!(
        act(&bob, &vente, "pay").await.expect(402)["error"],
        json!("Insufficient balance.")
    );
    act(&ann, &vente, "pay").await.expect(403);
    act(&carl, &vente, "pay").await.expect(404);
    act(&app.guest(), &vente, "pay").await.expect(401);
    assert_eq!(status(&app, &vente).await, "encours");
    credit(&app, &bob, 59.96).await;
    act(&bob, &vente, "pay").await.expect(402);
    credit(&app, &bob, 0.01).await;
    let paid = act(&bob, &vente, "pay").await.expect(200);
    assert_eq!(
        paid,
        json!({"success": true, "vente_id": vente, "status": "paye", "amount": 59.97})
    );
    let row = bob.view("ventesArticle", &vente).await;
    assert!(!row["paiementDate"].as_str().unwrap().is_empty());
    assert_eq!(
        (wallet(&bob).await, wallet(&ann).await),
        ((0, 0), (5997, 0))
    );
    assert_eq!(events.json().await["type"], json!("paid"));
    // What is paid stays paid.
    for (client, what) in [
        (&bob, "pay"),
        (&bob, "cancel"),
        (&ann, "cancel"),
        (&app.superuser(), "fail"),
    ] {
        act(client, &vente, what).await.expect(409);
    }
    check_books(&app, &[&ann, &bob], &initial).await;
    // Nothing of all this was told to somebody else.
    let thing = article(&ann, 1.0, 1).await;
    buy(&carl, &thing, 1).await;
    assert_eq!(others.json().await["user_id"], json!(carl.id));
}

#[tokio::test]
async fn what_is_cancelled_or_failed_gives_its_stock_back() {
    let app = app().await;
    let (ann, bob, carl, root) = (
        app.user("ann"),
        app.user("bob"),
        app.user("carl"),
        app.superuser(),
    );
    let thing = article(&ann, 2.5, 9).await;
    let initial = BTreeMap::from([(thing.clone(), 9)]);
    for (client, what, state, date) in [
        (&bob, "cancel", "annule", "cancelDate"),
        (&ann, "cancel", "annule", "cancelDate"),
        (&root, "fail", "echec", "failDate"),
    ] {
        let vente = buy(&bob, &thing, 2).await;
        assert_eq!(stock(&app, &thing).await, 7);
        act(&carl, &vente, what).await.expect(404);
        act(&bob, &vente, "fail").await.expect(403);
        act(client, &vente, what).await.expect(200);
        let row = root.view("ventesArticle", &vente).await;
        assert_eq!(row["status"], json!(state));
        assert!(!row[date].as_str().unwrap().is_empty());
        assert_eq!(stock(&app, &thing).await, 9);
        for again in ["pay", "cancel", "fail"] {
            act(&root, &vente, again).await.expect(409);
        }
        check_books(&app, &[&ann, &bob], &initial).await;
    }
    let told = ann.get("/api/user/notifications").await.expect(200);
    let kinds = column(&told["notifications"], "type");
    // The seller knows of what she cancelled herself.
    let cancelled = kinds
        .as_array()
        .unwrap()
        .iter()
        .filter(|kind| **kind == json!("sale_cancelled"));
    assert_eq!(cancelled.count(), 2);
}

#[tokio::test]
async fn what_cannot_be_bought_says_why() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let thing = article(&ann, 2.5, 2).await;
    for (client, target, body, code, why) in [
        (&bob, "unknownunknown0", json!({}), 404, "No such article."),
        (
            &ann,
            &thing,
            json!({}),
            400,
            "Nobody can buy an own article.",
        ),
        (&bob, &thing, json!({"quantity": 3}), 400, "Out of stock."),
    ] {
        let refused = client.post(&buy_path(target), body).await.expect(code);
        assert_eq!(refused["error"], json!(why));
    }
    app.guest()
        .post(&buy_path(&thing), json!({}))
        .await
        .expect(401);
    app.superuser()
        .post(&buy_path(&thing), json!({}))
        .await
        .expect(403);
    bob.post(&buy_path(&thing), json!({"from_post": "unknown"}))
        .await
        .expect(400);
    ann.update(
        "articles",
        &thing,
        json!({"dueDate": "2020-01-01 00:00:00.000Z"}),
    )
    .await;
    bob.post(&buy_path(&thing), json!({})).await.expect(410);
    ann.update(
        "articles",
        &thing,
        json!({"dueDate": "2199-01-01 00:00:00.000Z", "prix": 0}),
    )
    .await;
    let vente = buy(&bob, &thing, 2).await;
    // What costs nothing can be paid with nothing.
    act(&bob, &vente, "pay").await.expect(200);
    assert_eq!(stock(&app, &thing).await, 0);
}

/// What clients write of a sale themselves, and its answer.
async fn try_forging(app: &TestApp, thing: &str) -> Vec<Value> {
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let forged = json!({"article": thing, "quantity": 2, "montant": 0.01, "status": "paye", "user": carl.id,
        "paiementDate": "2026-01-01 00:00:00.000Z", "montant-": 5, "status+": "paye"});
    let mut made = vec![bob.create("ventesArticle", forged.clone()).await];
    let settings = json!({"batch": {"enabled": true, "maxRequests": 10, "timeout": 5}});
    app.superuser()
        .patch("/api/settings", settings)
        .await
        .expect(200);
    let create =
        json!({"method": "POST", "url": "/api/collections/ventesArticle/records", "body": forged});
    let answers = bob
        .post("/api/batch", json!({"requests": [create]}))
        .await
        .expect(200);
    made.push(answers[0]["body"].clone());
    let one = made[0]["id"].as_str().unwrap();
    let change = json!({"status": "paye", "montant": 0.01, "user": carl.id});
    for client in [&ann, &bob, &carl] {
        let refused = client
            .patch(&record("ventesArticle", one), change.clone())
            .await;
        assert!(matches!(refused.status, 403 | 404), "{refused:?}");
        let refused = client.delete(&record("ventesArticle", one)).await;
        assert!(matches!(refused.status, 403 | 404), "{refused:?}");
        let operation =
            json!({"user": client.id, "operation": "cashin", "montant": 100, "status": "paye"});
        client.try_create("operations", operation).await.expect(403);
    }
    let batch = json!({"method": "PATCH", "url": format!("/api/collections/ventesArticle/records/{one}"), "body": change});
    let refused = bob.post("/api/batch", json!({"requests": [batch]})).await;
    assert!(refused.status >= 400, "{refused:?}");
    made
}

#[tokio::test]
async fn clients_name_what_they_buy_and_nothing_else() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let thing = article(&ann, 10.0, 10).await;
    let initial = BTreeMap::from([(thing.clone(), 10)]);
    for vente in try_forging(&app, &thing).await {
        assert_eq!(vente["status"], json!("encours"), "{vente}");
        assert_eq!(
            (&vente["montant"], &vente["user"]),
            (&json!(20), &json!(bob.id))
        );
        assert_eq!(vente["paiementDate"], json!(""));
    }
    assert_eq!(stock(&app, &thing).await, 6);
    check_books(&app, &[&ann, &bob], &initial).await;
    let unknown = json!({"article": "unknownunknown0"});
    bob.try_create("ventesArticle", unknown).await.expect(404);
    bob.try_create("ventesArticle", json!({})).await.expect(400);
    ann.try_create("ventesArticle", json!({"article": thing}))
        .await
        .expect(400);
    app.guest()
        .try_create("ventesArticle", json!({"article": thing}))
        .await
        .expect(400);
    // Articles belong to who makes them.
    let article = json!({"title": "x", "prix": 1, "quantite": 1, "user": ann.id});
    let other = bob.create("articles", article).await;
    assert_eq!(other["user"], json!(bob.id));
    let id = other["id"].as_str().unwrap();
    assert_eq!(
        bob.update("articles", id, json!({"user": ann.id})).await["user"],
        json!(bob.id)
    );
    ann.patch(&record("articles", id), json!({"prix": 0}))
        .await
        .expect(404);
}

#[tokio::test]
async fn superusers_settle_through_the_records_api() {
    let app = app().await;
    let (ann, bob, root) = (app.user("ann"), app.user("bob"), app.superuser());
    let thing = article(&ann, 10.0, 10).await;
    let initial = BTreeMap::from([(thing.clone(), 10)]);
    let vente = buy(&bob, &thing, 1).await;
    let change = json!({"status": "paye", "montant": 1, "quantity": 5, "user": ann.id});
    root.patch(&record("ventesArticle", &vente), change.clone())
        .await
        .expect(402);
    credit(&app, &bob, 10.0).await;
    let paid = root.update("ventesArticle", &vente, change).await;
    assert_eq!(
        (&paid["status"], &paid["montant"], &paid["user"]),
        (&json!("paye"), &json!(10), &json!(bob.id))
    );
    for state in ["encours", "annule", "echec"] {
        root.patch(&record("ventesArticle", &vente), json!({"status": state}))
            .await
            .expect(409);
    }
    let other = buy(&bob, &thing, 4).await;
    root.update("ventesArticle", &other, json!({"status": "annule"}))
        .await;
    assert_eq!(stock(&app, &thing).await, 9);
    check_books(&app, &[&ann, &bob], &initial).await;
    // The rows of a sale change with it alone, and none goes away.
    for row in every(&app, "operations").await {
        let id = row["id"].as_str().unwrap();
        let kept = root
            .update(
                "operations",
                id,
                json!({"montant": 1_000_000, "user": ann.id, "vente": "", "metadata": null}),
            )
            .await;
        for field in ["montant", "user", "vente", "metadata", "status"] {
            assert_eq!(kept[field], row[field]);
        }
        root.patch(&record("operations", id), json!({"status": "encours"}))
            .await
            .expect(409);
        root.delete(&record("operations", id)).await.expect(400);
    }
    root.delete(&record("ventesArticle", &vente))
        .await
        .expect(400);
    check_books(&app, &[&ann, &bob], &initial).await;
}

#[tokio::test]
async fn lists_show_the_own_sides_with_sale_and_article() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let thing = article(&ann, 1.5, 100).await;
    for _ in 0..3 {
        buy(&bob, &thing, 1).await;
    }
    for (client, name, total) in [
        (&bob, "purchases", 3),
        (&bob, "sales", 0),
        (&bob, "operations", 3),
        (&ann, "purchases", 0),
        (&ann, "sales", 3),
        (&ann, "operations", 3),
        (&carl, "operations", 0),
    ] {
        let list = client
            .get(&format!("/api/user/{name}?perPage=2"))
            .await
            .expect(200);
        assert_eq!(list["totalItems"], json!(total), "{name}");
        assert_eq!(
            (&list["page"], &list["perPage"], &list["count"]),
            (&json!(1), &json!(2), &json!(total.min(2)))
        );
        for item in list[name].as_array().unwrap() {
            let article = match name {
                "operations" => item.pointer("/expand/vente/expand/article/id"),
                _ => item.pointer("/expand/article/id"),
            };
            assert_eq!(article, Some(&json!(thing)), "{item}");
        }
        app.guest()
            .get(&format!("/api/user/{name}"))
            .await
            .expect(401);
    }
    for collection in ["ventesArticle", "operations"] {
        assert_eq!(carl.count(collection).await, 0);
        assert_eq!(bob.count(collection).await, 3);
    }
    assert_eq!(ann.count("ventesArticle").await, 3);
}

#[tokio::test]
async fn a_deleted_user_leaves_books_without_a_name() {
    let app = app().await;
    let (ann, bob, carl, root) = (
        app.user("ann"),
        app.user("bob"),
        app.user("carl"),
        app.superuser(),
    );
    let (sold, open) = (article(&ann, 10.0, 5).await, article(&ann, 10.0, 5).await);
    credit(&app, &bob, 100.0).await;
    let paid = buy(&bob, &sold, 1).await;
    act(&bob, &paid, "pay").await.expect(200);
    let waiting = buy(&bob, &sold, 2).await;
    let rows = every(&app, "operations").await.len();
    root.delete(&record("users", &bob.id)).await.expect(204);
    assert_eq!(every(&app, "operations").await.len(), rows);
    for (vente, state) in [(&paid, "paye"), (&waiting, "annule")] {
        let row = root.view("ventesArticle", vente).await;
        assert_eq!((&row["user"], &row["status"]), (&json!(""), &json!(state)));
    }
    assert_eq!(stock(&app, &sold).await, 4);
    check_books(&app, &[&ann], &BTreeMap::from([(sold.clone(), 5)])).await;
    // The seller goes: what was sold stays for the sake of its sales, and is not on sale.
    let held = buy(&carl, &sold, 1).await;
    root.delete(&record("users", &ann.id)).await.expect(204);
    assert_eq!(status(&app, &held).await, "annule");
    let kept = root.view("articles", &sold).await;
    assert_eq!((&kept["user"], &kept["quantite"]), (&json!(""), &json!(0)));
    root.get(&record("articles", &open)).await.expect(404);
    carl.post(&buy_path(&sold), json!({})).await.expect(404);
    assert_eq!(wallet(&carl).await, (0, 0));
}

#[tokio::test]
async fn a_sale_knows_its_post_until_that_is_gone() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let thing = article(&ann, 10.0, 5).await;
    let post = json!({"type": "html", "content": "buy it", "isPublic": true, "article": thing});
    let post = ann.create_id("posts", post).await;
    let body = json!({"from_post": post});
    let bought = bob.post(&buy_path(&thing), body).await.expect(200);
    let vente = bought["vente_id"].as_str().unwrap();
    let root = app.superuser();
    assert_eq!(
        root.view("ventesArticle", vente).await["fromPost"],
        json!(post)
    );
    ann.delete(&record("posts", &post)).await.expect(204);
    let kept = root.view("ventesArticle", vente).await;
    assert_eq!(
        (&kept["fromPost"], &kept["status"]),
        (&json!(""), &json!("encours"))
    );
    // An article that was sold stays with its sales.
    ann.delete(&record("articles", &thing)).await.expect(400);
    check_books(&app, &[&ann, &bob], &BTreeMap::from([(thing, 5)])).await;
}
