//! Application modules over the wire.

mod follows;
mod market;
mod rooms;
mod social;
mod switches;

use serde_json::json;

use crate::support::{Client, TestApp};

/// Many signed-in users, made without the cost of their passwords.
async fn crowd(app: &TestApp, count: usize) -> Vec<Client> {
    let query = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO users (id, email, password, tokenKey, created, updated) \
         SELECT printf('crowd%010d', i), printf('crowd%d@example.com', i), 'none', hex(randomblob(25)), \
         '2026-01-01 00:00:00.000Z', '2026-01-01 00:00:00.000Z' FROM n"
    );
    let root = app.superuser();
    root.post("/api/sql", json!({"query": query}))
        .await
        .expect(200);
    let engine = app.engine().expect("our own");
    let users = engine.collection("users").expect("users");
    let mut crowd = Vec::with_capacity(count);
    for index in 1..=count {
        let id = format!("crowd{index:010}");
        let user = engine.find_record(&users, &id).await;
        let user = user.expect("a query").expect("a user");
        let mut client = app.client_with(&engine.sign_auth_token(&user).expect("a token"));
        client.id = id;
        crowd.push(client);
    }
    crowd
}
