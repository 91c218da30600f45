//! Many at once, and the same one again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{act, app, article, buy, buy_path, check_books, credit, every, path, post_once, stock};
use crate::modules::crowd;
use crate::support::{Client, all, records};

#[tokio::test]
async fn two_hundred_buyers_of_twenty_get_twenty() {
    let app = app().await;
    let ann = app.user("ann");
    let thing = article(&ann, 3.33, 20).await;
    let crowd = crowd(&app, 200).await;
    // Half of them by the route, half by the records API.
    let answers = all(crowd.iter().enumerate().map(|(index, buyer)| {
        let thing = thing.clone();
        async move {
            match index % 2 {
                0 => buyer.post(&buy_path(&thing), json!({})).await,
                _ => {
                    buyer
                        .post(&records("ventesArticle"), json!({"article": thing}))
                        .await
                }
            }
        }
    }))
    .await;
    let sold = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(sold, 20);
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.expect(400)["message"], json!("Out of stock."));
    }
    assert_eq!(stock(&app, &thing).await, 0);
    assert_eq!(every(&app, "ventesArticle").await.len(), 20);
    assert_eq!(every(&app, "operations").await.len(), 40);
    let some: Vec<&Client> = crowd.iter().take(20).chain([&ann]).collect();
    check_books(&app, &some, &BTreeMap::from([(thing, 20)])).await;
}

#[tokio::test]
async fn clicking_many_times_happens_once() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let thing = article(&ann, 5.0, 50).await;
    credit(&app, &bob, 100.0).await;
    let body = json!({"quantity": 2});
    let answers = all((0..12).map(|_| {
        let (bob, thing, body) = (&bob, buy_path(&thing), &body);
        async move { post_once(bob, &thing, "click-1", body).await }
    }))
    .await;
    let ids: BTreeSet<String> = answers
        .into_iter()
        .map(|answer| answer.expect(200)["vente_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(stock(&app, &thing).await, 48);
    let vente = ids.into_iter().next().unwrap();
    // Without a key one of them pays, and the others are told so.
    let answers = all((0..8).map(|_| act(&bob, &vente, "pay"))).await;
    let mut codes: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    codes.sort_unstable();
    assert_eq!(codes, [200, 409, 409, 409, 409, 409, 409, 409]);
    check_books(&app, &[&ann, &bob], &BTreeMap::from([(thing, 50)])).await;
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_user_and_route() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let (thing, other) = (article(&ann, 5.0, 1).await, article(&ann, 5.0, 9).await);
    let first = post_once(&bob, &buy_path(&thing), "k", &json!({}))
        .await
        .expect(200);
    // The stock is gone; the answer stays.
    assert_eq!(
        post_once(&bob, &buy_path(&thing), "k", &json!({}))
            .await
            .expect(200),
        first
    );
    for (target, body) in [(&thing, json!({"quantity": 2})), (&other, json!({}))] {
        post_once(&bob, &buy_path(target), "k", &body)
            .await
            .expect(409);
    }
    let another = post_once(&carl, &buy_path(&other), "k", &json!({}))
        .await
        .expect(200);
    assert_ne!(another["vente_id"], first["vente_id"]);
    // What was refused is not remembered.
    let vente = first["vente_id"].as_str().unwrap();
    post_once(&bob, &path(vente, "pay"), "k", &json!({}))
        .await
        .expect(402);
    credit(&app, &bob, 5.0).await;
    let paid = post_once(&bob, &path(vente, "pay"), "k", &json!({}))
        .await
        .expect(200);
    assert_eq!(
        post_once(&bob, &path(vente, "pay"), "k", &json!({}))
            .await
            .expect(200),
        paid
    );
    for bad in ["", " ", &"x".repeat(256)] {
        post_once(&bob, &buy_path(&other), bad, &json!({}))
            .await
            .expect(400);
    }
    assert_eq!(stock(&app, &other).await, 8);
    // Nobody reads the keys.
    bob.get(&records("idempotencyKeys")).await.expect(403);
    assert_eq!(every(&app, "idempotencyKeys").await.len(), 3);
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let thing = article(&ann, 5.0, 9).await;
    let first = post_once(&bob, &buy_path(&thing), "k", &json!({}))
        .await
        .expect(200);
    let row = every(&app, "idempotencyKeys").await.remove(0);
    super::expiry::backdate(
        &app,
        "idempotencyKeys",
        row["id"].as_str().unwrap(),
        25 * 60,
    )
    .await;
    let again = post_once(&bob, &buy_path(&thing), "k", &json!({}))
        .await
        .expect(200);
    assert_ne!(again["vente_id"], first["vente_id"]);
    assert_eq!(every(&app, "idempotencyKeys").await.len(), 1);
}

#[tokio::test]
async fn buying_and_cancelling_at_once_loses_no_piece() {
    let app = app().await;
    let ann = app.user("ann");
    let thing = article(&ann, 1.01, 30).await;
    let crowd = crowd(&app, 20).await;
    let rounds = crowd.iter().map(|buyer| {
        let thing = thing.as_str();
        async move {
            let mut codes: Vec<u16> = Vec::new();
            for _ in 0..3 {
                let vente = buy(buyer, thing, 1).await;
                let both = all([act(buyer, &vente, "cancel"), act(buyer, &vente, "cancel")]).await;
                codes.extend(both.iter().map(|answer| answer.status));
            }
            codes
        }
    });
    let codes: Vec<u16> = all(rounds).await.concat();
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 60);
    assert!(
        codes.iter().all(|code| matches!(code, 200 | 409)),
        "{codes:?}"
    );
    assert_eq!(stock(&app, &thing).await, 30);
    let none = Value::from(0);
    assert_eq!(
        ann.get("/api/user/wallet").await.expect(200),
        json!({"balance": none, "pending": none})
    );
}
