//! Access rules: who may do what, and how the others are told.

use serde_json::{Value, json};

use crate::support::fields::{closed, field, number, relation, text, with};
use crate::support::{TestApp, id_of, record, records};

/// A rule with the statuses that a guest, ann and bob get; the record belongs to ann.
type Case = (Value, [u16; 3]);

#[tokio::test]
async fn rules_decide_each_verb() {
    let app = TestApp::new().start().await;
    let users = app
        .superuser()
        .get("/api/collections/users")
        .await
        .expect(200);
    let (root, ann, bob) = (app.superuser(), app.user("ann"), app.user("bob"));
    let notes = closed(
        "notes",
        [text("title"), relation("owner", &users, json!({}))],
    );
    app.collection(notes).await;
    let callers = [app.guest(), ann.clone(), bob];
    let nobody = json!(null);
    let signed_in = json!("@request.auth.id != ''");
    let own = json!("owner = @request.auth.id");
    let sent = json!("@request.body.owner = @request.auth.id && @request.body.title:isset = true");
    let titled = json!("title = 'mine'");
    let cases: [(&str, Vec<Case>); 5] = [
        (
            "list",
            vec![
                (nobody.clone(), [403, 403, 403]),
                (own.clone(), [200, 200, 200]),
            ],
        ),
        (
            "view",
            vec![
                (nobody.clone(), [403, 403, 403]),
                (json!(""), [200, 200, 200]),
                (signed_in.clone(), [404, 200, 200]),
                (own.clone(), [404, 200, 404]),
                (json!("owner.name = @request.auth.name"), [404, 200, 404]),
                (
                    json!("@request.context = 'default' && @request.method = 'GET'"),
                    [200, 200, 200],
                ),
                (
                    json!("@request.headers.x_none != '' || @request.query.none != ''"),
                    [404, 404, 404],
                ),
                (json!("@collection.users.name ?= title"), [404, 404, 404]),
            ],
        ),
        (
            "create",
            vec![
                (nobody.clone(), [403, 403, 403]),
                (signed_in.clone(), [400, 200, 200]),
                (own.clone(), [400, 200, 400]),
                (sent.clone(), [400, 200, 400]),
                (json!("title = 'new'"), [200, 200, 200]),
            ],
        ),
        (
            "update",
            vec![
                (nobody.clone(), [403, 403, 403]),
                (own.clone(), [404, 200, 404]),
                (titled.clone(), [200, 200, 200]),
                (
                    json!("@request.body.title:changed = false"),
                    [404, 404, 404],
                ),
                (json!("@request.body.owner:isset = false"), [200, 200, 200]),
            ],
        ),
        (
            "delete",
            vec![
                (nobody, [403, 403, 403]),
                (own, [404, 204, 404]),
                (titled, [204, 204, 204]),
            ],
        ),
    ];
    for (verb, cases) in cases {
        for (rule, statuses) in cases {
            let change = json!({format!("{verb}Rule"): rule});
            root.patch("/api/collections/notes", change)
                .await
                .expect(200);
            for (caller, status) in callers.iter().zip(statuses) {
                let mine = json!({"title": "mine", "owner": ann.id});
                let id = root.create_id("notes", mine.clone()).await;
                let path = record("notes", &id);
                let answer = match verb {
                    "list" => caller.get(&records("notes")).await,
                    "view" => caller.get(&path).await,
                    "create" => {
                        let new = json!({"title": "new", "owner": ann.id});
                        caller.try_create("notes", new).await
                    }
                    "update" => caller.patch(&path, json!({"title": "changed"})).await,
                    _ => caller.delete(&path).await,
                };
                assert_eq!(answer.status, status, "{verb} {rule}: {answer:?}");
                let done = status < 300;
                let expected = match verb {
                    "update" if done => Some("changed"),
                    "delete" if done => None,
                    _ => Some("mine"),
                };
                let left = root.get(&path).await;
                let left = (left.status == 200).then(|| left.json());
                let title = left.as_ref().map(|left| left["title"].as_str().unwrap());
                assert_eq!(title, expected, "{verb} {rule}");
            }
        }
    }
}

#[tokio::test]
async fn list_hides_records_the_rule_denies() {
    let app = TestApp::new().start().await;
    let users = app
        .superuser()
        .get("/api/collections/users")
        .await
        .expect(200);
    let notes = closed(
        "notes",
        [text("title"), relation("owner", &users, json!({}))],
    );
    app.collection(with(notes, json!({"listRule": "owner = @request.auth.id"})))
        .await;
    let (root, ann, bob) = (app.superuser(), app.user("ann"), app.user("bob"));
    for (title, owner) in [("a1", &ann.id), ("b1", &bob.id), ("a2", &ann.id)] {
        root.create("notes", json!({"title": title, "owner": owner}))
            .await;
    }
    let sorted = [("sort", "title")];
    assert_eq!(
        ann.column("notes", "title", &sorted).await,
        json!(["a1", "a2"])
    );
    assert_eq!(bob.column("notes", "title", &sorted).await, json!(["b1"]));
    assert_eq!(
        app.guest().column("notes", "title", &sorted).await,
        json!([])
    );
    assert_eq!(root.count("notes").await, 3);
    let probe = [("filter", "title = 'b1' || 1 = 1")];
    assert_eq!(ann.count("notes").await, 2);
    assert_eq!(
        ann.list("notes", &probe).await["totalItems"],
        2,
        "a filter cannot widen the rule"
    );
}

#[tokio::test]
async fn the_create_rule_sees_the_new_record_and_leaves_nothing_behind() {
    let app = TestApp::new().start().await;
    let rule = json!({"createRule": "n > 5 && @collection.posts.n ?!= n", "listRule": ""});
    let posts = closed("posts", [number("n")]);
    app.collection(posts).await;
    let root = app.superuser();
    root.patch("/api/collections/posts", rule).await.expect(200);
    root.create("posts", json!({"n": 1})).await;
    let guest = app.guest();
    guest.try_create("posts", json!({"n": 5})).await.expect(400);
    guest.create("posts", json!({"n": 6})).await;
    assert_eq!(guest.count("posts").await, 2);
}

#[tokio::test]
async fn hidden_fields_are_visible_to_rules() {
    let app = TestApp::new().start().await;
    let level = field("number", "level", json!({"hidden": true}));
    let rules = json!({"listRule": "level > 1", "viewRule": "level > 1"});
    app.collection(with(closed("posts", [text("title"), level]), rules))
        .await;
    let (root, guest) = (app.superuser(), app.guest());
    let low = id_of(
        &root
            .create("posts", json!({"title": "low", "level": 1}))
            .await,
    );
    root.create("posts", json!({"title": "high", "level": 2}))
        .await;
    assert_eq!(guest.column("posts", "title", &[]).await, json!(["high"]));
    guest.get(&record("posts", &low)).await.expect(404);
}
