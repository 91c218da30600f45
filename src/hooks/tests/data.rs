//! Records, collections, queries and values as scripts see them.

use serde_json::json;

use super::run;

#[tokio::test(flavor = "multi_thread")]
async fn records_are_found() {
    let found = run("return $app.findCollectionByNameOrId('notes').name").await;
    assert_eq!(found, json!("notes"));
}
