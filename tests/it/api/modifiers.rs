//! `+`, `-` and `:autogenerate` in record bodies, and the modifiers of fields in filters and rules.

use serde_json::{Value, json};

use crate::support::fields::{field, number, open, relation, select, text, with};
use crate::support::{TestApp, record};

#[tokio::test]
async fn values_are_added_and_taken_away() {
    let app = TestApp::new().start().await;
    let tags = app.collection(open("tags", [text("name")])).await;
    let root = app.superuser();
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(root.create_id("tags", json!({"name": name})).await);
    }
    let [a, b, c] = [&ids[0], &ids[1], &ids[2]];
    let fields = [
        number("n"),
        select("one", &["x", "y"], 1),
        select("many", &["x", "y", "z"], 3),
        relation("tag", &tags, json!({"maxSelect": 1})),
        relation("tags", &tags, json!({"maxSelect": 3})),
    ];
    app.collection(open("posts", fields)).await;
    let start = json!({"n": 5, "one": "x", "many": ["x", "y"], "tag": a, "tags": [a, b]});
    for (key, input, expected) in [
        ("n+", json!(3), json!(8)),
        ("n-", json!(7.5), json!(-2.5)),
        ("n+", json!("2"), json!(7)),
        ("one+", json!("y"), json!("y")),
        ("one-", json!("x"), json!("")),
        ("one-", json!("y"), json!("x")),
        ("many+", json!("z"), json!(["x", "y", "z"])),
        ("many+", json!(["z", "x"]), json!(["x", "y", "z"])),
        ("+many", json!("z"), json!(["z", "x", "y"])),
        ("many-", json!(["x", "z"]), json!(["y"])),
        ("tag+", json!(b), json!(b)),
        ("tag-", json!(a), json!("")),
        ("tags+", json!([c]), json!([a, b, c])),
        ("+tags", json!(c), json!([c, a, b])),
        ("tags-", json!([a, b]), json!([])),
    ] {
        let name = key.trim_matches(['+', '-']);
        let id = root.create_id("posts", start.clone()).await;
        let changed = root.update("posts", &id, json!({key: input})).await;
        assert_eq!(changed[name], expected, "{key} {input}");
        assert_eq!(root.view("posts", &id).await, changed);
    }
    let made = root.create("posts", json!({"n+": 2, "many+": ["y"]})).await;
    assert_eq!((&made["n"], &made["many"]), (&json!(2), &json!(["y"])));
}

#[tokio::test]
async fn texts_are_generated_from_their_pattern() {
    let app = TestApp::new().start().await;
    let options = json!({"autogeneratePattern": "[A-C]{4}-[0-9]{2}", "max": 20});
    app.collection(open(
        "posts",
        [field("text", "code", options), text("title")],
    ))
    .await;
    let guest = app.guest();
    let made = guest.create("posts", json!({})).await;
    let with_prefix = guest
        .create("posts", json!({"code:autogenerate": "P-"}))
        .await;
    for (made, prefix) in [(&made, ""), (&with_prefix, "P-")] {
        let code = made["code"].as_str().unwrap().strip_prefix(prefix).unwrap();
        let (letters, digits) = code.split_once('-').unwrap();
        assert!(
            letters.len() == 4 && letters.bytes().all(|byte| (b'A'..=b'C').contains(&byte)),
            "{code}"
        );
        assert!(
            digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit()),
            "{code}"
        );
    }
    let given = guest.create("posts", json!({"code": "own"})).await;
    assert_eq!(given["code"], "own");
}

#[tokio::test]
async fn filters_look_at_lengths_items_and_lower_case() {
    let app = TestApp::new().start().await;
    app.collection(open(
        "posts",
        [text("title"), select("many", &["x", "y", "z"], 3)],
    ))
    .await;
    let guest = app.guest();
    for (title, many) in [
        ("Aa", json!([])),
        ("bB", json!(["x", "y"])),
        ("c", json!(["x", "z"])),
    ] {
        guest
            .create("posts", json!({"title": title, "many": many}))
            .await;
    }
    for (filter, expected) in [
        ("many:length = 0", json!(["Aa"])),
        ("many:length > 1", json!(["bB", "c"])),
        ("many:each ?= 'y'", json!(["bB"])),
        ("many:each != 'y'", json!(["Aa", "c"])),
        ("many ~ 'z'", json!(["c"])),
        ("title:lower = 'bb'", json!(["bB"])),
        ("title = 'bb'", json!([])),
    ] {
        let query = [("filter", filter), ("sort", "title")];
        assert_eq!(
            guest.column("posts", "title", &query).await,
            expected,
            "{filter}"
        );
    }
}

#[tokio::test]
async fn rules_look_at_what_a_request_changes() {
    let app = TestApp::new().start().await;
    let posts = open(
        "posts",
        [
            text("title"),
            number("n"),
            select("many", &["x", "y", "z"], 3),
        ],
    );
    app.collection(posts).await;
    let (root, guest) = (app.superuser(), app.guest());
    let start = json!({"title": "a", "n": 1, "many": ["x"]});
    let cases: [(&str, Value, u16); 12] = [
        ("@request.body.title:isset = false", json!({"n": 2}), 200),
        (
            "@request.body.title:isset = false",
            json!({"title": "a"}),
            404,
        ),
        ("@request.body.n:isset = true", json!({"n+": 1}), 200),
        (
            "@request.body.title:changed = false",
            json!({"title": "a"}),
            200,
        ),
        (
            "@request.body.title:changed = false",
            json!({"title": "b"}),
            404,
        ),
        ("@request.body.n:changed = true", json!({"n+": 1}), 200),
        ("@request.body.n < 5", json!({"n": 4}), 200),
        ("@request.body.n < 5", json!({"n+": 4}), 404),
        (
            "@request.body.many:length = 2",
            json!({"many": ["x", "y"]}),
            200,
        ),
        (
            "@request.body.many:each != 'z'",
            json!({"many": ["x", "z"]}),
            404,
        ),
        (
            "@request.body.title:lower = 'b'",
            json!({"title": "B"}),
            200,
        ),
        ("@request.body.none = ''", json!({"title": "B"}), 200),
    ];
    for (rule, body, status) in cases {
        let change = json!({"updateRule": rule});
        root.patch("/api/collections/posts", change)
            .await
            .expect(200);
        let id = root.create_id("posts", start.clone()).await;
        let answer = guest.patch(&record("posts", &id), body.clone()).await;
        assert_eq!(answer.status, status, "{rule} with {body}: {answer:?}");
    }
}

#[tokio::test]
async fn a_modifier_on_a_value_that_has_none_is_ignored_or_refused() {
    let app = TestApp::new().start().await;
    let posts = with(open("posts", [text("title"), number("n")]), json!({}));
    app.collection(posts).await;
    let guest = app.guest();
    let made = guest
        .create("posts", json!({"title+": "x", "n:lower": 5, "n++": 1}))
        .await;
    assert_eq!((&made["title"], &made["n"]), (&json!(""), &json!(0)));
    let answer = guest.try_create("posts", json!({"n+": {"deep": 1}})).await;
    assert!(answer.status < 500, "{answer:?}");
}
