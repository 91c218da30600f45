//! Many writers at once. A PocketBase loses updates here, so the first test is ours alone.

use serde_json::{Value, json};

use crate::support::fields::{field, number, open, text, with};
use crate::support::{TestApp, all, is_peer, record};

#[tokio::test]
async fn forty_concurrent_additions_add_up() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    app.collection(open(
        "counters",
        [
            number("n"),
            field("autodate", "updated", json!({"onUpdate": true})),
        ],
    ))
    .await;
    let guest = app.guest();
    let id = guest.create_id("counters", json!({"n": 2})).await;
    let path = record("counters", &id);
    let answers = all((0..40).map(|_| guest.patch(&path, json!({"n+": 1})))).await;
    let mut seen: Vec<_> = answers
        .iter()
        .map(|answer| answer.expect(200)["n"].as_u64().unwrap())
        .collect();
    seen.sort_unstable();
    assert_eq!(guest.view("counters", &id).await["n"], 42);
    assert_eq!(
        seen,
        (3..=42).collect::<Vec<_>>(),
        "each answer shows the sum it made"
    );
}

#[tokio::test]
async fn additions_that_a_bound_stops_are_not_counted() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    app.collection(open(
        "seats",
        [field("number", "taken", json!({"max": 10}))],
    ))
    .await;
    let guest = app.guest();
    let id = guest.create_id("seats", json!({"taken": 0})).await;
    let path = record("seats", &id);
    let answers = all((0..30).map(|_| guest.patch(&path, json!({"taken+": 1})))).await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 10);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.refuses(&[("taken", "validation_max_number_constraint")]);
    }
    assert_eq!(guest.view("seats", &id).await["taken"], 10);
}

#[tokio::test]
async fn a_rule_is_asked_again_when_the_record_changed_meanwhile() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let locks = with(
        open("locks", [text("holder")]),
        json!({"updateRule": "holder = ''"}),
    );
    app.collection(locks).await;
    let guest = app.guest();
    let id = guest.create_id("locks", json!({})).await;
    let path = record("locks", &id);
    let takers: Vec<_> = (0..20).map(|n| format!("taker{n}")).collect();
    let answers = all(takers
        .iter()
        .map(|taker| guest.patch(&path, json!({"holder": taker}))))
    .await;
    let winners: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .collect();
    assert_eq!(winners.len(), 1, "exactly one takes the lock");
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status, 200 | 404))
    );
    assert_eq!(
        guest.view("locks", &id).await["holder"],
        winners[0].json()["holder"]
    );
}

#[tokio::test]
async fn of_equal_unique_values_one_wins() {
    let app = TestApp::new().start().await;
    let unique = json!({"indexes": ["CREATE UNIQUE INDEX `idx_name` ON `names` (`name`)"]});
    app.collection(with(open("names", [text("name")]), unique))
        .await;
    let guest = app.guest();
    let answers = all((0..20).map(|_| guest.try_create("names", json!({"name": "same"})))).await;
    let made = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(made, 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.refuses(&[("name", "validation_not_unique")]);
    }
    assert_eq!(guest.count("names").await, 1);
}

#[tokio::test]
async fn failing_creates_fail_alone() {
    let app = TestApp::new().start().await;
    let unique = json!({"indexes": ["CREATE UNIQUE INDEX `idx_name` ON `names` (`name`)"]});
    let name = field("text", "name", json!({"required": true, "max": 10}));
    app.collection(with(open("names", [name]), unique)).await;
    let guest = app.guest();
    guest.create("names", json!({"name": "taken"})).await;
    // Every fourth is sound in form and fails in the writer, every fourth fails before.
    let names: Vec<_> = (0..64)
        .map(|n| match n % 4 {
            0 => "taken".to_owned(),
            1 => format!("{n} is far too long"),
            _ => format!("name{n}"),
        })
        .collect();
    let answers = all(names
        .iter()
        .map(|name| guest.try_create("names", json!({"name": name}))))
    .await;
    for (name, answer) in names.iter().zip(&answers) {
        match name.as_str() {
            "taken" => answer.refuses(&[("name", "validation_not_unique")]),
            name if name.len() > 10 => {
                answer.refuses(&[("name", "validation_max_text_constraint")])
            }
            name => assert_eq!(answer.expect(200)["name"], name),
        }
    }
    let mut stored: Vec<Value> = guest
        .column("names", "name", &[])
        .await
        .as_array()
        .unwrap()
        .clone();
    let mut expected: Vec<Value> = vec![json!("taken")];
    expected.extend(
        (0..64)
            .filter(|n| n % 4 > 1)
            .map(|n| json!(format!("name{n}"))),
    );
    stored.sort_by_key(Value::to_string);
    expected.sort_by_key(Value::to_string);
    assert_eq!(stored, expected);
}

#[tokio::test]
async fn readers_see_whole_writes() {
    let app = TestApp::new().start().await;
    app.collection(open("pairs", [number("a"), number("b")]))
        .await;
    let guest = app.guest();
    let id = guest.create_id("pairs", json!({"a": 0, "b": 0})).await;
    let path = record("pairs", &id);
    let writes = (1..40).map(|n| guest.patch(&path, json!({"a": n, "b": n})));
    let reads = (0..80).map(|_| guest.view("pairs", &id));
    let (written, seen) = tokio::join!(all(writes), all(reads));
    assert!(written.iter().all(|answer| answer.status == 200));
    for record in seen {
        assert_eq!(record["a"], record["b"]);
    }
}

#[tokio::test]
async fn collections_change_while_records_are_written() {
    let app = TestApp::new().start().await;
    app.collection(open("posts", [text("title")])).await;
    let (guest, root) = (app.guest(), app.superuser());
    let writes =
        (0..60).map(|n| guest.try_create("posts", json!({"title": format!("t{n}"), "n": n})));
    let changes = async {
        for (name, kind) in [("n", "number"), ("extra", "text"), ("more", "json")] {
            let now = root.get("/api/collections/posts").await.expect(200);
            let mut fields = now["fields"].as_array().unwrap().clone();
            fields.push(json!({"name": name, "type": kind}));
            root.patch("/api/collections/posts", json!({"fields": fields}))
                .await
                .expect(200);
        }
    };
    let (answers, ()) = tokio::join!(all(writes), changes);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(guest.count("posts").await, 60);
    let after = guest
        .create("posts", json!({"title": "after", "n": 1, "more": [1]}))
        .await;
    assert_eq!((&after["n"], &after["more"]), (&json!(1), &json!([1])));
}
