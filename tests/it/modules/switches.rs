//! Which modules run, and what they leave alone.

use rotunda::config::Config;
use rotunda::server;
use serde_json::{Value, json};

use crate::support::TestApp;

fn names(collections: &Value) -> Vec<&str> {
    let items = collections["items"].as_array().unwrap();
    items
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_module_that_is_off_leaves_no_trace() {
    let app = TestApp::new().modules("none").start().await;
    let root = app.superuser();
    let collections = root.get("/api/collections?perPage=200").await.expect(200);
    for name in ["posts", "likes", "comments", "_topics", "notifications"] {
        assert!(!names(&collections).contains(&name), "{name}");
    }
    app.user("ann").get("/api/posts").await.expect(404);
    let description = root.get("/api/openapi").await.expect(200);
    assert!(description["paths"].get("/api/posts").is_none());
}

#[tokio::test]
async fn a_module_brings_its_collections_routes_and_description() {
    let app = TestApp::new().modules("social").start().await;
    let root = app.superuser();
    let collections = root.get("/api/collections?perPage=200").await.expect(200);
    for name in ["posts", "likes", "comments", "_topics", "notifications"] {
        assert!(names(&collections).contains(&name), "{name}");
    }
    let description = root.get("/api/openapi").await.expect(200);
    assert!(description["paths"].get("/api/posts").is_some());
    // People who are signed in see each other, and nobody's e-mail address.
    let bob = app.user("ann").view("users", &app.user("bob").id).await;
    assert_eq!(bob["name"], "bob");
    assert!(bob.get("email").is_none());
    app.guest()
        .get(&format!(
            "/api/collections/users/records/{}",
            app.user("bob").id
        ))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_collection_of_another_shape_is_left_alone() {
    let mut app = TestApp::new().start().await;
    let own = json!({"name": "posts", "type": "base", "listRule": "",
        "fields": [{"name": "title", "type": "text"}]});
    app.collection(own).await;
    let root = app.superuser();
    root.create("posts", json!({"title": "mine"})).await;
    app.restart_with(|config| config.modules = Some("all".to_owned()))
        .await;
    let guest = app.guest();
    let list = guest.list("posts", &[]).await;
    assert_eq!(list["items"][0]["title"], "mine");
    let collection = app
        .superuser()
        .get("/api/collections/posts")
        .await
        .expect(200);
    let fields = collection["fields"].as_array().unwrap();
    assert_eq!(fields.len(), 2, "{fields:?}");
    app.user("ann").get("/api/posts").await.expect(404);
    app.superuser()
        .get("/api/collections/likes")
        .await
        .expect(404);
}

#[tokio::test]
async fn collections_stay_as_they_are_at_the_next_start() {
    let mut app = TestApp::new().modules("social").start().await;
    let before = app
        .superuser()
        .get("/api/collections?perPage=200")
        .await
        .expect(200);
    app.restart_with(|config| config.modules = Some("social".to_owned()))
        .await;
    let after = app
        .superuser()
        .get("/api/collections?perPage=200")
        .await
        .expect(200);
    assert_eq!(before, after);
}

#[tokio::test]
async fn what_a_module_that_is_off_has_made_is_closed_to_clients() {
    let mut app = TestApp::new().modules("all").start().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let body = json!({"type": "html", "isPublic": true});
    let post = ann.post("/api/posts", body.clone()).await.expect(201)["post_id"].clone();
    app.restart_with(|config| config.modules = Some("none".to_owned()))
        .await;
    let (ann, bob) = (app.user_again(&ann), app.user_again(&bob));
    for (collection, record) in [
        (
            "posts",
            json!({"type": "html", "user": ann.id, "likesCount": 99}),
        ),
        (
            "likes",
            json!({"post": post, "user": ann.id, "reaction": "like"}),
        ),
        (
            "follows",
            json!({"follower": bob.id, "following": ann.id, "status": "active", "role": "admin"}),
        ),
        (
            "ventesArticle",
            json!({"article": "x", "montant": 1, "status": "paye"}),
        ),
        (
            "followSettings",
            json!({"user": ann.id, "followType": "free"}),
        ),
    ] {
        bob.try_create(collection, record).await.expect(404);
    }
    let path = format!("/api/collections/posts/records/{}", post.as_str().unwrap());
    ann.patch(&path, json!({"likesCount": 99}))
        .await
        .expect(404);
    app.superuser()
        .patch(&path, json!({"content": "kept"}))
        .await
        .expect(200);
    // An account goes with what belongs to it, as ever.
    ann.delete(&format!("/api/collections/users/records/{}", ann.id))
        .await
        .expect(204);
    assert_eq!(app.superuser().count("posts").await, 0);
}

/// A server that is restarted in place leaves the process running.
#[tokio::test]
async fn tasks_of_modules_end_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path().join("pb_data"));
    config.modules = Some("all".to_owned());
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let engine = server::open(&config).await.unwrap();
    let before = tasks();
    let live = server::open_live(&config, &engine);
    let with_live = tasks();
    server::open_modules(&config, &engine, &live).await.unwrap();
    assert!(tasks() > with_live, "modules have tasks");
    live.end();
    crate::support::in_time("the tasks to end", async {
        while tasks() > before {
            tokio::task::yield_now().await;
        }
    })
    .await;
    engine.store().close().await;
}
