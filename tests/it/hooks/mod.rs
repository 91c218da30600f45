//! Hook scripts in a real server.

mod api;
mod examples;
mod life_cycle;
mod limits;
mod migrations;
mod outside;
mod requests;
mod routes;
mod sql;
mod writes;

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Answer, DEADLINE, TestApp};

/// A collection that everybody may read and write, with a text `name` and a number `count`.
async fn open_collection(app: &TestApp, name: &str) -> Value {
    app.collection(json!({
        "name": name,
        "type": "base",
        "listRule": "",
        "viewRule": "",
        "createRule": "",
        "updateRule": "",
        "deleteRule": "",
        "fields": [{"name": "name", "type": "text"}, {"name": "count", "type": "number"}],
    }))
    .await
}

/// Calls a function of a script without arguments.
async fn call(app: &TestApp, id: &str, function: &str) -> Answer {
    let body = json!({"script_id": id, "function": function});
    app.superuser().post("/api/scripts/function", body).await
}

/// What code gives that runs beside the scripts.
async fn execute(app: &TestApp, code: &str) -> Value {
    let body = json!({"code": code});
    let answer = app.superuser().post("/api/scripts/execute", body).await;
    answer.expect(200)["result"].clone()
}

/// A script's status.
async fn script(app: &TestApp, id: &str) -> Value {
    let status = app.superuser().get("/api/scripts/status").await.expect(200);
    let scripts = status["scripts"].as_array().unwrap();
    let found = scripts.iter().find(|script| script["id"] == id);
    found.unwrap_or_else(|| panic!("no script {id}")).clone()
}

/// Asks again and again until it is so.
async fn until(what: &str, look: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !look().await {
        assert!(began.elapsed() < DEADLINE, "waited in vain for {what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
