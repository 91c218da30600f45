//! Live events over the wire: topics, channels, late answers, notifications, presence.

mod channel;
mod notifications;
mod presence;
mod replies;
mod room;
mod rules;
mod topics;

use serde_json::{Value, json};

use crate::support::{Client, TestApp};

/// The path of a topic.
fn topic(name: &str) -> String {
    format!("/api/events/{name}")
}

/// Makes a topic with its rules, as a superuser does.
async fn make_topic(app: &TestApp, name: &str, subscribe: Value, publish: Value) -> Value {
    let row = json!({"name": name, "subscribeRule": subscribe, "publishRule": publish});
    app.superuser().create("_topics", row).await
}

/// An app with the topic `news`, which everybody may follow and publish to.
async fn app_with_news() -> TestApp {
    let app = TestApp::new().start().await;
    make_topic(&app, "news", json!(""), json!("")).await;
    app
}

/// Publishes, which must be allowed; gives the id.
async fn publish(client: &Client, name: &str, payload: Value) -> String {
    let answer = client.post(&topic(name), payload).await.expect(200);
    assert_eq!(answer["success"], json!(true));
    answer["id"].as_str().expect("an id").to_owned()
}

/// Runs something in a write transaction of the server.
async fn write<T: Send + 'static>(
    app: &TestApp,
    job: impl for<'t> FnOnce(
        &'t mut rotunda::store::Tx,
    )
        -> futures_util::future::BoxFuture<'t, Result<T, rotunda::engine::Error>>
    + Send
    + 'static,
) -> Result<T, rotunda::engine::Error> {
    app.engine().expect("our own").store().write(job).await
}
