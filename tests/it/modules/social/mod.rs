//! Posts, likes and comments.

mod property;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::crowd;
use crate::support::{Client, Form, TestApp, record};

async fn app() -> TestApp {
    TestApp::new().modules("social").start().await
}

fn path(post: &str, what: &str) -> String {
    format!("/api/posts/{post}/{what}")
}

async fn post(client: &Client, is_public: bool) -> String {
    let body = json!({"type": "html", "content": "a post", "isPublic": is_public});
    let made = client.post("/api/posts", body).await.expect(201);
    assert_eq!(made["success"], true);
    assert_eq!(made["post_id"], made["post"]["id"]);
    made["post_id"].as_str().unwrap().to_owned()
}

async fn counts(app: &TestApp, post: &str) -> (i64, i64) {
    let post = app.superuser().view("posts", post).await;
    let count = |name: &str| post[name].as_i64().unwrap();
    (count("likesCount"), count("commentsCount"))
}

async fn events(app: &TestApp) -> crate::support::Stream {
    app.guest()
        .stream("/api/events/post_events")
        .await
        .placed()
        .await
}

#[tokio::test]
async fn a_post_belongs_to_its_caller_and_starts_at_zero() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let body = json!({"type": "html", "content": "x", "is_public": true, "categories": "tech, food",
        "user": bob.id, "likesCount": 9, "comments_count": 9, "data_action": {"a": 1}, "unknown": true});
    let made = ann.post("/api/posts", body).await.expect(201);
    let post = &made["post"];
    assert_eq!(post["user"], json!(ann.id));
    assert_eq!(
        (&post["likesCount"], &post["commentsCount"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(post["categories"], json!(["tech", "food"]));
    assert_eq!(post["dataAction"], json!({"a": 1}));
    // The records API has the same effect.
    let other = json!({"type": "url", "isPublic": true, "user": bob.id, "likesCount": 7});
    let other = ann.create("posts", other).await;
    assert_eq!(
        (&other["user"], &other["likesCount"]),
        (&json!(ann.id), &json!(0))
    );
    let id = other["id"].as_str().unwrap();
    for client in [&ann, &app.superuser()] {
        let kept = client
            .update("posts", id, json!({"likesCount": 5, "commentsCount": 5}))
            .await;
        assert_eq!(
            (&kept["likesCount"], &kept["commentsCount"]),
            (&json!(0), &json!(0))
        );
    }
    let kept = ann.update("posts", id, json!({"user": bob.id})).await;
    assert_eq!(kept["user"], json!(ann.id));
}

#[tokio::test]
async fn a_form_with_files_makes_a_post() {
    let app = app().await;
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0".to_vec();
    let form = Form::default()
        .text("type", "images")
        .text("content", "123")
        .text("is_public", "true")
        .text("categories", "tech,travel")
        .file("images", "a.png", png);
    let made = app
        .user("ann")
        .form(Method::POST, "/api/posts", form)
        .await
        .expect(201);
    let post = &made["post"];
    assert_eq!(post["content"], "123");
    assert_eq!(post["isPublic"], true);
    assert_eq!(post["categories"], json!(["tech", "travel"]));
    assert_eq!(post["images"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn wrong_input_names_its_field() {
    let app = app().await;
    let ann = app.user("ann");
    let id = post(&ann, true).await;
    for (body, field) in [
        (json!({"content": "x"}), "type"),
        (json!({"type": 1}), "type"),
        (json!({"type": "poem"}), "type"),
        (json!({"type": "html", "is_public": "yes"}), "is_public"),
        (json!({"type": "html", "categories": 4}), "categories"),
        (
            json!({"type": "html", "categories": ["cars"]}),
            "categories",
        ),
        (json!({"type": "html", "action": "run"}), "action"),
        (json!({"type": "html", "action_text": []}), "actionText"),
    ] {
        let refused = ann.post("/api/posts", body.clone()).await.expect(400);
        assert!(refused["data"].get(field).is_some(), "{body}: {refused}");
        assert_eq!(refused["success"], false);
        assert_eq!(refused["error"], refused["message"]);
    }
    let like = ann
        .post(&format!("{}?reaction=hate", path(&id, "like")), Value::Null)
        .await;
    assert!(like.expect(400)["data"].get("reaction").is_some());
    for body in [
        json!({}),
        json!({"content": 4}),
        json!({"content": "  "}),
        json!({"content": "x".repeat(10_001)}),
    ] {
        let refused = ann
            .post(&path(&id, "comment"), body.clone())
            .await
            .expect(400);
        assert!(
            refused["data"].get("content").is_some(),
            "{body}: {refused}"
        );
    }
    let limit = ann.get("/api/posts/trending?limit=many").await.expect(400);
    assert!(limit["data"].get("limit").is_some());
    app.guest().get("/api/posts").await.expect(401);
    app.guest()
        .post("/api/posts", json!({"type": "html"}))
        .await
        .expect(401);
    app.guest()
        .post(&path(&id, "like"), Value::Null)
        .await
        .expect(401);
}

#[tokio::test]
async fn a_like_is_one_per_user_and_can_change() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let id = post(&ann, true).await;
    let mut topic = events(&app).await;
    let like = async |reaction: &str| {
        let path = format!("{}{reaction}", path(&id, "like"));
        let answer = bob.post(&path, Value::Null).await.expect(200);
        assert_eq!(answer["success"], true);
        answer["like_id"].clone()
    };
    let first = like("").await;
    assert_eq!(like("").await, first);
    assert_eq!(like("?reaction=fire").await, first);
    assert_eq!(counts(&app, &id).await, (1, 0));
    let stats = ann.get(&path(&id, "stats")).await.expect(200);
    assert_eq!(
        (
            &stats["likesCount"],
            &stats["reactions"]["fire"],
            &stats["reactions"]["like"]
        ),
        (&json!(1), &json!(1), &json!(0))
    );
    bob.delete(&path(&id, "like")).await.expect(200);
    assert_eq!(counts(&app, &id).await, (0, 0));
    bob.delete(&path(&id, "like")).await.expect(404);
    let event = |kind: &str, reaction: &str| json!({"type": kind, "post_id": id, "user_id": bob.id, "reaction": reaction});
    let expected = [
        event("like", "like"),
        event("like", "fire"),
        event("unlike", "fire"),
    ];
    assert_eq!(topic.many(3).await, expected);
    // One notification: the owner is told of the like, not of each change.
    let told = ann.get("/api/user/notifications").await.expect(200);
    assert_eq!(told["count"], 1);
    assert_eq!(told["notifications"][0]["type"], "post_liked");
    assert_eq!(
        told["notifications"][0]["data"],
        json!({"post_id": id, "user_id": bob.id, "reaction": "like"})
    );
}

#[tokio::test]
async fn nobody_is_told_of_own_likes_and_comments() {
    let app = app().await;
    let ann = app.user("ann");
    let id = post(&ann, true).await;
    ann.post(&path(&id, "like"), Value::Null).await.expect(200);
    ann.post(&path(&id, "comment"), json!({"content": "first"}))
        .await
        .expect(200);
    let told = ann.get("/api/user/notifications").await.expect(200);
    assert_eq!(told["count"], 0);
}

#[tokio::test]
async fn the_records_api_likes_and_comments_with_the_same_effect() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let id = post(&ann, true).await;
    // A foreign user is ignored.
    let like = bob
        .create(
            "likes",
            json!({"post": id, "user": ann.id, "reaction": "love"}),
        )
        .await;
    assert_eq!(like["user"], json!(bob.id));
    bob.try_create("likes", json!({"post": id, "reaction": "love"}))
        .await
        .expect(400);
    let comment = bob
        .create(
            "comments",
            json!({"post": id, "user": ann.id, "content": "hi"}),
        )
        .await;
    assert_eq!(comment["user"], json!(bob.id));
    assert_eq!(counts(&app, &id).await, (1, 1));
    // A like stays with its post.
    let other = post(&ann, true).await;
    let like = like["id"].as_str().unwrap();
    let moved = bob
        .update("likes", like, json!({"post": other, "reaction": "wow"}))
        .await;
    assert_eq!(
        (&moved["post"], &moved["reaction"]),
        (&json!(id), &json!("wow"))
    );
    assert_eq!(counts(&app, &other).await, (0, 0));
    ann.delete(&record("likes", like)).await.expect(404);
    bob.delete(&record("likes", like)).await.expect(204);
    let batch = json!({"requests": [
        {"method": "POST", "url": "/api/collections/likes/records", "body": {"post": id, "reaction": "sad"}},
        {"method": "POST", "url": "/api/collections/comments/records", "body": {"post": id, "content": "again"}},
        {"method": "POST", "url": "/api/collections/comments/records", "body": {"post": "missing", "content": "again"}},
    ]});
    app.superuser()
        .patch("/api/settings", json!({"batch": {"enabled": true}}))
        .await
        .expect(200);
    bob.post("/api/batch", batch.clone()).await.expect(400);
    assert_eq!(counts(&app, &id).await, (0, 1));
    let mut requests = batch["requests"].as_array().unwrap().clone();
    requests.pop();
    bob.post("/api/batch", json!({"requests": requests}))
        .await
        .expect(200);
    assert_eq!(counts(&app, &id).await, (1, 2));
}

#[tokio::test]
async fn a_reply_belongs_to_the_post_of_its_parent() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let (one, other) = (post(&ann, true).await, post(&ann, true).await);
    let comment = async |post: &str, parent: &Value| {
        let body = json!({"content": "c", "parent_comment": parent});
        bob.post(&path(post, "comment"), body).await
    };
    let parent = comment(&one, &Value::Null).await.expect(200)["comment_id"].clone();
    let reply = comment(&one, &parent).await.expect(200)["comment_id"].clone();
    comment(&one, &reply).await.expect(200);
    for parent in [&parent, &json!("missing"), &reply] {
        let refused = comment(&other, parent).await.expect(400);
        assert!(refused["data"].get("parentComment").is_some(), "{refused}");
    }
    let direct = json!({"post": other, "content": "c", "parentComment": parent});
    bob.try_create("comments", direct)
        .await
        .refuses(&[("parentComment", "validation_invalid_parent")]);
    assert_eq!(counts(&app, &one).await, (0, 3));
    // Replies go with the comment they answer.
    let parent = parent.as_str().unwrap();
    app.user("carl")
        .delete(&record("comments", parent))
        .await
        .expect(404);
    bob.delete(&record("comments", parent)).await.expect(204);
    assert_eq!(counts(&app, &one).await, (0, 0));
    assert_eq!(counts(&app, &other).await, (0, 0));
}

#[tokio::test]
async fn a_private_post_is_nobody_elses() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let mut topic = events(&app).await;
    let id = post(&ann, false).await;
    for (method, what) in [
        (Method::POST, "like"),
        (Method::DELETE, "like"),
        (Method::POST, "comment"),
        (Method::GET, "stats"),
    ] {
        let request = bob
            .request(method, &path(&id, what))
            .json(&json!({"content": "x"}));
        bob.send(request).await.expect(404);
    }
    bob.try_create("likes", json!({"post": id, "reaction": "like"}))
        .await
        .expect(400);
    bob.try_create("comments", json!({"post": id, "content": "x"}))
        .await
        .expect(400);
    ann.post(&path(&id, "like"), Value::Null).await.expect(200);
    let comment = ann
        .post(&path(&id, "comment"), json!({"content": "mine"}))
        .await
        .expect(200);
    bob.get(&record("posts", &id)).await.expect(404);
    bob.get(&record("comments", comment["comment_id"].as_str().unwrap()))
        .await
        .expect(404);
    for collection in ["posts", "likes", "comments"] {
        assert_eq!(bob.count(collection).await, 0, "{collection}");
        assert_eq!(ann.count(collection).await, 1, "{collection}");
    }
    assert_eq!(bob.get("/api/posts").await.expect(200)["totalItems"], 0);
    assert_eq!(bob.get("/api/posts/trending").await.expect(200)["count"], 0);
    assert_eq!(ann.get("/api/posts/trending").await.expect(200)["count"], 0);
    // The first thing that the topic hears is the public one.
    let public = post(&ann, true).await;
    assert_eq!(
        topic.json().await,
        json!({"type": "new_post", "post_id": public, "user_id": ann.id})
    );
}

#[tokio::test]
async fn what_turned_private_is_not_told_again() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let mut topic = events(&app).await;
    let start = topic.last_id.clone();
    let (hidden, kept) = (post(&ann, true).await, post(&ann, true).await);
    bob.post(&path(&hidden, "comment"), json!({"content": "secret"}))
        .await
        .expect(200);
    bob.post(&path(&hidden, "like"), Value::Null)
        .await
        .expect(200);
    topic.many(4).await;
    ann.update("posts", &hidden, json!({"isPublic": false}))
        .await;
    bob.delete(&path(&hidden, "like")).await.expect(404);
    let last = post(&ann, true).await;
    let mut again = app.guest().resume("/api/events/post_events", &start).await;
    let told: Vec<Value> = again
        .many(2)
        .await
        .iter()
        .map(|event| event["post_id"].clone())
        .collect();
    assert_eq!(told, [json!(kept), json!(last)]);
    assert_eq!(bob.count("comments").await, 0);
    // Shown again, it is news again.
    ann.update("posts", &hidden, json!({"isPublic": true}))
        .await;
    assert_eq!(again.json().await["post_id"], json!(hidden));
}

#[tokio::test]
async fn counters_hold_after_deletes_of_posts_users_and_comments() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let (one, other) = (post(&ann, true).await, post(&bob, true).await);
    for client in [&ann, &bob, &carl] {
        for id in [&one, &other] {
            client
                .post(&path(id, "like"), Value::Null)
                .await
                .expect(200);
            client
                .post(&path(id, "comment"), json!({"content": "c"}))
                .await
                .expect(200);
        }
    }
    assert_eq!(counts(&app, &other).await, (3, 3));
    let root = app.superuser();
    root.delete(&record("users", &carl.id)).await.expect(204);
    assert_eq!(counts(&app, &one).await, (2, 2));
    assert_eq!(counts(&app, &other).await, (2, 2));
    root.delete(&record("users", &ann.id)).await.expect(204);
    assert_eq!(counts(&app, &other).await, (1, 1));
    assert_eq!(root.count("posts").await, 1);
    bob.delete(&record("posts", &other)).await.expect(204);
    for collection in ["posts", "likes", "comments"] {
        assert_eq!(root.count(collection).await, 0, "{collection}");
    }
}

#[tokio::test]
async fn five_hundred_likes_at_once_are_five_hundred() {
    let app = app().await;
    let id = post(&app.user("ann"), true).await;
    let crowd = crowd(&app, 500).await;
    // Every second one by the records API, some twice.
    let likes = crowd.iter().enumerate().map(async |(index, client)| {
        if index % 2 == 0 {
            client
                .create("likes", json!({"post": id, "reaction": "wow"}))
                .await;
        } else {
            client
                .post(&path(&id, "like"), Value::Null)
                .await
                .expect(200);
        }
        if index % 10 == 0 {
            client
                .post(&path(&id, "like"), Value::Null)
                .await
                .expect(200);
        }
    });
    join_all(likes).await;
    assert_eq!(counts(&app, &id).await.0, 500);
    let stats = app.user("ann").get(&path(&id, "stats")).await.expect(200);
    let reactions = stats["reactions"].as_object().unwrap();
    let sum: i64 = reactions
        .values()
        .map(|count| count.as_i64().unwrap())
        .sum();
    assert_eq!(sum, 500);
    let unlikes = crowd
        .iter()
        .map(async |client| client.delete(&path(&id, "like")).await.expect(200));
    join_all(unlikes).await;
    assert_eq!(counts(&app, &id).await.0, 0);
}

#[tokio::test]
async fn trending_prefers_what_is_liked_and_young() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let (plain, liked, old) = (
        post(&ann, true).await,
        post(&ann, true).await,
        post(&ann, true).await,
    );
    for client in [&bob, &carl] {
        client
            .post(&path(&old, "like"), Value::Null)
            .await
            .expect(200);
        client
            .post(&path(&old, "comment"), json!({"content": "c"}))
            .await
            .expect(200);
    }
    bob.post(&path(&liked, "like"), Value::Null)
        .await
        .expect(200);
    let query = format!("UPDATE posts SET created = '2020-01-01 00:00:00.000Z' WHERE id = '{old}'");
    app.superuser()
        .post("/api/sql", json!({"query": query}))
        .await
        .expect(200);
    let trending = bob.get("/api/posts/trending?expand=user").await.expect(200);
    let ids: Vec<&Value> = trending["posts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|post| &post["id"])
        .collect();
    assert_eq!(ids, [&json!(liked), &json!(plain), &json!(old)]);
    assert_eq!(trending["count"], 3);
    assert_eq!(trending["posts"][0]["expand"]["user"]["name"], "ann");
    let top = bob.get("/api/posts/trending?limit=1").await.expect(200);
    assert_eq!(
        (&top["count"], &top["posts"][0]["id"]),
        (&json!(1), &json!(liked))
    );
}

#[tokio::test]
async fn existing_clients_are_understood() {
    let app = app().await;
    let ann = app.user("ann");
    let id = post(&ann, true).await;
    // A JSON type without a body, and a body without a type.
    let empty = ann
        .request(Method::POST, &path(&id, "like"))
        .header("content-type", "application/json");
    ann.send(empty).await.expect(200);
    let untyped = ann
        .request(Method::POST, &path(&id, "comment"))
        .body(r#"{"content":"x"}"#);
    ann.send(untyped).await.expect(200);
    let broken = ann.request(Method::POST, &path(&id, "comment")).body("{");
    ann.send(broken).await.expect(400);
    let page = ann
        .get("/api/posts?perPage=1&filter=type%3D'html'")
        .await
        .expect(200);
    let numbers = ["count", "page", "perPage", "totalItems"].map(|name| page[name].clone());
    assert_eq!(numbers, [json!(1), json!(1), json!(1), json!(1)]);
    ann.get("/api/posts?filter=nope%3D1").await.expect(400);
}

#[tokio::test]
async fn scripts_like_and_comment() {
    let script = r#"
        routerAdd("POST", "/social/{user}/{post}", (e) => {
            const [user, post] = [e.request.pathValue("user"), e.request.pathValue("post")]
            const done = { like: social.likePost(user, post, "fire"), comment: social.commentPost(user, post, "by script") }
            $app.runInTransaction(() => { done.inside = social.commentPost(user, post, "inside", done.comment.comment_id) })
            done.stats = social.getPostStats(post)
            done.trending = social.getTrendingPosts(5).length
            done.missing = social.likePost(user, "missing", "fire")
            done.wrong = social.likePost(user, post, "hate")
            return e.json(200, done)
        })
    "#;
    let app = TestApp::new()
        .modules("social")
        .hook("a.pb.js", script)
        .start()
        .await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let id = post(&ann, true).await;
    let done = bob
        .post(&format!("/social/{}/{id}", bob.id), Value::Null)
        .await
        .expect(200);
    assert_eq!(done["like"]["success"], true, "{done}");
    assert_eq!(done["inside"]["success"], true, "{done}");
    assert_eq!(done["stats"]["likesCount"], 1);
    assert_eq!(done["stats"]["commentsCount"], 2);
    assert_eq!(done["trending"], 1);
    assert!(
        done["missing"]["error"].is_string() && done["wrong"]["error"].is_string(),
        "{done}"
    );
    assert_eq!(counts(&app, &id).await, (1, 2));
}

#[tokio::test]
async fn the_owner_of_a_post_removes_comments_below_it() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let id = post(&ann, true).await;
    let made = bob
        .post(&path(&id, "comment"), json!({"content": "rude"}))
        .await;
    let comment = made.expect(200)["comment_id"].as_str().unwrap().to_owned();
    let change = json!({"content": "kind"});
    ann.patch(&record("comments", &comment), change)
        .await
        .expect(404);
    ann.delete(&record("comments", &comment)).await.expect(204);
    assert_eq!(counts(&app, &id).await, (0, 0));
}

#[tokio::test]
async fn counters_hold_when_an_account_goes_with_comments_that_answer_each_other() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let id = post(&ann, true).await;
    let comment = async |by: &Client, parent: &Value| {
        let body = json!({"content": "c", "parent_comment": parent});
        let made = by.post(&path(&id, "comment"), body).await.expect(200);
        made["comment_id"].clone()
    };
    for _ in 0..3 {
        comment(&bob, &Value::Null).await;
    }
    // carl, carl's answer, bob's answer to that, and carl's to that.
    let first = comment(&carl, &Value::Null).await;
    let second = comment(&carl, &first).await;
    let third = comment(&bob, &second).await;
    comment(&carl, &third).await;
    assert_eq!(counts(&app, &id).await, (0, 7));
    let root = app.superuser();
    root.delete(&record("users", &carl.id)).await.expect(204);
    assert_eq!(counts(&app, &id).await, (0, 3));
    assert_eq!(root.count("comments").await, 3);
}

#[tokio::test]
async fn files_of_a_private_post_are_their_owners() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0".to_vec();
    let form = Form::default()
        .text("type", "images")
        .text("is_public", "false")
        .file("images", "a.png", png);
    let made = ann.form(Method::POST, "/api/posts", form).await.expect(201);
    let (id, name) = (&made["post_id"], &made["post"]["images"][0]);
    let id = id.as_str().unwrap();
    let file = format!("/api/files/posts/{id}/{}", name.as_str().unwrap());
    app.guest().get(&file).await.expect(404);
    let token = bob.file_token().await;
    app.guest()
        .get(&format!("{file}?token={token}"))
        .await
        .expect(404);
    let token = ann.file_token().await;
    let own = app.guest().get(&format!("{file}?token={token}")).await;
    assert_eq!(own.status, 200);
    ann.update("posts", id, json!({"isPublic": true})).await;
    assert_eq!(app.guest().get(&file).await.status, 200);
}

#[tokio::test]
async fn forms_are_texts_and_further_fields_are_kept() {
    let app = app().await;
    let ann = app.user("ann");
    let root = app.superuser();
    let posts = root.get("/api/collections/posts").await.expect(200);
    let mut fields = posts["fields"].as_array().unwrap().clone();
    fields.push(json!({"name": "mood", "type": "text"}));
    let changed = json!({"fields": fields});
    root.patch("/api/collections/posts", changed)
        .await
        .expect(200);
    let body = json!({"type": "html", "is_public": true, "mood": "good"});
    let made = ann.post("/api/posts", body).await.expect(201);
    assert_eq!(made["post"]["mood"], "good");
    let id = made["post_id"].as_str().unwrap().to_owned();
    for text in ["123", "true"] {
        let form = ann
            .request(Method::POST, &path(&id, "comment"))
            .form(&[("content", text)]);
        let id = ann.send(form).await.expect(200)["comment_id"].clone();
        let comment = ann.view("comments", id.as_str().unwrap()).await;
        assert_eq!(comment["content"], *text);
    }
    let form = ann.request(Method::POST, "/api/posts").form(&[
        ("type", "html"),
        ("content", "007"),
        ("is_public", "true"),
    ]);
    let made = ann.send(form).await.expect(201);
    assert_eq!(
        (&made["post"]["content"], &made["post"]["isPublic"]),
        (&json!("007"), &json!(true))
    );
}
