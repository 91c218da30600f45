//! Articles, sales, the ledger, charges.

mod bad_input;
mod charges;
mod concurrency;
mod expiry;
mod property;
mod sales;
mod scripts;
mod webhook;

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp};

const SETTINGS: &str = "/api/settings/rotunda";

async fn app() -> TestApp {
    TestApp::new().modules("social,market").start().await
}

/// An app where a provider settles payments.
async fn app_without_wallets() -> TestApp {
    let app = app().await;
    set(&app, json!({"requireBalance": false})).await;
    app
}

/// An app that notices what is overdue only when somebody looks.
async fn app_without_jobs() -> TestApp {
    let app = app().await;
    let engine = app.engine().expect("our own");
    engine.crons().remove("marketSaleExpiry");
    app
}

async fn set(app: &TestApp, payments: Value) {
    let patch = json!({"payments": payments});
    app.superuser().patch(SETTINGS, patch).await.expect(200);
}

async fn article(seller: &Client, prix: f64, quantite: u64) -> String {
    let article = json!({"title": "A thing", "prix": prix, "quantite": quantite});
    seller.create_id("articles", article).await
}

async fn credit(app: &TestApp, user: &Client, amount: f64) {
    let operation =
        json!({"user": user.id, "operation": "cashin", "montant": amount, "desc": "gift"});
    app.superuser().create("operations", operation).await;
}

fn buy_path(article: &str) -> String {
    format!("/api/articles/{article}/buy")
}

fn path(vente: &str, what: &str) -> String {
    format!("/api/ventes/{vente}/{what}")
}

async fn buy(buyer: &Client, article: &str, quantity: u64) -> String {
    let body = json!({"quantity": quantity});
    let bought = buyer.post(&buy_path(article), body).await.expect(200);
    bought["vente_id"].as_str().unwrap().to_owned()
}

async fn act(client: &Client, vente: &str, what: &str) -> Answer {
    client.post(&path(vente, what), json!({})).await
}

/// Posts with an idempotency key.
async fn post_once(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    let request = client.request(Method::POST, path).json(body);
    client.send(request.header("Idempotency-Key", key)).await
}

async fn stock(app: &TestApp, article: &str) -> i64 {
    let article = app.superuser().view("articles", article).await;
    article["quantite"].as_i64().unwrap()
}

async fn status(app: &TestApp, vente: &str) -> String {
    let vente = app.superuser().view("ventesArticle", vente).await;
    vente["status"].as_str().unwrap().to_owned()
}

/// Balance and what is pending, in cents.
async fn wallet(client: &Client) -> (i64, i64) {
    let wallet = client.get("/api/user/wallet").await.expect(200);
    (cents(&wallet["balance"]), cents(&wallet["pending"]))
}

/// An amount of an answer, which must have two decimals at most.
fn cents(amount: &Value) -> i64 {
    let text = amount.to_string();
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    assert!(decimals.len() <= 2, "{text}");
    let padded = format!("{whole}{decimals:0<2}");
    padded
        .parse()
        .unwrap_or_else(|_| panic!("no amount: {text}"))
}

/// All records of a collection.
async fn every(app: &TestApp, collection: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for page in 1.. {
        let query = [("perPage", "500"), ("page", &page.to_string())];
        let list = app.superuser().list(collection, &query).await;
        let items = list["items"].as_array().unwrap();
        all.extend(items.iter().cloned());
        if items.len() < 500 {
            return all;
        }
    }
    all
}

/// What must hold at any time. `initial` is the stock that articles began with.
async fn check_books(app: &TestApp, users: &[&Client], initial: &BTreeMap<String, i64>) {
    let (articles, ventes) = (
        every(app, "articles").await,
        every(app, "ventesArticle").await,
    );
    let operations = every(app, "operations").await;
    for (id, initial) in initial {
        let article = articles
            .iter()
            .find(|article| article["id"] == json!(id))
            .unwrap();
        let left = article["quantite"].as_i64().unwrap();
        let of_article = ventes.iter().filter(|vente| vente["article"] == json!(id));
        let taken: i64 = of_article
            .filter(|vente| matches!(vente["status"].as_str(), Some("encours" | "paye")))
            .map(|vente| vente["quantity"].as_i64().unwrap())
            .sum();
        assert!(left >= 0, "{article}");
        assert_eq!(left + taken, *initial, "{article}");
    }
    for vente in &ventes {
        let own: Vec<_> = operations
            .iter()
            .filter(|row| row["vente"] == vente["id"])
            .collect();
        assert_eq!(own.len(), 2, "{vente}: {own:?}");
        let state = vente["status"].as_str().unwrap();
        let amount = cents(&vente["montant"]);
        for row in own {
            let (sign, waits) = match row["operation"].as_str().unwrap() {
                "cashout" => (-1, "encours"),
                _ => (1, "en_attente"),
            };
            let expected = if state == "encours" { waits } else { state };
            assert_eq!(row["status"], json!(expected), "{vente}: {row}");
            assert_eq!(cents(&row["montant"]), sign * amount, "{vente}: {row}");
            assert_eq!(row["metadata"]["related_id"], vente["id"]);
        }
    }
    for user in users {
        let sum = |states: &[&str]| -> i64 {
            let own = operations
                .iter()
                .filter(|row| row["user"] == json!(user.id));
            let counted = own.filter(|row| states.contains(&row["status"].as_str().unwrap()));
            counted.map(|row| cents(&row["montant"])).sum()
        };
        let expected = (sum(&["paye"]), sum(&["encours", "en_attente"]));
        assert_eq!(wallet(user).await, expected, "{}", user.id);
    }
}

#[tokio::test]
async fn guests_get_nothing() {
    let app = app().await;
    let description = app.superuser().get("/api/openapi").await.expect(200);
    let paths = description["paths"].as_object().unwrap();
    let mut seen = 0;
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            if operation["tags"] != json!(["market"]) {
                continue;
            }
            seen += 1;
            let path = path.replace(['{', '}'], "");
            let answer = match method.as_str() {
                "get" => app.guest().get(&path).await,
                _ => app.guest().post(&path, json!({})).await,
            };
            assert!(matches!(answer.status, 401 | 404), "{answer:?}");
        }
    }
    assert_eq!(seen, 9);
}
