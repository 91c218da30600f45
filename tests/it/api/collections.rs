//! Collections: made, changed without losing what records hold, deleted, imported.

use serde_json::{Value, json};

use crate::support::fields::{
    bool, closed, field, json_field, number, open, relation, select, text, with,
};
use crate::support::{Client, TestApp, id_of, record, records};

const COLLECTIONS: &str = "/api/collections";

fn at(name: &str) -> String {
    format!("{COLLECTIONS}/{name}")
}

/// A collection's fields after a change of one of them (`None` takes it out).
fn changed(collection: &Value, name: &str, change: Option<Value>) -> Value {
    let fields = collection["fields"].as_array().unwrap().iter().cloned();
    let fields = fields.filter_map(|field| {
        if field["name"] != name {
            return Some(field);
        }
        change.clone().map(|change| with(field, change))
    });
    json!({"fields": fields.collect::<Vec<_>>()})
}

/// Everything about all collections, to see that nothing changed.
async fn everything(root: &Client) -> Value {
    let list = root
        .get(&format!("{COLLECTIONS}?perPage=500&sort=id"))
        .await;
    list.expect(200)["items"].clone()
}

#[tokio::test]
async fn collections_are_made_read_and_deleted() {
    let app = TestApp::new().start().await;
    let root = app.superuser();
    let made = app.collection(open("posts", [text("title")])).await;
    assert_eq!(root.get(&at("posts")).await.expect(200), made);
    assert_eq!(
        root.get(&at(made["id"].as_str().unwrap()))
            .await
            .expect(200),
        made
    );
    let filter = [("filter", "name = 'posts'"), ("fields", "name,fields.name")];
    let list = root.get_with(COLLECTIONS, &filter).await.expect(200);
    let expected = json!([{"name": "posts", "fields": [{"name": "id"}, {"name": "title"}]}]);
    assert_eq!(
        (&list["items"], &list["totalItems"]),
        (&expected, &json!(1))
    );
    app.guest().create("posts", json!({"title": "a"})).await;
    root.delete(&format!("{}/truncate", at("posts")))
        .await
        .expect(204);
    assert_eq!(root.count("posts").await, 0);
    root.delete(&at("posts")).await.expect(204);
    root.get(&at("posts")).await.expect(404);
    root.get(&records("posts")).await.expect(404);
}

#[tokio::test]
async fn collections_are_for_superusers() {
    let app = TestApp::new().start().await;
    app.collection(open("posts", [text("title")])).await;
    for (client, status) in [(app.guest(), 401), (app.user("ann"), 403)] {
        client.get(COLLECTIONS).await.expect(status);
        client.get(&at("posts")).await.expect(status);
        client
            .post(COLLECTIONS, closed("more", []))
            .await
            .expect(status);
        client
            .patch(&at("posts"), json!({"name": "x"}))
            .await
            .expect(status);
        client.delete(&at("posts")).await.expect(status);
        client
            .delete(&format!("{}/truncate", at("posts")))
            .await
            .expect(status);
        client
            .put(&format!("{COLLECTIONS}/import"), json!({"collections": []}))
            .await
            .expect(status);
    }
}

#[tokio::test]
async fn changed_fields_keep_what_records_hold() {
    let app = TestApp::new().start().await;
    let root = app.superuser();
    let tags = app.collection(open("tags", [text("name")])).await;
    let tag = root.create_id("tags", json!({"name": "t"})).await;
    let two = [
        tag.clone(),
        root.create_id("tags", json!({"name": "u"})).await,
    ];
    let multiple = json!({"maxSelect": 2});
    let single = json!({"maxSelect": 1});
    let cases: [(Value, Value, Value, Value); 13] = [
        (
            text("f"),
            json!({"name": "g"}),
            json!("kept"),
            json!("kept"),
        ),
        (number("f"), json!({"name": "g"}), json!(1.5), json!(1.5)),
        (
            text("f"),
            json!({"max": 3}),
            json!("longer"),
            json!("longer"),
        ),
        (
            text("f"),
            json!({"hidden": true}),
            json!("kept"),
            json!("kept"),
        ),
        (
            select("f", &["a", "b"], 1),
            multiple.clone(),
            json!("a"),
            json!(["a"]),
        ),
        (
            select("f", &["a", "b"], 1),
            multiple.clone(),
            json!(""),
            json!([]),
        ),
        (
            select("f", &["a", "b"], 2),
            single.clone(),
            json!(["a", "b"]),
            json!("b"),
        ),
        (
            select("f", &["a", "b"], 2),
            single.clone(),
            json!([]),
            json!(""),
        ),
        (
            relation("f", &tags, single.clone()),
            multiple.clone(),
            json!(tag),
            json!([tag]),
        ),
        (
            relation("f", &tags, multiple.clone()),
            single.clone(),
            json!(two),
            json!(two[1]),
        ),
        (
            select("f", &["a", "b"], 1),
            json!({"values": ["b"]}),
            json!("a"),
            json!("a"),
        ),
        (bool("f"), json!({"name": "F"}), json!(true), json!(true)),
        (
            json_field("f"),
            json!({"name": "json_g"}),
            json!({"a": [1]}),
            json!({"a": [1]}),
        ),
    ];
    for (index, (before, change, value, expected)) in cases.into_iter().enumerate() {
        let name = format!("things{index}");
        let things = app
            .collection(open(&name, [before.clone(), text("other")]))
            .await;
        let id = root
            .create_id(&name, json!({"f": value, "other": "o"}))
            .await;
        root.patch(&at(&name), changed(&things, "f", Some(change.clone())))
            .await
            .expect(200);
        let after = root.view(&name, &id).await;
        let renamed = change["name"].as_str().unwrap_or("f");
        assert_eq!(after[renamed], expected, "{before} with {change}");
        assert_eq!(after["other"], "o");
        if renamed != "f" {
            assert_eq!(after.get("f"), None);
        }
    }
}

#[tokio::test]
async fn fields_are_added_dropped_and_of_another_type() {
    let app = TestApp::new().start().await;
    let root = app.superuser();
    let posts = app
        .collection(open("posts", [text("a"), text("b"), number("n")]))
        .await;
    let id = root
        .create_id("posts", json!({"a": "1", "b": "two", "n": 3}))
        .await;
    let mut more = posts["fields"].as_array().unwrap().clone();
    more.push(json!({"type": "json", "name": "extra"}));
    more.push(json!({"type": "select", "name": "many", "values": ["x", "y"], "maxSelect": 2}));
    let posts = root
        .patch(&at("posts"), json!({"fields": more}))
        .await
        .expect(200);
    let after = root.view("posts", &id).await;
    let seen = json!([
        after["a"],
        after["b"],
        after["n"],
        after["extra"],
        after["many"]
    ]);
    assert_eq!(seen, json!(["1", "two", 3, null, []]));

    let posts = root
        .patch(&at("posts"), changed(&posts, "b", None))
        .await
        .expect(200);
    let after = root.view("posts", &id).await;
    assert_eq!((&after["a"], after.get("b")), (&json!("1"), None));

    // Another type under the same name is another field: PocketBase drops the old column and makes a new one.
    let mut fields: Vec<_> = posts["fields"].as_array().unwrap().clone();
    fields.retain(|field| field["name"] != "n");
    fields.push(json!({"type": "text", "name": "n"}));
    root.patch(&at("posts"), json!({"fields": fields}))
        .await
        .expect(200);
    let after = root.view("posts", &id).await;
    assert_eq!((&after["a"], &after["n"]), (&json!("1"), &json!("")));
    root.update("posts", &id, json!({"n": "now a text"})).await;
}

#[tokio::test]
async fn a_renamed_collection_keeps_records_relations_indexes_and_rules() {
    let app = TestApp::new().start().await;
    let root = app.superuser();
    let indexed = json!({"indexes": ["CREATE UNIQUE INDEX `idx_posts` ON `posts` (`title`)"]});
    let posts = app
        .collection(with(open("posts", [text("title")]), indexed))
        .await;
    let comments = open(
        "comments",
        [text("text"), relation("post", &posts, json!({}))],
    );
    app.collection(with(
        comments,
        json!({"viewRule": "@collection.posts.id ?= post"}),
    ))
    .await;
    let view =
        json!({"name": "titles", "type": "view", "viewQuery": "select id, title from posts"});
    app.collection(view).await;
    let id = root.create_id("posts", json!({"title": "a"})).await;
    let comment = root.create_id("comments", json!({"post": id})).await;

    let renamed = root
        .patch(&at("posts"), json!({"name": "articles"}))
        .await
        .expect(200);
    assert_eq!(renamed["id"], posts["id"]);
    let index = renamed["indexes"][0].as_str().unwrap();
    assert!(index.contains("`articles`"), "{index}");
    assert_eq!(root.view("articles", &id).await["title"], "a");
    root.get(&record("posts", &id)).await.expect(404);
    let again = root.try_create("articles", json!({"title": "a"})).await;
    again.refuses(&[("title", "validation_not_unique")]);
    let path = format!("{}?expand=post", record("comments", &comment));
    assert_eq!(
        root.get(&path).await.expect(200)["expand"]["post"]["title"],
        "a"
    );
    let query = [("filter", "comments_via_post.text = ''")];
    assert_eq!(root.list("articles", &query).await["totalItems"], 1);
}

#[tokio::test]
async fn a_refused_change_leaves_everything_as_before() {
    let app = TestApp::new().start().await;
    let root = app.superuser();
    let posts = app
        .collection(open("posts", [text("title"), number("n")]))
        .await;
    let parents = relation("post", &posts, json!({}));
    app.collection(open("comments", [parents])).await;
    for title in ["a", "a"] {
        root.create("posts", json!({"title": title, "n": 1})).await;
    }
    let before = everything(&root).await;
    let renamed = changed(&posts, "title", Some(json!({"name": "subject"})))["fields"].clone();
    let cases = [
        ("posts", json!({"name": "comments"})),
        ("posts", json!({"name": ""})),
        ("posts", json!({"name": "not valid!"})),
        ("posts", json!({"name": "x", "listRule": "none = 1"})),
        ("posts", json!({"listRule": "title ="})),
        (
            "posts",
            json!({"fields": renamed, "viewRule": "title = 'a'"}),
        ),
        (
            "posts",
            json!({"fields": renamed, "indexes": ["CREATE UNIQUE INDEX `i` ON `posts` (`subject`)"]}),
        ),
        (
            "posts",
            json!({"indexes": ["CREATE INDEX `i` ON `posts` (`none`)"]}),
        ),
        ("posts", json!({"indexes": ["DROP TABLE posts"]})),
        (
            "posts",
            json!({"indexes": ["CREATE INDEX `i` ON `comments` (`post`)"]}),
        ),
        (
            "posts",
            changed(&posts, "title", Some(json!({"name": "n"}))),
        ),
        (
            "posts",
            changed(&posts, "title", Some(json!({"name": "id"}))),
        ),
        (
            "posts",
            changed(&posts, "title", Some(json!({"name": "no good"}))),
        ),
        ("posts", changed(&posts, "title", Some(json!({"min": -1})))),
        (
            "posts",
            changed(&posts, "title", Some(json!({"pattern": "("}))),
        ),
        ("posts", changed(&posts, "n", Some(json!({"type": "none"})))),
        ("posts", json!({"type": "auth"})),
        ("users", json!({"name": "people", "authRule": "none = 1"})),
        ("_superusers", json!({"name": "admins"})),
    ];
    for (name, change) in cases {
        let answer = root.patch(&at(name), change.clone()).await;
        assert_eq!(answer.status, 400, "{change}: {answer:?}");
        assert_eq!(everything(&root).await, before, "{change}");
    }
    for (collection, field) in [
        (json!({"name": "posts", "type": "base"}), "name"),
        (json!({"name": "", "type": "base"}), "name"),
        (json!({"name": "x", "type": "none"}), "type"),
        (
            json!({"name": "x", "type": "view", "viewQuery": "drop table posts"}),
            "viewQuery",
        ),
        (
            json!({"name": "x", "type": "view", "viewQuery": "select 1 as id; drop table posts"}),
            "viewQuery",
        ),
        (
            json!({"name": "x", "type": "view", "viewQuery": ""}),
            "viewQuery",
        ),
        (
            open(
                "x",
                [json!({"name": "r", "type": "relation", "collectionId": "none"})],
            ),
            "fields",
        ),
        (
            open("x", [json!({"name": "s", "type": "select", "values": []})]),
            "fields",
        ),
    ] {
        let answer = root.post(COLLECTIONS, collection.clone()).await;
        let body = answer.expect(400);
        assert!(
            body["data"].get(field).is_some(),
            "{collection}: {answer:?}"
        );
        assert_eq!(everything(&root).await, before, "{collection}");
    }
    root.delete(&at("posts")).await.expect(400);
    root.delete(&at("_superusers")).await.expect(400);
    assert_eq!(everything(&root).await, before);
    assert_eq!(root.column("posts", "title", &[]).await, json!(["a", "a"]));
}

#[tokio::test]
async fn an_import_comes_whole_or_not_at_all() {
    let app = TestApp::new().start().await;
    let root = app.superuser();
    let import = format!("{COLLECTIONS}/import");
    let posts = app.collection(open("posts", [text("title")])).await;
    let id = root.create_id("posts", json!({"title": "kept"})).await;
    let before = everything(&root).await;
    let mut wider = posts.clone();
    let fields = wider["fields"].as_array_mut().unwrap();
    fields.push(json!({"name": "n", "type": "number"}));
    let broken = json!({"collections": [wider, closed("fine", []), closed("not fine!", [])]});
    root.put(&import, broken).await.expect(400);
    assert_eq!(everything(&root).await, before);
    for nothing in [
        json!({}),
        json!({"collections": []}),
        json!({"collections": "x"}),
    ] {
        root.put(&import, nothing).await.expect(400);
    }

    let sound = json!({"collections": [wider, closed("fine", [field("text", "a", json!({}))])]});
    root.put(&import, sound).await.expect(204);
    let after = root.view("posts", &id).await;
    assert_eq!((&after["title"], &after["n"]), (&json!("kept"), &json!(0)));
    root.get(&at("fine")).await.expect(200);
    root.get(&at("users")).await.expect(200);

    let keep = json!({"deleteMissing": true, "collections": [posts]});
    root.put(&import, keep).await.expect(204);
    root.get(&at("fine")).await.expect(404);
    root.get(&at("users")).await.expect(404);
    root.get(&at("_superusers")).await.expect(200);
    let after = root.view("posts", &id).await;
    assert_eq!((&after["title"], after.get("n")), (&json!("kept"), None));
}

#[tokio::test]
async fn scaffolds_and_new_auth_collections_work_as_they_come() {
    let app = TestApp::new().start().await;
    let root = app.superuser();
    let scaffolds = root
        .get(&format!("{COLLECTIONS}/meta/scaffolds"))
        .await
        .expect(200);
    for kind in ["base", "auth"] {
        let collection = with(
            scaffolds[kind].clone(),
            json!({"name": format!("new_{kind}"), "createRule": ""}),
        );
        let made = app.collection(collection).await;
        assert_eq!(made["type"], kind);
    }
    let guest = app.guest();
    let member =
        json!({"email": "m@example.com", "password": "12345678", "passwordConfirm": "12345678"});
    let member = guest.create("new_auth", member).await;
    let signed_in = guest
        .sign_in("new_auth", "m@example.com", "12345678")
        .await
        .expect(200);
    assert_eq!(id_of(&signed_in["record"]), id_of(&member));
    assert!(made_by_default(
        &root.get(&at("new_auth")).await.expect(200)
    ));
}

fn made_by_default(collection: &Value) -> bool {
    let names = collection["fields"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|field| field["name"].as_str().unwrap()).collect();
    [
        "id",
        "password",
        "tokenKey",
        "email",
        "emailVisibility",
        "verified",
    ]
    .iter()
    .all(|name| names.contains(name))
}
