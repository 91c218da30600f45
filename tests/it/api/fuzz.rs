//! Random record bodies and queries from a fixed seed: each is accepted or refused, none does harm.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use super::bad_input::FIELDS;
use crate::support::fields::{
    bool, field, file, json_field, number, open, relation, select, text, with,
};
use crate::support::{Client, TestApp, record, records};

const SEED: u64 = 0x0007_2026;
const BODIES: usize = 300;
const QUERIES: usize = 400;

async fn things(app: &TestApp) -> Client {
    let users = app
        .superuser()
        .get("/api/collections/users")
        .await
        .expect(200);
    let fields = [
        text("text"),
        field("editor", "editor", json!({})),
        field("number", "number", json!({"min": -1000})),
        bool("bool"),
        field("email", "email", json!({})),
        field("url", "url", json!({})),
        field("date", "date", json!({})),
        select("one", &["a", "b"], 1),
        select("many", &["a", "b"], 2),
        json_field("json"),
        file("file", json!({})),
        file("files", json!({"maxSelect": 3})),
        relation("author", &users, json!({})),
        relation("readers", &users, json!({"maxSelect": 5})),
        field("geoPoint", "place", json!({})),
        field("password", "password", json!({})),
    ];
    let unique =
        json!({"indexes": ["CREATE UNIQUE INDEX `idx` ON `things` (`text`) WHERE `text` != ''"]});
    app.collection(with(open("things", fields), unique)).await;
    app.collection(open("notes", [number("n")])).await;
    app.guest()
}

#[tokio::test]
async fn random_bodies_are_stored_as_shown_or_refused_whole() {
    let app = TestApp::new().start().await;
    let guest = things(&app).await;
    let mut random = StdRng::seed_from_u64(SEED);
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..BODIES {
        let body = body(&mut random);
        let target = ids
            .choose(&mut random)
            .filter(|_| random.random_bool(0.3))
            .cloned();
        let before = match &target {
            Some(id) => guest.view("things", id).await,
            None => Value::Null,
        };
        let answer = match &target {
            Some(id) => guest.patch(&record("things", id), body.clone()).await,
            None => guest.try_create("things", body.clone()).await,
        };
        match (answer.status, target) {
            (200, target) => {
                let shown = answer.json();
                let id = shown["id"].as_str().unwrap().to_owned();
                assert_eq!(guest.view("things", &id).await, shown, "{body}");
                if target.is_none() {
                    ids.push(id);
                }
            }
            (400, Some(id)) => assert_eq!(guest.view("things", &id).await, before, "{body}"),
            (400, None) => {}
            _ => panic!("{body}: {answer:?}"),
        }
        assert_eq!(guest.count("things").await, ids.len() as u64, "{body}");
    }
    assert!(
        ids.len() > BODIES / 10,
        "enough bodies are sound: {}",
        ids.len()
    );
    assert_eq!(app.stored_files(), Vec::<String>::new());
}

fn body(random: &mut StdRng) -> Value {
    let mut body = Map::new();
    for _ in 0..random.random_range(0..6) {
        let name = *FIELDS.choose(random).unwrap();
        let key = match random.random_range(0..12) {
            0 => format!("{name}+"),
            1 => format!("{name}-"),
            2 => format!("+{name}"),
            3 => format!("{name}:autogenerate"),
            4 => string(random),
            _ => name.to_owned(),
        };
        body.insert(key, value(random, 0));
    }
    Value::Object(body)
}

fn value(random: &mut StdRng, depth: usize) -> Value {
    let kinds = if depth < 3 { 11 } else { 8 };
    match random.random_range(0..kinds) {
        0 => Value::Null,
        1 => json!(random.random_bool(0.5)),
        2 => json!(random.random_range(-100_i64..100)),
        3 => json!(random.random::<f64>() * 10_f64.powi(random.random_range(-300..300))),
        4 => json!(random.random::<i64>()),
        5..8 => json!(string(random)),
        8 => (0..random.random_range(0..4))
            .map(|_| value(random, depth + 1))
            .collect(),
        _ => {
            let members =
                (0..random.random_range(0..4)).map(|_| (string(random), value(random, depth + 1)));
            Value::Object(members.collect())
        }
    }
}

fn string(random: &mut StdRng) -> String {
    const PARTS: [&str; 26] = [
        "a",
        "b",
        "text",
        "id",
        "0",
        "-1",
        "1e5",
        " ",
        "",
        "'",
        "\"",
        "\\",
        "\u{0}",
        "\n",
        "é",
        "😀",
        "\u{202e}",
        "%",
        "../",
        "@example.com",
        "https://",
        "2022-01-01",
        "[",
        "{\"lon\":1}",
        "true",
        "null",
    ];
    let count = random.random_range(0..4);
    (0..count).map(|_| *PARTS.choose(random).unwrap()).collect()
}

#[tokio::test]
async fn random_queries_are_answered_or_refused() {
    let app = TestApp::new().start().await;
    let guest = things(&app).await;
    let (ann, root) = (app.user("ann"), app.superuser());
    for n in 0..5 {
        let thing = json!({"text": format!("t{n}"), "number": n, "many": ["a"], "json": {"a": [n]}, "author": ann.id});
        guest.create("things", thing).await;
    }
    let mut random = StdRng::seed_from_u64(SEED + 1);
    let mut answered = 0;
    for _ in 0..QUERIES {
        let filter = filter(&mut random);
        let mut query = vec![("filter", filter)];
        for (name, share) in [("sort", 0.3), ("expand", 0.3), ("fields", 0.2)] {
            if random.random_bool(share) {
                query.push((name, path(&mut random)));
            }
        }
        let client = if random.random_bool(0.5) {
            &guest
        } else {
            &root
        };
        let borrowed: Vec<_> = query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = client.get_with(&records("things"), &borrowed).await;
        assert!(
            matches!(answer.status, 200 | 400 | 403),
            "{query:?}: {answer:?}"
        );
        if answer.status == 200 {
            answered += 1;
            let total = answer.json()["totalItems"].as_i64().unwrap();
            assert!((0..=5).contains(&total), "{query:?}: {answer:?}");
        }
    }
    assert!(
        answered > QUERIES / 10,
        "enough queries are sound: {answered}"
    );
    assert_eq!(guest.count("things").await, 5);
}

fn filter(random: &mut StdRng) -> String {
    const JOINS: [&str; 5] = [" && ", " || ", "&&", "||", " "];
    let mut filter = String::new();
    for n in 0..random.random_range(1..5) {
        if n > 0 {
            filter.push_str(pick(random, &JOINS, 0.95));
        }
        let grouped = random.random_bool(0.2);
        filter.push_str(if grouped { "(" } else { "" });
        filter.push_str(&comparison(random));
        filter.push_str(if grouped && random.random_bool(0.95) {
            ")"
        } else {
            ""
        });
    }
    if random.random_bool(0.1) {
        // A slip of the pen: one character out or doubled.
        let at = random.random_range(0..filter.chars().count());
        let kept = filter.chars().enumerate().filter(|(index, _)| *index != at);
        filter = kept.map(|(_, c)| c).collect();
    }
    filter
}

/// One of the first ones mostly, any with the rest of the chance.
fn pick<'a>(random: &mut StdRng, choices: &[&'a str], first: f64) -> &'a str {
    let sound = if random.random_bool(first) {
        choices.len() - 1
    } else {
        choices.len()
    };
    choices[random.random_range(0..sound)]
}

fn comparison(random: &mut StdRng) -> String {
    const OPERATORS: [&str; 18] = [
        "=", "!=", ">", ">=", "<", "<=", "~", "!~", "?=", "?!=", "?>", "?>=", "?<", "?<=", "?~",
        "?!~", "=", "==",
    ];
    let (left, right) = (operand(random), operand(random));
    format!("{left} {} {right}", pick(random, &OPERATORS, 0.97))
}

fn operand(random: &mut StdRng) -> String {
    const FIXED: [&str; 20] = [
        "1",
        "-1.5",
        "0",
        "true",
        "false",
        "null",
        "''",
        "'a'",
        "\"t1\"",
        "'%'",
        "'_'",
        "'\\''",
        "@now",
        "@todayStart",
        "@request.auth.id",
        "@request.query.filter",
        "@request.method",
        "@collection.users.name",
        "@collection.notes:x.n",
        "@rowid",
    ];
    match random.random_range(0..10) {
        0..6 => path(random),
        6..9 => (*FIXED.choose(random).unwrap()).to_owned(),
        _ => match random.random_range(0..3) {
            0 => format!("geoDistance(place.lon, place.lat, {}, 2)", path(random)),
            1 => format!("strftime('%Y', {})", path(random)),
            _ => format!("'{}'", string(random)),
        },
    }
}

fn path(random: &mut StdRng) -> String {
    const SECOND: [&str; 12] = [
        "name",
        "id",
        "email",
        "things_via_author",
        "things_via_readers",
        "created",
        "lon",
        "a",
        "0",
        "a.0",
        "verified",
        "none",
    ];
    const MODIFIERS: [&str; 8] = [
        ":length",
        ":each",
        ":lower",
        ":isset",
        ":changed",
        ":none",
        ":excerpt(2)",
        ":",
    ];
    let mut path = (*FIELDS.choose(random).unwrap()).to_owned();
    for _ in 0..random.random_range(0..3) {
        if random.random_bool(0.4) {
            path.push('.');
            path.push_str(SECOND.choose(random).unwrap());
        }
    }
    if random.random_bool(0.15) {
        path.push_str(MODIFIERS.choose(random).unwrap());
    }
    path
}
