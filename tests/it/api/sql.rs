//! The SQL console.

use serde_json::{Value, json};

use crate::support::fields::{open, text};
use crate::support::{Client, PASSWORD, TestApp};

async fn run(client: &Client, query: &str) -> Value {
    client
        .post("/api/sql", json!({"query": query}))
        .await
        .expect(200)
}

#[tokio::test]
async fn only_superusers_run_sql() {
    let app = TestApp::new().start().await;
    let body = json!({"query": "SELECT 1"});
    app.guest().post("/api/sql", body.clone()).await.expect(401);
    app.user("ann").post("/api/sql", body).await.expect(403);
    let refused = app.superuser().post("/api/sql", json!({"query": ""})).await;
    refused.refuses(&[("query", "validation_required")]);
}

#[tokio::test]
async fn records_are_read_and_written() {
    let app = TestApp::new().start().await;
    let superuser = app.superuser();
    app.collection(open("posts", [text("title")])).await;
    superuser.create("posts", json!({"title": "a"})).await;
    let written = run(&superuser, "UPDATE posts SET title = 'b'").await;
    assert_eq!(
        (&written["affectedRows"], &written["rows"]),
        (&json!(1), &json!([]))
    );
    assert_eq!(
        app.guest().column("posts", "title", &[]).await,
        json!(["b"])
    );
    let read = run(&superuser, "SELECT title, 1 + 1 AS two FROM posts").await;
    let columns = json!([{"name": "title", "type": "TEXT", "nullable": true}, {"name": "two", "type": "", "nullable": true}]);
    assert_eq!(
        (&read["columns"], &read["rows"]),
        (&columns, &json!([["b", "2"]]))
    );
}

#[tokio::test]
async fn tokens_end_with_a_key_that_sql_changes() {
    let app = TestApp::new().start().await;
    let ann = app.user("ann");
    let refresh = "/api/collections/users/auth-refresh";
    ann.post(refresh, json!({})).await.expect(200);
    let change = "UPDATE users SET tokenKey = hex(randomblob(25)) WHERE name = 'ann'";
    run(&app.superuser(), change).await;
    ann.post(refresh, json!({})).await.expect(401);
    app.guest()
        .sign_in("users", "ann@example.com", PASSWORD)
        .await
        .expect(200);
}
