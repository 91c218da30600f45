//! Hook scripts in a real server.

mod migrations;
mod writes;

use serde_json::{Value, json};

use crate::support::TestApp;

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
